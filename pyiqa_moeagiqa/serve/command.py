"""``moeagiqa serve``: the service in a server of its own, until Ctrl-C."""

import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ..console import say
from ..options import OptionError, first_line
from ..scoring.metric import make_metric
from . import app
from .limits import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

CLOSING = 30  # seconds that answers may take after Ctrl-C


def serve(host: str, port: int, options: Mapping[str, Any], limits: Mapping[str, int], api_key: str | None) -> None:
    """Serve page and API until Ctrl-C or SIGTERM; what is being scored is then still answered.

    Args:
        host: the address to listen on.
        port: its port; 0 for any that is free.
        options: of ``create_metric``, by name.
        limits: of requests, by name.
        api_key: what callers must have; None: nothing.

    Raises:
        ValueError: for an address, options, limits, a key or a checkpoint that cannot be used, or missing packages.
    """
    checked = Limits.check(limits, where=None)
    with _listening(host, port) as listening:
        application = app(make_metric('moeagiqa', options), checked, api_key)
        name, port = listening.getsockname()[:2]
        if api_key is None and ip_address(name).is_loopback:
            _refuse_other_names(application, name)
        shown = f'[{name}]' if ':' in name else name
        say(f'moeagiqa: serving on http://{shown}:{port} (Ctrl-C ends it)')
        _run(application, listening)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens: so a port that is taken is said before anything is loaded."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        raise OptionError(
            f'--host {host} --port {port}: it cannot be listened on ({_reason(error).lower()}).'
        ) from None


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:  # a resolver's own numbers are negative
        return os.strerror(error.errno)
    return getattr(error, 'strerror', None) or first_line(error)


def _refuse_other_names(application: 'FastAPI', name: str) -> None:
    """Refuse requests to other hosts: a page of elsewhere could let its own name have this machine's address."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    application.add_middleware(TrustedHostMiddleware, allowed_hosts=['localhost', '127.0.0.1', '[::1]', name])


def _run(application: 'FastAPI', listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        application, log_level='warning', server_header=False, timeout_graceful_shutdown=CLOSING, http='h11', ws='none'
    )
    uvicorn.Server(config).run([listening])
