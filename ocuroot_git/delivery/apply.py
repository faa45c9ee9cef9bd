"""Making state follow intent (design 6 and 7).

`apply` only ever makes the first step, in one commit: it copies documents, and makes pending runs for what takes
longer; so a difference can stand until those are complete.
"""

from __future__ import annotations

from ..errors import Conflict, Fatal, NotFound
from ..formats.documents import same
from ..formats.layout import StoredRef
from ..formats.refs import INTENT, STATE, Ref
from ..store.transaction import Transaction
from . import addresses, failures, finish, model, runs, vocabulary
from .addresses import RunRef, WorkRef
from .compare import Difference, deploy_intents, is_as_wanted, is_of_pruned, state_ref, stored_intent
from .diff import all_differences, differences
from .fields import fields_of
from .finish import transact_both
from .inputs import read_intent
from .model import Environment
from .problems import BAD, STRICT, Problems
from .queries import (
    environment,
    find_release,
    intent_tree,
    is_there,
    newest_release,
    packages,
    read_release,
    records_of,
    state_tree,
)
from .run_queries import deployed, deployments, last_run, read_function, read_run
from .vocabulary import DEPLOY, DOWN, UP, ModelError, WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from .fields import Fields
    from .model import Function

    Why = Callable[[str], str]

_BAD = (*BAD, Conflict)
"""What can be wrong with one intent, and must not keep the others from being applied."""


class ApplyResult:
    """What `apply` did: the intents it acted on, errors by the ref of the intent they are about, and what was bad."""

    def __init__(self) -> None:
        self.acted: list[Difference] = []
        self.errors: dict[str, Fatal] = {}
        self.problems = Problems()

    def to_document(self) -> Fields:
        """What is told of it, as it is written down for whoever asks for the same again."""
        errors = {ref: [error.message, error.hint] for ref, error in self.errors.items()}
        acted = [[one.status, one.ref, one.state] for one in self.acted]
        return {"acted": acted, "errors": errors, "problems": self.problems.to_document()}

    @classmethod
    def of_document(cls, document: Fields) -> ApplyResult:
        """What `to_document` wrote down; the differences without the documents that differed."""
        applied = cls()
        for status, ref, state in document["acted"]:
            wanted, actual = (None if status == "D" else (None,)), (None if status == "A" else (None,))
            applied.acted.append(Difference(ref, state, wanted, actual))
        applied.errors = {ref: Fatal(message, hint=hint) for ref, (message, hint) in document["errors"].items()}
        applied.problems = Problems.of_document(document.get("problems", []))
        return applied


def apply(
    stores: Stores, refs: list[str] | None, operation: Operation | None = None, *, expires: bool = False
) -> ApplyResult:
    """Make the first step towards some intents, or all of them (None). Raises for a bad one where refs are named.

    Applying all, what is not of its shape is left out, and the error of an intent that cannot be followed is
    returned, so that one mistake does not stop deliveries. If it `expires`, environments whose time is over are no
    longer wanted.
    """

    def change_state(tx: Transaction) -> Fields:
        return _change_state(tx, refs, strict=refs is not None, why=_why(tx)).to_document()

    def change_intent(tx: Transaction) -> None:
        if expires:
            from .overdue import forget_expired  # late: `apply` lets nothing expire

            forget_expired(tx)
        _forget_intents(tx, refs)

    done = transact_both(stores, change_intent, change_state, "apply", operation=operation)
    return ApplyResult.of_document(done)


def want_environments(stores: Stores, wanted: list[Fields], operation: Operation | None = None) -> ApplyResult:
    """Let environments be wanted (`name`, `attributes`), and make state follow, as a file of code asks for."""
    refs = [f"{INTENT}/environment/{one['name']}" for one in wanted]

    def want(tx: Transaction) -> None:
        for ref, one in zip(refs, wanted):
            if not same(tx.get(ref, None), one):
                tx.set(ref, one)

    step = operation.step("intent") if operation is not None else None
    stores.transact(want, command="release new", message="register environments", operation=step)
    return apply(stores, refs, operation)


