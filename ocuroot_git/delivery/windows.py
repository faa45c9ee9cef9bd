"""Windows of time: from one moment to another, or again and again by a rule of RFC 5545 in a time zone (design 13).

A window includes its first moment and not its last. Rules are followed by python-dateutil, which is loaded where a rule
is met. It looks for occurrences one by one, from the first, and so a hostile rule could keep it busy for as long as it
likes; what is accepted here is answered within a second, whatever it says.
"""

from __future__ import annotations

from ..formats.times import parse_clock, parse_duration, wall_clock
from .fields import Record
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, tzinfo
    from typing import Any, Final

    Span = tuple[float, float]
    """A window's first moment, and the one after its last, in seconds since the epoch."""

FIELDS: Final = ("start", "end", "rrule", "duration", "timezone")
"""The fields of a document that say when."""
_FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS: Final = (
    "FREQ INTERVAL COUNT UNTIL WKST BYSETPOS BYMONTH BYMONTHDAY BYYEARDAY BYWEEKNO BYDAY BYHOUR BYMINUTE BYSECOND"
)
_MOST_A_DAY: Final = 96
"""Windows that a rule may begin in a day: one each quarter of an hour."""
_MOST_LISTED: Final = {"BYSETPOS": 12}
"""Values of a part; of others 400. Each place is looked for in each period."""
_MOST_LOOKED_AT: Final = 20_000
"""Occurrences of a rule that are looked at to say what is so at one moment."""
_MOST_JOINED: Final = 2000
"""Windows without a gap between them that are followed to find where they end."""
_LONGEST: Final = 400 * 86400
"""Seconds that one of many windows may last."""
_EARLIEST: Final = 1970
_LATEST: Final = 2200
"""The years that a rule is followed through."""
_DAY: Final = 86400
_SAFE: Final = 2 * _DAY
"""Seconds by which clocks on a wall may be put forward or back, and more."""
_CYCLE: Final = 400
"""Years after which the Gregorian calendar repeats itself, weekdays included."""
_LAST_YEAR: Final = 9999
_RAREST: Final = 40
"""Years within which a rule begins a window at least once, such as that of a Friday, the 29th of February."""


class Windows(Record):
    """When something holds: always, in one window, or in many that a rule begins."""

    __slots__ = ("_rule", "end", "start")

    def __init__(self, start: float | None = None, end: float | None = None, rule: _Rule | None = None) -> None:
        self.start = start
        self.end = end
        self._rule = rule

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Windows:
        """Read the `FIELDS` of a document that say when. Raises ModelError, which names the field.

        A time without an offset, and a date, are of the time zone, which is UTC where none is named.
        """
        for key in FIELDS:
            if not isinstance(fields.get(key), (str, type(None))):
                raise ModelError(f"{key} is not a string")
        zone = zone_of(fields.get("timezone"))
        start, last = (_moment(key, fields.get(key), zone) for key in ("start", "end"))
        end = last.timestamp() if last is not None else None
        duration, rrule = fields.get("duration"), fields.get("rrule")
        length = parse_duration(duration) if duration is not None else None
        if duration is not None and (length is None or sum(length) <= 0):
            raise ModelError(f"duration is '{duration}', and no length of time such as 2h, 30m, 3d or PT2H")
        rule = None
        if rrule is not None:
            if length is None:
                raise ModelError("rrule says when windows begin, and no duration how long they are")
            if start is None:
                raise ModelError("rrule has no start to count from, as RFC 5545 asks for (its DTSTART)")
            rule = _Rule(rrule, start, zone, length)
        elif length is not None:
            if start is None or end is not None:
                raise ModelError("duration is that of each window of an rrule, or of one with a start and no end")
            end = _after(start, length, zone)
        if start is not None and end is not None and end <= start.timestamp():
            raise ModelError("end is not after start")
        return cls(start.timestamp() if start is not None else None, end, rule)

    def at(self, moment: float) -> tuple[bool, float | None]:
        """Whether a moment (seconds since the epoch) lies in a window, and when that changes next.

        None where it never does, or not for as long as anybody can say. Raises ModelError for a rule that cannot be
        followed.
        """
        if self.end is not None and moment >= self.end:
            return False, None
        if self._rule is None:
            is_begun = self.start is None or moment >= self.start
            return is_begun, self.end if is_begun else self.start
        is_in, until = self._rule.at(moment)
        if self.end is not None and (until is None or until >= self.end):
            until = self.end if is_in else None  # no window begins after the end
        return is_in, until


