"""The logs of runs: `<run>/logs`, bounded in size however much a command prints (design 7).

A log keeps its beginning and its end. What does not fit is left out in the middle, and an entry stands there that
says how many lines and bytes it was, also in its `attributes` (`omitted_lines`, `omitted_bytes`). The document as it is
stored, escapes included, stays below 2 MiB and a little, so that `get …/logs` and the view stay usable, and a flush,
which writes it anew, stays cheap.
"""

from __future__ import annotations

from collections import deque

from ..formats.documents import dump, to_bytes
from .model import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document
    from .fields import Fields

HEAD: Final = 512 << 10
TAIL: Final = 1536 << 10
"""Bytes that the beginning and the end of a log take in its document at most."""
LONGEST_LINE: Final = 16 << 10
"""Bytes; longer lines are cut into several entries."""
_ENTRY: Final = 160
"""Bytes that an entry of ours takes in the document beside its message, at most."""
_INDENTED: Final = 4
"""Bytes before each line of an entry in the document, beside the entry's own indentation."""
_LINES, _BYTES = "omitted_lines", "omitted_bytes"


class Log:
    """A log: entries at its beginning, what was left out after them, and entries at its end."""

    def __init__(self) -> None:
        # Entries, each with the bytes that it takes in the document.
        self._head: list[tuple[Fields, int]] = []
        self._tail: deque[tuple[Fields, int]] = deque()
        self._head_size = self._tail_size = 0
        self._lines = self._bytes = 0
        self._omitted_at = ""

    @classmethod
    def read(cls, value: Document) -> Log:
        """The log that a document holds; what is no list counts as an empty one."""
        log = cls()
        for entry in value if isinstance(value, list) else ():
            omitted = _omitted(entry)
            if omitted is not None:
                log._omit(*omitted, str(entry.get("timestamp", "")))
            else:
                log._add(entry, _size(entry))
        return log

    @property
    def is_empty(self) -> bool:
        return not (self._head or self._tail or self._lines)

    def add(self, message: str, stream: int, when: str) -> None:
        """Append an entry of our own."""
        entry: Fields = {"timestamp": when, "message": message, "stream": stream, "attributes": {}}
        self._add(entry, _size_of_text(message) + _ENTRY)

    def add_all(self, messages: list[str], stream: int, when: str, attributes: dict[str, str]) -> None:
        """Append entries of our own, with what is known of where they come from. Long ones are cut into several."""
        around = _size({"timestamp": when, "message": "", "stream": stream, "attributes": attributes})
        for message in messages:
            for at in range(0, len(message) or 1, LONGEST_LINE):
                piece = message[at : at + LONGEST_LINE]
                entry = {"timestamp": when, "message": piece, "stream": stream, "attributes": attributes}
                self._add(entry, around + _size_of_text(piece))

    def _add(self, entry: Fields, size: int) -> None:
        if not self._lines and not self._tail and self._head_size + size <= HEAD:
            self._head.append((entry, size))
            self._head_size += size
            return
        self._tail.append((entry, size))
        self._tail_size += size
        while self._tail_size > TAIL:
            oldest, size = self._tail.popleft()
            self._tail_size -= size
            self._count(oldest)

    def extend(self, later: Log) -> None:
        """Append another log."""
        for entry, size in later._head:
            self._add(entry, size)
        if later._lines:
            self._omit(later._lines, later._bytes, later._omitted_at)
        for entry, size in later._tail:
            self._add(entry, size)

    def to_document(self) -> list[Fields]:
        """The document: the entries, with one in the place of those left out."""
        head, tail = [entry for entry, _ in self._head], [entry for entry, _ in self._tail]
        if not self._lines:
            return head + tail
        marker = {
            "timestamp": self._omitted_at,
            "message": f"[git-ocuroot: {self._lines} lines, {self._bytes} bytes left out here: the log was too long]",
            "stream": 2,
            "attributes": {_LINES: str(self._lines), _BYTES: str(self._bytes)},
        }
        return [*head, marker, *tail]

    def _omit(self, lines: int, size: int, when: str) -> None:
        """Leave out lines that come after all that is there, so that the end has to begin anew."""
        for entry, _ in self._tail:
            self._count(entry)
        self._tail.clear()
        self._tail_size = 0
        self._lines += lines
        self._bytes += size
        self._omitted_at = when

    def _count(self, entry: Fields) -> None:
        fields = entry if isinstance(entry, dict) else {"message": entry}
        self._lines += 1
        self._bytes += len(to_bytes(str(fields.get("message", "")))) + 1
        self._omitted_at = str(fields.get("timestamp", self._omitted_at))


def number_of(entry: Document) -> int:
    """How many entries of what was printed one stands for: itself, or those that were left out in its place."""
    omitted = _omitted(entry)
    return 1 if omitted is None else omitted[0]


def rest_of(entry: Document, lines: int) -> Document:
    """Of an entry that stands for lines that were left out, what is said of the last so many of them alone.

    How many bytes these had is not known.
    """
    message = f"[git-ocuroot: {lines} lines left out here: the log was too long]"
    return {**entry, "message": message, "attributes": {_LINES: str(lines)}} if isinstance(entry, dict) else entry


def _size(entry: Fields) -> int:
    """Bytes that an entry takes in the document. Those of other programs may be of any shape."""
    text = dump(entry)
    return len(to_bytes(text)) + _INDENTED * (text.count("\n") + 1) + len(",\n")


def _size_of_text(text: str) -> int:
    """Bytes that a text takes in the document."""
    if text.isascii() and text.isprintable():  # as most lines are, and they come by the hundred thousand
        return len(text) + text.count('"') + text.count("\\") + len('""')
    return len(to_bytes(dump(text, None)))


def _omitted(entry: Document) -> tuple[int, int] | None:
    """The lines and bytes that an entry says were left out in its place; None for any other entry."""
    attributes = entry.get("attributes") if isinstance(entry, dict) else None
    if not isinstance(attributes, dict):
        return None
    lines, size = str(attributes.get(_LINES, "")), str(attributes.get(_BYTES, ""))
    if not all(count.isascii() and count.isdigit() and len(count) < 20 for count in (lines, size)):
        return None
    return int(lines), int(size)


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
            at = _end_of_piece(rest)
            self._add(rest[:at], now)
            rest = rest[at:]
        self._rest = rest

    def finish(self) -> None:
        """Add the last line, if it had no end."""
        if self._rest:
            self._add(self._rest, timestamp())
            self._rest = b""

    def _add(self, line: bytes, now: str) -> None:
        line = line.removesuffix(b"\r")
        while len(line) > LONGEST_LINE:
            at = _end_of_piece(line)
            self.log.add(line[:at].decode(errors="replace"), self._stream, now)
            line = line[at:]
        self.log.add(line.decode(errors="replace"), self._stream, now)


def _end_of_piece(line: bytes) -> int:
    """Where to cut a line that is too long: not within a character, if it is text."""
    for at in range(LONGEST_LINE, LONGEST_LINE - 4, -1):
        if line[at] & 0xC0 != 0x80:
            return at
    return LONGEST_LINE
