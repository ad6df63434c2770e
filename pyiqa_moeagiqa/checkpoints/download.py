"""Downloads a file from an https address, and keeps it only if it is whole and has the promised length and hash."""

import errno
import hashlib
import http.client
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..file_hash import file_hash
from ..options import quoted
from ..whole_file import whole_file
from .file import CheckpointError

Check = Callable[[Path], Any]  # raises a CheckpointError for an unusable file
LARGEST = 8 * 2**30  # bytes; the largest network of this package has 2 GiB
BLOCK = 1 << 20


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Refuses redirects to anything but https, and notes the SHA-256 that the Hugging Face hub states before a redirect."""

    promised = ''

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith('https://'):
            raise urllib.error.URLError(f'it redirects to {newurl}, which is not https')
        self.promised = self.promised or stated_hash(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def stated_hash(headers: Mapping[str, str]) -> str:
    """Return the SHA-256 of a file's content that the hub's headers state; empty if they state none."""
    found = re.fullmatch('"?([0-9a-f]{64})"?', headers.get('X-Linked-ETag') or '')
    return found[1] if found else ''


def download(url: str, target: Path, check: Check) -> Path:
    """Fetch a file, unless ``target`` exists and passes ``check``.

    Raises:
        CheckpointError: if the address gives no file, if the file is cut short, too large, not the promised one or fails
            ``check``, or if there is no room for it; the download is not kept then.
    """
    if target.is_file() and _passes(check, target):
        return target
    try:
        with whole_file(target) as part:
            _fetch(url, part)
            named(check, part, url)  # so that an error page is not kept
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT):
            raise CheckpointError(f'{url}: there is no room for it in {target.parent}; make room there.') from None
        raise CheckpointError(
            f'{url}: it could not be downloaded ({quoted(error)}); check the address, or give a file.'
        ) from None
    return target


def _passes(check: Check, path: Path) -> bool:
    try:
        check(path)
    except CheckpointError:
        return False
    return True


def _fetch(url: str, path: Path) -> None:
    redirects, digest, size = _OnlyHttps(), hashlib.sha256(), 0
    with urllib.request.build_opener(redirects).open(url, timeout=30) as answer, path.open('wb') as file:
        length = answer.length  # None if the server does not say
        _require_small(url, length or 0)
        while block := answer.read(BLOCK):
            size += len(block)
            _require_small(url, size)
            digest.update(block)
            file.write(block)
        promised = redirects.promised or stated_hash(answer.headers)
    if length is not None and size != length:
        raise CheckpointError(f'{url}: cut short, {size} of {length} bytes came; try again.')
    if promised and digest.hexdigest() != promised:
        raise CheckpointError(f'{url}: damaged on its way, its SHA-256 is not the one that the hub states; try again.')


def _require_small(url: str, size: int) -> None:
    if size > LARGEST:
        raise CheckpointError(f'{url}: larger than {LARGEST / 2**30:g} GiB, which no checkpoint is; check the address.')


def named(check: Check, path: Path, source: str) -> None:
    """Run ``check`` on a file; its CheckpointError names ``source``, where the file came from, not its local path."""
    try:
        check(path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), source, 1)) from None


def require_promised(path: Path, source: str) -> None:
    """Remove a file of the hub's cache and raise a CheckpointError if it does not have the SHA-256 that the hub states.

    The cache names large files by their SHA-256; other files are not checked. Call this once, after a download: it reads the
    whole file.
    """
    stored = path.resolve()
    if not re.fullmatch('[0-9a-f]{64}', stored.name):
        return
    if file_hash(stored) != stored.name:
        stored.unlink()
        raise CheckpointError(
            f'{source}: damaged on its way, its SHA-256 is not the one that the hub states; try again.'
        )


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep back the lines in which the hub's client notes each try to connect; its error says the same at the end."""
    logger = logging.getLogger('huggingface_hub.utils._http')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
