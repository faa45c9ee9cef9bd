"""What a package holds, in short: how much, in which releases work is left, and where both stores differ.

It is found out from the trees of the package alone, and its name, so that it may be remembered for them (`survey`).
"""

from __future__ import annotations

from ..formats.documents import dump, parse
from ..formats.layout import OBJECT_FILE, REFS, StoredRef
from ..formats.refs import INTENT, STATE
from ..store.confined import Confined, Outside, PackageTree
from . import compare, index
from .compare import Heads, TooFew
from .fields import Record, list_of
from .problems import Problems
from .queries import intent_tree, parsed_refs, state_tree
from .release_facts import CUSTOM, OP
from .vocabulary import DEPLOY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..backends.base import Node
    from ..formats.documents import Document
    from ..formats.layout import Layout
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .index import Counts, Customs, Facts
    from .release_facts import KnownReleases

    Nodes = tuple[Node | None, Node | None]
    """What a directory is in the state store and in the intent store."""


class Summary(Record):
    """What lies below a directory of both stores: how much, and where there is something to look at, by package.

    `counts` says how many documents and links there are in state, and in intent; None where nobody asked.
    `unsettled` has the releases in which some work has not ended well or for good; `ops` those that have ops;
    `differing` where both stores differ; `unread` the packages of which all must be looked at, because something in
    them is bad, or not written yet; `is_entangled` says that documents of packages cannot be compared each by itself.
    """

    __slots__ = ("counts", "differing", "is_entangled", "ops", "unread", "unsettled")

    def __init__(
        self,
        counts: tuple[int, int] | None = None,
        unsettled: dict[str, list[int]] | None = None,
        ops: dict[str, list[int]] | None = None,
        differing: dict[str, Heads] | None = None,
        unread: list[str] | None = None,
        is_entangled: bool = False,
    ) -> None:
        self.counts = counts
        self.unsettled = unsettled or {}
        self.ops = ops or {}
        self.differing = differing or {}
        self.unread = unread or []
        self.is_entangled = is_entangled

    def to_text(self) -> str:
        rest = ""
        if self.unsettled or self.ops or self.differing or self.unread or self.is_entangled:
            differing = {name: [of.state, of.intent, of.deployments] for name, of in self.differing.items()}
            rest = " " + dump([self.unsettled, self.ops, differing, self.unread, self.is_entangled], None)
        counts = self.counts if self.counts is not None else ("-", "-")
        return f"{counts[0]} {counts[1]}{rest}"

    def to_bytes(self) -> bytes:
        return self.to_text().encode(errors="surrogateescape")

    @classmethod
    def of_text(cls, text: str) -> Summary | None:
        """What `to_text` wrote; None for what is of another shape."""
        state, _, rest = text.partition(" ")
        intent, _, rest = rest.partition(" ")
        try:
            summary = cls((int(state), int(intent)) if (state, intent) != ("-", "-") else None)
            if rest:
                summary.unsettled, summary.ops, differing, unread, is_entangled = parse(rest)
                for numbers in (*summary.unsettled.values(), *summary.ops.values()):
                    list_of(int, numbers)
                summary.differing = {name: _heads(*found) for name, found in differing.items()}
                summary.unread = list_of(str, unread)
                (summary.is_entangled,) = list_of(bool, [is_entangled])
            return summary
        except (ValueError, TypeError, AttributeError):
            return None

    def merge(self, below: Summary) -> None:
        """Add what lies in a directory below."""
        if below.counts is not None:
            self.add_counts(below.counts)
        self.unsettled.update(below.unsettled)
        self.ops.update(below.ops)
        self.differing.update(below.differing)
        self.unread += below.unread
        self.is_entangled = self.is_entangled or below.is_entangled

    def add_counts(self, more: tuple[int, int]) -> None:
        """Count more documents, where they are counted."""
        if self.counts is not None:
            self.counts = (self.counts[0] + more[0], self.counts[1] + more[1])


def _heads(state: Document, intent: Document, deployments: Document) -> Heads:
    """Where a package differs, as it is remembered. Raises ValueError for another shape."""
    places = []
    for one in list_of(list, deployments):
        package, place = list_of(str, one)
        places.append((package, place))
    return Heads([*map(StoredRef, list_of(str, state))], [*map(StoredRef, list_of(str, intent))], places)


