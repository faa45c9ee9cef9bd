"""`match`: walk a store by an automaton over segments (design section 6).

A directory is listed only where a wildcard stands, looked up in where the pattern admits only certain names, and
never entered where nothing below could match. The walk takes directories in batches, so that what is not here
yet can be fetched a batch at a time.
"""

from __future__ import annotations

from .layout import OBJECT_FILE, REFS, link_target, object_path
from .refs import INTENT, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from .globs import Glob, State
    from .layout import Side
    from .tree import Node, StoreTree

_LARGE: Final = 2000
"""Directories after which a walk is a large one, and worth preparing for."""


class Entry:
    """A ref that matched: as it is printed, as it is stored, and the node of its file."""

    __slots__ = ("node", "ref", "stored")

    def __init__(self, ref: str, stored: str, node: Node) -> None:
        self.ref = ref
        self.stored = stored
        self.node = node


def match(tree: StoreTree, glob: Glob, side: Side | None = None) -> Iterator[Entry]:
    """The refs of a store that match, in no particular order; links are among them.

    `side` leaves out the refs of the other side, where one tree holds both.
    """
    root = tree.node(REFS)
    if root is None or not tree.files.is_tree(root) or glob.start.dead:
        return
    files = tree.files
    is_tree, name_of = files.is_tree, files.name
    intent_tree = tree.layout.version > 1 and tree.layout.side == "intent"
    shared = tree.layout.version == 1

    # (directory, shown ref, stored ref, state after the ref, whether the ref has its marker)
    todo: list[tuple[Node, str, str, State | None, bool]] = [(root, "", "", None, False)]
    visited = 0

    while todo:
        directory, shown, stored, state, marked = todo.pop()
        visited += 1
        if visited == _LARGE:
            files.prepare_walk()
        wanted = state is not None and state.accepts and (marked or side != "intent")
        below = glob.start if state is None else state.slash()
        literals = () if below.dead else below.literals()
        if literals is not None:
            if wanted:
                node = files.child(directory, OBJECT_FILE)
                if node is not None:
                    yield Entry(shown, stored, node)
            if intent_tree and not marked:
                literals = tuple(_stored_marker(literal) for literal in literals)
            found = (files.child(directory, literal) for literal in literals)
            entries: Iterable[Node] = [node for node in found if node is not None]
        else:
            entries = files.children(directory)
        head = shown + "/" if shown else ""
        stored_head = stored + "/" if stored else ""
        for node in entries:
            name = name_of(node)
            if not is_tree(node):
                if wanted and name == OBJECT_FILE and literals is None:
                    yield Entry(shown, stored, node)
                continue
            segment, has_marker = name, marked
            if not marked and name[0] in "@+":
                if shared and side is not None and (name[0] == INTENT) != (side == "intent"):
                    continue
                if intent_tree:
                    segment = INTENT + name[1:]
                has_marker = True
            after = below.through(segment)
            if after.accepts or not after.slash().dead:
                todo.append((node, head + segment, stored_head + name, after, has_marker))


def _stored_marker(segment: str) -> str:
    return STATE + segment[1:] if segment.startswith(INTENT) else segment


def without_links(tree: StoreTree, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Those entries that are documents, not links."""
    for entry in entries:
        if link_target(tree.files.data(entry.node), object_path(entry.stored)) is None:
            yield entry
