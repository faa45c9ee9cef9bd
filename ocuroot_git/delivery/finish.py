"""The end of runs: outputs, links (design 5.3), the intent that corresponds, and what follows (section 7)."""

from __future__ import annotations

from ..errors import Conflict, Error, NotFound, RemoteError
from ..formats.documents import same
from ..formats.refs import INTENT, STATE
from . import addresses, live, model, vocabulary
from .addresses import RunRef, WorkRef
from .claims import is_held, now, require_claim
from .inputs import read_intent
from .model import Intent, Run
from .problems import Problems
from .queries import newest_release, packages, records_of, state_tree
from .redeploy import redeploy_dependants, redeploy_if_changed
from .run_queries import deployed, deployments, last_runs_of, read_claim, read_function, read_run, run_numbers, runs_in
from .runs import cancel, dependency_on, enter, intent_id, mark, pending
from .vocabulary import DEPLOY, DOWN, OWN_INTENT, PRUNED, UP, ModelError, WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final, TypeVar

    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .fields import Fields
    from .model import Function

    Result = TypeVar("Result")
    Wanted = TypeVar("Wanted")


def finish(
    stores: Stores,
    run: RunRef,
    status: str,
    *,
    outputs: Fields | None = None,
    tags: Iterable[str] = (),
    watch: list[str] | None = None,
    owner: str | None = None,
    ended_by: str = "",
    force: bool = False,
    also: Callable[[Transaction], None] | None = None,
    operation: Operation | None = None,
) -> None:
    """End a run: its status and outputs, the links of 5.3, the intent, and the runs that follow from it.

    With `owner`, only while that claim holds (ClaimLost). Without, how it went is not said of a run that an executor
    holds, unless with `force`. `watch` are the paths whose change asks for a new release. `also` is changed in the same
    commit, as the rest of the logs is; `ended_by` is kept. Raises WrongStatus where the run has ended, or is held by
    another; ModelError for a bad tag.
    """
    tags = [checked_tag(tag) for tag in tags]

    def check(tx: Transaction) -> Function:
        function = read_function(tx, run)
        if owner is not None:
            require_claim(tx, run, owner)
        elif status != vocabulary.CANCELLED and function.status == vocabulary.RUNNING and not force:
            _refuse_held(tx, run)
        vocabulary.check_transition(run.ref, function.status, status)
        return function

    def change_intent(tx: Transaction) -> None:
        function = check(tx)
        is_up = status == vocabulary.COMPLETE and read_run(tx, run).type == UP
        if is_up and not records_of(tx).wants_at_start:
            _write_intent(tx, run, function)

    def change_state(tx: Transaction) -> None:
        function = check(tx)
        if also is not None:
            also(tx)
        if owner is None:
            live.take_over(tx, run)
        function.ended_by = ended_by
        _end(tx, run, function, status, outputs or {}, watch)
        for tag in tags:
            link_tag(tx, tag, run.work.release)

    transact_both(stores, change_intent, change_state, "run finish", f"{status} {run}", operation)


def _refuse_held(tx: Transaction, run: RunRef) -> None:
    claim = read_claim(tx, run)
    if is_held(claim, now(tx)):
        raise WrongStatus(
            f"cannot finish '{run}': it is executed by '{claim.owner}' until {claim.until}",
            hint=f"'git ocuroot run cancel {run}' asks that one to stop; --force ends it all the same",
        )


def cancel_run(tx: Transaction, run: RunRef, *, force: bool = False) -> str:
    """Cancel a run that has not ended. Gives `cancelled`, or `stopping` where its executor was asked to stop it.

    That one stops when it renews its claim next. With `force` the run is cancelled at once, and its executor finds
    that it lost the claim. Raises WrongStatus where the run has ended.
    """
    function = read_function(tx, run)
    if function.status not in vocabulary.OPEN:
        raise WrongStatus(f"cannot cancel '{run}': it is {function.status}")
    if function.status == vocabulary.RUNNING and not force:
        claim = read_claim(tx, run)
        if is_held(claim, now(tx)):
            claim.cancel = claim.cancel or model.timestamp(now(tx))
            tx.set(run.status(vocabulary.RUNNING), claim.to_document())
            return STOPPING
    live.take_over(tx, run)
    cancel(tx, run, BY_CANCEL)
    return vocabulary.CANCELLED


