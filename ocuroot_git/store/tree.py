"""The tree of one store at one moment: documents by ref, links, and what is below (design 4.1, 5.1, 5.3).

A `StoreTree` reads; it knows neither branches nor how to write. Its refs are *stored* refs (see layout.py), but
for `locate` and `find`, which take a parsed `Ref` in any spelling.
"""

from __future__ import annotations

from ..backends.base import node_at, nodes_on_the_way
from ..errors import Fatal
from ..formats.documents import Document, NoSuchPart, select
from ..formats.layout import (
    OBJECT_FILE,
    REFS,
    STORE_FILE,
    Layout,
    StoredObject,
    StoredRef,
    edge_end,
    edge_of,
    link_target,
    object_path,
    split_target,
)
from ..formats.refs import Ref, RefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..git.objects import Oid


MOST_STEPS: Final = 32
"""Links followed one after the other before it is called a cycle."""
_MOST_LOCATED: Final = 1024
_MOST_FILES: Final = 16
_SMALL: Final = 1 << 16
"""Files that a tree keeps, and bytes from which on all before are let go: a log may have megabytes."""


_LISTS: Final = (b'"links"', b"\\u006", b"\\u007")
"""Without any of these nothing in a file can be a list of links, however its key is written."""


class LinkCycle(Fatal):
    """Links lead back to themselves, or on without end."""


class Location:
    """Where a ref leads: the stored ref behind all links, the fragment, and the stored refs passed on the way."""

    __slots__ = ("fragment", "passed", "stored")

    def __init__(self, stored: StoredRef, fragment: str, passed: list[StoredRef]) -> None:
        self.stored = stored
        self.fragment = fragment
        self.passed = passed

    @property
    def text(self) -> str:
        """The stored ref with its fragment."""
        return f"{self.stored}#{self.fragment}" if self.fragment else self.stored


class Ties:
    """What ties the documents at and below a stored ref to others: links and the lists of them, as they stand there.

    `listed` are the stored refs of links elsewhere that are said to lead in; `links` those that lead out, each with its
    target.
    """

    __slots__ = ("_head", "_stored", "links", "listed")

    def __init__(self, stored: StoredRef) -> None:
        self._stored = stored
        self._head = f"{stored}/"
        self.listed: set[StoredRef] = set()
        self.links: list[tuple[StoredRef, StoredRef]] = []

    def take(self, ref: StoredRef, data: bytes) -> None:
        """Take in one of the documents or links, by the content of its file. Raises Damaged."""
        path = object_path(ref)
        if link_target(data, path) is None and not any(word in data for word in _LISTS):
            return  # no need to parse logs of megabytes
        content = StoredObject.read(data, path)
        self.listed.update(link for link in content.links if not self.is_inside(link))
        target, _ = split_target(content.target or "")
        if target and not self.is_inside(target):
            self.links.append((ref, target))

    def is_inside(self, ref: StoredRef) -> bool:
        """Whether a stored ref is the one whose ties these are, or below it."""
        return ref == self._stored or ref.startswith(self._head)


