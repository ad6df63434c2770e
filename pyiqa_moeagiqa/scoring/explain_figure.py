"""An explanation as one picture: image and crops, places, words, scores and experts."""

import textwrap
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from ..console import plain
from ..images.read import shrunk
from ..whole_file import whole_file
from .explain import Explanation, ExplanationError
from .scale import INTERVAL_SHARE

ENDINGS = ('.png', '.pdf', '.svg')
WIDTH = 12.0  # inches
LONGEST_SIDE = 800  # pixels; the image is drawn no larger
WIDE = 1.6  # from this aspect on, image and map stand one above the other
RAISES, LOWERS, QUIET = '#2166ac', '#b2182b', '#5a6472'  # the ends of the colour map RdBu
LONGEST_WORD = 16
UNSEEN = 1e-6  # of a score; a bar of it has no height


def check_figure_ending(path: Path) -> None:
    """Raise an ExplanationError for a file name that does not end in one of ``ENDINGS``."""
    if path.suffix.lower() not in ENDINGS:
        raise ExplanationError(f'{path}: the output must end in {", ".join(ENDINGS)}.')


def write_figure(explanation: Explanation, path: Path) -> None:
    """Draw an explanation into a .png, .pdf or .svg file."""
    figure = draw(explanation)
    with whole_file(path) as part, warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Glyph', UserWarning)  # the font has no Chinese and no emoji: it draws boxes
        figure.savefig(part, format=path.suffix.lower()[1:], dpi=110)


def draw(explanation: Explanation) -> Figure:
    """Draw the whole figure; parts that the network does not have are left out, and a title says that crops are missing."""
    height, width = explanation.image.shape[-2:]
    wide, mapped = width / height > WIDE, explanation.places is not None
    panel = WIDTH * 0.92 if wide else WIDTH * 0.46
    pictures = min(max(panel * height / width, 1.6), 5.5)
    crops = len(explanation.names)
    rows = (
        [pictures] * (2 if wide and mapped else 1) + [2.1] * _words_matter(explanation) + [max(1.5, 0.24 * crops + 0.4)]
    )
    head = textwrap.wrap(plain(f'“{" ".join(explanation.prompt.split())}”'), 105, max_lines=4, placeholder=' …') or [
        '“”'
    ]
    lines = _scores_said(explanation)
    top = 0.35 + 0.24 * (len(head) + len(lines))
    tall = sum(rows) + 0.5 * len(rows) + top
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - top / tall - 0.01), hspace=0.06)
    figure = Figure(figsize=(WIDTH, tall), facecolor='white', layout=layout)
    _head(figure, head, lines)
    grid = GridSpec(len(rows), 2, figure, height_ratios=rows)
    _crops(figure.add_subplot(grid[0, 0] if mapped and not wide else grid[0, :]), explanation)
    if explanation.places is not None:
        _places(figure.add_subplot(grid[1, :] if wide else grid[0, 1]), explanation, explanation.places)
    if _words_matter(explanation):
        _words(figure.add_subplot(grid[len(rows) - 2, :]), explanation)
    _scores(figure.add_subplot(grid[-1, 0]), explanation)
    _experts(figure.add_subplot(grid[-1, 1]), explanation)
    return figure


def draw_places(explanation: Explanation) -> Figure:
    """Draw the map of places alone; the explanation must have it."""
    height, width = explanation.image.shape[-2:]
    figure = Figure(figsize=(6.5, min(max(5 * height / width + 0.4, 2), 9)), facecolor='white', layout='constrained')
    if explanation.places is not None:
        _places(figure.add_subplot(), explanation, explanation.places)
    return figure


def _head(figure: Figure, prompt: list[str], lines: list[str]) -> None:
    inches = figure.get_figheight()
    figure.text(0.02, 1 - 0.15 / inches, '\n'.join(prompt), size=13, weight='bold', va='top', parse_math=False)
    place = 1 - (0.22 + 0.24 * len(prompt)) / inches
    figure.text(0.02, place, '\n'.join(lines), size=11, va='top', color=QUIET, parse_math=False)


def _scores_said(explanation: Explanation) -> list[str]:
    said = []
    for name, score in explanation.details.scores.items():
        said.append(f'{plain(name)} {score.item():.3f}{_mos_said(explanation.mos.get(name, {}))}')
    if explanation.words and not _words_matter(explanation):
        said.append(f'The words of the prompt do not change {plain(explanation.target)}.')
    if explanation.unread:
        said.append(f'The last {len(explanation.unread)} words of the prompt do not fit, and were not read.')
    return said


def _mos_said(mos: Mapping[str, float | None]) -> str:
    """A score as MOS, with its interval if the checkpoint has one; '' if it has no MOS range."""
    if mos.get('mos') is None:
        return ''
    if mos['low'] is None:
        return f': a MOS of {mos["mos"]:.2f}'
    return f': a MOS of {mos["mos"]:.2f}, and {mos["low"]:.2f} to {mos["high"]:.2f} for {INTERVAL_SHARE * 100:.0f} % of images with such a score'


def _pixels(explanation: Explanation) -> np.ndarray:
    """The image as (h, w, 3) in [0, 1], at the size at which it is drawn."""
    image = shrunk(explanation.image, LONGEST_SIDE)
    return to_dtype(image, torch.float32, scale=True).clamp(0, 1).permute(1, 2, 0).numpy()


def _picture(axes: Axes, explanation: Explanation, title: str) -> tuple[float, float, float, float]:
    """Set the axes to the image's pixels; returns its extent (left, right, bottom, top)."""
    height, width = explanation.image.shape[-2:]
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect='equal')
    axes.set_title(title, size=10, loc='left', parse_math=False)
    return 0, width, height, 0


