"""Does a score hold beyond the pictures it was trained on? The tables of MODEL_CARD.md.

Unseen prompts; unseen prompts by an unseen family of generators; other sizes, cuts and formats; photographs; damage.
What was chosen was chosen on half of the prompts; the figures are of the other half.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA, image_means
from pyiqa_moeagiqa.images.read import read_image
from pyiqa_moeagiqa.scoring.scale import INTERVAL_SHARE

from .data import MOS_MAX, SIDES, Data, image_paths
from .features import extract
from .figures import figures
from .held_out import Answers, folds, score

TARGETS = ('quality', 'alignment')
OF_EACH = 6  # images of each generator setting whose sizes are changed


def agreement(answers: Answers, data: Data, chosen: np.ndarray) -> pd.DataFrame:
    """Per target SRCC, PLCC, SRCC within settings, pairs within a prompt; without experts; with another's prompt; own prompt preferred."""
    table, lines = data.table[chosen], {}
    for place, target in enumerate(TARGETS):
        mos = data.mos[chosen, place].numpy() * MOS_MAX
        line = figures(answers.scores[chosen, place], mos, table)
        line['without experts'] = figures(answers.silent[chosen, place], mos, table)['srcc']
        line['fall with a wrong prompt'] = float((answers.scores - answers.wrong)[chosen, place].mean())
        lines[target] = line
    lines['alignment']['own prompt'] = float(answers.own_prompt[chosen].mean())
    return pd.DataFrame(lines).T


def biases(answers: Answers, data: Data, chosen: np.ndarray) -> pd.DataFrame:
    """Mean score less mean MOS of each family, on the scale of MOS."""
    errors = pd.DataFrame(MOS_MAX * (answers.scores - data.mos.numpy()), columns=TARGETS)
    return errors[chosen].groupby(data.table['family'][chosen]).mean()


def quantiles(errors: np.ndarray) -> tuple[float, float]:
    """Between which two values ``INTERVAL_SHARE`` of errors (MOS less score) lie, as many below as above."""
    low, high = np.quantile(errors, [(1 - INTERVAL_SHARE) / 2, (1 + INTERVAL_SHARE) / 2])
    return float(low), float(high)


def coverage(answers: Answers, data: Data) -> pd.DataFrame:
    """Per family the share of MOS within the interval that the other families' errors give."""
    errors, family = data.mos.numpy() - answers.scores, data.table['family'].to_numpy()
    lines = {}
    for one in np.unique(family):
        held = family == one
        ends = [quantiles(errors[~held, place]) for place in range(2)]
        lines[one] = {
            target: float(((low <= errors[held, place]) & (errors[held, place] <= high)).mean())
            for place, (target, (low, high)) in enumerate(zip(TARGETS, ends, strict=True))
        }
    return pd.DataFrame(lines).T


def damage(answers: Answers, data: Data, chosen: np.ndarray) -> pd.DataFrame:
    """Per kind: share of copies whose quality is below the original's, and the mean fall of both scores."""
    rows = data.damaged['row'].to_numpy()
    fall = pd.DataFrame(answers.scores[rows] - answers.damaged, columns=['quality falls', 'alignment falls'])
    fall['ordered'] = (fall['quality falls'] > 0).astype(float)
    return fall[chosen[rows]].groupby(data.damaged['kind'][chosen[rows]]).mean()


def _lanczos(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.LANCZOS)


def _as(image: Image.Image, kind: str, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(buffer).convert('RGB')


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f'{side} px': partial(_lanczos, side=side) for side in (256, 384, 768, 1024, 1536, 2048)},
    'middle 16:9': lambda image: image.crop((0, 112, 512, 400)),
    'middle 9:16': lambda image: image.crop((112, 0, 400, 512)),
    'middle 2:3': lambda image: image.crop((80, 0, 432, 512)),
    'JPEG 95': partial(_as, kind='JPEG', quality=95),
    'JPEG 85': partial(_as, kind='JPEG', quality=85),
    'WebP 90': partial(_as, kind='WEBP', quality=90),
}


def changed(path: Path, change: str) -> Tensor:
    """(3, H, W), uint8."""
    return pil_to_tensor(CHANGES[change](Image.fromarray(read_image(path).permute(1, 2, 0).numpy())))