class StoreTree:
    """The files of one store, read through `files` from the tree `root` (None: an empty store)."""

    def __init__(self, files: Files, root: Node | None, layout: Layout) -> None:
        self.files = files
        self.root = root
        self.layout = layout
        self._is_partial = files.is_partial
        self._here: set[str] = set()
        """The paths of the directories of a partial store that are known to be here."""
        self._directories: dict[str, Node | None] = {"": root}
        self._targets: dict[StoredRef, str | None] = {}
        self._located: dict[tuple[StoredRef, str], Location] = {}
        """Where refs lead that were located, by the first of their spellings and their fragment."""
        self._last_files: dict[str, bytes | None] = {}
        """The files that were read last, by their paths: to find a document, its file is asked for three times, and for
        a deployment its run and its release come up again."""

    def node(self, path: str) -> Node | None:
        """The node of a directory or file, by its path from the top of the store; None where there is none."""
        if path in self._directories:
            return self._directories[path]
        known, _, name = path.rpartition("/")
        if self._is_partial:
            self._look_up_way(known)
        if known in self._directories:
            directory = self._directories[known]
            node = None
            if directory is not None and self.files.is_tree(directory):
                self._fetch(known, directory, name)
                node = self.files.child(directory, name)
            self._directories[path] = node
            return node
        while known not in self._directories:
            known = known.rpartition("/")[0]
        start = node = self._directories[known]
        below = path[len(known) + 1 :] if known else path
        for name, node in zip(below.split("/"), nodes_on_the_way(self.files, start, below)):
            known = f"{known}/{name}" if known else name
            self._directories[known] = node
        return node

    def _look_up_way(self, path: str) -> None:
        """Look up the directories down to a path one by one: how much is fetched of each depends on what follows."""
        lacking = []
        while path and path not in self._directories:
            lacking.append(path)
            path = path.rpartition("/")[0]
        for one in reversed(lacking):
            self.node(one)

    def _fetch(self, path: str, directory: Node, name: str) -> None:
        """Fetch the directory at a path of a partial store, in which a name is to be looked up (empty: all of them).

        Of a release, and of what is of a package itself, all but large files come, be it state or intent: what is asked
        for next lies there.
        """
        if not self._is_partial or path in self._here:
            return
        self._here.add(path)
        if not self.files.is_absent(directory):
            return
        above, _, own = path.rpartition("/")
        if not any(segment[:1] in ("@", "+") for segment in path.split("/")[2:]):
            # A package has many releases, of which few are on the way.
            self.files.prefetch([directory], "self" if name[:1] in ("@", "+") and name != OBJECT_FILE else "near")
            return
        nodes = [directory]
        if own[0] in "@+":
            beside = (self.node(f"{above}/{other}") for other in {"@", "+", f"@{own[1:]}", f"+{own[1:]}"} - {own})
            nodes += (node for node in beside if node is not None and self.files.is_tree(node))
        self.files.prefetch(nodes, "small")

    def know(self, path: str, directory: Node) -> None:
        """Be told what is at a path, so that nothing above has to be read to find what is below."""
        self._directories[path] = directory

    def file(self, path: str) -> bytes | None:
        """The content of a file, by its path from the top of the store; None where there is none."""
        known = self._last_files
        if path in known:
            return known[path]
        data = self._read_file(path)
        if len(known) >= _MOST_FILES or (data is not None and len(data) > _SMALL):
            known.clear()
        known[path] = data
        return data

    def _read_file(self, path: str) -> bytes | None:
        above, _, name = path.rpartition("/")
        directory = self.node(above)
        if directory is None or not self.files.is_tree(directory):
            return None
        self._fetch(above, directory, name)
        node = self.files.child(directory, name)
        return None if node is None or self.files.is_tree(node) else self.files.data(node)

    def tree_id(self, path: str) -> Oid | None:
        """The id of a directory, by its path from the top of the store; None where there is none."""
        node = self.node(path)
        return self.files.oid(node) if node is not None and self.files.is_tree(node) else None

    def names(self, path: str) -> list[str]:
        """The names in a directory, in no order; none where there is no such directory."""
        directory = self.node(path)
        if directory is None or not self.files.is_tree(directory):
            return []
        self._fetch(path, directory, "")
        return [self.files.name(node) for node in self.files.children(directory)]

    def object(self, stored: StoredRef) -> StoredObject | None:
        """The object at just this stored ref, links not followed; None where there is none. Raises Damaged."""
        path = object_path(stored)
        data = self.file(path)
        return None if data is None else StoredObject.read(data, path)

    def oid(self, stored: StoredRef) -> Oid | None:
        """The id of the blob that holds the object at this stored ref, as `--if-match` takes it."""
        node = self.node(object_path(stored))
        return None if node is None or self.files.is_tree(node) else self.files.oid(node)

    def locate(self, ref: Ref) -> Location:
        """Where `ref` leads: the longest prefix that is a link is replaced by its target, again and again.

        The ref need not exist. Raises LinkCycle.
        """
        spellings = self.layout.spellings(ref)
        key = (spellings[0], ref.fragment)
        location = self._located.get(key)
        if location is None:
            location = self._locate(spellings, ref.fragment)
            if len(self._located) >= _MOST_LOCATED:
                self._located.clear()
            self._located[key] = location
        return location

    def _locate(self, spellings: list[StoredRef], fragment: str) -> Location:
        passed: list[StoredRef] = []
        while True:
            stored, link, target = self._longest_link(spellings)
            if link is None:
                newest = self._newest_release(stored)
                if newest is None:
                    return Location(stored, fragment, passed)
                link, target = newest
            if stored in passed or len(passed) == MOST_STEPS:
                shown = " -> ".join(self.layout.shown(step) for step in [*passed, stored][:4])
                raise LinkCycle(f"too many links behind '{self.layout.shown(passed[0])}' ({shown} …): a cycle")
            passed.append(stored)
            target, hash_sign, target_fragment = target.partition("#")
            rest = stored[len(link) :]
            if hash_sign and rest:
                # A link to a part of a document has nothing below it.
                return Location(stored, fragment, passed)
            fragment = "/".join(filter(None, (target_fragment, fragment)))
            spellings = self._respell(StoredRef(target + rest))

    def find(self, ref: Ref) -> tuple[Location, StoredObject | None]:
        """Where `ref` leads, and the document there (None: there is none). Raises LinkCycle, Damaged."""
        location = self.locate(ref)
        content = self.object(location.stored)
        return location, content if content is not None and content.kind == "ref" else None

    def value(self, ref: Ref) -> tuple[Location, bool, Document]:
        """Where `ref` leads, whether there is something, and what, fragment applied."""
        location, content = self.find(ref)
        if content is None:
            return location, False, None
        try:
            return location, True, select(content.body, location.fragment)
        except NoSuchPart:
            return location, False, None

    def _longest_link(self, spellings: list[StoredRef]) -> tuple[StoredRef, StoredRef | None, str]:
        """Of several spellings of one ref the one that leads furthest: (stored ref, link prefix or None, target).

        The first that exists is taken, or is reached by the longest link; where none is, the store's own word.
        """
        best: tuple[StoredRef, StoredRef | None, str] = (spellings[0], None, "")
        for stored in spellings:
            link, target = self._link_above(stored)
            if link is not None and (best[1] is None or len(link) > len(best[1])):
                best = stored, link, target
            if link == stored:
                return best
            if link is None and self.file(object_path(stored)) is not None:
                return stored, None, ""
        return best

    def _link_above(self, stored: StoredRef) -> tuple[StoredRef | None, str]:
        """The longest prefix of a stored ref, or all of it, that is a link, and its target."""
        longest: tuple[StoredRef | None, str] = (None, "")
        prefix = StoredRef("")
        if self._is_partial:
            self.node(object_path(stored))  # how much of each directory is fetched depends on what is looked up in it
        for segment in stored.split("/"):
            prefix = StoredRef(f"{prefix}/{segment}" if prefix else segment)
            if prefix not in self._targets:
                if self.node(f"{REFS}/{prefix}") is None and not self._may_have(prefix):
                    break
                path = object_path(prefix)
                data = self.file(path)
                self._targets[prefix] = link_target(data, path) if data is not None else None
            target = self._targets[prefix]
            if target is not None and (prefix == stored or self.layout.leads_on(prefix, stored)):
                longest = prefix, target
        return longest

    def _may_have(self, stored: StoredRef) -> bool:
        """Whether there may be something at or below a stored ref that has no directory (a draft overrides this)."""
        return False

    def _newest_release(self, stored: StoredRef) -> tuple[StoredRef, StoredRef] | None:
        """Where `…/@` is no link but numbered releases exist, the highest is meant (5.3): (prefix, its target).

        Not for what is of the package itself, as `@/deploy` is, nor where there is a document at just this ref, as the
        original program writes them.
        """
        segments = stored.split("/")
        if "@" not in segments or self.layout.side == "intent":
            return None
        at = segments.index("@")
        if at + 1 < len(segments) and self.layout.is_of_package(segments[at + 1]):
            return None
        package = StoredRef("/".join(segments[:at]))
        prefix = StoredRef(f"{package}/@" if package else "@")
        if not package or any(self.file(object_path(literal)) is not None for literal in (prefix, stored)):
            return None
        for number in sorted(self.release_numbers(package), reverse=True):
            release = StoredRef(f"{package}/{self.layout.release_segment(number)}")
            if self.file(object_path(release)) is not None:
                return prefix, release
        return None

    def release_numbers(self, package: str) -> list[int]:
        """The numbers of the releases that have a directory below a package, in no order.

        The ref of a package, which has no marker, is spelled alike in every dialect.
        """
        numbers = map(self.layout.release_number, self.names(f"{REFS}/{package}"))
        return [number for number in numbers if number is not None]

    def edge_ends(self, directory: str, stored: StoredRef) -> Iterator[StoredRef]:
        """The other ends of the edges of a document, recorded below one of its `edge_directories`; in no order.

        Those of the documents below it lie there as well; each file says whose it is.
        """
        todo = [""]
        while todo:
            below = todo.pop()
            for name in self.names(f"{directory}/{below}" if below else directory):
                path = f"{below}/{name}" if below else name
                end = edge_end(path)
                if end is None:
                    todo.append(path)
                elif self.file(f"{directory}/{path}") == stored.encode():
                    yield end

    def objects_below(self, stored: StoredRef) -> Iterator[tuple[StoredRef, bytes]]:
        """The stored refs of all documents and links at and below a stored ref, with their files' content; in no order.

        Raises ObjectError for what cannot be read.
        """
        files = self.files
        top = self.node(f"{REFS}/{stored}")
        todo = [(stored, top)] if top is not None and files.is_tree(top) else []
        while todo:
            above, directory = todo.pop()
            for node in files.children(directory):
                name = files.name(node)
                if files.is_tree(node):
                    todo.append((StoredRef(f"{above}/{name}"), node))
                elif name == OBJECT_FILE:
                    yield above, files.data(node)

    def ties(self, stored: StoredRef) -> Ties:
        """What ties the documents at and below a stored ref to others. Raises Damaged, ObjectError."""
        ties = Ties(stored)
        for ref, data in self.objects_below(stored):
            ties.take(ref, data)
        return ties

    def edges_below(self, directory: str) -> Iterator[tuple[StoredRef, StoredRef]]:
        """The edges recorded at and below one of the `edge_directories`: which document depends on which."""
        todo = [directory]
        while todo:
            path = todo.pop()
            for name in self.names(path):
                todo.append(f"{path}/{name}")
            data = self.file(path)
            edge = edge_of(path, data) if data is not None else None
            if edge is not None:
                yield edge

    def next_steps(self, stored: StoredRef) -> list[StoredRef]:
        """The stored refs to which the longest link on the way to a stored ref leads, in every spelling; or none."""
        link, target = self._link_above(stored)
        return [] if link is None else self._respell(StoredRef(split_target(target)[0] + stored[len(link) :]))

    def _respell(self, stored: StoredRef) -> list[StoredRef]:
        """The spellings of a stored ref, where it parses as one; itself where it does not."""
        try:
            spellings = self.layout.spellings(Ref.parse(stored))
        except RefError:
            return [stored]
        return [stored, *(spelling for spelling in spellings if spelling != stored)]


def is_store(files: Files, root: Node | None) -> bool:
    """Whether a tree holds a store at its top."""
    return node_at(files, root, STORE_FILE) is not None
