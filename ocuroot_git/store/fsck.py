"""`fsck`: whether a store is what its layout says (design 4.1, 6).

Errors are what makes an answer wrong or a document unreachable; warnings are what only is untidy, such as the
dangling links and the outdated `links` lists that the original program leaves behind.

The store is read in one pass, each object once, by two processes where there are two processors for it. What is said
of an object by those above it is carried down (`places`); only links, and the lists of them, are kept for the end.
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
from ..git.tree_reader import EXECUTABLE
from .places import top_place
from .tree import LinkCycle, StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final, Literal, Protocol

    from ..backends.base import Node
    from .places import Place

    class Inspector(Protocol):
        """Judges the documents of one release while they are read."""

        def meet(self, below: str, document: StoredObject | None) -> None:
            """A directory of the release, by its path below it, and its document if it has one."""

        def is_certain(self) -> bool:
            """Whether all that was met is certainly as it should be."""

    Progress = Callable[[int, int], None]
    """Is told how many directories of a shared level are begun, of how many."""

_WIDE: Final = 2000
"""Directories of one level from which on they are shared."""
_PIECES: Final = 128
"""Parts of a shared pass: enough that the two processes end at about the same time, and that it is seen to go on."""
_FEW: Final = 64
"""Directories that are not worth sharing."""


class Finding:
    """Something that is not as it should be, at a shown ref or a path."""

    __slots__ = ("severity", "what", "where")

    def __init__(self, severity: Literal["error", "warning"], where: str, what: str) -> None:
        self.severity = severity
        self.where = where
        self.what = what


class Checker:
    """Checks one tree of a store. After `run`, `documents` and `links` say how many there are.

    `inspect` gives an inspector for a numbered release, by its stored ref; `certain` has, by package, the numbers of
    the releases of which nothing is wrong, neither for this check nor for their inspector.
    """

    def __init__(
        self,
        tree: StoreTree,
        progress: Progress = lambda begun, total: None,
        inspect: Callable[[str], Inspector] | None = None,
    ) -> None:
        self.tree = tree
        self.documents = 0
        self.links = 0
        self.certain: dict[str, set[int]] = {}
        self._progress = progress
        self._inspect = inspect
        self._targets: dict[StoredRef, str] = {}
        """The targets of links by their stored refs."""
        self._listed: dict[StoredRef, list[StoredRef]] = {}
        """What is said to link to an object, by its stored ref, where anything is."""
        self._skipped: set[str] = set()
        """Paths at which there is something that is none of the store's."""

    def run(self) -> list[Finding]:
        """Find everything that is wrong: sorted by severity, by where it is, and by what is said of it."""
        findings = [*self._check_tops(), *self._read_all()]
        for stored, target in self._targets.items():
            findings += self._check_link(stored, target)
        for stored, links in self._listed.items():
            findings += self._check_back_links(stored, links)
        return sorted(findings, key=lambda finding: (finding.severity, finding.where, finding.what))

    def _check_tops(self) -> Iterator[Finding]:
        """What lies beside the store at the top of a branch is not the store's; but names that lead out of it are."""
        if self.tree.root is None:
            return
        try:
            odd = self.tree.files.oddities(self.tree.root)
        except ObjectError as error:
            yield Finding("error", ".", error.message)
            return
        for name, why in odd:
            if unsafe_name(name) or name in (STORE_FILE, REFS, DEPENDENCIES):
                yield Finding("warning" if why == EXECUTABLE else "error", name, why)

    def _read_all(self) -> Iterator[Finding]:
        first = Pass(self.tree, self._inspect)
        tops = []
        for part, place in ((DEPENDENCIES, None), (REFS, top_place(self.tree.layout))):
            try:
                top = self.tree.node(part)
            except ObjectError as error:
                yield Finding("error", part, error.message)
                continue
            if top is None:
                continue
            if self.tree.files.is_tree(top):
                tops.append(Directory(top, part, place, is_hidden=False))
            else:
                yield Finding("error", part, "it is a file where a directory should be")
        self.tree.files.prefetch([top.node for top in tops], "all")
        self.tree.files.prepare_walk(checked=True)
        waiting = first.descend(tops)
        for report in (first.report(), *self._share(waiting)):
            yield from self._take(report)

    def _share(self, waiting: list[Directory]) -> Iterator[str]:
        """The reports of what is below some directories, worked out by two processes where that pays."""

        def work(piece: list[Directory]) -> list[str]:
            part = Pass(self.tree, self._inspect)
            part.read(piece)
            return [part.report()]

        total = len(waiting)
        size = max(-(-total // _PIECES), 1)  # neighbours stay together: they lie together in a pack
        pieces = [waiting[first : first + size] for first in range(0, total, size)]
        waiting.clear()
        if total < _FEW or self.tree.files.is_partial:
            for number, piece in enumerate(pieces):
                self._progress(number * size, total)
                yield from work(piece)
            return
        from .forked_walk import in_two

        yield from in_two(pieces, work, lambda number: self._progress(number * size, total))

    def _take(self, report: str) -> Iterator[Finding]:
        """Take over what a pass reports, and give its findings."""
        import json

        told = json.loads(report)
        self.documents += told["documents"]
        self.links += len(told["targets"])
        self._targets.update(told["targets"])
        self._listed.update(told["listed"])
        self._skipped.update(told["skipped"])
        for package, numbers in told["certain"].items():
            self.certain.setdefault(package, set()).update(numbers)
        for severity, where, what in told["findings"]:
            yield Finding(severity, where, what)

    def _check_link(self, stored: StoredRef, target: str) -> Iterator[Finding]:
        shown, (end, _) = self.tree.layout.shown, split_target(target)
        listed = self._listed.get(end)
        if listed is None and end not in self._targets and not self._has_object(end):
            yield Finding("warning", shown(stored), f"dangling link: there is no '{shown(end)}'")
        elif listed is None or stored not in listed:
            yield Finding("warning", shown(stored), f"'{shown(end)}' does not list this link to it")

    def _has_object(self, stored: StoredRef) -> bool:
        """Whether there is an object that the pass has read: one that can be, where nothing else is in the way."""
        path = object_path(stored)
        if self._skipped:
            ends = (end for end, char in enumerate(path) if char == "/")
            if path in self._skipped or any(path[:end] in self._skipped for end in ends):
                return False
        try:
            return self.tree.object(stored) is not None
        except (Damaged, ObjectError):
            return False

    def _check_back_links(self, stored: StoredRef, links: list[StoredRef]) -> Iterator[Finding]:
        shown = self.tree.layout.shown
        for link in links:
            if split_target(self._targets.get(link, ""))[0] != stored:
                yield Finding("warning", shown(stored), f"it lists '{shown(link)}', which does not link to it")


class Directory:
    """A directory to be read: its node, its path from the top of the store, its place (None: not below the refs).

    `is_hidden` says that an object above it is a link, or none of the store's, so that refs may lead elsewhere.
    """

    __slots__ = ("is_hidden", "node", "path", "place")

    def __init__(self, node: Node, path: str, place: Place | None, *, is_hidden: bool) -> None:
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
        todo = [directory]
        while todo:
            self._enter(todo.pop(), todo)
        if not self._is_in_doubt and self._inspector.is_certain():
            package, _, segment = self._release.rpartition("/")
            number = self._tree.layout.release_number(segment)
            if number is not None:
                self._certain.setdefault(package, []).append(number)
        self._inspector = None

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
                is_hidden = is_hidden or (found is not None and found.kind == "link")
                document = found if found is not None and found.kind == "ref" else None
                if document is not None and (is_hidden or not place.is_plain):
                    self._check_reachable(stored)
            elif is_directory:
                below.append((name, node))
            elif place is not None:
                self._find("error", f"{path}/{name}", "it is a file where a directory should be")
        for name, node in below:
            then.append(
                Directory(node, f"{path}/{name}", place[name] if place is not None else None, is_hidden=is_hidden)
            )
        if self._inspector is not None and place is not None:
            self._is_in_doubt = self._is_in_doubt or not place.is_known
            self._inspector.meet(stored[len(self._release) + 1 :], document)

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
