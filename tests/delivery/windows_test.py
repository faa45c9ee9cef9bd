"""Windows of time: which moments lie in one, and when that changes, beside what python-dateutil says of the rules."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from calendar import isleap
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from ocuroot_git.delivery.vocabulary import ModelError
from ocuroot_git.delivery.windows import Windows

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, **fields: str) -> tuple[bool, str | None]:
    """Whether a moment lies in a window, and until when."""
    is_in, until = Windows.read(fields).at(datetime.fromisoformat(text).timestamp())
    return is_in, None if until is None else datetime.fromtimestamp(until, UTC).isoformat().replace("+00:00", "Z")


def test_a_window_includes_its_first_moment_and_not_its_last() -> None:
    when = {"start": "2026-12-20T10:00:00Z", "end": "2026-12-20T12:00:00+01:00"}
    assert at("2026-12-20T09:59:59+00:00", **when) == (False, "2026-12-20T10:00:00Z")
    assert at("2026-12-20T10:00:00+00:00", **when) == (True, "2026-12-20T11:00:00Z")
    assert at("2026-12-20T10:59:59+00:00", **when) == (True, "2026-12-20T11:00:00Z")
    assert at("2026-12-20T11:00:00+00:00", **when) == (False, None)
    assert at("2026-12-20T11:00:00+00:00") == (True, None)
    assert at("2026-12-19T23:00:00+00:00", start="2026-12-20", timezone="Europe/Berlin") == (True, None)
    assert at("2026-12-20T11:59:59+00:00", start="2026-12-20T10:00Z", duration="2h") == (True, "2026-12-20T12:00:00Z")


def test_a_weekend_over_the_end_of_summer_time() -> None:
    when = {"start": "2026-10-01T17:00", "rrule": "FREQ=WEEKLY;BYDAY=FR", "timezone": "Europe/Berlin"}
    assert at("2026-10-23T15:00:00+00:00", duration="63h", **when) == (True, "2026-10-26T06:00:00Z")
    assert at("2026-10-23T15:00:00+00:00", duration="2d 15h", **when) == (True, "2026-10-26T07:00:00Z")
    assert at("2026-10-26T07:00:00+00:00", duration="2d 15h", **when) == (False, "2026-10-30T16:00:00Z")


def test_a_rule_that_ends_when_the_clock_is_put_forward() -> None:
    when = {"start": "2027-03-01T03:00", "rrule": "FREQ=WEEKLY;BYDAY=SU;UNTIL=20270328T023000", "duration": "1h"}
    assert at("2027-03-28T01:00:00+00:00", timezone="Europe/Berlin", **when)[0]
    assert not at("2027-03-28T03:00:00+00:00", **when)[0]


def test_the_day_that_until_names_counts() -> None:
    when = {"start": "2026-12-01", "rrule": "FREQ=DAILY;BYHOUR=17;UNTIL=20261224", "duration": "2h"}
    assert at("2026-12-24T18:00:00+00:00", **when) == (True, "2026-12-24T19:00:00Z")
    assert at("2026-12-24T19:00:00+00:00", **when) == (False, None)
    exact = {**when, "rrule": "FREQ=DAILY;BYHOUR=17;UNTIL=20261224T000000"}
    assert at("2026-12-24T18:00:00+00:00", **exact) == (False, None)


def test_windows_that_follow_each_other_end_together() -> None:
    daily = {"start": "2026-01-01", "rrule": "FREQ=DAILY;COUNT=5"}
    assert at("2026-01-02T03:00:00+00:00", duration="24h", **daily) == (True, "2026-01-06T00:00:00Z")
    assert at("2026-01-02T03:00:00+00:00", duration="3d", **daily) == (True, "2026-01-08T00:00:00Z")
    assert at("2026-01-02T03:00:00+00:00", duration="3d", end="2026-01-04", **daily) == (True, "2026-01-04T00:00:00Z")
    assert at("2026-06-01T03:00:00+00:00", start="2026-01-01", rrule="FREQ=DAILY", duration="1d") == (True, None)
    assert at("2026-01-05T00:30:00+00:00", duration="1h", end="2026-01-05", **daily) == (False, None)


@pytest.mark.parametrize("year", [1970, 1998, 1999, 2000, 2026, 2100, 2160])
def test_what_is_rare_is_found(year: int) -> None:
    rule = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU"
    windows = Windows.read({"rrule": rule, "start": f"{year}-03-01", "duration": "1d"})
    begins = windows.at(datetime(year, 3, 1, tzinfo=UTC).timestamp())[1]
    leap_days = (datetime(one, 2, 29, tzinfo=UTC) for one in range(year + 1, 2200) if isleap(one))
    assert begins == next(day for day in leap_days if day.weekday() == 1).timestamp()


def test_long_ago_is_followed_as_well() -> None:
    when = {"start": "1970-01-01T09:00", "rrule": "FREQ=DAILY;INTERVAL=3", "duration": "1h"}
    begins = datetime(1970, 1, 1, 9) + timedelta(days=3 * 6900)
    assert at(f"{begins}+00:00", **when)[0]
    assert not at(f"{begins + timedelta(days=1)}+00:00", **when)[0]


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("start is 'soon'", {"start": "soon"}),
        ("start is not a string", {"start": 5}),
        ("end is '2026-02-30'", {"end": "2026-02-30"}),
        ("end is not after start", {"start": "2026-01-02", "end": "2026-01-02"}),
        ("timezone is 'Mars/Phobos'", {"timezone": "Mars/Phobos"}),
        ("timezone is '../../etc/passwd'", {"timezone": "../../etc/passwd"}),
        ("timezone is 'Europe'", {"timezone": "Europe"}),
        ("no start to count from", {"rrule": "FREQ=DAILY", "duration": "1h"}),
        ("no duration", {"rrule": "FREQ=DAILY", "start": "2026-01-01"}),
        ("no length of time", {"rrule": "FREQ=DAILY", "start": "2026-01-01", "duration": "soon"}),
        ("no length of time", {"rrule": "FREQ=DAILY", "start": "2026-01-01", "duration": "0s"}),
        ("more than 400 days", {"rrule": "FREQ=DAILY", "start": "2026-01-01", "duration": "60w"}),
        ("of each window", {"duration": "1h"}),
        ("of each window", {"start": "2026-01-01", "end": "2026-01-02", "duration": "1h"}),
        ("year 1969", {"rrule": "FREQ=DAILY", "start": "1969-12-31", "duration": "1h"}),
        ("no calendar reaches", {"start": "9999-12-31T23:00:00Z", "duration": "9999999w"}),
    ],
)
def test_what_says_no_time_is_refused(words: str, fields: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=words.replace("(", "\\(")):
        Windows.read(fields)


@pytest.mark.parametrize(
    "rule",
    [
        *("FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY", "FREQ=NEVER", "BYDAY=MO", "", "FREQ=DAILY;FREQ=DAILY"),
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=40",
        "FREQ=YEARLY;BYWEEKNO=1;BYMONTH=6",
        "FREQ=DAILY;INTERVAL=366;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=MONTHLY;BYDAY=53FR",
        "FREQ=MONTHLY;BYWEEKNO=1;BYDAY=-53MO",
        "FREQ=YEARLY;BYMONTH=2;BYDAY=MO,53FR",
        f"FREQ=DAILY;BYSETPOS={','.join(map(str, range(1, 14)))}",
        f"FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(60)))}",
        f"FREQ=DAILY;BYSECOND={','.join(map(str, range(60)))};BYMINUTE=0,30",
        "FREQ=DAILY;COUNT=1000000000",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;INTERVAL=0",
        f"FREQ=DAILY;INTERVAL={'9' * 5000}",
        f"FREQ=YEARLY;BYYEARDAY={','.join(map(str, range(-360, 360)))}",
        "FREQ=DAILY;BYEASTER=0",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=DAILY;UNTIL=tomorrow",
        "RRULE:FREQ=DAILY\nEXDATE:20260101T000000",
    ],
)
def test_a_hostile_rule_is_refused_at_once(rule: str) -> None:
    started = time.process_time()
    with pytest.raises(ModelError, match=r"rrule|UNTIL"):
        Windows.read({"rrule": rule, "start": "2026-01-01", "duration": "1h"})
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "rule",
    [
        f"FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE=0,15,30,45",
        f"FREQ=MONTHLY;BYHOUR={','.join(map(str, range(24)))};BYMONTHDAY={','.join(map(str, range(1, 29)))}",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=FR",
        "FREQ=DAILY;COUNT=10000",
        f"FREQ=DAILY;COUNT=1;BYSETPOS={','.join(['1', '-1', '366', '-366'] * 90)}",
    ],
)
@pytest.mark.parametrize("duration", ["1s", "1d", "400d"])
@pytest.mark.parametrize("moment", [0.0, 1.8e9, 1e18])
def test_what_is_taken_is_answered_soon(rule: str, duration: str, moment: float) -> None:
    started = time.process_time()
    windows = Windows.read({"rrule": rule, "start": "1970-01-01", "duration": duration, "timezone": "America/New_York"})
    try:
        windows.at(moment)
    except ModelError as error:
        assert "rrule" in error.message
    assert time.process_time() - started < 3


RULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=2",
    "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30",
    "FREQ=DAILY;BYMONTH=3,10,11",
    "FREQ=DAILY;UNTIL=20271031T013000Z",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=SA,SU",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU",
    "FREQ=WEEKLY;COUNT=100",
    "FREQ=WEEKLY;BYDAY=SU;UNTIL=20270328T023000",
    "FREQ=MONTHLY;BYDAY=-1SU",
    "FREQ=MONTHLY;BYMONTHDAY=1,-1",
    "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=2",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU;BYHOUR=1,2",
    "FREQ=YEARLY;BYWEEKNO=13,43;BYDAY=SU",
    "FREQ=YEARLY;BYYEARDAY=300",
)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "America/St_Johns", "Pacific/Apia")
FIRST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""Moments are those of three years from then on."""
LAST_YEAR = 2031
"""So far dateutil is followed, which is far behind all moments."""


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_are_those_of_dateutil(seed: int) -> None:
    compare_with_dateutil(random.Random(seed), 20)


