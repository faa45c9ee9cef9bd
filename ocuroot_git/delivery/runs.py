"""Runs: made, started, held on to, cancelled and retried (design 7); `finish` ends them.

The functions change a `Transaction`. A run's function holds its status, and the marker below `status/` follows in the
same commit; how they are written, `records` says.
"""

from __future__ import annotations

from ..errors import Conflict, Fatal, NotFound
from ..formats.globs import GlobError, escape
from ..formats.refs import STATE, Ref
from . import addresses, claims, live, model, steps, vocabulary
from .addresses import RunRef, WorkRef
from .gates import Closure, Gates
from .inputs import fill, with_overrides
from .model import Claim, Function
from .problems import BAD, BadDocument, Problems
from .queries import environment, environments, read_release, records_of
from .run_queries import (
    deployed,
    function_ref,
    last_run,
    last_runs_of,
    markers_of,
    read_claim,
    read_deployed,
    read_function,
    read_run,
    runs_in,
)
from .vocabulary import DEPLOY, DOWN, UP, ModelError, WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .claims import Executor
    from .fields import Fields
    from .gates import Override
    from .model import Environment, Inputs
    from .package import Package, WorkSpec


class Waits(Conflict):
    """A run cannot start yet; the message says for what it waits."""


# Making runs


def make(tx: Transaction, work: WorkRef, type_: str, cause: str, reason: str = "") -> RunRef:
    """Make the next run of a piece of work, pending; one before it that failed is thereby retried.

    It keeps why it was asked for: what `-m` says now, where that is what it follows from, else `reason`.

    Raises NotFound where the release does not define the work, Conflict where a run of it is open.
    """
    release = read_release(tx, work.release)
    records_of(tx).unlink_newest(tx, work.package)
    where = environment(tx, work.name) if work.kind == DEPLOY else None
    phase, spec = _definition(release.package, work, type_, where)
    last = last_run(tx, work)
    before = read_function(tx, last) if last is not None else None
    if last is not None and before is not None:
        if before.status in vocabulary.OPEN:
            raise Conflict(f"there is a run of '{work}' already: '{last}' is {before.status}")
        if before.status == vocabulary.FAILED:
            enter(tx, last, before, vocabulary.FAILED_RETRIED)
    run = work.run(last.number + 1 if last is not None else 1)
    inputs: Inputs = spec.inputs(work.release)
    dependencies = []
    if type_ == DOWN:
        # What was put up is taken down with the inputs it had, wherever their refs lead to by now.
        up = deployed(tx, work.package, work.name)
        inputs = read_deployed(tx, up).inputs if up is not None else {}
    else:
        dependencies = dependencies_of(work.release, release.package, phase, environments(tx, Problems()))
        if records_of(tx).counts_completions:
            dependencies = [glob for glob in dependencies if len(tx.match(glob, side="state")) < 2]
    now = model.timestamp()
    history: list[Fields] = [{"time": now, "status": vocabulary.PENDING}]
    function = Function(spec.function(type_), vocabulary.PENDING, dependencies, inputs, history=history, cause=cause)
    said = None if cause in _OF_ITSELF else tx.origin(tx.backend_of(tx.side("state"))[0]).reason
    function.reason = said or reason
    records_of(tx).create(tx, run, type_, function)
    tx.create(run.status(vocabulary.PENDING), {"time": now})
    return run


_OF_ITSELF: Final = (vocabulary.BY_INPUT, vocabulary.BY_ENVIRONMENT)
"""Causes of runs that follow from what was done for other reasons."""


def _definition(package: Package, work: WorkRef, type_: str, where: Environment | None) -> tuple[int, WorkSpec]:
    found = package.find(work.kind, work.name, where)
    if found is None and type_ == DOWN:
        # The environment lost the attributes by which it was selected, or is gone.
        found = next(((0, spec) for spec in package.specs() if spec.selector is not None), None)
    if found is None:
        raise NotFound(f"'{work.release}' has no {_KINDS[work.kind]} '{work.name}'")
    return found


_KINDS = {vocabulary.CALL: "call", DEPLOY: "deployment to"}


def dependencies_of(release: str, package: Package, phase: int, known: dict[str, Environment]) -> list[str]:
    """The globs that must match before work of a phase may start: completion of all work of the one before.

    A phase whose selectors select nothing has no work; then it is the one before that.
    """
    for before in reversed(package.phases[:phase]):
        found = [WorkRef(release, spec.kind, name) for spec in before.work for name in spec.names(known)]
        if found:
            return [dependency_on(work) for work in found]
    return []


def dependency_on(work: WorkRef) -> str:
    """The glob that matches once a piece of work is complete."""
    return f"{escape(work.ref)}/*/status/{vocabulary.COMPLETE}"


# Starting


