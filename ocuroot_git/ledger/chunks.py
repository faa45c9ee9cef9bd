"""The ledger: which deployments there have been, by whom and when, newest first (design 12).

Events are read from history in chunks (`event_reader`), one for each stretch of it (`stretches`). What a chunk holds
depends on the commit alone with which it begins, and is remembered under its id.
"""

from __future__ import annotations

from ..delivery.queries import state_tree
from ..errors import Fatal
from ..git.objects import Oid
from .event_reader import EventReader
from .events import Chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Final

    from ..formats.layout import Layout
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot
    from .events import Event
    from .stretches import Stretch

KIND: Final = "events/3"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and directory are added to it."""

_FEW: Final = 64
"""New commits that are read by themselves, where what comes after them is remembered; and not their whole stretch."""
_MOST_TOGETHER: Final = 64
"""Chunks that are read together, by two processes where there are two processors."""
SLACK: Final = 1000
"""Commits in a row, all older than what is asked for, after which no newer one is expected."""


class Ledger:
    """The events of the state store of a snapshot. Raises Fatal where the store has no history.

    Of a remote store history must be here: see `backends.remote.Remote.need_history`.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        tree = state_tree(snapshot)
        backend, directory = snapshot.backend_of(tree)
        start = snapshot.version(backend).oid
        if backend.repository is None or start is None:
            raise Fatal(f"{backend.where} has no history", hint="a store on a branch has one")
        self.start: Oid = start
        self.is_cut = False
        """Whether what was read so far ended because the clone is a shallow one."""
        repository = backend.repository
        self._reader = EventReader(repository, tree.layout, directory, snapshot.surroundings.tree_changes(repository))
        self._memory: Memory | None = snapshot.surroundings.memory
        self.kind = kind_of(tree.layout, directory)
        """Under which kind its chunks are remembered."""

    def events(self, since: float | None = None) -> Iterator[Event]:
        """The events, newest first; with `since` perhaps none of those that ended before."""
        older = 0
        seen: set[int] = set()
        for chunk in self.chunks(since=since):
            for event in chunk.events:
                # What was taken away by hand, and put back, ended once.
                key = hash((event.run_ref, event.outcome, event.time))
                if key not in seen:
                    seen.add(key)
                    yield event
            if since is not None:
                older = older + chunk.commits if chunk.newest < since else 0
                if older >= SLACK:
                    return

    def last_events_of(self, runs: Collection[str]) -> dict[str, Event]:
        """The last event of each of some runs (stored refs), as far as history is here: that it ended, or, if it has
        not, that it was set running or paused. History is read no further back."""
        found: dict[str, Event] = {}
        missing = set(runs)
        for chunk in self.chunks():
            # What is under way at the end of a chunk was set so after all else that the chunk says of the run.
            for event in (*chunk.begun, *chunk.events):
                if event.run_ref in missing:
                    found[event.run_ref] = event
                    missing.remove(event.run_ref)
            if not missing:
                break
        return found

    def chunks(self, start: Oid | None = None, since: float | None = None) -> Iterator[Chunk]:
        """All of history, chunk by chunk, from the commit on with which one begins (None: from the newest).

        Nothing is read ahead of what is asked for that is older than `since`.
        """
        at: Oid | None = start or self.start
        together = 1
        older = 0
        while at is not None and self.goes_on(at):
            chunk = self._remembered(at)
            if chunk is not None:
                yield chunk
                at = chunk.next
                older = older + chunk.commits if since is not None and chunk.newest < since else 0
                continue
            newest = self._newest_part() if at == self.start else None
            if newest is not None:
                yield newest
                at = newest.next
                continue
            stretches: list[Stretch] = []
            while at is not None and len(stretches) < together and (not stretches or older < SLACK):
                if stretches and self._remembered(at) is not None:
                    break
                stretch = self._reader.stretch(at)
                stretches.append(stretch)
                older = older + len(stretch.commits) if since is not None and stretch.newest < since else 0
                at = stretch.next
            together = min(2 * together, _MOST_TOGETHER)
            yield from self._read(stretches)

    def goes_on(self, start: Oid) -> bool:
        """Whether the commit with which a chunk begins is here: what comes after it may have been remembered when more
        of history was. If not, history is cut."""
        is_here = not self._reader.is_shallow or self._reader.has_commit(start)
        self.is_cut = self.is_cut or not is_here
        return is_here

    def few_until(self, end: Oid) -> Chunk | None:
        """The events of the commits before one that comes soon after the newest; None where it does not."""
        count = 0
        at: Oid | None = self.start
        while at != end:
            if at is None or count == _FEW:
                return None
            stretch = self._reader.few(at, _FEW - count)
            oids = [oid for oid, _ in stretch.commits]
            count += oids.index(end) if end in oids else len(oids)
            at = end if end in oids else stretch.next
        chunk = self._reader.chunk(self._reader.few(self.start, count, within=False))
        return None if chunk.is_cut else chunk

    def _newest_part(self) -> Chunk | None:
        """The chunk of the newest commits alone, where they are few, and what comes after them is remembered."""
        stretch = self._reader.few(self.start, _FEW)
        if self._memory is None or stretch.is_cut:
            return None
        oids = [oid for oid, _ in stretch.commits[1:]] + ([stretch.next] if stretch.next is not None else [])
        known = self._memory.get(self.kind, oids)
        count = next((number for number, oid in enumerate(oids, 1) if oid in known), None)
        if count is None:
            return None
        chunk = self._reader.chunk(self._reader.few(self.start, count))
        self.is_cut = self.is_cut or chunk.is_cut
        chunk.is_part = True
        return chunk

    def _remembered(self, start: Oid) -> Chunk | None:
        data = self._memory.get(self.kind, [start]).get(start) if self._memory is not None else None
        return Chunk.of_bytes(data) if data is not None else None

    def _read(self, stretches: list[Stretch]) -> Iterator[Chunk]:
        def read(piece: list[Stretch]) -> list[str]:
            return [f"{stretch.start}\n{self._reader.chunk(stretch).to_text()}" for stretch in piece]

        pieces = [[stretch] for stretch in stretches]
        if len(pieces) > 1 and not self._reader.is_partial:
            from ..store.forked_walk import in_two

            results = in_two(pieces, read)
        else:
            results = [text for piece in pieces for text in read(piece)]
        texts = dict(text.split("\n", 1) for text in results)
        data = {Oid(start): text.encode(errors="surrogateescape") for start, text in texts.items()}
        chunks = {start: chunk for start, text in data.items() if (chunk := Chunk.of_bytes(text)) is not None}
        if self._memory is not None:
            # What is cut depends on what is here, and not on the commit alone.
            self._memory.put(self.kind, {start: data[start] for start, chunk in chunks.items() if not chunk.is_cut})
        for stretch in stretches:
            chunk = chunks[stretch.start]
            self.is_cut = self.is_cut or chunk.is_cut
            yield chunk


def kind_of(layout: Layout, directory: str) -> str:
    """Under which kind the events of a store are remembered that lies at a directory of its branch."""
    return f"{KIND}/{layout.dialect}/{directory}"
