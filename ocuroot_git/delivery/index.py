"""What the names below a package say, read in one pass and remembered under the id of the package's tree (design 9).

The index says where to look, and never what is there: it tells the releases in which something may be left to do from
those in which all work has ended, by names alone. Queries read the documents of what it names with the same code, and
with the same complaints, as they would without it. An entry is what this program made of just this tree; one that is
damaged is worked out again, and `fsck` asks nothing of what is remembered.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import OBJECT_FILE, REFS
from ..formats.refs import INTENT, STATE
from ..git.objects import ObjectError
from ..store.draft import Draft
from .fields import Record
from .vocabulary import CANCELLED, COMPLETE, DEPLOY, FAILED_RETRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

    Customs = dict[str, tuple[Node, Node]]
    """The nodes of a release and of the custom documents in it, by the name of the release's directory."""

KIND: Final = "package/4"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""
CUSTOM: Final = "custom"
OP: Final = "op"

_WORDS: Final = (CUSTOM, DEPLOY, OP)
_SETTLED: Final = (COMPLETE, CANCELLED, FAILED_RETRIED)
_MANY: Final = 8
"""Packages to be read from which on it pays that libgit2 keeps nothing of them."""


class Facts(Record):
    """What there is in a package, and where there is something to look at.

    `releases` are the numbers of its releases: of those that have a document, and of those that lack theirs and have
    work; `unsettled` are the releases in which some work has not ended well or for good, or whose names are not as they
    should be; `below` is what lies below the package's markers and releases: `@/deploy`, `+3/custom`, `@2/op`; `counts`
    says how many documents and links lie below `@` and below `+`.
    """

    __slots__ = ("below", "counts", "releases", "unsettled")

    def __init__(
        self, releases: tuple[int, ...], unsettled: tuple[int, ...], below: frozenset[str], counts: tuple[int, int]
    ) -> None:
        self.releases = releases
        self.unsettled = unsettled
        self.below = below
        self.counts = counts

    def to_text(self) -> str:
        return dump([self.releases, self.unsettled, sorted(self.below), self.counts], None)

    def to_bytes(self) -> bytes:
        return to_bytes(self.to_text())

    @classmethod
    def of_bytes(cls, data: bytes) -> Facts | None:
        """What `to_bytes` wrote; None for anything else."""
        try:
            releases, unsettled, below, (at, plus) = parse_bytes(data)
            numbers = tuple(map(int, releases)), tuple(map(int, unsettled))
            facts = cls(*numbers, frozenset(map(str, below)), (int(at), int(plus)))
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
        changed = changed_in(tree)
    found: dict[str, Facts | None] = dict.fromkeys(packages)
    if snapshot.backend_of(base)[0].repository is None:
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


def keep(memory: Memory, layout: Layout, texts: dict[str, str]) -> None:
    """Remember facts that were found on the way to something else: their texts by the ids of the packages' trees."""
    if texts:
        memory.put(kind_of(layout), {id_: to_bytes(text) for id_, text in texts.items()})


def changed_in(draft: Draft) -> set[str]:
    """All directories with changes below, the top (``""``) too: among them packages that a transaction has changed."""
    found = {""} if draft.changes else set()
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
    return f"{KIND}/{layout.dialect}"


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


def read(files: Files, layout: Layout, package: Node, customs: Customs | None = None) -> Facts:
    """What the names below a package's tree say. Raises ObjectError.

    `customs` takes up where releases have custom documents, for those who go on to compare them.
    """
    releases = []
    unsettled = set()
    below = set()
    counts = {STATE: 0, INTENT: 0}
    words = layout.work_types
    for head, release in _directories(files, package):
        if head[0] not in "@+":
            continue
        number = layout.release_number(head)
        has_document = has_work = False
        count = 0
        for node in files.children(release):
            name = files.name(node)
            if not files.is_tree(node):
                if name == OBJECT_FILE:
                    has_document = True
                    count += 1
                continue
            if name in _WORDS:
                below.add(f"{head}/{name}")
                if name == CUSTOM and customs is not None:
                    customs[head] = (release, node)
            if number is not None and name in words:
                has_work = True
                is_settled, found = _read_work(files, node)
                count += found
                if not is_settled:
                    unsettled.add(number)
            else:
                count += files.count(node, OBJECT_FILE)
        counts[head[0]] += count
        if number is not None and (has_document or has_work):
            releases.append(number)
            if not has_document:
                unsettled.add(number)
    numbers = tuple(sorted({*releases})), tuple(sorted(unsettled))
    return Facts(*numbers, frozenset(below), (counts[STATE], counts[INTENT]))


def _read_work(files: Files, kind: Node) -> tuple[bool, int]:
    """Of the work of one kind in a release: whether all has ended, and how many documents and links there are."""
    is_settled, count = True, 0
    for node in files.children(kind):
        if files.is_tree(node):
            is_settled_here, found = _read_runs(files, node)
            is_settled = is_settled and is_settled_here
            count += found
        elif files.name(node) == OBJECT_FILE:
            count += 1
    return is_settled, count


def _read_runs(files: Files, work: Node) -> tuple[bool, int]:
    """Whether the last run of a piece of work has ended, and not by failing, as far as names tell; and the count."""
    last, of_last, is_regular, count = 0, None, True, 0
    for node in files.children(work):
        name = files.name(node)
        if not files.is_tree(node):
            count += name == OBJECT_FILE
            continue
        if name.isascii() and name.isdigit():
            if name[0] == "0" or len(name) > 9:
                is_regular = False
            elif int(name) > last:
                last, node, of_last = int(name), of_last, node  # the one before is counted below
        if node is not None:
            count += files.count(node, OBJECT_FILE)
    has_document, statuses = False, []
    # In other dialects work may have no runs of its own, but a status; that has been counted above.
    for node in files.children(work if of_last is None else of_last):
        name = files.name(node)
        if not files.is_tree(node):
            if name == OBJECT_FILE:
                has_document = True
                count += of_last is not None
            continue
        if of_last is not None:
            count += files.count(node, OBJECT_FILE)
        if name == "status":
            statuses = [status for status, _ in _directories(files, node)]
    if not last and not statuses:
        return is_regular, count
    return is_regular and has_document and len(statuses) == 1 and statuses[0] in _SETTLED, count


def _directories(files: Files, tree: Node) -> Iterator[tuple[str, Node]]:
    for node in files.children(tree):
        if files.is_tree(node):
            yield files.name(node), node
