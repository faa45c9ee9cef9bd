"""The original program and ours at work on one remote, turn by turn and at the same time.

Where no program is named (`tests/support/original_program.py`), these tests are skipped; what they found is held by
tests that need none.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
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

# The document of the repository at each commit: the original writes one with every command, and takes links to it for
# documents.
OF_REPOSITORY = re.compile(r"repo\.ocu\.star|^[@+]([0-9a-f]{40})?$")


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
    same_for_both(team)


@pytest.mark.parametrize("turns", ["ot", "to"])
def test_an_environment_that_one_applied_is_taken_up_by_the_other(team: Team, turns: str) -> None:
    at = Turns(team.place("work"), "to")  # where early Ocuroot has not worked yet, nothing is left for it
    at.both("release new environments.ocu.star")
    release = [f"release new {WEB} --force", f"release continue {team.release(1)}"]
    at.do(release, release[:1])
    at.turns = itertools.cycle(turns)
    green = '{"name":"green","attributes":{"type":"prod"}}'
    at.place.repo.ocuroot("state", "set", "-f=json", f"{team.intent}/environment/green", green)
    at.both(f"state apply {team.intent}/environment/green")
    at.do(["work any"], ["work any", "work any"])
    assert at.value(f"{PACKAGE}/@/deploy/green#output/where") == "green"


class Job(threading.Thread):
    """A machine on which one program gives one command after the other; `told` has each with its exit status."""

    def __init__(self, place: Place, commands: list[str], *, is_ours: bool) -> None:
        super().__init__()
        self.place = place
        self.commands = commands
        self.is_ours = is_ours
        self.told: list[tuple[str, int, str]] = []

    def run(self) -> None:
        for line in self.commands:
            arguments = line.split(" ")
            done = self.place.repo.run(*arguments) if self.is_ours else self.place.original(*arguments)
            self.told.append((line, done.returncode, done.stdout + done.stderr))


def at_once(jobs: list[Job]) -> None:
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


def test_at_the_same_time(team: Team) -> None:
    """Two machines of each program write at once: what was acknowledged is in the store, and in its history."""
    jobs = []
    for name, is_ours in (("o1", True), ("o2", True), ("t1", False), ("t2", False)):
        sets = [f"state set {team.intent}/custom/{name}-{number} {number}" for number in range(6)]
        commands = [*sets[:3], f"release new {WEB} --force", *sets[3:]]
        jobs.append(Job(team.place(name), commands, is_ours=is_ours))
    jobs[0].place.repo.ocuroot("release", "new", "environments.ocu.star")
    at_once(jobs)
    ours = [told for job in jobs if job.is_ours for told in job.told]
    assert [status for _, status, _ in ours] == [0] * len(ours), "ours tries again, whoever was faster"
    after = team.place("after").repo
    history = team.store.git("log", "--format=", "--name-only", "intent", "--").splitlines()
    sets = [line for job in jobs for line, status, _ in job.told if "state set" in line and status == 0]
    for ref, value in (line.split(" ")[2:] for line in sets):
        assert json.loads(after.ocuroot("get", f"+{ref[1:]}")) == value, ref
        assert f"refs/{ref}/@object.json" in history, ref
    # The original says that a release was made also where it lost the race for it: only ours are held to their word.
    made = [out.strip() for line, _, out in ours if "release" in line]
    assert len(set(made)) == 2
    for release in made:
        assert after.run("release", "show", release).returncode == 0
    after.run("work", "any")
    assert after.run("work", "any").returncode == 0, "what the losers of races left half done can be gone on with"
    done = after.run("fsck")
    assert done.returncode == 0, done.stderr
    same_for_both(team)


def same_for_both(team: Team) -> None:
    """Both programs list and read the same documents; the original from a copy of what is on the branches."""
    reading, ours = team.place("reading"), team.place("ours").repo
    for side, flag in (("state", "--state"), ("intent", "--intent")):
        copied = team.top / "copied" / side
        copied.mkdir(parents=True)
        archive = copied / "archive.tar"
        team.store.git("archive", f"--output={archive}", side)
        subprocess.run(["tar", "-xf", archive.name], cwd=copied, check=True)
        # It lists its state store alone, so it is given either side as that.
        other = side
        if team.dialect == 3:
            (copied / ".ocuroot-store").write_text('{"version":3,"Tags":{"state":{}}}')
            other = "none"
        stores = f'store.fs("../copied/{side}"), intent=store.fs("../copied/{other}")'
        text = f'ocuroot("0.3.0")\nrepo_alias("shop")\nstore.set({stores})\n'
        (reading.repo.path / "repo.ocu.star").write_text(text)
        listed = reading.original("state", "match", "--no-links", "**").stdout.splitlines()
        found = ours.ocuroot("match", "-q", "--no-links", "--values", flag, "**").splitlines()
        values = {stored(team, line["ref"]): line["value"] for line in map(json.loads, found)}
        theirs = {ref for ref in listed if not OF_REPOSITORY.search(ref)}
        assert theirs == {ref for ref in values if not OF_REPOSITORY.search(ref)}
        for ref in theirs:
            read = reading.original("state", "get", ref)
            assert read.returncode == 0, (ref, read.stderr)
            assert json.loads(read.stdout) == values[ref], ref


def stored(team: Team, ref: str) -> str:
    """A ref as the original spells it in each of its two stores."""
    return ref if team.dialect == 1 else re.sub(r"(^|/)\+", r"\1@", ref)
