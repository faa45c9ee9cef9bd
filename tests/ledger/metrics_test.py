"""The five metrics, beside a second and naive way to them, on generated histories."""

from __future__ import annotations

import itertools
import os
import random
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.repositories import Repo

from ocuroot_git.git.repository import Repository
from ocuroot_git.ledger.attempt_pages import Page
from ocuroot_git.ledger.attempts import Attempt
from ocuroot_git.ledger.events import Chunk, Event
from ocuroot_git.ledger.incidents import Incident
from ocuroot_git.ledger.lead_times import LeadTimes
from ocuroot_git.ledger.metrics import Window, counted, measure, percentiles
from ocuroot_git.ledger.places import Places
from ocuroot_git.store.memory import Memory

START = 1_790_000_000
DAY = 86400
NOW = START + 120 * DAY
Cell = tuple[str, str]
Incidents = dict[tuple[str, str], list[Incident]]


class _Told:
    """Events that are already there, told as the ledger does, newest first: as they are, or as they are remembered."""

    def __init__(self, events: Sequence[Event], *, are_remembered: bool) -> None:
        self._events = events
        self._are_remembered = are_remembered

    def attempts(self, since: float | None) -> Iterator[tuple[Cell, Attempt]]:
        """Like the ledger, it may leave out what is older than `since`."""
        last = max((n for n, event in enumerate(self._events) if since is None or event.time >= since), default=-1)
        events = self._events[: last + 3]
        if self._are_remembered:
            page = Page.of_bytes(Page.of_chunk(Chunk([*events, *events[:2]], [], None, 0.0, 1)).to_bytes())
            assert page is not None
            yield from page.attempts(set())
            return
        for event in events:
            attempt = Attempt.of_event(event)
            if attempt is not None:
                yield event.cell, attempt


# The second way


@dataclass
class Seen:
    """An attempt, and what the naive way found out about it."""

    event: Event
    failed: bool = False
    rework: bool = False
    rolled_back: bool = False
    lead: list[float] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    caused: bool = False


def _number(ref: str) -> int:
    return int(ref.split("@")[-1].lstrip("r") or 0)


def _good(seen: Seen) -> bool:
    return seen.event.type == "up" and seen.event.outcome == "complete"


def _down(seen: Seen) -> bool:
    return seen.event.type == "down"


def _naive_cell(history: list[Seen], incidents: list[Incident], code: Repo | None) -> None:
    """By the words of docs/metrics.md, one after the other; `history` is oldest first."""
    # A deployment failed where its run failed.
    for one in history:
        one.failed = one.event.outcome == "failed"
    # It failed where the next good one put an older release in its place.
    for number, one in enumerate(history):
        following = next((other for other in history[number + 1 :] if _good(other) or _down(other)), None)
        if _good(one) and following is not None and _good(following):
            is_of_it = _number(one.event.release) == _number(following.event.before or "@0")
            if is_of_it and _number(following.event.release) < _number(following.event.before):
                one.failed = one.rolled_back = True
    wakes: list[tuple[int, list[int], int]] = []
    for number, one in enumerate(history):
        if not (one.failed and not _down(one)):
            continue
        # The first of those that failed in a row: nothing that failed comes before it after the last good one.
        if not _good(one):
            before = list(itertools.takewhile(lambda n: not _down(history[n]), range(number - 1, -1, -1)))
            row = list(itertools.takewhile(lambda n: not _good(history[n]), before))
            if any(history[n].failed for n in row):
                continue
            good = before[len(row)] if len(row) < len(before) else None
            ended = next((n for n in range(number, len(history)) if _good(history[n]) or _down(history[n])), None)
            if good is not None and history[good].rolled_back and ended is not None and _good(history[ended]):
                continue
        wake = list(itertools.takewhile(lambda n: not _down(history[n]), range(number + 1, len(history))))
        end = next((n for n in wake if _good(history[n])), None)
        members = [n for n in wake if end is None or n <= end]
        for n in members:
            history[n].rework = True
        if end is not None:
            wakes.append((number, [number, *(n for n in members if history[n].failed and n != end)], end))
    caused = set()
    for incident in incidents:
        began, resolved = incident.started, incident.resolved
        earlier = [n for n, one in enumerate(history) if int(one.event.time) <= int(began)]
        if not earlier or _down(history[earlier[-1]]):
            continue
        cause = earlier[-1]
        caused.add(cause)
        history[cause].failed = True
        if resolved is not None and resolved >= began:
            history[cause].recoveries.append(resolved - began)
        for one in history:
            when = int(one.event.time)
            if not _down(one) and when > int(began) and (resolved is None or when <= resolved):
                one.rework = True
    for number, failed, end in wakes:
        took = history[end].event.time - history[number].event.time
        if not caused.intersection(failed) and took >= 0:
            history[number].recoveries.append(took)
    brought: set[str] = set()
    for one in history:
        event = one.event
        if not _good(one) or one.rolled_back or code is None or not event.source or not event.source_before:
            continue
        for line in _beyond(code.path, event.source, event.source_before):
            time, oid = line.split()
            if oid not in brought and int(time) <= event.time:
                one.lead.append(event.time - int(time))
            brought.add(oid)


