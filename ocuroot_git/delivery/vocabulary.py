"""The words of the delivery model (design 7): kinds of work, types and statuses of runs, and why a run was made."""

from __future__ import annotations

from ..errors import Conflict, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CALL: Final = "call"
DEPLOY: Final = "deploy"
UP: Final = "up"
DOWN: Final = "down"

PENDING: Final = "pending"
RUNNING: Final = "running"
PAUSED: Final = "paused"
COMPLETE: Final = "complete"
FAILED: Final = "failed"
FAILED_RETRIED: Final = "failed_retried"
CANCELLED: Final = "cancelled"

TRANSITIONS: Final = {
    PENDING: (RUNNING, CANCELLED),
    RUNNING: (RUNNING, PAUSED, COMPLETE, FAILED, CANCELLED),
    PAUSED: (RUNNING, FAILED, CANCELLED),
    COMPLETE: (),
    FAILED: (FAILED_RETRIED,),
    FAILED_RETRIED: (),
    CANCELLED: (),
}
"""From each status the ones that may follow; running follows itself where a claim that ran out is taken over."""
STATUSES: Final = tuple(TRANSITIONS)
OPEN: Final = (PENDING, RUNNING, PAUSED)
"""The statuses of a run that has not ended. A piece of work has one such run at most, and it is the last."""

# Why a run was made: kept in `current.cause` of its function.
BY_RELEASE: Final = "release"
BY_ENVIRONMENT: Final = "environment"
BY_INTENT: Final = "intent"
BY_INPUT: Final = "input"
BY_HAND: Final = "start"

OWN_INTENT: Final = "own"
"""In the place of the id that the intent of a deployment had when a run started: the run has made that intent since."""

CHECK_ENVIRONMENTS: Final = "check_envs"
PRUNED: Final = "pruned"
"""The record of releases that were pruned stands where a tag of this name would."""


DENY: Final = "deny"
ALLOW: Final = "allow"
APPROVE: Final = "approve"
GATES: Final = (DENY, ALLOW, APPROVE)
"""The kinds of gates."""


class ModelError(Fatal, ValueError):
    """A document does not have the shape that its place asks for; the message names the place and the field.

    `path` leads to the field by keys and indexes, as far as that is known.
    """

    path: tuple[str | int, ...] = ()


class WrongStatus(Conflict):
    """A run is not in a status from which it could do what was asked."""


def shown_actor(actor: str) -> str:
    """An actor, as people are told of one: a person at a terminal by the address alone."""
    return " ".join(actor.removeprefix("local:").split())


def check_transition(run: str, old: str, new: str) -> None:
    """Raise WrongStatus unless a run may go from one status to another."""
    if new not in TRANSITIONS.get(old, ()):
        what = {RUNNING: "start", FAILED_RETRIED: "retry"}.get(new, "finish")
        raise WrongStatus(f"cannot {what} '{run}': it is {old}")