def start(
    tx: Transaction,
    work: WorkRef,
    number: int | None = None,
    *,
    executor: Executor | None = None,
    over: Claim | None = None,
    override: Override | None = None,
) -> RunRef:
    """Set the open run of a piece of work running, or its next one where none is open; `number` asks for that one.

    A running one is taken over if its claim is still just `over`, one that nobody holds any more (`claims.Watch`).
    With `override`, gates do not count that let its actor pass; the run keeps which, by whom and why.
    Raises claims.Held for a claim that was not given, Waits, and WrongStatus where the run cannot start.
    """
    run = last_run(tx, work)
    if number is not None and (run is None or run.number != number):
        raise WrongStatus(f"cannot start '{work}/{number}': the last run is '{run or 'none'}'")
    function = read_function(tx, run) if run is not None else None
    if function is not None and function.status == vocabulary.CANCELLED and function.ended_by.startswith(SUPERSEDED):
        raise WrongStatus(
            f"cannot start '{run}': it was {function.ended_by}",
            hint=f"to deploy it all the same, ask for it: git ocuroot set -f json {work.intent} "
            f"""'{{"release": "{work.release}"}}'""",
        )
    if run is None or function is None or (number is None and function.status not in vocabulary.OPEN):
        type_ = vocabulary.CALL if work.kind == vocabulary.CALL else UP
        if run is not None and function is not None and function.status == vocabulary.FAILED:
            type_ = read_run(tx, run).type
        run = make(tx, work, type_, vocabulary.BY_HAND)
        function = read_function(tx, run)
    gates = Gates(tx, override) if work.kind == DEPLOY else None
    if function.status == vocabulary.RUNNING:
        claim = read_claim(tx, run)
        if claim != over:
            raise claims.Held(run, f"cannot start '{run}': it is running{_held_by(claim)}")
        _refuse(run, what_forbids(tx, run, gates))
        live.take_over(tx, run)
    else:
        vocabulary.check_transition(run.ref, function.status, vocabulary.RUNNING)
        _refuse(run, what_it_waits_for(tx, run, function, gates))
        if function.status == vocabulary.PAUSED:
            steps.fill_last(tx, run)
        else:
            _fill(tx, run, function)
    enter(
        tx, run, function, vocabulary.RUNNING, executor.claim(tx) if executor is not None else Claim(model.timestamp())
    )
    _supersede(tx, run)
    if gates is not None and gates.until is not None:
        tx.hold_until(gates.until)
    if gates is not None and override is not None and gates.overridden:
        function.history[-1]["override"] = override.to_document(gates.overridden)
        records_of(tx).put_function(tx, run, 1, function)
    return run


def _refuse(run: RunRef, reasons: list[Reason]) -> None:
    if reasons:
        hint = next((reason.hint for reason in reasons if reason.hint), None)
        raise Waits(f"cannot start '{run}': it waits for {', '.join(reason.what for reason in reasons)}", hint=hint)


def _fill(tx: Transaction, run: RunRef, function: Function) -> None:
    """Give the inputs their values; those of an intent that names this release override the release's own."""
    type_ = read_run(tx, run).type
    if type_ == UP:
        function.overrides, function.inputs = with_overrides(tx, run.work, function)
        function.intent = intent_id(tx, run.work)
    if type_ != DOWN:
        function.inputs, _ = fill(tx, function.inputs)


class Reason:
    """Why a run does not start: `what` it waits for, in words, whether that can come by itself, and what to do then."""

    __slots__ = ("blocks", "hint", "is_gate", "what")

    def __init__(self, what: str, *, blocks: bool = False, hint: str = "", is_gate: bool = False) -> None:
        self.what = what
        self.blocks = blocks
        self.hint = hint
        self.is_gate = is_gate


def what_it_waits_for(snapshot: Snapshot, run: RunRef, function: Function, gates: Gates | None = None) -> list[Reason]:
    """What a pending or paused run waits for; nothing where it is ready. What cannot be read blocks it.

    `gates` are those of the snapshot, where somebody has read them already.
    """
    type_ = read_run(snapshot, run).type
    reasons = []
    number, step = steps.last_step(snapshot, run) if function.status == vocabulary.PAUSED else (1, function)
    if number > 1:
        inputs = {name: given.unfilled() for name, given in step.inputs.items()}
        reasons += _missing_among(snapshot, inputs)
    elif type_ != DOWN:
        for glob in function.dependencies:
            try:
                is_met = bool(snapshot.match(glob, side="state"))
            except GlobError as error:
                raise BadDocument(function_ref(snapshot, run), f"dependencies: {error.message}") from None
            if not is_met:
                reasons.append(_unmet(snapshot, glob))
        reasons += _missing_inputs(snapshot, run, function, type_)
    if run.work.kind == DEPLOY:
        if type_ == UP:
            reasons += _missing_environment(snapshot, run.work.name)
        # Two releases on their way to one place at once would leave there whichever was slower.
        for other in runs_in(snapshot, run.work.package, run.work.name, vocabulary.RUNNING):
            if other != run:
                reasons.append(Reason(f"'{other}', which is running"))
    return reasons + what_forbids(snapshot, run, gates)


