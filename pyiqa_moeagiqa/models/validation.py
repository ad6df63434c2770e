"""Score a data set with all processes together: metrics, use of the experts, and the images with the largest errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyiqa.metrics import calculate_metric
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision.utils import make_grid
from tqdm import tqdm

from ..data.batches import batches
from ..data.prompt_nr_dataset import PromptNRDataset
from ..distributed import gather_objects, in_order, share
from ..images.read import read_image
from ..images.views import semantic_view
from ..options import OptionError

if TYPE_CHECKING:
    from .training_model import TrainingModel

FEWEST = 3  # images that a correlation needs
DEAD_BELOW = 0.01
WORST = 8
THUMBNAIL = 224


def require_decidable(dataset: PromptNRDataset, options: Mapping[str, Any]) -> None:
    """Raise an OptionError if validation cannot tell which network is the best; call it before training begins.

    A correlation needs three images, and MOS that differ; an error such as RMSE needs neither.
    """
    metrics = options['metrics']
    deciding = [options['key_metric']] if options.get('key_metric') else list(metrics)
    if any(metrics[name]['type'] == 'calculate_rmse' for name in deciding):
        return
    names = ', '.join(deciding)
    for name, rows in dataset.parts().items():
        mos = dataset.mos[rows, 0]
        if len(mos) < FEWEST:
            raise OptionError(
                f'{name} has {len(mos)} images, too few for {names} to tell networks apart: give it at least {FEWEST}, or '
                'choose the best network by an error, as in key_metric: rmse.'
            )
        if not dataset.degrade and (mos == mos[0]).all():
            raise OptionError(
                f'{name} has {len(mos)} images with the same MOS, so {names} cannot tell networks apart: give it others, or '
                'choose the best network by an error, as in key_metric: rmse.'
            )


@dataclass
class Validation:
    """A network's results on a data set of N images.

    Attributes:
        scores, mos: (N, targets), in the data set's order.
        paths: paths of the images.
        gate: per target, the mean weight of each expert, (experts,).
        chosen: per target, the share of crops for which each expert is chosen, (experts,).
        figures: name -> value of the metrics; of a data set with several tables their mean over the tables.
        of_tables: the figures of each of several tables, by its name; empty for one.
    """

    scores: np.ndarray
    mos: np.ndarray
    paths: list[str]
    gate: dict[str, np.ndarray]
    chosen: dict[str, np.ndarray]
    figures: dict[str, float]
    of_tables: dict[str, dict[str, float]] = field(default_factory=dict)

    def named(self, data_set: str) -> dict[str, dict[str, float]]:
        """The figures of a data set of this name, and those of its tables, each by its name."""
        return {data_set: self.figures} | self.of_tables

    def entropy(self) -> dict[str, float]:
        """Per target, the entropy of the experts' mean weights, as a share of the largest possible: 1 is even use."""
        result = {}
        for target, gate in self.gate.items():
            if len(gate) > 1:
                result[target] = float(-(gate * np.log(gate.clip(1e-12))).sum() / np.log(len(gate)))
        return result

    def dead_experts(self) -> list[str]:
        """Write a sentence for each expert that is chosen for less than ``DEAD_BELOW`` of the crops."""
        return [
            f'Expert {number} of {target} is dead: it is chosen for less than {DEAD_BELOW:.0%} of crops, so it does not learn.'
            for target, shares in self.chosen.items()
            for number, share in enumerate(shares)
            if share < DEAD_BELOW
        ]

    def worst(self) -> np.ndarray:
        """The rows whose first target is furthest from its MOS, the worst first."""
        return np.argsort(-np.abs(self.scores[:, 0] - self.mos[:, 0]))[:WORST]

    def write_to(self, tb_logger: Any, data_set: str, iteration: int) -> None:
        """Write the figures, the use of the experts and the worst images to TensorBoard."""
        for data, figures in self.named(data_set).items():
            for name, value in figures.items():
                tb_logger.add_scalar(f'val_metrics/{data}/{name}', value, iteration)
        for target, gate in self.gate.items():
            for expert, weight in enumerate(gate):
                tb_logger.add_scalar(f'gate/{data_set}/{target}/expert_{expert}', weight, iteration)
        for target, value in self.entropy().items():
            tb_logger.add_scalar(f'gate_entropy/{data_set}/{target}', value, iteration)
        rows = self.worst()
        views = torch.stack([semantic_view(read_image(self.paths[row]), THUMBNAIL) for row in rows])
        tb_logger.add_image(f'worst/{data_set}', make_grid(views, nrow=4), iteration)
        lines = [f'{self.paths[row]}: {self.scores[row, 0]:.3f}, MOS {self.mos[row, 0]:.3f}' for row in rows]
        tb_logger.add_text(f'worst/{data_set}', '  \n'.join(lines), iteration)


