"""What the names below a package say, read in one pass and remembered under the id of the package's tree (design 9).

The index says where to look, and never what is there: it tells the releases in which something may be left to do from
those in which all work has ended, by names alone. Queries read the documents of what it names with the same code, and
with the same complaints, as they would without it. An entry is what this program made of just this tree; one that is
damaged is worked out again, and `fsck` asks nothing of what is remembered.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import OBJECT_FILE, REFS
from ..git.objects import ObjectError
from ..store.draft import Draft
from .fields import Record
from .vocabulary import CALL, CANCELLED, COMPLETE, DEPLOY, FAILED_RETRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

KIND: Final = "package/3"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""
CUSTOM: Final = "custom"
OP: Final = "op"

_WORDS: Final = (CUSTOM, DEPLOY, OP)
_WORK: Final = (CALL, DEPLOY)
_WORK_OF_OTHERS: Final = (*_WORK, "task")
"""The directories of work in dialects 2 and 3."""
_SETTLED: Final = (COMPLETE, CANCELLED, FAILED_RETRIED)
_MANY: Final = 8
"""Packages to be read from which on it pays that libgit2 keeps nothing of them."""


class Facts(Record):
    """What there is in a package, and where there is something to look at.

    `releases` are the numbers of its releases: of those that have a document, and of those that lack theirs and have
    work; `unsettled` are the releases in which some work has not ended well or for good, or whose names are not as they
    should be; `below` is what lies below the package's markers and releases: `@/deploy`, `+3/custom`, `@2/op`.
    """

    __slots__ = ("below", "releases", "unsettled")

    def __init__(self, releases: tuple[int, ...], unsettled: tuple[int, ...], below: frozenset[str]) -> None:
        self.releases = releases
        self.unsettled = unsettled
        self.below = below

    def to_bytes(self) -> bytes:
        return to_bytes(dump([self.releases, self.unsettled, sorted(self.below)], None))

    @classmethod
    def of_bytes(cls, data: bytes) -> Facts | None:
        """What `to_bytes` wrote; None for anything else."""
        try:
            releases, unsettled, below = parse_bytes(data)
            facts = cls(tuple(map(int, releases)), tuple(map(int, unsettled)), frozenset(map(str, below)))
        except (ValueError, TypeError):
            return None
        return facts if facts.to_bytes() == data else None


def facts_of(snapshot: Snapshot, tree: StoreTree, packages: Iterable[str]) -> dict[str, Facts | None]:
    """The facts of packages of a tree; None for a package of which all must be looked at.

    That is one that a transaction has changed, one in a directory, where nothing has an id, and one of which a tree
    cannot be read: whoever looks at it says what is wrong.
    """
    base = tree
    changed: set[str] = set()
    if isinstance(tree, Draft):
        base = tree.base
        tree.is_read_whole = True
        changed = _changed(tree)
    found: dict[str, Facts | None] = dict.fromkeys(packages)
    if snapshot.place(base)[0].repository is None:
        return found
    ids: dict[str, str] = {}
    for package in found:
        node = base.node(f"{REFS}/{package}")
        if package not in changed and node is not None and base.files.is_tree(node):
            ids[package] = base.files.oid(node)
    known = _known(snapshot, base, ids)
    for package, id_ in ids.items():
        found[package] = known.get(id_)
    return found


def _changed(draft: Draft) -> set[str]:
    """All directories with changes below: among them the packages that a transaction has changed."""
    found = set()
    for path in draft.changes:
        above = path.removeprefix(f"{REFS}/")
        while "/" in above:
            above = above.rpartition("/")[0]
            if above in found:
                break
            found.add(above)
    return found


def kind_of(layout: Layout) -> str:
    """Under which kind the facts of a store's packages are remembered."""
    return f"{KIND}/{layout.version}"


def _known(snapshot: Snapshot, tree: StoreTree, ids: dict[str, str]) -> dict[str, Facts]:
    """The facts of packages by the ids of their trees: from this process, from the memory, or read now."""
    surroundings, kind = snapshot.surroundings, kind_of(tree.layout)
    here: dict[str, Facts] = surroundings.derived.setdefault(kind, {})
    wanted = {id_: package for package, id_ in ids.items() if id_ not in here}
    memory = surroundings.memory if wanted else None
    if memory is not None:
        for id_, data in memory.get(kind, wanted).items():
            facts = Facts.of_bytes(data)
            if facts is not None:
                here[id_] = facts
                del wanted[id_]
    nodes = {id_: tree.node(f"{REFS}/{package}") for id_, package in wanted.items()}
    if tree.files.is_partial:
        tree.files.prefetch(nodes.values(), "trees")
    if len(nodes) >= _MANY:
        tree.files.prepare_walk()
    new = {}
    for id_, node in nodes.items():
        try:
            new[id_] = read(tree.files, tree.layout, node)
        except ObjectError:
            continue
    here.update(new)
    if memory is not None:
        memory.put(kind, {id_: facts.to_bytes() for id_, facts in new.items()})
    return here


def read(files: Files, layout: Layout, package: Node) -> Facts:
    """What the names below a package's tree say. Raises ObjectError."""
    releases = []
    unsettled = set()
    below = set()
    words = _WORK if layout.version == 1 else _WORK_OF_OTHERS
    for head, release in _directories(files, package):
        if head[0] not in "@+":
            continue
        number = layout.release_number(head)
        has_document = has_work = False
        for node in files.children(release):
            name = files.name(node)
            if not files.is_tree(node):
                has_document = has_document or name == OBJECT_FILE
                continue
            if name in _WORDS:
                below.add(f"{head}/{name}")
            if number is not None and name in words:
                has_work = True
                if number not in unsettled and not all(
                    _is_settled(files, work) for _, work in _directories(files, node)
                ):
                    unsettled.add(number)
        if number is not None and (has_document or has_work):
            releases.append(number)
            if not has_document:
                unsettled.add(number)
    return Facts(tuple(sorted({*releases})), tuple(sorted(unsettled)), frozenset(below))


def _is_settled(files: Files, work: Node) -> bool:
    """Whether the last run of a piece of work has ended, and not by failing, as far as names tell."""
    last, of_last = 0, None
    for name, node in _directories(files, work):
        if name.isascii() and name.isdigit():
            if name[0] == "0" or len(name) > 9:
                return False
            if int(name) > last:
                last, of_last = int(name), node
    if of_last is None:
        of_last = work  # of other dialects: the status of work that has no runs of its own
    has_document, statuses = False, []
    for node in files.children(of_last):
        name = files.name(node)
        if name == OBJECT_FILE:
            has_document = not files.is_tree(node)
        elif name == "status" and files.is_tree(node):
            statuses = [status for status, _ in _directories(files, node)]
    if not last and not statuses:
        return True
    return has_document and len(statuses) == 1 and statuses[0] in _SETTLED


def _directories(files: Files, tree: Node) -> Iterator[tuple[str, Node]]:
    for node in files.children(tree):
        if files.is_tree(node):
            yield files.name(node), node
