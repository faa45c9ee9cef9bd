"""The pages that list: overview, environments, deployments, packages, work, custom state, search. Plain JSON values.

Every function takes the `Facts` of one snapshot and gives what its page shows, which is also its JSON answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.addresses import release_number
from ..delivery.gate_list import closed_gates
from ..delivery.lenient import split_work
from ..delivery.vocabulary import DEPLOY, FAILED, OPEN, PENDING, RUNNING
from ..errors import Error
from ..formats.globs import Glob, escape
from ..formats.layout import StoredRef
from ..formats.refs import INTENT, STATE, Ref, version_key
from ..formats.times import parse_time
from .differences import compared
from .facts import read_object
from .standing import APPROVAL, FOR_PEOPLE, ORDER, READY, WAITING, rank, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..delivery.overview import Package, Unfinished
    from ..formats.layout import Side
    from .facts import Facts

Page = dict[str, Any]

PER_PAGE = 50
_PREVIEW = 6
_MOST_SORTED = 20_000
"""Refs of a search whose numbers are sorted as such; more are sorted as text, which takes a fifth of the time."""
_MOST_NAMED = 10
"""Documents that were left out, and are named; `git ocuroot fsck` names them all."""
_ALWAYS_COUNTED = (APPROVAL, RUNNING, READY, WAITING, FAILED)
_PACKAGES_ASKED = 12
"""Packages whose newest release is asked for the order of environments."""


def paged(items: Sequence[Any], number: int, size: int = PER_PAGE) -> Page:
    """One page of a list, and where it stands in it. A number beyond the ends means the page at that end."""
    pages = max(1, -(-len(items) // size))
    number = min(max(1, number), pages)
    start = (number - 1) * size
    return {
        "items": list(items[start : start + size]),
        "page": number,
        "pages": pages,
        "total": len(items),
        "first": start + 1 if items else 0,
    }


def overview(facts: Facts) -> Page:
    """What is there, what runs or waits, what failed last, where state and intent differ."""
    packages, left_out = facts.all_packages()
    unfinished = facts.unfinished()
    active = sorted((one for one in unfinished.runs if one.status in OPEN), key=rank)
    for_people = [one for one in active if standing(one) in FOR_PEOPLE]
    going_on = [one for one in active if standing(one) not in FOR_PEOPLE]
    failed = [one for one in unfinished.runs if one.status == FAILED]
    compared_ = compared(facts)
    names = environment_names(facts)
    is_known = unfinished.done and compared_.done and bool(packages or names)
    return {
        "counts": {
            "packages": len(packages),
            "releases": sum(len(package.numbers) for package in packages.values()),
            "environments": len(names),
            "deployments": sum(len(package.deployed) for package in packages.values()),
            "unfinished": len(active),
            "waiting_for_people": len(for_people),
            "failed": len(failed),
            "differences": len(compared_.differences),
        },
        "environments": [_environment_card(facts, packages, name) for name in names[:12]],
        "verdict": _verdict(len(failed), len(for_people), len(compared_.differences)) if is_known else None,
        "waiting_for_people": [_unfinished_row(facts, one) for one in for_people[:_PREVIEW]],
        "active": [_unfinished_row(facts, one) for one in going_on[:_PREVIEW]],
        "failed": [_unfinished_row(facts, one) for one in failed[:_PREVIEW]],
        "differences": compared_.differences[:_PREVIEW],
        "closed_gates": closed_gates(facts.snapshot),
        "done": compared_.done,
        "counted": unfinished.done,
        "problem": compared_.problem,
        "left_out": named([*left_out, *unfinished.left_out, *compared_.left_out]),
    }


def _verdict(failed: int, for_people: int, differences: int) -> Page:
    """Whether everything is all right, in one line."""
    parts = [
        f"{failed} {'run has' if failed == 1 else 'runs have'} failed" if failed else "",
        f"{for_people} {'waits' if for_people == 1 else 'wait'} for somebody" if for_people else "",
        f"{differences} {'intent is' if differences == 1 else 'intents are'} not followed yet" if differences else "",
    ]
    text = ", ".join(filter(None, parts))
    is_good = not failed and not for_people
    return {
        "is_good": is_good,
        "text": f"{'All is well' if is_good else 'Not all is well'}{': ' if text else ''}{text}.",
    }


def named(left_out: Iterable[tuple[str, str]]) -> Page:
    """The documents that were left out, as far as a page names them, and how many there are."""
    found = sorted(dict(left_out).items())
    return {"items": [{"ref": ref, "problem": what} for ref, what in found[:_MOST_NAMED]], "total": len(found)}


def _unfinished_row(facts: Facts, one: Unfinished) -> Page:
    return {
        "run": one.run,
        "release": one.release,
        "number": one.number,
        "package": one.package,
        "work": f"{one.word}/{one.name}",
        "name": one.name,
        "kind": "deploy" if one.word == DEPLOY else "call",
        "status": one.status,
        "state": one.state,
        "standing": standing(one),
        "time": one.time,
        "waits_for": waits_for(facts, one),
    }


def waits_for(facts: Facts, one: Unfinished) -> list[str]:
    """What a run waits for, in the words of `work list`; in other dialects, patterns that nothing matches yet."""
    if one.state or one.status != PENDING:
        return list(one.reasons)
    functions = lenient.functions_of(facts.state, one.run)
    return [f"'{glob}'" for f in functions for glob in f.dependencies if not lenient.is_met(facts.snapshot, glob)]


def work(facts: Facts, number: int, status: str) -> Page:
    """What runs, is paused, waits or failed: all of it, or what has one status."""
    unfinished = facts.unfinished()
    found = sorted(unfinished.runs, key=rank)
    words = [standing(one) for one in found]
    counts = {word: words.count(word) for word in (*ORDER, PENDING) if word in _ALWAYS_COUNTED or word in words}
    if status in counts:
        found = [one for one in found if standing(one) == status]
    elif status in OPEN:
        found = [one for one in found if one.status == status]
    page = paged(found, number)
    page["items"] = [_unfinished_row(facts, one) for one in page["items"]]
    return {
        **page,
        "counts": counts,
        "status": status if status in counts or status in OPEN else "",
        "counted": unfinished.done,
        "left_out": named(unfinished.left_out),
    }


# Environments and what is deployed there


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


def _environment_card(facts: Facts, packages: dict[str, Package], name: str) -> Page:
    body = facts.body(f"{STATE}/environment/{name}")
    unfinished = [one for one in facts.unfinished().runs if _goes_to(one, name)]
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


def _goes_to(one: Unfinished, environment: str) -> bool:
    return one.word == DEPLOY and one.name == environment


def environments(facts: Facts, number: int) -> Page:
    """All environments: attributes, and how much is deployed, on its way or failed there."""
    packages = facts.packages()
    page = paged(environment_names(facts), number)
    page["items"] = [_environment_card(facts, packages, name) for name in page["items"]]
    return page


def environment(facts: Facts, name: str, number: int) -> Page:
    """What is deployed in one environment, since when and by which release, and what is on its way there."""
    packages = facts.packages()
    here = [
        package
        for package in packages.values()
        if name in package.deployed
        or name in package.unreadable
        or name in package.wanted
        or any(_goes_to(one, name) for one in facts.unfinished_of(package.ref))
    ]
    page = paged(here, number)
    page["items"] = [{"package": package.ref, **cell(facts, package, name)} for package in page["items"]]
    return {**_environment_card(facts, packages, name), "deployments": page}


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


def newest(facts: Facts, package: Package) -> Page | None:
    """The newest release of a package: its ref and number."""
    if not package.numbers:
        return None
    number = package.numbers[-1]
    return {"ref": f"{package.ref}/{facts.state.layout.release_segment(number)}", "number": number}


def cell(facts: Facts, package: Package, environment: str) -> Page:
    """What is in one environment of one package: deployed, since, on its way or failed since, and how it differs from
    what is wanted."""
    run = package.deployed.get(environment, "")
    release = split_work(run)[0]
    number = release_number(release)
    since = facts.time(f"{run}/status/complete") if run else ""
    since = since or _since_of(facts, run)
    unfinished = [one for one in facts.unfinished_of(package.ref) if _goes_to(one, environment)]
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
        "is_unreadable": environment in package.unreadable,
        "coming": [{**_unfinished_row(facts, one), "is_back": one.number < number} for one in coming[-2:]],
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


def difference_page(facts: Facts, number: int) -> Page:
    """Where state does not follow intent."""
    compared_ = compared(facts)
    return {
        **paged(compared_.differences, number),
        "done": compared_.done,
        "problem": compared_.problem,
        "left_out": named(compared_.left_out),
    }


# Repositories and packages


def packages(facts: Facts, number: int, contains: str) -> Page:
    """The packages, grouped by repository on the page, with their newest release and how that fares."""
    every, left_out = facts.all_packages()
    chosen = [package for package in every.values() if contains.lower() in package.ref.lower()]
    page = paged(chosen, number)
    page["items"] = [package_row(facts, package) for package in page["items"]]
    repositories = {_repository(ref) for ref in facts.package_names()}
    return {**page, "contains": contains, "repositories": len(repositories), "left_out": named(left_out)}


def _repository(package: str) -> str:
    try:
        return Ref.parse(package).repo
    except ValueError:
        return ""


def package_row(facts: Facts, package: Package) -> Page:
    """A package with its newest release."""
    last = newest(facts, package)
    unfinished = facts.unfinished_of(package.ref)
    release = facts.release(last["ref"]) if last is not None else None
    return {
        "package": package.ref,
        "repository": _repository(package.ref),
        "releases": len(package.numbers),
        "newest": last,
        "status": [work.status for work in release.work] if release is not None else [],
        "deployed": sorted(package.deployed),
        "unfinished": sum(one.status in OPEN for one in unfinished),
        "failed": sum(one.status == FAILED for one in unfinished),
    }


# Custom state


def custom(facts: Facts, number: int) -> Page:
    """Custom documents of the store, state beside intent, and those of releases, the newest release first."""
    names = sorted(
        {*_custom_below(facts, "state"), *_custom_below(facts, "intent")}, key=lambda name: version_key(name)
    )
    of_store = [
        {"name": name, "state": _global_value(facts, "state", name), "intent": _global_value(facts, "intent", name)}
        for name in names
    ]
    of_releases = [
        (package.ref, release, name) for package in facts.packages().values() for release, name in facts.custom(package)
    ]
    of_releases.sort(key=lambda item: (-item[1], item[0], item[2]))
    page = paged(of_releases, number)
    segment = facts.state.layout.release_segment
    page["items"] = [
        {
            "ref": (ref := f"{package}/{segment(release)}/custom/{name}"),
            "release": f"{package}/{segment(release)}",
            "number": release,
            "package": package,
            "name": name,
            "value": facts.body(ref),
        }
        for package, release, name in page["items"]
    ]
    return {"of_store": of_store, "of_releases": page}


def _global_value(facts: Facts, side: Side, name: str) -> Page | None:
    """A custom document of the store, or what is wrong with it; None where there is none."""
    ref = f"{STATE if side == 'state' else INTENT}/custom/{name}"
    if facts.side(side) is None:
        return None
    try:
        found = facts.snapshot.look_up(ref)
    except Error as error:
        return {"ref": ref, "value": None, "problem": error.message}
    return {"ref": ref, "value": found.value} if found.found else None


def _custom_below(facts: Facts, side: Side) -> set[str]:
    """The names of global custom documents; a name may have several segments."""
    marker = STATE if side == "state" else INTENT
    head = f"{marker}/custom/"
    if facts.side(side) is None:
        return set()
    return {ref.removeprefix(head) for ref in facts.snapshot.match(f"{head}**", side=side)}


# Search


def search(facts: Facts, query: str, number: int) -> Page:
    """The refs that match a pattern, by the rules of `match`. Raises GlobError for a malformed one."""
    glob = query.strip()
    for relative in ("//", "./-/"):
        if glob.startswith(relative):
            glob = f"{escape(facts.snapshot.base.repo)}/-/{glob.removeprefix(relative)}"
    Glob(glob)
    found = facts.later(f"search {glob}", lambda other: _found(other, glob)) if glob else ()
    exact = ""
    if glob and found == () and not set(glob) & set("*?[{"):
        exact = f"**{glob}**"
    page = paged(found or (), number, 100)
    return {**page, "query": query.strip(), "glob": glob, "suggestion": exact, "done": found is not None}


def _found(facts: Facts, glob: str) -> tuple[str, ...]:
    """All refs that match, releases among them in the order of their numbers."""
    refs = [entry.ref for _, entry in facts.snapshot.entries([glob])]
    return tuple(sorted(refs, key=_release_key if len(refs) <= _MOST_SORTED else None))


def _release_key(ref: str) -> tuple[str, int, str]:
    """A sort key by which releases count as numbers; `version_key` takes ten times as long on 10^5 refs."""
    head, _, tail = ref.partition("/@")
    digits = tail.partition("/")[0].removeprefix("r")
    return head, int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0, tail
