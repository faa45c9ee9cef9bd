"""The reading of a part of a store by `fsck`: each object once, by one process (design 4.1, 6)."""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredObject, StoredRef, object_path
from ..formats.refs import Ref, RefError
from ..git.objects import ObjectError
from ..git.tree_reader import EXECUTABLE
from .tree import LinkCycle, StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Literal, Protocol

    from ..backends.base import Node
    from .places import Place

    class Inspector(Protocol):
        """Judges the documents of one release while they are read."""

        def meet(self, below: str, document: StoredObject | None) -> None:
            """A directory of the release, by its path below it, and its document if it has one."""

        def is_certain(self) -> bool:
            """Whether all that was met is certainly as it should be."""


_WIDE: Final = 2000
"""Directories of one level from which on they are shared."""


class Directory:
    """A directory to be read: its node, its path from the top of the store, its place (None: not below the refs).

    `before` is the directory as it was (None: all that is in it counts as new): what is as it was is passed over.

    `is_hidden` says that an object above it is a link, or none of the store's, so that refs may lead elsewhere.
    """

    __slots__ = ("before", "is_hidden", "node", "path", "place")

    def __init__(
        self, node: Node, path: str, place: Place | None, *, is_hidden: bool, before: Node | None = None
    ) -> None:
        self.before = before
        self.node = node
        self.path = path
        self.place = place
        self.is_hidden = is_hidden