class _Rule(Record):
    """Windows that begin by a rule."""

    __slots__ = (
        "_count",
        "_days",
        "_frequency",
        "_interval",
        "_made",
        "_seconds",
        "_start",
        "_text",
        "_until",
        "_zone",
    )

    def __init__(self, text: str, start: datetime, zone: tzinfo, length: tuple[int, float]) -> None:
        parts = _parts(text)
        self._zone = zone
        self._start = start.astimezone(zone).replace(tzinfo=None)
        if not _EARLIEST <= self._start.year < _LATEST:
            raise ModelError(f"start is of the year {self._start.year}, from which no rule is followed")
        self._days, self._seconds = length
        if _DAY * self._days + self._seconds > _LONGEST:
            raise ModelError(f"duration is more than {_LONGEST // _DAY} days, for one of many windows")
        self._frequency = parts["FREQ"]
        self._interval = _number(parts, "INTERVAL", 1)
        self._count = "COUNT" in parts and _number(parts, "COUNT", 1)
        until = parts.pop("UNTIL", None)
        self._until = None
        if until is not None:
            last = _moment("UNTIL", _with_dashes(until), zone)
            assert last is not None
            self._until = wall_clock(last.timestamp(), zone)  # one that the clock skips is put forward
        a_day = 1
        for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            a_day *= len(set(parts.get(part, "0").split(",")))
        if a_day > _MOST_A_DAY:
            raise ModelError(f"rrule begins {a_day} windows a day, which is more than {_MOST_A_DAY}")
        self._text = ";".join(f"{name}={value}" for name, value in parts.items())
        self._made: Any = None
        self._check_that_it_occurs()

    def at(self, moment: float) -> tuple[bool, float | None]:
        """As `Windows.at`, but for their end."""
        from itertools import chain

        known: list[Span] = []
        spans = self._spans(moment)
        _take_up_to(known, spans, moment + _SAFE)
        ends = [end for begin, end in known if begin <= moment < end]
        if not ends:
            return False, min((begin for begin, _ in known if begin > moment), default=None)
        try:
            return True, _join(chain(known, spans), max(ends))
        except ModelError:
            return True, None

    def _spans(self, moment: float) -> Iterator[Span]:
        """The windows that may be open at a moment, and those after it, in the order of the clock on the wall."""
        from datetime import timedelta

        try:
            now = wall_clock(moment, self._zone)
        except (ValueError, OverflowError, OSError):
            now = None
        if now is None or now.year >= _LATEST:
            raise ModelError(f"rrule is not followed beyond the year {_LATEST}")
        earliest = now - timedelta(days=self._days, seconds=self._seconds + _SAFE)
        for number, wall in enumerate(self._occurrences(earliest)):
            if number > _MOST_LOOKED_AT:
                raise ModelError("rrule has had too many windows since its start to be followed: give it a later start")
            if wall.year >= _LATEST:
                return
            if wall >= earliest:
                begin = wall.replace(tzinfo=self._zone)
                yield begin.timestamp(), _after(begin, (self._days, self._seconds), self._zone)

    def _occurrences(self, earliest: datetime) -> Iterator[datetime]:
        """When windows begin, by the clock on the wall, from some moment not after `earliest` on."""
        from datetime import timedelta

        rule = self._built()
        unit = {"DAILY": 1, "WEEKLY": 7}.get(self._frequency)
        if unit is not None and not self._count and earliest > self._start:
            # Whole intervals are left out, or what began long ago would take long to look through.
            passed = (earliest - self._start).days // (unit * self._interval)
            rule = rule.replace(dtstart=self._start + timedelta(days=passed * unit * self._interval))
        return self._followed(rule)

    def _followed(self, rule: Any) -> Iterator[datetime]:
        """What a rule gives. Raises ModelError where dateutil fails, as for the 53rd Friday of a month."""
        try:
            yield from rule
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
            raise ModelError(f"rrule is '{self._text}', which cannot be followed ({error})") from None

    def _built(self) -> Any:
        if self._made is None:
            try:
                from dateutil.rrule import rrulestr  # late: most stores have no rule
            except ImportError:
                raise ModelError("rrule needs python-dateutil, which is not installed here") from None
            try:
                self._made = rrulestr(self._text, dtstart=self._start)
                if self._until is not None:
                    self._made = self._made.replace(until=self._until)
            except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
                raise ModelError(f"rrule is '{self._text}', which is no rule of RFC 5545 ({error})") from None
        return self._made

    def _check_that_it_occurs(self) -> None:
        """Raise ModelError for a rule that nothing matches for many years, such as the 30th of February.

        Its first occurrence would be looked for until the year 9999; so it is looked for near that year. What the
        calendar does, it does again after 400 years.
        """
        rule = self._built()
        years = (_LAST_YEAR - _RAREST - self._start.year) // _CYCLE * _CYCLE
        shifted = rule.replace(dtstart=self._start.replace(year=self._start.year + years), until=None)
        if next(self._followed(shifted), None) is None:
            raise ModelError(f"rrule is '{self._text}', which no day matches for many years")


