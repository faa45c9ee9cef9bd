"""What the names below one release of a package say, remembered release by release (design 9).

A package is remembered whole under the id of its tree, which each change in it makes another one. Of a package of many
releases nearly all are as before: what each says is remembered with the id of the release's own tree, in one entry for
the package, which is found by its path. So it can be out of date, and never wrong: what has another id is not in it.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, Damaged, StoredObject
from ..git.objects import ObjectError
from .fields import Record
from .vocabulary import CANCELLED, COMPLETE, DEPLOY, FAILED_RETRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout

KIND: Final = "release-facts/1"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and side of the store are added."""
CUSTOM: Final = "custom"
OP: Final = "op"
FEWEST: Final = 64
"""Releases and intents for them from which on it pays: a small package is read in no more time than that takes."""

_WORDS: Final = (CUSTOM, DEPLOY, OP)
_SETTLED: Final = (COMPLETE, CANCELLED, FAILED_RETRIED)
_ANSWERS: Final = {None: "-", False: "0", True: "1"}


class ReleaseFacts(Record):
    """What there is in a directory of a package whose name begins with `@` or `+`.

    `has_document` says whether it has one itself, `has_work` whether there is work in it, `is_settled` whether all of
    that has ended well or for good; `count` is the number of documents and links, `words` says what of `custom`,
    `deploy` and `op` is there. The id of the directory of custom documents (`custom`), whether it `is_no_link`, and
    whether all its custom documents `are_plain`, is not known (empty, None) before that was asked for.
    """

    __slots__ = ("are_plain", "count", "custom", "has_document", "has_work", "is_no_link", "is_settled", "words")

    def __init__(
        self,
        has_document: bool,
        has_work: bool,
        is_settled: bool,
        count: int,
        words: tuple[str, ...],
        custom: str = "",
        is_no_link: bool | None = None,
        are_plain: bool | None = None,
    ) -> None:
        self.has_document = has_document
        self.has_work = has_work
        self.is_settled = is_settled
        self.count = count
        self.words = words
        self.custom = custom
        self.is_no_link = is_no_link
        self.are_plain = are_plain

    def to_text(self) -> str:
        flags = (self.has_document, self.has_work, self.is_settled, self.is_no_link, self.are_plain)
        return f"{''.join([_ANSWERS[flag] for flag in flags])} {self.count} {','.join(self.words)} {self.custom}"

    @classmethod
    def of_text(cls, text: str) -> ReleaseFacts | None:
        """What `to_text` wrote; None for anything else."""
        try:
            flags, count, words, custom = text.split(" ")
            of_names, asked = flags[:3], [None if flag == "-" else flag == "1" for flag in flags[3:]]
            has_document, has_work, is_settled = (flag == "1" for flag in of_names)
            is_no_link, are_plain = asked
            found = tuple(words.split(",")) if words else ()
            facts = cls(has_document, has_work, is_settled, int(count), found, custom, is_no_link, are_plain)
        except ValueError:
            return None
        return facts if facts.to_text() == text else None

    # Found out where it is asked for, from the release's node. All raise ObjectError.

    def find_custom(self, files: Files, release: Node) -> str:
        """The id of the directory of custom documents, which there must be."""
        if not self.custom:
            self.custom = files.oid(_customs(files, release))
        return self.custom

    def find_no_link(self, files: Files, release: Node) -> bool:
        """Whether the release has no object of its own, or a document that can be read."""
        if self.is_no_link is None:
            self.is_no_link = _is_no_link(files, release)
        return self.is_no_link

    def find_plain(self, files: Files, release: Node) -> bool:
        """Whether all its custom objects, of which there must be some, are documents that can be read."""
        if self.are_plain is None:
            self.are_plain = _are_plain(files, _customs(files, release))
        return self.are_plain


class KnownReleases:
    """The releases of one package in one store: those that are remembered, and those that are there."""

    def __init__(self, remembered: bytes = b"") -> None:
        self._known = dict(_entries(remembered))
        self._found: dict[str, ReleaseFacts] = {}

    def find(self, files: Files, layout: Layout, head: str, node: Node) -> ReleaseFacts:
        """What a release says, remembered or read now. Raises ObjectError."""
        key = f"{head} {files.oid(node)}"
        text = self._known.get(key)
        facts = ReleaseFacts.of_text(text) if text is not None else None
        if facts is None:
            facts = read_release(files, layout, head, node)
        self._found[key] = facts
        return facts

    def to_text(self) -> str:
        """What is to be remembered of those that are there; empty where that does not pay."""
        if len(self._found) < FEWEST:
            return ""
        return ";".join([f"{key} {facts.to_text()}" for key, facts in self._found.items() if _is_regular(key)])


