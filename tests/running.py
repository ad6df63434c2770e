"""An app in a thread of the test, on a free port of loopback."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI


@contextlib.contextmanager
def running(application: FastAPI) -> Iterator[str]:
    """Run an app; gives its address. It ends as with Ctrl-C: what was begun is answered."""
    listening = socket.create_server(('127.0.0.1', 0))
    config = uvicorn.Config(application, log_level='error', http='h11', ws='none', timeout_graceful_shutdown=20)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # they can be caught in the main thread alone
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f'http://127.0.0.1:{listening.getsockname()[1]}'
    finally:
        server.should_exit = True
        thread.join()
