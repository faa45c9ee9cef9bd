"""What is to be done: `work list`, and where `work any` takes it from (design 7)."""

from __future__ import annotations

from . import addresses, apply, claims, diff, failures, runs, vocabulary
from .addresses import RunRef
from .compare import has_environment_intents
from .gates import Gates
from .problems import BAD, BadDocument, Problems
from .queries import newest_number, read_release
from .run_queries import markers_of, read_claim, read_function, read_run, when_made
from .survey import ops, summary_of, unsettled_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..store.snapshot import Snapshot
    from .fields import Fields
    from .left_runs import Left
    from .model import Claim

READY: Final = "ready"
WAITING: Final = "waiting"
BLOCKED: Final = "blocked"
RUNNING: Final = "running"
FAILED: Final = "failed"


class QueueItem:
    """Something to be done: an `intent` to apply, an `op` to look at, or a `run`; its state, and what it waits for.

    `gates` are those of the reasons that are gates, which a person may open.

    A run that is running comes with its `claim`; one that failed is there until it is dealt with (see `failures`).
    """

    __slots__ = ("claim", "gates", "kind", "made", "reasons", "ref", "state", "type")

    def __init__(
        self,
        kind: str,
        ref: str,
        state: str,
        *,
        type: str = "",
        reasons: list[str] | None = None,
        made: str = "",
        claim: Claim | None = None,
        gates: list[str] | None = None,
    ) -> None:
        self.kind = kind
        self.ref = ref
        self.state = state
        self.type = type
        self.reasons = reasons or []
        self.made = made
        self.claim = claim
        self.gates = gates or []

    def to_document(self) -> Fields:
        known: Fields = {"kind": self.kind, "ref": self.ref, "state": self.state}
        if self.type:
            known["type"] = self.type
        if self.state == FAILED:
            known["retry"] = f"git ocuroot run retry {self.ref}"
        return {**known, "waits_for": self.reasons}


def items(snapshot: Snapshot, problems: Problems) -> list[QueueItem]:
    """All that is to be done, in the order in which `work any` would take it up: intents, ops, then runs by age."""
    items = _intent_items(snapshot, problems)
    for release, name in ops(snapshot, problems):
        known = name == vocabulary.CHECK_ENVIRONMENTS
        reasons = [] if known else ["a program that knows this op"]
        items.append(QueueItem("op", f"{release}/op/{name}", READY if known else BLOCKED, reasons=reasons))
    return items + run_items(snapshot, problems)


def commits_with_work(snapshot: Snapshot, problems: Problems) -> list[tuple[str, str]]:
    """The repositories and commits of releases of which a run or an op is ready, in the order of the work; and of those
    that are deployed with other inputs than they would be now."""
    from .redeploy import outdated
    from .run_queries import deployments

    found: dict[tuple[str, str], None] = {}
    for item in items(snapshot, problems):
        if item.state == READY and item.kind != "intent":
            release = item.ref.rpartition("/op/")[0] if item.kind == "op" else RunRef.parse(item.ref).work.release
            with problems.leave_out(release):
                found[release.partition("/-/")[0], read_release(snapshot, release).commit] = None
    for package, name in deployments(snapshot, problems):
        with problems.leave_out(f"{package}/@/deploy/{name}"):
            run = outdated(snapshot, package, name)
            if run is not None:
                found[package.partition("/-/")[0], read_release(snapshot, run.work.release).commit] = None
    return list(found)


def _intent_items(snapshot: Snapshot, problems: Problems) -> list[QueueItem]:
    """An intent is ready while `apply` would change something, and then waits for the runs that make it true."""
    applied = apply.dry_run(snapshot, None, strict=False)
    problems.update(applied.problems)
    acted = {difference.ref for difference in applied.acted}
    items = []
    if has_environment_intents(snapshot):
        from .overdue import expired  # late: many stores have none

        for ref, moment in expired(snapshot).items():
            items.append(QueueItem("intent", ref, READY, type="D", reasons=[f"it expired at {moment}"]))
    for difference in diff.differences(snapshot, Problems()):
        state, reasons = (WAITING, ["its runs"])
        if difference.ref in acted:
            state, reasons = READY, []
        elif difference.kind == vocabulary.DEPLOY and difference.status != "D":
            state, reasons = _waits_for_runs(snapshot, difference.ref)
        if difference.ref in applied.errors:
            state, reasons = BLOCKED, [applied.errors[difference.ref].message]
        items.append(QueueItem("intent", difference.ref, state, type=difference.status, reasons=reasons))
    return items


def _waits_for_runs(snapshot: Snapshot, intent: str) -> tuple[str, list[str]]:
    """The state of an intent that is not ready, and why: a run that did not come to its end keeps it from being so."""
    try:
        run = apply.run_in_vain(snapshot, intent)
    except BAD:
        run = None  # what is bad about it is told with the runs
    if run is None:
        return WAITING, ["its runs"]
    return BLOCKED, [f"'{run}', which {runs.how_it_ended(read_function(snapshot, run))}"]