STOPPING: Final = "stopping"
BY_CANCEL: Final = "run cancel"
"""What ended a run that was cancelled by `run cancel`."""


def _end(
    tx: Transaction, run: RunRef, function: Function, status: str, outputs: Fields, watch: list[str] | None
) -> None:
    function.outputs = outputs
    document = read_run(tx, run)
    document.output = outputs
    document.watch = watch or document.watch
    enter(tx, run, function, status)
    records_of(tx).put_end(tx, run, document, status)
    if status == vocabulary.COMPLETE:
        _complete(tx, run, document, function)


def _complete(tx: Transaction, run: RunRef, document: Run, function: Function) -> None:
    work, records = run.work, records_of(tx)
    before = deployed(tx, work.package, work.name) if work.kind == DEPLOY else None
    records.complete(tx, run, document, function)
    if document.type == UP:
        _record_up(tx, run, before, function)
    elif document.type == DOWN:
        _record_down(tx, run, before, document, function)
    elif _is_newest(tx, run):
        tx.link(work.current, records.current_target(run))
    redeploy_dependants(tx, run)
    if records.counts_completions:
        _forget_met(tx, run)


def _forget_met(tx: Transaction, run: RunRef) -> None:
    """Take work that is completed once more out of what other runs wait for: of one completion for each that they
    depend on the original would find one too many, and never start them."""
    numbers = [number for number in run_numbers(tx, run.work) if number != run.number]
    if not any(tx.exists(run.work.run(number).status(vocabulary.COMPLETE)) for number in numbers):
        return
    for other, status in last_runs_of(tx, run.work.release, Problems()):
        if status == vocabulary.PENDING:
            with Problems().leave_out(other.ref):
                function = read_function(tx, other)
                waits_for = [glob for glob in function.dependencies if glob != dependency_on(run.work)]
                if waits_for != function.dependencies:
                    function.dependencies = waits_for
                    records_of(tx).put_function(tx, other, 1, function)


def _is_newest(tx: Transaction, run: RunRef) -> bool:
    """Whether no run of a newer release has completed this call: a slow build of an old one changes nothing."""
    link = tx.object(run.work.current)
    if link is None or link.target is None:
        return True
    try:
        now, number = addresses.parse_work(link.target)
    except ModelError:
        return True
    order = (addresses.release_number(run.work.release), run.number)
    return order >= (addresses.release_number(now.release), number or 0)


def _record_up(tx: Transaction, run: RunRef, before: RunRef | None, function: Function) -> None:
    work, records = run.work, records_of(tx)
    _forget_dependencies(tx, work, before)
    tx.link(work.current, records.current_target(run))
    for ref in _dependencies(function) if records.records_dependants else ():
        tx.depend(work.current, ref)
    # What was to be done to another release there, because it was deployed, has lost its reason.
    for other in pending(tx, work):
        if other.work != work and (
            read_function(tx, other).cause == vocabulary.BY_INPUT or read_run(tx, other).type == DOWN
        ):
            cancel(tx, other, "another release was deployed")
    redeploy_if_changed(tx, work.package, work.name)


def _record_down(tx: Transaction, run: RunRef, before: RunRef | None, document: Run, function: Function) -> None:
    work = run.work
    if before is not None and before.work == work:
        _forget_dependencies(tx, work, before)
        tx.unlink(work.current)
        has_link = tx.object(f"{work.package}/{STATE}") is not None
        newest = newest_release(tx, work.package) if has_link else None
        if newest is not None and newest != work.release:
            # Our first version reads `@/deploy/<env>` through `@` where it is no link: it must not find one that is up.
            seen = f"{newest}/{DEPLOY}/{work.name}"
            if tx.exists(seen):
                tx.set(seen, document.to_document())
    if function.cause == vocabulary.BY_ENVIRONMENT and not remove_deserted(tx, work.name, ending=run):
        newest = newest_release(tx, work.package)
        if newest is not None and tx.exists(addresses.environment_ref(work.name)) and is_wanted(tx, work.name):
            mark(tx, newest, vocabulary.CHECK_ENVIRONMENTS)  # the environment was set again meanwhile


def remove_deserted(tx: Transaction, name: str, *, ending: RunRef | None = None) -> bool:
    """Remove an environment that is no longer wanted, once nothing is deployed there or on its way; whether it went."""
    ref = addresses.environment_ref(name)
    if is_wanted(tx, name) or not tx.exists(ref) or deployments(tx, Problems(), only=name):
        return False
    for package in packages(state_tree(tx)):
        if any(run != ending for run in runs_in(tx, package, name, vocabulary.RUNNING)):
            return False
    tx.delete(ref)
    return True