def take_down(stores: Stores, text: str, operation: Operation | None = None) -> WorkRef:
    """Let a deployment be wanted no more, and make the run that takes it down; gives the work whose run that is.

    `text` names what is deployed, `P/@/deploy/<env>`, or of which release it must be. Raises WrongStatus where that is
    not deployed, ModelError for what names no deployment.
    """

    def change_intent(tx: Transaction) -> None:
        work = _deployed_work(tx, text)
        if tx.has_intent() and is_there(
            intent_tree(tx), StoredRef(f"{work.package}/{stored_intent(tx, DEPLOY)}/{work.name}")
        ):
            delete_alone(tx, work.intent)

    def change_state(tx: Transaction) -> str:
        work = _deployed_work(tx, text)
        _take_down(tx, work, vocabulary.BY_INTENT)
        return work.ref

    ref = transact_both(stores, change_intent, change_state, "deploy down", f"take down {text}", operation)
    return addresses.parse_work(ref)[0]


def _deployed_work(snapshot: Snapshot, text: str) -> WorkRef:
    """The work that is deployed, and that a ref names. Raises WrongStatus, ModelError."""
    named, number = addresses.parse_work(snapshot.named(text))
    if named.kind != DEPLOY or number is not None:
        raise ModelError(f"'{text}' is no deployment", hint="those are //path/@/deploy/<environment> and …/@1/deploy/…")
    run = deployed(snapshot, named.package, named.name)
    if run is None:
        raise WrongStatus(f"nothing of '{named.package}' is deployed in '{named.name}'")
    if Ref.parse(named.release).release and find_release(snapshot, named.release) != run.work.release:
        raise WrongStatus(f"what is deployed in '{named.name}' is '{run.work.release}', and not '{named.release}'")
    return run.work


def dry_run(snapshot: Snapshot, refs: list[str] | None, *, strict: bool) -> ApplyResult:
    """What `apply` would do now; nothing is written. Unless `strict`, the error of a bad intent is returned."""
    trial = Transaction(snapshot)
    _forget_intents(trial, refs)
    return _change_state(trial, refs, strict=strict)


def _forget_intents(tx: Transaction, refs: list[str] | None) -> None:
    """Delete intents by which nothing is wanted: deploy intents of environments that are to go, and, where all are
    applied, custom ones of releases that were pruned."""
    for difference in all_differences(tx, Problems()) if refs is None else _chosen(tx, refs, Problems()):
        if difference.is_idle:
            delete_alone(tx, difference.ref)
        elif difference.kind == "environment" and difference.status == "D":
            for package, name in deploy_intents(tx):
                work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
                if difference.state == addresses.environment_ref(name):
                    tx.delete(work.intent)


def forget_pruned(tx: Transaction) -> None:
    """Delete the intents for releases that were pruned: nothing can be applied for them."""
    for difference in all_differences(tx, Problems()):
        if difference.is_idle:
            delete_alone(tx, difference.ref)


def delete_alone(tx: Transaction, ref: str) -> None:
    """Delete the document or link at just this ref, and not what a link leads to: there may be an intent for that."""
    found = tx.object(ref)
    if found is not None and found.kind == "link":
        tx.unlink(ref)
    else:
        tx.delete(ref)


def _why(snapshot: Snapshot) -> Why:
    from .reasons import reason_for  # late: to see what would be done nobody asks why

    return lambda ref: reason_for(snapshot, ref)


def _change_state(tx: Transaction, refs: list[str] | None, *, strict: bool, why: Why = lambda ref: "") -> ApplyResult:
    """The part of `apply` that changes state; `why` tells the reason of an intent, for the runs that it asks for."""
    applied = ApplyResult()
    for difference in sorted(_chosen(tx, refs, applied.problems), key=_order):
        touched = len(tx.touched)
        try:
            with tx.all_or_nothing():
                _apply(tx, difference, STRICT if strict else applied.problems, why)
        except _BAD as error:
            error.message = f"cannot apply '{difference.ref}': {error.message}"
            if strict:
                raise
            applied.errors[difference.ref] = Fatal(error.message, hint=error.hint)
        if len(tx.touched) > touched:
            applied.acted.append(difference)
        elif strict and difference.kind == DEPLOY and difference.status != "D":
            _refuse_second_try(tx, difference.ref)
    if strict:
        applied.problems = Problems()  # those of documents that nobody asked for
    return applied


