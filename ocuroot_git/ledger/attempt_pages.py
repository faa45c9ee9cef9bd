"""Attempts as metrics read them again and again: of each chunk of the ledger a page, remembered in a fraction of its
size (design 12).

A page depends on its chunk alone, and so on the commit with which that begins, under whose id both are remembered.
"""

from __future__ import annotations

import struct

from ..git.objects import Oid, is_whole_id
from .attempts import Attempt
from .chunks import SLACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final, Protocol

    from ..store.memory import Memory
    from .chunks import Ledger
    from .events import Chunk, Event

    Cell = tuple[str, str]
    """A package and an environment."""
    Line = tuple[int, float, int, int, int, int, int, int]
    """An event in short, by which doubles are known; its time, the number of its cell, flags, the numbers of the
    release and of the one before it, and the numbers of their commits."""

    class Source(Protocol):
        """What tells attempts."""

        def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
            """The attempts, each with its place, newest first; with `since` perhaps none of those before."""


KIND: Final = "attempts/1"
"""Its number is raised whenever the meaning of what is remembered changes; that of the chunks is added to it."""

_LINE: Final = struct.Struct("<QdIBqqII")
_GOOD: Final = 1
_DOWN: Final = 2
_LARGEST: Final = (1 << 63) - 1
_END: Final = "\x1f"
_MOST_WRITTEN: Final = 64
"""Pages that are remembered at once."""


class Page:
    """The attempts of one chunk, newest first; `next`, `newest` and `commits` are those of the chunk."""

    __slots__ = ("_lines", "cells", "commits", "newest", "next", "sources")

    def __init__(
        self,
        next_: Oid | None,
        newest: float,
        commits: int,
        cells: Sequence[Cell],
        sources: Sequence[str],
        lines: bytes,
    ) -> None:
        self.next = next_
        self.newest = newest
        self.commits = commits
        self.cells = cells
        self.sources = sources
        self._lines = lines

    @classmethod
    def of_chunk(cls, chunk: Chunk) -> Page:
        """The page of a chunk."""
        cells: dict[Cell, int] = {}
        sources: dict[str, int] = {}
        lines = []
        for event in chunk.events:
            one = Attempt.of_event(event)
            if one is None:
                continue
            line: Line = (
                _short(event),
                one.time,
                cells.setdefault(event.cell, len(cells)),
                _GOOD * one.is_good + _DOWN * one.is_down,
                min(one.release, _LARGEST),
                min(one.before, _LARGEST),
                sources.setdefault(one.source, len(sources)),
                sources.setdefault(one.source_before, len(sources)),
            )
            lines.append(_LINE.pack(*line))
        return cls(chunk.next, chunk.newest, chunk.commits, list(cells), list(sources), b"".join(lines))

    def attempts(self, seen: set[int]) -> Iterator[tuple[Cell, Attempt]]:
        """The attempts, but those that were seen before, and are now: what was taken away by hand, and put back."""
        cells, sources = self.cells, self.sources
        for short, time, cell, flags, release, before, source, source_before in _LINE.iter_unpack(self._lines):
            if short in seen:
                continue
            seen.add(short)
            yield (
                cells[cell],
                Attempt(
                    time,
                    is_good=bool(flags & _GOOD),
                    is_down=bool(flags & _DOWN),
                    release=release,
                    before=before,
                    source=sources[source],
                    source_before=sources[source_before],
                ),
            )

    def to_bytes(self) -> bytes:
        head = _END.join((self.next or "", repr(self.newest), str(self.commits), str(len(self.cells))))
        texts = [head, *(_END.join(cell) for cell in self.cells), *self.sources]
        return "\n".join(texts).encode(errors="surrogateescape") + b"\0" + self._lines

    @classmethod
    def of_bytes(cls, data: bytes) -> Page | None:
        """What `to_bytes` wrote; None for anything else."""
        try:
            end = data.index(b"\0")
            head, *texts = data[:end].decode(errors="surrogateescape").split("\n")
            next_, newest, commits, count = head.split(_END)
            cells: list[Cell] = []
            for text in texts[: int(count)]:
                package, environment = text.split(_END)
                cells.append((package, environment))
            lines = data[end + 1 :]
            if len(lines) % _LINE.size or (next_ and not is_whole_id(next_)):
                return None
            return cls(Oid(next_) if next_ else None, float(newest), int(commits), cells, texts[int(count) :], lines)
        except ValueError:
            return None


class AttemptReader:
    """The attempts of a ledger, read page by page."""

    def __init__(self, ledger: Ledger, memory: Memory | None) -> None:
        self._ledger = ledger
        self._memory = memory
        self._kind = f"{KIND}/{ledger.kind}"
        self._new: dict[str, bytes] = {}

    def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
        """The attempts, each with its place, newest first; with `since` perhaps none of those before."""
        older = 0
        seen: set[int] = set()
        try:
            for page in self._pages(since):
                yield from page.attempts(seen)
                if since is not None:
                    older = older + page.commits if page.newest < since else 0
                    if older >= SLACK:
                        return
        finally:
            self._keep()

    def _pages(self, since: float | None) -> Iterator[Page]:
        at: Oid | None = self._ledger.start
        chunks: Iterator[Chunk] | None = None
        while at is not None and self._ledger.goes_on(at):
            page = self._remembered(at)
            if page is not None:
                chunks = None
            else:
                chunks = chunks if chunks is not None else self._ledger.chunks(at, since)
                chunk = next(chunks)
                page = Page.of_chunk(chunk)
                if not (chunk.is_cut or chunk.is_part):
                    self._new[at] = page.to_bytes()
            if len(self._new) >= _MOST_WRITTEN:
                self._keep()
            yield page
            at = page.next

    def _remembered(self, start: Oid) -> Page | None:
        data = self._memory.get(self._kind, [start]).get(start) if self._memory is not None else None
        return Page.of_bytes(data) if data is not None else None

    def _keep(self) -> None:
        if self._memory is not None:
            self._memory.put(self._kind, self._new)
        self._new = {}


class Explained:
    """The attempts of a ledger, each with its event, for those who are to be told of each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
        for event in self._ledger.events(since):
            attempt = Attempt.of_event(event)
            if attempt is not None:
                yield event.cell, attempt


def _short(event: Event) -> int:
    from hashlib import blake2b

    words = f"{event.run_ref}\n{event.outcome}\n{event.time!r}".encode(errors="surrogateescape")
    return int.from_bytes(blake2b(words, digest_size=8).digest(), "little")
