"""The ledger: which deployments ended, read from the history of the state store (design 12). The one reader of it.

A deployment has ended where a commit gives a run a marker that says so, which it did not have in the parent. History
is followed along first parents; what came by the other parent of a merge is looked for there, so that it is told by the
commit that made it. The order is that of history, newest first: clocks may be wrong, and history is not. A marker that
was taken away by hand and put back is told once, by the commit that first gave it.

History is read in chunks, from one commit whose id begins with two zeros to the next, some 256 commits on. What a chunk
holds depends on the commit alone with which it begins, and is remembered under its id.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..delivery import lenient
from ..delivery.queries import state_tree
from ..delivery.vocabulary import CANCELLED, COMPLETE, DEPLOY, DOWN, FAILED, FAILED_RETRIED, RUNNING, UP
from ..errors import Fatal
from ..formats.commit_message import operations_of, origin_of
from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredObject, StoredRef, object_path
from ..formats.refs import STATE
from ..formats.times import parse_seconds
from ..git.objects import ABSENT, ObjectError, Oid
from ..store.tree import StoreTree
from .events import Chunk, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Final

    from ..formats.documents import Document
    from ..formats.layout import Layout
    from ..git.objects import Commit
    from ..git.repository import Repository
    from ..git.tree_changes import FileChange, TreeChanges
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot

KIND: Final = "events/1"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and directory are added to it."""

_BOUNDARY: Final = "00"
"""How the id of a commit begins with which a chunk begins."""
_MOST_TOGETHER: Final = 64
"""Chunks that are read together, by two processes where there are two processors."""
_SLACK: Final = 1000
"""Commits in a row, all older than what is asked for, after which no newer one is expected."""
_OUTCOMES: Final = {COMPLETE: COMPLETE, FAILED: FAILED, FAILED_RETRIED: FAILED, CANCELLED: CANCELLED}
_TAIL: Final = f"/{OBJECT_FILE}"


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
        self._reader = Reader(repository, tree.layout, directory, snapshot.surroundings.tree_changes(repository))
        self._memory: Memory | None = snapshot.surroundings.memory
        self._kind = kind_of(tree.layout, directory)

    def events(self, since: float | None = None) -> Iterator[Event]:
        """The events, newest first; with `since` perhaps none of those that ended before."""
        older = 0
        seen: set[int] = set()
        for chunk in self.chunks():
            for event in chunk.events:
                # What was taken away by hand, and put back, ended once.
                key = hash((event.run_ref, event.outcome, event.time))
                if key not in seen:
                    seen.add(key)
                    yield event
            if since is not None:
                older = older + chunk.commits if chunk.newest < since else 0
                if older >= _SLACK:
                    return

    def ends_of(self, runs: Collection[str]) -> dict[str, Event]:
        """The last end of each of some runs (stored refs), as far as history is here; it is read no further back."""
        found: dict[str, Event] = {}
        missing = set(runs)
        for chunk in self.chunks():
            for event in chunk.events:
                if event.run_ref in missing:
                    found[event.run_ref] = event
                    missing.remove(event.run_ref)
            if not missing:
                break
        return found

    def chunks(self) -> Iterator[Chunk]:
        """All of history, chunk by chunk."""
        at: Oid | None = self.start
        together = 1
        while at is not None:
            chunk = self._remembered(at)
            if chunk is not None:
                yield chunk
                at = chunk.next
                if at is not None and self._reader.is_shallow and not self._reader.has_commit(at):
                    self.is_cut = True  # it was remembered when more of history was here
                    return
                continue
            stretches: list[Stretch] = []
            while at is not None and len(stretches) < together:
                if stretches and self._remembered(at) is not None:
                    break
                stretch = self._reader.stretch(at)
                stretches.append(stretch)
                at = stretch.next
            together = min(2 * together, _MOST_TOGETHER)
            yield from self._read(stretches)

    def _remembered(self, start: Oid) -> Chunk | None:
        data = self._memory.get(self._kind, [start]).get(start) if self._memory is not None else None
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
            self._memory.put(self._kind, {start: data[start] for start, chunk in chunks.items() if not chunk.is_cut})
        for stretch in stretches:
            chunk = chunks[stretch.start]
            self.is_cut = self.is_cut or chunk.is_cut
            yield chunk


def kind_of(layout: Layout, directory: str) -> str:
    """Under which kind the events of a store are remembered that lies at a directory of its branch."""
    return f"{KIND}/{layout.dialect}/{directory}"