def _refuse_second_try(tx: Transaction, intent: str) -> None:
    """Raise Conflict where nothing is done for an intent, because the run that was for it did not come to its end."""
    run = run_in_vain(tx, intent)
    if run is not None:
        function = read_function(tx, run)
        again = f"retry {run}" if function.status == vocabulary.FAILED else f"exec {run.work}"
        raise Conflict(
            f"cannot apply '{intent}': '{run}', which was for it, {runs.how_it_ended(function)}",
            hint=f"'git ocuroot run {again}' tries it again; so does another intent",
        )


def _order(difference: Difference) -> tuple[int, str]:
    """Environments come first, since deployments need them, and go before what is deployed in them does."""
    kinds = ("environment", "custom", DEPLOY)
    return kinds.index(difference.kind), difference.ref


def _chosen(snapshot: Snapshot, refs: list[str] | None, problems: Problems) -> list[Difference]:
    found = differences(snapshot, problems)
    if refs is None:
        return found
    chosen = []
    for text in refs:
        ref = snapshot.named(text)
        if ref.type not in ("custom", "environment", DEPLOY) or (ref.type == DEPLOY and (ref.release or ref.is_global)):
            raise Fatal(
                f"cannot apply '{text}': it is no intent that state can follow",
                hint="those are +/environment/…, +/custom/…, …/+1/custom/… and …/+/deploy/<environment>",
            )
        state = state_ref(snapshot, ref)
        for one in (str(ref), state):
            if one in problems.asked:
                raise Fatal(f"cannot apply '{text}': {problems.asked[one].message}")
        about = [one for one in found if one.ref == str(ref) or one.state == state]
        if ref.type == "custom" and is_of_pruned(snapshot, str(ref)):
            raise NotFound(f"cannot apply '{text}': its release was pruned")
        if not about and not snapshot.exists(ref) and not snapshot.exists(state):
            raise NotFound(f"no such intent: '{ref}', and nothing in state that it could be about")
        chosen += [one for one in about if one not in chosen]
    return chosen


def _apply(tx: Transaction, difference: Difference, problems: Problems, why: Why) -> None:
    ref = Ref.parse(difference.ref)
    if ref.type == "custom":
        _apply_custom(tx, difference)
    elif ref.type == "environment":
        if difference.status == "D":
            _take_away_environment(tx, ref.name, problems)
        else:
            _apply_environment(tx, difference, problems)
    else:
        work = _place_of(ref)
        if difference.status == "D":
            _take_down(tx, work, vocabulary.BY_INTENT, why(difference.ref))
        else:
            _put_up(tx, work, why(difference.ref))


def _apply_custom(tx: Transaction, difference: Difference) -> None:
    if difference.status == "D":
        delete_alone(tx, difference.state)
        return
    state = Ref.parse(difference.state)
    if not state.release and not state.is_global and not state_tree(tx).layout.is_of_package(state.type):
        raise NotFound(f"'{state.replace(type='', name='')}' has no release yet that it could be for")
    tx.set(state, difference.wanted)


def _apply_environment(tx: Transaction, difference: Difference, problems: Problems) -> None:
    Environment.read(difference.wanted, difference.state)
    tx.set(difference.state, difference.wanted)
    for package in packages(state_tree(tx)):
        with problems.leave_out(f"{package}/{STATE}"):
            newest = newest_release(tx, package)
            if newest is not None and addresses.release_number(newest):
                runs.mark(tx, newest, vocabulary.CHECK_ENVIRONMENTS)


def _take_away_environment(tx: Transaction, name: str, problems: Problems) -> None:
    """Cancel what is pending for an environment, take down what is there, and let it go when nothing is left."""
    deployed_there = deployments(tx, problems, only=name)
    is_all_read = None not in deployed_there.values()
    for package in packages(state_tree(tx)):
        work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
        with problems.leave_out(work.current), tx.all_or_nothing():
            runs.cancel_pending(
                tx, package, name, vocabulary.BY_ENVIRONMENT, lambda run: read_run(tx, run).type != DOWN
            )
            if (package, name) in deployed_there:
                _take_down(tx, work, vocabulary.BY_ENVIRONMENT)
    if records_of(tx).environments_go_last:
        finish.remove_deserted(tx, name)
    elif is_all_read:
        tx.delete(addresses.environment_ref(name))


