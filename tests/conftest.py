"""What all tests share: a sealed home, real repositories in temporary directories, and the program as a process."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
FIXTURES = TOP / "fixtures"
CONFORMANCE = FIXTURES / "conformance"
PROGRAM = TOP / "bin" / "git-ocuroot"
GOLDEN = TOP / "tests" / "golden"


@pytest.fixture(scope="session", autouse=True)
def sealed_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests away from the user's configuration, fix who writes commits, and find the program on PATH."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Test\n\temail = test@example.com\n"
        "[init]\n\tdefaultBranch = main\n[maintenance]\n\tauto = false\n[gc]\n\tauto = 0\n"
    )
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GIT_", "OCUROOT_", "XDG_")) or name in ("NO_COLOR", "PAGER", "LESS", "LC_ALL", "LANGUAGE"):
            del os.environ[name]
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_NOSYSTEM="1",
        LC_ALL="C.UTF-8",
        TERM="dumb",
        PATH=f"{PROGRAM.parent}{os.pathsep}{before['PATH']}",
    )
    yield home
    os.environ.clear()
    os.environ.update(before)


class Repo:
    """A repository in a directory, with git and `git ocuroot` run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, check: bool = True, **options: object) -> str:
        """Run git; gives its stdout without the last newline."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return str(done.stdout).removesuffix("\n")

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run `git ocuroot` as a process; see `ocuroot` for the short way to its stdout."""
        return run_program(*arguments, cwd=self.path, **options)

    def ocuroot(self, *arguments: str, **options: object) -> str:
        """Run `git ocuroot`, which must succeed without a word on stderr; gives stdout without the last newline."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return done.stdout.removesuffix("\n")

    def value(self, ref: str, *arguments: str) -> object:
        """The document at a ref, through the command line."""
        return json.loads(self.ocuroot("get", *arguments, ref))


def run_program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program with this interpreter, as `git ocuroot` would; text in and out."""
    options.setdefault("text", True)
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, check=False, timeout=300, **options
    )


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty repository."""
    path = tmp_path / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    return made


@pytest.fixture
def store(repo: Repo) -> Repo:
    """A repository with an empty store on the branch `state`."""
    repo.ocuroot("init", "-q")
    return repo


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Make more repositories: `make_repo("name", "--bare")`."""

    def make(name: str, *options: str) -> Repo:
        path = tmp_path / name
        path.mkdir()
        made = Repo(path)
        made.git("init", "-q", *options)
        return made

    return make


def unpack(name: str, where: Path) -> Path:
    """Unpack one of the original's stores (`v1`, `v3`); gives the directory that holds `state` and perhaps `intent`."""
    with tarfile.open(CONFORMANCE / "stores" / f"{name}.tar") as archive:
        archive.extractall(where)
    return where


def check_golden(name: str, text: str) -> None:
    """Compare a longer output with the file of that name in `golden/`; `GOLDEN=write make test` writes it anew."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != wanted:
        difference = difflib.unified_diff(
            wanted.splitlines(keepends=True), text.splitlines(keepends=True), f"tests/golden/{name}", "what was printed"
        )
        raise AssertionError("".join(difference) + "\nif that is meant to be: GOLDEN=write make test")