def run_items(snapshot: Snapshot, problems: Problems) -> list[QueueItem]:
    """The runs that have not ended, by age: what was asked for last is done last, and so stays. With them, those that
    failed, and nobody has dealt with that yet.

    Of several releases that are ready for one place, the newest is; the older ones wait for being superseded by it.
    """
    gates = Gates(snapshot)
    left: dict[str, list[Left]] = {}
    if summary_of(snapshot).unsettled:
        from .left_runs import left_runs  # late: often all is done

        left = left_runs(snapshot)
    found = {package: list(_left_items(snapshot, one, gates, problems)) for package, one in left.items()}
    newest: dict[str, int] = {}
    for run, status in unsettled_runs(snapshot, problems, but_of=left):
        if status not in (*vocabulary.OPEN, vocabulary.FAILED):
            continue
        package = run.work.package
        if package not in newest:
            newest[package] = newest_number(snapshot, package, problems)
        with problems.leave_out(run.work.ref):
            if status != vocabulary.FAILED or not failures.is_dealt_with(snapshot, run, newest[package]):
                found.setdefault(package, []).append(_run_item(snapshot, run, status, gates))
    items = [item for _, of_package in sorted(found.items()) for item in of_package]
    _yield_to_newer(snapshot, items)
    return sorted(items, key=lambda item: (item.made, addresses.release_number(RunRef.parse(item.ref).work.release)))


def _left_items(snapshot: Snapshot, left: list[Left], gates: Gates, problems: Problems) -> Iterator[QueueItem]:
    """The items of runs that are left of a package. Those that failed are as they were; what others wait for is not."""
    for ref, status, type_, made in left:
        if status == vocabulary.FAILED:
            yield QueueItem("run", ref, FAILED, type=type_, made=made)
        else:
            run = RunRef.parse(ref)
            with problems.leave_out(run.work.ref):
                yield _run_item(snapshot, run, status, gates)


def _yield_to_newer(snapshot: Snapshot, items: list[QueueItem]) -> None:
    ready = [RunRef.parse(item.ref) for item in items if item.state == READY and item.claim is None]
    newest: dict[str, RunRef] = {}
    for run in sorted(ready, key=lambda run: addresses.release_number(run.work.release)):
        if run.work.kind == vocabulary.DEPLOY and runs.supersedes(snapshot, run):
            newest[run.work.current] = run
    for item in items:
        if item.state != READY or item.claim is not None:
            continue
        run = RunRef.parse(item.ref)
        newer = newest.get(run.work.current)
        if newer is None or addresses.release_number(run.work.release) >= addresses.release_number(newer.work.release):
            continue
        if runs.can_be_superseded(snapshot, run):
            item.state, item.reasons = WAITING, [f"'{newer.work.release}', which is newer and ready"]


def _run_item(snapshot: Snapshot, run: RunRef, status: str, gates: Gates) -> QueueItem:
    function = read_function(snapshot, run)
    if function.status != status:
        raise BadDocument(run.ref, f"its marker says '{status}', and its function '{function.status}'")
    read_release(snapshot, run.work.release)
    made = when_made(snapshot, run, function, status)
    type_ = read_run(snapshot, run).type
    if status == vocabulary.FAILED:
        return QueueItem("run", run.ref, FAILED, type=type_, made=made)
    if status == vocabulary.RUNNING:
        claim = read_claim(snapshot, run)
        why = ""
        if claims.ran_out(claim, claims.now(snapshot)):
            why = "whose claim ran out"
        elif not snapshot.is_past and claims.is_orphaned(claim):
            why = "whose executor is gone"
        if why:
            forbidding = runs.what_forbids(snapshot, run, gates)
            reasons = [why, *(reason.what for reason in forbidding)]
            return QueueItem("run", run.ref, _state(forbidding), type=type_, reasons=reasons, made=made, claim=claim)
        remarks = ["which was asked to stop"] if claim.cancel else []
        if vocabulary.RUNNING not in markers_of(snapshot, run):
            remarks.append("which another program started")
        return QueueItem("run", run.ref, RUNNING, type=type_, reasons=remarks, made=made, claim=claim)
    waits_for = runs.what_it_waits_for(snapshot, run, function, gates)
    reasons = [reason.what for reason in waits_for]
    closed = [reason.what for reason in waits_for if reason.is_gate]
    return QueueItem("run", run.ref, _state(waits_for), type=type_, reasons=reasons, made=made, gates=closed)


def _state(reasons: list[runs.Reason]) -> str:
    """The state of a run that waits for something, or for nothing."""
    return BLOCKED if any(reason.blocks for reason in reasons) else WAITING if reasons else READY
