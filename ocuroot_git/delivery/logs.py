"""The logs of runs: `<run>/logs`, bounded in size however much a command prints (design section 7).

A log keeps its beginning and its end. What does not fit is left out in the middle, and an entry stands there that
says how many lines and bytes it was, also in its `attributes` (`omitted_lines`, `omitted_bytes`). The document stays
below about 2 MiB, so that `get …/logs` and the view stay usable, and a flush, which writes it anew, stays cheap.
"""

from __future__ import annotations

from collections import deque

from .model import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..documents import Document
    from .model import Fields

HEAD: Final = 512 << 10
TAIL: Final = 1536 << 10
"""Bytes that the beginning and the end of a log take in its document at most."""
LONGEST_LINE: Final = 16 << 10
"""Bytes; longer lines are cut into several entries."""
_ENTRY: Final = 160
"""Bytes that an entry takes in the document beside its message, about."""
_LINES, _BYTES = "omitted_lines", "omitted_bytes"


class Log:
    """A log: entries at its beginning, what was left out after them, and entries at its end."""

    def __init__(self) -> None:
        self._head: list[Fields] = []
        self._tail: deque[Fields] = deque()
        self._head_size = self._tail_size = 0
        self._lines = self._bytes = 0
        self._omitted_at = ""

    @classmethod
    def read(cls, value: Document) -> Log:
        """The log that a document holds; what is no list counts as an empty one."""
        log = cls()
        for entry in value if isinstance(value, list) else ():
            attributes = entry.get("attributes") if isinstance(entry, dict) else None
            if isinstance(attributes, dict) and _LINES in attributes and _BYTES in attributes:
                log._omit(int(attributes[_LINES]), int(attributes[_BYTES]), str(entry.get("timestamp", "")))
            else:
                log.add(entry)
        return log

    @property
    def is_empty(self) -> bool:
        return not (self._head or self._tail or self._lines)

    def add(self, entry: Fields) -> None:
        """Append an entry."""
        size = _size(entry)
        if not self._lines and not self._tail and self._head_size + size <= HEAD:
            self._head.append(entry)
            self._head_size += size
            return
        self._tail.append(entry)
        self._tail_size += size
        while self._tail_size > TAIL:
            oldest = self._tail.popleft()
            self._tail_size -= _size(oldest)
            self._count(oldest)

    def extend(self, later: Log) -> None:
        """Append another log."""
        for entry in later._head:
            self.add(entry)
        if later._lines:
            self._omit(later._lines, later._bytes, later._omitted_at)
        for entry in later._tail:
            self.add(entry)

    def to_document(self) -> list[Fields]:
        """The document: the entries, with one in the place of those left out."""
        if not self._lines:
            return [*self._head, *self._tail]
        marker = {
            "timestamp": self._omitted_at,
            "message": f"[git-ocuroot: {self._lines} lines, {self._bytes} bytes left out here: the log was too long]",
            "stream": 2,
            "attributes": {_LINES: str(self._lines), _BYTES: str(self._bytes)},
        }
        return [*self._head, marker, *self._tail]

    def _omit(self, lines: int, size: int, when: str) -> None:
        """Leave out lines that come after all that is there, so that the end has to begin anew."""
        for entry in self._tail:
            self._count(entry)
        self._tail.clear()
        self._tail_size = 0
        self._lines += lines
        self._bytes += size
        self._omitted_at = when

    def _count(self, entry: Fields) -> None:
        self._lines += 1
        self._bytes += len(str(entry.get("message", ""))) + 1
        self._omitted_at = str(entry.get("timestamp", ""))


def _size(entry: Fields) -> int:
    return len(str(entry.get("message", ""))) + _ENTRY


def entry_of(message: str, stream: int, when: str) -> Fields:
    """An entry of a log."""
    return {"timestamp": when, "message": message, "stream": stream, "attributes": {}}


class Lines:
    """Cuts what a command prints to one stream into the entries of a log."""

    def __init__(self, log: Log, stream: int) -> None:
        self.log = log
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Add what was printed; a line that is not complete waits for its end."""
        *lines, rest = (self._rest + data).split(b"\n")
        now = timestamp()
        for line in lines:
            self._add(line, now)
        while len(rest) > LONGEST_LINE:
            self._add(rest[:LONGEST_LINE], now)
            rest = rest[LONGEST_LINE:]
        self._rest = rest

    def finish(self) -> None:
        """Add the last line, if it had no end."""
        if self._rest:
            self._add(self._rest, timestamp())
            self._rest = b""

    def _add(self, line: bytes, now: str) -> None:
        text = line.removesuffix(b"\r").decode(errors="replace")
        for at in range(0, max(len(text), 1), LONGEST_LINE):
            self.log.add(entry_of(text[at : at + LONGEST_LINE], self._stream, now))
