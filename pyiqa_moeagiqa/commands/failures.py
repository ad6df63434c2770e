"""How a command ends: one sentence for what is wrong, and its exit code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from ..console import plain

SOME_FAILED, USAGE, STOPPED, BROKEN_PIPE = 1, 2, 130, 141


@contextmanager
def in_one_sentence(stopped: str = 'stopped.') -> Iterator[None]:
    """End the command with one sentence for an error that its user can mend, and with ``stopped`` for Ctrl-C."""
    try:
        yield
    except (ValueError, OSError, FloatingPointError) as error:  # all of this package's own errors are ValueErrors
        fail(error)
    except KeyboardInterrupt:
        fail(stopped, STOPPED)


def fail(error: Exception | str, code: int = USAGE) -> NoReturn:
    """Print what is wrong in one sentence and exit with ``code``, or with ``BROKEN_PIPE`` if the output's reader is gone."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has closed the pipe, as "head" does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(BROKEN_PIPE)
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f'{error.filename}: {error.strerror.lower()}; name another place.'
    typer.secho(f'moeagiqa: {plain(error)}', err=True, fg='red')
    raise typer.Exit(code)