def _take_down(tx: Transaction, work: WorkRef, cause: str, reason: str = "") -> None:
    """A pending `down` of what is deployed, unless there is one or one failed; while another run is on, nothing yet."""
    runs.cancel_pending(
        tx,
        work.package,
        work.name,
        cause,
        lambda run: read_function(tx, run).cause == vocabulary.BY_INTENT and read_run(tx, run).type == UP,
    )
    run = deployed(tx, work.package, work.name)
    if run is None:
        return
    last = last_run(tx, run.work)
    status = read_function(tx, last).status if last is not None else ""
    if last is not None and status in (*vocabulary.OPEN, vocabulary.FAILED):
        is_down = read_run(tx, last).type == DOWN
        if is_down or status in (vocabulary.RUNNING, vocabulary.PAUSED):
            return  # one that failed is made again by `run retry`
        if status == vocabulary.PENDING:
            runs.cancel(tx, last, cause)
    runs.make(tx, run.work, DOWN, cause, reason)


def _put_up(tx: Transaction, work: WorkRef, reason: str) -> None:
    """A pending `up` of the release that is wanted, unless it is on its way already. Raises for a bad intent."""
    intent = read_intent(tx, work)
    assert intent is not None
    release = tx.resolve(intent.release)
    parsed = Ref.parse(release)
    if parsed.type or not parsed.release or addresses.package_of(release) != work.package:
        raise ModelError(f"'{intent.release}' is no release of '{work.package}'")
    if not tx.exists(release):
        from .pruned import was_pruned  # late: most intents name what is there

        raise was_pruned(tx, parsed) or NotFound(f"there is no release '{intent.release}'")
    wanted = WorkRef(release, DEPLOY, work.name)
    where = environment(tx, work.name)
    if where is None:
        raise NotFound(f"there is no environment '{work.name}'")
    if read_release(tx, release).package.find(DEPLOY, work.name, where) is None:
        raise NotFound(f"'{release}' has no deployment for the environment '{work.name}'")
    model.read_inputs(intent.input, f"'{work.intent}'", release)
    runs.cancel_pending(tx, work.package, work.name, vocabulary.BY_INTENT, lambda run: _is_outdated(tx, run, wanted))
    last = last_run(tx, wanted)
    if last is not None:
        function = read_function(tx, last)
        if function.status in vocabulary.OPEN or run_in_vain(tx, work.intent) is not None:
            if function.status == vocabulary.PENDING and read_run(tx, last).type == UP:
                _ask_for(tx, last, function, reason)
            return
    run = deployed(tx, work.package, work.name)
    if run is None or not is_as_wanted(tx, work, run):
        runs.make(tx, wanted, UP, vocabulary.BY_INTENT, reason)


def _ask_for(tx: Transaction, run: RunRef, function: Function, reason: str) -> None:
    """Let a pending run be one that an intent asked for: no newer release may take its place then."""
    if function.cause != vocabulary.BY_INTENT:
        function.cause = vocabulary.BY_INTENT
        function.reason = reason or function.reason
        records_of(tx).put_function(tx, run, 1, function)


def _place_of(intent: Ref) -> WorkRef:
    """The deployment that an intent is about, of whatever release."""
    return WorkRef(str(intent.replace(marker=STATE, type="", name="")), DEPLOY, intent.name)


def run_in_vain(snapshot: Snapshot, ref: str) -> RunRef | None:
    """The run that was for just what a deploy intent wants, and failed or was cancelled; None where there is none.

    It takes a retry, or another intent, to try again; not where something else came to that place meanwhile.
    """
    at = _place_of(Ref.parse(ref))
    intent = read_intent(snapshot, at)
    if intent is None:
        return None
    run = last_run(snapshot, WorkRef(snapshot.resolve(intent.release), DEPLOY, at.name))
    function = read_function(snapshot, run) if run is not None else None
    if run is None or function is None or function.status not in (vocabulary.FAILED, vocabulary.CANCELLED):
        return None
    if read_run(snapshot, run).type != UP:
        return None
    document = fields_of(snapshot.get(ref), f"'{ref}'")
    was_for_it = records_of(snapshot).was_tried(snapshot, run.work, document, runs.intent_id(snapshot, at), function)
    return run if was_for_it and not failures.is_followed(snapshot, run, function.status) else None


def _is_outdated(tx: Transaction, run: RunRef, wanted: WorkRef) -> bool:
    """Whether a pending run was made for an earlier intent: for another release, or to take down what is wanted."""
    cause = read_function(tx, run).cause
    if run.work == wanted:
        return read_run(tx, run).type == DOWN and bool(cause)
    return cause == vocabulary.BY_INTENT