def read_package(
    trees: tuple[StoreTree | None, StoreTree | None],
    package: str,
    nodes: Nodes,
    on_the_way: list[Facts | None],
    releases: tuple[KnownReleases | None, KnownReleases | None] = (None, None),
    *,
    is_counting: bool,
) -> Summary:
    """What a package holds itself, without those below it, from its nodes alone. Raises ObjectError.

    `on_the_way` takes up what the index says of it in each of the trees that are not the same; `releases`
    are those that are remembered, and take up those that are there.
    """
    facts: list[Facts | None] = [None, None]
    customs: list[Customs] = [{}, {}]
    total = (0, 0)
    for side, (tree, node) in enumerate(zip(trees, nodes)):
        if tree is None or node is None:
            continue
        if side and tree is trees[0]:
            facts[1], customs[1] = facts[0], customs[0]
            continue
        counts: Counts = {STATE: 0, INTENT: 0}
        facts[side] = index.read(
            tree.files, tree.layout, node, customs[side], releases[side], counts if is_counting else None
        )
        found = by_side(tree.layout, side, (counts[STATE], counts[INTENT]), is_one=trees[0] is trees[1])
        total = (total[0] + found[0], total[1] + found[1])
    on_the_way += [facts[0], facts[1] if trees[1] is not trees[0] else None]
    summary = Summary(total if is_counting else None)
    state, intent = trees
    of_state = facts[0]
    if state is not None and of_state is not None:
        if of_state.unsettled:
            summary.unsettled[package] = list(of_state.unsettled)
        with_ops = [below.removesuffix(f"/{OP}") for below in of_state.below if below.endswith(f"/{OP}")]
        numbers = [number for head in with_ops if (number := state.layout.release_number(head)) is not None]
        if numbers:
            summary.ops[package] = sorted(numbers)
    if state is not None and intent is not None:
        own_state = PackageTree(state.files, nodes[0], state.layout, package)
        own_intent = own_state
        if intent is not state:
            own_intent = PackageTree(intent.files, nodes[1], intent.layout, package)
        _compare(summary, Confined(own_state, own_intent), package, customs)
    return summary


def prefetch_compared(trees: tuple[StoreTree | None, StoreTree | None], packages: Iterable[str]) -> None:
    """Fetch the documents of packages that comparing their two sides will read, whose trees are here, in a few batches
    (design 8.4): what is deployed and wanted, and custom documents that are not one directory on both sides."""
    state, intent = trees
    if state is None or intent is None or not (state.files.is_partial or intent.files.is_partial):
        return
    from ..store.prefetch import prefetch_refs  # late: of a local store nothing is fetched

    of_state: list[str] = []
    of_intent: list[str] = []
    marker = intent.layout.intent_marker
    for package in packages:
        head = f"{package}/{STATE}/{DEPLOY}"
        of_state += [f"{head}/{name}/functions/1" for name in state.names(f"{REFS}/{head}") if name != OBJECT_FILE]
        head = f"{package}/{marker}/{DEPLOY}"
        of_intent += [f"{package}/{INTENT}/{DEPLOY}/{name}" for name in intent.names(f"{REFS}/{head}")]
        customs = [_customs(state, package, STATE), _customs(intent, package, marker)]
        alike = {
            name for name, custom in customs[0].items() if name and marker == INTENT and customs[1].get(name) == custom
        }
        for tree, sign, found, into in zip((state, intent), (STATE, marker), customs, (of_state, of_intent)):
            for name in found.keys() - alike:
                into += _refs_below(tree, f"{package}/{sign}{name}/{CUSTOM}")
    for tree, refs in ((state, of_state), (intent, of_intent)):
        prefetch_refs(tree, parsed_refs(refs))


def _refs_below(tree: StoreTree, stored: str) -> Iterable[str]:
    """The refs below a stored ref, whether there is a document or not: no document is read."""
    todo = [stored]
    while todo:
        head = todo.pop()
        below = [StoredRef(f"{head}/{name}") for name in tree.names(f"{REFS}/{head}") if name != OBJECT_FILE]
        todo += below
        yield from map(tree.layout.shown, below)


