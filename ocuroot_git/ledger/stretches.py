"""History along first parents, in stretches: from one commit whose id begins with two zeros to the next (design 12).

So a stretch has some 256 commits, and depends on the commit alone with which it begins.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

    from ..git.objects import Oid
    from ..git.repository import Repository

_BOUNDARY: Final = "00"
"""How the id of a commit begins with which a stretch begins."""


class Stretch:
    """Commits along first parents, newest first, each with the parents that are here, and the commit after the last.

    `trees` are the ids of their trees. `newest` is the latest time of a committer; `is_cut` says that history goes on
    elsewhere: the clone is shallow.
    """

    __slots__ = ("commits", "is_cut", "newest", "next", "start", "trees")

    def __init__(self, start: Oid) -> None:
        self.start = start
        self.commits: list[tuple[Oid, tuple[Oid, ...]]] = []
        self.trees: list[Oid] = []
        self.next: Oid | None = None
        self.newest = float("-inf")
        self.is_cut = False


def stretch_from(
    repository: Repository,
    ends: Collection[str],
    start: Oid,
    most: int | None = None,
    *,
    within: bool = False,
    until: Oid | None = None,
) -> Stretch:
    """The commits from one on, before the next with which a stretch begins; with `most` so many of them instead, or,
    `within`, no more than so many. Those from `until` on are left out.

    `ends` are the commits before which history is not here: see `Repository.history_ends`.
    """
    found = Stretch(start)
    at: Oid | None = start
    while at is not None and at != until:
        if most is not None and len(found.commits) == most:
            break
        if (most is None or within) and found.commits and at.startswith(_BOUNDARY):
            break
        tree, parents, time = repository.header(at)
        found.newest = max(found.newest, time)
        if at in ends:
            # What it changed cannot be told: the commit before it is not here.
            found.is_cut, at = True, None
            break
        found.commits.append((at, parents))
        found.trees.append(tree)
        at = parents[0] if parents else None
    found.next = at
    return found