@torch.inference_mode()
def sizes(networks: list[MoEAGIQA], encoders: MoEAGIQA, data: Data, folder: Path, chosen: np.ndarray) -> pd.DataFrame:
    """Per change: mean shift and SRCC of both scores to the unchanged pictures'.

    Args:
        networks: one per fold, which has not seen the fold's prompts.
        encoders: a network with its encoders.
        data: all pictures.
        folder: of AGIQA-3K.
        chosen: (N,) images to take them from.
    """
    table, fold = data.table[chosen], folds(data)
    rows = table.groupby('generator').sample(OF_EACH, random_state=0).index.to_numpy()
    paths = image_paths(folder, data.table['name'][rows])
    pictures = [partial(changed, path, change) for path in paths for change in CHANGES]
    seen = extract(encoders, pictures, 'sizes')
    before, after = np.zeros((len(rows), 2)), np.zeros((len(rows), len(CHANGES), 2))
    for place, row in enumerate(rows):
        network, part = networks[fold[row]], slice(place * len(CHANGES), (place + 1) * len(CHANGES))
        looked = Features(seen['degradation'][part].float(), None, seen['image'][part].float())
        after[place] = score(network, data, looked, data.prompt[row].expand(len(CHANGES)))
        before[place] = score(network, data, data.features('clean', np.array([row])), data.prompt[[row]])
    lines = {
        change: {
            f'{target} {name}': value
            for place, target in enumerate(TARGETS)
            for name, value in (
                ('shift', (after[:, number, place] - before[:, place]).mean()),
                ('SRCC', spearmanr(after[:, number, place], before[:, place]).statistic),
            )
        }
        for number, change in enumerate(CHANGES)
    }
    return pd.DataFrame(lines).T


@torch.inference_mode()
def far(of_prompts: Answers, of_families: Answers, network: MoEAGIQA, data: Data) -> pd.DataFrame:
    """Novelty's median, and the share above 1: of each family seen and unseen, of damaged copies, of photographs."""
    usual, family = float(network.novelty.usual), data.table['family'].to_numpy()

    def line(novelty: np.ndarray) -> dict[str, float]:
        return {'median': float(np.median(novelty)), 'above 1': float((novelty > 1).mean())}

    def novelty(kind: str, rows: np.ndarray) -> np.ndarray:
        means = data.features(kind, rows).degradation.mean(dim=(3, 4))
        return network.novelty(image_means(means, network.config)).numpy()

    lines = {}
    for one in np.unique(family):
        lines[f'{one}, unseen prompts'] = line(of_prompts.distance[family == one] / usual)
        lines[f'{one}, unseen'] = line(of_families.distance[family == one] / usual)
    for kind, rows in data.damaged.groupby('kind').groups.items():
        lines[f'damaged: {kind}'] = line(novelty('damaged', rows.to_numpy()))
    clean = data.photos[data.photos['reported'] & (data.photos['kind'] == '')].index.to_numpy()
    lines['reported photographs'] = line(novelty('photos', clean))
    return pd.DataFrame(lines).T


@torch.inference_mode()
def photographs(network: MoEAGIQA, data: Data, scores: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reported photographs: where clean ones stand among AGIQA-3K's ``scores``, and what damage does to quality.

    The second table: per kind the share of damaged ones below the clean one, and of steps to more damage that lower the score.
    """
    photos = data.photos[data.photos['reported']].copy()
    prompts = torch.zeros(len(photos), dtype=torch.long)  # quality hardly heeds them
    photos['score'] = score(network, data, data.features('photos', photos.index.to_numpy()), prompts)[:, 0]
    photos['name'] = [Path(file).stem for file in photos['file']]
    clean = photos[photos['kind'] == ''].pivot(index='name', columns='side', values='score')
    clean['percentile'] = [100 * float((scores < one).mean()) for one in clean[SIDES[0]]]
    falls = {}
    for kind, some in photos[photos['kind'] != ''].groupby('kind'):
        path = some.pivot(index='name', columns='strength', values='score')
        path.insert(0, -1, clean[SIDES[0]])
        steps = path.to_numpy()
        falls[kind] = {
            'below the clean one': float((steps[:, 1:] < steps[:, :1]).mean()),
            'steps that lower it': float((np.diff(steps) < 0).mean()),
        }
    return clean, pd.DataFrame(falls).T


def markdown(table: pd.DataFrame) -> str:
    """With three decimals; what is not there is left empty."""
    head = f'| | {" | ".join(map(str, table.columns))} |'
    rows = [
        f'| {name} | {" | ".join("" if np.isnan(value) else f"{value:.3f}" for value in line)} |'
        for name, line in zip(table.index, table.to_numpy(dtype=float), strict=True)
    ]
    return '\n'.join([head, '|---' * (len(table.columns) + 1) + '|', *rows])
