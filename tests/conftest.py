"""The fixtures that all tests share: a sealed home, and real repositories in temporary directories."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.examples import same
from support.program import PROGRAM, TOP, starting
from support.remote_stores import World, serving
from support.repositories import SHOP_INSTRUCTIONS, Repo, end_what_was_begun

from ocuroot_git.formats.ci_systems import variables_of_runs

IN_MEMORY = Path("/dev/shm")
"""Where Linux has a file system in memory."""
ROOM = 2 << 30
"""How much of it must be free, in bytes, for the directories of tests to lie there."""


def has_room_in_memory() -> bool:
    """Whether directories of tests may lie in memory: containers often have little there, where no program may run."""
    if not os.access(IN_MEMORY, os.W_OK):
        return False
    there = os.statvfs(IN_MEMORY)
    return there.f_bavail * there.f_frsize >= ROOM and not there.f_flag & os.ST_NOEXEC


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "start a new interpreter for each run of the program, where most are forks of one that is ready"
    parser.addoption("--new-interpreters", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("same", same)
    settings.load_profile("same")
    # The tests make hundreds of thousands of files. On a disk each costs more, and much of it is to be waited for.
    if has_room_in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))
    config.addinivalue_line("markers", "new_interpreter: each run of the program is by an interpreter of its own")


@pytest.fixture(scope="session", autouse=True)
def sealed_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests away from the user's configuration, fix who writes commits, and find the program on PATH."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Test\n\temail = test@example.com\n"
        f"[init]\n\tdefaultBranch = main\n\ttemplateDir = {home / 'template'}\n"
        "[maintenance]\n\tauto = false\n[gc]\n\tauto = 0\n"
    )
    # Not the launcher itself, which would look for an interpreter on a PATH that need not have ours.
    (home / "bin").mkdir()
    (home / "bin" / "git-ocuroot").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAM}" "$@"\n')
    (home / "bin" / "git-ocuroot").chmod(0o755)
    # Git's own has samples of hooks, which would be more than half of the files of most repositories here.
    for directory in ("hooks", "info"):
        (home / "template" / directory).mkdir(parents=True)
    (home / "tmp").mkdir()
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GIT_", "OCU_", "OCUROOT_", "XDG_")) or name in (
            "NO_COLOR",
            "PAGER",
            "LESS",
            "LC_ALL",
            "LANGUAGE",
        ):
            del os.environ[name]
    # Thousands of processes are started from here: each would compile all its modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # What a CI system says of itself and of the job it runs must not reach the stores under test.
    for name in variables_of_runs():
        os.environ.pop(name, None)
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_NOSYSTEM="1",
        LC_ALL="C.UTF-8",
        TERM="dumb",
        TMPDIR=str(home / "tmp"),
        PYTHONWARNINGS="error",
        PATH=f"{home / 'bin'}{os.pathsep}{before['PATH']}",
    )
    # Under nohup and in the background of a script, SIGINT is ignored; what is started here would inherit that.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield home
    starting.end()
    signal.signal(signal.SIGINT, interrupt)
    os.environ.clear()
    os.environ.update(before)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the collector of garbage pass over the thousands of tests, of which none is garbage before the end."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose how the program is started: tests of the project itself see it as it is."""
    about_the_project = item.path.is_relative_to(TOP / "tests" / "project")
    marked = item.get_closest_marker("new_interpreter") is not None
    starting.anew = about_the_project or marked or item.config.getoption("--new-interpreters")


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    """What a test began ends with it, also where the test fails."""
    yield
    end_what_was_begun()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty repository."""
    path = tmp_path / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    return made


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with an empty store, to be copied."""
    path = tmp_path_factory.mktemp("store") / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    made.ocuroot("init", "-q")
    return path


@pytest.fixture
def store(store_template: Path, tmp_path: Path) -> Repo:
    """A repository with an empty store on the branch `state`."""
    return Repo(Path(shutil.copytree(store_template, tmp_path / "repo")))


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


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a small store of a shop, to be copied."""
    path = tmp_path_factory.mktemp("shop") / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    made.git("remote", "add", "origin", "https://github.com/example/shop.git")
    made.ocuroot("init", "-q", "--offline")
    date = "2026-10-02T12:00:00Z"
    dated = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    made.ocuroot("update", "--stdin", "-m", "open the shop", input=SHOP_INSTRUCTIONS, env=dated)
    return path


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Repo:
    """A repository with the store that `SHOP_INSTRUCTIONS` make, on the branch `state`."""
    return Repo(Path(shutil.copytree(shop_template, tmp_path / "shop")))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[World]:
    """Repositories at a `file://` remote."""
    with serving(tmp_path, "file") as made:
        yield made


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[World]:
    """Repositories at a remote that `git daemon` serves."""
    with serving(tmp_path, "daemon") as made:
        yield made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[World]:
    """Repositories at a remote that is served over HTTP."""
    with serving(tmp_path, "http") as made:
        yield made