def is_wanted(snapshot: Snapshot, name: str) -> bool:
    """Whether there is an intent for an environment; where there is no intent store, nobody wants it gone."""
    return not snapshot.has_intent() or snapshot.exists(f"{INTENT}/environment/{name}")


def _dependencies(function: Function) -> set[str]:
    """The refs of the documents that the inputs of a deployment refer to."""
    return {str(given.document) for given in function.inputs.values() if given.document is not None}


def _forget_dependencies(tx: Transaction, work: WorkRef, before: RunRef | None) -> None:
    for ref in _dependencies(read_function(tx, before)) if before is not None else ():
        try:
            tx.undepend(work.current, ref)
        except NotFound:
            pass  # another program deployed it, and recorded no dependencies


def want_paused(tx: Transaction, run: RunRef) -> None:
    """Make the intent say what a deployment that pauses is to come to: another program may carry it to its end, and
    leave the intent alone then. Without one, the next `apply` would take the deployment down."""
    function = read_function(tx, run)
    if not records_of(tx).wants_at_start and read_run(tx, run).type == UP:
        _write_intent(tx, run, function)


def note_wanted(tx: Transaction, run: RunRef, function: Function) -> None:
    """Note in the function of a run that pauses whether the intent is its own now (see `want_paused`)."""
    if records_of(tx).wants_at_start or read_run(tx, run).type != UP or function.cause in _FOLLOWING:
        return
    before = tx.get(run.work.intent, None) if tx.has_intent() else None
    if before is not None and same(before, _wanted(tx, run, function, before)):
        function.intent = OWN_INTENT


_FOLLOWING: Final = (vocabulary.BY_INTENT, vocabulary.BY_INPUT)
"""Causes of runs that follow from an intent, or from an input: it may ask for something newer by now."""


def _write_intent(tx: Transaction, run: RunRef, function: Function) -> None:
    """Make the intent say what was deployed, so that `diff` is empty, unless it was changed while the run was on.

    Runs that follow from an intent, or from an input, at most complete it. So does any run while one that the intent
    asked for is still to come: only a later intent takes the place of that one.
    """
    is_changed = intent_id(tx, run.work) != function.intent
    if function.cause in _FOLLOWING or is_changed or is_asked_for_otherwise(tx, run):
        complete_intent(tx, run, function)
        return
    before = tx.get(run.work.intent, None)
    wanted = _wanted(tx, run, function, before)
    if before is None or not same(before, wanted):
        tx.set(run.work.intent, wanted)


def _wanted(tx: Transaction, run: RunRef, function: Function, before: Document) -> Fields:
    """The intent for what a run deploys; fields of the one before that this program does not know are kept.

    Inputs stay as they are given, where what they ask for is just that.
    """
    records = records_of(tx)
    wanted = records.intent_document(tx, run, function)
    if not isinstance(before, dict) or "release" not in before:
        return wanted
    intent = Intent.read(before, run.work.intent)
    given = wanted.get("input", {})
    is_for_it = intent.release == run.work.release and not records.intents_name_inputs(tx, run.work.package)
    if is_for_it and records.gives_the_same(tx, run.work, intent.input, given):
        given = intent.input
    return Intent(run.work.release, given, intent.others).to_document()


def complete_intent(tx: Transaction, run: RunRef, function: Function) -> None:
    """Let the intent that asks for what a run deploys name all its inputs, where it has to (`Records`)."""
    records = records_of(tx)
    if not records.intents_name_inputs(tx, run.work.package):
        return
    with Problems().leave_out(run.work.intent):  # one that is damaged is named where it is applied
        intent = read_intent(tx, run.work)
        if intent is None or intent.release != run.work.release:
            return
        if records.gives_the_same(tx, run.work, intent.input, function.overrides):
            wanted = {**intent.others, **records.intent_document(tx, run, function)}
            if not same(tx.get(run.work.intent), wanted):
                tx.set(run.work.intent, wanted)


def is_asked_for_otherwise(tx: Transaction, run: RunRef) -> bool:
    """Whether an intent asked for a run of another release in the place of a deployment that is still to come."""
    return any(
        other.work != run.work and read_function(tx, other).cause == vocabulary.BY_INTENT
        for other in pending(tx, run.work)
    )


