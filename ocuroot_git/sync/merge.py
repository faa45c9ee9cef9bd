"""Bring two versions of a store together, document by document (design 8.3).

Three trees: the one at which both sides parted, ours, and theirs. What only one side changed is taken from it; what
both changed in the same way is no conflict; the lists of links to a document merge as sets. What remains is a
`ValueConflict`, which the caller decides for one side or reports.
"""

from __future__ import annotations

from ..backends.base import file_at
from ..formats.documents import dump, same
from ..formats.layout import REFS, Layout, StoredObject, object_path, split_target, stored_ref
from ..store.history import changed_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from ..formats.layout import StoredRef
    from ..git.objects import Node
    from ..git.repository import Repository

    Choice = Literal["ours", "theirs"] | None
    """Which side wins where both changed a document to different values; None: neither."""
    Layouts = Mapping[str, Layout]
    """How the stores of a branch spell refs, by the directory each lies in: empty for the top, else with a `/`."""


class ValueConflict:
    """A document that both sides changed to different values: its ref, or the path of another file, and the values.

    All as people are shown them.
    """

    __slots__ = ("ours", "theirs", "where")

    def __init__(self, where: str, ours: str, theirs: str) -> None:
        self.where = where
        self.ours = ours
        self.theirs = theirs


class Merged:
    """The result: what to change in their tree, by path (None: delete), and what is in conflict."""

    __slots__ = ("changes", "conflicts")

    def __init__(self) -> None:
        self.changes: dict[str, bytes | None] = {}
        self.conflicts: list[ValueConflict] = []


def merge_trees(
    repository: Repository,
    base: Node | None,
    ours: Node | None,
    theirs: Node | None,
    choice: Choice,
    layouts: Layouts,
) -> Merged:
    """Merge our changes since `base` into their tree."""
    merged = Merged()
    ours_changed = sorted(path for _, path in changed_paths(repository, base, ours))
    theirs_changed = {path for _, path in changed_paths(repository, base, theirs)}
    for path in ours_changed:
        mine = file_at(repository, ours, path)
        if path not in theirs_changed:
            merged.changes[path] = mine
            continue
        yours = file_at(repository, theirs, path)
        if mine != yours:
            result = _merge_file(merged, path, file_at(repository, base, path), mine, yours, choice, layouts)
            if result != yours:
                merged.changes[path] = result
    if not merged.conflicts:
        _mend_links(repository, theirs, merged, theirs_changed | set(ours_changed))
    return merged


def split(path: str) -> tuple[str, StoredRef | None]:
    """The directory of the branch in which the store of a file lies, and the stored ref if it holds an object."""
    segments = path.split("/")
    if REFS not in segments:
        return "", None
    at = segments.index(REFS)
    return "".join(f"{segment}/" for segment in segments[:at]), stored_ref("/".join(segments[at:]))


def shown(path: str, layouts: Layouts) -> str:
    """What a file of the branch is called before people: the ref of its object; its path where it holds none."""
    top, ref = split(path)
    return path if ref is None else layouts.get(top, Layout()).shown(ref)


def _merge_file(
    merged: Merged,
    path: str,
    base: bytes | None,
    mine: bytes | None,
    yours: bytes | None,
    choice: Choice,
    layouts: Layouts,
) -> bytes | None:
    """The content that two changes of one file come to; a conflict is recorded where nothing decides."""
    top, ref = split(path)
    where = shown(path, layouts)
    if ref is None:
        return _choose(merged, where, _size(mine), _size(yours), mine, yours, choice)
    was, ours, theirs = _read(base, path), _read(mine, path), _read(yours, path)
    links = _merge_links(was, ours, theirs)
    if _equal(ours, theirs) or _equal(was, ours):
        winner = theirs
    elif _equal(was, theirs):
        winner = ours
    else:
        layout = layouts.get(top, Layout())
        result = _choose(merged, where, _value(ours, layout), _value(theirs, layout), mine, yours, choice)
        winner = ours if result is mine else theirs
    return None if winner is None else winner.with_links(links).to_bytes()


def _choose(
    merged: Merged,
    where: str,
    ours: str,
    theirs: str,
    mine: bytes | None,
    yours: bytes | None,
    choice: Choice,
) -> bytes | None:
    if choice is None:
        merged.conflicts.append(ValueConflict(where, ours, theirs))
    return mine if choice == "ours" else yours


def _merge_links(was: StoredObject | None, ours: StoredObject | None, theirs: StoredObject | None) -> set[StoredRef]:
    before, mine, yours = (set(found.links) if found is not None else set() for found in (was, ours, theirs))
    return ((before | mine | yours) - (before - mine)) - (before - yours)


def _mend_links(repository: Repository, theirs: Node | None, merged: Merged, touched: set[str]) -> None:
    """Make links and back-links agree where one side linked to what the other deleted, or deleted what it linked."""

    def now(path: str) -> StoredObject | None:
        data = merged.changes[path] if path in merged.changes else file_at(repository, theirs, path)
        return _read(data, path)

    waiting = sorted(path for path in touched if path.endswith("/@object.json"))
    while waiting:
        path = waiting.pop()
        top, ref = split(path)
        found = now(path)
        if ref is None or found is None:
            continue
        if found.target is not None:
            end = top + object_path(split_target(found.target)[0])
            target = now(end)
            if target is None:
                merged.changes[path] = None  # deleting a document deletes the links to it
                waiting += [top + object_path(link) for link in found.links]
            elif ref not in target.links:
                merged.changes[end] = target.with_links({*target.links, ref}).to_bytes()
        kept = {link for link in found.links if _leads_to(now(top + object_path(link)), ref)}
        if kept != set(found.links) and merged.changes.get(path, b"") is not None:
            merged.changes[path] = found.with_links(kept).to_bytes()


def _leads_to(link: StoredObject | None, ref: StoredRef) -> bool:
    return link is not None and link.target is not None and split_target(link.target)[0] == ref


def _equal(one: StoredObject | None, other: StoredObject | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and one.body_type == other.body_type and same(one.body, other.body)


def _value(found: StoredObject | None, layout: Layout) -> str:
    if found is None:
        return "deleted"
    return f"a link to '{layout.shown_target(found.target)}'" if found.target is not None else dump(found.body, None)


def _size(data: bytes | None) -> str:
    return "deleted" if data is None else f"{len(data)} bytes"


def _read(data: bytes | None, path: str) -> StoredObject | None:
    return None if data is None else StoredObject.read(data, path)
