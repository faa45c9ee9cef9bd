"""Where intent and state differ, as `git ocuroot diff` says it.

The comparison reads every document that might have an intent: 0.3 s for 10^5 documents, so it is made later.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery import diff
from ..delivery.problems import Problems
from ..errors import Error

if TYPE_CHECKING:
    from .facts import Facts


_MOST_NAMED = 10
"""Documents that are left out, and named; `git ocuroot fsck` names them all."""


class Compared(NamedTuple):
    """The differences, each with `intent` and `state` (refs), `status` (A, M, D), `is` and `wanted` (documents);
    whether the comparison is done, and what kept it from being made."""

    differences: list[dict[str, Any]]
    done: bool = True
    problem: str = ""


def compared(facts: Facts) -> Compared:
    """The differences in a snapshot, if they are known by now."""
    if facts.intent is None:
        return Compared([])
    found: Compared | None = facts.later("differences", _compare)
    return Compared([], done=False) if found is None else found


def _compare(facts: Facts) -> Compared:
    problems = Problems()
    try:
        found = diff.differences(facts.snapshot, problems)
    except Error as error:
        return Compared([], problem=error.message)
    return Compared(
        [
            {"intent": one.ref, "state": one.state, "status": one.status, "is": one.actual, "wanted": one.wanted}
            for one in found
        ],
        problem="; ".join(str(problem) for problem in islice(problems, _MOST_NAMED)),
    )
