"""``moeagiqa explain``: one image's score as a picture of where it comes from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import console
from .explain import explain
from .explain_figure import check_figure_ending, write_figure
from .metric import make_metric
from .sources import PromptChoice, SourceError, find_items, require_prompt


def show(image: str, prompts: PromptChoice, output: Path, options: Mapping[str, Any], as_json: bool) -> None:
    """Explain, draw, print.

    Args:
        prompts: where its prompt comes from.
        options: of ``create_metric``, by name; those that are None are left out.

    Raises:
        ValueError: for an image, prompt, checkpoint or output that cannot be used.
    """
    check_figure_ending(output)
    if Path(image).is_dir():
        raise SourceError(f'{image}: it is a folder, and one image at a time is explained; name an image.')
    items = list(find_items([image], *prompts))
    if len(items) > 1:
        raise SourceError(f'{image}: it matches {len(items)} images, and one at a time is explained; name an image.')
    items = list(require_prompt(items))
    metric = make_metric('moeagiqa', options)
    explanation = explain(metric, str(items[0].path), items[0].prompt)
    write_figure(explanation, output)
    if as_json:
        print(json.dumps(explanation.as_dict(), ensure_ascii=False))
    else:
        console().print(f'{explanation.target} {explanation.score:.4f}, explained in {output}', soft_wrap=True)
