"""Runs that were started past a closed gate, by a program that does not look at gates (design 13): what `fsck` names.

Whoever reads judges, not who writes: each commit that set a deployment running is held against the gates as they were
in the commit before it, at the moment that the run names and at that of the commit.
"""

from __future__ import annotations

from ..backends.base import Version, node_at
from ..formats.layout import REFS
from ..formats.times import format_seconds, parse_seconds
from ..git.objects import ObjectError
from ..store.fsck import Finding
from ..store.history import changed_refs, commits
from ..store.snapshot import Snapshot
from .addresses import RunRef, gate_ref
from .gates import Gates
from .problems import BAD
from .queries import read_function, read_run
from .vocabulary import APPROVE, DEPLOY, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..backends.base import Backend
    from ..git.objects import Commit, Node
    from ..git.repository import Repository

_MOST: Final = 20_000
"""Commits made while there were gates that are looked into, the newest."""
_END: Final = f"/status/{RUNNING}"


def starts_past_gates(snapshot: Snapshot, since: Snapshot | None = None) -> Iterator[Finding]:
    """The runs that were started while a gate was closed to them, newest first; those after `since`, where it is given.

    No more is known than the history that is here tells. Where intents lie in another place, the gates in state count.
    """
    state = snapshot.side("state")
    backend, directory = snapshot.backend_of(state)
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None:
        return
    last = since.version(backend).oid if since is not None else None
    heads = [directory + REFS + "/" + gate_ref(marker) for marker in "@+"]
    looked_at = 0
    try:
        for commit in commits(repository, tip):
            if commit.oid == last or not commit.parents:
                return
            before = repository.root(commit.parents[0])
            if not any(_is_there(snapshot, before, head) for head in heads):
                continue
            looked_at += 1
            if looked_at > _MOST:
                yield Finding("warning", commit.oid, "whether runs were started past gates before it was not looked at")
                return
            yield from _judge(snapshot, repository, backend, directory, commit, before)
    except ObjectError:
        return  # where the history of a shallow clone ends


def _is_there(snapshot: Snapshot, root: Node, path: str) -> bool:
    return node_at(snapshot.side("state").files, root, path) is not None


def _judge(
    snapshot: Snapshot, repository: Repository, backend: Backend, directory: str, commit: Commit, before: Node
) -> Iterator[Finding]:
    state = snapshot.side("state")
    started = [
        state.layout.shown(stored)
        for letter, stored in changed_refs(state.files, before, commit.root, directory)
        if letter == "A" and stored.endswith(_END) and f"/{DEPLOY}/" in stored and "/functions/" not in stored
    ]
    if not started:
        return
    then = Snapshot(snapshot.surroundings, {**snapshot.versions, backend: Version(commit.parents[0], before)})
    after = Snapshot(snapshot.surroundings, {**snapshot.versions, backend: Version(commit.oid, commit.root)})
    for ref in started:
        try:
            yield from _judge_start(then, after, RunRef.parse(ref.removesuffix(_END)), commit)
        except BAD:
            continue  # it is named as what cannot be read


def _judge_start(then: Snapshot, after: Snapshot, run: RunRef, commit: Commit) -> Iterator[Finding]:
    type_, history = read_run(after, run).type, read_function(after, run).history
    marker = after.get(run.status(RUNNING), None)
    moment = parse_seconds(marker.get("time")) if isinstance(marker, dict) else None
    moments = {float(commit.committer.time), moment if moment is not None else float(commit.committer.time)}
    override = history[-1].get("override") if history else None
    by = override.get("by") if isinstance(override, dict) else None
    found = [_closed(then, run, type_, moment, by) for moment in moments]
    for name in sorted(set.intersection(*found)):
        when = format_seconds(float(commit.committer.time))
        yield Finding("warning", run.ref, f"it was started at {when} (commit {commit.oid[:12]}) past gate '{name}'")


def _closed(then: Snapshot, run: RunRef, type_: str, moment: float, by: object) -> set[str]:
    """The names of the gates that were closed to a run at a moment, but for those that let `by` pass."""
    gates = Gates(then, moments=[moment])
    if not then.has_intent() or then.backend_of(then.side("intent"))[0] != then.backend_of(then.side("state"))[0]:
        gates.sides = [[gate for gate in gates.sides[0] if gate.kind != APPROVE]]
    return {closure.name for closure in gates.closures(run.work, type_) if by not in closure.actors}
