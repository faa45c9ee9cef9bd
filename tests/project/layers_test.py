"""The folders are the layers: imports lead down only, in no circle; also those for types and those inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

from support.program import TOP

PACKAGE = TOP / "ocuroot_git"

LAYERS = (
    ("redaction",),
    ("errors",),
    ("formats",),
    ("git",),
    ("backends",),
    ("store",),
    ("config", "sync"),
    ("opening",),
    ("packages",),
    ("delivery",),
    ("ledger",),
    ("cli", "web"),
    ("__init__", "__main__"),
)
"""Lowest first. A module imports from its own folder and lower ranks; two names on one rank do not see each other."""

BESIDE_FOLDERS = {"redaction", "errors", "opening", "__init__", "__main__"}

PAGE_STARTS_HERE = {("cli.commands.view", "web"), ("cli.commands.site", "web")}
"""The ways from the command line to the page."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


NAMES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
"""Every module by its dotted name within the package; a package's own by `….__init__`."""


def as_module(parts: list[str]) -> str | None:
    """The module that dotted parts name, or whose content they name."""
    for length in range(len(parts), -1, -1):
        for name in (".".join(parts[:length]), ".".join([*parts[:length], "__init__"])):
            if name in NAMES:
                return name
    return None


def imported_by(name: str, source: str) -> set[str]:
    """The modules of the package that a module imports anywhere in its text, for running or for types."""
    above = ["ocuroot_git", *name.split(".")[:-1]]
    dotted: list[list[str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = above[: len(above) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            dotted += [[*base, alias.name] for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if called in ("import_module", "__import__", "_load_part"):
                text = str(node.args[0].value)
                dotted.append([*above, *text.lstrip(".").split(".")] if text.startswith(".") else text.split("."))
    modules = (as_module(parts[1:]) for parts in dotted if parts[0] == "ocuroot_git")
    return {module for module in modules if module is not None} - {name}


def imports() -> dict[str, set[str]]:
    return {name: imported_by(name, path.read_text(encoding="utf-8")) for name, path in NAMES.items()}


def folder(name: str) -> str:
    return name.split(".")[0]


RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def allowed(importer: str, imported: str) -> bool:
    mine, other = folder(importer), folder(imported)
    if (importer, other) in PAGE_STARTS_HERE:
        return True
    # The version and the lazy public names: reading `ocuroot_git.__version__` loads nothing.
    return mine == other or imported == "__init__" or RANKS[other] < RANKS[mine]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return groups


def test_every_module_lies_in_a_folder() -> None:
    assert {name for name in NAMES if "." not in name} <= BESIDE_FOLDERS
    assert {folder(name) for name in NAMES} <= set(RANKS)


def test_imports_lead_down() -> None:
    up = {(name, other) for name, others in imports().items() for other in others if not allowed(name, other)}
    assert sorted(up) == [], "imports of a layer above, or beside"


def test_no_circles() -> None:
    """Of any kind: a circle of types alone also makes two modules one."""
    graph = imports()
    graph["__init__"] = set()  # It names what is public, for others to load on first use.
    assert circles(graph) == []


def test_what_is_read_as_an_import() -> None:
    source = """
from __future__ import annotations
from typing import TYPE_CHECKING
from . import stores
if TYPE_CHECKING:
    from ..git.repository import Repository
def late():
    import ocuroot_git.formats.refs
    importlib.import_module("..config.settings")
"""
    assert {"store.stores", "git.repository", "formats.refs"} <= imported_by("store.walk", source)
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
