"""Fetching what a command will read of a partial store before it reads it, a level of the tree at a time (design 8.4).

Where nothing can be missing these functions are not worth calling, and do nothing: see `Files.is_partial`. Without
them everything works too, with one round trip for each object.
"""

from __future__ import annotations

from ..formats.layout import StoredRef, object_path
from .tree import MOST_STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.refs import Ref
    from .tree import StoreTree

_DEEP: Final = 2
_FEW: Final = 16
"""Of so few releases all directories and small documents are fetched where what is looked up lies so many levels below
them: each two levels would be one more request, and one more the documents that are asked for next."""


def prefetch_refs(tree: StoreTree, refs: Iterable[Ref]) -> None:
    """Fetch what look-ups of many refs will read: the directories on the way, and the documents and links in them."""
    waiting = {spelling for ref in refs for spelling in tree.layout.spellings(ref)}
    seen: set[StoredRef] = set()
    for _ in range(MOST_STEPS):
        waiting -= seen
        if not waiting:
            return
        seen |= waiting
        _fetch_ways(tree, waiting)
        waiting = {target for stored in waiting for target in tree.next_steps(stored)}


def _fetch_ways(tree: StoreTree, stored_refs: Iterable[StoredRef]) -> None:
    levels: list[set[str]] = []
    packages: set[str] = set()
    deep: set[str] = set()
    for stored in stored_refs:
        path = object_path(stored)
        for depth, end in enumerate(end for end, char in enumerate(path) if char == "/"):
            if depth == len(levels):
                levels.append(set())
            levels[depth].add(path[:end])
            below = path.count("/", end + 1)
            if path[end + 1] in "@+" and below:
                packages.add(path[:end])
            elif path[path.rfind("/", 0, end) + 1] in "@+" and below >= _DEEP:
                deep.add(path[:end])
    files = tree.files
    directories: list[str] = []
    for level in levels:
        nodes = {path: node for path in level if (node := tree.node(path)) is not None and files.is_tree(node)}
        if len(on_way := [node for path, node in nodes.items() if path in deep]) <= _FEW:
            files.prefetch(on_way, "small")
        # Packages have many releases, of which few are on the way.
        files.prefetch([node for path, node in nodes.items() if path in packages], "self")
        files.prefetch(node for path, node in nodes.items() if path not in packages)
        directories += nodes
    documents = (tree.node(object_path(StoredRef(path.partition("/")[2]))) for path in directories if "/" in path)
    files.prefetch(node for node in documents if node is not None)


def prefetch_paths(files: Files, wanted: Iterable[tuple[Node, str]]) -> None:
    """Fetch what is at paths below trees, and the directories on the way: a level of all of them at a time."""
    at = [(root, path.split("/")) for root, path in wanted]
    while at:
        files.prefetch((node for node, _ in at), "self")
        at = [
            (child, names[1:])
            for node, names in at
            if names and files.is_tree(node) and (child := files.child(node, names[0])) is not None
        ]


def prefetch_changes(files: Files, pairs: list[tuple[Node | None, Node | None]]) -> None:
    """Fetch the trees that a comparison of each pair of trees will read, for all pairs at once."""
    while pairs:
        files.prefetch(node for pair in pairs if None not in pair for node in pair)
        files.prefetch((node for pair in pairs if None in pair for node in pair if node is not None), "trees")
        pairs = [below for before, after in pairs for below in _differing(files, before, after)]


def _differing(files: Files, before: Node | None, after: Node | None) -> Iterable[tuple[Node | None, Node | None]]:
    """The pairs of directories in two trees that are not the same."""
    old, new = _directories(files, before), _directories(files, after)
    for name in old.keys() | new.keys():
        old_tree, new_tree = old.get(name), new.get(name)
        if old_tree is None or new_tree is None or files.oid(old_tree) != files.oid(new_tree):
            yield old_tree, new_tree


def _directories(files: Files, tree: Node | None) -> dict[str, Node]:
    """The directories in a tree; whatever their names, as who reads them complains, or only shows what there was."""
    entries = files.children(tree, checked=False) if tree is not None and files.is_tree(tree) else ()
    return {files.name(node): node for node in entries if files.is_tree(node)}
