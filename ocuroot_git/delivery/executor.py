"""`run exec`: claim a run, run its command, record what it prints and gives, and end the run (design 7)."""

from __future__ import annotations

import os
import tempfile

from ..errors import Error, Fatal
from ..formats.documents import Document, dump, to_bytes
from . import child_command as process
from . import claims, finish, runs, vocabulary
from .addresses import RunRef, WorkRef
from .claims import ClaimLost, Executor
from .log_writer import LogWriter
from .model import variable_name
from .queries import environment, read_claim, read_function, read_release, read_run
from .vocabulary import DEPLOY, DOWN, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .child_command import Stop
    from .fields import Fields
    from .model import Claim, Function

    Started = tuple[RunRef, list[str] | None, Fields]
    """A run that was claimed, its command, and its description."""

LARGEST_OUTPUT: Final = 1 << 20
"""Bytes in the file of outputs; larger ones belong elsewhere, with a reference to them as the output."""


class NoCommand(Fatal):
    """A run has no command: its function names none, and none was given."""


class OutputError(Fatal, ValueError):
    """The file of outputs does not parse; the message names the line."""


class ExecutionOptions:
    """How commands are run: where, with which environment, for how long, and who is told.

    `command` (a list of words) takes the place of the release's own; `with_description` gives it the run's
    description on stdin. `output` is given what is printed: the run, the stream (1 or 2), and bytes.
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
    ) -> None:
        self.environ = environ
        self.directory = directory
        self.top = top
        self.stop = stop
        self.output = output
        self.warn = warn
        self.command = command
        self.with_description = with_description
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
) -> RunResult:
    """Start the open run of a piece of work, or its next one, and carry it to its end; `begun` is told which it is.

    A run that is running is taken over where its claim is `over`, or one that is seen to be held no more. Raises what
    `runs.start` raises, and NoCommand, both before anything is changed; ClaimLost where the run was taken over by
    another while its command ran, which is ended then. `operation` names the start; what follows is this process's own.
    """
    executor = Executor(stores, operation.name if operation is not None and operation.is_named else "")
    try:
        started = _claim(stores, work, number, options, executor, over, operation)
        run = started[0]
    except claims.Held as held:
        if not executor.operation:
            raise
        run = held.run
    if executor.operation:
        # Under this name an earlier process may have claimed the run.
        before = _taken_up(stores, run, options, executor)
        if isinstance(before, RunResult):
            return before
        started = before or started
    run, command, description = started
    begun(run)
    log = LogWriter(stores, run, executor=executor, warn=options.warn)
    outputs: Fields = {}
    if command is None:
        status, exit_status, why = vocabulary.COMPLETE, 0, ""
    else:
        status, exit_status, why, outputs = _run(run, command, description, options, log)
    if why:
        log.say(f"[git-ocuroot: {why}]")
    log.finish_lines()
    log.keep()
    _finish(stores, run, status, outputs, executor, log, exit_status)
    return RunResult(run, status, exit_status, why)


def _claim(
    stores: Stores,
    work: WorkRef,
    number: int | None,
    options: ExecutionOptions,
    executor: Executor,
    over: Claim | None,
    operation: Operation | None = None,
) -> Started:
    """Set a run running, held by this executor, once nobody else holds it.

    Where an earlier process did so under the name of the operation, only the run is given.
    """

    def start(over: Claim | None) -> Started:
        found: list[Started] = []

        def claim(tx: Transaction) -> str:
            run = runs.start(tx, work, number, executor=executor, over=over)
            function = read_function(tx, run)
            found[:] = [(run, options.command or command_of(tx, run, function), describe(tx, run, function))]
            return run.ref

        ref = stores.transact(claim, command="run start", message=f"start {work}", operation=operation)
        return found[0] if found and found[0][0].ref == ref else (RunRef.parse(ref), None, {})

    return claims.taking_over(stores, start, options.stop, options.warn, over)


def _taken_up(stores: Stores, run: RunRef, options: ExecutionOptions, executor: Executor) -> Started | RunResult | None:
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
            return _claim(stores, run.work, run.number, options, executor, over)
        if options.stop.count or read_function(stores.snapshot(), run).status == vocabulary.RUNNING:
            raise ClaimLost(f"'{run}' is still run by '{claim.owner}', under the same name of an operation")


def _run(
    run: RunRef, command: list[str], description: Fields, options: ExecutionOptions, log: LogWriter
) -> tuple[str, int, str, Fields]:
    """Run the command; gives the status, the exit status, why it is no plain one, and the outputs."""

    def output(stream: int, data: bytes) -> None:
        log.feed(stream, data)
        options.output(run, stream, data)

    with tempfile.TemporaryDirectory(prefix="git-ocuroot-") as scratch:
        output_file = os.path.join(scratch, "output")
        open(output_file, "wb").close()
        stdin = os.devnull
        if options.with_description:
            stdin = os.path.join(scratch, "description")
            with open(stdin, "wb") as file:
                file.write(to_bytes(dump(description) + "\n"))
        try:
            ended = process.run(
                command,
                environ=_environment(options.environ, description, output_file),
                directory=options.directory if options.command else options.top,
                stdin=stdin,
                timeout=options.timeout,
                stop=options.stop,
                output=output,
                tick=log.tick,
            )
        except (ClaimLost, vocabulary.WrongStatus):
            raise
        except Error as error:
            return vocabulary.FAILED, 128, error.message, {}
        status = vocabulary.COMPLETE if ended.status == 0 else vocabulary.FAILED
        if ended.why and ended.why == log.told_to_stop:
            status = vocabulary.CANCELLED
        why = ended.why or (f"it ended with status {ended.status}" if ended.status else "")
        try:
            return status, ended.status, why, read_outputs(output_file)
        except OutputError as error:
            status = vocabulary.FAILED if status == vocabulary.COMPLETE else status
            return status, ended.status or 128, f"{why}; {error.message}" if why else error.message, {}


def _finish(
    stores: Stores,
    run: RunRef,
    status: str,
    outputs: Fields,
    executor: Executor,
    log: LogWriter,
    exit_status: int,
) -> None:
    ended_by = finish.BY_CANCEL if status == vocabulary.CANCELLED else ""
    try:
        finish.finish(stores, run, status, outputs=outputs, owner=executor.name, ended_by=ended_by, also=log.append)
    except ClaimLost:
        raise
    except Error as error:
        error.message = f"the command of '{run}' ended with status {exit_status}, but that is not recorded: {error}"
        given = "".join(f" --output {key}=…" for key in outputs)
        error.hint = f"once the store can be written to: git ocuroot run finish {run} --status {status}{given}"
        if log.kept_in:
            error.hint += f" (in this repository; '{log.kept_in}' holds the log until then)"
        raise
    log.recorded()


def command_of(snapshot: Snapshot, run: RunRef, function: Function) -> list[str] | None:
    """The command that the release gives for a run; None for a `down` of which it says nothing: there is nothing to do.

    Raises NoCommand where the function is one that only another program can execute.
    """
    line = function.fn.get("run")
    if isinstance(line, str) and line:
        return ["sh", "-c", line]
    if not function.fn and read_run(snapshot, run).type == DOWN and _is_put_up_by_command(snapshot, run):
        return None
    raise NoCommand(
        f"'{run}' has no command: its function says no 'run'",
        hint=f"give one: git ocuroot run exec {run.work} -- <command>",
    )


def _is_put_up_by_command(snapshot: Snapshot, run: RunRef) -> bool:
    package = read_release(snapshot, run.work.release).package
    return any(spec.function(vocabulary.UP).get("run") for spec in package.specs() if spec.kind == DEPLOY)


def describe(snapshot: Snapshot, run: RunRef, function: Function) -> Fields:
    """A run's description: what `work any --exec` gives its command on stdin."""
    work = run.work
    found = environment(snapshot, work.name) if work.kind == DEPLOY else None
    return {
        "run": run.ref,
        "work": work.ref,
        "release": work.release,
        "package": work.package,
        "commit": read_release(snapshot, work.release).commit,
        "type": read_run(snapshot, run).type,
        "name": work.name,
        "environment": found.to_document() if found is not None else None,
        "fn": function.fn,
        "inputs": {name: given.value for name, given in function.inputs.items()},
    }


