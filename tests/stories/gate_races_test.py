"""Freezes and starts at once, by real processes that are killed: nothing starts after the commit of a freeze."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import TOP

OPTIONS: list[tuple[tuple[str, ...], int]] = [
    ((), 12),
    (("--remote",), 3),
    (("--remote", "--combine"), 3),
    (("--remote", "--lost"), 3),
]


def play(directory: Path, *options: str, rounds: int) -> tuple[int, str, str]:
    """How a run of the script ends: its status and what it prints; and its command, to run it again."""
    script, seed = TOP / "tests" / "support" / "gate_races.py", random.randrange(10**6)
    command = [sys.executable, str(script), str(directory), *options, "--rounds", str(rounds), "--seed", str(seed)]
    environ = {**os.environ, "PYTHONPATH": str(TOP / "tests")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(("options", "rounds"), OPTIONS)
def test_nothing_starts_after_a_freeze(tmp_path: Path, options: tuple[str, ...], rounds: int) -> None:
    """A long run is done by hand: `PYTHONPATH=tests python tests/support/gate_races.py DIRECTORY --rounds 2500`."""
    frozen = killed = turns = 0
    while not (frozen and killed):  # in a few rounds, chance may have nobody killed in time, or each freeze
        directory = tmp_path / str(turns)
        directory.mkdir()
        status, printed, told = play(directory, *options, rounds=rounds)
        assert status == 0, told
        report = json.loads(printed)
        assert report["after"] == report["failed"] == 0, told
        frozen, killed, turns = frozen + report["frozen"], killed + report["killed"], turns + 1
        assert turns < 5, told


def test_it_is_noticed_where_starts_do_not_look(tmp_path: Path) -> None:
    status, printed, told = play(tmp_path, "--blind", rounds=20)
    assert status == 1 and "started after the freeze" in printed, told