# Intent and state


class Written:
    """What was written: `result`, and why the state does not follow the intent yet, None where it does."""

    def __init__(self, result: Fields, left: Error | None = None) -> None:
        self.result = result
        self.left = left

    def remark(self, *, takes_away: bool = False) -> tuple[str, str] | None:
        """What people are told where the state does not follow yet, and from when on it does; None where it follows.

        `takes_away` says that something was taken away: until then the state goes on to say that it is there.
        """
        if self.left is None:
            return None
        what = f"the intent is written, and the state could not be: {self.left}"
        until = "until then it holds as before" if takes_away else "starts look at the intent as well"
        return what, f"the state follows with the next 'git ocuroot apply --all' or 'work any'; {until}"


def transact_both(
    stores: Stores,
    change_intent: Callable[[Transaction], None],
    change_state: Callable[[Transaction], Result],
    command: str,
    message: str | None = None,
    operation: Operation | None = None,
) -> Result:
    """Change intent and state: in one commit where one place holds both, else the intent first.

    After a crash between the two, the intent asks for what the state does not yet say, and is asked again; the other
    way round, a deployment without an intent would look like one to be taken down.
    """
    return _change(stores, change_intent, lambda tx, _: change_state(tx), None, command, message, operation)


def write_both(
    stores: Stores,
    want: Callable[[Transaction], Fields],
    follow: Callable[[Transaction, Fields], Fields],
    command: str,
    message: str | None = None,
    operation: Operation | None = None,
) -> Written:
    """Write what is wanted, as `want` does, and with what that gave, as `follow` does, what follows from it in state.

    What they give are JSON documents. Where the state lies elsewhere and cannot be written, that is `left`. Raises what
    `want` raises, and what `follow` raises where both are one commit.
    """
    left: list[Error] = []

    def change_state(tx: Transaction, wanted: Fields | None) -> Fields:
        assert wanted is not None
        return follow(tx, wanted)

    def leave(wanted: Fields, error: Error) -> Fields:
        left.append(error)
        return wanted

    result = _change(stores, want, change_state, leave, command, message, operation)
    return Written(result, left[0] if left else None)


def _change(
    stores: Stores,
    change_intent: Callable[[Transaction], Wanted],
    change_state: Callable[[Transaction, Wanted | None], Result],
    leave: Callable[[Wanted, Error], Result] | None,
    command: str,
    message: str | None,
    operation: Operation | None,
) -> Result:
    """Change both; `leave` gives the result where the intent is changed and the state cannot be.

    Without it, what was carried out already changes no intent any more, and has nothing that is wanted.
    """
    if stores.backend("state")[0] == stores.backend("intent")[0]:
        return stores.transact(
            lambda tx: change_state(tx, change_intent(tx)), command=command, message=message, operation=operation
        )
    wanted: Wanted | None = None
    if leave is not None or operation is None or not stores.is_done(operation, command):
        step = operation.step("intent") if operation is not None else None
        wanted = stores.transact(change_intent, command=command, message=message, operation=step)
    try:
        return stores.transact(
            lambda tx: change_state(tx, wanted), command=command, message=message, operation=operation
        )
    except (RemoteError, Conflict) as error:
        if leave is None or wanted is None:
            raise
        return leave(wanted, error)


# Tags


def link_tag(tx: Transaction, tag: str, release: str) -> None:
    """Let a tag lead to a release. Raises ModelError for one that the store takes for the number of a release."""
    if state_tree(tx).layout.release_number(f"{STATE}{tag}") is not None:
        raise ModelError(f"bad tag '{tag}': it looks like the number of a release")
    tx.link(f"{addresses.package_of(release)}/{STATE}{tag}", release)


def checked_tag(tag: str) -> str:
    """A tag for a release (design 3). Raises ModelError."""
    if not tag or not all(c.isascii() and (c.isalnum() or c in "._-") for c in tag) or tag in (".", ".."):
        raise ModelError(f"bad tag '{tag}': a tag is made of letters, digits, '.', '_' and '-'")
    if tag.isdigit():
        raise ModelError(f"bad tag '{tag}': it is all digits, and so the number of a release")
    if tag == PRUNED:
        raise ModelError(f"bad tag '{tag}': the record of releases that were pruned bears that name")
    return tag
