"""``moeagiqa explain``: draw where one image's score comes from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import console
from ..prompts import prompt_candidates
from .explain import explain as explanation_of
from .explain_figure import check_figure_ending, write_figure
from .metric import make_metric
from .sources import Item, PromptChoice, SourceError, find_items, require_prompt

LONGEST_SHOWN = 300  # characters of a text that could be the prompt


def explain(
    image: str, prompts: PromptChoice, output: Path, options: Mapping[str, Any], as_json: bool, places: bool = True
) -> None:
    """Explain a score, draw it and print it.

    Args:
        image: a path or pattern that names one image.
        prompts: where its prompt comes from.
        output: the picture's file; .png, .pdf or .svg.
        options: of ``create_metric``, by name; those that are None are left out.
        as_json: whether to print the numbers as JSON instead of one line.
        places: whether to draw what each place of the image gives to the score.

    Raises:
        ValueError: for an image, prompt, checkpoint or output that cannot be used.
    """
    check_figure_ending(output)
    if Path(image).is_dir():
        raise SourceError(f'{image}: it is a folder, and one image at a time is explained; name an image.')
    items = list(find_items([image], *prompts))
    if len(items) > 1:
        raise SourceError(f'{image}: it matches {len(items)} images, and one at a time is explained; name an image.')
    items = list(_require_prompt(items))
    metric = make_metric('moeagiqa', options)
    explanation = explanation_of(metric, str(items[0].path), items[0].prompt or '', places)
    write_figure(explanation, output)
    if as_json:
        print(json.dumps(explanation.as_dict(), ensure_ascii=False))
    else:
        console().print(f'{explanation.target} {explanation.score:.4f}, explained in {output}', soft_wrap=True)


def _require_prompt(items: list[Item]) -> list[Item]:
    """Require a prompt as ``require_prompt`` does; if metadata hold several texts that could be it, the error names them."""
    try:
        return list(require_prompt(items))
    except SourceError as error:
        candidates = prompt_candidates(items[0].path) if items else ()
        if not candidates:
            raise
        texts = '; '.join(json.dumps(text[:LONGEST_SHOWN], ensure_ascii=False) for text in candidates)
        raise SourceError(f'{error} Its metadata do not tell which of these it was made from: {texts}.') from None