def what_forbids(snapshot: Snapshot, run: RunRef, gates: Gates | None = None) -> list[Reason]:
    """What forbids a run to be executed, or taken up again once it has begun: gates, and that its release is held.

    `gates` are those of the snapshot, where somebody has read them already.
    """
    if run.work.kind != DEPLOY:
        return []
    gates, type_ = Gates(snapshot) if gates is None else gates, read_run(snapshot, run).type
    closed = [Reason(closure.what, hint=closure.hint, is_gate=True) for closure in gates.closures(run.work, type_)]
    return closed + (_what_holds(snapshot, run.work.release) if type_ == UP else [])


def closures_for(snapshot: Snapshot, work: WorkRef, gates: Gates) -> list[Closure]:
    """Why a release may not be deployed to an environment now: gates, and that it is held."""
    return gates.closures(work) + [Closure(reason.what) for reason in _what_holds(snapshot, work.release)]


def _what_holds(snapshot: Snapshot, release: str) -> list[Reason]:
    """The hold on a release; what takes a deployment down is not held."""
    from .holds import hold_on  # late: lists of what is done have no need of it

    try:
        hold = hold_on(snapshot, release)
    except BAD as error:
        return [Reason(f"'{release}', of which it cannot be read if it is held ({error.message})", blocks=True)]
    if hold is None:
        return []
    hint = f"'git ocuroot hold --lift {release}' lets it go"
    return [Reason(f"'{release}', which is {hold.words}", blocks=True, hint=hint)]


def _missing_inputs(snapshot: Snapshot, run: RunRef, function: Function, type_: str) -> list[Reason]:
    inputs = function.inputs
    if type_ == UP:
        try:
            _, inputs = with_overrides(snapshot, run.work, function)
        except BAD as error:
            return [Reason(f"its intent, which cannot be read ({error.message})", blocks=True)]
    return _missing_among(snapshot, inputs)


def _missing_among(snapshot: Snapshot, inputs: Inputs) -> list[Reason]:
    reasons = []
    for name, given in inputs.items():
        try:
            _, missing = fill(snapshot, {name: given})
        except BAD as error:
            reasons.append(Reason(f"input '{name}' ({given.ref}), which cannot be read ({error.message})", blocks=True))
        else:
            reasons += [Reason(f"input '{name}' ({given.ref})")] if missing else []
    return reasons


def _missing_environment(snapshot: Snapshot, name: str) -> list[Reason]:
    ref = addresses.environment_ref(name)
    try:
        return [] if environment(snapshot, name) is not None else [Reason(f"environment '{ref}'")]
    except BAD as error:
        return [Reason(f"environment '{ref}', which cannot be read ({error.message})", blocks=True)]


def _unmet(snapshot: Snapshot, glob: str) -> Reason:
    head = glob.removesuffix(f"/*/status/{vocabulary.COMPLETE}").replace("\\", "")
    try:
        work, _ = addresses.parse_work(head)
    except (ModelError, Fatal):
        return Reason(f"'{glob}'")
    try:
        last = last_run(snapshot, work)
        function = read_function(snapshot, last) if last is not None else None
    except BAD as error:
        return Reason(f"'{work}', which cannot be read ({error.message})", blocks=True)
    if function is not None and function.status in (vocabulary.FAILED, vocabulary.CANCELLED):
        return Reason(f"'{last}', which {how_it_ended(function)}", blocks=True)
    return Reason(f"'{work}'")


def how_it_ended(function: Function) -> str:
    """How a run ended that failed or was cancelled, in words."""
    if function.status == vocabulary.FAILED:
        return "failed"
    return f"was {function.ended_by if function.ended_by.startswith(SUPERSEDED) else 'cancelled'}"


# Newer releases in the place of older ones

SUPERSEDED: Final = "superseded by "
"""How `ended_by` of a run begins that was cancelled because a newer release was started in its place."""


def supersedes(snapshot: Snapshot, run: RunRef) -> bool:
    """Whether the start of a run takes the place of older releases: it puts one up, of a package that wants that."""
    return read_run(snapshot, run).type == UP and read_release(snapshot, run.work.release).package.supersede


def can_be_superseded(snapshot: Snapshot, run: RunRef) -> bool:
    """Whether a newer release may take the place of a pending run: not of one that an intent asked for."""
    return supersedes(snapshot, run) and read_function(snapshot, run).cause != vocabulary.BY_INTENT