def validate(model: 'TrainingModel', dataloader: DataLoader) -> Validation:
    """Score each image of a data set once, split over the processes; every process gets the results of all images."""
    data: Any = dataloader.dataset
    mine = DataLoader(
        Subset(data, share(len(data))), batch_size=dataloader.batch_size, num_workers=dataloader.num_workers
    )
    rows: list[tuple[Tensor, Tensor, str]] = []
    gates: list[dict] = []
    hits: list[float] = []
    hidden = not model.opt['val'].get('pbar', False)
    for batch in tqdm(batches(mine), total=len(mine), desc=model.validated, disable=hidden):
        model.feed_data(batch)
        model.test()
        rows += list(zip(model.output_score.cpu(), batch['mos_label'], batch['img_path'], strict=True))
        gates.append({name: _use(part) for name, part in model.answer.items()})
        found = model.hits()
        hits += [] if found is None else found.tolist()
    all_scores, all_mos, paths = zip(*in_order(gather_objects(rows)), strict=True)
    scores, mos = torch.stack(all_scores).float().numpy(), torch.stack(all_mos).numpy()
    gates = [gate for part in gather_objects(gates) for gate in part]
    used = [name for name in model.answer if any(part[name] for part in gates)]
    gate = {name: _mean(gates, name, 'gate') for name in used}
    chosen = {name: _mean(gates, name, 'chosen') for name in used}
    of_tables = {
        name: metrics(scores[rows], mos[rows], list(model.answer), model.opt['val']['metrics'])
        for name, rows in data.parts().items()
    }
    figures = {
        name: float(np.mean([one[name] for one in of_tables.values()])) for name in next(iter(of_tables.values()))
    }
    hits = [hit for part in gather_objects(hits) for hit in part]
    if hits:
        figures['kind_accuracy'] = float(np.mean(hits))
    return Validation(scores, mos, list(paths), gate, chosen, figures, of_tables if len(of_tables) > 1 else {})


def _use(part: Any) -> dict[str, tuple[np.ndarray, int]]:
    """Sum the experts' weights, and how often each is chosen, over a batch's crops; return each sum with the crop count."""
    gate = getattr(part, 'gate', None)
    if gate is None:
        return {}
    gate = gate.float().flatten(0, -2)
    chosen = torch.zeros_like(gate).scatter(-1, part.chosen.flatten(0, -2), 1)
    return {name: (value.sum(dim=0).cpu().numpy(), len(value)) for name, value in (('gate', gate), ('chosen', chosen))}


def _mean(gates: list[dict], target: str, what: str) -> np.ndarray:
    sums = [gate[target][what] for gate in gates if gate[target]]
    return sum(total for total, _ in sums) / sum(count for _, count in sums)


def _figure(kind: str, scores: np.ndarray, mos: np.ndarray) -> float:
    if kind == 'calculate_main_score':
        return (_figure('calculate_srcc', scores, mos) + _figure('calculate_plcc', scores, mos)) / 2
    return calculate_metric([scores, mos], {'type': kind})


def metrics(
    scores: np.ndarray, mos: np.ndarray, targets: list[str], options: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Compute pyiqa's metrics for each target; names for targets after the first begin with the target."""
    return {
        name if place == 0 else f'{target}_{name}': float(
            _figure(options[name]['type'], scores[:, place], mos[:, place])
        )
        for place, target in enumerate(targets)
        for name in options
    }
