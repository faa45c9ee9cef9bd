"""Calling a function of a package, in a process of its own: the package is evaluated, and the function called.

The process is a command like any other that a run executes: it is started, timed and ended by `child_command`. It reads
a request on stdin and answers on stdout, JSON lines for what is printed, and a last one for the result. Nothing
else writes there, so that no secret passes unmasked.

    request   {"repository", "commit", "path", "top", "function": {"name", "pos"}, "inputs", "environments", "work_id",
               "visible": [names of variables], "shell": whether the top level may run commands,
               "git_dir": of a repository that the environment does not lead to}
    entries   {"messages": [lines], "stream", "attributes": {"thread", "filename", "line", "col"}}
    result    {"done": {"outputs", "tags", "watch"}}, {"next": {"fn", "inputs"}} or {"error", "hint"}

The function that a `repo.ocu.star` gives to `trigger` is called the same way. Its text is in the request, since it may
be that of another repository, and takes the place of `repository` and `commit`:

    request   {"source", "path", "top", "trigger": the commit that it is given, "visible", "shell"}
    result    {"triggered": whether there is such a function} or {"error", "hint"}
"""

from __future__ import annotations

import os
import posixpath
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Final

    from .files import DirectoryFiles, PackageFiles
    from .host import Place
    from .masking import Secrets

    Fields = dict[str, Any]

LARGEST_RESULT: Final = 1 << 20
"""Characters of what a function returns, as JSON."""

_LONGEST_COMPLAINT: Final = 4096

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ocuroot_git.packages.calling import main; sys.exit(main())"
)


def command() -> list[str]:
    """The command that answers a request: this interpreter with this program, whatever lies in the directory."""
    import json

    return [sys.executable, "-I", "-c", _START, json.dumps([path for path in sys.path if path])]


class Answers:
    """Reads what the process answers. `entries` is given what is printed: messages, their stream, and attributes.

    `result` is the result once there is one.
    """

    def __init__(self, entries: Callable[[list[str], int, dict[str, str]], None]) -> None:
        self._entries = entries
        self._pieces: list[bytes] = []
        """Of a line whose end has not come yet: it may be many megabytes long."""
        self._complaint = b""
        self.result: Fields | None = None

    def feed(self, stream: int, data: bytes) -> None:
        """Take more of what the process wrote to stdout (1) or stderr (2)."""
        import json

        if stream != 1:
            self._complaint = (self._complaint + data)[-_LONGEST_COMPLAINT:]
            return

        *ends, rest = data.split(b"\n")
        for end in ends:
            line = b"".join([*self._pieces, end])
            self._pieces.clear()
            report = json.loads(line)
            if "messages" in report:
                self._entries(report["messages"], report["stream"], report["attributes"])
            else:
                self.result = report
        self._pieces.append(rest)

    def missing(self, status: int) -> str:
        """Why there is no result: the process ended with a status, with the last it said where it could not begin."""
        complaint = self._complaint.decode(errors="replace").strip().rpartition("\n")[2]
        return f"the process that called the function ended with status {status}" + (complaint and f": {complaint}")


def main() -> int:
    """Answer the request on stdin; gives the exit status: 0 where the function returned, 1 where it failed."""
    import json

    request = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # the library reports a panic on stderr
        os.dup2(null, descriptor)

    def answer(report: Fields) -> None:
        answers.write(json.dumps(report) + "\n")
        answers.flush()

    result = _call(request, answer)
    answer(result)
    return 1 if "error" in result else 0


