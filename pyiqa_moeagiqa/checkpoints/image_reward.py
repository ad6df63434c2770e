"""Finds ImageReward's own file, and loads the network in it."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..options import quoted
from .convert import read_weights
from .file import CheckpointError, holds_image_reward, is_ours, require_file
from .find import IMAGE_REWARD_FILE, find, from_hub, home
from .load import aligned, check_finite, check_names, without_weights
from .names import from_image_reward, from_reward_head

if TYPE_CHECKING:
    from ..archs.image_reward import ImageReward

REPOSITORY = 'THUDM/ImageReward'


def find_image_reward(source: str | Path | None = None) -> Path:
    """Return the local file of ``ImageReward.pt``; download it if needed.

    Args:
        source: a file, ``https://...`` or ``hf://owner/repo/file``. The default is the file in ``weights/``, in the folder of
            installed checkpoints, from image-reward's own download, or from the Hugging Face hub, in this order.

    Raises:
        CheckpointError: for a wrong file, or if there is none; then the error says where to get it and where to put it.
    """
    if source:
        path = find(source, require_image_reward)
        require_image_reward(path)
        return path
    path = at_hand() or _download()
    require_image_reward(path)
    return path


def at_hand() -> Path | None:
    """Return ``ImageReward.pt`` from the local places where it is looked for before a download; None if none has it."""
    from huggingface_hub import try_to_load_from_cache

    folders = (Path('weights'), home(), Path.home() / '.cache' / 'ImageReward')
    cached = try_to_load_from_cache(REPOSITORY, IMAGE_REWARD_FILE)  # not a string if the file is not cached
    places = [*(folder / IMAGE_REWARD_FILE for folder in folders), *([Path(cached)] if isinstance(cached, str) else [])]
    return next((place for place in places if place.is_file()), None)


def _download() -> Path:
    try:
        return from_hub(REPOSITORY, IMAGE_REWARD_FILE, f'hf://{REPOSITORY}/{IMAGE_REWARD_FILE}')
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client passes on every error of its transport
        raise CheckpointError(
            f'imagereward has no weights yet, and they could not be downloaded ({quoted(error)}): get '
            f'{IMAGE_REWARD_FILE} from https://huggingface.co/{REPOSITORY}, then put it at weights/{IMAGE_REWARD_FILE} or '
            f'{home() / IMAGE_REWARD_FILE}, or give its path instead (pretrained_model_path=FILE; in training, network.weights).'
        ) from None


def require_image_reward(path: Path) -> None:
    """Raise a CheckpointError for a file that is not ImageReward's."""
    require_file(path)
    if is_ours(path):
        raise CheckpointError(
            f"{path}: a MoE-AGIQA checkpoint, not ImageReward's file; use it with the metric moeagiqa, or give "
            f'{IMAGE_REWARD_FILE}.'
        )
    if _is_half(path):
        raise CheckpointError(
            f'{path}: cut short; get {IMAGE_REWARD_FILE} again from https://huggingface.co/{REPOSITORY}.'
        )
    if not holds_image_reward(path):
        raise CheckpointError(
            f"{path}: damaged or not ImageReward's file; get {IMAGE_REWARD_FILE} from https://huggingface.co/{REPOSITORY}."
        )


def _is_half(path: Path) -> bool:
    """Whether a file begins like PyTorch's zip archives but lacks the directory at their end."""
    with path.open('rb') as file:
        return file.read(4) == b'PK\x03\x04' and not zipfile.is_zipfile(path)


def load_image_reward(path: Path) -> 'ImageReward':
    """Load the network of ImageReward's file, in evaluation mode.

    Raises:
        CheckpointError: for a file that is damaged, could run code, or whose tensors do not make up the network.
    """
    from ..archs.image_reward import ImageReward  # imports transformers, which takes seconds

    state = read_weights(path)
    weights = from_image_reward(state) | from_reward_head(state)
    network = without_weights(ImageReward)
    check_names(weights, network.state_dict(), path)
    check_finite(weights, path)
    network.load_state_dict(aligned(weights), assign=True)
    return network.eval()
