"""Freezes and starts at the same time, by real processes some of which are killed: does anything start after a freeze?

    python tests/support/gate_races.py DIRECTORY [--rounds N] [--seed S] [--remote [--combine] [--lost]] [--blind]

Each round begins with the same store, on a branch of its own. One process freezes production, others each start a
deployment there, all at random moments; some are killed at others. With a store at a remote each works in a clone of
its own, and with `--lost` some of what the server answers to their pushes is lost. Then the branch is read from its
first commit on: once the commit of the freeze is there, none may follow that sets a run running.

Prints how many pairs of a freeze and a start there were, how many starts came before the freeze, and how many were
refused; ends with 1 if one came after. With `--blind` starts do not look at gates, to see that it would be noticed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from support.remote_stores import HEADER
from support.servers import Relay, http_server, relay

import ocuroot_git
from ocuroot_git.delivery import gates
from ocuroot_git.delivery.addresses import WorkRef
from ocuroot_git.delivery.freezing import freeze
from ocuroot_git.delivery.starting import start_run
from ocuroot_git.errors import Error

STARTERS = 4
LATEST = 0.05
"""Seconds within which all begin, and within which some are killed; at a remote, where all takes longer, ten times."""
GATE = "refs/@/custom/gate/"
DEFINITION = {"phases": [{"name": "p", "work": [{"deploy": {"environment": "production", "up": {}, "down": {}}}]}]}


def git(where: Path, *arguments: str, given: str | None = None) -> str:
    command = ["git", "-C", str(where), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout.strip()


def ocuroot(where: Path, *arguments: str, given: str | None = None) -> None:
    command = [sys.executable, "-m", "ocuroot_git", *arguments]
    subprocess.run(command, cwd=where, input=given, capture_output=True, text=True, check=True)


def repository(path: Path, settings: dict[str, str]) -> Path:
    git(path.parent, "init", "-q", str(path))
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    for name, value in {"ocuroot.repoAlias": "shop", **settings}.items():
        git(path, "config", name, value)
    return path


def make(top: Path, settings: dict[str, str]) -> Path:
    """A repository with a store in which some packages have a deployment each that is ready."""
    shop = repository(top / "shop", settings)
    ocuroot(shop, "init", "-q")
    document = json.dumps({"name": "production", "attributes": {}})
    ocuroot(
        shop, "update", "--stdin", given="".join(f"set {side}/environment/production {document}\n" for side in "@+")
    )
    for number in range(STARTERS):
        ocuroot(shop, "release", "new", f"p{number}", "--force", "--package", "-", given=json.dumps(DEFINITION))
    return shop


def start(number: int) -> Callable[[], None]:
    def act() -> None:
        start_run(ocuroot_git.open(), WorkRef(f"shop/-/p{number}/@1", "deploy", "production"))

    return act


def stop_all() -> None:
    document = {"kind": "deny", "environments": ["production"], "reason": "a race"}
    freeze(ocuroot_git.open(), document, "race", is_fixed=True, cancels=False)


def run_in_child(act: Callable[[], None], where: Path, delay: float) -> int:
    """Do something in a process of its own, which is given; its exit status is 0, or 3 where it was refused."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.chdir(where)
        time.sleep(delay)
        act()
        status = 0
    except Error as error:
        status = error.status
    finally:
        os._exit(status)


def play(chance: random.Random, places: list[Path], latest: float) -> dict[int, int]:
    """One round: the exit status of each process, by what it does (0: it freezes, 1…: it starts); below 0: killed.

    `latest` is within how many seconds all begin, and within how many some are killed.
    """
    acts = [stop_all, *map(start, range(STARTERS))]
    children = {
        run_in_child(act, places[number % len(places)], chance.random() * latest): number
        for number, act in enumerate(acts)
    }
    for child in children:
        if chance.random() < 0.3:
            time.sleep(chance.random() * latest)
            os.kill(child, signal.SIGKILL)
    return {number: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, number in children.items()}


