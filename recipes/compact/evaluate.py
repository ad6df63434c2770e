"""The figures of MODEL_CARD.md: per target and fold, per generator, and what prompts have to do with it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA

from .data import MOS_MAX, Data
from .figures import figures, own_prompt_share

TARGETS = ('quality', 'alignment')


@torch.inference_mode()
def predict(network: MoEAGIQA, data: Data, rows: np.ndarray, prompts_of: np.ndarray | None = None) -> np.ndarray:
    """(n, 2) scores of images with the prompts of ``prompts_of``, by default their own."""
    prompts_of = rows if prompts_of is None else prompts_of
    scores = []
    for start in range(0, len(rows), 64):
        images, texts = rows[start : start + 64], prompts_of[start : start + 64]
        answer = network.assess(data.features('clean', images), data.ids(texts), data.mask[texts])
        scores.append(torch.stack([answer.targets[name].score.mean(1) for name in TARGETS], dim=1))
    return torch.cat(scores).numpy()


def evaluate(network: MoEAGIQA, data: Data, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures of both targets on ``rows``; ``shuffled`` is SRCC where each image has another's prompt."""
    table = data.table.iloc[rows]
    scores = predict(network, data, rows)
    others = predict(network, data, rows, np.random.default_rng(0).permutation(rows))
    result = {}
    for place, target in enumerate(TARGETS):
        mos = data.mos[rows, place].numpy() * MOS_MAX
        result[target] = figures(scores[:, place], mos, table)
        result[target]['shuffled'] = figures(others[:, place], mos, table)['srcc']
    result['quality']['own_prompt'] = own_prompt(network, data, rows)
    return result


@torch.inference_mode()
def own_prompt(network: MoEAGIQA, data: Data, rows: np.ndarray) -> float:
    """How often an image is closer to its own prompt than to another of the same prompts."""
    seen = data.features('clean', rows)
    words = network.semantic.words(data.ids(rows), data.mask[rows])
    image, prompt = network.matching(network.summary(seen), words, data.mask[rows])
    cosine = image @ prompt.T
    return own_prompt_share(cosine.numpy(), data.prompt[rows].numpy())


def floor(data: Data, train_rows: np.ndarray, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """What the mean MOS of each generator setting reaches, no pixel looked at."""
    result = {}
    for place, target in enumerate(TARGETS):
        mos = data.mos[:, place].numpy() * MOS_MAX
        means = pd.Series(mos[train_rows]).groupby(data.table['generator'].to_numpy()[train_rows]).mean()
        guess = data.table['generator'].iloc[rows].map(means).to_numpy()
        result[target] = figures(guess, mos[rows], data.table.iloc[rows]) | {'within': 0.0}
    return result


def mean_of(results: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean of every figure over folds."""
    return {
        target: {name: float(np.mean([result[target][name] for result in results])) for name in results[0][target]}
        for target in TARGETS
    }


def markdown(results: Sequence[dict[str, dict[str, float]]], floors: dict[str, dict[str, float]]) -> str:
    """A table per target: one line per fold, their mean and standard deviation, and the floor."""
    lines = []
    for target in TARGETS:
        frame = pd.DataFrame([result[target] for result in results])
        frame.index = [f'fold {number + 1}' for number in range(len(frame))]
        frame.loc['mean'], frame.loc['standard deviation'] = frame.mean(), frame.std()
        frame.loc['floor: mean of the generator setting'] = pd.Series(floors[target])
        lines += [f'### {target}', '', _table(frame), '']
    return '\n'.join(lines)


def _table(frame: pd.DataFrame) -> str:
    header = f'| | {" | ".join(frame.columns)} |'
    rows = [f'| {name} | {" | ".join("" if np.isnan(v) else f"{v:.3f}" for v in row)} |' for name, row in zip(frame.index, frame.to_numpy(), strict=True)]  # fmt: skip
    return '\n'.join([header, '|---' * (len(frame.columns) + 1) + '|', *rows])


def by_generator(network_scores: np.ndarray, data: Data) -> str:
    """SRCC within each generator setting, from scores of images while their prompt was unseen."""
    rows = {}
    for setting, part in data.table.groupby('generator'):
        rows[setting] = {
            target: pd.Series(network_scores[part.index, place]).corr(
                pd.Series(data.mos[part.index, place].numpy()), method='spearman'
            )
            for place, target in enumerate(TARGETS)
        }
    return _table(pd.DataFrame(rows).T)
