"""One evaluation of a package, within a process of its own: the files it loads, what they call, what they are told.

Functions of the library cannot be handed to Python. So what a package gives as one is known by the name the library
shows, `<file>.<name>`, and by the `def` of that name at the top of that file (see `source`).
"""

from __future__ import annotations

import posixpath

from ..config.starlark import BUILTIN, COMMON, JSON_CHECK, json_decode, message_of, one_line, parse, place_of
from .files import FilesError, HostError, within
from .masking import Secrets
from .prelude import PRELUDE
from .problem import Problem
from .registry import Registry
from .source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, NoReturn

    from ..config.sandbox import Bounds
    from .files import PackageFiles
    from .host import Host
    from .source import FunctionDef

LARGEST_SOURCE: Final = 1 << 20
_DEEPEST: Final = 200
"""Calls within each other: the language knows no recursion, so no package of sense comes near."""

# Calls a function of the file it is put behind, private ones included. `how` is `inputs` or `ctx`.
_CALLER = """
def ocuroot_call__(name, how, inputs, work_id):
    for known, fn in __functions__:
        if known == name and how == "ctx":
            return __json__(fn(__struct__(work_id = work_id, inputs = __struct__(**inputs))))
        elif known == name:
            return __json__(fn(**inputs))
    fail("there is no function '%s'" % name)

def ocuroot_trigger__(commit):
    if not __triggers__:
        return False
    __triggers__[-1](commit)
    return True
"""


class Failure(Exception):
    """The evaluation ended with this problem."""

    def __init__(self, problem: Problem, hint: str | None = None) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.hint = hint


