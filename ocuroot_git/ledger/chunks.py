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
    from collections.abc import Collection, Iterator, Sequence
    from typing import Final, Protocol, TypeVar

    from ..formats.layout import Layout
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot
    from .events import Event
    from .stretches import Stretch

    class Told(Protocol):
        """What is told of a stretch: see `Chunk`, which has all of it."""

        next: Oid | None
        newest: float
        commits: int
        is_cut: bool

        def to_bytes(self) -> bytes: ...

    Part = TypeVar("Part", bound=Told)
    Told_co = TypeVar("Told_co", bound=Told, covariant=True)

    class Form(Protocol[Told_co]):
        """A form in which stretches are told, and how it is remembered.

        `kinds` are those under which it may be found: the first its own, and others of which it can be made.
        """

        kinds: tuple[str, ...]

        def of_bytes(self, kind: str, data: bytes) -> Told_co | None:
            """What is remembered under a kind; None for what is of another shape."""

        def read(self, reader: EventReader, stretches: Sequence[Stretch]) -> Iterator[Told_co]:
            """What is told of stretches that follow each other, the newest first."""


KIND: Final = "events/4"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and directory are added to it."""

_FEW: Final = 64
"""New commits that are read by themselves, where what comes after them is remembered; and not their whole stretch."""
_MOST_TOGETHER: Final = 128
"""Stretches that are read together, by two processes where there are two processors."""
_PIECES: Final = 4
"""Into how many pieces these are cut. What was read for one stretch of a piece serves all: more pieces read more twice,
and with fewer one process waits longer for the other."""
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
        self._chunks = Chunks(self.kind)

    def events(self, since: float | None = None) -> Iterator[Event]:
        """The events, newest first; with `since` perhaps none of those that ended before."""
        seen: set[int] = set()
        for chunk in self.chunks(since=since):
            for event in chunk.events:
                # What was taken away by hand, and put back, ended once.
                key = hash((event.run_ref, event.outcome, event.time))
                if key not in seen:
                    seen.add(key)
                    yield event

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

        With `since` no further than where nothing is expected any more that is newer.
        """
        return self.parts(self._chunks, start, since)

    def parts(self, form: Form[Part], start: Oid | None = None, since: float | None = None) -> Iterator[Part]:
        """As `chunks`, with what is told of each stretch in some form."""
        older = 0
        made: dict[str, bytes] = {}
        """Parts that were made of what is remembered in another form."""
        try:
            for part in self._parts(form, start or self.start, since, made):
                yield part
                if since is not None:
                    older = older + part.commits if part.newest < since else 0
                    if older >= SLACK:
                        return
        finally:
            if self._memory is not None:
                self._memory.put(form.kinds[0], made)

    def _parts(self, form: Form[Part], start: Oid, since: float | None, made: dict[str, bytes]) -> Iterator[Part]:
        at: Oid | None = start
        together = _MOST_TOGETHER if since is not None else 1
        older = 0
        while at is not None and self.goes_on(at):
            part = self._remembered(form, at, made) or (self._newest_part(form) if at == self.start else None)
            if part is not None:
                yield part
                at = part.next
                older = older + part.commits if since is not None and part.newest < since else 0
                continue
            stretches: list[Stretch] = []
            while at is not None and len(stretches) < together and (not stretches or older < SLACK):
                if stretches and self._is_remembered(form, at):
                    break
                stretch = self._reader.stretch(at)
                stretches.append(stretch)
                older = older + len(stretch.commits) if since is not None and stretch.newest < since else 0
                at = stretch.next
            together = min(2 * together, _MOST_TOGETHER)
            yield from self._read(form, stretches)

    def goes_on(self, start: Oid) -> bool:
        """Whether the commit with which a chunk begins is here: what comes after it may have been remembered when more
        of history was. If not, history is cut."""
        is_here = not self._reader.is_shallow or self._reader.has_commit(start)
        self.is_cut = self.is_cut or not is_here
        return is_here

    def few_until(self, end: Oid) -> Chunk | None:
        """The events of the commits before one that comes soon after the newest; None where it does not."""
        stretch = self._reader.before(self.start, end, _FEW)
        if stretch.next != end:
            return None
        chunk = self._reader.chunk(stretch)
        return None if chunk.is_cut else chunk

    def _newest_part(self, form: Form[Part]) -> Part | None:
        """What is told of the newest commits alone, where they are few, and what comes after them is remembered."""
        stretch = self._reader.few(self.start, _FEW)
        if self._memory is None or stretch.is_cut:
            return None
        oids = [oid for oid, _ in stretch.commits[1:]] + ([stretch.next] if stretch.next is not None else [])
        count = next((number for number, oid in enumerate(oids, 1) if self._is_remembered(form, oid)), None)
        if count is None:
            return None
        (part,) = form.read(self._reader, [self._reader.few(self.start, count)])
        self.is_cut = self.is_cut or part.is_cut
        return part

    def _is_remembered(self, form: Form[Part], start: Oid) -> bool:
        return self._memory is not None and any(self._memory.get(kind, [start]) for kind in form.kinds)

    def _remembered(self, form: Form[Part], start: Oid, made: dict[str, bytes]) -> Part | None:
        if self._memory is None:
            return None
        for kind in form.kinds:
            data = self._memory.get(kind, [start]).get(start)
            part = form.of_bytes(kind, data) if data is not None else None
            if part is not None:
                if kind != form.kinds[0]:
                    made[start] = part.to_bytes()
                return part
        return None

    def _read(self, form: Form[Part], stretches: list[Stretch]) -> Iterator[Part]:
        def read(piece: list[Stretch]) -> list[str]:
            parts = form.read(self._reader, piece)
            return [f"{stretch.start} {part.to_bytes().hex()}" for stretch, part in zip(piece, parts)]

        from ..store.forked_walk import in_two

        pieces = _of_equal_length(stretches)
        if len(pieces) > 1 and not self._reader.is_partial:
            results = in_two(pieces, read)
        else:
            results = [text for piece in pieces for text in read(piece)]
        data = {Oid(start): bytes.fromhex(text) for start, _, text in (text.partition(" ") for text in results)}
        kind = form.kinds[0]
        parts = {start: part for start, text in data.items() if (part := form.of_bytes(kind, text)) is not None}
        if self._memory is not None:
            # What is cut depends on what is here, and not on the commit alone.
            self._memory.put(kind, {start: data[start] for start, part in parts.items() if not part.is_cut})
        for stretch in stretches:
            part = parts[stretch.start]
            self.is_cut = self.is_cut or part.is_cut
            yield part


def _of_equal_length(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """Stretches in pieces of about as many commits each."""
    total = sum(len(stretch.commits) for stretch in stretches)
    pieces: list[list[Stretch]] = [[] for _ in range(_PIECES)]
    before = 0
    for stretch in stretches:
        pieces[min(before * _PIECES // max(total, 1), _PIECES - 1)].append(stretch)
        before += len(stretch.commits)
    return [piece for piece in pieces if piece]


class Chunks:
    """How chunks are remembered."""

    def __init__(self, kind: str) -> None:
        self.kinds: tuple[str, ...] = (kind,)

    def of_bytes(self, kind: str, data: bytes) -> Chunk | None:
        return Chunk.of_bytes(data)

    def read(self, reader: EventReader, stretches: Sequence[Stretch]) -> Iterator[Chunk]:
        return reader.chunks(stretches)


def kind_of(layout: Layout, directory: str) -> str:
    """Under which kind the events of a store are remembered that lies at a directory of its branch."""
    return f"{KIND}/{layout.dialect}/{directory}"
