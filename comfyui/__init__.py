"""Nodes for ComfyUI: score images for their prompt, and pick the best of a batch.

Copy this folder into ComfyUI's ``custom_nodes/``. ComfyUI reads ``NODE_CLASS_MAPPINGS``; what it asks of a node is described at
https://docs.comfy.org/custom-nodes/backend/server_overview. An IMAGE is a float tensor (N, H, W, 3) in [0, 1].
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

try:
    from pyiqa_moeagiqa.plugin import METRICS
except ModuleNotFoundError as error:
    if error.name != 'pyiqa_moeagiqa':
        raise
    raise ImportError(
        'The MoE-AGIQA nodes need pyiqa-moeagiqa: install it with pip into the Python that runs ComfyUI.'
    ) from None
import pandas as pd
from torch import Tensor

from pyiqa_moeagiqa import score
from pyiqa_moeagiqa.archs.config import TARGETS
from pyiqa_moeagiqa.checkpoints import CheckpointError, find, read_header
from pyiqa_moeagiqa.scoring.metric import make_metric
from pyiqa_moeagiqa.scoring.protocol import Metric

INPUTS = {
    'images': ('IMAGE', {'tooltip': 'One image or a batch.'}),
    'prompt': ('STRING', {'multiline': True, 'tooltip': 'What the images were made for.'}),
    'metric': (list(METRICS), {'tooltip': 'moeagiqa needs no download; the others are installed by "moeagiqa weights install".'}),
    'target': (list(TARGETS), {'tooltip': 'quality, or alignment: how well an image fits the prompt. authenticity is for networks that were trained for it.'}),
}  # fmt: skip


class _Node:
    """What both nodes tell ComfyUI."""

    CATEGORY = 'image/quality'
    FUNCTION = 'run'

    @classmethod
    def VALIDATE_INPUTS(cls, metric: str | None = None, target: str | None = None) -> bool | str:
        """True, or in one sentence why the node could not run: this is known before any image is made.

        None stands for an input that another node gives. ComfyUI leaves the check of inputs that are named here to this method.
        """
        if metric is None:
            return True
        if metric not in METRICS:  # never a path or an address: workflows come from strangers
            return f'metric is {metric!r}: choose one of {", ".join(METRICS)}.'
        try:
            config, _ = read_header(find(metric))
        except CheckpointError as error:
            return str(error)
        known = config.targets
        return target is None or target in known or f'target is {target!r}: {metric} scores {", ".join(known)}.'

    @classmethod
    def IS_CHANGED(cls, metric: str | None = None, **inputs: Any) -> str:
        """Another value once another checkpoint is installed: else ComfyUI keeps the scores of equal inputs."""
        return '' if metric is None else _version(find(metric))


class MoEAGIQAScore(_Node):
    """Scores each image of a batch."""

    DESCRIPTION = 'How good is each image for the prompt? Predicts the mean opinion score of people.'
    RETURN_TYPES = ('FLOAT', 'FLOAT', 'STRING')
    RETURN_NAMES = ('score', 'MOS', 'text')
    OUTPUT_IS_LIST = (True, True, False)
    OUTPUT_TOOLTIPS = (
        'For each image: about 0 to 1, higher is better.',
        "For each image: the score in the raters' units, for moeagiqa 0 to 5.",
        'One line for each image, with the interval that holds 80 % of MOS.',
    )
    OUTPUT_NODE = True  # it runs, and its text is in the history, where nothing is connected to it

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {'required': INPUTS}

    def run(self, images: Tensor, prompt: str, metric: str, target: str) -> dict[str, Any]:
        """Return lists of N scores and N MOS, NaN for an image that cannot be scored, and the text."""
        table = _scored(images, prompt, metric, target)
        text = _text(table)
        return {'ui': {'text': [text]}, 'result': (table['score'].tolist(), table['mos'].tolist(), text)}


class MoEAGIQAPick(_Node):
    """Picks the best images of a batch."""

    DESCRIPTION = 'Keeps the images of a batch that score highest for the prompt, the best first.'
    RETURN_TYPES = ('IMAGE', 'FLOAT', 'STRING')
    RETURN_NAMES = ('images', 'score', 'text')
    OUTPUT_IS_LIST = (False, True, False)
    OUTPUT_TOOLTIPS = ('The best images.', 'Their scores.', 'One line for each of them, with its place in the batch.')

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        count = ('INT', {'default': 1, 'min': 1, 'max': 4096, 'tooltip': 'How many to keep.'})
        return {'required': INPUTS | {'count': count}}

    def run(self, images: Tensor, prompt: str, metric: str, target: str, count: int) -> tuple[Tensor, list[float], str]:
        """Return at most ``count`` images, their scores and the text.

        Raises:
            ValueError: if no image can be scored.
        """
        table = _scored(images, prompt, metric, target)
        best = table.dropna(subset='score').sort_values('score', ascending=False, kind='stable').head(count)
        if best.empty:
            raise ValueError(f'No image of the batch can be scored: {table["reason"].iloc[0]}')
        return images[best.index.tolist()], best['score'].tolist(), _text(best)


def _scored(images: Tensor, prompt: str, metric: str, target: str) -> pd.DataFrame:
    """The table of ``pyiqa_moeagiqa.score`` for a batch; values that stray outside of [0, 1] are clipped, as when it is saved."""
    pixels = images.float().clamp(0, 1).movedim(-1, 1)
    return score(pixels, prompt, metric=_metric(metric, target, _version(find(metric))))


@lru_cache(maxsize=2)
def _metric(name: str, target: str, version: str) -> Metric:
    return make_metric(name, {'target': target})


def _version(checkpoint: Path) -> str:
    """What changes when another file is put in the place of a checkpoint."""
    return str(checkpoint.stat().st_mtime_ns)


def _text(table: pd.DataFrame) -> str:
    return '\n'.join(map(_line, table.itertuples()))


def _line(row: Any) -> str:
    """An image in words, such as 'image 0: 0.658, MOS 3.29 (80 %: 2.31 to 3.98)'."""
    if row.reason:
        return f'{row.path}: not scored: {row.reason}'
    interval = f' (80 %: {row.low:.2f} to {row.high:.2f})' if row.low == row.low else ''
    mos = f', MOS {row.mos:.2f}{interval}' if row.mos == row.mos else ''
    notes = f'; {row.notes}' if row.notes else ''
    return f'{row.path}: {row.score:.3f}{mos}{notes}'


NODE_CLASS_MAPPINGS = {'MoEAGIQAScore': MoEAGIQAScore, 'MoEAGIQAPick': MoEAGIQAPick}
NODE_DISPLAY_NAME_MAPPINGS = {
    'MoEAGIQAScore': 'Score images (MoE-AGIQA)',
    'MoEAGIQAPick': 'Pick the best images (MoE-AGIQA)',
}
