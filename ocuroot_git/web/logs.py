"""Logs, as their pages show them: the end, or the lines around one, or those that hold a text. Plain JSON values.

A line keeps its number as long as the log is there: it is the address of the line (`/logs?line=12`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery.printed import Line, lines_of, recorded_entries, without_secrets
from ..errors import NotFound
from ..formats.escape_sequences import plain
from ..formats.layout import StoredRef

if TYPE_CHECKING:
    from .facts import Facts

Page = dict[str, Any]

LINES = 1000
"""Lines on a page."""
LAST_LINES = 50
"""Lines that the page of a run shows."""
_BEFORE = 20
"""Lines that are shown before one that was asked for."""


class Part(NamedTuple):
    """Which part of a log is asked for: the lines from `start` on, those around `line` (numbers from 1), or those in
    which `text` stands. None of them: its end."""

    start: int = 0
    line: int = 0
    text: str = ""
    size: int = LINES


END = Part()


def log(facts: Facts, stored: str, part: Part) -> Page:
    """A part of a log by lines of output: number, time, text, stream.

    `first` and `last` are the numbers of the lines at its ends, `earlier` and `later` where the parts beside it begin
    (0: there is none). Of a run that goes on (`is_running`) the log is what was printed so far; `problem` says why that
    cannot be read.
    """
    running = facts.running_log(stored.removesuffix("/logs"))
    lines = list(enumerate(_lines(facts, stored, running[0] if running is not None else []), 1))
    total = len(lines)
    if part.text:
        wanted = part.text.casefold()
        lines = [(number, line) for number, line in lines if _holds(line.text, wanted)]
    begin = _begin(part, len(lines))
    shown = lines[begin : begin + part.size]
    return {
        "ref": stored,
        "is_running": running is not None,
        "problem": running[1] if running is not None else "",
        "total": total,
        "found": len(lines) if part.text else None,
        "text": part.text,
        "line": part.line,
        "is_end": begin + part.size >= len(lines) and not part.line,
        "first": shown[0][0] if shown else 0,
        "last": shown[-1][0] if shown else 0,
        "earlier": max(1, begin + 1 - part.size) if begin else 0,
        "later": begin + 1 + part.size if begin + part.size < len(lines) else 0,
        "items": [
            {
                "number": number,
                "time": line.time,
                "text": without_secrets(line.text),
                "stream": line.stream,
                "is_first": line.is_first,
            }
            for number, line in shown
        ],
    }


def _holds(text: str, wanted: str) -> bool:
    """Whether a line as it is shown holds a text: else what is masked could be found out by asking for it."""
    return wanted in plain(text).casefold() and wanted in plain(without_secrets(text)).casefold()


def _begin(part: Part, count: int) -> int:
    """The index of the first line of a part, of so many lines."""
    if part.start:
        return min(part.start - 1, max(0, count - 1))
    end = max(0, count - part.size)
    return min(max(0, part.line - 1 - _BEFORE), end) if part.line else 0 if part.text else end


def log_text(facts: Facts, stored: str) -> str:
    """A log as plain text, a line of output a line: time, `err` for the stream of errors, text. Raises NotFound."""
    running = facts.running_log(stored.removesuffix("/logs"))
    entries = running[0] if running is not None else []
    if not entries and facts.state.object(StoredRef(stored)) is None:
        raise NotFound(f"no such log: '{stored}'")
    return "".join(
        f"{line.time} {'err' if line.stream == 2 else 'out'} {without_secrets(plain(line.text))}\n"
        for line in _lines(facts, stored, entries)
    )


def _lines(facts: Facts, stored: str, unrecorded: list[Any]) -> list[Line]:
    return list(lines_of([*recorded_entries(facts.body(stored)), *unrecorded]))
