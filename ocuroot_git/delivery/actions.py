"""What a run executes: a command by sh, or a function of a package that is code. Both are processes of their own.

An action says which process is started and what it is given, and what its end amounts to; `perform` does the rest, the
same for both: signals, time-outs, output as it comes, the file of outputs.
"""

from __future__ import annotations

import os

from ..errors import Error, Fatal
from ..formats.documents import dump, to_bytes
from ..packages.evaluate import is_starlark
from . import child_command, vocabulary
from .claims import ClaimLost
from .finish import checked_tag
from .model import variable_name
from .outputs import OutputError, read_outputs
from .queries import environment, environments, read_release
from .run_queries import read_run
from .vocabulary import DEPLOY, DOWN, ModelError, WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final, Protocol

    from ..packages.calling import Answers
    from ..store.snapshot import Snapshot
    from .addresses import RunRef
    from .child_command import CommandExit, Stop
    from .code import Code
    from .fields import Fields
    from .log_writer import LogWriter
    from .model import Environment, Function

    Output = Callable[[int, bytes], None]
    """Takes what is printed: the stream (1 or 2), and bytes."""

    class Action(Protocol):
        """One execution of a run."""

        def words(self) -> list[str]:
            """The command that is started."""

        def directory(self) -> str:
            """Where it runs. Raises Fatal."""

        def stdin(self) -> bytes:
            """What it reads."""

        def environment(self, output_file: str) -> dict[str, str]:
            """The variables it finds."""

        def reader(self, output: Output, log: LogWriter) -> Output:
            """What takes what it prints."""

        def result(self, ended: CommandExit, outputs: Fields) -> Performed:
            """What its end amounts to; `outputs` are those it wrote to the file of outputs."""


class NoCommand(Fatal):
    """A run has no command: its function names none, and none was given."""


class ActionOptions:
    """What actions need to know: see `executor.ExecutionOptions`."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        directory: str,
        top: str,
        command: list[str] | None,
        with_description: bool,
        code: Code | None,
    ) -> None:
        self.environ = environ
        self.directory = directory
        self.top = top
        self.command = command
        self.with_description = with_description
        self.code = code


class Performed:
    """How an execution ended: status and exit status, why where that is no plain exit, and what it gave.

    `following` is the function with which the run is to go on (`fn`, `inputs`), if there is one; `watch` are the paths
    whose change asks for a new release.
    """

    def __init__(
        self,
        status: str,
        exit_status: int,
        why: str = "",
        outputs: Fields | None = None,
        tags: list[str] | None = None,
        following: Fields | None = None,
        watch: list[str] | None = None,
    ) -> None:
        self.status = status
        self.exit_status = exit_status
        self.why = why
        self.outputs = outputs or {}
        self.tags = tags or []
        self.following = following
        self.watch = watch or []


def action_of(snapshot: Snapshot, run: RunRef, function: Function, options: ActionOptions) -> Action | None:
    """What a run executes; None for a `down` of which the release says nothing: there is nothing to do.

    Raises NoCommand where the function is one that only another program can execute.
    """
    described = describe(snapshot, run, function)
    if options.command:
        return Command(options.command, options.directory, described, options)
    line = function.fn.get("run")
    if isinstance(line, str) and line:
        return Command(["sh", "-c", line], options.top, described, options)
    if function.fn.get("pos") and is_starlark(run.work.package):
        return _call(snapshot, run, function, described, options)
    if not function.fn and read_run(snapshot, run).type == DOWN and _is_put_up_here(snapshot, run):
        return None
    raise NoCommand(
        f"'{run}' has no command: its function says no 'run'",
        hint=f"give one: git ocuroot run exec {run.work} -- <command>",
    )


def _is_put_up_here(snapshot: Snapshot, run: RunRef) -> bool:
    """Whether the package is one whose deployments this program puts up."""
    functions = [spec.function(vocabulary.UP) for spec in read_release(snapshot, run.work.release).package.specs()]
    return any(fn.get("run") or (fn.get("pos") and is_starlark(run.work.package)) for fn in functions)


def _call(
    snapshot: Snapshot, run: RunRef, function: Function, described: Fields, options: ActionOptions
) -> FunctionCall:
    code = options.code
    try:
        if code is None:
            raise Fatal("there is no repository here with its code")
        code = code.of(snapshot, run.work.package, described["commit"])
        code.path_of(run.work.package)
    except Fatal as error:
        raise NoCommand(f"'{run}' cannot be executed here: {error.message}", hint=error.hint) from None
    return FunctionCall(code, run, function, described, environments(snapshot), options)


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


class Command:
    """A command, with inputs and outputs by way of the environment."""

    def __init__(self, words: list[str], directory: str, described: Fields, options: ActionOptions) -> None:
        self._words = words
        self._directory = directory
        self._described = described
        self._options = options

    def words(self) -> list[str]:
        return self._words

    def directory(self) -> str:
        return self._directory

    def stdin(self) -> bytes:
        return to_bytes(dump(self._described) + "\n") if self._options.with_description else b""

    def environment(self, output_file: str) -> dict[str, str]:
        found = _environment(self._options.environ, self._described)
        found["OCUROOT_OUTPUT"] = output_file
        for name, value in self._described["inputs"].items():
            found[variable_name(name)] = value if isinstance(value, str) else dump(value, None)
        return found

    def reader(self, output: Output, log: LogWriter) -> Output:
        def read(stream: int, data: bytes) -> None:
            log.feed(stream, data)
            output(stream, data)

        return read

    def result(self, ended: CommandExit, outputs: Fields) -> Performed:
        status = vocabulary.COMPLETE if ended.status == 0 else vocabulary.FAILED
        why = ended.why or (f"it ended with status {ended.status}" if ended.status else "")
        return Performed(status, ended.status, why, outputs)


class FunctionCall:
    """A function of a package that is code, called in a process of its own with the inputs as its parameters."""

    def __init__(
        self,
        code: Code,
        run: RunRef,
        function: Function,
        described: Fields,
        known: dict[str, Environment],
        options: ActionOptions,
    ) -> None:
        self._code = code
        self._run = run
        self._function = function
        self._described = described
        self._known = known
        self._options = options
        self._answers: Answers | None = None

    def words(self) -> list[str]:
        from ..packages.calling import command

        return command()

    def directory(self) -> str:
        return self._code.commands_at(self._described["commit"])

    def stdin(self) -> bytes:
        commit = self._described["commit"]
        called = {
            "function": {"name": self._function.fn["name"], "pos": self._function.fn["pos"]},
            "inputs": self._described["inputs"],
            "work_id": "1",
        }
        request = self._code.request(self._run.work.package, commit, self._code.top_at(commit), called, self._known)
        return to_bytes(dump(request, None))

    def environment(self, output_file: str) -> dict[str, str]:
        # Without the file of outputs: what a command writes there could be a secret, which only the function knows.
        return _environment(self._code.environ_of_commands, self._described)

    def reader(self, output: Output, log: LogWriter) -> Output:
        from ..packages.calling import Answers

        def entries(messages: list[str], stream: int, attributes: dict[str, str]) -> None:
            log.add(messages, stream, attributes)
            output(stream, to_bytes("".join([f"{message}\n" for message in messages])))

        self._answers = Answers(entries)

        return self._answers.feed

    def result(self, ended: CommandExit, outputs: Fields) -> Performed:
        answer = self._answers.result if self._answers is not None else None
        if ended.why or answer is None:
            why = ended.why or (self._answers.missing(ended.status) if self._answers is not None else "")
            return Performed(vocabulary.FAILED, ended.status or 128, why, outputs)
        if "error" in answer:
            hint = f" ({answer['hint']})" if answer["hint"] else ""
            return Performed(vocabulary.FAILED, 1, f"{answer['error']}{hint}", outputs)
        if "next" in answer:
            return Performed(vocabulary.RUNNING, 0, outputs=outputs, following=answer["next"])
        done = answer["done"]
        given = {**outputs, **done["outputs"]}
        try:
            tags = [_tag(tag) for tag in done["tags"]]
        except ModelError as error:
            return Performed(vocabulary.FAILED, 1, error.message, given)
        return Performed(vocabulary.COMPLETE, 0, outputs=given, tags=tags, watch=done["watch"])


def _tag(tag: str) -> str:
    """A tag that a function gives. Raises ModelError, also for what a later dialect takes for a release's number."""
    if tag.startswith("r") and tag[1:].isdigit():
        raise ModelError(f"bad tag '{tag}': it looks like the number of a release")
    return checked_tag(tag)


