"""The five metrics of software delivery that dora.dev defines, from the deployments that ended (design 12).

What is counted, and why, is said in `docs/metrics.md`. None stands for what cannot be known, and never for zero.
"""

from __future__ import annotations

from ..delivery.fields import Record
from .attempts import Attempt, judge
from .lead_times import LeadTimes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

    from ..delivery.fields import Fields
    from .attempt_pages import Cell, Source
    from .incidents import Incident
    from .places import Places

    Percentiles = dict[str, float | None]

_DAY: Final = 86400
BY: Final = ("package", "environment")


class Window:
    """A time to look at, in whole seconds since the epoch. `since` and `until` are what was asked for (None: no bound).

    `recorded` is when the first deployment ended that is recorded here, however old: None where there is none.
    """

    def __init__(self, since: int | None, until: int | None, now: float) -> None:
        self.since = since
        self.until = until
        self._now = now
        self.recorded: float | None = None

    def has(self, time: float) -> bool:
        """Whether a moment is in it; down to seconds, as moments are shown."""
        return (self.since is None or int(time) >= self.since) and (self.until is None or int(time) <= self.until)

    @property
    def seconds(self) -> float | None:
        """How much of it is recorded; None for nothing."""
        if self.recorded is None:
            return None
        start = self.recorded if self.since is None else max(self.recorded, self.since)
        if self.until is None:
            return max(0.0, self._now - start)  # whoever recorded it may have a clock that is ahead
        return self.until - start if self.until >= start else None


class Measured(Record):
    """The metrics of some deployments. `key` has the package or the environment, or both, where they are of one.

    `deployments` counts those that ended well, `attempts` those that failed too; the rates are shares of these. Times
    are in seconds, by `p50` and `p90`.
    """

    __slots__ = (
        "attempts",
        "deployments",
        "failure_rate",
        "frequency",
        "key",
        "lead_time",
        "rework_rate",
        "to_restore",
    )

    def __init__(self, key: Mapping[str, str], attempts: Sequence[Attempt], seconds: float | None) -> None:
        count = len(attempts)
        self.key = dict(key)
        self.attempts = count
        self.deployments: int | None = None
        self.frequency: float | None = None
        if seconds is not None:
            self.deployments = sum(one.is_good for one in attempts)
            # Less than a day does not tell how many there are in one.
            self.frequency = self.deployments * _DAY / seconds if seconds >= _DAY else None
        self.failure_rate = sum(bool(one.failure) for one in attempts) / count if count else None
        self.rework_rate = sum(one.because is not None for one in attempts) / count if count else None
        self.lead_time = percentiles([seconds for one in attempts for seconds in one.lead_times or ()])
        self.to_restore = percentiles([seconds for one in attempts for seconds in one.recovery_times()])

    def to_document(self) -> Fields:
        """As JSON has it."""
        return {
            **self.key,
            "deployments": self.deployments,
            "deployment_frequency_per_day": _rounded(self.frequency),
            "lead_time_seconds": self.lead_time,
            "change_failure_rate": _rounded(self.failure_rate),
            "time_to_restore_seconds": self.to_restore,
            "rework_rate": _rounded(self.rework_rate),
        }


def counted(
    source: Source,
    places: Places,
    window: Window,
    lead_times: LeadTimes,
    incidents: Mapping[Cell, Sequence[Incident]],
) -> dict[Cell, list[Attempt]]:
    """The attempts at the places asked for, oldest first, from the beginning of a window to now, with all that is to be
    counted of them; and tell the window when the first was recorded.
    """
    cells = _read(source, places, window)
    for cell, attempts in cells.items():
        judge(attempts, incidents.get(cell, ()))
    lead_times.tell(cells.values())
    return cells


def _read(source: Source, places: Places, window: Window) -> dict[Cell, list[Attempt]]:
    found: dict[Cell, list[Attempt]] = {}
    is_older = False
    for since in dict.fromkeys((window.since, None)):
        found.clear()
        for cell, attempt in source.attempts(since):
            is_older_one = window.since is not None and int(attempt.time) < window.since
            if not attempt.is_down:
                window.recorded = attempt.time
                is_older = is_older or is_older_one
            if places.has(cell) and not is_older_one:
                found.setdefault(cell, []).append(attempt)
        if is_older:
            # What is older than was asked for need not be read to its end, and says that all of that is recorded.
            window.recorded = window.since
            break
    return {cell: attempts[::-1] for cell, attempts in found.items()}


def measure(cells: Mapping[Cell, Sequence[Attempt]], window: Window, by: Iterable[str] = ()) -> list[Measured]:
    """The metrics of a window: of all together, or by package, environment or both, sorted; of those alone where
    something was attempted in it."""
    names = [name for name in BY if name in by]
    groups: dict[tuple[str, ...], list[Attempt]] = {} if names else {(): []}
    for cell, attempts in cells.items():
        key = tuple(value for name, value in zip(BY, cell) if name in names)
        counted = [one for one in attempts if not one.is_down and window.has(one.time)]
        if counted:
            groups.setdefault(key, []).extend(counted)
    return [Measured(dict(zip(names, key)), groups[key], window.seconds) for key in sorted(groups)]


def percentiles(values: Sequence[float]) -> Percentiles:
    """The median and the 90th percentile, between two values in proportion (`PERCENTILE_CONT` of SQL)."""
    ordered = sorted(values)
    return {"p50": _percentile(ordered, 50), "p90": _percentile(ordered, 90)}


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    if not ordered:
        return None
    place, rest = divmod((len(ordered) - 1) * percent, 100)
    low = ordered[place]
    high = ordered[place + 1] if rest else low
    return _rounded(low + (high - low) * rest / 100)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
