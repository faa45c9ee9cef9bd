"""What `import ocuroot_git` promises: these names, each loaded on first use, and next to nothing before."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import types

import pytest
from support.program import TOP

import ocuroot_git

ERRORS = {"Conflict", "Error", "Fatal", "GlobError", "NotFound", "RefError", "UsageError"}
VALUES = {"Found", "Glob", "Ref"}
STORES = {"Snapshot", "Stores", "Transaction"}
FUNCTIONS = {"open"}
NAMES = {*ERRORS, *VALUES, *STORES, *FUNCTIONS, "__version__"}


def in_new_process(script: str) -> list[str]:
    """The words that a script prints in an interpreter which has loaded nothing yet."""
    lines = f"import sys; sys.path[:0] = [{str(TOP)!r}]; before = set(sys.modules); {script}"
    done = subprocess.run([sys.executable, "-I", "-c", lines], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_the_names() -> None:
    assert set(ocuroot_git.__all__) == NAMES
    assert sorted(ocuroot_git.__all__) == ocuroot_git.__all__


def test_the_kinds() -> None:
    kinds: dict[str, set[str]] = {"error": set(), "class": set(), "function": set(), "text": set()}
    for name in ocuroot_git.__all__:
        value = getattr(ocuroot_git, name)
        if isinstance(value, type):
            kinds["error" if issubclass(value, ocuroot_git.Error) else "class"].add(name)
        elif isinstance(value, types.FunctionType):
            kinds["function"].add(name)
        elif isinstance(value, str):
            kinds["text"].add(name)
    assert kinds == {"error": ERRORS, "class": VALUES | STORES, "function": FUNCTIONS, "text": {"__version__"}}
    assert all(inspect.getdoc(getattr(ocuroot_git, name)) for name in NAMES - {"__version__"})


def test_the_statuses_of_the_errors() -> None:
    statuses = {name: getattr(ocuroot_git, name).status for name in ERRORS - {"Error"}}
    fatal = dict.fromkeys(("Fatal", "GlobError", "RefError"), 128)
    assert statuses == {"NotFound": 1, "Conflict": 3, "UsageError": 129, **fatal}
    assert issubclass(ocuroot_git.GlobError, ocuroot_git.Fatal) and issubclass(ocuroot_git.RefError, ocuroot_git.Fatal)


def test_how_stores_are_opened() -> None:
    parameters = list(inspect.signature(ocuroot_git.open).parameters)
    assert parameters == ["directory", "environ", "package", "release", "access"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_loads_on_first_use(name: str) -> None:
    script = f"import ocuroot_git; first = ocuroot_git.{name}; from ocuroot_git import {name}; print({name} is first)"
    assert in_new_process(script) == ["True"]


def test_type_checkers_see_the_same_names() -> None:
    """What stands under `if TYPE_CHECKING:` is read by no test that runs: the names there and those loaded agree."""
    tree = ast.parse((TOP / "ocuroot_git" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == ocuroot_git._HOMES
    assert {*seen, "__version__"} == NAMES


def test_the_import_alone_loads_nothing() -> None:
    loaded = in_new_process("import ocuroot_git; print(ocuroot_git.__version__, *set(sys.modules) - before)")
    assert set(loaded) == {ocuroot_git.__version__, "ocuroot_git", "__future__"}


def test_dir_is_all() -> None:
    """Also before any of them is used, and after modules of the package were imported."""
    assert set(in_new_process("import ocuroot_git; print(*dir(ocuroot_git))")) == NAMES
    assert set(dir(ocuroot_git)) == NAMES


def test_a_star_import_takes_these_and_no_more() -> None:
    script = "scope = {}; exec('from ocuroot_git import *', scope); print(*scope)"
    assert set(in_new_process(script)) == NAMES | {"__builtins__"}


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="module 'ocuroot_git' has no attribute 'nothing'"):
        _ = ocuroot_git.nothing  # type: ignore[attr-defined]