def perform(action: Action, log: LogWriter, output: Output, *, timeout: float | None, stop: Stop) -> Performed:
    """Carry an action out, and hold on to the run meanwhile. Raises ClaimLost, WrongStatus."""
    import tempfile  # late: mostly nothing is to be done

    with tempfile.TemporaryDirectory(prefix="git-ocuroot-") as scratch:
        output_file = os.path.join(scratch, "output")
        stdin = os.path.join(scratch, "input")
        open(output_file, "wb").close()
        try:
            with open(stdin, "wb") as file:
                file.write(action.stdin())
            ended = child_command.run(
                action.words(),
                environ=action.environment(output_file),
                directory=action.directory(),
                stdin=stdin,
                timeout=timeout,
                stop=stop,
                output=action.reader(output, log),
                tick=log.tick,
            )
        except (ClaimLost, WrongStatus):
            raise
        except Error as error:
            return Performed(vocabulary.FAILED, 128, error.message)
        wrong = ""
        outputs: Fields = {}
        try:
            outputs = read_outputs(output_file)
        except OutputError as error:
            wrong = error.message
        performed = action.result(ended, outputs)
        if wrong:
            performed.status, performed.following = vocabulary.FAILED, None
            performed.exit_status = performed.exit_status or 128
            performed.why = f"{performed.why}; {wrong}" if performed.why else wrong
        if ended.why and ended.why == log.told_to_stop:
            performed.status, performed.following = vocabulary.CANCELLED, None
        return performed


def _environment(environ: Mapping[str, str], described: Fields) -> dict[str, str]:
    found = {name: value for name, value in environ.items() if not name.startswith(_OWN)}
    found.update(OCUROOT_RELEASE=described["release"], OCUROOT_RUN=described["run"])
    if described["type"] != vocabulary.CALL:
        found["OCUROOT_ENVIRONMENT"] = described["name"]
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
