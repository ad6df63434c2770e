"""Output of the commands: it shows any text on any console, in one style."""

import os
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 10_000  # characters: a program that reads a table needs each row in one line
# These characters change the direction of the text around them, so that one name could look like another.
_DIRECTIONS = set('\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')


def console() -> 'Console':
    """Standard output for tables and sentences. Brackets and colons in paths and prompts are not read as markup.

    The width is the terminal's, or that of the variable ``COLUMNS``. A file or a pipe has no width, so no row is wrapped there.
    """
    from rich.console import Console

    is_wide = not sys.stdout.isatty() and not os.environ.get('COLUMNS')
    return Console(markup=False, emoji=False, highlight=False, width=PIPE_WIDTH if is_wide else None)


def plain(text: Any) -> str:
    """Put a text in one line, with its control characters as escapes: a terminal would obey them.

    Example:
        >>> plain('cat\\n\\x1b[31m.png')
        'cat\\\\n\\\\x1b[31m.png'
    """
    text = str(text)
    if text.isprintable():
        return text
    return ''.join(character if _is_shown(character) else _escaped(character) for character in text)


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in ('Cc', 'Cs', 'Zl', 'Zp') and character not in _DIRECTIONS


def _escaped(character: str) -> str:
    return character.encode('unicode_escape').decode()


def say(line: str) -> None:
    """Write a line to standard error without breaking a progress line."""
    from tqdm import tqdm

    tqdm.write(plain(line), file=sys.stderr)


def accept_any_text() -> None:
    """Make standard output and error replace characters that their encoding lacks, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')
