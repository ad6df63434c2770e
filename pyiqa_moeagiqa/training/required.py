"""What runs need from elsewhere: prepared tables, files of weights, and weights that are downloaded."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..archs.config import MoEAGIQAConfig
from ..archs.prior_arch import PriorOptions
from ..checkpoints.convert import download_timm
from ..checkpoints.file import CheckpointError
from ..checkpoints.find import IMAGE_REWARD, IMAGE_REWARD_FILE
from ..checkpoints.image_reward import REPOSITORY, at_hand, find_image_reward
from ..checkpoints.partial import is_gone
from ..checkpoints.sources import HUB, WEIGHTS, hub_place, weights_file
from .paper_tables import sections_with_table


def missing(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The files that runs need and that are not there, each with where to get it; the prior's is left out."""
    lacking = {}
    for options in runs:
        for table in (Path(section['meta_info_file']) for section in sections_with_table(options)):
            if not table.is_file():
                lacking[table] = f'"moeagiqa prepare {table.stem} --source FOLDER -o {table}"'
        for part, source in _weights(options).items():
            if part != 'prior' and is_gone(source):
                lacking[Path(source)] = f'get {IMAGE_REWARD_FILE} from https://huggingface.co/{REPOSITORY}'
    return [f'{file} ({remedy})' for file, remedy in lacking.items()]


def to_fetch(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The weights that runs need and that are not on this machine yet, by name."""
    return [name for name, (is_here, _) in _published(runs).items() if not is_here()]


def fetch(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Download what ``to_fetch`` names; return why, for all that could not be had."""
    failed = []
    for is_here, get in _published(runs).values():
        try:
            if not is_here():
                get()
        except CheckpointError as error:
            failed.append(str(error).rstrip('.'))
    return failed


def _published(runs: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """The weights that runs name instead of a file; for each a function that tells whether they are here, and one that gets them."""
    found: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {}
    for options in runs:
        sources = _weights(options).values()
        if IMAGE_REWARD in sources:
            found[IMAGE_REWARD_FILE] = at_hand, find_image_reward
        if 'timm' in sources:
            name = _visual(options)
            found[f'timm {name}'] = partial(_in_timm_cache, name), partial(download_timm, name)
        for source in sources:
            if source.startswith(HUB):
                found[source] = partial(_in_hub_cache, source), partial(weights_file, source)
    return found


def _weights(options: Mapping[str, Any]) -> dict[str, str]:
    weights = options['network']['weights']  # of a prior: one source
    return dict(weights) if isinstance(weights, Mapping) else {'visual': weights}


def _visual(options: Mapping[str, Any]) -> str:
    network = options['network']
    if isinstance(network['weights'], Mapping):
        return network.get('visual', MoEAGIQAConfig().visual)  # the whole configuration would open what is not here yet
    return PriorOptions.check({name: value for name, value in network.items() if name != 'type'}, 'network').visual


def _in_timm_cache(name: str) -> bool:
    """Whether timm finds these weights without a download."""
    import timm

    known = timm.get_pretrained_cfg(name)
    hub = known.hf_hub_id if known else None
    return _is_cached(hub, WEIGHTS) if hub else False


def _in_hub_cache(source: str) -> bool:
    """Whether the weights of ``hf://...`` are there without a download."""
    repository, name = hub_place(source)
    return _is_cached(repository, [name] if name else WEIGHTS)


def _is_cached(repository: str, names: Iterable[str]) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)
