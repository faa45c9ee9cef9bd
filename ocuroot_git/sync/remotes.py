"""Which stores are shared, and with which remote: what `init`, `fetch`, `push`, `sync` and `status` begin with."""

from __future__ import annotations

from functools import partial

from ..backends.branch import Branch
from ..backends.remote import Remote
from ..errors import Fatal
from ..formats.layout import SIDES
from ..formats.times import format_seconds
from ..git.failures import TransportError
from .branch_sync import Sharing
from .remote_branch import RemoteBranch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..backends.base import Backend
    from ..formats.documents import Document
    from ..formats.layout import Layout
    from ..git.objects import Oid
    from ..store.stores import Stores
    from .remote_branch import SharingSettings


def each_backend(stores: Stores, settings: SharingSettings, remote: str | None) -> Iterator[tuple[str, Sharing | None]]:
    """The places of the stores in words, each with how to share it; None for a remote store, which was refreshed.

    `remote` names the remote, where the one that is configured is not meant. Raises Fatal for what cannot be shared.
    """
    for backend in dict.fromkeys(stores.backend(side)[0] for side in SIDES):
        if isinstance(backend, Remote):
            backend.refresh()
            yield backend.where, None
        elif isinstance(backend, Branch):
            layouts = partial(_layouts, stores, backend)
            yield backend.where, Sharing(settings, backend, remote_of(settings, backend, remote), layouts)
        else:
            raise Fatal(f"{backend.where} is shared with nobody", hint="a store on a branch can be")


def shared_tips(stores: Stores, settings: SharingSettings) -> dict[Branch, tuple[str, Oid | None]]:
    """For each local branch that is shared by hand the remote, and where its branch stood at the last contact.

    None: there was none. No remote is asked. Branches that no one remote is meant for are left out.
    """
    found: dict[Branch, tuple[str, Oid | None]] = {}
    for backend in dict.fromkeys(stores.backend(side)[0] for side in SIDES):
        if isinstance(backend, Branch):
            try:
                theirs = RemoteBranch(settings, backend, remote_of(settings, backend, None))
            except Fatal:
                continue
            found[backend] = theirs.remote, theirs.known()
    return found


def _layouts(stores: Stores, branch: Branch) -> dict[str, Layout]:
    """How the stores on a branch spell refs, by the directory each lies in; what cannot be opened is left out."""
    found = {}
    snapshot = stores.snapshot()
    for side in SIDES:
        try:
            tree = snapshot.side(side)
        except Fatal:
            continue
        backend, directory = snapshot.backend_of(tree)
        if backend is branch:
            found[directory] = tree.layout
    return found


def standing(settings: SharingSettings, backend: Backend) -> dict[str, Document]:
    """How a place stands to its remote as of the last contact: for `status`; empty where it has none."""
    if isinstance(backend, Remote):
        return {"remote": backend.location.name, "last_contact": _time(backend.last_contact)}
    if not isinstance(backend, Branch):
        return {}
    try:
        theirs = RemoteBranch(settings, backend, remote_of(settings, backend, None))
    except Fatal:
        return {}  # there is no remote, or none that is meant
    found: dict[str, Document] = {"remote": theirs.remote, "last_contact": _time(theirs.contact.time)}
    ours, tip = backend.read().oid, theirs.known()
    if ours is not None and tip is not None:
        ahead, behind = theirs.distance(ours, tip)
        found |= {"ahead": ahead, "behind": behind, "diverged": bool(ahead and behind)}
    return found


def remote_of(settings: SharingSettings, branch: Branch, name: str | None) -> str:
    """The remote that a local branch is shared with: the one named, else that of the branch, `origin`, or the only one.

    Raises Fatal where there is none, or no such one.
    """
    known = "'git remote -v' lists those there are"
    if name is not None:
        if name not in settings.remotes():
            raise Fatal(f"no such remote: '{name}'", hint=f"'git remote add <name> <url>' makes one; {known}")
        return name
    candidates = settings.remotes_for(branch.name)
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise Fatal("which remote? There is no 'origin'", hint=f"name one; {known}")
    raise Fatal("there is no remote to share with", hint="git remote add origin <url>")


def find_shared(settings: SharingSettings, branch: Branch) -> tuple[str, Oid] | None:
    """Where a remote has the store that is not here: its remote-tracking branch, which was fetched, and the commit.

    The remotes are asked, unless `--offline` says not to. Raises Fatal where one cannot be asked: what it has is not
    known then, and a store made beside it would hide it.
    """
    found: dict[str, Oid] = {}
    for remote in () if settings.offline else settings.remotes_for(branch.name):
        try:
            tip = RemoteBranch(settings, branch, remote).look()
        except TransportError as error:
            if settings.tracking_branch(branch.name) is None:
                raise Fatal(
                    f"whether '{remote}' has a store is not known: {error.message}",
                    hint="'--offline' makes one without asking",
                ) from None
            break  # the one that was fetched before will do
        if tip is not None:
            found[f"{remote}/{branch.name}"] = tip
    if len(set(found.values())) > 1:
        raise Fatal(f"there are several stores: {', '.join(found)}", hint="take one: git ocuroot fetch <remote>")
    if found:
        return next(iter(found.items()))
    tracking = settings.tracking_branch(branch.name)
    tip = branch.repository.tip(tracking) if tracking is not None else None
    return None if tracking is None or tip is None else (tracking.removeprefix("refs/remotes/"), tip)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_seconds(seconds)
