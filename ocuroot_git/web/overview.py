"""The overview: what is there, whether it is all right, what waits for whom, what failed last. Plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery.gate_list import closed_gates
from ..delivery.vocabulary import FAILED, OPEN
from .differences import compared
from .environments import card, environment_names
from .lists import named, unfinished_row
from .standing import FOR_PEOPLE, rank, standing

if TYPE_CHECKING:
    from .facts import Facts

Page = dict[str, Any]

_PREVIEW = 6


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
        "environments": [card(facts, packages, name) for name in names[:12]],
        "verdict": _verdict(len(failed), len(for_people), len(compared_.differences)) if is_known else None,
        "waiting_for_people": [unfinished_row(facts, one) for one in for_people[:_PREVIEW]],
        "active": [unfinished_row(facts, one) for one in going_on[:_PREVIEW]],
        "failed": [unfinished_row(facts, one) for one in failed[:_PREVIEW]],
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
