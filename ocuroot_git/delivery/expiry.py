"""Environments that expire: `expires` of an environment intent, after which `work any` takes it down (design 13).

A moment that cannot be read is an error where it is written, named where it is read, and takes nothing down.
"""

from __future__ import annotations

from ..formats.documents import brief
from ..formats.times import parse_zoned
from .model import Environment
from .problems import BadDocument, Problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document

_FIELD: Final = "expires"


def read_wanted(value: Document, ref: str) -> Environment:
    """An environment as an intent has it. Raises ModelError, also for a moment at which it expires that is none."""
    found = Environment.read(value, ref)
    expiry_of(found, ref)
    return found


def expiry_of(environment: Environment, ref: str) -> float | None:
    """When an environment expires, in seconds since the epoch; None where it does not. Raises BadDocument."""
    if environment.others.get(_FIELD) is None:
        return None
    seconds = parse_zoned(environment.others[_FIELD])
    if seconds is None:
        raise BadDocument(
            ref,
            f"{_FIELD} is {brief(environment.others[_FIELD])}, which is no time",
            hint="such as 2026-12-01T18:00:00Z or 2026-12-01T18:00:00+01:00",
        )
    return seconds


def expiring(known: dict[str, Environment]) -> dict[str, float]:
    """When those environments expire that do, by name. A moment that is none is left out."""
    found = {}
    for name, environment in known.items():
        with Problems().leave_out(name):  # the intent says it too, and is named for it
            seconds = expiry_of(environment, name)
            if seconds is not None:
                found[name] = seconds
    return found