def _is_regular(key: str) -> bool:
    """Whether a name is one that releases have: others might hold what parts the entries."""
    name = key[1 : key.rindex(" ")]
    return not name or (name.isascii() and name.isalnum())


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode(errors="replace").split(";"):
        head, _, rest = line.partition(" ")
        oid, _, text = rest.partition(" ")
        yield f"{head} {oid}", text


def work_out(layout: Layout, data: bytes, find: Callable[[str], tuple[Files, Node]]) -> bytes:
    """What should be remembered instead of an entry, from the trees that it names, which `find` gives by their ids."""
    lines = []
    for key, text in _entries(data):
        head, _, oid = key.partition(" ")
        files, node = find(oid)
        facts = read_release(files, layout, head, node)
        known = ReleaseFacts.of_text(text)
        if known is not None and known.is_no_link is not None:
            facts.find_no_link(files, node)
        if known is not None and CUSTOM in facts.words:
            if known.custom:
                facts.find_custom(files, node)
            if known.are_plain is not None:
                facts.find_plain(files, node)
        lines.append(f"{key} {facts.to_text()}")
    return ";".join(lines).encode()


def kind_of(layout: Layout, side: str) -> str:
    """Under which kind the releases of packages of a store are remembered."""
    return f"{KIND}/{layout.dialect}/{side}"


def read_release(files: Files, layout: Layout, head: str, release: Node) -> ReleaseFacts:
    """What the names below a release say. Raises ObjectError."""
    is_release = layout.release_number(head) is not None
    of_work = layout.work_types
    has_document = has_work = False
    are_settled = True
    words = []
    count = 0
    for node in files.children(release):
        name = files.name(node)
        if not files.is_tree(node):
            if name == OBJECT_FILE:
                has_document = True
                count += 1
            continue
        if name in _WORDS:
            words.append(name)
        if is_release and name in of_work:
            has_work = True
            is_settled, found = _read_work(files, node)
            count += found
            are_settled = are_settled and is_settled
        else:
            count += files.count(node, OBJECT_FILE)
    return ReleaseFacts(has_document, has_work, are_settled, count, tuple(words))


def _read_work(files: Files, kind: Node) -> tuple[bool, int]:
    """Of the work of one kind in a release: whether all has ended, and how many documents and links there are."""
    is_settled, count = True, 0
    for node in files.children(kind):
        if files.is_tree(node):
            is_settled_here, found = _read_runs(files, node)
            is_settled = is_settled and is_settled_here
            count += found
        elif files.name(node) == OBJECT_FILE:
            count += 1
    return is_settled, count


def _read_runs(files: Files, work: Node) -> tuple[bool, int]:
    """Whether the last run of a piece of work has ended, and not by failing, as far as names tell; and the count."""
    last, of_last, is_regular, count = 0, None, True, 0
    for node in files.children(work):
        name = files.name(node)
        if not files.is_tree(node):
            count += name == OBJECT_FILE
            continue
        if name.isascii() and name.isdigit():
            if name[0] == "0" or len(name) > 9:
                is_regular = False
            elif int(name) > last:
                last, node, of_last = int(name), of_last, node  # the one before is counted below
        if node is not None:
            count += files.count(node, OBJECT_FILE)
    has_document, statuses = False, []
    # In other dialects work may have no runs of its own, but a status; that has been counted above.
    for node in files.children(work if of_last is None else of_last):
        name = files.name(node)
        if not files.is_tree(node):
            if name == OBJECT_FILE:
                has_document = True
                count += of_last is not None
            continue
        if of_last is not None:
            count += files.count(node, OBJECT_FILE)
        if name == "status":
            statuses = [status for status, _ in directories(files, node)]
    if not last and not statuses:
        return is_regular, count
    return is_regular and has_document and len(statuses) == 1 and statuses[0] in _SETTLED, count


def _customs(files: Files, release: Node) -> Node:
    """The directory of custom documents, which was seen before."""
    node = files.child(release, CUSTOM)
    if node is None:
        raise ObjectError(f"cannot read '{CUSTOM}', which was there before")
    return node


def _is_no_link(files: Files, directory: Node) -> bool:
    """Whether a directory has no object, or a document that can be read."""
    node = files.child(directory, OBJECT_FILE)
    return node is None or (not files.is_tree(node) and _is_document(files.data(node)))


def _are_plain(files: Files, directory: Node) -> bool:
    """Whether all objects in a directory and below it are documents that can be read."""
    for node in files.children(directory):
        if files.is_tree(node):
            if files.name(node) == OBJECT_FILE or not _are_plain(files, node):
                return False
        elif files.name(node) != OBJECT_FILE or not _is_document(files.data(node)):
            return False
    return True


def _is_document(data: bytes) -> bool:
    try:
        return StoredObject.read(data, "").kind == "ref"
    except Damaged:
        return False


def directories(files: Files, tree: Node) -> Iterator[tuple[str, Node]]:
    """The directories in a directory, by name."""
    for node in files.children(tree):
        if files.is_tree(node):
            yield files.name(node), node