class Evaluation:
    """A package at a path in a repository. `bounds` is None for a call of a function: it is a command of the user's."""

    def __init__(self, files: PackageFiles, path: str, host: Host, bounds: Bounds | None, *, callable: bool) -> None:
        self._files = files
        self.path = path
        self.directory = posixpath.dirname(path)
        self.host = host
        self.secrets: Secrets = host.secrets
        self._bounds = bounds
        self.cancelled: Callable[[], bool] = self._exceeded if bounds is not None else lambda: False
        """Asked every thousand steps whether to end."""
        self._callable = callable
        self._sources: dict[str, Source] = {}
        self._modules: dict[str, Any] = {}
        self._loading: list[str] = []
        self._failure: Failure | None = None
        self._told: tuple[str, str | None] | None = None
        self.registry = Registry(self)

    # Evaluating

    def run(self) -> None:
        """Evaluate the package's file, with all that it loads. Raises Failure."""
        self._modules[self.path] = self._evaluate(self._read(self.path, posixpath.basename(self.path)))

    def call(self, name: str, position: str, inputs: dict[str, Any], work_id: str) -> str:
        """Call a function of the package that was evaluated; gives what it returned, as JSON. Raises Failure."""
        for source in self._sources.values():
            function = source.functions.get(name)
            if function is None or source.position(function) != position:
                continue
            how = "ctx" if function.takes_context else "inputs"
            return str(self._call(source, "ocuroot_call__", name, how, inputs, work_id))
        raise Failure(Problem(self.path, 0, 0, f"function {name}/{position} not found"))

    def trigger(self, commit: str) -> bool:
        """Call the function that `trigger(…)` was given last, with a commit; whether there is one. Raises Failure."""
        return bool(self._call(self._sources[self.path], "ocuroot_trigger__", commit))

    def _call(self, source: Source, name: str, *given: object) -> object:
        import starlark

        options = starlark.EvalOptions(check_cancelled=self.cancelled, max_callstack_size=_DEEPEST)
        try:
            return self._modules[source.path].call_with(options, name, *given).value
        except starlark.StarlarkError as error:
            raise self._explain(str(error), source) from None

    def _read(self, path: str, shown: str) -> Source:
        text = self._files.read(path)
        if len(text) > LARGEST_SOURCE:
            raise FilesError(f"'{path}' is over {LARGEST_SOURCE >> 20} MiB")
        source = Source(path, shown, text)
        self._sources[path] = source
        return source

    def _evaluate(self, source: Source) -> Any:
        """The frozen module that a file leaves behind. Raises Failure."""
        import starlark

        module = starlark.Module()
        for name, function in self._builtins(source).items():
            module.add_callable(f"__{name}__", function)
        extension = starlark.LibraryExtension
        library = [extension.StructType, extension.Json, extension.Typing, extension.CallStack]
        names = starlark.Globals.extended_by(library)
        loader = starlark.FileLoader(lambda text: self._load(text, source))
        options = starlark.EvalOptions(check_cancelled=self.cancelled, max_callstack_size=_DEEPEST)
        self._loading.append(source.path)
        try:
            for text in ("__encode__ = json.encode", JSON_CHECK, COMMON + PRELUDE):
                starlark.eval(module, parse(BUILTIN, text), names)
            tree = parse(source.path, source.text + "\n\nNone", load=True, statements=False)
            source.scan()
            self.registry.problems += source.problems
            starlark.eval_with(options, module, tree, names, loader)
            if self._callable:
                known = ", ".join(f'("{name}", {name})' for name in source.functions)
                starlark.eval(module, parse(BUILTIN, f"__functions__ = [{known}]\n{_CALLER}"), names)
        except starlark.StarlarkError as error:
            raise self._explain(str(error), source) from None
        self._loading.pop()
        return module.freeze()

    def _load(self, text: str, by: Source) -> Any:
        """The module that `load(text, …)` names in a file."""
        path = ""
        try:
            if text.startswith("/") or "//" in text:
                raise FilesError(f"'{text}' is no path relative to the file that loads it")
            path = within(posixpath.dirname(by.path), text)
            if path in self._loading:
                circle = " -> ".join([*self._loading[self._loading.index(path) :], path])
                self.wrong(f"cycle in load graph: {circle}")
            if path not in self._modules:
                self._modules[path] = self._evaluate(self._read(path, self._shown(text, path)))
        except FilesError as error:
            self.wrong(f"cannot load '{text}': {error}")
        except Failure as failure:
            self._failure = self._failure or failure
            raise
        return self._modules[path]

    def _shown(self, text: str, path: str) -> str:
        """What positions call a module: the text by which it was loaded, unless that already means another."""
        taken = {source.shown for source in self._sources.values()}
        return f"./{posixpath.relpath(path, self.directory or '.')}" if text in taken else text

    def _exceeded(self) -> bool:
        assert self._bounds is not None
        message = self._bounds.exceeded()
        self._told = (message, None) if message else self._told
        return bool(message)

    # Telling

    def wrong(self, message: str, hint: str | None = None) -> NoReturn:
        """End the evaluation from within a builtin. Kept here, for the library adds words of its own."""
        self._told = message, hint
        raise ValueError(message)

    def _explain(self, report: str, source: Source) -> Failure:
        """What a report of the library amounts to: a place in a file of the user's, and the message."""
        if self._failure is not None:
            return self._failure
        place = place_of(report)
        message, hint = self._told or (message_of(report), None)
        self._told = None
        message = self.secrets.mask(one_line(message.replace(f"{BUILTIN}.", "")))
        if place and place[1] == BUILTIN:
            return Failure(self.problem(report, message), hint)
        if not place:
            return Failure(Problem(source.path, 0, 0, message), hint)
        path, line, column = place[1], int(place[2]), int(place[3])
        lines = self._sources[path].lines if path in self._sources else [""]
        if message.startswith(("parse error", "Parse error")) and (line, column) > (len(lines), len(lines[-1])):
            line, column, message = len(lines), len(lines[-1]) + 1, "parse error: unexpected end"
        return Failure(Problem(path, line, column, message), hint)

    def problem(self, stack: str, message: str) -> Problem:
        """A problem at the place in a file of the user's from which the SDK was called, by a stack of calls."""
        path, line, called, _ = self._caller(stack)
        source = self._sources.get(path)
        column = source.column_of_call(line, *_names(called)) if source is not None else 1
        return Problem(path, line, column, message)

    def origin(self, stack: str) -> tuple[str, int, int]:
        """Who called the SDK, as logs have it: file, line, and column."""
        path, line, called, _ = self._caller(stack)
        source = self._sources.get(path)
        if source is None:
            return path, line, 1
        return source.shown, line, source.column_of_call(line, *_names(called), opening=True)

    def _caller(self, stack: str) -> tuple[str, int, str, str]:
        """The last call from a file of the user's: its file and line, the function called, and the one it stands in."""
        import re

        frames = re.findall(r"^  \* (.+):(\d+), in (.+)$", stack, re.MULTILINE)
        for at in range(len(frames) - 1, -1, -1):
            path, line, function = frames[at]
            if path != BUILTIN:
                called = frames[at + 1][2] if at + 1 < len(frames) else ""
                return path, int(line), called, function
        return self.path, 0, "", ""

    # What is called

    def _builtins(self, source: Source) -> dict[str, Callable[..., object]]:
        """The functions that the prelude of a file takes from Python, by their names there without the underscores."""
        registry = self.registry

        def checked(function: Callable[..., object]) -> Callable[..., object]:
            def run(*given: Any, **named: Any) -> object:
                try:
                    return function(*given, **named)
                except (FilesError, HostError) as error:
                    self.wrong(str(error), getattr(error, "hint", None))

            return run

        def read(path: str) -> object:
            return self.host.read(self._place(path, "read"))

        def write(path: str, content: str) -> None:
            self.host.write(self._place(path, "write"), self._text(content, "write: the content"))

        def read_dir(path: str) -> object:
            return self.host.names(self._place(path, "read_dir"))

        def is_dir(path: str) -> object:
            return self.host.is_directory(self._place(path, "is_dir"))

        def say(text: str, stack: str) -> None:
            self.host.print(text, self.origin(stack))

        def shell(
            command: str, program: str, folder: str, env: dict[str, str], mute: bool, go_on: bool, stack: str
        ) -> object:
            texts = {"command": command, "shell": program, "dir": folder, **env}
            for what, text in texts.items():
                self._text(text, f"host.shell: {what}")
            return self.host.shell(command, program or "sh", folder, env, mute, go_on, self.origin(stack))

        def http(method: str, url: str, headers: dict[str, Any], body: str) -> object:
            return self.host.request(
                method, self._text(url, "http: the URL"), headers, self._text(body, "http: the body")
            )

        functions: dict[str, Callable[..., object]] = {
            "print": say,
            "json_decode": json_decode,
            "json_indent": _indent,
            "phase": registry.phase,
            "task": registry.task,
            "deploy": registry.deploy,
            "next": registry.next,
            "ref": registry.ref,
            "environments": lambda: registry.environments,
            "register": registry.register,
            "secret": self.secrets.add,
            "shell": shell,
            "os": lambda: self.host.os(),
            "arch": lambda: self.host.arch(),
            "env": lambda: self.host.env(),
            "pwd": lambda: self.host.pwd(),
            "read": read,
            "write": write,
            "read_dir": read_dir,
            "is_dir": is_dir,
            "http": http,
        }
        return {name: checked(function) for name, function in functions.items()}

    def _place(self, path: str, what: str) -> str:
        return within(self.directory, self._text(path, f"{what}: the path"))

    def _text(self, value: object, what: str) -> str:
        if not isinstance(value, str):
            self.wrong(f"{what} must be a string, not a {type(value).__name__}")
        return value

    def find(self, shown: str) -> tuple[Source, FunctionDef] | str:
        """The file and the `def` of a function by what the library shows for it; or why there is none."""
        path, _, name = shown.rpartition(".")
        source = self._sources.get(path)
        function = source.functions.get(name) if source is not None else None
        if path == BUILTIN:
            return f"'{name}' is a function of the SDK, not of the package"
        if source is None or function is None:
            return f"function '{name}' must be defined with def at the top level of a file: runs find it by its name"
        if name in source.inner:
            return f"'{path}' has two functions named '{name}', one within another: runs could not tell them apart"
        return source, function


def _names(called: str) -> tuple[str, ...]:
    """The names by which a file may call a function of the prelude: those of `http` have none there."""
    return ("get", "head", "post", "put", "patch", "delete", "fs") if called == "lambda" else (called, f"{called}_file")


def _indent(text: str, *, prefix: str = "", indent: str = "\t") -> str:
    import json

    lines = json.dumps(json_decode(text), indent=indent, ensure_ascii=False).split("\n")
    return f"\n{prefix}".join(lines)
