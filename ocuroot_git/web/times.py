"""Times as people read them. Pure."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

from ..formats import times
from ..formats.times import parse_time

if TYPE_CHECKING:
    from datetime import datetime


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or how far ahead, in the largest unit that fits."""
    return times.relative((now - moment).total_seconds())


def exact(moment: datetime) -> str:
    """The moment in full, in its own zone and in UTC where that is another."""
    text = moment.strftime("%Y-%m-%d %H:%M:%S %z")
    if moment.utcoffset():
        text += moment.astimezone(timezone.utc).strftime(" (%H:%M:%S UTC)")
    return text


def duration(start: object, end: object) -> str:
    """The time between two texts, short: `4.2 s`, `3 min 20 s`, `2 h 5 min`; empty where one of them is no time."""
    one, other = parse_time(start), parse_time(end)
    if one is None or other is None or other < one:
        return ""
    seconds = (other - one).total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 172_800:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{int(seconds // 86_400)} days"
