"""What is known in one place only: how times are written, and the way down a path."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support.program import TOP

PACKAGE = TOP / "ocuroot_git"

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def calls(node: ast.AST) -> Iterator[str]:
    """The names of the functions and methods that are called anywhere below a node."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            yield call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_times() -> None:
    verbs = {"gmtime", "localtime", "strptime", "isoformat", "fromisoformat", "fromtimestamp", "utcfromtimestamp"}
    found = {name: verbs & {*calls(tree)} for name, tree in MODULES.items()}
    assert {name: used for name, used in found.items() if used} == {"formats.times": {"gmtime", "fromisoformat"}}
    taken = [node for node in ast.walk(MODULES["formats.times"]) if isinstance(node, ast.ImportFrom)]
    assert [alias.name for node in taken if node.module == "time" for alias in node.names] == ["gmtime"]


def test_the_way_down_a_path() -> None:
    """A loop in which one node leads to the next below it."""
    found = {
        name
        for name, tree in MODULES.items()
        for loop in ast.walk(tree)
        if isinstance(loop, ast.For) and "split" in calls(loop.iter) and "child" in calls(loop)
    }
    assert found == {"backends.base"}
