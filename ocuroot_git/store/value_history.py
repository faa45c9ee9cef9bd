"""The history of a value: which commits changed what is at a ref, followed through links (design 12).

What a look-up gives depends on the files that it reads, and on nothing else: the document, the links on the way, and
what could be a link there. So only the commits that changed one of these are looked at, and git finds them; that
nothing ever was above a package need not be found out again.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.documents import MISSING, same_text
from ..formats.layout import OBJECT_FILE, REFS, STORE_FILE, Damaged, StoreError
from ..formats.refs import INTENT, STATE
from .history import WRITE_AFTER, changing_commits, differ, require_history, spots_of
from .snapshot import Snapshot
from .transaction import Transaction
from .tree import LinkCycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..backends.base import Backend, Version
    from ..formats.documents import Document
    from ..formats.refs import Ref
    from ..git.objects import Commit, Oid


class ValueChange:
    """A commit that changed a value: what it was before and is after it, MISSING where there is none.

    `resolved` is the ref at which the value lies after it, behind all links.
    """

    __slots__ = ("after", "before", "commit", "resolved")

    def __init__(self, commit: Commit, before: Document, after: Document, resolved: str) -> None:
        self.commit = commit
        self.before = before
        self.after = after
        self.resolved = resolved


def value_changes(snapshot: Snapshot, ref: Ref) -> Iterator[ValueChange]:
    """The commits that changed the value at an absolute ref, which may have a fragment, newest first.

    Each is compared with its first parent. A document that cannot be read counts as none. Where the commits before the
    oldest that is here are missing, that one counts as the one that made what it has.
    """
    from ..backends.base import Version

    tree = snapshot.tree(ref)
    backend, _ = snapshot.backend_of(tree)
    repository, start = require_history(snapshot, backend)
    after, resolved, paths = _look_up(snapshot, backend, snapshot.version(backend), ref)
    covers: frozenset[str] = frozenset()
    oid: Oid | None = start
    while oid is not None:
        graph = snapshot.surroundings.commit_graph
        oid_at_start, oid = oid, None
        covers |= _covers(paths)
        spots = spots_of(paths)
        history = changing_commits(
            repository, oid_at_start, covers, graph=graph, write_after=WRITE_AFTER, memory=snapshot.surroundings.memory
        )
        for commit, root in history:
            if not differ(repository, root, commit.root, spots):
                continue
            parent = commit.parents[0] if root is not None else None
            before, was_resolved, read = MISSING, resolved, paths
            if parent is not None:
                before, was_resolved, read = _look_up(snapshot, backend, Version(parent, root), ref)
            if not _same(before, after):
                yield ValueChange(commit, before, after, resolved)
            after, resolved = before, was_resolved
            if read != paths and root is not None:  # another document from here on
                paths, spots = read, spots_of(read)
                if not all(path in covers or _is_below(path, covers) for path in paths):
                    oid = parent
                    history.close()
                    break


def _covers(paths: frozenset[str]) -> frozenset[str]:
    """Files and directories of which one changed where a file at one of the paths did.

    Of what lies in one release of a package, that is the release. Of what lies in several it is the whole package: a
    link in it that moves leads to another of its releases each time, and its history need be asked for only once.
    """
    covers = set()
    inside: dict[str, set[str]] = {}
    for path in paths:
        package, below = _in_package(path)
        if below:
            inside.setdefault(package, set()).add(below)
        else:
            covers.add(path)
    for package, names in inside.items():
        covers.add(f"{package}/{names.pop()}" if len(names) == 1 else package)
    return frozenset(path for path in covers if not _is_below(path, covers))


def _is_below(path: str, covers: Iterable[str]) -> bool:
    return any(path.startswith(f"{cover}/") for cover in covers)


def _in_package(path: str) -> tuple[str, str]:
    """The directory of a package, and the name in it below which a path lies; two empty texts for another path."""
    segments = path.split("/")
    start = segments.index(REFS) + 1 if REFS in segments else len(segments)
    for number in range(start + 1, len(segments)):
        if segments[number][:1] in (STATE, INTENT) and segments[number] != OBJECT_FILE:
            return "/".join(segments[:number]), segments[number]
    return "", ""


def fields_of(value: Document, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Document]:
    """The fields of a document that hold no others, in order, by the keys that lead there (none: the whole)."""
    items: list[tuple[str, Document]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(str(number), item) for number, item in enumerate(value)]
    if not items:
        return {} if value is MISSING else {path: value}
    found: dict[tuple[str, ...], Document] = {}
    for key, item in items:
        found.update(fields_of(item, (*path, key)))
    return found


def _fragment(above: str, path: tuple[str, ...]) -> str:
    """The fragment of a field: `output/url`, `tags/0`; empty for a document that has none."""
    keys = [key.replace("~", "~0").replace("/", "~1") for key in path]
    return "/".join([above, *keys] if above else keys)


def blame(snapshot: Snapshot, ref: Ref) -> list[tuple[str, Document, Commit]]:
    """Each field of the value at an absolute ref, in order, by its fragment, with the commit that gave it its value."""
    fields: dict[tuple[str, ...], Document] | None = None
    found: dict[tuple[str, ...], Commit] = {}
    for change in value_changes(snapshot, ref):
        if fields is None:
            fields = fields_of(change.after)
        before = fields_of(change.before)
        for path, value in fields.items():
            if path not in found and not (path in before and same_text(before[path], value)):
                found[path] = change.commit
        if len(found) == len(fields):
            break
    return [(_fragment(ref.fragment, path), value, found[path]) for path, value in (fields or {}).items()]


def _look_up(snapshot: Snapshot, backend: Backend, version: Version, ref: Ref) -> tuple[Document, str, frozenset[str]]:
    """The value at a ref in a version of its store, where that lies, and the paths of all that was read to tell."""
    then = Snapshot(snapshot.surroundings, {**snapshot.versions, backend: version})
    transaction = Transaction(then)
    value, resolved = MISSING, str(ref)
    try:
        found = transaction.look_up(ref)
        resolved = found.resolved
        if found.found:
            value = found.value
    except (Damaged, LinkCycle, NotFound, StoreError):
        pass  # no store yet, or a document or link that is damaged: nothing that anybody could read
    read = set()
    for draft in transaction.drafts():
        its_backend, directory = then.backend_of(draft.base)
        if its_backend == backend:
            read |= {directory + path for path in (STORE_FILE, *draft.seen, *draft.listed)}
    if not read:  # no store: until it comes, everything may be
        read = {snapshot.backend_of(snapshot.tree(ref))[1].rstrip("/")}
    return value, resolved, frozenset(read)


def _same(one: Document, other: Document) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    return same_text(one, other)