def _in_order(value: Any) -> Any:
    """A value with the keys of its objects in order, as Ocuroot hands them over: packages compare their text."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def _call(request: Fields, answer: Callable[[Fields], None]) -> Fields:
    from ..config.shell import shell_in
    from ..config.starlark import need_library
    from ..errors import Error
    from ..git.repository import Repository
    from .evaluation import Evaluation, Failure
    from .files import CommitFiles, DirectoryFiles, FilesError, OneFile
    from .host import Closed
    from .permissions import Permissions

    signals = Signals()
    path, top = request["path"], request["top"]
    directory = posixpath.join(top, posixpath.dirname(path))
    evaluation = None
    try:
        need_library("a package")
        files: PackageFiles
        if "source" in request:
            files = OneFile(path, request["source"])
        else:
            environ = {**os.environ, "GIT_DIR": request["git_dir"]} if "git_dir" in request else os.environ
            files = CommitFiles(Repository.open(request["repository"], environ), request["commit"])
        visible = {name: os.environ[name] for name in request["visible"] if name in os.environ}
        permissions = Permissions(visible, top)
        if request["shell"]:
            permissions = Permissions(visible, top, shell_in(top, os.environ), DirectoryFiles(top))
        evaluation = Evaluation(files, path, Closed(files, permissions, directory, None), None, callable=True)
        evaluation.registry.environments = request.get("environments", [])
        evaluation.cancelled = lambda: bool(signals.received)
        evaluation.run()
        problems = evaluation.registry.problems
        if problems:
            raise Failure(problems[0])
        function = request.get("function") or {"name": "trigger"}
        evaluation.host = Opened(
            DirectoryFiles(top), directory, evaluation.secrets, str(function["name"]), answer, signals
        )
        if "trigger" in request:
            return {"triggered": evaluation.trigger(request["trigger"])}
        inputs = {name: _in_order(value) for name, value in request["inputs"].items()}
        text = evaluation.call(function["name"], function["pos"], inputs, request["work_id"])
        if problems:
            raise Failure(problems[0])
        return _result(text, path, evaluation.secrets)
    except Failure as failure:
        why, hint = str(failure.problem), failure.hint
    except (Error, FilesError) as error:
        why, hint = str(error), getattr(error, "hint", None)
    except BaseException as error:  # what the library raises where it panics is no Exception
        why, hint = f"{path}: {type(error).__name__}: {error}", None
    if evaluation is not None:
        why, hint = evaluation.secrets.mask(why), evaluation.secrets.mask(hint) if hint else None
    if signals.received:
        import signal

        why = f"it was ended by {signal.Signals(signals.received).name}"
    return {"error": why, "hint": hint}


def _result(text: str, path: str, secrets: Secrets) -> Fields:
    """What a function returned, as `next` and `done` make it; anything else counts as `done()`. Raises Failure."""
    import json

    from .evaluation import Failure
    from .problem import Problem

    if len(text) > LARGEST_RESULT:
        raise Failure(Problem(path, 0, 0, f"what the function returns is over {LARGEST_RESULT >> 20} MiB"))
    value = json.loads(text)
    value = value if isinstance(value, dict) else {}
    following = value.get("next")
    if isinstance(following, dict) and isinstance(following.get("fn"), dict):
        return {"next": {"fn": following["fn"], "inputs": following.get("inputs") or {}}}
    done = value.get("done")
    done = done if isinstance(done, dict) else {}
    outputs, tags = done.get("outputs") or {}, done.get("tags") or []
    if not isinstance(outputs, dict):
        raise Failure(Problem(path, 0, 0, "the outputs of done(…) must be a dict"))
    watch = done.get("watch") or []
    for what, listed in (("tags", tags), ("watched paths", watch)):
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise Failure(Problem(path, 0, 0, f"the {what} of done(…) must be a list of strings"))
        if secrets.holds(listed):
            raise Failure(Problem(path, 0, 0, f"the {what} of done(…) hold a secret, which the store would keep"))
    return {"done": {"outputs": secrets.mask_value(outputs), "tags": tags, "watch": watch}}


class Signals:
    """Which signal asked this process to end. The command that runs gets it too, and is waited for."""

    def __init__(self) -> None:
        import signal

        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number


class Opened:
    """The machine while a function of a run is called: all is open to it, as to the commands of packages in JSON."""

    def __init__(
        self,
        files: DirectoryFiles,
        directory: str,
        secrets: Secrets,
        thread: str,
        answer: Callable[[Fields], None],
        signals: Signals,
    ) -> None:
        from .host import Machine

        self.secrets = secrets
        self._machine = Machine(files, os.environ, directory)
        self._files = files
        self._thread = thread
        self._answer = answer
        self._signals = signals
        self.os, self.arch = self._machine.os, self._machine.arch
        self.env, self.pwd = self._machine.env, self._machine.pwd
        self.read, self.names, self.is_directory = files.read, files.names, files.is_directory
        self.write = files.write

    def print(self, text: str, place: Place) -> None:
        self._say([self.secrets.mask(text)], 1, place)

    def _say(self, messages: list[str], stream: int, place: Place) -> None:
        if messages:
            file, line, column = place
            attributes = {"thread": self._thread, "filename": file, "line": str(line), "col": str(column)}
            self._answer({"messages": messages, "stream": stream, "attributes": attributes})

    def shell(
        self, command: str, program: str, folder: str, env: dict[str, str], mute: bool, go_on: bool, place: Place
    ) -> Fields:
        from ..config.shell import ShellError, run, script
        from .files import HostError
        from .host import answer
        from .masking import Stream

        streams = {1: Stream(self.secrets), 2: Stream(self.secrets)}

        def output(stream: int, text: str) -> None:
            if not mute:
                self._say(streams[stream].feed(text), stream, place)

        try:
            result = run(script(command, program, folder, env), output)
        except ShellError as error:
            raise HostError(str(error)) from None
        for stream, left in streams.items():
            self._say(left.finish(), stream, place)
        if self._signals.received:
            raise HostError("the run was asked to end")
        return answer(command, result.exit_code, result.stdout, result.stderr, go_on)

    def request(self, method: str, url: str, headers: Fields, body: str) -> Fields:
        from .http import request

        return request(method, url, headers, body)