def _join(spans: Iterable[Span], until: float) -> float | None:
    """Where windows end that follow each other without a gap, of which one is open until some moment.

    None where there are too many of them to follow.
    """
    ahead: list[Span] = []
    for number, (begin, end) in enumerate(spans):
        if begin > until + _SAFE:
            return until
        if number > _MOST_JOINED:
            return None
        if begin > until:
            ahead.append((begin, end))  # what the clock on the wall has later may begin earlier
            continue
        until = max(until, end)
        while any(begin <= until for begin, _ in ahead):
            until = max(until, *(end for begin, end in ahead if begin <= until))
            ahead = [span for span in ahead if span[0] > until]
    return until


def _take_up_to(known: list[Span], spans: Iterator[Span], moment: float) -> None:
    """Take from `spans` what begins before a moment, and one more."""
    if known and known[-1][0] > moment:
        return
    for span in spans:
        known.append(span)
        if span[0] > moment:
            return


def _parts(text: str) -> dict[str, str]:
    """The parts of a rule by name. Raises ModelError for one that is not followed here."""
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in _PARTS.split() or not equals or not value or name in parts:
            raise ModelError(f"rrule has '{part[:60]}', where a part of a rule of RFC 5545 should be, each once")
        values = dict.fromkeys(one.strip() for one in value.split(","))  # each once, or it is looked at again and again
        if len(values) > _MOST_LISTED.get(name, 400):
            raise ModelError(f"rrule lists too much in {name}")
        parts[name] = ",".join(values)
    if parts.get("FREQ") not in _FREQUENCIES:
        raise ModelError(
            f"rrule has the FREQ {parts.get('FREQ', 'of none')}, and only {', '.join(_FREQUENCIES)} are followed",
            hint="what comes several times a day is FREQ=DAILY with BYHOUR and BYMINUTE",
        )
    return parts


def _number(parts: dict[str, str], name: str, default: int) -> int:
    value = parts.get(name, str(default))
    if not (value.isascii() and value.isdigit() and 0 < int(value[:6]) <= 10_000 and len(value) < 6):
        raise ModelError(f"rrule has the {name} {value[:20]}, which is none from 1 to 10000")
    return int(value)


def _with_dashes(text: str) -> str:
    """A time of RFC 5545, `20270104T000000Z`, as other times are written.

    A date alone is the end of that day: UNTIL counts in what it names.
    """
    day, _, clock = text.partition("T")
    written = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return f"{written}T{clock[:2]}:{clock[2:4]}:{clock[4:]}" if clock else f"{written}T23:59:59"


def _moment(key: str, text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    moment = parse_clock(text)
    if moment is None:
        raise ModelError(f"{key} is '{text[:60]}', and no time such as 2026-12-20 or 2026-12-20T17:00:00Z")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _after(moment: datetime, length: tuple[int, float], zone: tzinfo) -> float:
    """The moment so many days by the calendar, and then so many seconds, after another."""
    from datetime import timedelta

    try:
        wall = moment.astimezone(zone).replace(tzinfo=None) + timedelta(days=length[0])
        return wall.replace(tzinfo=zone).timestamp() + length[1]
    except (ValueError, OverflowError, OSError):
        raise ModelError("duration leads to a time that no calendar reaches") from None


def zone_of(name: str | None) -> tzinfo:
    """The time zone of a name; UTC for none. Raises ModelError."""
    from datetime import timezone

    if name is None or name in ("UTC", "Z"):
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name; a directory
        raise ModelError(
            f"timezone is '{name[:60]}', which is not known on this machine",
            hint="such as Europe/Berlin; where a machine knows none, its package tzdata is missing",
        ) from None
