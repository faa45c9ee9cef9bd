"""Drafts: a store's tree with changes laid over it, which nobody else sees yet (design 5.2)."""

from __future__ import annotations

from ..errors import Conflict, Fatal
from ..formats.layout import OBJECT_FILE, REFS, StoredObject, StoredRef, object_path, stored_ref
from ..formats.refs import LONGEST
from .tree import StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..git.objects import Oid


class Draft(StoreTree):
    """A store's tree with changes over it: new contents of files by path, None for those that go."""

    def __init__(self, base: StoreTree) -> None:
        super().__init__(base.files, base.root, base.layout)
        self.base = base
        self.changes: dict[str, bytes | None] = {}
        self.seen: dict[str, bytes | None] = {}
        self.listed: dict[str, list[str]] = {}
        self.is_read_whole = False
        self._dropped: set[str] = set()
        """Directories that go as a whole, each with a `/` at its end."""
        self._touched: set[str] = set()
        """Directories that have changes below them, or had some that were taken back."""
        self._added: dict[str, set[str]] = {}
        self._undo: list[tuple[str, bool, bytes | None]] = []

    def put(self, path: str, data: bytes | None) -> None:
        """Change a file; a change back to what it was is no change."""
        self._targets.pop(stored_ref(path) or StoredRef(""), None)
        self._located.clear()
        is_dropped = self._is_dropped(path)
        if path not in self.seen and not is_dropped:
            self.seen[path] = self.base.file(path)
        self._undo.append((path, path in self.changes, self.changes.get(path)))
        if data == (None if is_dropped else self.seen[path]):
            self.changes.pop(path, None)
            return
        self.changes[path] = data
        self._touch(path)
        if data is not None:
            while path:
                above, _, name = path.rpartition("/")
                self._added.setdefault(above, set()).add(name)
                path = above

    def drop(self, directory: str) -> None:
        """Take away a directory with all that is in it, which is not kept in mind: it may be large."""
        path = f"{directory}/"
        self._targets.clear()
        self._located.clear()
        for inside in [one for one in self.changes if one.startswith(path)] if directory in self._added else ():
            self._undo.append((inside, True, self.changes.pop(inside)))
        if self.base.node(directory) is None:
            return
        self._undo.append((path, path in self.changes, None))
        self.changes[path] = None
        self._touch(path)
        self._dropped.add(path)

    def _touch(self, path: str) -> None:
        while path:
            path = path.rpartition("/")[0]
            if path in self._touched:
                break
            self._touched.add(path)

    def _is_dropped(self, path: str) -> bool:
        """Whether a file or directory went with one that went as a whole."""
        while self._dropped and path:
            if f"{path}/" in self._dropped:
                return True
            path = path.rpartition("/")[0]
        return False

    @property
    def moment(self) -> int:
        """Where `undo` goes back to: before all that is put after this."""
        return len(self._undo)

    def undo(self, moment: int) -> None:
        """Take back what was put since a moment; what was read stays known, as `replay` must."""
        while len(self._undo) > moment:
            path, was_changed, data = self._undo.pop()
            self._targets.pop(stored_ref(path) or StoredRef(""), None)
            self._located.clear()
            self.changes.pop(path, None)
            if was_changed:
                self.changes[path] = data
            elif path.endswith("/"):
                self._dropped.discard(path)

    def put_object(self, stored: StoredRef, content: StoredObject | None) -> None:
        """Change the object at a stored ref, or take it away. Raises Fatal where it would be new and is too long."""
        length = len(stored.encode(errors="surrogatepass")) if content is not None else 0
        if length > LONGEST and self.file(object_path(stored)) is None:
            raise too_long(self.layout.shown(stored), length)
        self.put(object_path(stored), content.to_bytes() if content is not None else None)

    def file(self, path: str) -> bytes | None:
        if path in self.changes:
            return self.changes[path]
        if self._is_dropped(path):
            return None
        if path not in self.seen:
            self.seen[path] = self.base.file(path)
        return self.seen[path]

    def tree_id(self, path: str) -> Oid | None:
        """As of the tree that is changed; None also for a directory with changes: it has no id before it is written."""
        return None if path in self._touched or self._is_dropped(path) else super().tree_id(path)

    def names(self, path: str) -> list[str]:
        added = self._added.get(path, ())
        if self._is_dropped(path):
            return list(added)
        if path not in self.listed:
            self.listed[path] = sorted(self.base.names(path))
        listed: Iterable[str] = self.listed[path]
        if self._dropped:
            listed = (name for name in listed if f"{path}/{name}/" not in self._dropped)
        return list({*listed, *added})

    def objects_below(self, stored: StoredRef) -> Iterator[tuple[StoredRef, bytes]]:
        for ref, data in super().objects_below(stored):
            path = object_path(ref)
            if path not in self.changes and not self._is_dropped(path):
                yield ref, data
        todo = [f"{REFS}/{stored}"]
        while todo:
            directory = todo.pop()
            for name in self._added.get(directory, ()):
                todo.append(f"{directory}/{name}")
            data_here = self.changes.get(directory)
            ref_here = stored_ref(directory)
            if data_here is not None and ref_here is not None:
                yield ref_here, data_here

    def replay(self, newer: Draft) -> None:
        """Make the same changes to a newer tree. Raises Conflict unless all that was read there is still the same."""
        for path, data in self.seen.items():
            if newer.base.file(path) != data:
                raise self._changed(path)
        for path, names in self.listed.items():
            if sorted(newer.base.names(path)) != names:
                raise self._changed(path)
        for path in ([REFS] if self.is_read_whole else []) + [path.removesuffix("/") for path in self._dropped]:
            if newer.base.tree_id(path) != self.base.tree_id(path):
                raise self._changed(path)
        for path, data in self.changes.items():
            if path.endswith("/"):
                newer.drop(path.removesuffix("/"))
            else:
                newer.put(path, data)

    def _changed(self, path: str) -> Conflict:
        """The error for a file or directory that is another now: it names the ref at, or below, which that is."""
        ref = stored_ref(path)
        if ref is not None:
            return Conflict(f"'{self.layout.shown(ref)}' was changed meanwhile by another writer")
        if path.startswith(f"{REFS}/"):
            above = self.layout.shown(StoredRef(path.removeprefix(f"{REFS}/")))
            return Conflict(f"what is below '{above}' was changed meanwhile by another writer")
        return Conflict(f"'{path}' was changed meanwhile by another writer")

    def documents_below(self, stored: StoredRef) -> Iterator[StoredRef]:
        """The stored refs of the documents, not the links, below a stored ref."""
        todo = [stored]
        while todo:
            above = todo.pop()
            for name in self.names(f"{REFS}/{above}"):
                below = StoredRef(f"{above}/{name}")
                if name != OBJECT_FILE:
                    todo.append(below)
                elif above != stored:
                    content = self.object(above)
                    if content is not None and content.kind == "ref":
                        yield above

    def _may_have(self, stored: StoredRef) -> bool:
        return True  # the look-up itself says so, and so `replay` notices what others put there meanwhile


def too_long(ref: str, length: int) -> Fatal:
    """The error for a ref of so many bytes, which cannot be written."""
    return Fatal(f"cannot write '{ref[:100]}…': a ref of {length} bytes is longer than {LONGEST}")
