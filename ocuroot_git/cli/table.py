"""Tables for people: as wide as the terminal, with nothing cut that tells two things apart (design 12). Pure.

`Terminal.table` prints them; this module only lays them out.
"""

from __future__ import annotations

from ..formats.printable import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final

    Cell = str | tuple[str, str]
    """A text, or a text and the colour that it is painted in."""
    Paint = Callable[[str, str], str]
    """What paints a text in a colour."""

_GAP: Final = "  "
_SHORTEST: Final = 6
"""Characters that a name is cut to at most: with fewer, nobody knows it again."""
SENTENCE: Final = 20
"""Characters that a sentence or a value, which is read and not only told apart, is cut to at most."""
_CUT: Final = "…"


class Column:
    """A column: its title, and whether numbers stand in it, which are set to the right.

    `may_cut` says that texts may lose their middle where the table is too wide, as long as those that differ still do
    and `shortest` characters are left.
    """

    __slots__ = ("is_number", "may_cut", "shortest", "title")

    def __init__(
        self, title: str, *, may_cut: bool = False, shortest: int = _SHORTEST, is_number: bool = False
    ) -> None:
        self.title = title
        self.may_cut = may_cut
        self.shortest = shortest
        self.is_number = is_number


def laid_out(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, paint: Paint) -> Iterator[str]:
    """The lines of a table no wider than `width` characters, titles first.

    Where that cannot be done without cutting what must not be cut, each row is a paragraph, with a line for each cell
    that is not empty.
    """
    texts = _texts(rows)
    limits = _limits(columns, texts, width)
    if limits is None:
        yield from _paragraphs(columns, rows, texts, paint)
        return
    titles = [_padded(column, column.title, limit) for column, limit in zip(columns, limits)]
    yield _GAP.join(paint(title, "bold") if title.strip() else title for title in titles).rstrip()
    for row, line in zip(rows, texts):
        cells = []
        for column, cell, text, limit in zip(columns, row, line, limits):
            shown = cut(text, limit)
            filled = _padded(column, shown, limit)
            cells.append(filled.replace(shown, _painted(cell, shown, paint)) if shown else filled)
        yield _GAP.join(cells).rstrip()


def fits(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> bool:
    """Whether rows can be a table no wider than `width` characters, without paragraphs."""
    return _limits(columns, _texts(rows), width) is not None


def cut(text: str, width: int) -> str:
    """A text with so much of its middle left out that it is no wider than so many characters."""
    if width_of(text) <= width:
        return text
    left = (width - 1) // 2
    head = _prefix(text, left)
    tail = _prefix(text[::-1], width - 1 - width_of(head))[::-1]
    return f"{head}{_CUT}{tail}"


def width_of(text: str) -> int:
    """The columns of a terminal that a text takes: wide characters take two, those that only combine none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _texts(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    return [[escaped(_text(cell)) for cell in row] for row in rows]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _painted(cell: Cell, text: str, paint: Paint) -> str:
    return text if isinstance(cell, str) else paint(text, cell[1])


def _prefix(text: str, width: int) -> str:
    if text.isascii():
        return text[:width]
    end = 0
    while end < len(text) and width_of(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _padded(column: Column, text: str, width: int) -> str:
    space = " " * (width - width_of(text))
    return space + text if column.is_number else text + space


def _limits(columns: Sequence[Column], texts: list[list[str]], width: int) -> list[int] | None:
    """How wide each column is; None where the table does not fit however much may be cut."""
    values = [{row[number] for row in texts} for number in range(len(columns))]
    limits = [max(map(width_of, [column.title, *found])) for column, found in zip(columns, values)]
    too_much = sum(limits) + len(_GAP) * (len(columns) - 1) - width
    if too_much <= 0:
        return limits
    least = [
        max(width_of(column.title), _least(found, limit, column.shortest)) if column.may_cut else limit
        for column, found, limit in zip(columns, values, limits)
    ]
    if sum(limits) - sum(map(min, zip(least, limits))) < too_much:
        return None
    while too_much > 0:  # the widest gives way first
        widest = max((n for n, limit in enumerate(limits) if limit > least[n]), key=limits.__getitem__)
        limits[widest] -= 1
        too_much -= 1
    return limits


def _least(values: set[str], limit: int, shortest: int) -> int:
    """The smallest width to which texts can be cut, and to every width from there on, so that all stay different."""
    for width in range(limit - 1, shortest - 1, -1):
        if len({cut(text, width) for text in values}) < len(values):
            return width + 1
    return min(shortest, limit)


def _paragraphs(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], texts: list[list[str]], paint: Paint
) -> Iterator[str]:
    margin = max(width_of(column.title) for column in columns)
    for number, (row, line) in enumerate(zip(rows, texts)):
        if number:
            yield ""
        for column, cell, text in zip(columns, row, line):
            if text:
                title = column.title + " " * (margin - width_of(column.title))
                yield f"{paint(title, 'bold')}{_GAP}{_painted(cell, text, paint)}"