def _environment(environ: Mapping[str, str], description: Fields, output_file: str) -> dict[str, str]:
    found = {name: value for name, value in environ.items() if not name.startswith(_OWN)}
    found.update(OCUROOT_RELEASE=description["release"], OCUROOT_RUN=description["run"], OCUROOT_OUTPUT=output_file)
    if description["type"] != vocabulary.CALL:
        found["OCUROOT_ENVIRONMENT"] = description["name"]
    for name, value in description["inputs"].items():
        found[variable_name(name)] = value if isinstance(value, str) else dump(value, None)
    return found


_OWN: Final = (
    "OCUROOT_INPUT_",
    "OCUROOT_RELEASE",
    "OCUROOT_RUN",
    "OCUROOT_ENVIRONMENT",
    "OCUROOT_OUTPUT",
    "OCUROOT_OPERATION",
)
"""What a command must not inherit: of a run around this one, and the name of what *this* process writes."""


def read_outputs(path: str) -> dict[str, Document]:
    """The outputs that a command wrote to its file. Raises OutputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_OUTPUT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(f"cannot read the outputs: {error.strerror}") from None
    if len(data) > LARGEST_OUTPUT:
        raise OutputError(f"bad outputs: they are over {LARGEST_OUTPUT >> 20} MiB")
    try:
        return parse_outputs(data.decode())
    except UnicodeDecodeError:
        raise OutputError("bad outputs: they are not UTF-8") from None


def parse_outputs(text: str) -> dict[str, Document]:
    """Outputs in the form of GitHub's: `key=value` lines, and `key<<END`, lines of a value, `END`. Raises OutputError.

    >>> parse_outputs("version=1.2\\nnotes<<EOF\\ntwo\\nlines\\nEOF\\n")
    {'version': '1.2', 'notes': 'two\\nlines'}
    """
    outputs: dict[str, Document] = {}
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        line = line.removesuffix("\r")
        if not line:
            continue
        key, equals, value = line.partition("=")
        head, heredoc, end = line.partition("<<")
        if heredoc and end and "=" not in head:
            key, value = head, _heredoc(lines, end, number)
        elif not equals:
            raise OutputError(f"bad outputs: line {number}: neither 'key=value' nor 'key<<END': '{line[:80]}'")
        if not key.strip():
            raise OutputError(f"bad outputs: line {number}: the key is empty")
        outputs[key.strip()] = value
    return outputs


def _heredoc(lines: enumerate[str], end: str, start: int) -> str:
    value: list[str] = []
    for _, line in lines:
        if line.removesuffix("\r") == end:
            return "\n".join(value)
        value.append(line)
    raise OutputError(f"bad outputs: line {start}: the value that begins here has no end '{end}'")


def pair(text: str) -> tuple[str, str]:
    """An output on the command line, `key=value`. Raises ModelError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ModelError(f"bad output '{text}': it is not key=value")
    return key, value
