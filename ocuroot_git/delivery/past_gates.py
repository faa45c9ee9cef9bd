"""Runs that were started past a closed gate, by a program that does not look at gates (design 13): what `fsck` names.

Whoever reads judges, not who writes: each commit that set a deployment running is held against the gates as they were
in the commit before it, at the moment that the run names and at that of the commit.
"""

from __future__ import annotations

from contextlib import suppress

from ..backends.base import Version, node_at
from ..formats.layout import REFS
from ..formats.refs import INTENT, STATE
from ..formats.times import format_seconds, parse_seconds
from ..git.objects import ObjectError
from ..store.fsck import Finding
from ..store.history import changed_refs, commits
from ..store.snapshot import Snapshot
from .addresses import RunRef, gate_ref
from .gates import Gates
from .problems import BAD
from .queries import has_one_history, read_function, read_run
from .vocabulary import APPROVE, DEPLOY, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..git.objects import Commit, Node

_MOST: Final = 20_000
"""Commits made while there were gates that are looked into, the newest."""
_END: Final = f"/status/{RUNNING}"


def starts_past_gates(snapshot: Snapshot, since: Snapshot | None = None) -> Iterator[Finding]:
    """The runs that were started while a gate was closed to them, newest first; those after `since`, where it is given.

    No more is known than the history that is here tells. Where intents lie in another place, the gates in state count.
    """
    backend, _ = snapshot.backend_of(snapshot.side("state"))
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None:
        return
    last = since.version(backend).oid if since is not None else None
    judge = StartJudge(snapshot)
    looked_at = 0
    try:
        for commit in commits(repository, tip):
            if commit.oid == last or not commit.parents:
                return
            before = repository.root(commit.parents[0])
            if not judge.has_gates(before):
                continue
            looked_at += 1
            if looked_at > _MOST:
                yield Finding("warning", commit.oid, "whether runs were started past gates before it was not looked at")
                return
            when = format_seconds(float(commit.committer.time))
            for run, names in judge.passed(commit, before):
                for name in names:
                    what = f"it was started at {when} (commit {commit.oid[:12]}) past gate '{name}'"
                    yield Finding("warning", run, what)
    except ObjectError:
        return  # where the history of a shallow clone ends


class StartJudge:
    """Says of commits of the state store which runs they set running past gates, by the gates of the commit before.

    With `trusts`, approvals are taken at their word: no commit is asked who wrote them, or who wrote the release.
    """

    def __init__(self, snapshot: Snapshot, *, trusts: bool = False) -> None:
        self._snapshot = snapshot
        self._trusts = trusts
        self._state = snapshot.side("state")
        self._backend, self._directory = snapshot.backend_of(self._state)
        self._counts_approvals = has_one_history(snapshot)
        self._known: dict[tuple[str, ...], bool] = {}

    def has_gates(self, root: Node) -> bool:
        """Whether there are gates in the tree of a commit."""
        files = self._state.files
        heads = [node_at(files, root, f"{self._directory}{REFS}/{marker}") for marker in (STATE, INTENT)]
        key = tuple("" if head is None else str(head.id) for head in heads)
        if key not in self._known:
            paths = [gate_ref(marker).removeprefix(f"{marker}/") for marker in (STATE, INTENT)]
            self._known[key] = any(
                head is not None and files.is_tree(head) and node_at(files, head, path) is not None
                for head, path in zip(heads, paths, strict=True)
            )
        return self._known[key]

    def started(self, before: Node, after: Node) -> list[str]:
        """The runs of deployments (stored refs) that are set running in one tree and were not in the one before."""
        return [
            str(stored.removesuffix(_END))
            for letter, stored in changed_refs(self._state.files, before, after, self._directory)
            if letter == "A" and stored.endswith(_END) and f"/{DEPLOY}/" in stored and "/functions/" not in stored
        ]

    def passed(self, commit: Commit, before: Node) -> Iterator[tuple[str, list[str]]]:
        """The runs that a commit set running past gates, each with the names of those; `before` is the tree of the
        commit before. Runs are named as the store spells them; what cannot be read is left out: others name it."""
        started = self.started(before, commit.root)
        if not started:
            return
        then = self._at(Version(commit.parents[0], before))
        after = self._at(Version(commit.oid, commit.root))
        for ref in started:
            with suppress(*BAD):
                names = self._passed_by(then, after, RunRef.parse(ref), commit)
                if names:
                    yield ref, names

    def _at(self, version: Version) -> Snapshot:
        return Snapshot(self._snapshot.surroundings, {**self._snapshot.versions, self._backend: version})

    def _passed_by(self, then: Snapshot, after: Snapshot, run: RunRef, commit: Commit) -> list[str]:
        """The names of the gates that were closed to a run, at the moment that it names and at that of the commit."""
        type_, history = read_run(after, run).type, read_function(after, run).history
        marker = after.get(run.status(RUNNING), None)
        moment = parse_seconds(marker.get("time")) if isinstance(marker, dict) else None
        made = float(commit.committer.time)
        override = history[-1].get("override") if history else None
        by = override.get("by") if isinstance(override, dict) else None
        moments = {made, made if moment is None else moment}
        return sorted(set.intersection(*(self._closed(then, run, type_, one, by) for one in moments)))

    def _closed(self, then: Snapshot, run: RunRef, type_: str, moment: float, by: object) -> set[str]:
        """The names of the gates that were closed to a run at a moment, but for those that let `by` pass."""
        gates = Gates(then, moments=[moment], trusts=self._trusts)
        if not self._counts_approvals:
            gates.sides = [[gate for gate in gates.sides[0] if gate.kind != APPROVE]]
        return {closure.name for closure in gates.closures(run.work, type_) if by not in closure.actors}
