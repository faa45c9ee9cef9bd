"""`git ocuroot package`: what a package defines, and what is wrong with it (design 14)."""

from __future__ import annotations

import os

from ...errors import Fatal, UsageError
from ...formats.documents import dump
from ..arguments import path_below
from ..options import READING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.definitions import Definition
    from ...delivery.model import Environment
    from ...delivery.package import WorkSpec
    from ...packages.files import PackageFiles
    from ...packages.permissions import Permissions
    from ..context import Context


def new(context: Context, file: str) -> int:
    from ...delivery import examples
    from ...packages.evaluate import is_starlark

    text = examples.STARLARK if is_starlark(file) else examples.JSON
    if not is_starlark(file) and not file.endswith(".json"):
        raise UsageError(f"'{file}': a package is a file '*.star' (code) or '*.json'")
    try:
        with open(file, "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise Fatal(f"'{file}' exists already") from None
    except OSError as error:
        raise Fatal(f"cannot write '{file}': {error.strerror}") from None
    context.terminal.remark(f"Wrote '{file}'; 'git ocuroot package show {file}' shows what it comes to")
    return 0


def schema(context: Context) -> int:
    from ... import delivery

    path = os.path.join(os.path.dirname(delivery.__file__), "package.schema.json")
    with open(path, encoding="utf-8") as file:
        context.terminal.write(file.read().encode())
    return 0


def show(context: Context, file: str, *, commit: str | None, json: bool) -> int:
    from ...delivery.definitions import read_definition

    files, permissions = _files(context, commit)
    path, known = _path(context, file), _environments(context)
    definition = read_definition(files, path, known, permissions)
    for line in definition.printed:
        context.terminal.remark(f"{line['file']}:{line['line']}: {line['message']}")
    if json:
        document = definition.document or {}
        shown = {"functions": {}, "phases": [], **document, "environments": definition.environments}
        context.terminal.json(dump({"package": path, **shown}))
        return 0
    context.terminal.start_pager()
    _picture(context, path, definition, known)
    return 0


def lint(context: Context, *paths: str, commit: str | None) -> int:
    from ...delivery.definitions import check

    files, permissions = _files(context, commit)
    known = _environments(context)
    status = 0
    for file in paths:
        for problem in check(files, _path(context, file), known, permissions):
            context.terminal.record(str(problem))
            status = 1
    return status


def _files(context: Context, commit: str | None) -> tuple[PackageFiles, Permissions]:
    """The files to look at, those of the work tree unless a commit is named, and what packages may do meanwhile."""
    from ...packages.files import CommitFiles, DirectoryFiles
    from ...packages.permissions import permissions_of

    permissions = permissions_of(context.settings)
    if commit is None:
        return DirectoryFiles(permissions.top), permissions
    repository = context.settings.repository
    return CommitFiles(repository, repository.resolve(commit)), permissions


def _path(context: Context, file: str) -> str:
    """The path of a file from the top of its repository: as seen from here, or with `//` a package's. Raises Fatal."""
    settings = context.settings
    if file.startswith("//"):
        return f"{settings.root_below_top}/{file.strip('/')}".strip("/")
    return path_below(settings.repository.work_tree or settings.directory, file)


def _environments(context: Context) -> dict[str, Environment]:
    """The environments there are; none where there is no store yet."""
    from ...delivery.problems import Problems
    from ...delivery.queries import environments
    from ..reports import report_problems

    problems = Problems()
    try:
        known = environments(context.snapshot(), problems)
    except Fatal as error:
        context.terminal.remark(f"no environments are known: {error.message}")
        return {}
    report_problems(context.terminal, problems)
    return known


def _picture(context: Context, path: str, definition: Definition, known: dict[str, Environment]) -> None:
    from ...delivery.package import Package

    terminal = context.terminal
    terminal.record(f"package      {terminal.paint(path, 'bold')}")
    for environment in definition.environments:
        attributes = " ".join(f"{key}={value}" for key, value in environment["attributes"].items())
        terminal.record(f"environment  {environment['name']:<20} {attributes}".rstrip())
    if definition.document is None:
        return
    package = Package.read(definition.document, f"'{path}'")
    for number, phase in enumerate(package.phases, 1):
        terminal.record(f"phase {number:<6} {terminal.paint(phase.name, 'bold')}".rstrip())
        for spec in phase.work:
            for line in _work_lines(spec, known):
                terminal.record(f"    {line}")


def _work_lines(spec: WorkSpec, known: dict[str, Environment]) -> list[str]:
    """A piece of work: what it is and what it runs, then a line for each input."""
    names = spec.names(known)
    named = " ".join(names)
    if spec.selector is not None:
        wanted = " ".join(f"{key}={value}" for key, value in spec.selector.items()) or "all"
        named = f"[{wanted}] {named or '(no environment)'}"
    runs = [(key, spec.fields.get(key)) for key in ("fn", "up", "down")]
    what = ", ".join(f"{'' if key == 'fn' else key + ' '}{_function(fn)}" for key, fn in runs if isinstance(fn, dict))
    lines = [f"{spec.kind + ' ' + named:<32} {what}".rstrip()]
    inputs = spec.fields.get("inputs") or {}
    for name, given in inputs.items():
        lines.append(f"    {name:<24} {_input(given)}")
    return lines


def _function(fn: dict[str, object]) -> str:
    if fn.get("run"):
        return f"$ {str(fn['run']).splitlines()[0]}"
    return f"{fn.get('name', '')} ({fn['pos']})" if fn.get("pos") else str(fn.get("name", ""))


def _input(given: object) -> str:
    if not isinstance(given, dict):
        return dump(given, None)
    if "ref" not in given:
        return f"= {dump(given.get('value'), None)}"
    return f"{given['ref']}, or {dump(given['default'], None)}" if "default" in given else str(given["ref"])


_COMMIT = Option("--commit", metavar="<rev>", help="as the package is in a commit (default: in the work tree)")

COMMAND = Group(
    "package",
    "Write a package to start from; show what one defines, and check it, without making a release. Packages are code "
    "(*.star) or JSON.",
    (
        Command(
            "package new",
            "Write an example to start from: code with comments for a file '*.star', else JSON.",
            "[<options>] <file>",
            new,
            least=1,
            most=1,
            notes="A file that exists already is left as it is, which is an error.",
        ),
        Command(
            "package schema",
            "Print the JSON Schema (draft 2020-12) of packages in JSON, for editors and other tools.",
            "[<options>]",
            schema,
            most=0,
        ),
        Command(
            "package show",
            "Show what a package comes to: its phases, the work in each with its inputs, and the environments that it "
            "registers.",
            "[<options>] <file>",
            show,
            (_COMMIT, Option("--json", help="print a JSON object")),
            common=READING,
            least=1,
            most=1,
            notes="What the package prints goes to stderr. It runs no commands unless 'ocuroot.allowShell' is true.",
        ),
        Command(
            "package lint",
            "Print all that is wrong with packages, a line each, with file, line and column where they are known.",
            "[<options>] <file>...",
            lint,
            (_COMMIT,),
            common=READING,
            least=1,
            notes="Exit status: 0 where nothing is wrong, else 1.",
        ),
    ),
)
