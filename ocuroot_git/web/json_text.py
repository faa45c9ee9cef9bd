"""Documents as lines of coloured pieces, with the refs in them as links; and what differs between two. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from ..formats.documents import MISSING, dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.documents import Document

LONGEST_COMPARED = 2000
"""Lines; nobody reads what differs in longer texts."""
_MOST_PAIRS = 40_000
"""Pairs of lines that are compared, beside what is the same at both ends: a few hundredths of a second."""


class Piece(NamedTuple):
    """A piece of a line: text, the class it is coloured by, and the address it leads to (empty: none)."""

    text: str
    kind: str
    address: str = ""


Line = list[Piece]


def lines(value: Document, address_of: Callable[[str], str]) -> list[Line]:
    """A document as indented JSON; `address_of` gives the address that a string in it leads to, or an empty text."""
    made: list[Line] = []
    _write(value, "", [], "", made, address_of)
    return made


def _write(
    value: Document, indent: str, head: Line, tail: str, made: list[Line], address_of: Callable[[str], str]
) -> None:
    if isinstance(value, (dict, list)) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        made.append([*head, Piece(opening, "punctuation")])
        items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        inner = indent + "  "
        for number, (key, item) in enumerate(items, 1):
            start = [Piece(inner, "")]
            if key is not None:
                start += [Piece(dump(key, None), "key"), Piece(": ", "punctuation")]
            _write(item, inner, start, "," if number < len(value) else "", made, address_of)
        made.append([Piece(indent, ""), Piece(closing + tail, "punctuation")])
        return
    if isinstance(value, str):
        text = dump(value, None)
        address = address_of(value)
        pieces = [Piece('"', "string"), Piece(text[1:-1], "string", address), Piece('"', "string")]
        if not address:
            pieces = [Piece(text, "string")]
    elif value is None or isinstance(value, bool):
        pieces = [Piece(dump(value, None), "word")]
    else:
        pieces = [Piece(dump(value, None), "number" if not isinstance(value, (dict, list)) else "punctuation")]
    made.append([*head, *pieces, *([Piece(tail, "punctuation")] if tail else [])])


def difference(old: Document, new: Document) -> list[tuple[str, str]] | None:
    """The lines of two documents as pairs of a mark (` `, `-`, `+`) and text; either may be MISSING.

    None where they are too long to compare.
    """
    before = [] if old is MISSING else dump(old).split("\n")
    after = [] if new is MISSING else dump(new).split("\n")
    if len(before) + len(after) > LONGEST_COMPARED:
        return None
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    made = [(" ", line) for line in before[:head]]
    made += _compare(before[head : len(before) - tail], after[head : len(after) - tail])
    return made + [(" ", line) for line in before[len(before) - tail :]]


def _common(one: list[str], other: list[str]) -> int:
    """How many lines two texts have in common at their beginning."""
    for number, (line, its) in enumerate(zip(one, other)):
        if line != its:
            return number
    return min(len(one), len(other))


def _compare(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """The marked lines of two texts; where comparing them line by line would take too long, all of both."""
    removed, added = [("-", line) for line in before], [("+", line) for line in after]
    if len(before) * len(after) > _MOST_PAIRS:
        return removed + added
    made: list[tuple[str, str]] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        made += [(" ", line) for line in before[a:b]] if tag == "equal" else removed[a:b] + added[c:d]
    return made
