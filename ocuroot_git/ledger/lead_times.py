"""How long commits took from being committed to being deployed (design 12)."""

from __future__ import annotations

from ..git.objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..git.repository import Repository
    from .attempts import Attempt

    Commits = list[tuple[Oid, int]]
    """Commits, and when they were committed, in seconds since the epoch."""


class LeadTimes:
    """Finds the commits that deployments brought, in the repository that was released from (None: it is not here)."""

    def __init__(self, code: Repository | None) -> None:
        self._code = code
        self._known: dict[tuple[str, str], Commits | None] = {}

    def tell(self, places: Iterable[Sequence[Attempt]]) -> None:
        """Write the lead times into the attempts of some places, each oldest first, after `judge`.

        A deployment brings the commits that its release has and the one before it has not, and that none has brought
        to the place earlier. One that was rolled back has brought nothing: the one that comes after it does.
        """
        for attempts in places:
            self._tell(attempts)

    def _tell(self, attempts: Sequence[Attempt]) -> None:
        brought: set[Oid] = set()
        for one in attempts:
            if not one.is_good or one.was_undone:
                continue
            commits = self._between(one.source_before, one.source)
            if commits is None:
                continue
            new = [(oid, time) for oid, time in commits if oid not in brought]
            brought.update(oid for oid, _ in new)
            # One that was committed after it was deployed shows that the clocks do not agree: nobody knows.
            one.lead_times = [round(one.time - time, 6) for _, time in new if time <= one.time]

    def _between(self, before: str, source: str) -> Commits | None:
        """The commits of `source` that `before` has not; None where that is not known."""
        if len(before) != 40 or len(source) != 40:
            return None
        if before == source:
            return []
        if self._code is None:
            return None
        pair = before, source
        if pair not in self._known:
            self._known[pair] = self._code.commits_beyond(Oid(source), Oid(before))
        return self._known[pair]