def compare_with_dateutil(chance: random.Random, count: int) -> None:
    """Compare verdicts for so many rules at 50 moments each, half of them near a change of clocks or of the verdict."""
    for _ in range(count):
        zone = ZoneInfo(chance.choice(ZONES))
        start = datetime(2025, 1, 1) + timedelta(minutes=30 * chance.randint(0, 17_000))
        rule = chance.choice(RULES)
        days, hours = chance.choice(((0, 1), (0, 2), (0, 24), (0, 30), (0, 63), (1, 0), (2, 0), (3, 5)))
        fields = {"rrule": rule, "start": start.isoformat(), "duration": f"{days}d{hours}h", "timezone": zone.key}
        windows = Windows.read(fields)
        spans = spans_of_dateutil(rule, start.replace(tzinfo=zone), days, hours)
        for _ in range(50):
            moment = FIRST + chance.randint(0, 3 * 365 * 86_400)
            kind = chance.random()
            if kind < 0.3:
                moment = chance.choice(changes_of(zone)) + chance.randint(-90_000, 90_000)
            elif kind < 0.5:
                moment = chance.choice(spans[: len(spans) // 4 + 1])[chance.randint(0, 1)] + chance.choice((-1, 0, 1))
            moment = min(moment, FIRST + 4 * 365 * 86_400)
            before = bisect_right(spans, (moment, float("inf")))
            is_in = before > 0 and moment < spans[before - 1][1]
            until = spans[before - 1][1] if is_in else next((begin for begin, _ in spans[before:]), None)
            found = windows.at(moment)
            assert (found[0], in_sight(found[1])) == (is_in, in_sight(until)), (fields, moment)


def in_sight(moment: float | None) -> float | None:
    """A moment up to which dateutil is followed here; None for one after that, as for none."""
    return moment if moment is not None and datetime.fromtimestamp(moment, UTC).year < LAST_YEAR else None


def spans_of_dateutil(rule: str, start: datetime, days: int, hours: int) -> list[tuple[float, float]]:
    """The windows that dateutil finds where it is given a start with a time zone, joined where they touch."""
    if "UNTIL" in rule and not rule.endswith("Z"):  # dateutil wants UTC there
        rule, _, until = rule.partition("UNTIL=")
        last = datetime.strptime(until, "%Y%m%dT%H%M%S").replace(tzinfo=start.tzinfo).astimezone(UTC)
        rule = f"{rule}UNTIL={last:%Y%m%dT%H%M%SZ}"
    found = takewhile(lambda moment: moment.year <= LAST_YEAR, rrulestr(rule, dtstart=start))
    spans = sorted((one.timestamp(), (one + timedelta(days=days)).timestamp() + 3600 * hours) for one in found)
    joined: list[tuple[float, float]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined


@cache
def changes_of(zone: ZoneInfo) -> list[float]:
    """The moments in three years at which the clocks of a zone change, to the hour; the first where none does."""
    hours = [FIRST + 3600 * number for number in range(3 * 365 * 24)]
    offsets = [datetime.fromtimestamp(hour, zone).utcoffset() for hour in hours]
    changes = [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]
    return changes or hours[:1]
