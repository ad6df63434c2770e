"""Uploads a checkpoint with its model card to the Hugging Face hub, where ``hf://OWNER/NAME/FILE`` finds it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..options import quoted
from .card import model_card, updated
from .complete import whole
from .download import quiet_hub
from .file import CheckpointError, read_header, save
from .find import fetch, find
from .network import load_network

CARD = 'README.md'


def push(source: str, repository: str, private: bool = False) -> str:
    """Upload a checkpoint and its card in one commit; return the checkpoint's address.

    The repository is made if it is not there. A file of the same name is replaced. A card that is there keeps its text, see
    ``card.updated``. A checkpoint of trained tensors alone is completed first.

    Args:
        source: a model name or checkpoint, as ``find`` takes it.
        repository: OWNER/NAME.
        private: make the repository private.

    Raises:
        CheckpointError: for a checkpoint that cannot be used, a name that cannot be, a missing login, a repository that may not
            be written or is public against the wish, and a hub that does not answer. Nothing is uploaded then.
    """
    _require_name(repository)
    with _self_contained(source) as path:
        with _said_of(repository):
            if get_token() is None:
                raise CheckpointError(f'{repository}: you are not logged in; run "hf auth login", or set HF_TOKEN.')
            hub = HfApi()
            hub.create_repo(repository, private=private or None, exist_ok=True)
            if private and not hub.repo_info(repository).private:
                raise CheckpointError(
                    f'{repository}: it is public already; make it private in its settings, or leave out --private.'
                )
            files = [
                CommitOperationAdd(path.name, path),
                CommitOperationAdd(CARD, str(_card(path, repository)).encode()),
            ]
            hub.create_commit(repository, files, commit_message=f'Upload {path.name}')
        return f'hf://{repository}/{path.name}'


def planned(source: str, repository: str) -> tuple[dict[str, int], ModelCard]:
    """Return the files that ``push`` would upload, with their sizes in bytes, and the card of a new repository.

    Nothing is asked of the hub.

    Raises:
        CheckpointError: for a checkpoint or a name that cannot be used.
    """
    _require_name(repository)
    with _self_contained(source) as path:
        card = model_card(path, repository)
        return {path.name: path.stat().st_size, CARD: len(str(card).encode())}, card


def _card(path: Path, repository: str) -> ModelCard:
    card = model_card(path, repository)
    existing = fetch(repository, CARD, f'hf://{repository}/{CARD}', required=False)
    return card if existing is None else updated(existing.read_bytes().decode('utf-8-sig'), card)


def _require_name(repository: str) -> None:
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise CheckpointError(f'{repository}: it cannot be a repository ({quoted(error)}); write OWNER/NAME.') from None
    if '/' not in repository:
        raise CheckpointError(f'{repository}: it has no owner; write OWNER/NAME.')


@contextmanager
def _self_contained(source: str) -> Iterator[Path]:
    """Give a file that is known to load and needs no other: the checkpoint's own, or a completed copy of that name."""
    path = find(source)
    config, info = read_header(path)
    with tempfile.TemporaryDirectory() as folder:
        if info.get('frozen') or config.lora_rank:
            path = save(whole(path), Path(folder) / path.name)
        load_network(path)
        yield path


@contextmanager
def _said_of(repository: str) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence."""
    try:
        with quiet_hub():
            yield
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client passes on every error of its transport
        status = getattr(getattr(error, 'response', None), 'status_code', None)
        if status == 401:
            why = 'the hub does not accept your token; run "hf auth login" once more, or set another HF_TOKEN'
        elif status == 403:
            why = 'your token may not write there; choose a name under your own account, or a token that may write'
        else:
            why = f'it could not be uploaded ({quoted(error)}); check the connection, then try again'
        raise CheckpointError(f'{repository}: {why}.') from None
