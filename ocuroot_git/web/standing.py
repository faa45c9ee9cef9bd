"""How a run that has not ended stands, in one word: what a reader looks for first is what waits for a person. Pure.

Beyond the statuses of the model there are: `approval` and `input` (it waits for a value that a person or another
program gives), `blocked` (what it waits for cannot come by itself), `ready` (nothing keeps it but that somebody starts
it), `waiting` (for other work).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..delivery import queue
from ..delivery.vocabulary import FAILED, PAUSED, PENDING, RUNNING

if TYPE_CHECKING:
    from ..delivery.overview import Unfinished

APPROVAL, INPUT, BLOCKED, READY, WAITING = "approval", "input", "blocked", "ready", "waiting"
FOR_PEOPLE = (APPROVAL, INPUT, BLOCKED)
"""What does not go on until somebody does something."""
ORDER = (APPROVAL, INPUT, BLOCKED, RUNNING, READY, WAITING, PAUSED, FAILED)
"""The order in which a page shows them."""
_APPROVAL = re.compile(r"input '[^']*' \(.*/custom/approv|approval\b", re.DOTALL)


def standing(one: Unfinished) -> str:
    """How a run stands: one of `ORDER`, or its own status where nothing more is known."""
    if one.state == queue.RUNNING or one.status == FAILED:
        return one.status
    if any(_APPROVAL.match(reason) for reason in one.reasons):
        return APPROVAL
    if one.state == queue.BLOCKED:
        return BLOCKED
    if any(reason.startswith("input '") for reason in one.reasons):
        return INPUT
    return {queue.READY: READY, queue.WAITING: WAITING}.get(one.state, of_status(one.status))


def of_status(status: str) -> str:
    """How a run stands as far as its status says."""
    return WAITING if status == PENDING else status


def rank(one: Unfinished) -> int:
    """Where a run comes in a list of what is under way: what waits for people first."""
    word = standing(one)
    return ORDER.index(word) if word in ORDER else len(ORDER)
