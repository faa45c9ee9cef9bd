"""Attempts as metrics read them again and again: of each chunk of the ledger a page, remembered in a fraction of its
size (design 12).

A page depends on its chunk alone, and so on the commit with which that begins, under whose id both are remembered.
"""

from __future__ import annotations

import struct

from ..git.objects import Oid, is_whole_id
from .attempts import Attempt
from .events import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final, Protocol

    from .chunks import Ledger
    from .event_reader import EventReader
    from .events import Event
    from .stretches import Stretch

    Cell = tuple[str, str]
    """A package and an environment."""
    Line = tuple[int, float, int, int, int, int, int, int]
    """An event in short, by which doubles are known; its time, the number of its cell, flags, the numbers of the
    release and of the one before it, and the numbers of their commits."""

    class Source(Protocol):
        """What tells attempts."""

        def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
            """The attempts, each with its place, newest first; with `since` perhaps none of those before."""


KIND: Final = "attempts/2"
"""Its number is raised whenever the meaning of what is remembered changes; that of the chunks is added to it."""

_LINE: Final = struct.Struct("<QdIBqqII")
_GOOD: Final = 1
_DOWN: Final = 2
_LARGEST: Final = (1 << 63) - 1
_END: Final = "\x1f"


class Page:
    """The attempts of one chunk, newest first; all else is as in the chunk."""

    __slots__ = ("_lines", "cells", "commits", "is_cut", "newest", "next", "sources")

    def __init__(
        self,
        next_: Oid | None,
        newest: float,
        commits: int,
        cells: Sequence[Cell],
        sources: Sequence[str],
        lines: bytes,
        *,
        is_cut: bool = False,
    ) -> None:
        self.next = next_
        self.newest = newest
        self.commits = commits
        self.cells = cells
        self.sources = sources
        self._lines = lines
        self.is_cut = is_cut

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
        return cls(
            chunk.next,
            chunk.newest,
            chunk.commits,
            list(cells),
            list(sources),
            b"".join(lines),
            is_cut=chunk.is_cut,
        )

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
        cut = "cut" if self.is_cut else ""
        head = _END.join((self.next or "", repr(self.newest), str(self.commits), str(len(self.cells)), cut))
        texts = [head, *(_END.join(cell) for cell in self.cells), *self.sources]
        return "\n".join(texts).encode(errors="surrogateescape") + b"\0" + self._lines

    @classmethod
    def of_bytes(cls, data: bytes) -> Page | None:
        """What `to_bytes` wrote; None for anything else."""
        try:
            end = data.index(b"\0")
            head, *texts = data[:end].decode(errors="surrogateescape").split("\n")
            next_, newest, commits, count, cut = head.split(_END)
            cells: list[Cell] = []
            for text in texts[: int(count)]:
                package, environment = text.split(_END)
                cells.append((package, environment))
            lines = data[end + 1 :]
            if len(lines) % _LINE.size or (next_ and not is_whole_id(next_)):
                return None
            of_chunk = Oid(next_) if next_ else None, float(newest), int(commits)
            return cls(*of_chunk, cells, texts[int(count) :], lines, is_cut=bool(cut))
        except ValueError:
            return None


class Pages:
    """How attempts are remembered; those of chunks that are remembered are made of these."""

    def __init__(self, ledger: Ledger) -> None:
        self.kinds: tuple[str, ...] = f"{KIND}/{ledger.kind}", ledger.kind

    def of_bytes(self, kind: str, data: bytes) -> Page | None:
        if kind == self.kinds[0]:
            return Page.of_bytes(data)
        chunk = Chunk.of_bytes(data)
        return Page.of_chunk(chunk) if chunk is not None else None

    def read(self, reader: EventReader, stretches: Sequence[Stretch]) -> Iterator[Page]:
        return map(Page.of_chunk, reader.chunks(stretches, briefly=True))


class AttemptReader:
    """The attempts of a ledger, read page by page."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
        """The attempts, each with its place, newest first; with `since` perhaps none of those before."""
        seen: set[int] = set()
        for page in self._ledger.parts(Pages(self._ledger), since=since):
            yield from page.attempts(seen)


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
