"""`repo.ocu.star`, the file in which a repository says where its state lives (design 4.3).

The file is Starlark and comes with the repository, so it is not to be trusted: it is evaluated in a child
process that is bounded in time, steps and memory, and a command runs only through the `shell` handed to us.

What the file can call is of two kinds. `_builtins` makes Python functions: what they raise, the library reports at
the place in the file that called them. `_PRELUDE` is Starlark, for what the library cannot hand to Python (functions)
or take from it (structs); its annotations have the library check the arguments, and report them at that same place.
"""

from __future__ import annotations

import os

from .sandbox import Bounds, StarlarkError, in_child
from .starlark import (
    BUILTIN,
    COMMON,
    JSON_CHECK,
    json_decode,
    message_of,
    need_library,
    one_line,
    parse,
    place_of,
    utf8,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, NoReturn

    from .shell import ShellResult

_PRELUDE = """
def print(*values, sep = " "):
    __print__(sep.join([str(value) for value in values]))

def trigger(fn: typing.Callable):
    __trigger__()

def __shell__(command: str, shell: str = "sh", dir: str = ".", env: dict[str, str] = {}, mute: bool = False,
              continue_on_error: bool = False):
    return struct(**__run__(command, shell, dir, env, continue_on_error))

ocuroot, repo_alias, remotes, env = __ocuroot__, __repo_alias__, __remotes__, __host_env__
store = struct(set = __store_set__, git = __store_git__, fs = __store_fs__)
host = struct(env = env, os = __host_os__, arch = __host_arch__, shell = __shell__ if __open__ else __closed__)
http = struct(get = __absent__, post = __absent__)
secrets = struct(get = __absent__)
"""

# What store.git and store.fs return, as files print it and look into it: {"git": {"remote_url": …, …}}.
_STORES: dict[str, dict[str, type]] = {
    "git": {"remote_url": str, "branch": str, "create_branch": bool, "path_prefix": str, "support_files": dict},
    "fs": {"path": str},
}

# The names that files of the older form assign to, and the fields of RepoFile they stand for.
_OLDER = {
    "repo_alias": "repo_alias",
    "repo_remotes": "remotes",
    "state_store": "state",
    "intent_store": "intent",
    "release_ignore": "release_ignore",
}


class StoreSpec:
    """Where a store is, as `repo.ocu.star` says it. What it leaves out is None or empty."""

    __slots__ = ("branch", "create_branch", "kind", "location", "path_prefix", "support_files")

    def __init__(self, kind: str, location: str, **fields: Any) -> None:
        self.kind = kind  # "git" or "fs"
        self.location = location  # the URL, or the path as written: relative to the file's folder
        self.branch: str | None = fields.get("branch")
        self.create_branch: bool | None = fields.get("create_branch")
        self.path_prefix: str | None = fields.get("path_prefix")
        self.support_files: dict[str, str] = fields.get("support_files") or {}


class RepoFile:
    """What a `repo.ocu.star` says. What it leaves out is None or empty."""

    __slots__ = ("has_trigger", "intent", "printed", "release_ignore", "remotes", "repo_alias", "requires", "state")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.repo_alias: str | None = fields.get("repo_alias")
        self.state = StoreSpec(**fields["state"]) if fields.get("state") else None
        self.intent = StoreSpec(**fields["intent"]) if fields.get("intent") else None
        self.remotes: tuple[str, ...] = tuple(fields.get("remotes", ()))
        self.release_ignore: tuple[str, ...] = tuple(fields.get("release_ignore", ()))  # globs of paths
        self.requires: str | None = fields.get("requires")  # what ocuroot("…") names
        self.has_trigger: bool = fields.get("has_trigger", False)
        self.printed: tuple[str, ...] = tuple(map(str, fields["printed"]))  # one entry for each call of print


def evaluate(
    text: str,
    filename: str,
    *,
    environ: Mapping[str, str],
    shell: Callable[[str], ShellResult] | None,
    hidden: Collection[str] = (),
    seconds: float = 5.0,
) -> RepoFile:
    """What the `repo.ocu.star` with this `text` says; `filename` is its name in errors.

    `environ` is what `host.env()` returns, and `hidden` the names that are set but not in it. `shell` runs the
    commands of `host.shell`, in the child process and within `seconds`; None if the user has not allowed them.
    What the file prints is shown nowhere but in the result.
    Raises StarlarkError for a file that is wrong or exceeds its bounds, Fatal where the library is missing.
    """

    def work(bounds: Bounds) -> object:
        run = _Run(text, filename, bounds)
        run.hidden = hidden
        prelude = f"__open__ = {shell is not None}\n{_PRELUDE}"
        # The library converts what the last expression gives, which fails for a function: hence the None.
        module = run.evaluate(prelude, run.text + "\n\nNone", _builtins(run, environ, shell))
        run.read_globals(module)
        return run.settings

    need_library(filename)
    return RepoFile(in_child(work, filename, seconds))


def evaluate_value(text: str, *, seconds: float = 5.0) -> str:
    """The JSON text of the one Starlark expression in `text`: keys in their order, integers exact.

    Raises StarlarkError for what is no expression or has no JSON form, Fatal where the library is missing.
    """

    def work(bounds: Bounds) -> object:
        run = _Run(text, "value", bounds, shift=1)
        for left, right in ("()", "[]"):  # both, so that neither a statement nor `1) + (2` passes for an expression
            run.parse(f"{left}\n{run.text}\n{right}")
        return run.evaluate(JSON_CHECK, f"result = __json__(\n{run.text}\n)", {})["result"]

    need_library("a Starlark value")
    return str(in_child(work, "value", seconds))


class _Run:
    """One evaluation, in the child: what the text said so far, and how reports of the library are told to the user."""

    def __init__(self, text: str, filename: str, bounds: Bounds, shift: int = 0) -> None:
        self.text = text.removeprefix("\ufeff").rstrip()  # behind a last line end the library loses its place
        self.lines = self.text.split("\n")
        self.filename = filename
        self.bounds = bounds
        self.shift = shift  # lines put before the user's own
        self.settings: dict[str, Any] = {"printed": []}  # by the fields of RepoFile
        self.problem: tuple[str, str | None] | None = None
        self.hidden: Collection[str] = ()

    def parse(self, text: str, filename: str | None = None) -> Any:
        import starlark

        try:
            return parse(filename or self.filename, text)
        except starlark.StarlarkError as error:
            raise self.explain(str(error)) from None

    def evaluate(self, prelude: str, text: str, functions: dict[str, Callable[..., object]]) -> Any:
        """The module `text` leaves behind. It shares its globals with the prelude, so it may assign to their names."""
        import starlark

        def exceeded() -> bool:
            message = self.bounds.exceeded()
            self.problem = (message, None) if message else None
            return bool(message)

        module = starlark.Module()
        for name, function in {"json_decode": json_decode, **functions}.items():
            module.add_callable(f"__{name}__", function)
        extension = starlark.LibraryExtension
        library = starlark.Globals.extended_by([extension.StructType, extension.Json, extension.Typing])
        for part in ("__encode__ = json.encode", COMMON + prelude):
            starlark.eval(module, self.parse(part, BUILTIN), library)
        try:
            options = starlark.EvalOptions(check_cancelled=exceeded)
            starlark.eval_with(options, module, self.parse(text), library)
        except starlark.StarlarkError as error:
            raise self.explain(str(error)) from None
        return module

    def wrong(self, message: str, hint: str | None = None) -> NoReturn:
        """Ends the evaluation from within a builtin. Kept here, for the library adds words of its own."""
        self.problem = message, hint
        raise ValueError(message)

    def explain(self, report: str) -> StarlarkError:
        """The error a report of the library amounts to: its place and its message, without traceback and excerpt."""
        import re

        place = place_of(report)
        head = report[: place.start()] if place else report
        message = message_of(report).replace(f"{BUILTIN}.__shell__", "host.shell").replace(f"{BUILTIN}.", "")
        message, hint = self.problem or (message, self.hint_for(message))
        if not place:
            return self.error(message, hint)
        line, column = int(place[2]), int(place[3])
        if place[1] == BUILTIN:  # raised by a prelude: the traceback has its caller's line, but no column
            line = int(re.findall(rf"^  \* {re.escape(self.filename)}:(\d+), in ", head, re.MULTILINE)[-1])
            source = self.lines[max(line - 1 - self.shift, 0)]
            column = max(source.find("host.shell"), len(source) - len(source.lstrip())) + 1
            message = message.removeprefix("fail: ")
        line -= self.shift
        end = len(self.lines), len(self.lines[-1])
        if message.startswith("Parse error") and (line, column) > end:  # at what `evaluate` put behind it
            line, column, message = end[0], end[1] + 1, "parse error: unexpected end"
        return self.error(message, hint, f":{max(line, 1)}:{column}")

    def hint_for(self, message: str) -> str | None:
        """What to do where the file asked for a variable of the environment that it may not see."""
        head, _, rest = message.partition('`"')
        name = rest.partition('"`')[0]
        if head != "Key " or name not in self.hidden:
            return None
        return f"host.env() does not hold it; if you trust this file: git config --global --add ocuroot.allowEnv {name}"

    def error(self, message: str, hint: str | None = None, place: str = "") -> StarlarkError:
        return StarlarkError(f"{self.filename}{place}: {one_line(message)}", hint=hint)

    def read_globals(self, module: Any) -> None:
        """Takes what a file of the older form assigns, such as `repo_alias = "…"`, where no call has said it."""
        import starlark

        for name, field in _OLDER.items():
            try:
                value = module[name]
            except starlark.StarlarkError:  # a function, as our own repo_alias is
                value = None if name == "repo_alias" else ...
            if value is None or field in self.settings:
                continue
            try:
                self.settings[field] = self.check_field(field, value, name)
            except ValueError as error:
                import re

                lines = [number for number, line in enumerate(self.lines, 1) if re.match(rf"{name}\s*=", line)]
                raise self.error(str(error), place=f":{[1, *lines][-1]}:1") from None

    def check_field(self, field: str, value: Any, what: str) -> Any:
        """The value for this field of RepoFile, if it is one; `what` names it in the error."""
        if field in ("state", "intent"):
            return self.check_store(value, what)
        if field in ("remotes", "release_ignore"):
            return [self.check(item, str, f"{what}: each entry") for item in self.check(value, list, what)]
        return self.check(value, str, what)

    def check(self, value: Any, kind: type, what: str) -> Any:
        """The value, if it is of this kind. A string may not be empty, look like an option, or be of two lines."""
        names = {str: "string", type(None): "None"}  # where Starlark's differs
        if type(value) is not kind:
            got = names.get(type(value), type(value).__name__)
            self.wrong(f"{what} must be a {names.get(kind, kind.__name__)}, not {got}")
        if kind is str:
            text = str(value)
            if not text.strip():
                self.wrong(f"{what} is empty")
            if text.startswith("-") or not text.isprintable():
                self.wrong(f"{what} begins with '-' or holds a control character")
        return value

    def check_path(self, path: Any, what: str) -> None:
        parts = self.check(path, str, what).split("/")
        if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
            self.wrong(f"{what} must be a path below the top of the branch, not '{path}'")

    def check_store(self, value: Any, what: str) -> dict[str, Any]:
        """What StoreSpec takes, from what store.git or store.fs returned or the file put together by itself."""
        kind = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else ""
        types = _STORES.get(kind, {})
        if not types or not isinstance(value[kind], dict) or value[kind].keys() - types.keys():
            self.wrong(f"{what} is neither store.git(…) nor store.fs(…)")
        fields = {name: value[kind].get(name) for name in types}
        location = next(iter(types))
        for name, type_ in types.items():
            if name == location or fields[name] is not None:
                self.check(fields[name], type_, f"{what}: {name}")
        if fields.get("path_prefix"):
            self.check_path(fields["path_prefix"].rstrip("/"), f"{what}: path_prefix")
        for path, content in (fields.get("support_files") or {}).items():
            self.check_path(path, f"{what}: a key of support_files")
            if type(content) is not str:
                self.wrong(f"{what}: what support_files has for '{path}' must be a string")
        return {"kind": kind, "location": fields.pop(location), **fields}


def _builtins(
    run: _Run, environ: Mapping[str, str], shell: Callable[[str], ShellResult] | None
) -> dict[str, Callable[..., object]]:
    """The functions that the prelude takes from Python, by their names there without the underscores."""
    settings = run.settings

    def ocuroot(version: object) -> None:
        settings["requires"] = run.check_field("requires", version, "ocuroot: the version")

    def repo_alias(alias: object) -> None:
        settings["repo_alias"] = run.check_field("repo_alias", alias, "repo_alias: the alias")

    def remotes(remotes: object) -> None:
        settings["remotes"] = run.check_field("remotes", remotes, "remotes")

    def trigger() -> None:
        settings["has_trigger"] = True

    def store_git(
        remote_url: object,
        branch: object = None,
        create_branch: object = None,
        path_prefix: object = None,
        support_files: object = None,
    ) -> object:
        store = {"git": dict(zip(_STORES["git"], (remote_url, branch, create_branch, path_prefix, support_files)))}
        run.check_store(store, "store.git")
        return store

    def store_fs(path: object) -> object:
        store = {"fs": {"path": path}}
        run.check_store(store, "store.fs")
        return store

    def store_set(state: object, intent: object = None) -> None:
        if "state" in settings:
            run.wrong("store.set is called a second time")
        settings["state"] = run.check_store(state, "store.set: the state store")
        settings["intent"] = None if intent is None else run.check_store(intent, "store.set: the intent store")

    def host_env() -> object:
        return {utf8(name): utf8(value) for name, value in environ.items()}

    def host_os() -> object:
        return os.uname().sysname.lower()

    def host_arch() -> object:  # by Go's names, which files expect
        machine = os.uname().machine
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)

    def closed(*_: object, **__: object) -> NoReturn:
        run.wrong(
            "host.shell is closed: this file may run no commands",
            "if you trust it, open host.shell for yourself: git config --global ocuroot.allowShell true",
        )

    def absent(*_: object, **__: object) -> None:
        run.wrong("http and secrets can only be used in a function given to trigger")

    def run_shell(command: str, program: str, folder: str, env: dict[str, str], go_on: bool) -> object:
        if shell is None:
            return closed()
        from .shell import ShellError, script

        try:
            text = script(command, program, folder, env)
            with run.bounds.off():
                result = shell(text)
        except ShellError as error:
            run.wrong(str(error))
        if result.exit_code and not go_on:
            message = f"host.shell: '{command}' ended with status {result.exit_code}: {result.stderr.strip()}"
            run.wrong(message.rstrip(": "), "with continue_on_error=True the file can go on")
        texts = {name: utf8(getattr(result, name)) for name in ("stdout", "stderr", "combined_output")}
        return {"exit_code": result.exit_code, **texts}

    own: list[Callable[..., object]] = [ocuroot, repo_alias, remotes, trigger, store_git, store_fs, store_set]
    own += [host_env, host_os, host_arch, closed, absent]
    return {"print": settings["printed"].append, "run": run_shell, **{function.__name__: function for function in own}}
