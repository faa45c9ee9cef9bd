"""Freezes and starts at once, by real processes that are killed: nothing starts after the commit of a freeze."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import TOP


@pytest.mark.parametrize(("options", "rounds"), [((), 12), (("--remote",), 3), (("--remote", "--combine"), 4)])
def test_nothing_starts_after_a_freeze(tmp_path: Path, options: tuple[str, ...], rounds: int) -> None:
    """A long run is done by hand: `python tests/support/gate_races.py DIRECTORY --rounds 2500`."""
    seed = random.randrange(10**6)
    command = [sys.executable, str(TOP / "tests" / "support" / "gate_races.py"), str(tmp_path), *options]
    arguments = ["--rounds", str(rounds), "--seed", str(seed)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (seed, done.stdout, done.stderr)
    report = json.loads(done.stdout)
    assert report["after"] == report["failed"] == 0, (seed, report)
    assert report["frozen"] > 0 and report["killed"] > 0, (seed, report)