def read_back(home: Path, base: str, branch: str) -> tuple[bool, int, int]:
    """Whether the freeze was written, and how many runs were set running before it and after it."""
    frozen, before, after = False, 0, 0
    shown = git(
        home, "log", "--reverse", "--format=format:commit:", "--name-status", "--no-renames", f"{base}..{branch}"
    )
    for commit in shown.split("commit:\n"):
        lines = [line for line in commit.splitlines() if line.startswith("A\t")]
        starts = sum(line.endswith("/status/running/@object.json") and "/functions/" not in line for line in lines)
        after, before = (after + starts, before) if frozen else (after, before + starts)
        frozen = frozen or any(GATE in line for line in lines)
    return frozen, before, after


@contextlib.contextmanager
def served(top: Path, home: Path, *, is_lost: bool) -> Iterator[tuple[str, Relay | None]]:
    """Where a bare repository is reached: as a path, or where answers are to be lost, by HTTP through a relay."""
    if not is_lost:
        yield str(home), None
        return
    git(home, "config", "http.receivepack", "true")
    with http_server(top) as server, relay(server.port) as between:
        between.deny = 502
        yield f"http://127.0.0.1:{between.port}/{home.name}", between


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--remote", action="store_true")
    parser.add_argument("--combine", action="store_true")
    parser.add_argument("--lost", action="store_true")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.blind:
        gates.Gates.closures = lambda *_: []  # type: ignore[method-assign]
    top = options.directory.resolve()
    if not options.remote:
        shop = make(top, {})
        return race(shop, [shop], options, None)
    home, combine = top / "server.git", str(options.combine).lower()
    git(top, "init", "-q", "--bare", str(home))
    with served(top, home, is_lost=options.lost) as (address, between):
        settings = {"ocuroot.state.remote": address, "http.extraheader": HEADER, "ocuroot.combine": combine}
        shop = make(top, settings)
        others = [repository(top / f"clone{number}", settings) for number in range(STARTERS)]
        return race(home, [shop, *others], options, between)


def race(home: Path, places: list[Path], options: argparse.Namespace, between: Relay | None) -> int:
    """Play all rounds; `home` has the branch of the store, and in `places` it is worked."""
    base = git(home, "rev-parse", "state")
    chance = random.Random(options.seed)
    latest = LATEST * (10 if options.remote else 1)
    total = {"pairs": 0, "frozen": 0, "before": 0, "after": 0, "refused": 0, "killed": 0, "failed": 0, "lost": 0}
    for number in range(options.rounds):
        branch = f"round{number}"
        git(home, "update-ref", f"refs/heads/{branch}", base)
        for place in places:
            git(place, "config", "ocuroot.state.branch", branch)
        if between is not None:
            between.left = {"close": chance.randrange(2), "replace": chance.randrange(3), "repeat": chance.randrange(2)}
        statuses = play(chance, places, latest)
        for lock in {lock for place in (home, *places) for lock in place.glob("**/*.lock")}:
            lock.unlink(missing_ok=True)  # what a killed process left, or a `git gc` that goes on
        frozen, before, after = read_back(home, base, branch)
        total["pairs"] += STARTERS
        total["frozen"] += frozen
        total["before"] += before
        total["after"] += after
        total["refused"] += sum(status == 3 for status in statuses.values())
        total["killed"] += sum(status < 0 for status in statuses.values())
        total["failed"] += sum(status not in (0, 3) and status > 0 for status in statuses.values())
        total["lost"] = sum(between.done.values()) if between is not None else 0
        if statuses[0] == 0 and not frozen:
            print(f"round {number}: an acknowledged freeze is not there")
            return 1
        if after:
            print(f"round {number}: {after} started after the freeze", git(home, "log", "-p", f"{base}..{branch}"))
            return 1
        git(home, "update-ref", "-d", f"refs/heads/{branch}")
    print(json.dumps(total))
    return 0


if __name__ == "__main__":
    sys.exit(main())
