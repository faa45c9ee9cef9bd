"""`match`: walk a store by an automaton over segments (design 6).

A directory is listed only where a wildcard stands, looked up in where the pattern admits only certain names, and
never entered where nothing below could match. The walk goes down level by level until a level is wide; what lies
below a wide level is walked directory by directory, by two processes where there are two processors for it and
only names are asked for.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, StoredRef, link_target, object_path
from .steps import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.globs import Glob
    from ..formats.layout import ShownRef, Side
    from ..git.objects import Directory, Scope
    from .forked_walk import Progress
    from .memory import Memory
    from .steps import Step
    from .tree import StoreTree

_WIDE: Final = 2000
"""Directories of one level from which on a walk is a large one: worth preparing for, and sharing."""
_BELOW: Final[dict[tuple[int | str | None, ...], Rules]] = {}
_MOST_BELOW: Final = 64
"""Patterns below packages, and how many are remembered."""
_SCOPES: Final[tuple[Scope, ...]] = ("trees", "self", "near")


class Entry:
    """A ref that matched: as it is printed, as it is stored, and the node of its file."""

    __slots__ = ("node", "ref", "stored")

    def __init__(self, ref: ShownRef, stored: StoredRef, node: Node) -> None:
        self.ref = ref
        self.stored = stored
        self.node = node


def match(tree: StoreTree, glob: Glob, side: Side | None = None) -> Iterator[Entry]:
    """The refs of a store that match, in no particular order; links are among them.

    `side` leaves out the refs of the other side, where one tree holds both.
    """
    shown = tree.layout.shown
    for stored, node in _Walk(tree, glob, side).found():
        yield Entry(shown(stored), stored, node)


def match_refs(
    tree: StoreTree,
    glob: Glob,
    side: Side | None = None,
    memory: Callable[[], Memory | None] = lambda: None,
    tell: Progress | None = None,
) -> list[ShownRef]:
    """As `match`, only the refs as they are printed: a large store is walked by two processes where that pays.

    `memory` is asked for what is remembered where the walk proves large, and `tell` told how far it is.
    """
    return [tree.layout.shown(stored) for stored in _Walk(tree, glob, side).names(memory, tell)]


def match_below(tree: StoreTree, stored: str, patterns: tuple[str, ...], side: Side) -> Iterator[ShownRef]:
    """The refs below a directory of a store that match, in no particular order; nothing above it is read.

    `patterns` are for what follows the name of the directory, in which no segment has a marker. The same is asked of
    one package after another, so what leads where is worked out once.
    """
    node = tree.node(f"{REFS}/{stored}")
    if node is None or not tree.files.is_tree(node):
        return
    key = (tree.layout.spells_intents_as_state, tree.layout.side, side, *patterns)
    rules = _BELOW.get(key)
    if rules is None:
        from ..formats.globs import Glob  # late: few questions take a pattern

        if len(_BELOW) >= _MOST_BELOW:
            _BELOW.clear()
        rules = _BELOW[key] = Rules(tree.layout, Glob(*patterns), side)
    todo: list[Directory] = [(node, stored, rules.start)]
    for path, _ in tree.files.walk(todo, todo, OBJECT_FILE):
        yield tree.layout.shown(StoredRef(path))


def without_links(tree: StoreTree, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Those entries that are documents, not links."""
    if tree.files.is_partial:
        entries = iter(known := list(entries))
        tree.files.prefetch(entry.node for entry in known)
    for entry in entries:
        if link_target(tree.files.data(entry.node), object_path(entry.stored)) is None:
            yield entry


class _Walk:
    """One walk over a store."""

    def __init__(self, tree: StoreTree, glob: Glob, side: Side | None) -> None:
        self._files: Files = tree.files
        self._rules = Rules(tree.layout, glob, side)
        self._todo: list[Directory] = []
        self._above: dict[str, tuple[Node, Step]] = {}
        """The directories one level above those that are to be visited, by path."""
        root = tree.node(REFS)
        if root is not None and tree.files.is_tree(root) and not glob.start.dead:
            below: list[Directory] = []
            list(self._files.walk([(root, "", self._rules.start)], below, OBJECT_FILE))
            self._todo = [(node, path[1:], step) for node, path, step in below]

    def found(self) -> Iterator[tuple[StoredRef, Node]]:
        """The stored refs that match, and the nodes of their files."""
        yield from self._levels()
        yield from self._visit(self._todo, self._todo)

    def names(self, memory: Callable[[], Memory | None], tell: Progress | None = None) -> list[StoredRef]:
        """The stored refs that match."""
        names = [stored for stored, _ in self._levels()]
        remembered = memory() if self._todo else None
        if remembered is not None:
            from .remembered_walk import names_in, take_units

            units = take_units(self._todo, self._above, self._rules.glob)
            if units:
                return names + names_in(units, self._todo, self._files, self._rules, remembered, tell)
        if self._todo:
            from .forked_walk import in_two_told

            todo, self._todo = self._todo, []
            found = in_two_told(todo, lambda piece: [stored for stored, _ in self._visit(piece, piece)], tell)
            names += map(StoredRef, found)
        return names

    def _levels(self) -> Iterator[tuple[StoredRef, Node]]:
        """Go down level by level until there is nothing more, or a level is wide: that one stays to be visited."""
        while self._todo and (len(self._todo) < _WIDE or self._files.is_partial):
            if self._files.is_partial:
                self._fetch()
            level, self._todo = self._todo, []
            self._above = {path: (node, step) for node, path, step in level}  # type: ignore[misc]
            yield from self._visit(level, self._todo)
        if self._todo:
            self._files.prepare_walk()

    def _visit(self, todo: list[Directory], then: list[Directory]) -> Iterator[tuple[StoredRef, Node]]:
        # What is a path to the files is a stored ref: the walk began below `refs`.
        return self._files.walk(todo, then, OBJECT_FILE)  # type: ignore[return-value]

    def _fetch(self) -> None:
        """Fetch what is to be visited in few batches: what is needed whole with all trees below it, and the rest."""
        is_wide = len(self._todo) >= _WIDE
        for scope in _SCOPES:
            nodes = [node for node, _, step in self._todo if ("trees" if is_wide else step.scope) == scope]
            self._files.prefetch(nodes, scope)
