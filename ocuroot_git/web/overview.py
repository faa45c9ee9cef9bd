"""The overview: what is there, whether it is all right, what waits for whom, what failed last. Plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.gate_list import closed_gates
from ..delivery.vocabulary import FAILED, OPEN
from ..errors import Error
from ..formats.refs import STATE
from ..formats.times import parse_seconds
from . import timelines
from .differences import compared
from .environments import card, environment_names
from .lists import named, unfinished_row
from .standing import FOR_PEOPLE, rank, standing

if TYPE_CHECKING:
    from .facts import Facts

Page = dict[str, Any]

_PREVIEW = 6
_MOST_LATEST = 8


def overview(facts: Facts) -> Page:
    """What is there, and whether it is all right; what runs or waits, failed last, or is not as it is wanted."""
    packages, left_out = facts.all_packages()
    unfinished = facts.unfinished()
    active = sorted((one for one in unfinished.runs if one.status in OPEN), key=rank)
    for_people = [one for one in active if standing(one) in FOR_PEOPLE]
    going_on = [one for one in active if standing(one) not in FOR_PEOPLE]
    failed = [one for one in unfinished.runs if one.status == FAILED]
    compared_ = compared(facts)
    names = environment_names(facts)
    page: Page = {
        "counts": {
            "packages": len(packages),
            "releases": sum(len(package.numbers) for package in packages.values()),
            "environments": len(names),
            "deployments": sum(len(package.deployed) for package in packages.values()),
            "unfinished": len(active),
            "waiting_for_people": len(for_people),
            "going_on": len(going_on),
            "failed": len(failed),
            "differences": len(compared_.differences),
        },
        "environments": [card(facts, packages, name) for name in names[:12]],
        "waiting_for_people": [unfinished_row(facts, one) for one in for_people[:_PREVIEW]],
        "active": [unfinished_row(facts, one) for one in going_on[:_PREVIEW]],
        "failed": [unfinished_row(facts, one) for one in failed[:_PREVIEW]],
        "differences": compared_.differences[:_PREVIEW],
        **_latest(facts),
        "closed_gates": closed_gates(facts.snapshot),
        "done": compared_.done,
        "counted": unfinished.done,
        "problem": compared_.problem,
        "left_out": named([*left_out, *unfinished.left_out, *compared_.left_out]),
    }
    expired = [name for name in names if _is_expired(facts, name)]
    return {**page, "verdict": verdict(page, expired)}


def _latest(facts: Facts) -> Page:
    """The latest deployments, if they are known by now, and why history cannot be read; none in a store without it."""
    if facts.snapshot.backend_of(facts.state)[0].repository is None:
        return {"latest": [], "history_problem": ""}
    try:
        return {"latest": timelines.timeline(facts, "", "", 1)["items"][:_MOST_LATEST], "history_problem": ""}
    except Error as error:
        return {"latest": [], "history_problem": error.message}  # the rest is known all the same


def _is_expired(facts: Facts, name: str) -> bool:
    body = lenient.fields(facts.body(f"{STATE}/environment/{name}"))
    moment = parse_seconds(body.get("expires"))
    return moment is not None and moment <= max(facts.gates.moments)


def verdict(page: Page, expired: list[str]) -> Page:
    """Whether everything is all right, in one line, for what an overview shows.

    `level` is `bad` where something went wrong or cannot be read, `mind` where somebody has to do something or nothing
    can go on, `good`, or `unknown` as long as not all that takes long is known. `is_good` says that it is `good`.
    """
    counts = page["counts"]
    bad = [
        _many(
            counts["failed"],
            "run has failed, and nobody has dealt with it",
            "runs have failed, and nobody has dealt with them",
        ),
        _many(page["left_out"]["total"], "document cannot be read", "documents cannot be read"),
        f"intent and state cannot be compared: {page['problem']}" if page["problem"] else "",
    ]
    mind = [
        _many(counts["waiting_for_people"], "run waits for somebody", "runs wait for somebody"),
        *(f"deployments to {one['about']} do not start (gate '{one['name']}')" for one in page["closed_gates"][:2]),
        _many(len(page["closed_gates"]) - 2, "more gate is closed", "more gates are closed"),
        f"{', '.join(expired)} expired" if expired else "",
    ]
    rest = [
        _many(counts["going_on"], "run is under way", "runs are under way"),
        _many(counts["differences"], "intent is not followed yet", "intents are not followed yet"),
    ]
    is_known = page["done"] and page["counted"]
    bad, mind, rest = (list(filter(None, words)) for words in (bad, mind, rest))
    level = "bad" if bad else "unknown" if not is_known else "mind" if mind else "good"
    begin = {
        "bad": "Not all is well",
        "unknown": "Being looked at",
        "mind": "Nothing has failed",
        "good": "All is well",
    }
    if level == "good" and not (counts["packages"] or counts["environments"]):
        return {"level": level, "is_good": True, "text": "Nothing is here yet."}
    deployed = _many(counts["deployments"], "deployment is in its place", "deployments are in their places")
    told = [*bad, *mind, *rest] if level != "good" else [deployed or "nothing is deployed yet", *rest]
    return {
        "level": level,
        "is_good": level == "good",
        "text": f"{begin[level]}{': ' if told else ''}{'; '.join(told)}.",
    }


def _many(count: int, one: str, more: str) -> str:
    """So many of something; nothing for none."""
    return f"{count} {one if count == 1 else more}" if count > 0 else ""
