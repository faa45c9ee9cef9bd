"""`git ocuroot run`: start, log, finish, cancel, execute and retry runs (design 7)."""

from __future__ import annotations

import os

from ...errors import Fatal, UsageError
from ...formats.documents import parse
from ..options import READING, RELATIVE, WRITING, Command, Group, Option
from . import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.gates import Override
    from ...delivery.model import Claim
    from ..context import Context


def start(context: Context, reference: str, *, override: bool) -> int:
    from ...delivery import claims
    from ...delivery.child_command import Signals
    from ...delivery.run_queries import find_work
    from ...delivery.starting import start_run

    work, number = find_work(context.snapshot(), reference)

    operation, overriding = context.operation("run start"), _overriding(context, asked=override)

    def begin(over: Claim | None) -> str:
        return start_run(context.stores, work, number, over=over, override=overriding, operation=operation)

    with Signals() as stop:
        run = claims.taking_over(context.stores, begin, stop, context.terminal.warning)
    context.terminal.result(run)
    return 0


def _overriding(context: Context, *, asked: bool) -> Override | None:
    """Who starts a run although a gate is closed, and why, where that was asked for. Raises UsageError."""
    if not asked:
        return None
    from ...delivery.gates import Override

    if not context.options.message:
        raise UsageError("say why: -m <text>", hint="the run keeps it")
    actor = context.stores.origin(context.stores.backend("state")[0]).actor
    return Override(actor or "", context.options.message)


def log(context: Context, reference: str) -> int:
    from ...delivery.log_writer import append_from
    from ...delivery.run_queries import find_run

    snapshot = context.snapshot()
    run = find_run(snapshot, reference)
    try:
        descriptor = context.terminal.stdin().fileno()
    except OSError:
        raise Fatal("cannot read the log from standard input: it is closed") from None
    append_from(context.stores, run, descriptor, context.terminal.warning, context.operation)
    return 0


def finish(
    context: Context,
    reference: str,
    *,
    status: str | None,
    output: list[str],
    outputs: str | None,
    tag: list[str],
    force: bool,
) -> int:
    from ...delivery import finish
    from ...delivery.outputs import pair
    from ...delivery.run_queries import find_run

    if not status:
        raise UsageError("how did it end? give --status complete, failed or cancelled")
    results = parse(context.read_value(outputs)) if outputs is not None else {}
    if not isinstance(results, dict):
        raise Fatal("bad outputs: --outputs takes a JSON object")
    results.update(pair(text) for text in output)
    run = find_run(context.snapshot(), reference)
    operation = context.operation("run finish", outputs=results)
    finish.finish(
        context.stores,
        run,
        status,
        outputs=results,
        tags=tag,
        force=force,
        operation=operation,
    )
    return 0


def cancel(context: Context, *references: str, force: bool) -> int:
    from ...delivery import finish, run_requests, vocabulary
    from ...delivery.run_queries import find_run, read_function

    results = run_requests.cancel(context.stores, references, force=force, operation=context.operation("run cancel"))
    snapshot = context.snapshot()
    for run, result in results.items():
        context.terminal.record(f"{result}\t{run}")
        if result == finish.STOPPING:
            context.terminal.remark(f"{run}: its executor stops it when it looks at its claim next")
        elif read_function(snapshot, find_run(snapshot, run)).cause == vocabulary.BY_INTENT:
            context.terminal.remark(f"{run}: an intent asks for it, and 'apply' makes another while it does")
    return 0


def execute(context: Context, reference: str, *command: str, timeout: int | None, override: bool) -> int:
    from ...delivery import executor as execution
    from ...delivery import vocabulary
    from ...delivery.child_command import Signals
    from ...delivery.run_queries import find_work

    if timeout is not None and timeout <= 0:
        raise UsageError("option '--timeout' takes a number of seconds above 0")
    work, number = find_work(context.snapshot(), reference)
    with context.code() as code, Signals() as stop:
        options = execution.ExecutionOptions(
            code=code,
            environ=context.environ,
            directory=os.getcwd(),
            top=context.top_directory(),
            stop=stop,
            output=lambda run, stream, data: context.terminal.pass_on(stream, data),
            warn=context.terminal.warning,
            command=list(command) or None,
            timeout=timeout,
        )
        result = execution.execute(
            context.stores,
            work,
            number,
            options,
            lambda run: context.terminal.remark(f"{run}: started"),
            operation=context.operation("run exec"),
            override=_overriding(context, asked=override),
        )
        why = f" ({result.why})" if result.why else ""
        context.terminal.remark(f"{result.run}: {result.status}{why}")
    if result.status in (vocabulary.COMPLETE, vocabulary.PAUSED):
        return 0
    return result.exit_status or 1


def retry(context: Context, reference: str) -> int:
    from ...delivery import run_requests

    for made in run_requests.retry(context.stores, reference, context.operation("run retry")):
        context.terminal.result(made)
    return 0


