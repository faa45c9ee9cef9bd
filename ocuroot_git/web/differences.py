"""Where intent and state differ, as `git ocuroot diff` says it.

The comparison reads every document that might have an intent: 0.3 s for 10^5 documents, so it is made later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery import diff
from ..delivery.problems import Problems
from ..delivery.vocabulary import DEPLOY
from ..errors import Error
from .facts import refs_of

if TYPE_CHECKING:
    from .facts import Facts, LeftOut


class Compared(NamedTuple):
    """The differences, each with `intent` and `state` (refs), `status` (A, M, D), `is` and `wanted` (documents);
    those of deployments by `state`; whether the comparison is done, what kept it from being made, and which documents
    were left out of it."""

    differences: list[dict[str, Any]]
    deployments: dict[str, dict[str, Any]]
    done: bool = True
    problem: str = ""
    left_out: LeftOut = ()


def compared(facts: Facts) -> Compared:
    """The differences in a snapshot, if they are known by now."""
    if facts.intent is None:
        return Compared([], {})
    found = facts.later("differences", _compare)
    return Compared([], {}, done=False) if found is None else found


def _compare(facts: Facts) -> Compared:
    problems = Problems()
    try:
        found = diff.differences(facts.snapshot, problems)
    except Error as error:
        return Compared([], {}, problem=error.message)
    shown: list[dict[str, Any]] = [
        {"intent": one.ref, "state": one.state, "status": one.status, "is": one.actual, "wanted": one.wanted}
        for one in found
    ]
    deployments = {difference.state: one for one, difference in zip(shown, found) if difference.kind == DEPLOY}
    return Compared(shown, deployments, left_out=refs_of(problems))
