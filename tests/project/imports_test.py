"""Who may use the doors to the outside (design 11); and what each command loads, seen in real processes."""

from __future__ import annotations

import ast
import functools
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import TOP
from support.repositories import Repo

PACKAGE = TOP / "ocuroot_git"

PACKAGES = {".".join(path.parent.relative_to(PACKAGE).parts) for path in PACKAGE.rglob("__init__.py")}

INPUT_AND_OUTPUT = {"os", "io", "pathlib", "subprocess", "socket", "time", "tempfile", "shutil"}

CALENDAR = ("formats.times", "time")
"""The calendar lies beside the clock, which the module must leave alone (one_way_test holds that)."""


@functools.cache
def modules() -> list[tuple[str, ast.Module]]:
    """Every module of the package by its dotted name within it, parsed, without what only the type checker reads."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found.append((name, Running().visit(ast.parse(path.read_text(encoding="utf-8")))))
    return found


class Running(ast.NodeTransformer):
    """Takes out `if TYPE_CHECKING:` blocks, which never run."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse]
        return self.generic_visit(node)


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """What a module imports, anywhere in it: dotted names, its own package's beginning with a dot."""
    package = name.split(".")[:-1] if name not in PACKAGES else name.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1]
            base = [*above, *(node.module.split(".") if node.module else [])]
            yield from ("." + ".".join(base if node.module else [*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and called(node) in ("__import__", "import_module", "_load_part"):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)


def called(node: ast.Call) -> str:
    """The name of what is called, with the name before the dot where there is one."""
    function = node.func
    if isinstance(function, ast.Attribute):
        before = f"{function.value.id}." if isinstance(function.value, ast.Name) else ""
        return before + function.attr
    return function.id if isinstance(function, ast.Name) else ""


def users_of(*roots: str) -> set[str]:
    return {name for name, tree in modules() for found in imports(name, tree) if found.split(".")[0] in roots}


def test_only_objects_knows_libgit2() -> None:
    assert users_of("pygit2", "_pygit2", "_libgit2", "cffi") == {"git.libgit2"}
    assert {name for name, tree in modules() if ".git.libgit2" in imports(name, tree)} == {
        "git.object_writer",
        "git.repository",
        "git.tree_reader",
    }


def test_few_doors_to_processes() -> None:
    """git in two modules, the commands of runs in another; two that fork, and never run a program."""
    assert users_of("subprocess", "multiprocessing", "pty", "asyncio") == {
        "git.deadline",
        "git.program",
        "delivery.child_command",
        "config.shell",
    }
    starters = ("fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp", "startfile")
    forbidden = {f"os.{verb}" for verb in starters} | {
        f"os.{verb}{how}" for verb in ("exec", "spawn") for how in ENDINGS
    }
    found = {
        name: {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)} & forbidden
        for name, tree in modules()
    }
    assert {name: verbs for name, verbs in found.items() if verbs} == {
        "git.program": {"os.posix_spawnp"},
        "store.forked_walk": {"os.fork"},
        "config.sandbox": {"os.fork"},
    }


def test_one_door_to_the_network_besides_git() -> None:
    clients = {"urllib.request", "http.client", "requests", "aiohttp"}
    assert {name for name, tree in modules() for found in imports(name, tree) if found in clients} == {"packages.http"}


ENDINGS = ("v", "ve", "vp", "vpe", "l", "le", "lp", "lpe")


def test_rich_is_imported_late_and_in_one_place() -> None:
    assert users_of("rich") == {"cli.progress"}
    for name, tree in modules():
        at_start = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
        assert "rich" not in {found.split(".")[0] for found in imports(name, at_start)}, name


def test_few_read_the_environment() -> None:
    readers = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if attribute_name(node) in ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"):
                readers.add(name)
    assert readers <= {"cli.main", "opening", "git.program", "git.libgit2", "packages.calling"}


def attribute_name(node: ast.AST) -> str:
    """The attribute of a module that a node names, as `os.environ`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def test_formats_do_no_input_or_output() -> None:
    found = {
        (name, module)
        for name, tree in modules()
        for module in imports(name, tree)
        if name.startswith("formats.") and module.split(".")[0] in INPUT_AND_OUTPUT
    }
    assert found == {CALENDAR}


# What a command loads

PROBE = """
import sys
sys.path[:0] = sys.argv.pop(1).split(":")
before = set(sys.modules)
from ocuroot_git.cli.main import main
status = main()
sys.stderr.write("\\n" + " ".join(sorted(set(sys.modules) - before)))
sys.exit(status)
"""

HEAVY = {
    *("cffi", "ssl", "rich", "re", "json", "typing", "argparse", "subprocess", "enum", "dataclasses", "inspect"),
    *("logging", "threading", "random", "tempfile", "pathlib", "pygit2", "pygit2.enums", "starlark", "flask", "socket"),
}
"""What costs too much for a command that a CI job runs a hundred times."""

BUDGETS = {
    ("get", "+/custom/x"): 45,
    ("get", "--default", "0", "@/environment/nowhere"): 45,
    ("match", "+/**"): 49,
    ("resolve", "+/custom/x"): 45,
    ("parse", "+/custom/x"): 32,
    ("log", "-n", "1"): 64,
    ("status",): 113,
    ("diff",): 82,
    ("work", "list"): 92,
    ("release", "list"): 91,
    ("set", "+/custom/x", "other"): 74,
    ("delete", "+/custom/x"): 74,
    ("update", "--stdin"): 66,
}
"""How many modules a command may load beyond those that the interpreter starts with."""


@pytest.fixture
def filled(store: Repo) -> Repo:
    store.ocuroot("set", "+/custom/x", "value")
    return store


def loaded(repo: Repo, *arguments: str) -> set[str]:
    """The modules that a command loads, in an interpreter without the hooks of this environment."""
    path = f"{TOP}:{sysconfig.get_path('platlib')}"
    command = [sys.executable, "-I", "-S", "-c", PROBE, path, *arguments]
    done = subprocess.run(command, cwd=repo.path, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("\n")[2].split())


@pytest.mark.parametrize(("arguments", "budget"), BUDGETS.items(), ids=map(" ".join, BUDGETS))
def test_budget(filled: Repo, arguments: tuple[str, ...], budget: int) -> None:
    names = loaded(filled, *arguments)
    assert not names & HEAVY
    assert len(names) <= budget, sorted(names)
    # Versions of Python differ in what their own modules load.
    assert len(names) > budget - 16, "the budget is far above what is loaded: lower it"


def test_what_runs_need_is_loaded_for_runs_alone(filled: Repo) -> None:
    names = loaded(filled, "work", "any", "-q")
    assert not names & {"subprocess", "tempfile", "selectors", "re", "ocuroot_git.backends.remote"}
    assert len(names) <= 160


def test_the_configuration_is_read_once(filled: Repo, tmp_path: Path) -> None:
    """Also by those who open the stores again, for threads that have handles of their own."""
    trace = tmp_path / "trace"
    filled.run("work", "any", "-q", env={**os.environ, "GIT_TRACE": str(trace)})
    assert trace.read_text().count("config --list") == 1


@pytest.mark.parametrize("arguments", [("get", "+/custom/x"), ("match", "+/**"), ("parse", "+/custom/x")])
def test_a_remote_with_a_login_makes_reading_no_slower(filled: Repo, arguments: tuple[str, ...]) -> None:
    filled.git("remote", "add", "origin", "https://job:s3cr3t@example.com/r.git?token=x")
    filled.git("config", "http.extraHeader", "Authorization: Basic czNjcjN0")
    assert not loaded(filled, *arguments) & HEAVY


@pytest.mark.parametrize("arguments", [("get", "+/custom/x"), ("match", "+/**"), ("parse", "+/custom/x")])
def test_reading_loads_no_cffi(filled: Repo, arguments: tuple[str, ...]) -> None:
    assert not {name for name in loaded(filled, *arguments) if "cffi" in name or name.endswith("_libgit2")}


def test_import_times_show_the_same(filled: Repo) -> None:
    """The interpreter's own account, of the launcher as it is installed."""
    program = Path(TOP / "bin" / "git-ocuroot")
    command = [sys.executable, "-X", "importtime", str(program), "get", "+/custom/x"]
    done = subprocess.run(command, cwd=filled.path, capture_output=True, text=True, check=True)
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert done.stdout == '"value"\n'
    after = set(names[names.index("ocuroot_git.cli.main") :])
    assert "pygit2._pygit2" in after and not after & HEAVY