def dismiss(context: Context, reference: str) -> int:
    from ...delivery import failures
    from ...delivery.queries import find_release
    from ...delivery.run_queries import find_run
    from ...formats.refs import Ref

    reason = context.options.message or ""
    snapshot = context.snapshot()
    if Ref.parse(reference).type:
        run = find_run(snapshot, reference)
        context.stores.transact(
            lambda tx: failures.dismiss(tx, run, reason), command="run dismiss", message=f"dismiss {run}"
        )
    else:
        release = find_release(snapshot, reference)
        context.stores.transact(
            lambda tx: failures.dismiss_release(tx, release, reason),
            command="run dismiss",
            message=f"dismiss {release}",
        )
    return 0


_OVERRIDE = Option("--override", help="although a gate is closed, if it lets you pass; -m says why, and is kept")

COMMAND = Group(
    "run",
    "Carry out the work of a release, and record how it went.",
    (
        Command(
            "run start",
            "Set the pending run of a piece of work running, or make its next one, fill in its inputs, and print its "
            "ref. Fails where the run has to wait.",
            "[<options>] <work-ref>",
            start,
            (_OVERRIDE,),
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="Exit status: 0; 1 where there is no such work; 3 where it waits, or is running.",
        ),
        Command(
            "run log",
            "Append stdin to the logs of a run that has not ended (of the last run, where a piece of work is named).",
            "[<options>] <run>",
            log,
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="Exit status: 0; 1 where there is no such run; 3 where it has ended.",
        ),
        Command(
            "run logs",
            "The same as 'git ocuroot logs'.",
            logs.COMMAND.arguments,
            logs.run,
            logs.OPTIONS,
            common=(*RELATIVE, *READING),
            least=1,
            most=1,
            notes=logs.NOTES,
        ),
        Command(
            "run finish",
            "End a run: record status and outputs, point the links to it, and make the runs that follow from it.",
            "[<options>] --status (complete | failed | cancelled) <run>",
            finish,
            (
                Option("--status", choices=("complete", "failed", "cancelled"), help="how it ended"),
                Option("--output", metavar="<key>=<value>", many=True, help="an output, a string"),
                Option("--outputs", metavar="<json>", help="outputs as a JSON object ('-': read it from stdin)"),
                Option("--tag", metavar="<tag>", many=True, help="make this tag lead to the run's release"),
                Option("--force", help="also where an executor is at work on it"),
            ),
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="What an executor ('run exec', 'work any') is at work on is not said to be complete or failed by "
            "others, unless with --force.\n"
            "Exit status: 0; 1 where there is no such run; 3 where it is not running, or executed by another.",
        ),
        Command(
            "run cancel",
            "Cancel runs that have not ended (of a piece of work, its last). What is pending or paused is cancelled at "
            "once; what an executor is at work on is asked to stop.",
            "[<options>] <run>...",
            cancel,
            (Option("--force", help="do not wait for the executor: the run is cancelled at once"),),
            common=(*RELATIVE, *WRITING),
            least=1,
            notes="""
Prints 'cancelled' or 'stopping' and the run. An executor notices when it looks at its claim: on a local branch within
seconds, on a remote store within half a minute. It ends the command by SIGTERM, and by SIGKILL
ten seconds later, and the run as cancelled. A command that completes first is complete.
With --force the record says cancelled although the command may go on until its executor notices.
Exit status: 0; 1 where there is no such run; 3 where one has ended, and then nothing is cancelled.
""",
        ),
        Command(
            "run exec",
            "Start a run, carry out its command (or the one given), show and record what it prints, and end the run by "
            "the command's exit status.",
            "[<options>] <work-ref> [-- <command>...]",
            execute,
            (Option("--timeout", metavar="<seconds>", number=True, help="end the command after so long"), _OVERRIDE),
            common=(*RELATIVE, *WRITING),
            least=1,
            notes="""
The command finds its inputs in $OCUROOT_INPUT_<NAME>, the refs in $OCUROOT_RELEASE, $OCUROOT_RUN and
$OCUROOT_ENVIRONMENT, and writes outputs to the file $OCUROOT_OUTPUT, as key=value or key<<END … END.
Exit status: that of the command; 128 + n where signal n ended it; 124 after a time-out; 3 where the run waits.
""",
        ),
        Command(
            "run retry",
            "Make a new pending run in the place of one that failed, or of all of a release that failed; print them.",
            "[<options>] (<run> | <release>)",
            retry,
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="Exit status: 0; 1 where there is no such run; 3 where nothing failed.",
        ),
        Command(
            "run dismiss",
            "Leave it at a failure: a run that failed, or all of a release that did, is no longer shown as something "
            "to be dealt with. It has failed all the same, and can be retried.",
            "[<options>] (<run> | <release>)",
            dismiss,
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="What -m says is kept with the run as well.\n"
            "Exit status: 0; 1 where there is no such run; 3 where nothing failed.",
        ),
    ),
)
