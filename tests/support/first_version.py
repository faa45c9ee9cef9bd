"""The first version of this program, from the history of the repository: what it reads and writes is a promise."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from .program import TOP
from .repositories import Repo

FIRST_VERSION = "e5cb204"
_SCRIPT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ocuroot_git.cli import main; sys.exit(main())"


def first_version(directory: Path) -> Path:
    """Extract the program into a directory that is to be made; where it is not to be had, the test is skipped."""
    command = ["git", "archive", FIRST_VERSION, "ocuroot_git"]
    archive = subprocess.run(command, cwd=TOP, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip("the first version is not in this clone's history")
    directory.mkdir()
    tar = directory / "first.tar"
    tar.write_bytes(archive.stdout)
    with tarfile.open(tar) as file:
        file.extractall(directory)
    return directory


def command_of(first: Path, *arguments: str) -> list[str]:
    """The command that runs the program that was extracted."""
    return [sys.executable, "-c", _SCRIPT, str(first), *arguments]


def run_first(first: Path, repo: Repo, *arguments: str) -> str:
    """What the program that was extracted prints in a repository; it must succeed."""
    command = command_of(first, *arguments)
    done = subprocess.run(command, cwd=repo.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
