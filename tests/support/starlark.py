"""repo.ocu.star evaluated as a caller would: what it says, or the error that it ends with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from ocuroot_git.config.repo_file import RepoFile, evaluate
from ocuroot_git.config.sandbox import StarlarkError
from ocuroot_git.config.shell import ShellResult

LONG = 60.0
"""Seconds that suffice for what ends, also on a machine that is busy."""

FILE = "sub/repo.ocu.star"
Shell = Callable[[str], ShellResult]


def read(
    text: str, *, environ: dict[str, str] | None = None, shell: Shell | None = None, seconds: float = LONG
) -> RepoFile:
    return evaluate(text, FILE, environ=environ or {}, shell=shell, seconds=seconds)


def error(text: str, **more: Any) -> StarlarkError:
    with pytest.raises(StarlarkError) as caught:
        read(text, **more)
    assert "\n" not in caught.value.message
    return caught.value


def run(command: str) -> ShellResult:
    """A shell as a caller would write it."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, errors="surrogateescape", check=False)
    return ShellResult(done.stdout, done.stderr, done.stdout + done.stderr, done.returncode)


def timed(text: str, seconds: float, **more: Any) -> str:
    """The error of what is bounded in time: without the bound it would go on for minutes at least."""
    start = time.monotonic()
    message = error(text, seconds=seconds, **more).message
    assert time.monotonic() - start < seconds + 20
    return message
