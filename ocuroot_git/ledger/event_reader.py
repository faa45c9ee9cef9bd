"""Which deployments ended in a stretch of the history of the state store, and which it left under way (design 12).

A deployment has ended where a commit gives a run a marker that says so, which it did not have in the parent. History
is followed along first parents; what came by the other parent of a merge is looked for there, so that it is told by the
commit that made it. The order is that of history, newest first: clocks may be wrong, and history is not. A marker that
was taken away by hand and put back is told once, by the commit that first gave it.

Of those under way the commit is told that set them running, or paused, where nothing came after that in the stretch.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..delivery import lenient
from ..delivery.vocabulary import CANCELLED, COMPLETE, DEPLOY, DOWN, FAILED, FAILED_RETRIED, PAUSED, RUNNING, UP
from ..formats.commit_message import agreed_origin, operations_of
from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredObject, StoredRef, object_path
from ..formats.operation import Origin
from ..formats.refs import STATE
from ..formats.times import parse_seconds
from ..git.objects import ABSENT, ObjectError, Oid
from ..store.tree import StoreTree
from .events import Chunk, Event
from .stretches import stretch_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..delivery.fields import Fields
    from ..formats.documents import Document
    from ..formats.layout import Layout
    from ..git.objects import Commit, Node
    from ..git.repository import Repository
    from ..git.tree_changes import Changed, Directories, FileChange, TreeChanges
    from .stretches import Stretch

_OUTCOMES: Final = {COMPLETE: COMPLETE, FAILED: FAILED, FAILED_RETRIED: FAILED, CANCELLED: CANCELLED}
_BEGUN: Final = (RUNNING, PAUSED)
_BEFORE: Final = 0
_AFTER: Final = 1
_TAIL: Final = f"/{OBJECT_FILE}"


class EventReader:
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
        self._begun: list[Event] = []
        """Those that the present chunk leaves under way, newest first."""
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

    def stretch(self, start: Oid) -> Stretch:
        """The stretch of history that begins with a commit."""
        return stretch_from(self._repository, self._ends, start)

    def few(self, start: Oid, most: int, *, within: bool = True) -> Stretch:
        """So many commits from one on; `within` its stretch fewer, where that has fewer."""
        return stretch_from(self._repository, self._ends, start, most, within=within)

    def chunk(self, stretch: Stretch) -> Chunk:
        """The events of a stretch. Raises ObjectError for what cannot be read, GitError where git fails."""
        self._repository.prepare_walk()
        self._sources.clear()  # what was read before must not make a difference
        self._is_cut = stretch.is_cut
        self._begun = []
        events = self._events(stretch, None)
        newest = float(max([stretch.newest, *(event.time for event in events)]))
        return Chunk(events, self._begun, stretch.next, newest, len(stretch.commits), is_cut=self._is_cut)

    def _events(self, stretch: Stretch, only: set[str] | None) -> list[Event]:
        """The events of a stretch, newest first; `only` some runs, which are taken out of the set."""
        parents = dict(stretch.commits)
        found = []
        later: set[str] = set()
        for oid, changes, directories in self._changed(stretch):
            ended = self._ended(changes)
            if only is not None:
                ended = {run: marker for run, marker in ended.items() if run in only}
                only -= ended.keys()
            else:
                self._note_begun(oid, parents[oid], changes, later)
                later |= ended.keys()
            if ended:
                found += self._events_of(oid, parents[oid], changes, directories, ended, only)
        return found

    def _changed(self, stretch: Stretch) -> Iterable[Changed]:
        """The commits of a stretch that changed deployments; where objects have to be fetched, with all that is read of
        them."""
        steps = [(commit, of[0] if of else None) for commit, of in stretch.commits]
        if not self._repository.is_partial:
            return self._changes.of(steps, self._is_wanted)
        from .event_prefetch import prefetch_documents, prefetch_trees

        prefetch_trees(self._repository, stretch)
        changed = list(self._changes.of(steps, self._is_wanted))
        ended = [(oid, runs) for oid, changes, _ in changed if (runs := self._ended(changes))]
        prefetch_documents(self._repository, self._directory, stretch, ended, _target)
        return changed

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

    def _note_begun(self, oid: Oid, parents: tuple[Oid, ...], changes: list[FileChange], later: set[str]) -> None:
        """Take note of the runs that a commit set running or paused, and nothing came of `later`; they are added there.

        Who began what a merge brings is not looked for: a run of this program's says it in its marker.
        """
        begun = {}
        for letter, _, new, path in changes:
            run, status = self._marker(path)
            if letter == "A" and status in _BEGUN and run not in later:
                begun[run] = status, new
        later |= begun.keys()
        if not begun or len(parents) > 1:
            return
        commit = self._repository.commit(oid)
        markers = self._repository.blobs(blob for _, blob in begun.values())
        for run, (status, blob) in begun.items():
            release, _, rest = lenient.split_work(run)
            marker = lenient.fields(_body(markers[blob]))
            began_at = parse_seconds(marker.get("time"))
            time = float(commit.committer.time if began_at is None else began_at)
            package, environment = release.rpartition("/")[0], rest.partition("/")[0]
            place = (package, environment, "", release, "", status, None, run, commit.oid, "", "")
            self._begun.append(Event(time, *place, *_origin(commit, marker)))

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
        directories: Directories,
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
            found = self._made(self._repository.commit(oid), changes, directories, ended) + found
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
        steps = lenient.steps_of(tree, run, lenient.body(tree, run))
        return not steps or steps[-1]["status"] in _OUTCOMES

    def _not_ended(self, start: Oid, runs: set[str]) -> set[str]:
        """Which of some runs have ended neither in a commit nor in one before it."""
        missing = set(runs)
        for stretch in self._while_there(start, missing):
            steps = [(commit, of[0] if of else None) for commit, of in stretch.commits]
            for _, changes, _ in self._changes.of(steps, self._is_wanted):
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
            stretch = stretch_from(self._repository, self._ends, at, most)
            yield stretch
            self._is_cut = self._is_cut or (stretch.is_cut and bool(runs))
            at, most = stretch.next, min(2 * most, 1024)

    def _has_marker(self, tree: StoreTree, run: str, blob: Oid) -> bool:
        return any(tree.oid(StoredRef(f"{run}/status/{status}")) == blob for status in _OUTCOMES)

    def _search(self, start: Oid, runs: set[str]) -> list[Event]:
        """The events of some runs, which ended in a commit or in one before it."""
        return [event for stretch in self._while_there(start, runs) for event in self._events(stretch, runs)]

    def _made(
        self,
        commit: Commit,
        changes: list[FileChange],
        directories: Directories,
        ended: dict[str, tuple[str, Oid]],
    ) -> list[Event]:
        """The events of the runs that ended in a commit that made them end."""
        after = self._tree_of(commit.root)
        files = {path: (old, new) for _, old, new, path in changes}
        markers = self._repository.blobs(blob for _, blob in ended.values())
        cells: dict[tuple[str, str], list[Event]] = {}
        for run, (outcome, blob) in ended.items():
            release, _, rest = lenient.split_work(run)
            environment, package = rest.partition("/")[0], release.rpartition("/")[0]
            self._know(after, directories, _AFTER, release)
            self._know(after, directories, _AFTER, run)
            marker = lenient.fields(_body(markers[blob]))
            ended_at = parse_seconds(marker.get("time"))
            time = commit.committer.time if ended_at is None else ended_at
            running = files.get(f"{self._directory}{object_path(StoredRef(f'{run}/status/{RUNNING}'))}")
            document = lenient.body(after, run)
            type_ = lenient.text(lenient.fields(document).get("type"))
            began = self._began(after, run, document, running[0] if running is not None else None)
            if outcome == CANCELLED and began is None:
                continue  # it was never begun
            took = None if began is None or ended_at is None else max(0.0, round(ended_at - began, 6))
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
                *_origin(commit, marker),
            )
            cells.setdefault(event.cell, []).append(event)
        before: StoreTree | None = self._tree(commit.parents[0]) if commit.parents else None
        for (package, environment), events in cells.items():
            events.sort(key=lambda event: event.time)
            if before is not None:
                self._know(before, directories, _BEFORE, package)
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
        return self._tree_of(self._repository.root(oid))

    def _tree_of(self, root: Node) -> StoreTree:
        repository = self._repository
        return StoreTree(repository, node_at(repository, root, self._directory.rstrip("/")), self._layout)

    def _know(self, tree: StoreTree, directories: Directories, side: int, ref: str) -> None:
        """Let a tree know the directory of a ref, where the commit has changed it: it lies a dozen below the top."""
        path = f"{REFS}/{ref}"
        oid = directories.ids(self._directory + path)[side]
        if oid != ABSENT:
            tree.know(path, self._repository.tree(oid))

    def _began(self, tree: StoreTree, run: str, document: Document, running: Oid | None) -> float | None:
        """When a run was first set running, in seconds since the epoch; None where nothing says so.

        `document` is that of the run, `running` the blob of the marker that said until now that it runs.
        """
        for step in lenient.steps_of(tree, run, document):
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
            self._sources[release] = lenient.line(lenient.fields(lenient.body(tree, release)).get("commit"))
        return self._sources[release]


def _origin(commit: Commit, marker: Fields) -> tuple[str, str, str]:
    """Actor, run and reason of a change by its commit; its author, where nothing was written down of who asked for it.

    Where a commit holds the changes of several, and they do not agree, the run's marker says whose it is of them. Where
    it has no reason, the marker may have the one for which the run was asked for.
    """
    operations = operations_of(commit.message)
    actor, run, reason = agreed_origin(operations).values()
    if actor is None and any(operation.origin.actor for operation in operations):
        own = (marker.get("actor"), marker.get("run"))
        origins = (operation.origin for operation in operations)
        of_own = [origin for origin in origins if (origin.actor, origin.run) == own]
        if of_own:
            actor, run, reason = of_own[0].values()
    elif actor is None:
        actor = f"{commit.author.name} <{commit.author.email}>"
    if reason is None:
        reason = Origin.kept(None, None, lenient.line(marker.get("reason"))).reason
    return lenient.line(actor), lenient.line(run), lenient.line(reason)


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
