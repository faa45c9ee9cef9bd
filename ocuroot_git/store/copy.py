"""`export` and `import`: copy stores between a branch and the directory form (design 4.3, 6)."""

from __future__ import annotations

from ..errors import Fatal
from ..formats.layout import DEPENDENCIES, REFS, SIDES, STORE_FILE
from .tree import is_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from .tree import StoreTree

_PARTS: Final = (REFS, DEPENDENCIES)


def store_files(tree: StoreTree, directory: str = "") -> Iterator[tuple[str, bytes]]:
    """The files of a store by path, below `directory`: its refs and dependencies, and its `.ocuroot-store` last.

    The files of a directory, and those below it, come one after the other. Raises ObjectError for what cannot be read.
    """
    root = tree.root
    assert root is not None
    yield from files_below(tree.files, root, directory)


def files_below(files: Files, root: Node, directory: str) -> Iterator[tuple[str, bytes]]:
    """As `store_files`, of a tree that is known to hold a store."""
    files.prefetch([root], "all")
    todo = [(directory + part, files.child(root, part)) for part in _PARTS]
    while todo:
        path, node = todo.pop()
        if node is None:
            continue
        if not files.is_tree(node):
            yield path, files.data(node)
            continue
        todo += [(f"{path}/{files.name(child)}", child) for child in files.children(node)]
    marker = files.child(root, STORE_FILE)
    if marker is not None:
        yield directory + STORE_FILE, files.data(marker)


def sides_in(files: Files, root: Node | None, where: str) -> list[tuple[str, Node]]:
    """The stores in a tree, by directory: one at the top (``""``), or `state` and `intent`. Raises Fatal for none."""
    if root is not None and is_store(files, root):
        return [("", root)]
    found: list[tuple[str, Node]] = []
    for side in SIDES:
        child = files.child(root, side) if root is not None else None
        if is_store(files, child):
            found.append((side, child))
    if not found:
        raise Fatal(f"{where} is no store: it has no '{STORE_FILE}', nor have 'state' and 'intent' in it")
    return found
