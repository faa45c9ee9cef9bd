"""Deployments as metrics look at them: which failed, what ended that, and which were made because of it (design 12).

Pure: what was read of history goes in. The order is that of history, whatever clocks say.
"""

from __future__ import annotations

from ..delivery.addresses import release_number
from ..delivery.vocabulary import COMPLETE, DOWN, FAILED, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from .events import Event
    from .incidents import Incident

RUN_FAILED: Final = "the run failed"
ROLLED_BACK: Final = "it was rolled back"


class Attempt:
    """A deployment that ended well or failed, or something that was taken down (`is_down`), at one place.

    `release` and `before` are the numbers of the release and of what was there until then (0: nothing, or no number),
    `source` and `source_before` the commits that these are releases of (empty: not known).

    `judge` finds the rest. `failure` says why it counts as failed (empty: it does not). `because` is the failed
    deployment in whose wake it was made. Of the first that failed in a row `restored_by` is the good one that ended
    that, and `restored_after` in how many seconds (None: not known). `incidents` are those that it caused; then
    they say how long it took, and `restored_after` does not.
    """

    __slots__ = (
        "because",
        "before",
        "event",
        "failure",
        "incidents",
        "is_down",
        "is_good",
        "lead_times",
        "release",
        "restored_after",
        "restored_by",
        "source",
        "source_before",
        "time",
    )

    def __init__(
        self,
        time: float,
        *,
        is_good: bool,
        is_down: bool,
        release: int,
        before: int,
        source: str,
        source_before: str,
        event: Event | None = None,
    ) -> None:
        self.time = time
        self.is_good = is_good
        self.is_down = is_down
        self.release = release
        self.before = before
        self.source = source
        self.source_before = source_before
        self.event = event
        self.failure = ""
        self.because: Attempt | None = None
        self.restored_by: Attempt | None = None
        self.restored_after: float | None = None
        self.incidents: Sequence[Incident] = ()
        self.lead_times: list[float] | None = None
        """Seconds from each commit that it was the first to deploy to its end; None where that is not known."""

    @classmethod
    def of_event(cls, event: Event) -> Attempt | None:
        """What an event says; None for one that is no attempt: that was cancelled, or failed to take down."""
        is_down = event.type == DOWN
        if event.outcome not in (COMPLETE, FAILED) or (is_down and event.outcome == FAILED):
            return None
        return cls(
            event.time,
            is_good=event.type == UP and event.outcome == COMPLETE,
            is_down=is_down,
            release=release_number(event.release),
            before=release_number(event.before) if event.before else 0,
            source=event.source,
            source_before=event.source_before,
            event=event,
        )

    @property
    def is_rollback(self) -> bool:
        """Whether it put a release in the place of a newer one."""
        return self.is_good and 0 < self.release < self.before

    @property
    def was_undone(self) -> bool:
        """Whether it was rolled back."""
        return self.failure == ROLLED_BACK

    def recovery_times(self) -> list[float]:
        """How many seconds it took to recover from it, as far as that is over and known."""
        found = [one.resolved - one.started for one in self.incidents if one.resolved is not None]
        if self.restored_after is not None:
            found.append(self.restored_after)
        return [seconds for seconds in found if seconds >= 0]


def judge(attempts: Sequence[Attempt], incidents: Sequence[Incident] = ()) -> None:
    """Find which attempts at one place failed, what ended that, and which were made because of it; oldest first.

    A deployment failed where its run failed, where the next good one put an older release back, and where it was the
    last before an incident began. Its wake are the attempts up to the good one that ends it, and those made before
    its incident was resolved.
    """
    ended: list[tuple[Attempt, list[Attempt], Attempt]] = []
    last: Attempt | None = None
    since: list[Attempt] = []
    """What is deployed, and what was attempted since."""
    for one in attempts:
        if one.is_down:
            last, since = None, []
            continue
        failed = [other for other in since if other.failure]
        since.append(one)
        if failed:
            one.because = failed[0]
        if not one.is_good:
            one.failure = RUN_FAILED
            continue
        if one.is_rollback and last is not None and last.release == one.before:
            last.failure = ROLLED_BACK
            failed.insert(0, last)
            for other in since:
                other.because = last
        if failed:
            ended.append((failed[0], failed, one))
        last, since = one, []
    for incident in incidents:
        _attribute(attempts, incident)
    for first, failed, good in ended:
        if not any(one.incidents for one in failed):
            first.restored_by = good
            took = round(good.time - first.time, 6)
            first.restored_after = took if took >= 0 else None  # the clocks do not agree: nobody knows


def _attribute(attempts: Sequence[Attempt], incident: Incident) -> None:
    """Let the last deployment before an incident began have caused it, and those until it was resolved follow from it.

    One that began before anything was deployed, or after it was taken down, has nothing to do with these.
    """
    # Down to seconds, as moments are shown: an incident is written down with no more.
    began, resolved = int(incident.started), incident.resolved
    cause = next((one for one in reversed(attempts) if int(one.time) <= began), None)
    if cause is None or cause.is_down:
        return
    cause.incidents = (*cause.incidents, incident)
    cause.failure = cause.failure or f"incident {incident.name}"
    for one in attempts:
        is_during = int(one.time) > began and (resolved is None or int(one.time) <= resolved)
        if is_during and one.because is None and not one.is_down:
            one.because = cause
