"""Times as documents, messages and people have them: RFC 3339, read and written (design 7, 12).

Nothing here asks what time it is: who calls knows the clock.
"""

from __future__ import annotations

from time import gmtime, localtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo

_RFC3339 = r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?\s*([Zz]|[+-]\d\d:?\d\d)?"


def format_time(seconds: float) -> str:
    """A moment, in seconds since the epoch, in UTC and down to microseconds: `2026-01-05T09:00:00.500000Z`."""
    whole, fraction = divmod(int(seconds * 1_000_000), 1_000_000)
    return f"{_day_and_clock(whole)}.{fraction:06}Z"


def format_seconds(seconds: float, minutes_east: int | None = None) -> str:
    """A moment down to seconds, in UTC (`2026-01-05T09:00:00Z`) or so many minutes east of it (`…T10:00:00+01:00`).

    Git commits can name any number of seconds; one that no calendar reaches is written as git takes it: `@<seconds>`.
    """
    try:
        local = _day_and_clock(seconds + 60 * (minutes_east or 0))
    except (OverflowError, ValueError, OSError):
        return f"@{int(seconds)}"
    if minutes_east is None:
        return f"{local}Z"
    hours, minutes = divmod(abs(minutes_east), 60)
    return f"{local}{'-' if minutes_east < 0 else '+'}{hours:02}:{minutes:02}"


def format_local(seconds: float) -> str:
    """A moment down to seconds, in this process's time zone; in UTC where that knows no such moment."""
    try:
        return format_seconds(seconds, localtime(seconds).tm_gmtoff // 60)
    except (OverflowError, ValueError, OSError):
        return format_seconds(seconds)


_UNITS = (("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def relative(seconds: float) -> str:
    """How many seconds ago, in the largest unit that fits: `3 days ago`, `just now`; below zero `in 2 hours`."""
    for unit, length in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            amount = f"{count} {unit}" if count == 1 else f"{count} {unit}s"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "just now"


def lasted(seconds: float) -> str:
    """How long something took, short: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 172_800:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{int(seconds // 86_400)} days"


def _day_and_clock(seconds: float) -> str:
    """`2026-01-05T09:00:00`. Raises ValueError, OverflowError or OSError for a year that is not of four digits."""
    year, month, day, hour, minute, second, *_ = gmtime(seconds)
    if not 0 <= year <= 9999:
        raise ValueError(year)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"


def parse_time(text: object) -> datetime | None:
    """The moment that a text names, or None where it names none. A time without a zone is one of UTC.

    What programs write is read, down to their picoseconds (kept: microseconds), with a space for the `T`, and with a
    zone like `+0130`.
    """
    import re
    from datetime import datetime

    parts = re.fullmatch(_RFC3339, text.strip(), re.ASCII) if isinstance(text, str) else None
    if parts is None:
        return None
    day, clock, fraction, zone = parts.groups()
    zone = "+00:00" if zone in (None, "Z", "z") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone}")
    except ValueError:  # the 31st of February
        return None


def parse_zoned(text: object) -> float | None:
    """As `parse_seconds`, of a text that names its zone, as RFC 3339 asks for; None for one that does not."""
    ends = isinstance(text, str) and (text[-1:] in ("Z", "z") or text[-6:-5] in ("+", "-"))
    return parse_seconds(text) if ends else None


def parse_seconds(text: object) -> float | None:
    """As `parse_time`, in seconds since the epoch."""
    moment = parse_time(text)
    return None if moment is None else moment.timestamp()


def parse_clock(text: str) -> datetime | None:
    """A date, or a date and a time, as people write them down; None for anything else.

    It has a zone where the text names one, `Z` or an offset. A date is its first moment.
    """
    import re

    parts = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(.*))?", text.strip(), re.ASCII | re.DOTALL)
    if parts is None:
        return None
    day, clock, seconds, rest = parts.groups()
    moment = parse_time(f"{day}T{clock or '00:00'}{seconds or ':00'}{rest or ''}")
    has_zone = re.search(r"([Zz]|[+-]\d\d:?\d\d)$", (rest or "").strip(), re.ASCII) is not None
    return moment if moment is None or has_zone else moment.replace(tzinfo=None)


def wall_clock(seconds: float, zone: tzinfo | None) -> datetime:
    """What a clock on the wall says at a moment, in a time zone (None: this process's); without a zone itself.

    Raises ValueError, OverflowError or OSError where no calendar reaches the moment.
    """
    from datetime import datetime

    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)


def format_wall(clock: datetime) -> str:
    """What a clock on the wall says, down to seconds: `2026-01-05T09:00:00`."""
    return clock.isoformat(timespec="seconds")


def parse_duration(text: str) -> tuple[int, float] | None:
    """A length of time: so many days by the calendar, and so many seconds; None for what is none.

    `2h`, `1d 12h`, `30m`, or as RFC 5545 and ISO 8601 have it: `PT2H`, `P1DT12H`, `P2W`. A day may be an hour shorter
    or longer than 24 hours.
    """
    import re

    written = text.strip()
    pattern = r"(?:(\d+)w)?\s*(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?"
    if written[:1] in ("P", "p"):
        written = written[1:]
        pattern = r"(?:(\d+)w)?(?:(\d+)d)?(?:t(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?"
    parts = re.fullmatch(pattern, written.lower(), re.ASCII)
    if parts is None or not any(parts.groups()) or len(written) > 40:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    if max(weeks, days, hours, minutes, seconds) > 10**9:
        return None
    return 7 * weeks + days, float(3600 * hours + 60 * minutes + seconds)
