"""What is known in one place only: how times are written, the way down a path, what a dialect is like."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from support.program import TOP

PACKAGE = TOP / "ocuroot_git"


@cache
def modules() -> dict[str, ast.Module]:
    """The modules of the program, read for the first test that asks: it takes longer than to collect all tests."""
    return {
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
    found = {name: verbs & {*calls(tree)} for name, tree in modules().items()}
    assert {name: used for name, used in found.items() if used} == {
        "formats.times": {"gmtime", "localtime", "isoformat", "fromisoformat", "fromtimestamp"}
    }
    taken = [node for node in ast.walk(modules()["formats.times"]) if isinstance(node, ast.ImportFrom)]
    assert [alias.name for node in taken if node.module == "time" for alias in node.names] == [
        "gmtime",
        "localtime",
    ]


def test_the_way_down_a_path() -> None:
    """A loop in which one node leads to the next below it."""
    found = {
        name
        for name, tree in modules().items()
        for loop in ast.walk(tree)
        if isinstance(loop, ast.For) and "split" in calls(loop.iter) and "child" in calls(loop)
    }
    assert found == {"backends.base"}


def test_what_a_dialect_is_like() -> None:
    """Its number is shown and written. What follows from it, the layout says by a name for the thing."""
    assert not uses("version"), "the version in a store's file is its dialect"
    allowed = {
        "cli.commands.status": 1,  # shows it
        "delivery.index": 1,  # keeps facts apart by it
        "delivery.left_runs": 1,  # keeps what is left apart by it
        "ledger.chunks": 1,  # keeps events apart by it
        "ledger.known_deployments": 1,  # keeps what packages tell apart by it
        "ledger.last_events": 1,  # keeps the last events of runs apart by it
        "ledger.gate_passes": 1,  # keeps what passed gates apart by it
        "delivery.release_facts": 1,  # keeps those of releases apart by it
        "delivery.release_list": 1,  # keeps lists of releases apart by it
        "delivery.survey": 1,  # keeps summaries apart by it
        "store.remembered_walk": 1,  # keeps matches apart by it
        "sync.remote_branch": 1,  # refuses to mix two
    }
    assert uses("dialect") == allowed


def uses(attribute: str) -> dict[str, int]:
    """How often modules other than `formats.layout` read an attribute of a layout."""
    return {
        name: count
        for name, tree in modules().items()
        if name != "formats.layout" and (count := sum(is_read_of_layout(node, attribute) for node in ast.walk(tree)))
    }


def is_read_of_layout(node: ast.AST, attribute: str) -> bool:
    if not (isinstance(node, ast.Attribute) and node.attr == attribute):
        return False
    return "ayout" in ast.unparse(node.value)  # `layout`, `tree.layout`, `Layout.read(…)`