def _customs(tree: StoreTree, package: str, sign: str) -> dict[str, str]:
    """The ids of the directories of custom documents below a package's markers and releases, by what follows the
    marker."""
    names = [name[1:] for name in tree.names(f"{REFS}/{package}") if name[0] == sign]
    found = {name: tree.tree_id(f"{REFS}/{package}/{sign}{name}/{CUSTOM}") for name in names}
    return {name: custom for name, custom in found.items() if custom is not None}


def by_side(layout: Layout, side: int, counts: tuple[int, int], *, is_one: bool) -> tuple[int, int]:
    """What counts for state and for intent of what lies below `@` and below `+`; a tree for each has but its own."""
    if layout.spells_intents_as_state:
        return (0, sum(counts)) if side else (sum(counts), 0)
    if is_one:
        return counts
    return (0, counts[1]) if side else (counts[0], 0)


def _compare(summary: Summary, confined: Confined, package: str, customs: list[Customs]) -> None:
    """Find out where both sides of a package differ, and whether that can be told of it alone."""
    problems = Problems()
    state, intent = confined.side("state"), confined.side("intent")
    marker = intent.layout.intent_marker
    names = ([name for name in customs[0] if name[0] == STATE], [name for name in customs[1] if name[0] == marker])
    is_alike = _alike(state.layout, customs) if marker == INTENT else set()
    every = Heads([_head(package, name) for name in names[0]], [_head(package, name) for name in names[1]], [])
    some = Heads(
        [_head(package, name) for name in names[0] if name[1:] not in is_alike],
        [_head(package, name) for name in names[1] if name[1:] not in is_alike],
        [],
    )
    indirect: list[str] = []
    try:
        try:
            found = list(compare.custom_differences(confined, some, problems, indirect=indirect))
        except TooFew:
            found = list(compare.custom_differences(confined, every, problems, indirect=indirect))
    except (Outside, TooFew):
        summary.is_entangled = True
        found = []
    differing = Heads([], [], [])
    if found and (indirect or marker == STATE):
        differing = every
    elif found:
        where = {one.ref[len(package) + 1 :].partition("/")[0][1:] for one in found}
        differing.state = [head for head in some.state if head[len(package) + 2 :] in where]
        differing.intent = [head for head in some.intent if head[len(package) + 2 :] in where]
    try:
        places = deployments_of(confined, package)
        differing.deployments = list(compare.differing_deployments(confined, places, problems))
        is_unread = bool(problems)
    except Outside:
        is_unread = True
    if is_unread:
        summary.unread.append(package)
    elif differing.state or differing.intent or differing.deployments:
        summary.differing[package] = differing


def _head(package: str, name: str) -> StoredRef:
    return StoredRef(f"{package}/{name}")


def _alike(layout: Layout, customs: list[Customs]) -> set[str]:
    """The releases (`3`) whose custom documents are one and the same directory on both sides, as `compare` has it."""
    found = set()
    for name, custom in customs[0].items():
        if customs[1].get(f"{INTENT}{name[1:]}") == custom and layout.release_number(name) is not None:
            found.add(name[1:])
    return found


def deployments_of(snapshot: Snapshot, package: str) -> list[tuple[str, str]]:
    """Where something of a package is deployed or wanted, by the names: package and environment."""
    found: dict[tuple[str, str], None] = {}
    intent = intent_tree(snapshot)
    for tree, marker in ((intent, intent.layout.intent_marker), (state_tree(snapshot), STATE)):
        for name in sorted(tree.names(f"{REFS}/{package}/{marker}/{DEPLOY}")):
            if name != OBJECT_FILE:
                found[package, name] = None
    return list(found)


def all_of(snapshot: Snapshot, packages: Iterable[str]) -> Heads:
    """Everything of some packages that can differ, by the names."""
    heads = Heads([], [], [])
    intent = intent_tree(snapshot)
    for package in packages:
        for tree, marker, into in (
            (state_tree(snapshot), STATE, heads.state),
            (intent, intent.layout.intent_marker, heads.intent),
        ):
            names = sorted(tree.names(f"{REFS}/{package}"))
            into += [_head(package, name) for name in names if name[0] == marker and name != OBJECT_FILE]
        heads.deployments += deployments_of(snapshot, package)
    return heads
