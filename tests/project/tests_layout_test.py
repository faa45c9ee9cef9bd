"""The tests mirror the layers, and each test module can be read by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.program import TOP

TESTS = TOP / "tests"

BESIDE_THE_LAYERS = {"benchmarks", "golden", "project", "stories", "support"}


def folders(top: Path) -> set[str]:
    """The folders directly below one that hold files of ours."""
    return {path.relative_to(top).parts[0] for path in top.glob("*/*") if path.suffix not in (".pyc", "")}


def test_each_layer_has_its_folder() -> None:
    assert folders(TESTS) == folders(TOP / "ocuroot_git") | BESIDE_THE_LAYERS


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports, anywhere in it; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_what_tests_share_lies_in_support() -> None:
    """A module that is imported from two sides runs twice under pytest, its fixtures and templates too."""
    borrowed = {
        (str(path.relative_to(TESTS)), name)
        for path in TESTS.rglob("*.py")
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.endswith(("_test", "conftest"))
    }
    assert borrowed == set()
