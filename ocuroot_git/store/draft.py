"""Drafts: a store's tree with changes laid over it, which nobody else sees yet (design 5.2)."""

from __future__ import annotations

from ..errors import Conflict, Fatal
from ..formats.layout import OBJECT_FILE, REFS, StoredObject, object_path, stored_ref
from ..formats.refs import LONGEST
from .tree import StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Draft(StoreTree):
    """A store's tree with changes over it: new contents of files by path, None for those that go."""

    def __init__(self, base: StoreTree) -> None:
        super().__init__(base.files, base.root, base.layout)
        self.base = base
        self.changes: dict[str, bytes | None] = {}
        self.seen: dict[str, bytes | None] = {}
        self.listed: dict[str, list[str]] = {}
        self.is_read_whole = False
        self._added: dict[str, set[str]] = {}
        self._undo: list[tuple[str, bool, bytes | None]] = []

    def put(self, path: str, data: bytes | None) -> None:
        """Change a file; a change back to what it was is no change."""
        self._targets.pop(stored_ref(path) or "", None)
        if path not in self.seen:
            self.seen[path] = self.base.file(path)
        self._undo.append((path, path in self.changes, self.changes.get(path)))
        if data == self.seen[path]:
            self.changes.pop(path, None)
            return
        self.changes[path] = data
        if data is not None:
            while path:
                above, _, name = path.rpartition("/")
                self._added.setdefault(above, set()).add(name)
                path = above

    @property
    def moment(self) -> int:
        """Where `undo` goes back to: before all that is put after this."""
        return len(self._undo)

    def undo(self, moment: int) -> None:
        """Take back what was put since a moment; what was read stays known, as `replay` must."""
        while len(self._undo) > moment:
            path, was_changed, data = self._undo.pop()
            self._targets.pop(stored_ref(path) or "", None)
            self.changes.pop(path, None)
            if was_changed:
                self.changes[path] = data

    def put_object(self, stored: str, content: StoredObject | None) -> None:
        """Change the object at a stored ref, or take it away. Raises Fatal where it would be new and is too long."""
        length = len(stored.encode(errors="surrogatepass")) if content is not None else 0
        if length > LONGEST and self.file(object_path(stored)) is None:
            raise too_long(stored, length)
        self.put(object_path(stored), content.to_bytes() if content is not None else None)

    def file(self, path: str) -> bytes | None:
        if path in self.changes:
            return self.changes[path]
        if path not in self.seen:
            self.seen[path] = self.base.file(path)
        return self.seen[path]

    def names(self, path: str) -> list[str]:
        if path not in self.listed:
            self.listed[path] = sorted(self.base.names(path))
        return list({*self.listed[path], *self._added.get(path, ())})

    def replay(self, newer: Draft) -> None:
        """Make the same changes to a newer tree. Raises Conflict unless all that was read there is still the same."""
        for path, data in self.seen.items():
            if newer.base.file(path) != data:
                raise Conflict(f"'{path}' was changed meanwhile by another writer")
        for path, names in self.listed.items():
            if sorted(newer.base.names(path)) != names:
                raise Conflict(f"'{path}' was changed meanwhile by another writer")
        if self.is_read_whole and newer.base.tree_id(REFS) != self.base.tree_id(REFS):
            raise Conflict(f"'{REFS}' was changed meanwhile by another writer")
        for path, data in self.changes.items():
            newer.put(path, data)

    def documents_below(self, stored: str) -> Iterator[str]:
        """The stored refs of the documents, not the links, below a stored ref."""
        todo = [stored]
        while todo:
            above = todo.pop()
            for name in self.names(f"{REFS}/{above}"):
                below = f"{above}/{name}"
                if name != OBJECT_FILE:
                    todo.append(below)
                elif above != stored:
                    found = self.object(above)
                    if found is not None and found.kind == "ref":
                        yield above

    def _may_have(self, stored: str) -> bool:
        return True  # the look-up itself says so, and so `replay` notices what others put there meanwhile


def too_long(ref: str, length: int) -> Fatal:
    """The error for a ref of so many bytes, which cannot be written."""
    return Fatal(f"cannot write '{ref[:100]}…': a ref of {length} bytes is longer than {LONGEST}")
