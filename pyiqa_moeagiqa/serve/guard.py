"""Stands before the whole app: keys, the size of bodies and the time they take, and what gradio's own API may be asked.

Gradio can fetch addresses, read files by path and more. The page needs a few of its routes, and files that were uploaded:
nothing else passes.
"""

import asyncio
import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .figures import Figures
from .limits import Limits

OPEN = '/healthz'  # needs no key
API = ('/score', '/healthz', '/metrics', '/docs', '/openapi.json')
GRADIO = '/gradio_api'
PAGE = (
    '/', '/config', '/theme.css', '/favicon.ico', '/manifest.json', '/robots.txt', f'{GRADIO}/theme.css',
    f'{GRADIO}/startup-events', f'{GRADIO}/queue/join', f'{GRADIO}/queue/data', f'{GRADIO}/upload',
    f'{GRADIO}/upload_progress', f'{GRADIO}/run/predict', f'{GRADIO}/cancel', f'{GRADIO}/reset',
)  # fmt: skip
FOLDERS = ('/swagger/', '/assets/', '/static/', '/svelte/', f'{GRADIO}/heartbeat/')
JSON_BODIES = (f'{GRADIO}/queue/join', f'{GRADIO}/run/predict', f'{GRADIO}/cancel', f'{GRADIO}/reset')
MOST_JSON = 1 << 20  # bytes
HEADERS = (
    # a browser fetches nothing from elsewhere, whatever the page names
    (
        b'content-security-policy',
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
)


class _Refused(Exception):
    """A request that is not passed on: the status, and one sentence."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


class Guard:
    """ASGI middleware that refuses requests, in one sentence each, before anything is done for them.

    Args:
        app: what is guarded.
        limits: of requests.
        figures: count the answers of /score.
        uploads: the folder in which gradio keeps uploaded files.
        key: what callers must have: as bearer token, or as password of any user, which browsers ask for. None: nothing.
    """

    def __init__(self, app: ASGIApp, limits: Limits, figures: Figures, uploads: Path, key: str | None):
        self.app, self.limits, self.figures, self.uploads, self.key = app, limits, figures, uploads, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        start, path = time.monotonic(), scope['path'].removeprefix(scope.get('root_path', ''))
        exchange = _Exchange(receive, send, self.limits, Headers(scope=scope))
        try:
            self._check_request(scope, path)
            exchange.check_length()
            if path in JSON_BODIES:
                exchange.replay(await self._checked_json(exchange))
            await self._pass_on(scope, exchange)
        except _Refused as refused:
            exchange.refused = None
            await self._refuse(refused, scope, receive, exchange.send)
        finally:
            if path == '/score':
                self.figures.answered(exchange.status, time.monotonic() - start)

    async def _pass_on(self, scope: Scope, exchange: '_Exchange') -> None:
        """Let the app answer; what it makes of a refusal while it read the body does not count."""
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            if exchange.refused is None:
                raise
        if exchange.refused is not None:
            raise exchange.refused

    async def _refuse(self, refused: _Refused, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {'WWW-Authenticate': 'Basic realm="moeagiqa", charset="UTF-8"'} if refused.status == 401 else {}
        await JSONResponse({'detail': refused.reason}, refused.status, headers)(scope, receive, send)

    def _check_request(self, scope: Scope, path: str) -> None:
        if scope['type'] != 'http':
            raise _Refused(404, 'There are no web sockets here.')
        if self.key is not None and path != OPEN and not _has_key(Headers(scope=scope), self.key):
            raise _Refused(401, 'A key is needed: send it as "Authorization: Bearer KEY", or as the password.')
        if not (path in (*API, *PAGE) or path.startswith(FOLDERS) or self._is_uploaded(path)):
            raise _Refused(404, 'There is no such page.')

    def _is_uploaded(self, path: str) -> bool:
        place = path.removeprefix(f'{GRADIO}/file=')
        return place != path and self._is_upload(place)

    def _is_upload(self, place: str) -> bool:
        """Whether a path is that of an uploaded file: uploads/HASH/NAME. The folders above it are not: files are removed."""
        try:
            resolved = Path(place).resolve()
        except (OSError, ValueError):  # ValueError: a null character
            return False
        return place == str(resolved) and resolved.parent.parent == self.uploads

    async def _checked_json(self, exchange: '_Exchange') -> bytes:
        """A body of gradio's API, which names no file but uploaded ones.

        Raises:
            _Refused: for any other, also for an address.
        """
        data = await exchange.whole_body(MOST_JSON)
        try:
            paths = list(_paths(json.loads(data)))
        except (ValueError, RecursionError):
            raise _Refused(400, 'The body is no JSON.') from None
        for path in paths:
            if not isinstance(path, str) or not self._is_upload(path):
                raise _Refused(
                    400, 'Files are taken that were uploaded, and no addresses or paths: send the file itself.'
                )
        return data


class _Exchange:
    """A request's body, handed on while it is within its limits, and the answer, passed on with ``HEADERS``.

    Attributes:
        status: of the answer.
        refused: what was wrong with the body; the app's own answer is then dropped.
    """

    def __init__(self, receive: Receive, send: Send, limits: Limits, headers: Headers):
        self._receive, self._send, self._limits = receive, send, limits
        self._end = time.monotonic() + limits.timeout
        self._length = headers.get('content-length', '0')
        self._bytes, self._is_whole = 0, self._length == '0' and 'transfer-encoding' not in headers
        self._replayed: bytes | None = None
        self.status = 500
        self.refused: _Refused | None = None

    def check_length(self) -> None:
        """Raise a _Refused for a body whose length is said and too large."""
        if self._length.isdecimal():
            self._check(int(self._length))

    def _check(self, count: int) -> None:
        if count > self._limits.most_bytes:
            raise _Refused(
                413,
                f'The request has more than the {self._limits.max_megabytes} MiB that are taken: send several requests.',
            )

    async def receive(self) -> Message:
        """The next message.

        Raises:
            _Refused: for a body that is too large, or does not come in time.
        """
        if self._replayed is not None:
            data, self._replayed = self._replayed, None
            return {'type': 'http.request', 'body': data, 'more_body': False}
        if self._is_whole:
            return await self._receive()  # waits until the caller goes away
        try:
            return await self._next_part()
        except _Refused as refused:
            self.refused = refused
            raise

    async def _next_part(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), max(0, self._end - time.monotonic()))
        except asyncio.TimeoutError:
            raise _Refused(408, f'The request did not arrive within {self._limits.timeout} seconds.') from None
        self._bytes += len(message.get('body', b''))
        self._check(self._bytes)
        self._is_whole = not message.get('more_body', False)
        return message

    async def whole_body(self, most: int) -> bytes:
        """All of the body, if it has at most so many bytes."""
        data = b''
        while not self._is_whole:
            data += (await self.receive()).get('body', b'')
            if len(data) > most:
                raise _Refused(413, f'The request has more than the {most >> 20} MiB that are taken.')
        return data

    def replay(self, data: bytes) -> None:
        """Hand out a body that was read as a whole once more."""
        self._replayed = data

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if self.refused is not None:
            return
        if message['type'] == 'http.response.start':
            self.status = message['status']
            unread = [] if self._is_whole else [(b'connection', b'close')]  # nobody will read the rest of the body
            message = {**message, 'headers': [*message.get('headers', ()), *HEADERS, *unread]}
        await self._send(message)


def _has_key(headers: Headers, key: str) -> bool:
    kind, _, value = headers.get('authorization', '').partition(' ')
    if kind.lower() == 'basic':
        try:
            value = base64.b64decode(value, validate=True).decode().partition(':')[2]
        except (binascii.Error, ValueError):
            return False
    elif kind.lower() != 'bearer':
        return False
    return hmac.compare_digest(value.strip().encode(), key.encode())


def _paths(value: Any) -> Iterator[Any]:
    """What any object in a JSON value names as its path; gradio takes such an object for a file."""
    if isinstance(value, dict):
        if 'path' in value:
            yield value['path']
        for part in value.values():
            yield from _paths(part)
    elif isinstance(value, list):
        for part in value:
            yield from _paths(part)
