"""Runs that were started past a closed gate, or of a release that was held, by a program that looks at neither
(design 13).

Whoever reads judges, not who writes: each commit that set a deployment running is held against the gates and holds as
they were in the commit before it, gates at the moment that the run names and at that of the commit.
"""

from __future__ import annotations

from contextlib import suppress

from ..backends.base import Version, node_at
from ..formats.commit_message import operations_of
from ..formats.layout import OBJECT_FILE, REFS, StoredRef, object_path
from ..formats.times import parse_seconds
from ..store.history import changed_paths
from ..store.snapshot import Snapshot
from .addresses import RunRef
from .approvals import only_added
from .gates import Gates
from .gates_there import GatesThere
from .holds import hold_on, may_be_held
from .problems import BAD
from .queries import has_one_history
from .run_queries import read_function, read_run
from .vocabulary import APPROVE, COMPLETE, DEPLOY, FAILED, PAUSED, PENDING, RUNNING, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from ..git.objects import Commit, Node
    from .fields import Fields
    from .holds import Hold

    Marker = tuple[str, str, str]
    """A letter as git's `--name-status` has it (A, M, D), the run (a stored ref), and the status that it says."""

_BEGUN: Final = (RUNNING, PAUSED, COMPLETE, FAILED)
"""The statuses of which a run has one once it was started."""
_MARKER: Final = "/status/"
_MARKERS: Final = {f"{status}/{OBJECT_FILE}".encode() for status in _BEGUN}


