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
from ..checkpoints.sources import HUB, is_at_hand, is_cached, weights_file
from ..checkpoints.start import network_config
from ..console import say
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
    """Download what ``to_fetch`` names; return why, for all that could not be had. A hub that does not answer is asked once."""
    failed = []
    for name, (is_here, get) in _published(runs).items():
        try:
            if not is_here():
                say(f'Downloading {name}')
                get()
        except CheckpointError as error:
            failed.append(str(error).rstrip('.'))
            if _hub_is_silent(error):
                break
    return failed


def _hub_is_silent(error: BaseException | None) -> bool:
    """Whether an error comes from a hub that cannot be reached, rather than from one that refuses a file."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while error is not None:
        if isinstance(error, LocalEntryNotFoundError):
            return True
        error = error.__context__
    return False


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
                found[source] = partial(is_at_hand, source), partial(weights_file, source)
    return found


def _weights(options: Mapping[str, Any]) -> dict[str, str]:
    weights = options['network']['weights']  # of a prior: one source
    return dict(weights) if isinstance(weights, Mapping) else {'visual': weights}


def _visual(options: Mapping[str, Any]) -> str:
    network = options['network']
    if isinstance(network['weights'], Mapping):
        named = network.get('visual', MoEAGIQAConfig().visual)  # the whole configuration may need files of the hub
        return named if isinstance(named, str) else network_config(network).visual
    return PriorOptions.check({name: value for name, value in network.items() if name != 'type'}, 'network').visual


def _in_timm_cache(name: str) -> bool:
    """Whether timm finds these weights without a download."""
    import timm

    known = timm.get_pretrained_cfg(name)
    hub = known.hf_hub_id if known else None
    return is_cached(hub) if hub else False
