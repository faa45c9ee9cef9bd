"""What the tests of faults share: how a command is refused, hooks, locks, and a repository that works again."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from support.repositories import Repo


def refused(done: subprocess.CompletedProcess[str], message: str, hint: str | None = None, status: int = 128) -> None:
    """The command must have failed with just this message and hint."""
    expected = f"fatal: {message}\n" + (f"hint: {hint}\n" if hint else "")
    assert (done.stderr, done.returncode, done.stdout) == (expected, status, "")


def objects(repo: Repo) -> dict[str, str]:
    return dict(line.split(": ") for line in repo.git("count-objects", "-v").split("\n"))


def writes_again(repo: Repo) -> None:
    """The repository is sound, and the next command works."""
    repo.ocuroot("set", "+/custom/again", str(random.random()))
    assert repo.ocuroot("fsck", "-q") == ""
    assert repo.git("fsck", "--strict", "--no-dangling") == ""


def hook(repo: Repo, script: str, where: str = ".git/hooks") -> None:
    path = repo.path / where / "reference-transaction"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def old(lock: Path) -> Path:
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    return lock