class StartJudge:
    """Says of commits of the state store which runs they set running past gates, by the gates of the commit before.

    With `trusts`, approvals are taken at their word: no commit is asked who wrote them, or who wrote the release.
    """

    def __init__(self, snapshot: Snapshot, *, trusts: bool = False) -> None:
        self._snapshot = snapshot
        self._trusts = trusts
        self._state = snapshot.side("state")
        self._backend, self._directory = snapshot.backend_of(self._state)
        self._knows_intents = has_one_history(snapshot)
        self._gates = GatesThere(self._state.files, self._directory)

    def is_marker(self, path: bytes) -> bool:
        """Whether a path may be that of a marker that says that a run of a deployment has begun."""
        head, _, tail = path.rpartition(_MARKER.encode())
        return (
            tail in _MARKERS
            and head.startswith(f"{self._directory}{REFS}/".encode())
            and f"/{DEPLOY}/".encode() in head
            and b"/functions/" not in head
        )

    def started(self, before: Node, after: Node) -> list[str]:
        """The runs of deployments (stored refs) that are set running in one tree and were not in the one before."""
        return self.begun(before, self.markers(before, after))

    def markers(self, before: Node, after: Node) -> list[Marker]:
        """The markers of runs of deployments that differ between two trees."""
        files = self._state.files
        heads = [node_at(files, root, self._directory + REFS) for root in (before, after)]
        changes = ((letter, f"{self._directory}{REFS}/{path}") for letter, path in changed_paths(files, *heads))
        return [
            self.marker(letter, path)
            for letter, path in changes
            if self.is_marker(path.encode(errors="surrogateescape"))
        ]

    def marker(self, letter: str, path: str) -> Marker:
        """What has changed, by the letter and the path of the file of a marker."""
        run, _, status = path.removesuffix(f"/{OBJECT_FILE}").rpartition(_MARKER)
        return letter, run[len(self._directory) + len(REFS) + 1 :], status

    def begun(self, before: Node, markers: Sequence[Marker]) -> list[str]:
        """The runs that have begun by changes of markers; they may be over as well by then.

        Other programs write each document in a commit of its own, so that a run may have no marker between two. One
        that is over was begun before, unless it was pending just now, or was not there at all.
        """
        had_begun = {run for letter, run, _ in markers if letter == "D"}
        found = []
        for letter, run, status in markers:
            if letter != "A" or run in found:
                continue
            if status == RUNNING or (run not in had_begun and self._had_not_begun(before, run)):
                found.append(run)
        return found

    def _had_not_begun(self, before: Node, run: str) -> bool:
        def has(stored: str) -> bool:
            path = self._directory + object_path(StoredRef(stored))
            return node_at(self._state.files, before, path) is not None

        if has(f"{run}{_MARKER}{PENDING}"):
            return True
        return not has(run) and not any(has(f"{run}{_MARKER}{status}") for status in _BEGUN)

    def passed(
        self, commit: Commit, before: Node, started: Sequence[str] | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        """The runs that a commit set running past gates, each with the names of those; `before` is the tree of the
        commit before. Runs are named as the store spells them; what cannot be read is left out: others name it.

        `started` are the runs that it set running, where these are known.
        """
        started = self.started(before, commit.root) if started is None else started
        if not started or not self._gates.are_in(before):
            return
        then, after = self._around(commit, before)
        for ref in started:
            with suppress(*BAD):
                names = self._passed_by(then, after, RunRef.parse(ref), commit)
                if names:
                    yield ref, names

    def asked(self, commit: Commit, before: Node, started: Sequence[str]) -> Iterator[str]:
        """Of the runs that a commit set running those that needed approvals which lie in another place: `passed` does
        not judge these, as the commit does not tell them."""
        if self._knows_intents or not started or not self._gates.are_in(before):
            return
        gates = Gates(self._around(commit, before)[0], moments=[float(commit.committer.time)])
        for ref in started:
            with suppress(*BAD):
                if gates.asks_for_approval(RunRef.parse(ref).work):
                    yield ref

    def unapproved(self, commit: Commit, before: Node, ref: str) -> list[str] | None:
        """The names of the gates that asked for approvals which a run did not have when a commit set it running, where
        these lie in another place; None where that is not known.

        What is there now counts, at the moment that it names. It says nothing of then where any was changed since.
        """
        try:
            run = RunRef.parse(ref)
            names = self._passed_by(*self._around(commit, before), run, commit, of_approval=True)
            return names if not names or only_added(self._snapshot, run.work) else None
        except BAD:
            return None

    def held(self, commit: Commit, before: Node, started: Sequence[str]) -> Iterator[tuple[str, Hold]]:
        """Of the runs that a commit set running those of releases that were held in the commit before, with the hold.

        What is taken down is not held.
        """
        for ref in started:
            with suppress(*BAD):
                run = RunRef.parse(ref)
                if not may_be_held(self._snapshot, run.work.release, only_state=not self._knows_intents, root=before):
                    continue
                then = self._at(Version(commit.parents[0], before))
                hold = hold_on(then, run.work.release, only_state=not self._knows_intents)
                if hold is not None and read_run(self._at(Version(commit.oid, commit.root)), run).type == UP:
                    yield ref, hold

    def _around(self, commit: Commit, before: Node) -> tuple[Snapshot, Snapshot]:
        """The stores before a commit of state, and after it."""
        return self._at(Version(commit.parents[0], before)), self._at(Version(commit.oid, commit.root))

    def _at(self, version: Version) -> Snapshot:
        return Snapshot(self._snapshot.surroundings, {**self._snapshot.versions, self._backend: version})

    def _passed_by(
        self, then: Snapshot, after: Snapshot, run: RunRef, commit: Commit, *, of_approval: bool = False
    ) -> list[str]:
        """The names of the gates that were closed to a run, at the moment that it names and at that of the commit."""
        type_, history = read_run(after, run).type, read_function(after, run).history
        began = next((step for step in reversed(history) if step.get("status") == RUNNING), {})
        made = float(commit.committer.time)
        override = began.get("override")
        by = override.get("by") if isinstance(override, dict) else None
        by = by if by in _actors_of(commit) else None  # else anybody could write there whom a gate lets pass
        moments = {made, self._said(after, run, began) or made}
        return sorted(set.intersection(*(self._closed(then, run, type_, one, by, of_approval) for one in moments)))

    def _said(self, after: Snapshot, run: RunRef, began: Fields) -> float | None:
        """When a run began, as it says: where it is over by now, at the latest."""
        markers = [after.get(run.status(status), None) for status in _BEGUN]
        times = [one.get("time") for one in (markers[0], began, *markers[1:]) if isinstance(one, dict)]
        return next((moment for time in times if (moment := parse_seconds(time)) is not None), None)

    def _closed(
        self, then: Snapshot, run: RunRef, type_: str, moment: float, by: object, of_approval: bool
    ) -> set[str]:
        """The names of the gates that were closed to a run at a moment, but for those that let `by` pass.

        Where intents lie in another place, of those gates that ask for approvals, or of the others.
        """
        gates = Gates(then, moments=[moment], trusts=self._trusts)
        if not self._knows_intents:
            gates.sides = [[gate for gate in gates.sides[0] if (gate.kind == APPROVE) == of_approval]]
        return {closure.name for closure in gates.closures(run.work, type_) if by not in closure.actors}


def _actors_of(commit: Commit) -> set[str]:
    """Who asked for what a commit did: as its trailers say, else its author."""
    actors = {operation.origin.actor for operation in operations_of(commit.message)}
    return {actor for actor in actors if actor} or {f"local:{commit.author.email or commit.author.name}"}
