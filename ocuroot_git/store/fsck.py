"""`fsck`: whether a store is what its layout says (design 4.1, 6).

Errors are what makes an answer wrong or a document unreachable; warnings are what only is untidy, such as the
dangling links and the outdated `links` lists that the original program leaves behind.
"""

from __future__ import annotations

from ..formats.layout import (
    DEPENDENCIES,
    OBJECT_FILE,
    REFS,
    STORE_FILE,
    Damaged,
    StoredObject,
    StoredRef,
    object_path,
    split_target,
)
from ..formats.refs import Ref, RefError, unsafe_name
from ..git.objects import ObjectError
from ..git.repository import EXECUTABLE
from .tree import LinkCycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from ..backends.base import Node
    from .tree import StoreTree


class Finding:
    """Something that is not as it should be, at a shown ref or a path."""

    __slots__ = ("severity", "what", "where")

    def __init__(self, severity: Literal["error", "warning"], where: str, what: str) -> None:
        self.severity = severity
        self.where = where
        self.what = what


class Checker:
    """Checks one tree of a store. After `run`, `documents` and `links` say how many there are."""

    def __init__(self, tree: StoreTree, progress: Callable[[int], None] = lambda count: None) -> None:
        self.tree = tree
        self.documents = 0
        self.links = 0
        self._progress = progress
        self._objects: dict[StoredRef, tuple[str, tuple[StoredRef, ...]]] = {}
        """By stored ref: the target of a link (empty for a document), and what is said to link there."""

    def run(self) -> Iterator[Finding]:
        """Find everything that is wrong, in the order in which it is met."""
        yield from self._read_all()
        for stored, (target, links) in self._objects.items():
            if target:
                yield from self._check_link(stored, target)
            else:
                yield from self._check_reachable(stored)
            yield from self._check_back_links(stored, links)

    def _read_all(self) -> Iterator[Finding]:
        root, files = self.tree.root, self.tree.files
        if root is None:
            return
        yield from self._check_top(root)
        todo: list[tuple[str, Node]] = []
        for part in (DEPENDENCIES, REFS):
            try:
                top = self.tree.node(part)
            except ObjectError as error:
                yield Finding("error", part, error.message)
                continue
            if top is not None:
                todo.append((part, top))
        files.prefetch([node for _, node in todo], "all")
        while todo:
            path, directory = todo.pop()
            if not files.is_tree(directory):
                if path.startswith(REFS) or path == DEPENDENCIES:
                    yield Finding("error", path, "it is a file where a directory should be")
                continue
            try:
                entries = list(files.children(directory, checked=False))
                odd = dict(files.oddities(directory))
            except ObjectError as error:
                yield Finding("error", path, error.message)
                continue
            for node in entries:
                name = files.name(node)
                if name in odd:
                    yield Finding("warning" if odd[name] == EXECUTABLE else "error", f"{path}/{name}", odd[name])
                if odd.get(name, EXECUTABLE) != EXECUTABLE:
                    continue
                if name != OBJECT_FILE or not path.startswith(REFS):
                    todo.append((f"{path}/{name}", node))
                elif files.is_tree(node):
                    yield Finding("error", f"{path}/{name}", "it is a directory where a file should be")
                else:
                    yield from self._read(StoredRef(path.removeprefix(REFS).removeprefix("/")), node)

    def _check_top(self, root: Node) -> Iterator[Finding]:
        """What lies beside the store at the top of a branch is not the store's; but names that lead out of it are."""
        try:
            odd = self.tree.files.oddities(root)
        except ObjectError as error:
            yield Finding("error", ".", error.message)
            return
        for name, why in odd:
            if unsafe_name(name) or name in (STORE_FILE, REFS, DEPENDENCIES):
                yield Finding("warning" if why == EXECUTABLE else "error", name, why)

    def _read(self, stored: StoredRef, node: Node) -> Iterator[Finding]:
        path = object_path(stored)
        try:
            found = StoredObject.read(self.tree.files.data(node), path)
        except Damaged as damage:
            yield Finding("error", path, damage.why)
            return
        except ObjectError as error:
            yield Finding("error", path, error.message)
            return
        self._objects[stored] = found.target or "", found.links
        if found.target:
            self.links += 1
        else:
            self.documents += 1
        self._progress(self.documents + self.links)

    def _check_reachable(self, stored: StoredRef) -> Iterator[Finding]:
        """A document is unreachable where its ref, read as any other ref, leads elsewhere."""
        shown = self.tree.layout.shown(stored)
        try:
            ref = Ref.parse(shown)
        except RefError as error:
            yield Finding("warning", shown, f"its path is no ref: {error.message}")
            return
        try:
            reached: StoredRef | None = self.tree.locate(ref).stored
        except LinkCycle:
            reached = None
        except (Damaged, ObjectError):
            return  # reported where it stands
        if reached != stored:
            leads = f"its ref leads to '{self.tree.layout.shown(reached)}'" if reached else "its ref leads in a circle"
            yield Finding("error", shown, f"the document is unreachable: {leads}")

    def _check_link(self, stored: StoredRef, target: str) -> Iterator[Finding]:
        shown, (end, _) = self.tree.layout.shown, split_target(target)
        known = self._objects.get(end)
        if known is None:
            yield Finding("warning", shown(stored), f"dangling link: there is no '{shown(end)}'")
        elif stored not in known[1]:
            yield Finding("warning", shown(stored), f"'{shown(end)}' does not list this link to it")
        if self._is_circular(stored):
            yield Finding("error", shown(stored), "the link leads in a circle")

    def _is_circular(self, stored: StoredRef) -> bool:
        try:
            self.tree.locate(Ref.parse(self.tree.layout.shown(stored)))
        except LinkCycle:
            return True
        except (RefError, Damaged, ObjectError):
            pass  # reported where it stands, or followed by nobody
        return False

    def _check_back_links(self, stored: StoredRef, links: tuple[StoredRef, ...]) -> Iterator[Finding]:
        shown = self.tree.layout.shown
        for link in links:
            target, _ = self._objects.get(link, ("", ()))
            if split_target(target)[0] != stored:
                yield Finding("warning", shown(stored), f"it lists '{shown(link)}', which does not link to it")
