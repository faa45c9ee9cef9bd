"""What the names below one release of a package say, remembered release by release (design 9).

A package is remembered whole under the id of its tree, which each change in it makes another one. Of a package of many
releases nearly all are as before: what each says is remembered with the id of the release's own tree, in one entry for
the package, which is found by its path. So it can be out of date, and never wrong: what has another id is not in it.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE
from ..git.objects import FILE, nested
from .fields import Record
from .vocabulary import CANCELLED, COMPLETE, DEPLOY, FAILED_RETRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..git.objects import Nested, Outline, Shape

KIND: Final = "release-facts/4"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and side of the store are added."""
CUSTOM: Final = "custom"
OP: Final = "op"
FEWEST: Final = 64
"""Releases and intents for them from which on it pays: a small package is read in no more time than that takes."""

_WORDS: Final = (CUSTOM, DEPLOY, OP)
_SETTLED: Final = (COMPLETE, CANCELLED, FAILED_RETRIED)
_OF_RUN: Final[Shape] = {"status": {}}
_OF_WORK: Final[Shape] = {**_OF_RUN, "*": _OF_RUN}
"""What of the directories of a run, and of a piece of work, tells how it stands: see `Files.outline`."""
_FLAGS: Final = {"0": False, "1": True}


class ReleaseFacts(Record):
    """What there is in a directory of a package whose name begins with `@` or `+`.

    `has_document` says whether it has one itself, `has_work` whether there is work in it, `is_settled` whether all of
    that has ended well or for good; `words` says what of `custom`, `deploy` and `op` is there, `custom` is the id of
    the directory of custom documents, empty where there is none. `count` is the number of documents and links, None
    where nobody asked: most of what has to be read for it is read for nothing else.
    """

    __slots__ = ("count", "custom", "has_document", "has_work", "is_settled", "words")

    def __init__(
        self,
        has_document: bool,
        has_work: bool,
        is_settled: bool,
        count: int | None,
        words: tuple[str, ...],
        custom: str,
    ) -> None:
        self.has_document = has_document
        self.has_work = has_work
        self.is_settled = is_settled
        self.count = count
        self.words = words
        self.custom = custom

    def to_text(self) -> str:
        flags = f"{self.has_document:d}{self.has_work:d}{self.is_settled:d}"
        count = self.count if self.count is not None else "-"
        return f"{flags} {count} {','.join(self.words)} {self.custom}"

    @classmethod
    def of_text(cls, text: str) -> ReleaseFacts | None:
        """What `to_text` wrote; None for what is of another shape."""
        try:
            flags, count, words, custom = text.split(" ")
            has_document, has_work, is_settled = map(_FLAGS.__getitem__, flags)
            found = tuple(words.split(",")) if words else ()
            number = int(count) if count != "-" else None
            return cls(has_document, has_work, is_settled, number, found, custom)
        except (ValueError, KeyError):
            return None


class ReleaseReader:
    """Reads what the names below releases say. Most releases of a package have the same: that is judged once."""

    def __init__(self, files: Files, layout: Layout, *, is_counting: bool) -> None:
        self.is_counting = is_counting
        self._files = files
        self._layout = layout
        self._shape: Shape = {type_: {"*": _OF_WORK} for type_ in layout.work_types}
        self._met: dict[tuple[Outline, bool], _Names] = {}
        self._customs: dict[str, int] = {}
        """How many custom documents there are, by the id of their directory: where state follows, intents have them."""

    def read(self, head: str, release: Node) -> ReleaseFacts:
        """What the names below a release say. Raises ObjectError."""
        is_release = self._layout.release_number(head) is not None
        outline, nodes, below = self._files.outline(release, self._shape if is_release else {}, OBJECT_FILE)
        names = self._met.get((outline, is_release))
        if names is None:
            names = self._met[outline, is_release] = self._judge(nested(outline, self._shape if is_release else {}))
        directory = nodes.pop(CUSTOM, None)
        custom = self._files.oid(directory) if directory is not None else ""
        count = None
        if self.is_counting:
            others = self._files.count([*nodes.values(), *below], OBJECT_FILE)
            count = outline.count(FILE) + self._count_customs(custom, directory) + others
        return ReleaseFacts(names.has_document, names.has_work, names.is_settled, count, names.words, custom)

    def _count_customs(self, custom: str, directory: Node | None) -> int:
        if directory is None:
            return 0
        if custom not in self._customs:
            self._customs[custom] = self._files.count([directory], OBJECT_FILE)
        return self._customs[custom]

    def _judge(self, release: Nested) -> _Names:
        words = [word for word in _WORDS if word in release or (word == OP and self._layout.early_op in release)]
        found = [works for type_ in self._shape if (works := release.get(type_)) is not None]
        is_settled = all(_has_ended(work) for works in found for work in works.values() if work is not None)
        return _Names(FILE in release, bool(found), is_settled, tuple(words))