def _crops(axes: Axes, explanation: Explanation) -> None:
    title = (
        f'What is looked at, and its {plain(explanation.target)}'
        if explanation.boxes
        else 'No crops: the network looks at the whole image'
    )
    axes.imshow(_pixels(explanation), extent=_picture(axes, explanation, title), interpolation='nearest')
    height, width = explanation.image.shape[-2:]
    together: dict[tuple[bool, int, int, int, int], list[int]] = defaultdict(list)
    for number, box in enumerate(explanation.boxes):
        key = explanation.names[number] == 'view', *box  # keeps the view apart from a crop with the same box
        together[key].append(number)
    for (_, y, x, rows, columns), numbers in together.items():
        colour = _colour(explanation, numbers[0])
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + columns, width), min(y + rows, height)
        shown = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=2)
        shown.set_path_effects([withStroke(linewidth=3.5, foreground='black')])
        axes.add_patch(shown)
        names = ', '.join(explanation.names[n] for n in numbers)
        label = f'{names}: {explanation.details.crop_scores[0, numbers[0]]:.3f}'
        is_view = explanation.names[numbers[0]] == 'view'  # its corner is often a crop's corner: its label goes below
        place = (left + 3, bottom) if is_view else (left, top)
        style: dict[str, Any] = {'size': 8, 'weight': 'bold', 'color': 'white', 'va': 'bottom' if is_view else 'top'}
        axes.text(*place, label, bbox={'fc': colour, 'ec': 'none', 'pad': 1.5}, clip_on=True, **style)


def _colour(explanation: Explanation, number: int) -> str:
    return '#6b6b6b' if explanation.names[number] in ('view', 'image') else f'C{number % 7}'


def _places(axes: Axes, explanation: Explanation, places: Tensor) -> None:
    extent = _picture(axes, explanation, 'Places: the score minus the score with the place blurred (× 0.001)')
    grey = 0.4 + 0.6 * _pixels(explanation).mean(axis=2)  # lightened: no colour would show on black
    axes.imshow(grey, extent=extent, cmap='gray', vmin=0, vmax=1)
    shares = 1000 * places.numpy()
    most = max(1, abs(shares).max())  # keeps tiny shares looking tiny
    drawn = axes.imshow(shares, extent=extent, cmap='RdBu', vmin=-most, vmax=most, alpha=0.6, interpolation='bilinear')
    axes.figure.colorbar(drawn, ax=axes, shrink=0.85, pad=0.01, label='lowers  ←  → raises')


def _words_matter(explanation: Explanation) -> bool:
    """Whether leaving out a word changes the score."""
    return any(abs(share) > UNSEEN for share in explanation.word_shares)


def _words(axes: Axes, explanation: Explanation) -> None:
    shares = [1000 * share for share in explanation.word_shares]
    axes.bar(range(len(shares)), shares, color=[RAISES if share > 0 else LOWERS for share in shares], width=0.7)
    axes.axhline(0, color='black', lw=0.8)
    most = max(1, *map(abs, shares))  # keeps tiny shares looking tiny
    axes.set_ylim(-1.1 * most, 1.1 * most)
    words = map(plain, explanation.words)
    labels = [word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD - 1] + '…' for word in words]
    slanted: dict[str, Any] = {'rotation': 40, 'ha': 'right', 'rotation_mode': 'anchor'} if len(shares) > 10 else {}
    axes.set_xticks(range(len(shares)), labels, parse_math=False, **slanted)
    axes.set_xlim(-0.6, max(len(shares), 6) - 0.4)
    target = plain(explanation.target)
    axes.set_title(f'Words: {target} minus {target} without the word (× 0.001)', size=10, loc='left', parse_math=False)
    axes.spines[['top', 'right']].set_visible(False)


def _scores(axes: Axes, explanation: Explanation) -> None:
    scores = explanation.details.crop_scores[0].tolist()
    colours = [_colour(explanation, number) for number in range(len(scores))]
    axes.barh(range(len(scores)), scores, color=colours, height=0.65)
    axes.axvline(explanation.score, color='black', lw=1.5)
    if explanation.target in explanation.details.interval:
        axes.axvspan(*explanation.details.interval[explanation.target][0].tolist(), color='black', alpha=0.1, lw=0)
    axes.axvline(0, color='black', lw=0.8)
    labels = [f'{name}  {score:.3f}' for name, score in zip(explanation.names, scores, strict=True)]
    axes.set_yticks(range(len(scores)), labels)
    axes.invert_yaxis()
    title = f'Scores per crop; the line is their weighted mean, {plain(explanation.target)} {explanation.score:.3f}'
    axes.set_title(title, size=10, loc='left', parse_math=False)
    axes.spines[['top', 'right']].set_visible(False)


def _experts(axes: Axes, explanation: Explanation) -> None:
    gate, chosen = explanation.details.gate[0].cpu().numpy(), explanation.details.chosen[0].tolist()
    axes.imshow(gate, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    for row, weights in enumerate(gate.tolist()):
        for expert, weight in enumerate(weights):
            used = expert in chosen[row]
            colour = 'white' if weight > 0.55 else 'black' if used else '#8a8a8a'
            axes.text(
                expert,
                row,
                f'{weight:.2f}' if used else f'({weight:.2f})',
                ha='center',
                va='center',
                size=8,
                color=colour,
            )
    axes.set_xticks(range(gate.shape[1]), [f'expert {1 + n}' for n in range(gate.shape[1])])
    axes.set_yticks(range(len(explanation.names)), explanation.names)
    axes.set_title('Gate: weights of the experts; those in brackets did not score', size=10, loc='left')
