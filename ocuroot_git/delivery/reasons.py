"""Why an intent was set, or taken away: the reason of the commit that did it, for runs that follow from it (design 12).

The commits of this program name the refs that they changed, so no tree is compared, and nothing is fetched: where a
clone has the newest commits alone, these tell.
"""

from __future__ import annotations

from ..formats.commit_message import MOST_LISTED, command_of, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..git.objects import Oid
    from ..git.repository import Repository
    from ..store.snapshot import Snapshot

_MOST: Final = 1000
"""Commits that are looked at: what was asked for longer ago has been seen to, or nobody knows any more."""


def reason_for(snapshot: Snapshot, intent: str) -> str:
    """Why the intent at a ref is as it is, or is gone; empty where the newest commits do not say it."""
    backend, _ = snapshot.backend_of(snapshot.side("intent"))
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None:
        return ""
    known = snapshot.surroundings.derived.setdefault("reasons", {})
    if tip not in known:
        known[tip] = _Newest(repository, tip)
    newest: _Newest = known[tip]
    return newest.reason(intent)


class _Newest:
    """The newest commits of a store along first parents, with what they say that they changed, and why."""

    def __init__(self, repository: Repository, tip: Oid) -> None:
        self._repository = repository
        self._next: Oid | None = tip
        self._left = _MOST
        self._reasons: dict[str, str] = {}

    def reason(self, ref: str) -> str:
        """Why the newest of them that changed a ref did it."""
        while ref not in self._reasons and self._next is not None:
            self._next = self._read(self._next)
        return self._reasons.get(ref, "")

    def _read(self, oid: Oid) -> Oid | None:
        """Take in a commit; gives the one before it, None where what lies before says nothing."""
        found = self._repository.message_and_parents(oid)
        self._left -= 1
        if found is None or command_of(found[0]) is None:
            return None  # of another program: whatever it changed, it does not say so
        message, parents = found
        refs = message.partition("\n\n")[2].partition("\n\n")[0].split("\n")
        reason = reason_of(message) or ""
        for ref in refs[:MOST_LISTED]:
            self._reasons.setdefault(ref, reason)
        is_told = len(refs) <= MOST_LISTED and len(parents) == 1
        return parents[0] if is_told and self._left else None