@cache
def _beyond(path: Path, one: str, other: str) -> list[str]:
    """The commits of one that another has not, each with its time; none where one is not there."""
    command = ["git", "rev-list", "--timestamp", one, f"^{other}"]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, check=False).stdout.splitlines()


def _median_and_90(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p90": None}
    if len(values) == 1:
        return {"p50": round(values[0], 6), "p90": round(values[0], 6)}
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return {"p50": round(statistics.median(values), 6), "p90": round(deciles[8], 6)}


def naive(
    events: Sequence[Event],
    since: int | None,
    until: int | None,
    by: Sequence[str],
    incidents: Incidents,
    code: Repo | None,
) -> list[dict[str, Any]]:
    """The metrics; `events` are newest first."""
    attempts = [
        event
        for event in reversed(events)
        if event.outcome in ("complete", "failed") and (event.type, event.outcome) != ("down", "failed")
    ]
    recorded = next((event.time for event in attempts if event.type == "up"), None)
    if since is not None and any(event.type == "up" and int(event.time) < since for event in attempts):
        recorded = since
    cells: dict[tuple[str, str], list[Seen]] = {}
    for event in attempts:
        if since is None or int(event.time) >= since:
            cells.setdefault(event.cell, []).append(Seen(event))
    rows: dict[tuple[str, ...], list[Seen]] = {} if by else {(): []}
    for cell, history in cells.items():
        _naive_cell(history, incidents.get(cell, []), code)
        key = tuple(value for name, value in zip(("package", "environment"), cell) if name in by)
        for one in history:
            if not _down(one) and (until is None or int(one.event.time) <= until):
                rows.setdefault(key, []).append(one)
    answers = []
    for key in sorted(rows):
        seen = rows[key]
        row: dict[str, Any] = dict(zip([name for name in ("package", "environment") if name in by], key))
        length = None if recorded is None else (NOW if until is None else until) - max(recorded, since or recorded)
        is_recorded = length is not None and length >= 0
        row["deployments"] = sum(map(_good, seen)) if is_recorded else None
        is_a_day = length is not None and length >= DAY
        row["deployment_frequency_per_day"] = (
            round(row["deployments"] / (length / DAY), 6) if is_a_day and length else None
        )
        row["lead_time_seconds"] = _median_and_90([seconds for one in seen for seconds in one.lead])
        row["change_failure_rate"] = round(sum(one.failed for one in seen) / len(seen), 6) if seen else None
        row["time_to_restore_seconds"] = _median_and_90([seconds for one in seen for seconds in one.recoveries])
        row["rework_rate"] = round(sum(one.rework for one in seen) / len(seen), 6) if seen else None
        answers.append(row)
    return answers


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the percentiles beside the other figures."""
    flat = {key: value for key, value in row.items() if not isinstance(value, dict)}
    for key, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{key} {name}": number for name, number in value.items()})
    return flat


# Generated histories


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, list[str]]:
    """A repository with branches and merges, some of whose commits are of a time before that of their parents."""
    repo = Repo(tmp_path_factory.mktemp("code"))
    repo.git("init", "-q")
    rng = random.Random(7)
    tree = repo.git("hash-object", "-w", "-t", "tree", "/dev/null")
    made: list[str] = []
    for number in range(40):
        parents = made[-1:] if rng.random() < 0.8 else [rng.choice(made[-6:])] if made else []
        if len(made) > 6 and rng.random() < 0.2:
            parents = list(dict.fromkeys([*parents, rng.choice(made[-6:])]))
        moment = f"{START + number * 2 * DAY - rng.choice([0, 0, 0, 5 * DAY])} +0100"
        env = {**os.environ, "GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": f"{START - 900 * DAY} +0000"}
        words = [word for parent in parents for word in ("-p", parent)]
        made.append(repo.git("commit-tree", tree, *words, "-m", str(number), env=env))
    repo.git("update-ref", "refs/heads/main", made[-1])
    return repo, made


def history(rng: random.Random, sources: list[str]) -> list[Event]:
    """Events as the ledger tells them, newest first: up and down, back, failed and cancelled, with clocks that err."""
    deployed: dict[tuple[str, str], int] = {}
    releases = dict.fromkeys(("shop/-/web", "shop/-/api"), 1)
    of: dict[tuple[str, int], str] = {}
    events: list[Event] = []
    time = float(START)
    for number in range(rng.randrange(60)):
        time += rng.choice([60, 3600, DAY, 3 * DAY]) * rng.random()
        package, environment = rng.choice(list(releases)), rng.choice(["staging", "production"])
        cell = package, environment
        if rng.random() < 0.5:
            releases[package] += 1
        newest, there = releases[package], deployed.get(cell, 0)
        release = newest if rng.random() < 0.7 or not there else max(1, there - rng.randrange(3))
        if (package, release) not in of:
            of[package, release] = rng.choice([*sources[min(release, 30) : min(release, 30) + 8], "", "f" * 40])
        type_ = "down" if there and rng.random() < 0.1 else "up"
        release = there if type_ == "down" else release
        outcome = rng.choice(["complete"] * 6 + ["failed"] * 3 + ["cancelled"])
        wrong = rng.choice([0] * 12 + [-2 * DAY, 2 * DAY])
        before = f"{package}/@{there}" if there else ""
        events.append(
            Event(
                round(time + wrong, 3),
                *cell,
                type_,
                f"{package}/@{release}",
                before,
                outcome,
                1.0,
                f"run {number}",
                f"{number:040x}",
                of.get((package, release), ""),
                of.get((package, there), ""),
                "ann",
                "",
                "",
            )
        )
        if outcome == "complete":
            deployed[cell] = 0 if type_ == "down" else release
    return events[::-1]


def some_incidents(rng: random.Random, events: list[Event]) -> Incidents:
    found: Incidents = {}
    for number in range(rng.choice([0, 0, 1, 4]) if events else 0):
        event = rng.choice(events)
        began = event.time + rng.choice([-DAY, 0, 60, DAY]) * rng.random()
        resolved = rng.choice([None, began + 2 * DAY * rng.random(), began - 60])
        found.setdefault(event.cell, []).append(Incident(f"i{number}", *event.cell, began, resolved))
    return {cell: sorted(incidents, key=lambda one: one.started) for cell, incidents in found.items()}


@pytest.mark.parametrize("seed", range(200))
def test_a_naive_way_comes_to_the_same(seed: int, code: tuple[Repo, list[str]], tmp_path: Path) -> None:
    repo, sources = code
    rng = random.Random(seed)
    events = history(rng, sources)
    incidents = some_incidents(rng, events)
    here = Repository.open(str(repo.path), {}) if seed % 3 else None
    lead_times = LeadTimes(here, Memory(str(tmp_path / "memory")))
    told_by = _Told(events, are_remembered=seed % 2 == 0)
    for _ in range(3):
        since, until = rng.choice(
            [(None, None), (START + 10 * DAY, None), (START + DAY, START + 20 * DAY), (None, START + 5 * DAY)]
        )
        by = rng.choice([(), ("package",), ("environment",), ("package", "environment")])
        window = Window(since, until, NOW)
        cells = counted(told_by, Places(), window, lead_times, incidents)
        told = [one.to_document() for one in measure(cells, window, by)]
        wanted = naive(events, since, until, by, incidents, repo if here is not None else None)
        assert len(told) == len(wanted)
        for one, other in zip(map(_flat, told), map(_flat, wanted)):
            assert one == pytest.approx(other, abs=5e-6)


def test_percentiles_lie_between_two_values_in_proportion() -> None:
    assert percentiles([]) == {"p50": None, "p90": None}
    assert percentiles([7]) == {"p50": 7, "p90": 7}
    assert percentiles([4, 1, 2, 3]) == {"p50": 2.5, "p90": 3.7}


def test_a_page_is_read_as_it_was_written_and_nothing_else_is() -> None:
    events = history(random.Random(1), ["a" * 40] * 40)
    data = Page.of_chunk(Chunk(events, [], None, 1.5, 3)).to_bytes()
    page = Page.of_bytes(data)
    assert page is not None and page.to_bytes() == data and (page.newest, page.commits) == (1.5, 3)
    for damaged in (b"", b"x", b"HEAD" + data, data[:-3], data.replace(b"\0", b"", 1)[:40]):
        assert Page.of_bytes(damaged) is None
