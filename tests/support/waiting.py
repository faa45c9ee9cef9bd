"""Waiting for what another process does, however busy the machine is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LONG = 60.0
"""Seconds within which whatever a test waits for happens many times over."""


def comes_true(condition: Callable[[], object], seconds: float = LONG) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_until(condition: Callable[[], object], what: str = "it does not come true") -> None:
    """Wait for a condition; `what` says what is wrong where it does not come true."""
    assert comes_true(condition), what


def wait_for_file(path: Path) -> None:
    """Wait until a process has made a file."""
    wait_until(path.exists, f"{path} is not there")


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended, whether its parent was told or not."""
    wait_until(lambda: _has_ended(pid), f"process {pid} is still there")


def _has_ended(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_it_catches(process: subprocess.Popen[str], number: int) -> None:
    """Wait until a process handles a signal by itself, which it does not yet while its interpreter starts."""
    wait_until(lambda: _caught(process.pid) >> (number - 1) & 1, f"signal {number} is not caught")


def _caught(pid: int) -> int:
    """The signals that a process has handlers for, as a number with a bit for each."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
