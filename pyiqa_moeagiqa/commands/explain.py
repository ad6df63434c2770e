"""``moeagiqa explain``."""

from pathlib import Path
from typing import Annotated

import typer

from .failures import in_one_sentence
from .shared import (
    Crops,
    Device,
    Dtype,
    Fast,
    Place,
    PromptFrom,
    Prompts,
    Target,
    Weights,
    metric_options,
    prompt_choice,
)


def explain(
    image: Annotated[str, typer.Argument(help='The image.')],
    prompt: Annotated[str | None, typer.Option(metavar='TEXT', help='Its prompt.')] = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[
        Path, typer.Option('--output', '-o', metavar='FILE', help='The .png, .pdf or .svg file to draw.')
    ] = Path('explain.png'),
    as_json: Annotated[bool, typer.Option('--json', help='Print the numbers as JSON.')] = False,
    places: Annotated[
        bool, typer.Option(help='Draw what each place of the image gives; this computes about 49 more scores.')
    ] = True,
) -> None:
    """Draw where an image's score comes from.

    The picture shows the score of each crop, what places of the image and words of the prompt give to the score, and how much
    each expert counts. A place gives what the score loses when it is blurred; a word, what the score loses without it.

    Exit code: 0 if the picture was drawn, 2 for wrong usage or an image that cannot be read.
    """
    with in_one_sentence():
        from ..scoring import explain_command

        options = metric_options(target, crops, weights, device, dtype, fast)
        choice = prompt_choice(prompt, prompts, prompt_from)
        explain_command.explain(image, choice, output, options, as_json, places)
