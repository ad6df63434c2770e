"""Escapes untrusted text for Markdown and LaTeX: it is shown as it is, and nothing in it acts as markup."""

import re

from ..console import plain

_LATEX = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
    '>': r'\textgreater{}', '|': r'\textbar{}',
    **{character: f'\\{character}' for character in '&%$#_{}'},
}  # fmt: skip


def latex(text: str) -> str:
    r"""Escape a text for LaTeX, in one line.

    Example:
        >>> latex('50 % of a_b')
        '50 \\% of a\\_b'
    """
    return ''.join(_LATEX.get(character, character) for character in plain(text))


def markdown(text: str) -> str:
    r"""Escape a text for Markdown, in one line that is also safe in a table.

    Example:
        >>> markdown('a | b')
        'a \\| b'
    """
    return re.sub(r'([\\`*_\[\]<>|&~$#])', r'\\\1', plain(text))
