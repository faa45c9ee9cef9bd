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
    summary = survey.summary_of(ocuroot_git.open().snapshot())
    assert sum(summary.counts) > 30
    assert summary.unread == []
