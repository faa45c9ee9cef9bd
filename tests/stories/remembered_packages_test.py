"""What is said of a package depends on it alone, in stores as they are used: else nothing could be remembered of it.

`survey` falls back to looking at all of a package that cannot be told of by itself. The answers are the same then, and
take a hundred times as long, which no other test would notice.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.original_stores import repository
from support.program import FIXTURES
from support.repositories import Repo
from support.sites import example

import ocuroot_git
from ocuroot_git.delivery import survey
from ocuroot_git.delivery.queries import intent_tree, state_tree


def workload(path: Path) -> Repo:
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q", "--bare")
    command = [sys.executable, str(FIXTURES / "workload.py"), "--documents", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as generator:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=path, stdin=generator.stdout, check=True)
    assert generator.returncode == 0
    return repo


def early(path: Path) -> Repo:
    return repository("early-runs.tar.gz", "state", path)


def dialect_2(path: Path) -> Repo:
    return repository("dialect-2.tar.gz", "stores", path)


@pytest.mark.parametrize("make", [workload, example, early, dialect_2])
def test_packages_are_told_of_by_themselves(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make(tmp_path / "store").path)
    snapshot = ocuroot_git.open().snapshot()
    summary = survey.summary_of(snapshot)
    assert sum(survey.counts_of(snapshot, state_tree(snapshot), intent_tree(snapshot))) > 30
    assert summary.unread == []


@pytest.mark.parametrize("make", [workload, example])
def test_so_are_packages_that_wait_for_deployments(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is deployed is not wanted there, and what is wanted is another release, in one environment each."""
    repo = make(tmp_path / "store")
    monkeypatch.chdir(repo.path)
    stores = ocuroot_git.open()
    wanted = sorted(stores.snapshot().match("**/+/deploy/*"))
    assert len(wanted) > 2
    with stores.transaction() as tx:
        for number, ref in enumerate(wanted):
            if number % 2:
                tx.delete(ref)
            else:
                document = tx.get(ref)
                package = document["release"].rpartition("/")[0]
                tx.set(ref, {**document, "release": f"{package}/@1"})
    summary = survey.summary_of(ocuroot_git.open().snapshot())
    assert summary.unread == []
    assert sum(len(heads.deployments) for heads in summary.differing.values()) >= len(wanted) // 2
