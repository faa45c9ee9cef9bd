"""Times as people read them. Pure."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

from ..formats import times
from ..formats.times import lasted, parse_time

if TYPE_CHECKING:
    from datetime import datetime


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or how far ahead, in the largest unit that fits."""
    return times.relative((now - moment).total_seconds())


def in_short(moment: datetime) -> str:
    """The moment to the minute, in UTC."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def exact(moment: datetime) -> str:
    """The moment in full, in its own zone and in UTC where that is another."""
    text = moment.strftime("%Y-%m-%d %H:%M:%S %z")
    if moment.utcoffset():
        text += moment.astimezone(timezone.utc).strftime(" (%H:%M:%S UTC)")
    return text


def duration(start: object, end: object) -> str:
    """The time between two texts, as `lasted` has it; empty where one of them is no time."""
    one, other = parse_time(start), parse_time(end)
    if one is None or other is None or other < one:
        return ""
    return lasted((other - one).total_seconds())
