"""The tags of releases: links below the package's `@` that lead to them (design 7)."""

from __future__ import annotations

from ..formats.refs import STATE
from .addresses import package_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.layout import StoredObject
    from ..store.snapshot import Snapshot


def tags_of(snapshot: Snapshot, release: str) -> list[str]:
    """The tags that lead to a release, sorted."""
    return tags_in(release, snapshot.object(release))


def tags_in(release: str, found: StoredObject | None) -> list[str]:
    """The tags that lead to a release, sorted, by the object that it is."""
    head = f"{package_of(release)}/{STATE}"
    names = (link.removeprefix(head) for link in (found.links if found is not None else ()) if link.startswith(head))
    return sorted(name for name in names if name and "/" not in name)