class Pass:
    """The reading of one part of a store, and what was met there."""

    def __init__(self, tree: StoreTree, inspect: Callable[[str], Inspector] | None) -> None:
        self._files = tree.files
        self._tree = StoreTree(tree.files, tree.root, tree.layout)  # of its own: what it remembers goes with the part
        self._inspect = inspect
        self._findings: list[tuple[str, str, str]] = []
        self._documents = 0
        self._targets: dict[StoredRef, str] = {}
        self._listed: dict[StoredRef, tuple[StoredRef, ...]] = {}
        self._skipped: list[str] = []
        self._certain: dict[str, list[int]] = {}
        self._inspector: Inspector | None = None
        self._release = ""
        self._is_in_doubt = False

    def report(self) -> str:
        """What was met, as text for the other process."""
        import json

        return json.dumps(
            {
                "documents": self._documents,
                "targets": self._targets,
                "listed": self._listed,
                "skipped": self._skipped,
                "certain": self._certain,
                "findings": self._findings,
            },
        )

    def descend(self, level: list[Directory]) -> list[Directory]:
        """Read directories level by level, until there is nothing more or a level is wide; gives what is left to read.

        Releases are left as a whole.
        """
        waiting: list[Directory] = []
        while level and len(level) < _WIDE:
            below: list[Directory] = []
            for directory in level:
                if self._is_release(directory):
                    waiting.append(directory)
                else:
                    self._enter(directory, below)
            level = below
        return waiting + level

    def read(self, todo: list[Directory]) -> None:
        """Read all that is in some directories and below."""
        while todo:
            directory = todo.pop()
            if self._is_release(directory):
                self._read_release(directory)
            else:
                self._enter(directory, todo)

    def _is_release(self, directory: Directory) -> bool:
        return self._inspect is not None and directory.place is not None and directory.place.is_release

    def _read_release(self, directory: Directory) -> None:
        assert self._inspect is not None
        self._release = directory.path.removeprefix(f"{REFS}/")
        self._inspector = self._inspect(self._release)
        self._is_in_doubt = False
        directory.before = None  # it is judged as a whole
        todo = [directory]
        while todo:
            self._enter(todo.pop(), todo)
        if not self._is_in_doubt and self._inspector.is_certain():
            self._vouch_for(self._release)
        self._inspector = None

    def _vouch_for(self, release: str) -> None:
        package, _, segment = release.rpartition("/")
        number = self._tree.layout.release_number(segment)
        if number is not None:
            self._certain.setdefault(package, []).append(number)

    def _find(self, severity: Literal["error", "warning"], where: str, what: str) -> None:
        self._is_in_doubt = True
        self._findings.append((severity, where, what))

    def _skip(self, path: str) -> None:
        self._is_in_doubt = True
        self._skipped.append(path)

    def _enter(self, directory: Directory, then: list[Directory]) -> None:
        """Read what is in a directory; the directories in it go to `then`."""
        path, place, is_hidden = directory.path, directory.place, directory.is_hidden
        try:
            entries, odd = self._files.listing(directory.node)
        except ObjectError as error:
            self._find("error", path, error.message)
            return
        known = self._entries_before(directory)
        stored = StoredRef(path[len(REFS) + 1 :])
        document = None
        below = []
        for name, node, is_directory in entries:
            if odd and name in odd:
                self._find("warning" if odd[name] == EXECUTABLE else "error", f"{path}/{name}", odd[name])
                if odd[name] != EXECUTABLE:
                    is_hidden = is_hidden or name == OBJECT_FILE
                    self._skip(f"{path}/{name}")
                    continue
            if place is not None and name == OBJECT_FILE:
                if is_directory:
                    self._find("error", f"{path}/{name}", "it is a directory where a file should be")
                    self._skip(f"{path}/{name}")
                    continue
                found = self._read(stored, node)
                if found is not None and found.kind == "link":
                    is_hidden = True
                    known = known if self._is_as_before(node, known.get(name)) else {}  # what is below leads elsewhere
                document = found if found is not None and found.kind == "ref" else None
                if document is not None and (is_hidden or not place.is_plain):
                    self._check_reachable(stored)
            elif is_directory:
                below.append((name, node))
            elif place is not None:
                self._find("error", f"{path}/{name}", "it is a file where a directory should be")
        for name, node in below:
            its_place, before = place[name] if place is not None else None, known.get(name)
            entered = Directory(node, f"{path}/{name}", its_place, is_hidden=is_hidden, before=before)
            if not self._is_as_before(node, before):
                then.append(entered)
            elif self._is_release(entered):
                self._vouch_for(f"{stored}/{name}")
        if self._inspector is not None and place is not None:
            self._is_in_doubt = self._is_in_doubt or not place.is_known
            self._inspector.meet(stored[len(self._release) + 1 :], document)

    def _entries_before(self, directory: Directory) -> dict[str, Node]:
        """What was in a directory, by name; empty where all counts as new, and where that cannot be read."""
        if directory.before is None or not self._files.is_tree(directory.before):
            return {}
        try:
            return {name: node for name, node, _ in self._files.listing(directory.before)[0]}
        except ObjectError:
            return {}

    def _is_as_before(self, node: Node, before: Node | None) -> bool:
        return before is not None and self._files.oid(before) == self._files.oid(node)

    def _read(self, stored: StoredRef, node: Node) -> StoredObject | None:
        path = object_path(stored)
        try:
            found = StoredObject.read(self._files.data(node), path)
        except Damaged as damage:
            self._find("error", path, damage.why)
            return None
        except ObjectError as error:
            self._find("error", path, error.message)
            return None
        if found.links:
            self._listed[stored] = found.links
        if found.target:
            self._targets[stored] = found.target
            self._check_ends(stored)
        else:
            self._documents += 1
        return found

    def _check_reachable(self, stored: StoredRef) -> None:
        """A document is unreachable where its ref, read as any other ref, leads elsewhere."""
        self._is_in_doubt = True
        shown = self._tree.layout.shown(stored)
        try:
            ref = Ref.parse(shown)
        except RefError as error:
            self._find("warning", shown, f"its path is no ref: {error.message}")
            return
        try:
            reached: StoredRef | None = self._tree.locate(ref).stored
        except LinkCycle:
            reached = None
        except (Damaged, ObjectError):
            return  # reported where it stands
        if reached != stored:
            leads = f"its ref leads to '{self._tree.layout.shown(reached)}'" if reached else "its ref leads in a circle"
            self._find("error", shown, f"the document is unreachable: {leads}")

    def _check_ends(self, stored: StoredRef) -> None:
        """A link that leads in a circle leads nowhere."""
        self._is_in_doubt = True
        shown = self._tree.layout.shown(stored)
        try:
            self._tree.locate(Ref.parse(shown))
        except LinkCycle:
            self._find("error", shown, "the link leads in a circle")
        except (RefError, Damaged, ObjectError):
            pass  # reported where it stands, or followed by nobody
