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
    image: Annotated[str, typer.Argument(help='An image.')],
    prompt: Annotated[str | None, typer.Option(help='Its prompt.')] = None,
    prompts: Prompts = None,
    prompt_from: PromptFrom = Place.auto,
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    output: Annotated[Path, typer.Option('--output', '-o', help='.png, .pdf or .svg.')] = Path('explain.png'),
    as_json: Annotated[bool, typer.Option('--json', help='Print the numbers as JSON, too.')] = False,
    places: Annotated[bool, typer.Option(help='Draw what each place gives; that is about 49 scores more.')] = True,
) -> None:
    """Draw where an image's score comes from: its crops and places, the prompt's words, the experts.

    Places are blurred and words left out one at a time; what that takes from the score is what they gave to it.
    """
    with in_one_sentence():
        from ..scoring import explain_command

        options = metric_options(target, crops, weights, device, dtype, fast)
        choice = prompt_choice(prompt, prompts, prompt_from)
        explain_command.show(image, choice, output, options, as_json, places)
