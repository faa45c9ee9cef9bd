"""A store to deliver from, which several of these files copy; `support.delivering` has the rest that they share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delivering import call, copy_of, package, prepare, release, work_any
from support.pruning import one_release
from support.repositories import Repo


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A store with a release that has a call `build`."""
    repo = Repo(tmp_path_factory.mktemp("made"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo)
    release(repo, package([call("build", "echo default")]))
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    """A copy of it, to be changed."""
    return copy_of(made, tmp_path / "shop")


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Five releases of one package, each of them built."""
    repo = Repo(tmp_path_factory.mktemp("five"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    for number in range(1, 6):
        repo.git("commit", "-q", "--allow-empty", "-m", f"number {number}")
        release(repo, one_release(number))
        work_any(repo, "-q")
    return repo
