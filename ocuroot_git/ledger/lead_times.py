"""How long commits took from being committed to being deployed (design 12)."""

from __future__ import annotations

import struct

from ..git.objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from ..git.repository import Repository
    from ..store.memory import Memory
    from .attempts import Attempt

    Commits = list[tuple[Oid, int]]
    """Commits, and when they were committed, in seconds since the epoch."""


KIND: Final = "beyond/1"
"""Its number is raised whenever the meaning of what is remembered changes."""

_COMMIT: Final = struct.Struct("<20sq")
_LENGTH: Final = 40
_DIGITS: Final = frozenset("0123456789abcdef")


class LeadTimes:
    """Finds the commits that deployments brought, in the repository that was released from (None: it is not here).

    What one commit has and another has not depends on these alone, and is remembered under both ids.
    """

    def __init__(self, code: Repository | None, memory: Memory | None = None) -> None:
        self._code = code
        self._memory = memory
        self._known: dict[str, bytes] = {}

    def tell(self, places: Iterable[Sequence[Attempt]]) -> None:
        """Write the lead times into the attempts of some places, each oldest first, after `judge`.

        A deployment brings the commits that its release has and the one before it has not, and that none has brought
        to the place earlier. One that was rolled back has brought nothing: the one that comes after it does.
        """
        places = list(places)
        self._find({one.source + one.source_before for attempts in places for one in attempts if _is_asked(one)})
        for attempts in places:
            self._tell(attempts)

    def _find(self, pairs: set[str]) -> None:
        """Find what the first commit of each pair has that the second has not, where that can be known."""
        code = self._code
        if code is None or not pairs or code.history_ends():
            return
        named = {oid for pair in pairs for oid in (pair[:_LENGTH], pair[_LENGTH:])}
        here = code.which_are_here(Oid(oid) for oid in named if _DIGITS.issuperset(oid))
        pairs = {pair for pair in pairs if pair[:_LENGTH] in here and pair[_LENGTH:] in here}
        self._known = self._memory.get(KIND, pairs) if self._memory is not None else {}
        new = {}
        for pair in pairs - self._known.keys():
            commits = code.commits_beyond(Oid(pair[:_LENGTH]), Oid(pair[_LENGTH:]))
            if commits is not None:
                new[pair] = packed(commits)
        self._known.update(new)
        if self._memory is not None:
            self._memory.put(KIND, new)

    def _tell(self, attempts: Sequence[Attempt]) -> None:
        brought: set[bytes] = set()
        for one in attempts:
            if not _is_asked(one):
                if one.is_good and not one.was_undone and one.source and one.source == one.source_before:
                    one.lead_times = []
                continue
            data = self._known.get(one.source + one.source_before)
            if data is None:
                continue
            # One that was committed after it was deployed shows that the clocks do not agree: nobody knows.
            one.lead_times = []
            for oid, time in _COMMIT.iter_unpack(data):
                if oid not in brought and time <= one.time:
                    one.lead_times.append(round(one.time - time, 6))
                brought.add(oid)


def packed(commits: Commits) -> bytes:
    """Commits and their times as they are remembered."""
    return b"".join(_COMMIT.pack(bytes.fromhex(oid), time) for oid, time in commits)


def _is_asked(one: Attempt) -> bool:
    """Whether an attempt may have brought commits, and which."""
    has_both = len(one.source) == len(one.source_before) == _LENGTH and one.source != one.source_before
    return one.is_good and not one.was_undone and has_both
