"""Texts of strangers in CSV files: a spreadsheet takes a cell that begins like a formula for one, and computes it."""

FORMULA_STARTS = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')


def spreadsheet_safe(text: str) -> str:
    """A text for a cell of CSV, which no spreadsheet takes for a formula: one that begins like it gets an apostrophe before it.

    It is for columns of text: a number such as -0.5 begins like a formula, and is none. ``as_meant`` undoes it.

    Example:
        >>> spreadsheet_safe('=1+1'), spreadsheet_safe('a cat')
        ("'=1+1", 'a cat')
    """
    return f"'{text}" if _begins_like_a_formula(text) else text


def as_meant(cell: str) -> str:
    """The text that ``spreadsheet_safe`` was given."""
    return cell[1:] if cell.startswith("'") and _begins_like_a_formula(cell) else cell


def _begins_like_a_formula(text: str) -> bool:
    """Whether it does, be it behind apostrophes: else "'=1" would come from two texts."""
    return text.lstrip("'").startswith(FORMULA_STARTS)
