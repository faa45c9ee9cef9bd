"""What the names below a package say, read in one pass and remembered under the id of the package's tree (design 9).

The index says where to look, and never what is there: it tells the releases in which something may be left to do from
those in which all work has ended, by names alone. Queries read the documents of what it names with the same code, and
with the same complaints, as they would without it. An entry is what this program made of just this tree; one that is
damaged is worked out again, and `fsck` asks nothing of what is remembered.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import REFS
from ..git.objects import ObjectError
from ..store.draft import Draft
from . import release_facts
from .fields import Record, list_of
from .release_facts import ReleaseReader, directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .release_facts import KnownReleases

    Customs = dict[str, str]
    """The ids of the directories of custom documents of those releases that have some, by the names of theirs."""
    Counts = dict[str, int]
    """How many documents and links lie below `@`, and below `+`."""

KIND: Final = "package/6"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""
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

    def to_text(self) -> str:
        return dump([self.releases, self.unsettled, sorted(self.below)], None)

    def to_bytes(self) -> bytes:
        return to_bytes(self.to_text())

    @classmethod
    def of_bytes(cls, data: bytes) -> Facts | None:
        """What `to_bytes` wrote; None for what is of another shape."""
        try:
            releases, unsettled, below = parse_bytes(data)
            numbers = tuple(list_of(int, releases)), tuple(list_of(int, unsettled))
            return cls(*numbers, frozenset(list_of(str, below)))
        except (ValueError, TypeError):
            return None


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
        tree.files.prefetch_below(nodes.values())
    if len(nodes) >= _MANY:
        tree.files.prepare_walk()
    releases = _known_releases(snapshot, tree, wanted) if memory is not None and wanted else {}
    new = {}
    for id_, node in nodes.items():
        try:
            new[id_] = read(tree.files, tree.layout, node, None, releases.get(wanted[id_]))
        except ObjectError:
            continue
    here.update(new)
    if memory is not None:
        memory.put(kind, {id_: facts.to_bytes() for id_, facts in new.items()})
    return here


def _known_releases(snapshot: Snapshot, tree: StoreTree, packages: dict[str, str]) -> dict[str, KnownReleases]:
    """What is remembered of the releases of packages of a tree, by name."""
    memory = snapshot.surroundings.memory
    side = "state" if tree is snapshot.side("state") else "intent"
    if memory is None:
        return {}
    ids = {name.encode(errors="surrogateescape").hex(): name for name in packages.values()}
    known = memory.get(release_facts.kind_of(tree.layout, side), ids)
    return {ids[id_]: release_facts.KnownReleases(data) for id_, data in known.items()}


def read(
    files: Files,
    layout: Layout,
    package: Node,
    customs: Customs | None = None,
    releases: KnownReleases | None = None,
    counts: Counts | None = None,
) -> Facts:
    """What the names below a package's tree say. Raises ObjectError.

    `customs` takes up the custom documents of releases, for those who go on to compare them, and `counts` how many
    documents there are, for those who want to know. `releases` are those of which it is remembered what they say, and
    take up the others.
    """
    numbers = []
    unsettled = set()
    below = set()
    reader = ReleaseReader(files, layout, is_counting=counts is not None)
    for head, node in directories(files, package).items():
        if head[0] not in "@+":
            continue
        release = releases.find(reader, files, head, node) if releases is not None else reader.read(head, node)
        if counts is not None and release.count is not None:
            counts[head[0]] += release.count
        below.update([f"{head}/{word}" for word in release.words])
        if customs is not None and release.custom:
            customs[head] = release.custom
        number = layout.release_number(head)
        if number is not None and (release.has_document or release.has_work):
            numbers.append(number)
            if not (release.has_document and release.is_settled):
                unsettled.add(number)
    sorted_numbers = tuple(sorted({*numbers})), tuple(sorted(unsettled))
    return Facts(*sorted_numbers, frozenset(below))
