"""The documents of a store at each of some commits, told from the files that each of them changed (design 12).

Where a commit changed a file the change names its blob, before and after; where none did, it is the same in all of
them. So few have to be looked for in the trees, and few blobs are read twice.
"""

from __future__ import annotations

from bisect import bisect_left

from ..delivery import lenient
from ..formats.layout import Damaged, StoredObject, link_target
from ..git.objects import ObjectError, Oid
from ..git.tree_changes import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from ..formats.documents import Document
    from ..git.repository import Repository
    from ..git.tree_changes import FileChange
    from ..store.tree import StoreTree

    Blob = Oid | None
    """The id of a blob; None: there is no such file."""


_MOST_KNOWN: Final = 4096
"""Documents that are kept: those of a release and its runs are asked for one after the other."""


class FilesInTime:
    """Files at commits of which each is the first parent of the one before: 0 is the newest, and the number after the
    last stands for what was there before the oldest.

    `changes` are those of each, of all paths that will be asked for; `tree_at` gives the store at a commit. A path
    begins at the top of the repository, and those of the store with `top`.
    """

    def __init__(
        self,
        repository: Repository,
        commits: Sequence[Oid],
        changes: Sequence[Sequence[FileChange]],
        tree_at: Callable[[Oid], StoreTree],
        top: str,
    ) -> None:
        self._repository = repository
        self._commits = commits
        self._changes: dict[bytes, list[tuple[int, bytes, bytes]]] = {}
        for number, of_one in enumerate(changes):
            for _, old, new, path in of_one:
                self._changes.setdefault(path, []).append((number, old, new))
        self._tree_at = tree_at
        self._newest: StoreTree | None = None
        self._top = len(top)
        self._unchanged: dict[str, Blob] = {}
        self._bodies: dict[Oid, Document] = {}
        self._texts: dict[tuple[Oid, str], str] = {}
        self._targets: dict[Oid, str] = {}

    def blob(self, path: str, at: int) -> Blob:
        """The blob at a path at one of the commits, by its number; None where there is none, or none can be reached."""
        try:
            changes = self._changes.get(path.encode(errors="surrogateescape"))
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON can spell it
            return None
        if changes is None:
            if path not in self._unchanged:
                self._unchanged[path] = self._look_up(path)
            return self._unchanged[path]
        if not self._repository.has_harmless_names(path):
            return None
        number = bisect_left(changes, (at,))
        blob = changes[number][2] if number < len(changes) else changes[-1][1]
        return None if blob == NONE else Oid(blob.decode())

    def body(self, path: str, at: int) -> Document:
        """The document in a file; None where there is none, or it cannot be read."""
        blob = self.blob(path, at)
        return None if blob is None else self._readable(blob)

    def text(self, path: str, at: int, name: str) -> str:
        """The text that the document in a file has in a field; empty for none. It is kept longer than the document."""
        blob = self.blob(path, at)
        if blob is None:
            return ""
        key = blob, name
        if key not in self._texts:
            self._texts[key] = lenient.text(lenient.fields(self._readable(blob)).get(name))
        return self._texts[key]

    def body_of(self, blob: Oid) -> Document:
        """The document in a blob; None where it holds none. Raises ObjectError."""
        if blob not in self._bodies:
            if len(self._bodies) == _MOST_KNOWN:
                self._bodies.clear()
            try:
                content = StoredObject.read(self._repository.blob(blob), "")
                self._bodies[blob] = content.body if content.kind == "ref" else None
            except Damaged:
                self._bodies[blob] = None
        return self._bodies[blob]

    def _readable(self, blob: Oid) -> Document:
        try:
            return self.body_of(blob)
        except ObjectError:
            return None

    def target(self, path: str, at: int) -> str:
        """Where the link in a file leads, without the fragment; empty for none. Raises ObjectError."""
        blob = self.blob(path, at)
        if blob is None:
            return ""
        if blob not in self._targets:
            self._targets[blob] = target_of(self._repository.blob(blob))
        return self._targets[blob]

    def _look_up(self, path: str) -> Blob:
        tree = self._newest = self._newest or self._tree_at(self._commits[0])
        try:
            node = tree.node(path[self._top :])
        except ObjectError:
            return None
        return None if node is None or tree.files.is_tree(node) else tree.files.oid(node)


def target_of(data: bytes | None) -> str:
    """Where the link in the content of a file leads, without the fragment; empty for none."""
    try:
        return (link_target(data, "") or "").partition("#")[0] if data is not None else ""
    except Damaged:
        return ""
