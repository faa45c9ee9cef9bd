"""What history says of deployments that documents do not: what `fsck` names of it (design 12, 13).

That is runs that were started past gates or holds, and links to what is deployed that somebody moved by hand.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

from ..formats.refs import STATE
from ..formats.times import format_seconds
from ..git.objects import ObjectError
from ..git.program import GitError
from ..store.fsck import Finding
from ..store.history import commits
from . import lenient
from .addresses import RunRef, package_of
from .past_gates import StartJudge
from .problems import BAD
from .run_queries import deployed, read_run
from .vocabulary import COMPLETE, DEPLOY, DOWN, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..git.objects import Commit, Oid
    from ..git.repository import Repository
    from ..store.snapshot import Snapshot
    from .past_gates import Marker

_BATCH: Final = 1024
"""Commits that are compared at once."""


def check_history(snapshot: Snapshot, since: Snapshot | None = None) -> Iterator[Finding]:
    """The runs that were started while a gate was closed to them, or their release was held, and the links that lead to
    something else than what was deployed last; by the commits after `since`, where it is given.

    No more is known than the history that is here tells. Where intents lie in another place, what state says counts.
    """
    backend, _ = snapshot.backend_of(snapshot.side("state"))
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None:
        return
    last = since.version(backend).oid if since is not None else None
    judge = StartJudge(snapshot)
    ended = LastEnded()
    for commit, markers in _changed_markers(snapshot, judge, repository, _commits_until(repository, tip, last)):
        ended.meet(commit, markers)
        before = repository.root(commit.parents[0])
        started = judge.begun(before, markers)
        if not started:
            continue
        at = f"it was started at {format_seconds(float(commit.committer.time))} (commit {commit.oid[:12]})"
        for run, names in judge.passed(commit, before, started):
            for name in names:
                yield Finding("warning", run, f"{at} past gate '{name}'")
        for run in judge.asked(commit, before, started):
            for name in judge.unapproved(commit, before, run) or ():
                yield Finding("warning", run, f"{at} past gate '{name}'")
        for run, hold in judge.held(commit, before, started):
            yield Finding("warning", run, f"{at}, though its release was {hold.words}")
    yield from ended.moved_links(snapshot)


def _commits_until(repository: Repository, start: Oid, last: Oid | None) -> Iterator[Commit]:
    """The commits from one to another, which is left out, whose parents are here; newest first."""
    ends = repository.history_ends()
    try:
        for commit in commits(repository, start):
            if commit.oid == last or commit.oid in ends or not commit.parents:
                return
            yield commit
    except ObjectError:
        return  # history cannot be read any further


def _changed_markers(
    snapshot: Snapshot, judge: StartJudge, repository: Repository, found: Iterator[Commit]
) -> Iterator[tuple[Commit, list[Marker]]]:
    """Those of some commits that changed markers of deployments, with these."""
    changes = snapshot.surroundings.tree_changes(repository)
    while batch := list(islice(found, _BATCH)):
        steps = [(repository.header(commit.parents[0])[0], repository.oid(commit.root)) for commit in batch]
        try:
            compared = list(changes.of(steps, judge.is_marker))
        except GitError:
            yield from _changed_one_by_one(judge, repository, batch)
            continue
        for commit, files in zip(batch, compared, strict=True):
            if files:
                named = [(letter.decode(), path.decode(errors="surrogateescape")) for letter, _, _, path in files]
                yield commit, [judge.marker(*one) for one in named]


def _changed_one_by_one(
    judge: StartJudge, repository: Repository, batch: Iterable[Commit]
) -> Iterator[tuple[Commit, list[Marker]]]:
    """As `_changed_markers`, where some tree cannot be read and git compares nothing: but for what changed in that."""
    for commit in batch:
        with suppress(ObjectError):
            markers = judge.markers(repository.root(commit.parents[0]), commit.root)
            if markers:
                yield commit, markers


class LastEnded:
    """The runs that completed last in each environment, from commits that are met newest first.

    A link that says what is deployed moves when a run completes. One that leads elsewhere was moved by hand: nobody
    deployed by that, and nothing else tells it of what stands now.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[Commit, list[RunRef]]] = {}

    def meet(self, commit: Commit, markers: Iterable[Marker]) -> None:
        for letter, ref, status in markers:
            if letter != "A" or status != COMPLETE:
                continue
            release, _, rest = lenient.split_work(ref)
            last, runs = self._last.setdefault((package_of(release), rest.partition("/")[0]), (commit, []))
            if last is commit:
                with suppress(*BAD):
                    runs.append(RunRef.parse(ref))

    def moved_links(self, snapshot: Snapshot) -> Iterator[Finding]:
        """What is deployed now and did not come there by a run. Where the documents do not say it, nothing."""
        for (package, environment), (commit, runs) in self._last.items():
            with suppress(*BAD):
                what = _moved(snapshot, runs, deployed(snapshot, package, environment))
                if what is not None:
                    where = f"{package}/{STATE}/{DEPLOY}/{environment}"
                    at = format_seconds(float(commit.committer.time))
                    yield Finding("warning", where, f"{what} at {at} (commit {commit.oid[:12]})")


def _moved(snapshot: Snapshot, runs: list[RunRef], now: RunRef | None) -> str | None:
    """What is wrong with what is deployed `now`, given the runs that completed there last; None for nothing.

    Runs that were taken back since, or pruned, decide nothing. What takes down one release leaves another as it is.
    """
    if not all(snapshot.exists(run.status(COMPLETE)) for run in runs):
        return None
    types = {run: read_run(snapshot, run).type for run in runs}
    up = [run for run in runs if types[run] == UP]
    down = [run for run in runs if types[run] == DOWN]
    if now in up or (now is None and down):
        return None
    leads = f"leads to '{now}'" if now is not None else "is missing"
    if up and not down:
        return f"{leads}, though '{up[-1]}' was the last to be deployed there,"
    if now is not None and now.work in [run.work for run in down] and not up:
        return f"{leads}, though '{down[-1]}' took it down"
    return None
