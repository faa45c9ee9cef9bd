"""Environments, and what is deployed in them: their list, and the matrix. Plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.addresses import release_number
from ..delivery.lenient import split_work
from ..delivery.vocabulary import DEPLOY, FAILED, OPEN, RUNNING
from ..formats.layout import StoredRef
from ..formats.refs import STATE, version_key
from ..formats.times import parse_time
from .differences import compared
from .facts import read_object
from .lists import goes_to, named, newest, paged, unfinished_row
from .standing import FOR_PEOPLE, standing

if TYPE_CHECKING:
    from ..delivery.overview import Package
    from .facts import Facts

Page = dict[str, Any]

_PACKAGES_ASKED = 12
"""Packages whose newest release is asked for the order of environments."""


def environment_names(facts: Facts) -> list[str]:
    """All environments that have a document or something deployed, in the order in which releases reach them."""
    rank: dict[str, int] = {}
    known = {name: facts.body(f"{STATE}/environment/{name}") for name in _known_environments(facts)}
    packages = list(facts.packages().values())
    for package in packages[:_PACKAGES_ASKED]:
        if package.numbers:
            segment = facts.state.layout.release_segment(package.numbers[-1])
            for position, (_, specs) in enumerate(lenient.phases(facts.body(f"{package.ref}/{segment}"))):
                for spec in specs:
                    for name in [spec.name] if spec.selector is None else [n for n in known if spec.matches(known[n])]:
                        rank[name] = max(position, rank.get(name, 0))
    names = {*known, *(name for package in packages for name in package.deployed)}
    return sorted(names, key=lambda name: (rank.get(name, 1000), version_key(name)))


def _known_environments(facts: Facts) -> list[str]:
    """The environments that have a document or a link, of whatever shape."""
    head = f"{STATE}/environment"
    return [
        name
        for name in facts.names(facts.state, head)
        if read_object(facts.state, StoredRef(f"{head}/{name}"))[0] is not None
    ]


def card(facts: Facts, packages: dict[str, Package], name: str) -> Page:
    """An environment in short: what its document says, and how many packages and runs are there in which status."""
    body = facts.body(f"{STATE}/environment/{name}")
    unfinished = [one for one in facts.unfinished().runs if goes_to(one, name)]
    return {
        "name": name,
        "ref": f"{STATE}/environment/{name}",
        "exists": body is not None,
        "attributes": lenient.fields(lenient.fields(body).get("attributes")),
        "expires": lenient.text(lenient.fields(body).get("expires")),
        "deployed": sum(name in package.deployed for package in packages.values()),
        "active": sum(one.status in OPEN for one in unfinished),
        "running": sum(standing(one) == RUNNING for one in unfinished),
        "waiting_for_people": sum(standing(one) in FOR_PEOPLE for one in unfinished),
        "failed": sum(one.status == FAILED for one in unfinished),
    }


def environments(facts: Facts, number: int) -> Page:
    """All environments: attributes, and how much is deployed, on its way or failed there."""
    packages = facts.packages()
    page = paged(environment_names(facts), number)
    page["items"] = [card(facts, packages, name) for name in page["items"]]
    return page


def deployments(facts: Facts, number: int, contains: str) -> Page:
    """The matrix: packages by environments, in each cell what is there and what is on its way."""
    names = environment_names(facts)
    every, left_out = facts.all_packages()
    chosen = [package for package in every.values() if contains.lower() in package.ref.lower()]
    chosen = [one for one in chosen if one.numbers or one.deployed or one.unreadable or one.wanted]
    page = paged(chosen, number)
    page["items"] = [
        {"package": package.ref, "newest": newest(facts, package), "cells": [cell(facts, package, n) for n in names]}
        for package in page["items"]
    ]
    return {**page, "environments": names, "contains": contains, "left_out": named(left_out)}


def cell(facts: Facts, package: Package, environment: str) -> Page:
    """What is in one environment of one package: deployed, since, on its way or failed since, and how it differs from
    what is wanted."""
    run = package.deployed.get(environment, "")
    release = split_work(run)[0]
    number = release_number(release)
    since = facts.time(f"{run}/status/complete") if run else ""
    since = since or _since_of(facts, run)
    unfinished = [one for one in facts.unfinished_of(package.ref) if goes_to(one, environment)]
    # An older release is on its way back where that began after what is deployed was.
    coming = [one for one in unfinished if one.number >= number or not _is_before(one.time, since)]
    coming.sort(key=lambda one: (one.time[:19], one.number))
    difference = compared(facts).deployments.get(f"{package.ref}/{STATE}/{DEPLOY}/{environment}")
    return {
        "environment": environment,
        "run": run,
        "release": release,
        "label": release.rpartition("/")[2],
        "number": number,
        "newest": bool(package.numbers) and number == package.numbers[-1],
        "since": since,
        "held": held.hold.words if release and (held := facts.held.held(release)) is not None else "",
        "is_unreadable": environment in package.unreadable,
        "coming": [{**unfinished_row(facts, one), "is_back": one.number < number} for one in coming[-2:]],
        "closed": [closure.what for closure in facts.gates.closures_of(package.ref, environment)],
        "difference": difference["status"] if difference is not None else "",
        "wanted": lenient.release_of(difference["wanted"]) if difference is not None else "",
    }


def _is_before(one: str, other: str) -> bool:
    """Whether a time is before another; not where one of them is not known."""
    first, second = parse_time(one), parse_time(other)
    return first is not None and second is not None and first < second


def _since_of(facts: Facts, run: str) -> str:
    """When a run that has no marker was last heard of."""
    if not run:
        return ""
    functions = lenient.functions_of(facts.state, run)
    return next((step["time"] for f in functions for step in reversed(f.history)), "")
