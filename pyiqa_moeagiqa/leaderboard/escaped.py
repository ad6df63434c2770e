"""Texts of strangers in Markdown and LaTeX: shown as they are, and nothing in them is markup."""

import re

from ..console import plain

_LATEX = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
    '>': r'\textgreater{}', '|': r'\textbar{}',
    **{character: f'\\{character}' for character in '&%$#_{}'},
}  # fmt: skip


def latex(text: str) -> str:
    r"""A text in one line of LaTeX.

    Example:
        >>> latex('50 % of a_b')
        '50 \\% of a\\_b'
    """
    return ''.join(_LATEX.get(character, character) for character in plain(text))


def markdown(text: str) -> str:
    r"""A text in one line of Markdown, which may be a table's.

    Example:
        >>> markdown('a | b')
        'a \\| b'
    """
    return re.sub(r'([\\`*_\[\]<>|&~$#])', r'\\\1', plain(text))
