"""The page of the five metrics: what `git ocuroot metrics` says, over time and for each place (design 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery.claims import now
from ..delivery.problems import Problems
from ..formats.times import format_seconds
from ..ledger.attempt_pages import AttemptReader
from ..ledger.chunks import Ledger
from ..ledger.incidents import by_cell, incidents
from ..ledger.lead_times import LeadTimes
from ..ledger.metrics import BY, Window, counted, measure
from ..ledger.places import Places
from .changes import fetch_history
from .facts import refs_of
from .lists import named, paged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..delivery.fields import Fields
    from ..ledger.attempt_pages import Cell
    from ..ledger.attempts import Attempt
    from .facts import Facts, LeftOut

Page = dict[str, Any]

_DAY = 86400
TIMES = {"7": 7, "30": 30, "90": 13, "365": 52}
"""The days that a page may look back, and in how many parts it shows them."""
USUAL = "90"
CHOICES = {"package,environment": "both", "environment": "environment", "package": "package"}
"""What may have a line of its own, and how the page calls that."""
BOTH = next(iter(CHOICES))


class _Counted(NamedTuple):
    """What was counted: of all together, of each part of the time, and of each place; the documents left out; and
    whether history begins later here than elsewhere."""

    total: Fields
    parts: list[Fields]
    rows: list[Fields]
    left_out: LeftOut
    is_cut: bool


def page(facts: Facts, days: str, by: str, number: int) -> Page:
    """The metrics of the last days, as far as they are known by now: reading a long history takes a while once."""
    facts.history_of(facts.state)
    days = days if days in TIMES else USUAL
    by = by if by in CHOICES else BOTH
    # Once an hour anew: what is too old leaves without any commit. Of the past, what was too old then.
    hour = int(now(facts.snapshot) // 3600)
    found = facts.later(f"metrics {days} {by} {hour}", lambda other: _count(other, days, by, hour * 3600))
    rows = found.rows if found is not None else []
    return {
        **paged(rows, number),
        "days": int(days),
        "by": by,
        "done": found is not None,
        "total": found.total if found is not None else None,
        "parts": found.parts if found is not None else [],
        "left_out": named(found.left_out if found is not None else ()),
        "is_cut": found is not None and found.is_cut,
        "times": list(map(int, TIMES)),
        "choices": CHOICES,
    }


def _count(facts: Facts, days: str, by: str, present: int) -> _Counted:
    snapshot = facts.snapshot
    fetch_history(snapshot.backend_of(facts.state)[0])
    problems = Problems()
    length = int(days) * _DAY / TIMES[days]
    until = now(snapshot)
    window = Window(present - int(days) * _DAY, None, until)
    ledger = Ledger(snapshot)
    memory = snapshot.surroundings.memory
    lead_times = LeadTimes(snapshot.surroundings.code, memory)
    source = AttemptReader(ledger)
    cells = counted(source, Places(), window, lead_times, by_cell(incidents(snapshot, problems)))
    starts = [present - int(days) * _DAY + round(part * length) for part in range(TIMES[days])]
    parts = []
    for start in starts:
        is_last = start == starts[-1]
        part = Window(start, None if is_last else round(start + length) - 1, until)
        part.recorded = window.recorded
        (measured,) = measure(cells, part)
        parts.append({"start": format_seconds(start), **measured.to_document()})
    rows = []
    for one in measure(cells, window, by.split(",")):
        mine = [attempts for cell, attempts in cells.items() if _is_of(cell, one.key)]
        rows.append({**one.to_document(), "parts": _deployments(mine, starts, length)})
    (total,) = measure(cells, window)
    return _Counted(total.to_document(), parts, rows, refs_of(problems), ledger.is_cut)


def _is_of(cell: Cell, key: dict[str, str]) -> bool:
    return all(key.get(name, value) == value for name, value in zip(BY, cell))


def _deployments(places: Sequence[Sequence[Attempt]], starts: Sequence[int], length: float) -> list[int]:
    """How many deployments there were in each part of the time; what was recorded since belongs to the last."""
    counts = [0] * len(starts)
    for attempts in places:
        for one in attempts:
            if one.is_good:
                counts[min(int((one.time - starts[0]) // length), len(counts) - 1)] += 1
    return counts
