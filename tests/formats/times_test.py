"""Times as the programs write them: read, written, and what no calendar has."""

from __future__ import annotations

import pytest

from ocuroot_git.formats.times import format_seconds, format_time, parse_seconds, parse_time


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-08-22T19:02:05.09112527-04:00", "2025-08-22T19:02:05.091125-04:00"),
        ("2026-01-05T09:00:00Z", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05t09:00:00z", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05 09:00:00.5+0130", "2026-01-05T09:00:00.500000+01:30"),
        ("2026-01-05T09:00:00", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05", None),
        ("2026-02-31T09:00:00Z", None),
        ("٢٠٢٦-01-05T09:00:00Z", None),
        ("yesterday", None),
        ("", None),
        (17, None),
        (None, None),
    ],
)
def test_times_are_read_as_the_programs_write_them(text: object, iso: str | None) -> None:
    moment = parse_time(text)
    assert (moment.isoformat() if moment else None) == iso


def test_a_time_without_a_zone_is_no_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert parse_seconds("1970-01-01T00:00:05") == 5
    assert parse_seconds("2025-08-22T19:00:05-04:00") == 1755903605
    assert parse_seconds("yesterday") is None


def test_what_is_written_is_read() -> None:
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    for seconds in (0.0, 1234.5, 1755903605.25, -0.5):
        assert parse_seconds(format_time(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "minutes_east", "text"),
    [
        (0, None, "1970-01-01T00:00:00Z"),
        (0, 0, "1970-01-01T00:00:00+00:00"),
        (1700000000, 345, "2023-11-15T03:58:20+05:45"),
        (1700000000, -90, "2023-11-14T20:43:20-01:30"),
        (-62135596800, None, "0001-01-01T00:00:00Z"),
        (253402300800, None, "@253402300800"),
        (1 << 62, None, f"@{1 << 62}"),
        (1 << 62, 60, f"@{1 << 62}"),
    ],
)
def test_the_time_of_a_commit(seconds: int, minutes_east: int | None, text: str) -> None:
    assert format_seconds(seconds, minutes_east) == text
