"""The original program and ours at work on one remote, turn by turn and at the same time.

Where no program is named (`tests/support/original_program.py`), these tests are skipped; what they found is held by
tests that need none.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from support.original_program import PACKAGE, PROGRAMS, WEB, Place, Team

DIALECTS = [
    pytest.param(
        dialect,
        id=f"dialect{dialect}",
        marks=pytest.mark.skipif(not program, reason=f"OCUROOT_ORIGINAL_V{dialect} names no program"),
    )
    for dialect, program in PROGRAMS.items()
]

# Whose turn it is, over and over: whatever one program does, the next thing is done by it and by the other.
TURNS = ["ot", "to", "oott", "ttoo"]

KNOWN_WARNINGS = re.compile(r"warning: @[0-9a-f]{40}: it lists '@', which does not link to it")


@pytest.fixture(params=DIALECTS)
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Team:
    return Team(tmp_path, request.param)


class Turns:
    """One clone in which now one program works, and now the other."""

    def __init__(self, place: Place, turns: str) -> None:
        self.place = place
        self.team = place.team
        self.turns = itertools.cycle(turns)
        self.told: list[str] = []

    def do(self, ours: list[str], theirs: list[str], fails: bool = False) -> None:
        """Let the program whose turn it is do something, by one command or several; then look whether all is sound.

        Where the original has no commands for it, it is done by ours.
        """
        who = next(self.turns)
        who = who if theirs else "o"
        for line in ours if who == "o" else theirs:
            self.told.append(f"{who} {line}")
            arguments = line.split(" ")
            done = self.place.repo.run(*arguments) if who == "o" else self.place.original(*arguments)
            if done.returncode != 0:
                break
        assert (done.returncode != 0) is fails, "\n".join([*self.told, done.stdout[-3000:], done.stderr[-3000:]])
        self.sound()

    def both(self, line: str) -> None:
        self.do([line], [line])

    def sound(self) -> None:
        done = self.place.repo.run("fsck")
        words = [line for line in done.stderr.splitlines() if not KNOWN_WARNINGS.fullmatch(line)]
        assert done.returncode == 0 and not [line for line in words if "warning" in line], (self.told, done.stderr)

    def value(self, ref: str) -> object:
        done = self.place.repo.run("get", ref)
        return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("turns", TURNS)
def test_turn_by_turn(team: Team, turns: str) -> None:
    at = Turns(team.place("work"), turns)
    go_on = ["work any"] if team.dialect == 1 else ["work any --comprehensive"]
    at.both("release new environments.ocu.star")
    release = [f"release new {WEB} --force", f"release continue {team.release(1)}"]
    at.do(release, release[:1])
    assert at.value(f"{PACKAGE}/@/deploy/staging#output") == {"note": "none", "where": "staging"}
    at.both(f"state set {team.intent}/custom/note first")
    at.both(f"state apply {team.intent}/custom/note")
    assert at.value("@/custom/note") == "first"
    at.do(["work cascade"], ["work continue"])
    assert at.value(f"{PACKAGE}/@/deploy/production#output/note") == "first"
    at.both(f"state delete {PACKAGE}/{team.intent}/deploy/production")
    at.do(["work any"], go_on)
    assert at.value(f"{PACKAGE}/@/deploy/production") is None
    at.do([f"release new {WEB} --force", f"release continue {team.release(2)}"], release[:1])
    assert at.value(f"{PACKAGE}/@/deploy/production#release") == team.release(2)
    (at.place.repo.path / "broken").touch()
    at.do([f"release new {WEB} --force", f"release continue {team.release(3)}"], release[:1], fails=True)
    (at.place.repo.path / "broken").unlink()
    at.both(f"release retry {team.release(3)}")
    assert at.value(f"{PACKAGE}/@/deploy/staging#release") == team.release(3)
    green = '{"name":"green","attributes":{"type":"prod"}}'
    at.both(f"state set -f=json {team.intent}/environment/green {green}")
    at.do(["work any"], go_on)
    assert at.value(f"{PACKAGE}/@/deploy/green#output/where") == "green"
    at.both(f"state delete {team.intent}/environment/green")
    at.do(["work any"], go_on)
    assert at.value(f"{PACKAGE}/@/deploy/green") is None and at.value("@/environment/green") is None
    at.both(f"state delete {team.intent}/custom/note")
    at.do(["work any"], [] if team.dialect == 1 else go_on)  # early Ocuroot cannot: "failed to get intent"
    assert at.value("@/custom/note") is None
    at.both("state diff")
