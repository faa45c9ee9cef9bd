"""Starting runs: in some dialects a deployment becomes what its intent wants when it starts (see `records`)."""

from __future__ import annotations

from ..formats.documents import same
from ..store.snapshot import Snapshot
from ..store.transaction import Transaction
from . import vocabulary
from .finish import complete_intent, is_asked_for_otherwise, transact_both
from .inputs import read_intent
from .queries import records_of
from .run_queries import read_function, read_run
from .runs import start
from .vocabulary import DOWN, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from .addresses import RunRef, WorkRef
    from .claims import Executor
    from .gates import Override
    from .model import Claim, Function


def start_run(
    stores: Stores,
    work: WorkRef,
    number: int | None = None,
    *,
    executor: Executor | None = None,
    over: Claim | None = None,
    also: Callable[[Transaction, RunRef], None] | None = None,
    override: Override | None = None,
    operation: Operation | None = None,
) -> str:
    """Set a run running as `runs.start` does, and write it; gives its ref.

    `also` is called in the same transaction. Raises what `runs.start` and `also` raise, before anything is changed.
    """

    def begin(tx: Transaction) -> RunRef:
        run = start(tx, work, number, executor=executor, over=over, override=override)
        if also is not None:
            also(tx, run)
        return run

    def change_intent(tx: Transaction) -> None:
        before = Snapshot(tx.surroundings, tx.versions)
        trial = Transaction(before)
        run = begin(trial)
        if not tx.has_intent() or before.exists(run.status(vocabulary.RUNNING)):
            return
        type_, function = read_run(trial, run).type, read_function(trial, run)
        if records.wants_at_start:
            _want(tx, run, type_, function)
        elif type_ == UP:
            complete_intent(tx, run, function)

    def change_state(tx: Transaction) -> str:
        return begin(tx).ref

    command, message = "run start" if override is None else "run start --override", f"start {work}"
    snapshot = stores.snapshot()
    records = records_of(snapshot)
    if not (records.wants_at_start or records.intents_name_inputs(snapshot, work.package)):
        return stores.transact(change_state, command=command, message=message, operation=operation)
    return transact_both(stores, change_intent, change_state, command, message, operation)


def _want(tx: Transaction, run: RunRef, type_: str, function: Function) -> None:
    """Make the intent say what is deployed now; not where it asks for something else that is still to come.

    Runs that follow from an intent, or from an input, only complete the intent that names their release. What the
    original takes down has its intent until then.
    """
    intent = read_intent(tx, run.work)
    is_for_it = intent is not None and tx.resolve(intent.release) == run.work.release
    if type_ != UP:
        if type_ == DOWN and is_for_it and not function.cause:
            tx.delete(run.work.intent)
        return
    follows = function.cause in (vocabulary.BY_INTENT, vocabulary.BY_INPUT)
    if (follows and not is_for_it) or is_asked_for_otherwise(tx, run):
        return
    others = {name: value for name, value in intent.others.items() if name != "type"} if intent is not None else {}
    wanted = {**records_of(tx).intent_document(tx, run, function), **others}
    if not same(tx.get(run.work.intent, None), wanted):
        tx.set(run.work.intent, wanted)
