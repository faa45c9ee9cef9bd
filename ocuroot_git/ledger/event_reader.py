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
from ..delivery.vocabulary import CANCELLED, COMPLETE, DEPLOY, DOWN, PAUSED, RUNNING, UP
from ..formats.commit_message import agreed_origin, operations_of
from ..formats.layout import Damaged, StoredObject, StoredRef, object_path
from ..formats.operation import Origin
from ..formats.refs import STATE
from ..formats.times import parse_seconds
from ..git.objects import Oid
from ..git.tree_changes import NONE
from ..store.tree import StoreTree
from .events import Chunk, Event
from .files_in_time import FilesInTime, target_of
from .markers import OUTCOMES, Markers, ended_in, may_end
from .stretches import stretch_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from ..delivery.fields import Fields
    from ..formats.layout import Layout
    from ..git.objects import Commit
    from ..git.repository import Repository
    from ..git.tree_changes import FileChange, TreeChanges
    from .markers import Ended, Marker
    from .stretches import Stretch

_BEGUN: Final = (RUNNING, PAUSED)
_FEW: Final = 4
"""Commits that are compared here: to start git takes as long as that."""


class EventReader:
    """Reads the events of stretches of history, of a store that lies at a directory (`state/`, or empty)."""

    def __init__(self, repository: Repository, layout: Layout, directory: str, changes: TreeChanges) -> None:
        self._repository = repository
        self._layout = layout
        self._directory = directory
        self._changes = changes
        self._ends = repository.history_ends()
        self._is_cut = False
        """Whether what was looked for in the present stretch may lie beyond the end of what is here."""
        self.markers = Markers(layout, directory)

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
        self._repository.prepare_walk()
        return stretch_from(self._repository, self._ends, start)

    def few(self, start: Oid, most: int) -> Stretch:
        """So many commits from one on; fewer, where its stretch has fewer."""
        return stretch_from(self._repository, self._ends, start, most, within=True)

    def before(self, start: Oid, end: Oid, most: int) -> Stretch:
        """The commits from one on that come before another, or so many of them."""
        return stretch_from(self._repository, self._ends, start, most, until=end)

    def chunk(self, stretch: Stretch) -> Chunk:
        """The events of a stretch. Raises ObjectError for what cannot be read, GitError where git fails."""
        return next(self.chunks([stretch]))

    def chunks(self, stretches: Sequence[Stretch], *, briefly: bool = False) -> Iterator[Chunk]:
        """As `chunk`, of stretches that follow each other, which are read together; the newest comes first.

        `briefly`: without all that only people are told. Of an event that is by whom, why and how long; and what the
        stretch leaves under way.
        """
        self._repository.prepare_walk()
        past = _Past(self, stretches)
        at = 0
        for stretch in stretches:
            count = len(stretch.commits)
            self._is_cut = stretch.is_cut
            begun: list[Event] = []
            events = self._events(past, range(at, at + count), None if briefly else begun, briefly=briefly)
            newest = float(max([stretch.newest, *(event.time for event in events)]))
            yield Chunk(events, begun, stretch.next, newest, count, is_cut=self._is_cut)
            at += count

    def _events(
        self,
        past: _Past,
        numbers: range,
        begun: list[Event] | None,
        only: set[str] | None = None,
        *,
        briefly: bool = False,
    ) -> list[Event]:
        """The events of some commits, newest first; `only` of some runs, which are taken out of the set.

        What these commits leave under way is added to `begun`.
        """
        found = []
        later: set[str] = set()
        for at in numbers:
            if begun is None and not past.may_end(at):
                continue
            ended = ended_in(past.markers(at))
            if only is not None:
                ended = {run: marker for run, marker in ended.items() if run in only}
                only -= ended.keys()
            if begun is not None:
                self._note_begun(past, at, begun, later)
                later |= ended.keys()
            if ended:
                found += self._events_of(past, at, ended, only, briefly=briefly)
        return found

    def _note_begun(self, past: _Past, at: int, begun: list[Event], later: set[str]) -> None:
        """Take note of the runs that a commit set running or paused, and nothing came of `later`; they are added there.

        Who began what a merge brings is not looked for: a run of this program's says it in its marker.
        """
        new = {
            run: (status, blob)
            for letter, run, status, blob in past.markers(at)
            if letter == b"A" and status in _BEGUN and run not in later
        }
        later |= new.keys()
        oid, parents = past.commits[at]
        if not new or len(parents) > 1:
            return
        commit = self._repository.commit(oid)
        for run, (status, blob) in new.items():
            release, _, rest = lenient.split_work(run)
            marker = self._fields_of(blob)
            began_at = parse_seconds(marker.get("time"))
            time = float(commit.committer.time if began_at is None else began_at)
            package, environment = release.rpartition("/")[0], rest.partition("/")[0]
            place = (package, environment, "", release, "", status, None, run, commit.oid, "", "")
            begun.append(Event(time, *place, *_origin(commit, marker)))

    def _fields_of(self, blob: bytes) -> Fields:
        """What the marker in a blob says. Raises ObjectError."""
        try:
            return lenient.fields(StoredObject.read(self._repository.blob(Oid(blob.decode())), "").body)
        except Damaged:
            return {}

    def changes_in(self, stretches: Sequence[Stretch]) -> list[list[FileChange]]:
        """What each commit of stretches that follow each other changed of deployments; where objects have to be
        fetched, with all that is read of them. Raises ObjectError, GitError."""
        commits = [commit for stretch in stretches for commit in stretch.commits]
        trees = [tree for stretch in stretches for tree in stretch.trees]
        if not commits:
            return []
        if self._repository.is_partial:
            from .event_prefetch import prefetch_documents, prefetch_trees

            for stretch in stretches:
                prefetch_trees(self._repository, stretch)
        parents = commits[-1][1]
        last = self._repository.header(parents[0])[0] if parents else None
        steps = list(zip([*trees[1:], last], trees))
        if len(steps) <= _FEW and not self._repository.is_partial:
            return [self._compared(*step) for step in steps]
        changes = list(self._changes.of(steps, self.markers.is_wanted))
        if self._repository.is_partial:
            ended = [
                (oid, runs) for (oid, _), some in zip(commits, changes) if (runs := ended_in(self.markers.among(some)))
            ]
            prefetch_documents(self._repository, self._directory, dict(commits), ended, target_of)
        return changes

    def _compared(self, old: Oid | None, new: Oid) -> list[FileChange]:
        """What git says of two trees, in its order."""
        from ..store.history import changed_files  # late: mostly git is asked

        files = self._repository
        found = []
        for path, was, is_now in changed_files(files, files.tree(old) if old is not None else None, files.tree(new)):
            raw_path = path.encode(errors="surrogateescape")
            if self.markers.is_wanted(raw_path):
                letter = b"A" if was is None else b"D" if is_now is None else b"M"
                before, after = (NONE if node is None else files.oid(node).encode() for node in (was, is_now))
                found.append((letter, before, after, raw_path))
        return sorted(found, key=lambda change: change[3])

    def _events_of(self, past: _Past, at: int, ended: Ended, only: set[str] | None, *, briefly: bool) -> list[Event]:
        """The events of the runs that ended in a commit, newest first; those of a merge as its other parents tell.

        Those that had ended before are told there; in `only` they stay to be looked for.
        """
        found = []
        parents = past.commits[at][1]
        for parent in parents[1:]:
            there = self.tree(parent)
            brought = {run for run, (_, blob) in ended.items() if self._has_marker(there, run, blob)}
            if brought:
                ended = {run: marker for run, marker in ended.items() if run not in brought}
                found += self._search(parent, brought, briefly=briefly)
        again = self._put_back(past, at, ended)
        if again:
            ended = {run: marker for run, marker in ended.items() if run not in again}
            if only is not None:
                only |= again
        if ended:
            found = self._made(past, at, ended, briefly=briefly) + found
        return found

    def _put_back(self, past: _Past, at: int, ended: Ended) -> set[str]:
        """Of the runs that ended in a commit those that had ended before: somebody took the marker away by hand.

        Looked for where the run was there with no status at all, unless what it executed says that it was not over.
        Other programs write each document in a commit of its own, so that this alone does not say it.
        """
        had_status = {run for letter, run, _, _ in past.markers(at) if letter == b"D"}
        odd = set(ended) - had_status
        parents = past.commits[at][1]
        if not odd or not parents:
            return set()
        odd = {run for run in odd if self._may_be_over(past, at + 1, run)}
        return odd - self._not_ended(parents[0], odd)

    def _may_be_over(self, past: _Past, at: int, run: str) -> bool:
        if past.files.blob(self._path(run), at) is None:
            return False
        steps = self._steps(past, at, run)
        return not steps or steps[-1]["status"] in OUTCOMES

    def _not_ended(self, start: Oid, runs: set[str]) -> set[str]:
        """Which of some runs have ended neither in a commit nor in one before it."""
        missing = set(runs)
        for stretch in self._while_there(start, missing):
            for changes in self.changes_in([stretch]):
                missing -= ended_in(self.markers.among(changes)).keys()
        return missing

    def _while_there(self, start: Oid, runs: set[str]) -> Iterator[Stretch]:
        """Longer and longer stretches from a commit on, as long as there are runs, and one of them was there."""
        at: Oid | None = start
        most = 16
        while at is not None and runs:
            tree = self.tree(at)
            if all(tree.oid(StoredRef(run)) is None for run in runs):
                return
            stretch = stretch_from(self._repository, self._ends, at, most)
            yield stretch
            self._is_cut = self._is_cut or (stretch.is_cut and bool(runs))
            at, most = stretch.next, min(2 * most, 1024)

    def _has_marker(self, tree: StoreTree, run: str, blob: Oid) -> bool:
        return any(tree.oid(StoredRef(f"{run}/status/{status}")) == blob for status in OUTCOMES)

    def _search(self, start: Oid, runs: set[str], *, briefly: bool) -> list[Event]:
        """The events of some runs, which ended in a commit or in one before it."""
        found = []
        for stretch in self._while_there(start, runs):
            past = _Past(self, [stretch])
            found += self._events(past, range(len(past.commits)), None, runs, briefly=briefly)
        return found

    def _made(self, past: _Past, at: int, ended: Ended, *, briefly: bool) -> list[Event]:
        """The events of the runs that ended in a commit that made them end."""
        files = past.files
        oid, parents = past.commits[at]
        commit: Commit | None = None
        cells: dict[tuple[str, str], list[Event]] = {}
        for run, (outcome, blob) in ended.items():
            release, _, rest = lenient.split_work(run)
            environment, package = rest.partition("/")[0], release.rpartition("/")[0]
            marker = self._fields_of(blob.encode())
            time = ended_at = parse_seconds(marker.get("time"))
            if commit is None and (time is None or not briefly):
                commit = self._repository.commit(oid)
            if time is None:
                assert commit is not None
                time = commit.committer.time
            began = None if briefly and outcome != CANCELLED else self._began(past, at, run)
            if outcome == CANCELLED and began is None:
                continue  # it was never begun
            took = None if began is None or ended_at is None else max(0.0, round(ended_at - began, 6))
            type_ = files.text(self._path(run), at, "type")
            event = Event(
                float(time),
                package,
                environment,
                type_ if type_ in (UP, DOWN) else UP,
                release,
                "",
                outcome,
                None if briefly else took,
                run,
                oid,
                self._source(past, at, release),
                "",
                *(("", "", "") if briefly or commit is None else _origin(commit, marker)),
            )
            cells.setdefault(event.cell, []).append(event)
        for (package, environment), events in cells.items():
            events.sort(key=lambda event: event.time)
            current = self._deployed(past, at + 1, f"{package}/{STATE}/{DEPLOY}/{environment}") if parents else ""
            for event in events:
                event.before = current
                event.source_before = self._source(past, at + 1 if parents else at, current) if current else ""
                if event.outcome == COMPLETE:
                    current = event.release if event.type == UP else ""
        return sorted((event for events in cells.values() for event in events), key=lambda event: -event.time)

    def tree(self, oid: Oid) -> StoreTree:
        """The store as it was at a commit."""
        repository = self._repository
        root = repository.root(oid)
        return StoreTree(repository, node_at(repository, root, self._directory.rstrip("/")), self._layout)

    def files_in(self, commits: Sequence[Oid], changes: list[list[FileChange]]) -> FilesInTime:
        """The files of a store at commits that follow each other, from what these changed."""
        return FilesInTime(self._repository, commits, changes, self.tree, self._directory)

    def _path(self, ref: str) -> str:
        return f"{self._directory}{object_path(StoredRef(ref))}"

    def _began(self, past: _Past, at: int, run: str) -> float | None:
        """When a run that ended was first set running, in seconds since the epoch; None where nothing says so."""
        for step in self._steps(past, at, run):
            if step["status"] == RUNNING:
                return parse_seconds(step["time"])
        path = self._path(f"{run}/status/{RUNNING}")
        until_now = past.files.blob(path, at + 1)
        if until_now is None or until_now == past.files.blob(path, at):
            return None
        return parse_seconds(lenient.fields(past.files.body_of(until_now)).get("time"))

    def _steps(self, past: _Past, at: int, run: str) -> list[Fields]:
        """The moments of the statuses of a run at a commit."""
        return lenient.first_steps(
            run,
            past.files.body(self._path(run), at),
            lambda ref: past.files.body(self._path(ref), at),
            lambda ref: lenient.names(self.tree(past.commit_at(at)), ref),
        )

    def _deployed(self, past: _Past, at: int, link: str) -> str:
        """The release that a link says is deployed, as a stored ref; empty for none."""
        target = past.files.target(self._path(link), at)
        release, word, _ = lenient.split_work(target)
        if word != DEPLOY or past.files.text(self._path(target), at, "type") == DOWN:
            return ""
        return release

    def _source(self, past: _Past, at: int, release: str) -> str:
        """The commit that a release is of; empty where that is not known."""
        return lenient.line(past.files.text(self._path(release), at, "commit"))


class _Past:
    """Commits that follow each other: what each changed of the markers of deployments, and the files at each."""

    def __init__(self, reader: EventReader, stretches: Sequence[Stretch]) -> None:
        self._finder = reader.markers
        self._markers: dict[int, list[Marker]] = {}
        self._changes = reader.changes_in(stretches)
        self.commits = [commit for stretch in stretches for commit in stretch.commits]
        self.files = reader.files_in([oid for oid, _ in self.commits], self._changes)

    def may_end(self, at: int) -> bool:
        """Whether a commit gave anything a marker as one has that is over."""
        return may_end(self._changes[at])

    def markers(self, at: int) -> list[Marker]:
        """What a commit changed of the markers of deployments."""
        if at not in self._markers:
            self._markers[at] = self._finder.among(self._changes[at])
        return self._markers[at]

    def commit_at(self, at: int) -> Oid:
        """A commit by its number; the last is the parent of the oldest."""
        return self.commits[at][0] if at < len(self.commits) else self.commits[-1][1][0]


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
