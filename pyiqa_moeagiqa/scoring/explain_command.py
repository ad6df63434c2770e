"""``moeagiqa explain``: one image's score as a picture of where it comes from."""

import json
from pathlib import Path
from typing import Any

from .command import console, make_metric
from .explain import explain
from .explain_figure import check_figure_ending, write_figure
from .sources import SourceError, find_items, require_prompt


def show(
    image: str,
    prompt: str | None,
    prompts: Path | None,
    output: Path,
    options: dict[str, Any],
    as_json: bool,
    prompt_from: str = 'auto',
) -> None:
    """Explain, draw, print.

    Args:
        options: of ``create_metric``, by name; those that are None are left out.
        prompt_from: as ``find_items`` takes it.

    Raises:
        ValueError: for an image, prompt, checkpoint or output that cannot be used.
    """
    check_figure_ending(output)
    if Path(image).is_dir():
        raise SourceError(f'{image}: it is a folder, and one image at a time is explained; name an image.')
    items = list(find_items([image], prompt, prompts, prompt_from))
    if len(items) > 1:
        raise SourceError(f'{image}: it matches {len(items)} images, and one at a time is explained; name an image.')
    items = list(require_prompt(items))
    metric = make_metric('moeagiqa', {name: value for name, value in options.items() if value is not None})
    explanation = explain(metric, str(items[0].path), items[0].prompt)
    write_figure(explanation, output)
    if as_json:
        print(json.dumps(explanation.as_dict(), ensure_ascii=False))
    else:
        console().print(f'{explanation.target} {explanation.score:.4f}, explained in {output}', soft_wrap=True)
