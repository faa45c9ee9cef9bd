"""`export` and `import`: copy stores between a branch and the directory form (design 4.3, 6).

Neither holds a store in memory: files are read one after the other, and handed on.
"""

from __future__ import annotations

from ..errors import Fatal
from ..formats.commit_message import MOST_LISTED
from ..formats.layout import DEPENDENCIES, REFS, SIDES, STORE_FILE, stored_ref
from .tree import is_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout, ShownRef
    from .tree import StoreTree

_PARTS: Final = (DEPENDENCIES, REFS)


def store_files(tree: StoreTree, directory: str = "") -> Iterator[tuple[str, bytes]]:
    """The files of a store by path, below `directory`: its dependencies and refs, and its `.ocuroot-store` last.

    The files of a directory, and those below it, come one after the other. Raises ObjectError for what cannot be read.
    """
    root = tree.root
    assert root is not None
    yield from _files_below(tree.files, root, directory)
    marker = tree.files.child(root, STORE_FILE)
    if marker is not None:
        yield directory + STORE_FILE, tree.files.data(marker)


def _files_below(files: Files, root: Node, directory: str) -> Iterator[tuple[str, bytes]]:
    """The files of a store without its `.ocuroot-store`, in the order of their paths."""
    files.prefetch([root], "all")
    todo = [(directory + part, files.child(root, part)) for part in reversed(_PARTS)]
    while todo:
        path, node = todo.pop()
        if node is None:
            continue
        if not files.is_tree(node):
            yield path, files.data(node)
            continue
        below = [(f"{path}/{files.name(child)}", child) for child in files.children(node)]
        below.sort(key=lambda entry: f"{entry[0]}/" if files.is_tree(entry[1]) else entry[0], reverse=True)
        todo += below


class Source:
    """A store in a directory that is to be copied to another place, there below `directory`.

    `marker` is what its `.ocuroot-store` says, `layout` the same as it is understood there.
    """

    def __init__(self, files: Files, root: Node, directory: str, marker: bytes, layout: Layout) -> None:
        self.files = files
        self.root = root
        self.directory = directory
        self.marker = marker
        self.layout = layout

    def contents(self) -> Iterator[tuple[str, bytes, ShownRef | None]]:
        """Its files in the order of their paths, with the ref of what each holds, if that is an object."""
        yield self.directory + STORE_FILE, self.marker, None
        for path, data in _files_below(self.files, self.root, self.directory):
            ref = stored_ref(path[len(self.directory) :])
            yield path, data, None if ref is None else self.layout.shown(ref)


class Intake:
    """What has been copied of stores so far: a hash of all files, and the refs, of which the first are kept."""

    def __init__(self) -> None:
        from hashlib import sha256

        self._hash = sha256()
        self._refs: list[ShownRef] = []
        self.count = 0
        """How many documents and links there were."""

    @property
    def fingerprint(self) -> str:
        """What stands for all that was copied, wherever it came from."""
        return self._hash.hexdigest()

    @property
    def first_refs(self) -> list[ShownRef]:
        """The first refs, as many as a commit message lists."""
        return sorted(self._refs)[:MOST_LISTED]

    def taken(self, sources: Sequence[Source]) -> Iterator[tuple[str, bytes]]:
        """The files of stores that go to the same place by path, in order, but for what says that there is a store.

        That comes last: what is copied by halves is none.
        """
        from heapq import merge

        markers = []
        for path, data, ref in merge(*(source.contents() for source in sources), key=lambda file: file[0]):
            self._hash.update(b"%s\0%d\0" % (path.encode(errors="surrogateescape"), len(data)))
            self._hash.update(data)
            if ref is not None:
                self.count += 1
                self._refs.append(ref)
                if len(self._refs) > 2 * MOST_LISTED:
                    self._refs = self.first_refs
            if path.rpartition("/")[2] == STORE_FILE:
                markers.append((path, data))
            else:
                yield path, data
        yield from markers


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
