"""The page of one environment: what runs there since when, who made it so, what is coming, what failed last, and what
keeps it closed. Plain JSON values.

What history has to say, and which releases are held, takes long the first time: it comes when it is there.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery import lenient
from ..delivery.addresses import package_of, release_number
from ..delivery.gate_list import list_gates
from ..delivery.gates import names_of
from ..delivery.holds import Hold, all_holds
from ..delivery.lenient import split_work
from ..delivery.problems import BAD, Problems
from ..delivery.queries import environment as environment_of
from ..delivery.vocabulary import APPROVE, COMPLETE, DEPLOY, FAILED, OPEN
from ..errors import Error
from ..formats.refs import INTENT, STATE
from ..formats.times import format_seconds, parse_seconds
from ..ledger.deployment_history import Teller
from . import timelines
from .changes import fetch_history
from .differences import compared
from .environments import card, cell
from .lists import goes_to, named, newest, paged, unfinished_row
from .logs import Part, log
from .releases import origin_of
from .standing import rank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..delivery.overview import Package, Unfinished
    from .facts import Facts

Page = dict[str, Any]

_MOST_COMING = 20
_MOST_FAILED = 6
_MOST_LATEST = 8
_MOST_WANTED = 12
_LOG_LINES = 10
"""Lines of the log of what failed last."""
_LOOKED_AT = 2000
"""Deployments to the environment in which the last that failed is looked for."""


class Told(NamedTuple):
    """What takes long to find out: the latest deployments and the last that failed, as timelines have them; by whom
    runs were made that do not say it themselves (actor, URL of a CI run, reason); and the holds there are."""

    latest: list[Page] = []  # noqa: RUF012 - never changed
    failure: Page | None = None
    by: dict[str, tuple[str, str, str]] = {}  # noqa: RUF012
    holds: list[Hold] = []  # noqa: RUF012
    is_cut: bool = False
    problem: str = ""
    """Why history cannot be read, or not to its end."""


def environment(facts: Facts, name: str, number: int) -> Page:
    """An environment as its page shows it; `number` is that of the page of packages."""
    packages = facts.packages()
    unfinished = facts.unfinished()
    runs = [one for one in unfinished.runs if goes_to(one, name)]
    busy = {one.package for one in runs}
    here = [
        one for one in packages.values() if name in (*one.deployed, *one.unreadable, *one.wanted) or one.ref in busy
    ]
    page = paged(here, number)
    rows = [_row(facts, package, name) for package in page["items"]]
    nameless = tuple(row["run"] for row in rows if row["run"] and not row["actor"])
    told = facts.later(f"environment {name}\0{nameless}", lambda other: _told(other, name, set(nameless)))
    found = told or Told()
    for row in rows:
        if row["run"] in found.by:
            row["actor"], row["actor_run"], row["reason"] = found.by[row["run"]]
    coming = sorted((one for one in runs if one.status in OPEN), key=rank)
    failed = [one for one in runs if one.status == FAILED]
    described = card(facts, packages, name)
    expires = parse_seconds(described["expires"])
    return {
        **described,
        "is_expired": expires is not None and expires <= max(facts.gates.moments),
        "newest": sum(_is_newest(package, name) for package in here),
        "unreadable": sum(name in package.unreadable for package in here),
        "deployments": {**page, "items": rows},
        "coming": {"items": [unfinished_row(facts, one) for one in coming[:_MOST_COMING]], "total": len(coming)},
        "failures": {"items": [unfinished_row(facts, one) for one in failed[:_MOST_FAILED]], "total": len(failed)},
        "log": log(facts, f"{failed[0].run}/logs", Part(size=_LOG_LINES)) if failed else None,
        "wanted": _wanted(facts, name, runs),
        "gates": _gates(facts, name),
        "closed": _closed(facts, name),
        "holds": [_hold(hold) for hold in found.holds if _concerns(hold, packages.get(package_of(hold.release)), name)],
        "latest": found.latest,
        "last_change": next((one for one in found.latest if one["status"] == COMPLETE), None),
        "last_failure": found.failure,
        "is_cut": found.is_cut,
        "problem": found.problem,
        "told": told is not None,
        "counted": unfinished.done,
        "left_out": named(_left_out(facts, name)),
    }


def _is_newest(package: Package, name: str) -> bool:
    run = package.deployed.get(name, "")
    return bool(run and package.numbers) and release_number(split_work(run)[0]) == package.numbers[-1]


def _row(facts: Facts, package: Package, name: str) -> Page:
    """A package in the environment, with who deployed it as far as the run's marker says."""
    row = cell(facts, package, name)
    actor, run, reason = origin_of(facts.body(f"{row['run']}/status/{COMPLETE}") if row["run"] else None)
    return {
        "package": package.ref,
        **row,
        "newest_release": newest(facts, package),
        "actor": actor,
        "actor_run": run,
        "reason": reason,
    }


