"""`run exec`: claim a run, run its command, record what it prints and gives, and end the run (design 7)."""

from __future__ import annotations

from functools import partial

from ..errors import Error
from . import actions, claims, finish, live, runs, vocabulary
from .addresses import RunRef, WorkRef
from .claims import ClaimLost, Executor
from .finish import transact_both
from .inputs import fill
from .log_writer import LogWriter
from .model import read_inputs
from .run_queries import read_claim, read_function
from .starting import start_run
from .steps import add_step, last_step
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .actions import Action, Performed
    from .child_command import Stop
    from .code import Code
    from .gates import Override
    from .model import Claim
    from .together import Together

    Started = tuple[RunRef, Action | None]
    """A run that was claimed, and what it executes."""


class ExecutionOptions:
    """How commands are run: where, with which environment, for how long, and who is told.

    `command` (a list of words) takes the place of the release's own; `with_description` gives it the run's
    description on stdin. `output` is given what is printed: the run, the stream (1 or 2), and bytes. `code` calls the
    functions of packages that are code; None where there is no repository.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        directory: str,
        top: str,
        stop: Stop,
        output: Callable[[RunRef, int, bytes], None],
        warn: Callable[[str], None],
        command: list[str] | None = None,
        with_description: bool = False,
        timeout: float | None = None,
        code: Code | None = None,
    ) -> None:
        self.actions = actions.ActionOptions(
            environ=environ,
            directory=directory,
            top=top,
            command=command,
            with_description=with_description,
            code=code,
        )
        self.stop = stop
        self.output = output
        self.warn = warn
        self.timeout = timeout


class RunResult:
    """How a run ended: its status, the exit status of its command, and why, where that is no plain exit."""

    __slots__ = ("exit_status", "run", "status", "why")

    def __init__(self, run: RunRef, status: str, exit_status: int, why: str) -> None:
        self.run = run
        self.status = status
        self.exit_status = exit_status
        self.why = why


def execute(
    stores: Stores,
    work: WorkRef,
    number: int | None,
    options: ExecutionOptions,
    begun: Callable[[RunRef], None] = lambda run: None,
    over: Claim | None = None,
    operation: Operation | None = None,
    together: Together | None = None,
    override: Override | None = None,
) -> RunResult:
    """Start the open run of a piece of work, or its next one, and carry it to its end; `begun` is told which it is.

    A run that is running is taken over where its claim is `over`, or one that is seen to be held no more. Raises what
    `runs.start` raises, and NoCommand, both before anything is changed; ClaimLost where the run was taken over by
    another while its command ran, which is ended then. `operation` names the start; what follows is this process's own.
    `together` collects the ends of runs, where several are executed at once. `override` is that of `runs.start`.
    """
    executor = Executor(stores, operation.name if operation is not None and operation.is_named else "")
    try:
        started = _claim(stores, work, number, options, executor, over, operation, override)
        run = started[0]
    except claims.Held as held:
        if not executor.operation:
            raise
        run = held.run
    if executor.operation:
        # Under this name an earlier process may have claimed the run.
        before = _taken_up(stores, run, options, executor, override)
        if isinstance(before, RunResult):
            return before
        started = before or started
    run, action = started
    begun(run)
    log = LogWriter(stores, run, executor=executor, warn=options.warn)
    while True:
        performed = actions.Performed(vocabulary.COMPLETE, 0)
        if action is not None:
            performed = actions.perform(
                action, log, partial(options.output, run), timeout=options.timeout, stop=options.stop
            )
        if performed.following is None:
            break
        try:
            action = _go_on(stores, run, performed, options, executor, log)
        except ModelError as error:  # what the function asks for cannot be
            performed = actions.Performed(vocabulary.FAILED, 1, error.message)
            break
        if action is None:
            return RunResult(run, vocabulary.PAUSED, 0, "it waits for inputs")
    if performed.why:
        log.say(f"[git-ocuroot: {performed.why}]")
    log.finish_lines()
    log.keep()
    _finish(stores if together is None else together.stores(stores), run, performed, executor, log)
    return RunResult(run, performed.status, performed.exit_status, performed.why)


def _claim(
    stores: Stores,
    work: WorkRef,
    number: int | None,
    options: ExecutionOptions,
    executor: Executor,
    over: Claim | None,
    operation: Operation | None = None,
    override: Override | None = None,
) -> Started:
    """Set a run running, held by this executor, once nobody else holds it.

    Where an earlier process did so under the name of the operation, only the run is given.
    """

    taken: list[Claim] = []

    def start(over: Claim | None) -> Started:
        found: list[Started] = []
        taken[:] = [over] if over is not None else []

        def also(tx: Transaction, run: RunRef) -> None:
            found[:] = [(run, actions.action_of(tx, run, last_step(tx, run)[1], options.actions))]

        ref = start_run(
            stores, work, number, executor=executor, over=over, also=also, override=override, operation=operation
        )
        return found[0] if found and found[0][0].ref == ref else (RunRef.parse(ref), None)

    started = claims.taking_over(stores, start, options.stop, options.warn, over)
    for claim in taken:
        reference = live.reference_of(stores.surroundings, started[0], claim.owner)
        if reference is not None:
            try:
                reference.remove()
            except Error as error:
                options.warn(f"cannot remove '{reference.reference}': {error.message}")
    return started


def _taken_up(
    stores: Stores, run: RunRef, options: ExecutionOptions, executor: Executor, override: Override | None
) -> Started | RunResult | None:
    """What an earlier process left to do under the name of this operation (design 8.9); None where there was none.

    A run that it claimed and left is taken up again; one that has ended is not run again. Raises ClaimLost where it
    is executed at the moment, by that process or by another.
    """
    while True:
        snapshot = stores.snapshot()
        status = read_function(snapshot, run).status
        if status != vocabulary.RUNNING:
            why = "it was run under this name of an operation before"
            return RunResult(run, status, 0 if status == vocabulary.COMPLETE else 1, why)
        claim = read_claim(snapshot, run)
        if claim.owner == executor.name:
            return None
        if claim.operation != executor.operation:
            claims.require_claim(snapshot, run, executor.name)
        over = claims.await_end(stores, run, options.stop, options.warn, patient=True)
        if over is not None:
            return _claim(stores, run.work, run.number, options, executor, over, override=override)
        if options.stop.count or read_function(stores.snapshot(), run).status == vocabulary.RUNNING:
            raise ClaimLost(f"'{run}' is still run by '{claim.owner}', under the same name of an operation")


def _go_on(
    stores: Stores,
    run: RunRef,
    performed: Performed,
    options: ExecutionOptions,
    executor: Executor,
    log: LogWriter,
) -> Action | None:
    """Let a run go on with the function that the one before asked for; None where it is paused, waiting for inputs."""
    following = performed.following or {}
    inputs = read_inputs(following["inputs"], f"'{run}': next", run.work.release)
    found: list[Action | None] = []

    def change_intent(tx: Transaction) -> None:
        claims.require_claim(tx, run, executor.name)
        if fill(tx, inputs)[1]:
            finish.want_paused(tx, run)

    def change_state(tx: Transaction) -> None:
        claims.require_claim(tx, run, executor.name)
        function = read_function(tx, run)
        missing = add_step(tx, run, following["fn"], inputs)
        if missing:
            log.append(tx)
            finish.note_wanted(tx, run, function)
            runs.enter(tx, run, function, vocabulary.PAUSED)
        found[:] = [None if missing else actions.action_of(tx, run, last_step(tx, run)[1], options.actions)]

    log.finish_lines()
    log.keep()
    transact_both(stores, change_intent, change_state, "run next", f"go on {run}")
    if found[0] is None:
        log.recorded()
    return found[0]


def _finish(stores: Stores, run: RunRef, performed: Performed, executor: Executor, log: LogWriter) -> None:
    status = performed.status
    ended_by = finish.BY_CANCEL if status == vocabulary.CANCELLED else ""
    try:
        finish.finish(
            stores,
            run,
            status,
            outputs=performed.outputs,
            tags=performed.tags,
            watch=performed.watch,
            owner=executor.name,
            ended_by=ended_by,
            also=log.append,
        )
    except ClaimLost:
        raise
    except Error as error:
        exit_status = performed.exit_status
        error.message = f"the command of '{run}' ended with status {exit_status}, but that is not recorded: {error}"
        given = "".join(f" --output {key}=…" for key in performed.outputs)
        given += "".join(f" --tag {tag}" for tag in performed.tags)
        error.hint = f"once the store can be written to: git ocuroot run finish {run} --status {status}{given}"
        if log.kept_in:
            error.hint += f" (in this repository; '{log.kept_in}' holds the log until then)"
        raise
    log.recorded()
