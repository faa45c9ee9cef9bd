"""`fsck`: whether a store is what its layout says (design 4.1, 6).

Errors are what makes an answer wrong or a document unreachable; warnings are what only is untidy, such as the
dangling links and the outdated `links` lists that the original program leaves behind.

The store is read in one pass, each object once, by two processes where there are two processors for it. What is said
of an object by those above it is carried down (`places`); only links, and the lists of them, are kept for the end.
"""

from __future__ import annotations

from ..formats.layout import (
    DEPENDENCIES,
    REFS,
    STORE_FILE,
    Damaged,
    object_path,
    split_target,
)
from ..formats.refs import unsafe_name
from ..git.objects import ObjectError
from ..git.tree_reader import EXECUTABLE
from .fsck_pass import Directory, Pass
from .places import top_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final, Literal

    from ..formats.layout import StoredObject, StoredRef
    from .fsck_pass import Inspector
    from .tree import StoreTree

    Progress = Callable[[int, int], None]
    """Is told how many directories of a shared level are begun, of how many."""

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

    Where the tree `before` is given, only what is new or has changed since is looked at, and what was tied to that by
    links: damage to files that did not change is not seen. `certain` then has the releases too that did not change, of
    packages that did.
    """

    def __init__(
        self,
        tree: StoreTree,
        progress: Progress = lambda begun, total: None,
        inspect: Callable[[str], Inspector] | None = None,
        before: StoreTree | None = None,
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
        self._before = before
        self._unchanged: dict[StoredRef, StoredObject | None] = {}
        """Objects that did not change, and are read because what did is tied to them."""

    def run(self) -> list[Finding]:
        """Find everything that is wrong: sorted by severity, by where it is, and by what is said of it."""
        findings = [*self._check_tops(), *self._read_all()]
        if self._before is not None:
            self._look_around(self._before)
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
        first, files = Pass(self.tree, self._inspect), self.tree.files
        tops = []
        for part, place in ((DEPENDENCIES, None), (REFS, top_place(self.tree.layout))):
            try:
                top = self.tree.node(part)
            except ObjectError as error:
                yield Finding("error", part, error.message)
                continue
            before = self._before.node(part) if self._before is not None else None
            if top is None or (before is not None and files.oid(before) == files.oid(top)):
                continue
            if files.is_tree(top):
                tops.append(Directory(top, part, place, is_hidden=False, before=before))
            else:
                yield Finding("error", part, "it is a file where a directory should be")
        if self._before is None:
            files.prefetch([top.node for top in tops], "all")
        files.prepare_walk(checked=True)
        waiting = first.descend(tops)
        files.prefetch([directory.node for directory in waiting], "all")
        for report in (first.report(), *self._share(waiting)):
            yield from self._take(report)

    def _share(self, waiting: list[Directory]) -> Iterator[str]:
        """The reports of what is below some directories, worked out by two processes where that pays."""

        def work(piece: list[Directory]) -> list[str]:
            part = Pass(self.tree, self._inspect)
            part.read(piece)
            return [part.report()]

        from .forked_walk import in_pieces, in_two

        total = len(waiting)
        pieces = in_pieces(waiting, _PIECES)
        size = len(pieces[0]) if pieces else 0
        waiting.clear()
        if total < _FEW or self.tree.files.is_partial:
            for number, piece in enumerate(pieces):
                self._progress(number * size, total)
                yield from work(piece)
            return
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

    def _look_around(self, before: StoreTree) -> None:
        """Have those links and lists checked as well that what changed was tied to, and know what it is tied to now."""
        from .history import changed_refs

        tied: set[StoredRef] = set()
        try:
            for status, stored in changed_refs(self.tree.files, before.root, self.tree.root, ""):
                if status != "A" and (old := _readable(before, stored)) is not None:
                    tied.update(old.links, [split_target(old.target)[0]] if old.target else [])
        except ObjectError:
            pass  # reported where it stands
        for stored in tied - self._targets.keys() - self._listed.keys():
            found = self._read_unchanged(stored)
            if found is not None and found.target:
                self._targets[stored] = found.target
            if found is not None and found.links:
                self._listed[stored] = list(found.links)

    def _read_unchanged(self, stored: StoredRef) -> StoredObject | None:
        if stored not in self._unchanged:
            self._unchanged[stored] = _readable(self.tree, stored)
        return self._unchanged[stored]

    def _lists_of(self, stored: StoredRef) -> Sequence[StoredRef] | None:
        """What is said to link to an object; None where nothing is."""
        if stored in self._listed or stored in self._targets or self._before is None:
            return self._listed.get(stored)
        found = self._read_unchanged(stored)
        return found.links if found is not None else None

    def _target_of(self, stored: StoredRef) -> str:
        """The target of a link; empty where there is none."""
        if stored in self._targets or self._before is None:
            return self._targets.get(stored, "")
        found = self._read_unchanged(stored)
        return (found.target if found is not None else None) or ""

    def _check_link(self, stored: StoredRef, target: str) -> Iterator[Finding]:
        shown, (end, _) = self.tree.layout.shown, split_target(target)
        listed = self._lists_of(end)
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
        return _readable(self.tree, stored) is not None

    def _check_back_links(self, stored: StoredRef, links: list[StoredRef]) -> Iterator[Finding]:
        shown = self.tree.layout.shown
        for link in links:
            if split_target(self._target_of(link))[0] != stored:
                yield Finding("warning", shown(stored), f"it lists '{shown(link)}', which does not link to it")


def _readable(tree: StoreTree, stored: StoredRef) -> StoredObject | None:
    """The object at a stored ref; None where there is none, or one that cannot be read."""
    try:
        return tree.object(stored)
    except (Damaged, ObjectError):
        return None
