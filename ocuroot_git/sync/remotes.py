"""Which stores are shared, and how: what the commands `fetch`, `push`, `sync` and `status` begin with."""

from __future__ import annotations

from ..backends.branch import Branch
from ..backends.remote import Remote
from ..errors import Fatal
from ..formats.layout import SIDES
from ..formats.times import format_seconds
from .branch_sync import Sharing, remote_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..backends.base import Backend
    from ..formats.documents import Document
    from ..store.stores import Stores
    from .branch_sync import SharingSettings


def each_place(stores: Stores, settings: SharingSettings, remote: str | None) -> Iterator[tuple[str, Sharing | None]]:
    """The places of the stores in words, each with how to share it; None for a remote store, which was refreshed.

    `remote` names the remote, where the one that is configured is not meant. Raises Fatal for what cannot be shared.
    """
    for place in dict.fromkeys(stores.where(side)[0] for side in SIDES):
        if isinstance(place, Remote):
            place.refresh()
            yield place.where, None
        elif isinstance(place, Branch):
            yield place.where, Sharing(settings, place, remote_of(settings, place, remote))
        else:
            raise Fatal(f"{place.where} is shared with nobody", hint="a store on a branch can be")


def standing(settings: SharingSettings, place: Backend) -> dict[str, Document]:
    """How a place stands to its remote as of the last contact: for `status`; empty where it has none."""
    if isinstance(place, Remote):
        return {"remote": place.location.name, "last_contact": _time(place.last_contact)}
    if not isinstance(place, Branch):
        return {}
    try:
        sharing = Sharing(settings, place, remote_of(settings, place, None))
    except Fatal:
        return {}  # there is no remote, or none that is meant
    found: dict[str, Document] = {"remote": sharing.remote, "last_contact": _time(sharing.last_contact)}
    here, there = place.read().oid, sharing.known()
    if here is not None and there is not None:
        ahead, behind = sharing.distance(here, there)
        found |= {"ahead": ahead, "behind": behind, "diverged": bool(ahead and behind)}
    return found


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_seconds(seconds)