class Stretch:
    """Commits along first parents, newest first, each with the parents that are here, and the commit after the last.

    `newest` is the latest time of a committer; `is_cut` says that history goes on elsewhere: the clone is shallow.
    """

    __slots__ = ("commits", "is_cut", "newest", "next", "start")

    def __init__(self, start: Oid) -> None:
        self.start = start
        self.commits: list[tuple[Oid, tuple[Oid, ...]]] = []
        self.next: Oid | None = None
        self.newest = float("-inf")
        self.is_cut = False


class Reader:
    """Reads the events of stretches of history, of a store that lies at a directory (`state/`, or empty)."""

    def __init__(self, repository: Repository, layout: Layout, directory: str, changes: TreeChanges) -> None:
        self._repository = repository
        self._layout = layout
        self._directory = directory
        self._changes = changes
        self._sources: dict[str, str] = {}
        """The commit that each release is of: what was released does not change."""
        self._ends = repository.history_ends()
        self._is_cut = False
        """Whether what was looked for in the present chunk may lie beyond the end of what is here."""
        head, middle, tail = f"{directory}{REFS}/".encode(), f"/{DEPLOY}/".encode(), _TAIL.encode()
        self._is_wanted = lambda path: path.endswith(tail) and middle in path and path.startswith(head)

    @property
    def is_partial(self) -> bool:
        """Whether objects may have to be fetched."""
        return self._repository.is_partial

    def has_commit(self, commit: Oid) -> bool:
        """Whether a commit is here."""
        return self._repository.has(commit)

    @property
    def is_shallow(self) -> bool:
        """Whether history may end here though it goes on elsewhere."""
        return bool(self._ends)

    # Stretches of history

    def stretch(self, start: Oid) -> Stretch:
        """The commits from one on, before the next with which a chunk begins."""
        return self._follow(start, None)

    def _follow(self, start: Oid, most: int | None) -> Stretch:
        """So many commits from one on (None: those of a chunk)."""
        found = Stretch(start)
        at: Oid | None = start
        while at is not None:
            if most is not None and len(found.commits) == most:
                break
            if most is None and found.commits and at.startswith(_BOUNDARY):
                break
            parents, time = self._repository.parents_and_time(at)
            found.newest = max(found.newest, time)
            if at in self._ends:
                # What it changed cannot be told: the commit before it is not here.
                found.is_cut, at = True, None
                break
            found.commits.append((at, parents))
            at = parents[0] if parents else None
        found.next = at
        return found

    # Events

    def chunk(self, stretch: Stretch) -> Chunk:
        """The events of a stretch. Raises ObjectError for what cannot be read, GitError where git fails."""
        self._sources.clear()  # what was read before must not make a difference
        self._is_cut = stretch.is_cut
        events = self._events(stretch, None)
        newest = float(max([stretch.newest, *(event.time for event in events)]))
        return Chunk(events, stretch.next, newest, len(stretch.commits), is_cut=self._is_cut)

    def _events(self, stretch: Stretch, only: set[str] | None) -> list[Event]:
        """The events of a stretch, newest first; `only` some runs, which are taken out of the set."""
        parents = dict(stretch.commits)
        if self._repository.is_partial:
            self._prefetch(stretch)
        steps = [(commit, of[0] if of else None) for commit, of in stretch.commits]
        found = []
        for oid, changes in self._changes.of(steps, self._is_wanted):
            ended = self._ended(changes)
            if only is not None:
                ended = {run: marker for run, marker in ended.items() if run in only}
                only -= ended.keys()
            if ended:
                found += self._events_of(oid, parents[oid], changes, ended, only)
        return found

    def _prefetch(self, stretch: Stretch) -> None:
        """Fetch the trees that comparing the commits will read."""
        from ..store.prefetch import prefetch_changes

        repository = self._repository
        repository.prefetch_roots([*(oid for oid, _ in stretch.commits), *([stretch.next] if stretch.next else [])])
        roots = [(repository.root(of[0]) if of else None, repository.root(oid)) for oid, of in stretch.commits]
        prefetch_changes(repository, roots)

    def _ended(self, changes: list[FileChange]) -> dict[str, tuple[str, Oid]]:
        """The runs that ended in a commit: the outcome of each, and the blob of the marker that says it."""
        ended: dict[str, tuple[str, Oid]] = {}
        had_ended = set()
        for letter, _, new, path in changes:
            run, status = self._marker(path)
            if status not in _OUTCOMES:
                continue
            if letter == "A":
                ended[run] = _OUTCOMES[status], new
            elif letter == "D":
                had_ended.add(run)  # what has failed and was retried since had ended before
        return {run: marker for run, marker in ended.items() if run not in had_ended}

    def _marker(self, path: str) -> tuple[str, str]:
        """The run (a stored ref) and the status of a marker of a run of a deployment; empty texts for another path."""
        head, _, status = path[: -len(_TAIL)].rpartition("/status/")
        segments = head.rsplit("/", 4)
        if len(segments) != 5 or "/" in status or segments[2] != DEPLOY or not _is_number(segments[4]):
            return "", ""
        if self._layout.release_number(segments[1]) is None or not path.isprintable():
            return "", ""
        return head[len(self._directory) + len(REFS) + 1 :], status

    def _events_of(
        self,
        oid: Oid,
        parents: tuple[Oid, ...],
        changes: list[FileChange],
        ended: dict[str, tuple[str, Oid]],
        only: set[str] | None,
    ) -> list[Event]:
        """The events of the runs that ended in a commit, newest first; those of a merge as its other parents tell.

        Those that had ended before are told there; in `only` they stay to be looked for.
        """
        found = []
        for parent in parents[1:]:
            there = self._tree(parent)
            brought = {run for run, (_, blob) in ended.items() if self._has_marker(there, run, blob)}
            if brought:
                ended = {run: marker for run, marker in ended.items() if run not in brought}
                found += self._search(parent, brought)
        again = self._put_back(parents, changes, ended)
        if again:
            ended = {run: marker for run, marker in ended.items() if run not in again}
            if only is not None:
                only |= again
        if ended:
            found = self._made(self._repository.commit(oid), changes, ended) + found
        return found

    def _put_back(
        self, parents: tuple[Oid, ...], changes: list[FileChange], ended: dict[str, tuple[str, Oid]]
    ) -> set[str]:
        """Of the runs that ended in a commit those that had ended before: somebody took the marker away by hand.

        Looked for where the run was there with no status at all, unless what it executed says that it was not over.
        Other programs write each document in a commit of its own, so that this alone does not say it.
        """
        had_status = {self._marker(path)[0] for letter, _, _, path in changes if letter == "D"}
        odd = set(ended) - had_status
        if not odd or not parents:
            return set()
        before = self._tree(parents[0])
        odd = {run for run in odd if self._may_be_over(before, run)}
        return odd - self._not_ended(parents[0], odd)

    def _may_be_over(self, tree: StoreTree, run: str) -> bool:
        if _file(tree, object_path(StoredRef(run))) is None:
            return False
        steps = [step["status"] for function in lenient.functions_of(tree, run)[:1] for step in function.history]
        return not steps or steps[-1] in _OUTCOMES

    def _not_ended(self, start: Oid, runs: set[str]) -> set[str]:
        """Which of some runs have ended neither in a commit nor in one before it."""
        missing = set(runs)
        for stretch in self._while_there(start, missing):
            steps = [(commit, of[0] if of else None) for commit, of in stretch.commits]
            for _, changes in self._changes.of(steps, self._is_wanted):
                missing -= self._ended(changes).keys()
        return missing

    def _while_there(self, start: Oid, runs: set[str]) -> Iterator[Stretch]:
        """Longer and longer stretches from a commit on, as long as there are runs, and one of them was there."""
        at: Oid | None = start
        most = 16
        while at is not None and runs:
            tree = self._tree(at)
            if all(_file(tree, object_path(StoredRef(run))) is None for run in runs):
                return
            stretch = self._follow(at, most)
            yield stretch
            self._is_cut = self._is_cut or (stretch.is_cut and bool(runs))
            at, most = stretch.next, min(2 * most, 1024)

    def _has_marker(self, tree: StoreTree, run: str, blob: Oid) -> bool:
        return any(tree.oid(StoredRef(f"{run}/status/{status}")) == blob for status in _OUTCOMES)

    def _search(self, start: Oid, runs: set[str]) -> list[Event]:
        """The events of some runs, which ended in a commit or in one before it."""
        return [event for stretch in self._while_there(start, runs) for event in self._events(stretch, runs)]

    def _made(self, commit: Commit, changes: list[FileChange], ended: dict[str, tuple[str, Oid]]) -> list[Event]:
        """The events of the runs that ended in a commit that made them end."""
        after = self._tree(commit.oid)
        files = {path: (old, new) for _, old, new, path in changes}
        markers = self._repository.blobs(blob for _, blob in ended.values())
        actor, run_url, reason = _origin(commit)
        cells: dict[tuple[str, str], list[Event]] = {}
        for run, (outcome, blob) in ended.items():
            release, _, rest = lenient.split_work(run)
            environment, package = rest.partition("/")[0], release.rpartition("/")[0]
            ended_at = parse_seconds(lenient.fields(_body(markers[blob])).get("time"))
            time = commit.committer.time if ended_at is None else ended_at
            running = files.get(f"{self._directory}{object_path(StoredRef(f'{run}/status/{RUNNING}'))}")
            began = self._began(after, run, running[0] if running is not None else None)
            if outcome == CANCELLED and began is None:
                continue  # it was never begun
            took = None if began is None or ended_at is None else max(0.0, round(ended_at - began, 6))
            type_ = lenient.text(lenient.fields(lenient.body(after, run)).get("type"))
            event = Event(
                float(time),
                package,
                environment,
                type_ if type_ in (UP, DOWN) else UP,
                release,
                "",
                outcome,
                took,
                run,
                commit.oid,
                self._source(after, release),
                "",
                actor,
                run_url,
                reason,
            )
            cells.setdefault(event.cell, []).append(event)
        before: StoreTree | None = self._tree(commit.parents[0]) if commit.parents else None
        for (package, environment), events in cells.items():
            events.sort(key=lambda event: event.time)
            link = StoredRef(f"{package}/{STATE}/{DEPLOY}/{environment}")
            path = f"{self._directory}{object_path(link)}"
            known = files[path][0] if path in files else None
            current = self._deployed(before, link, known) if before is not None else ""
            for event in events:
                event.before = current
                event.source_before = self._source(before or after, current) if current else ""
                if event.outcome == COMPLETE:
                    current = event.release if event.type == UP else ""
        return sorted((event for events in cells.values() for event in events), key=lambda event: -event.time)

    def _tree(self, oid: Oid) -> StoreTree:
        repository = self._repository
        return StoreTree(
            repository, node_at(repository, repository.root(oid), self._directory.rstrip("/")), self._layout
        )

    def _began(self, tree: StoreTree, run: str, running: Oid | None) -> float | None:
        """When a run was first set running, in seconds since the epoch; None where nothing says so.

        `running` is the blob of the marker that said until now that it runs.
        """
        for function in lenient.functions_of(tree, run)[:1]:
            for step in function.history:
                if step["status"] == RUNNING:
                    return parse_seconds(step["time"])
        if running is None or running == ABSENT:
            return None
        data = self._repository.blobs([running])[running]
        return parse_seconds(lenient.fields(_body(data)).get("time"))

    def _deployed(self, tree: StoreTree, link: StoredRef, blob: Oid | None) -> str:
        """The release that a link says is deployed, as a stored ref; empty for none. `blob` is the link's, if known."""
        if blob == ABSENT:
            return ""
        data = self._repository.blobs([blob])[blob] if blob is not None else _file(tree, object_path(link))
        target = _target(data)
        release, word, _ = lenient.split_work(target)
        if word != DEPLOY or lenient.fields(lenient.body(tree, target)).get("type") == DOWN:
            return ""
        return release

    def _source(self, tree: StoreTree, release: str) -> str:
        """The commit that a release is of; empty where that is not known."""
        if release not in self._sources:
            self._sources[release] = line_of(lenient.fields(lenient.body(tree, release)).get("commit"))
        return self._sources[release]


def _origin(commit: Commit) -> tuple[str, str, str]:
    """Actor, run and reason of a commit; its author, where nothing was written down of who asked for it."""
    actor, run, reason = origin_of(commit.message).values()
    if actor is None and not any(operation.origin.actor for operation in operations_of(commit.message)):
        actor = f"{commit.author.name} <{commit.author.email}>"
    return line_of(actor), line_of(run), line_of(reason)


def line_of(value: Document) -> str:
    """A text as one printable line; empty for anything else."""
    text = lenient.text(value)
    return text if text.isprintable() else "".join(char for char in text if char.isprintable())


def _body(data: bytes) -> Document:
    """The document in the file of one; None where there is none."""
    try:
        return StoredObject.read(data, "").body
    except Damaged:
        return None


def _target(data: bytes | None) -> str:
    """The target of the link in a file; empty for none."""
    try:
        return (StoredObject.read(data, "").target or "").partition("#")[0] if data is not None else ""
    except Damaged:
        return ""


def _file(tree: StoreTree, path: str) -> bytes | None:
    try:
        return tree.file(path)
    except ObjectError:
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
