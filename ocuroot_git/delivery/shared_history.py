"""What others have of stores on local branches that are shared by hand, as of the last push or fetch (design 8.3).

What was done since is pushed as one commit where others were faster: what came and went in between is in no history
that they get, and the commits that had it are known here alone.
"""

from __future__ import annotations

from ..errors import Fatal
from ..formats.layout import REFS
from ..store.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..backends.base import Backend
    from ..formats.layout import Side
    from ..git.objects import Oid
    from ..store.tree import StoreTree


class SharedHistory:
    """Stores as others have them: `tips` are the commits that they have of branches; all of other stores is shared."""

    def __init__(self, snapshot: Snapshot, tips: Mapping[Backend, Oid]) -> None:
        self._now = snapshot
        self._tips = tips
        versions = {backend: backend.read(tip) for backend, tip in tips.items()}
        self._shared = Snapshot(snapshot.surroundings, {**snapshot.versions, **versions})

    def commit(self, side: Side) -> str:
        """The newest commit of a store that others have; empty for a store without commits."""
        backend, _ = self._now.surroundings.backend(side)
        return self._tips.get(backend) or self._now.version(backend).oid or ""

    def has(self, side: Side, ref: str) -> bool:
        """Whether others have all that is at and below a stored ref, as it is now."""
        if self._now.surroundings.backend(side)[0] not in self._tips:
            return True
        now, shared = (_tree_id(_tree(snapshot, side), ref) for snapshot in (self._now, self._shared))
        return now == shared


def _tree(snapshot: Snapshot, side: Side) -> StoreTree | None:
    """The tree of a side; None where there is no store of it."""
    try:
        return snapshot.side(side)
    except Fatal:
        return None


def _tree_id(tree: StoreTree | None, ref: str) -> Oid | None:
    return tree.tree_id(f"{REFS}/{ref}") if tree is not None else None