class _Names:
    """What the names in a release come to: see `ReleaseFacts`."""

    __slots__ = ("has_document", "has_work", "is_settled", "words")

    def __init__(self, has_document: bool, has_work: bool, is_settled: bool, words: tuple[str, ...]) -> None:
        self.has_document = has_document
        self.has_work = has_work
        self.is_settled = is_settled
        self.words = words


class KnownReleases:
    """The releases of one package in one store: those that are remembered, and those that are there."""

    def __init__(self, remembered: bytes = b"") -> None:
        self._known = dict(_entries(remembered.decode(errors="replace")))
        self._found: dict[str, ReleaseFacts] = {}

    def find(self, reader: ReleaseReader, files: Files, head: str, node: Node) -> ReleaseFacts:
        """What a release says, remembered or read now. Raises ObjectError."""
        key = f"{head} {files.oid(node)}"
        facts = self._of_use(key, is_counting=reader.is_counting)
        if facts is None:
            facts = reader.read(head, node)
        self._found[key] = facts
        return facts

    def lacking(self, files: Files, nodes: dict[str, Node], *, is_counting: bool) -> list[tuple[str, Node]]:
        """Those of the releases that are there which have to be read, by name."""
        found = []
        for head, node in nodes.items():
            if self._of_use(f"{head} {files.oid(node)}", is_counting=is_counting) is None:
                found.append((head, node))
        return found

    def learn(self, line: str) -> None:
        """Take up what `line_of` says of a release."""
        self._known.update(_entries(line))

    def _of_use(self, key: str, *, is_counting: bool) -> ReleaseFacts | None:
        text = self._known.get(key)
        facts = ReleaseFacts.of_text(text) if text is not None else None
        return None if facts is not None and facts.count is None and is_counting else facts

    def to_text(self) -> str:
        """What is to be remembered of those that are there; empty where that does not pay."""
        if len(self._found) < FEWEST:
            return ""
        return ";".join([f"{key} {facts.to_text()}" for key, facts in self._found.items() if _is_regular(key)])


def line_of(reader: ReleaseReader, files: Files, head: str, node: Node) -> str:
    """What a release says, for `KnownReleases.learn`; empty where its name is none of those. Raises ObjectError."""
    key = f"{head} {files.oid(node)}"
    return f"{key} {reader.read(head, node).to_text()}" if _is_regular(key) else ""


def _is_regular(key: str) -> bool:
    """Whether a name is one that releases have: others might hold what parts the entries."""
    name = key[1 : key.rindex(" ")]
    return not name or (name.isascii() and name.isalnum())


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split(";"):
        head, _, rest = line.partition(" ")
        oid, _, text = rest.partition(" ")
        yield f"{head} {oid}", text


def work_out(layout: Layout, data: bytes, find: Callable[[str], tuple[Files, Node]]) -> bytes:
    """What should be remembered instead of an entry, from the trees that it names, which `find` gives by their ids."""
    lines = []
    for key, text in _entries(data.decode(errors="replace")):
        head, _, oid = key.partition(" ")
        files, node = find(oid)
        known = ReleaseFacts.of_text(text)
        reader = ReleaseReader(files, layout, is_counting=known is None or known.count is not None)
        lines.append(f"{key} {reader.read(head, node).to_text()}")
    return ";".join(lines).encode()


def kind_of(layout: Layout, side: str) -> str:
    """Under which kind the releases of packages of a store are remembered."""
    return f"{KIND}/{layout.dialect}/{side}"


def _has_ended(work: Nested) -> bool:
    """Whether the last run of a piece of work has ended, and not by failing, as far as names tell."""
    last = 0
    for name in work:
        if name.isascii() and name.isdigit():
            if name[0] == "0" or len(name) > 9:
                return False
            last = max(last, int(name))
    # In other dialects work may have no runs of its own, but a status.
    run = work[str(last)] if last else work
    found = run.get("status") if run is not None else None
    statuses = [name for name in found or () if name != FILE]
    if not last and not statuses:
        return True
    return run is not None and FILE in run and len(statuses) == 1 and statuses[0] in _SETTLED


def directories(files: Files, tree: Node) -> dict[str, Node]:
    """The directories in a directory, by name."""
    _, nodes, _ = files.outline(tree, {}, OBJECT_FILE)
    return nodes