def _wanted(facts: Facts, name: str, runs: list[Unfinished]) -> Page:
    """What intent wants otherwise than it is, and no run is on its way to make so: of packages, and of the environment
    itself (`package` is empty then)."""
    compared_ = compared(facts)
    under_way = {one.package for one in runs if one.status in OPEN}
    tail = f"/{STATE}/{DEPLOY}/{name}"
    found = []
    for state, one in compared_.deployments.items():
        package = state.removesuffix(tail)
        if package != state and package not in under_way:
            found.append({"package": package, "status": one["status"], "release": lenient.release_of(one["wanted"])})
    own = f"{INTENT}/environment/{name}"
    found += [
        {"package": "", "status": one["status"], "release": ""} for one in compared_.differences if one["intent"] == own
    ]
    return {"items": found[:_MOST_WANTED], "total": len(found), "done": compared_.done, "problem": compared_.problem}


def _gates(facts: Facts, name: str) -> list[Page]:
    """The gates that concern the environment, as `gate list` has them, each with what it concerns in words."""
    if not names_of(facts.snapshot):
        return []
    where = None
    try:
        where = environment_of(facts.snapshot, name)
    except BAD:
        pass  # until it can be read any gate may concern it
    found = [one for one in list_gates(facts.snapshot) if one.gate.concerns(None, name, where)]
    return [
        {
            **one.to_document(),
            "about": one.gate.about,
            "count": one.gate.approvals.count,
        }
        for one in found
    ]


def _closed(facts: Facts, name: str) -> list[Page]:
    """Why no deployment starts there now, whatever was approved; `packages` are those it is about, None for all."""
    gates = {gate.ref: gate for side in facts.gates.sides for gate in side}
    found = []
    for closure in facts.gates.closures_at(name):
        gate = gates[closure.gate]
        if gate.kind != APPROVE or gate.problem is not None:
            until = format_seconds(closure.until) if closure.until is not None else None
            found.append({"gate": closure.gate, "what": closure.what, "until": until, "packages": gate.packages})
    return found


def _concerns(hold: Hold, package: Package | None, name: str) -> bool:
    """Whether a held release is what is deployed there, or might come after it."""
    if package is None:
        return False
    run = package.deployed.get(name, "")
    return name in (*package.deployed, *package.wanted) and release_number(hold.release) >= (
        release_number(split_work(run)[0]) if run else 0
    )


def _hold(hold: Hold) -> Page:
    return {"release": hold.release, **hold.to_document()}


def _left_out(facts: Facts, name: str) -> Iterable[tuple[str, str]]:
    """The documents that were left out and are of this environment, or of deployments to it."""
    places = (f"/{DEPLOY}/{name}/", f"/environment/{name}/")
    every = (*facts.all_packages().left_out, *facts.unfinished().left_out, *compared(facts).left_out)
    return [(ref, what) for ref, what in every if any(place in f"/{ref}/" for place in places)]


def _told(facts: Facts, name: str, nameless: set[str]) -> Told:
    holds = all_holds(facts.snapshot, Problems())
    backend, _ = facts.snapshot.backend_of(facts.state)
    if backend.repository is None:
        return Told(holds=holds)
    latest: list[Page] = []
    failure: Page | None = None
    by: dict[str, tuple[str, str, str]] = {}
    problem = ""
    ledger = facts.ledger()
    teller = Teller(facts.snapshot, backend.repository, Problems())
    try:
        fetch_history(backend)
        for event in islice(ledger.of(name, ""), _LOOKED_AT):
            if len(latest) < _MOST_LATEST:
                latest.append(timelines.told(teller, event))
            if failure is None and event.outcome == FAILED:
                failure = timelines.told(teller, event)
            if event.run_ref in nameless and event.outcome == COMPLETE:
                by.setdefault(event.run_ref, (event.actor, event.run, event.reason))
            if len(latest) == _MOST_LATEST and failure is not None and len(by) == len(nameless):
                break
    except Error as error:
        problem = error.message  # the rest of the page is known all the same
    return Told(latest, failure, by, holds, ledger.is_cut, problem)
