"""The pages that list: packages, work, differences, custom state, search. Plain JSON values.

Every function takes the `Facts` of one snapshot and gives what its page shows, which is also its JSON answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.vocabulary import DEPLOY, FAILED, OPEN, PENDING, RUNNING
from ..errors import Error
from ..formats.globs import Glob, escape
from ..formats.refs import INTENT, STATE, Ref, version_key
from .differences import compared
from .phases import phases_of
from .standing import APPROVAL, ORDER, READY, WAITING, rank, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..delivery.overview import Package, Unfinished
    from ..formats.layout import Side
    from .facts import Facts

Page = dict[str, Any]

PER_PAGE = 50
_MOST_SORTED = 20_000
"""Refs of a search whose numbers are sorted as such; more are sorted as text, which takes a fifth of the time."""
_MOST_NAMED = 10
"""Documents that were left out, and are named; `git ocuroot fsck` names them all."""
_ALWAYS_COUNTED = (APPROVAL, RUNNING, READY, WAITING, FAILED)


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


def named(left_out: Iterable[tuple[str, str]]) -> Page:
    """The documents that were left out, as far as a page names them, and how many there are."""
    found = sorted(dict(left_out).items())
    return {"items": [{"ref": ref, "problem": what} for ref, what in found[:_MOST_NAMED]], "total": len(found)}


def unfinished_row(facts: Facts, one: Unfinished) -> Page:
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


def goes_to(one: Unfinished, environment: str) -> bool:
    """Whether a run deploys to an environment, or takes something down there."""
    return one.word == DEPLOY and one.name == environment


def work(facts: Facts, number: int, status: str, environment: str) -> Page:
    """What runs, is paused, waits or failed: all of it, or what has one status, or is to be deployed to one place."""
    unfinished = facts.unfinished()
    found = sorted(unfinished.runs, key=rank)
    if environment:
        found = [one for one in found if goes_to(one, environment)]
    words = [standing(one) for one in found]
    counts = {word: words.count(word) for word in (*ORDER, PENDING) if word in _ALWAYS_COUNTED or word in words}
    if status in counts:
        found = [one for one in found if standing(one) == status]
    elif status in OPEN:
        found = [one for one in found if one.status == status]
    page = paged(found, number)
    page["items"] = [unfinished_row(facts, one) for one in page["items"]]
    return {
        **page,
        "counts": counts,
        "status": status if status in counts or status in OPEN else "",
        "environment": environment,
        "counted": unfinished.done,
        "left_out": named(unfinished.left_out),
    }


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


def newest(facts: Facts, package: Package) -> Page | None:
    """The newest release of a package: its ref and number."""
    if not package.numbers:
        return None
    number = package.numbers[-1]
    return {"ref": f"{package.ref}/{facts.state.layout.release_segment(number)}", "number": number}


def package_row(facts: Facts, package: Package) -> Page:
    """A package with its newest release."""
    last = newest(facts, package)
    unfinished = facts.unfinished_of(package.ref)
    phases = phases_of(facts, last["ref"], lenient.fields(facts.body(last["ref"]))) if last is not None else []
    return {
        "package": package.ref,
        "repository": _repository(package.ref),
        "releases": len(package.numbers),
        "newest": last,
        "status": [work["status"] for phase in phases for work in phase["work"] if work["started"]],
        "phases": phases,
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
