"""Sizes of crops and views, as options give them: the side of a square, or height and width."""

Size = int | tuple[int, int]


def height_width(size: Size) -> tuple[int, int]:
    """Return the height and width in pixels.

    Example:
        >>> height_width(224), height_width((168, 252))
        ((224, 224), (168, 252))
    """
    return (size, size) if isinstance(size, int) else size