def _supersede(tx: Transaction, run: RunRef) -> None:
    """Cancel what is pending of older releases where a run starts, lest an older one come late and replace it."""
    if run.work.kind != DEPLOY or not supersedes(tx, run):
        return
    number = addresses.release_number(run.work.release)
    for other in pending(tx, run.work):
        if addresses.release_number(other.work.release) >= number:
            continue
        try:
            is_superseded = can_be_superseded(tx, other)
        except (ModelError, NotFound):
            continue  # it cannot start as it is, and must not keep this one from starting
        if is_superseded:
            cancel(tx, other, f"{SUPERSEDED}{run.work.release}")


def _held_by(claim: Claim) -> str:
    return f" (by '{claim.owner}' until {claim.until})" if claim.owner else ""


# Changing what is there


def enter(tx: Transaction, run: RunRef, function: Function, status: str, claim: Claim | None = None) -> None:
    """Let a run go to another status: its function's document, and the marker. Raises WrongStatus."""
    now = claim.time if claim is not None else model.timestamp()
    function.enter(run.ref, status, now)
    for marker in markers_of(tx, run):
        if marker != status:
            tx.delete(run.status(marker))
    said = claim.to_document() if claim is not None else {"time": now}
    tx.set(run.status(status), {**said, **_by_whom(tx, function.reason if status in _AS_ASKED else "")})
    records_of(tx).put_function(tx, run, 1, function)
    steps.follow(tx, run, status)


_AS_ASKED: Final = (vocabulary.RUNNING, vocabulary.PAUSED, vocabulary.COMPLETE, vocabulary.FAILED)
"""Statuses to which a run comes for the reason for which it was made."""


def _by_whom(tx: Transaction, otherwise: str) -> Fields:
    """Who asks for a change, in which run of a CI system and why, for a marker to say: as the trailers of the commit
    will (design 12), for those who have not got the commits. Where these say no reason it is `otherwise`."""
    backend, _ = tx.backend_of(tx.side("state"))
    actor, run, reason = tx.origin(backend).values()
    said = (("actor", actor), ("run", run), ("reason", reason or otherwise))
    return {name: text for name, text in said if text}


def cancel(tx: Transaction, run: RunRef, ended_by: str) -> None:
    """Cancel a pending run, and keep why."""
    function = read_function(tx, run)
    function.ended_by = ended_by
    enter(tx, run, function, vocabulary.CANCELLED)


def pending(tx: Transaction, work: WorkRef) -> list[RunRef]:
    """The pending runs of a package in an environment, of whatever release; those that can be read, and so start."""
    found = []
    for run in runs_in(tx, work.package, work.name, vocabulary.PENDING):
        with Problems().leave_out(run.ref):
            read_run(tx, run)
            if read_function(tx, run).status == vocabulary.PENDING:
                found.append(run)
    return found


def cancel_pending(tx: Transaction, package: str, name: str, ended_by: str, which: Callable[[RunRef], bool]) -> None:
    """Cancel those pending runs of a package in an environment that `which` chooses."""
    for run in pending(tx, WorkRef(f"{package}/{STATE}", DEPLOY, name)):
        if which(run):
            cancel(tx, run, ended_by)


def mark(tx: Transaction, release: str, op: str) -> None:
    """Leave a marker at a release: something to be looked at (`R/op/<name>`)."""
    ref = f"{release}/op/{op}"
    if not tx.exists(ref):
        tx.set(ref, {"time": model.timestamp()})
    for_others = records_of(tx).early_op(tx, release, op)
    if for_others is not None:
        tx.leave_for_others(for_others, {"time": model.timestamp()})


def intent_id(snapshot: Snapshot, work: WorkRef) -> str:
    """What the intent of a deployment is at the moment: the id of its document, or `absent`."""
    ref = Ref.parse(work.intent)
    tree = snapshot.tree(ref)
    return tree.oid(tree.locate(ref).stored) or "absent"


# Retrying


def retry(tx: Transaction, run: RunRef) -> RunRef:
    """Make a new pending run in the place of one that failed. Raises WrongStatus."""
    function = read_function(tx, run)
    vocabulary.check_transition(run.ref, function.status, vocabulary.FAILED_RETRIED)
    if last_run(tx, run.work) != run:
        raise WrongStatus(f"cannot retry '{run}': a later run has followed it")
    return make(tx, run.work, read_run(tx, run).type, function.cause, function.reason)


def retry_release(tx: Transaction, release: str) -> list[RunRef]:
    """Retry every run of a release that failed. Raises WrongStatus where none did."""
    failed = [run for run, status in last_runs_of(tx, release) if status == vocabulary.FAILED]
    if not failed:
        raise WrongStatus(f"nothing to retry: no work of '{release}' has failed")
    return [retry(tx, run) for run in failed]
