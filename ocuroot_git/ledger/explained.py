"""What metrics counted and why, deployment by deployment, each with its commit in the store (design 12)."""

from __future__ import annotations

from ..formats.times import format_seconds, lasted
from .metrics import percentiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..delivery.fields import Fields
    from .attempts import Attempt
    from .events import Event


def to_document(one: Attempt) -> Fields:
    """An attempt as JSON has it, with what it counts as."""
    event = _event(one)
    restored = one.recovery_times()
    return {
        "time": format_seconds(event.time),
        "package": event.package,
        "environment": event.environment,
        "release": event.release,
        "from": event.before or None,
        "run_ref": event.run_ref,
        "commit": event.commit,
        "deployed": one.is_good,
        "changes": None if one.lead_times is None else len(one.lead_times),
        "lead_time_seconds": percentiles(one.lead_times or ()),
        "failed": one.failure or None,
        "restored_by": _event(one.restored_by).commit if one.restored_by is not None else None,
        "time_to_restore_seconds": percentiles(restored),
        "because_of": _event(one.because).commit if one.because is not None else None,
    }


def in_words(one: Attempt) -> str:
    """What an attempt counts as, in one line."""
    said = []
    if one.is_good:
        said.append("a deployment")
        if one.lead_times is None:
            said.append("lead time unknown: " + _why_unknown(one))
        elif one.lead_times:
            many = "1 commit" if len(one.lead_times) == 1 else f"{len(one.lead_times)} commits"
            median = percentiles(one.lead_times)["p50"]
            assert median is not None
            said.append(f"{many}, in the median {lasted(median)} old")
        else:
            said.append("no new commit")
    if one.failure:
        said.append(f"failed: {one.failure}")
        restored = one.recovery_times()
        if one.restored_by is not None:
            said.append(f"ended by {_event(one.restored_by).commit[:10]}")
        said += [f"restored after {lasted(seconds)}" for seconds in restored]
    if one.because is not None:
        said.append(f"rework, after {_event(one.because).commit[:10]} failed")
    return "; ".join(said)


def _why_unknown(one: Attempt) -> str:
    if one.was_undone:
        return "it was rolled back"
    if not one.source_before:
        return "it is not known which commit was there before"
    return "not all of its commits are here"


def _event(one: Attempt) -> Event:
    assert one.event is not None
    return one.event
