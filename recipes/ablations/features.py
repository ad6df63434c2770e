"""Features of every layer, computed once: each row takes its own from them, instead of passing all images again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyiqa.data import build_dataset
from pyiqa.models import build_model
from torch import Tensor

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA
from pyiqa_moeagiqa.data.feature_cache import as_stored
from pyiqa_moeagiqa.data.prompt_nr_dataset import PromptNRDataset
from pyiqa_moeagiqa.models.fill_in import fill_in
from pyiqa_moeagiqa.models.moeagiqa_model import MoEAGIQAModel
from pyiqa_moeagiqa.training.option_file import as_the_trainer_parses
from pyiqa_moeagiqa.training.run import compute_missing

DEPTH = 12
WIDE = {'network.layers': list(range(1, DEPTH + 1))}


def open_model(options: Mapping[str, Any]) -> MoEAGIQAModel:
    """A row's network before its training, with the place where its features are kept."""
    options = {**options, 'train': {**options['train'], 'total_iter': 1, 'total_epoch': 1}}
    return build_model(fill_in(as_the_trainer_parses(options, Path(options['train']['cache_folder']))))


def images(options: Mapping[str, Any], **chosen: Any) -> PromptNRDataset:
    """A row's images as the metric looks at them; ``chosen`` are options that say which."""
    return build_dataset({**fill_in(options)['datasets']['val'], 'phase': 'val', **chosen})


class WideFeatures:
    """Features of all layers, with the prior.

    Args:
        options: of the row with all layers and the prior; what is not in its cache yet is computed.
    """

    def __init__(self, options: Mapping[str, Any]):
        model = open_model(options)
        self.cache, self.images = model.caches['val'], images(options, split='all')
        compute_missing(model, self.images, self.cache)

    @contextmanager
    def lent_to(self, options: Mapping[str, Any]) -> Iterator[None]:
        """Fill the cache of another row, for as long as it is trained: those of all rows at once would be 20 GB."""
        model = open_model(options)
        keys = [self.images.key(row) for row in range(len(self.images.table))]
        lent = [key for key in keys if key not in model.caches['val']]
        try:
            for key in lent:
                model.caches['val'].write(key, as_stored(select(self.cache.read(key), model.network)))
            yield
        finally:
            for key in lent:
                model.caches['val'].remove(key)


def select(wide: Mapping[str, Tensor], network: MoEAGIQA) -> Features:
    """What a network would see of one picture, from what one with all layers and a prior sees of it."""
    config = network.config
    first = 0 if config.view_is_crop else 1  # the view comes before the crops
    degradation = prior = image = words = None
    if config.branches != 'semantic':
        # patch tokens of all layers, then class tokens of all layers
        by_layer = wide['degradation'][first:].unflatten(1, (2 * DEPTH, -1))
        chosen = [layer - 1 for layer in config.layers]
        degradation = by_layer[:, [*chosen, *(DEPTH + layer for layer in chosen)]].flatten(1, 2)
        prior = wide['prior'][first:] if config.prior else None
    if config.branches != 'visual':
        image = wide['image']
        words = wide['words'] if network.semantic.words_are_frozen else None
    return Features(degradation, prior, image, words)
