"""Reading trees and blobs through libgit2: the files of a version, as `backends.base.Files` has them.

A *node* is a libgit2 object as it was found in a tree; nodes are handed to the methods here and never looked into.
"""

from __future__ import annotations

import os

from ..formats.refs import quoted, unsafe_name
from . import libgit2
from .loose import LooseObjects
from .objects import END, FILE, ObjectError, Oid, cut_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType
    from typing import Any, Final

    from .objects import Directory, Node, Outline, Scope, Shape

TYPE_TREE: Final = 2
_MOST_KNOWN: Final = 1 << 16
"""Names found harmless, and how many are remembered: a store has few names, again and again."""
EXECUTABLE: Final = "it is an executable file"
SYMBOLIC_LINK: Final = "it is a symbolic link"
_ODD_MODES: Final = {b"120000": SYMBOLIC_LINK, b"160000": "it is a submodule", b"100755": EXECUTABLE}
"""What an entry of a tree can be besides a file and a directory, by its mode."""


class TreeReader:
    """The trees and blobs of a repository, whose object directory lies in `common_dir`."""

    def __init__(self, core: ModuleType, handle: Any, common_dir: str) -> None:
        self.core: Any = core
        self.handle = handle
        self.common_dir = common_dir
        self.fetch_missing: Callable[[list[Oid], Scope], None] | None = None
        """Fetches objects by id, and what is below them as far as the scope says; None where nothing can be missing."""
        self._walks = False
        self._known_names: set[str] = set()
        self._plain_mode: Any = None
        self._loose: LooseObjects | None = None

    def child(self, tree: Node, name: str) -> Node | None:
        """The entry of a tree by its name, or None. A name that no file of a store may have is not looked up."""
        self.check_whole(tree)
        try:
            if name not in self._known_names and not self._is_harmless(name):
                return None
            return tree[name]
        except TypeError:  # half of a surrogate pair in it: bytes that are no UTF-8, or a name that no entry has
            return next((node for node in self.children(tree) if self.name(node) == name), None)
        except KeyError:
            if self.fetch_absent(tree):
                return self.child(tree, name)
            self._check_readable(tree, name)
            return None
        except self.core.GitError as error:
            raise self._unreadable(f"cannot read tree {tree.id} on the way to '{name}'", tree, error) from None

    def children(self, tree: Node, *, checked: bool = True) -> Iterator[Node]:
        """The entries of a tree, in git's order.

        Raises ObjectError for an entry whose name would lead out of the store, or into git's own files, where the
        tree is written to disk; not where `checked` is false, for those who only show what there is.
        """
        self.check_whole(tree)
        try:
            entries = iter(tree)
        except (KeyError, self.core.GitError) as error:
            entries = self._entries_after(error, tree)
        return self._checked(entries) if checked else entries

    def _checked(self, nodes: Iterator[Node]) -> Iterator[Node]:
        for node in nodes:
            name = self.name(node)
            if name not in self._known_names:
                self._check_name(name)
            yield node

    def _check_name(self, name: str) -> None:
        if not self._is_harmless(name):
            raise ObjectError(
                f"damaged store: there is an entry {quoted(name)}: {unsafe_name(name)}",
                hint="'git ocuroot fsck' says where, and 'git log <branch> -- <path>' who wrote it",
            )

    def name(self, node: Node) -> str:
        """The name under which a node was found; bytes that are no UTF-8 become surrogates."""
        try:
            name: str = node.name
        except UnicodeDecodeError:
            name = node.raw_name.decode(errors="surrogateescape")
        return name

    def is_tree(self, node: Node) -> bool:
        """Whether a node is a tree (else it is a blob or a submodule)."""
        return bool(node.type == TYPE_TREE)

    def data(self, blob: Node) -> bytes:
        """The content of a blob."""
        self.check_whole(blob)
        try:
            data: bytes = blob.data
        except AttributeError:
            is_now = "directory" if self.is_tree(blob) else "submodule"
            raise ObjectError(f"cannot read blob {blob.id}: it is a {is_now}") from None
        except (KeyError, self.core.GitError) as error:
            if self.fetch_absent(blob):
                return self.data(blob)
            raise self._unreadable(f"cannot read blob {blob.id}", blob, error) from None
        return data

    def oid(self, node: Node) -> Oid:
        """The id of a node, in hexadecimal."""
        return Oid(node.id)

    # Many at once

    def walk(self, todo: list[Directory], then: list[Directory], file: str) -> Iterator[tuple[str, Node]]:
        """Visit the directories of `todo`, which are taken out; those below that may hold a match go to `then`.

        Yields the path of a directory and the node of the `file` in it, where a wanted directory has one. What
        `match` does for every entry of a store is done here, where nodes may be looked into.
        """
        raw_file = file.encode()
        known_names = self._known_names
        while todo:
            node, path, step = todo.pop()
            wanted, entries = step.wanted, node
            self.check_whole(node)
            if step.literals is not None:
                found = (self.child(node, name) for name in (*step.literals, *((file,) if wanted else ())))
                entries = [entry for entry in found if entry is not None]
            try:
                for entry in entries:
                    if entry.type == TYPE_TREE:
                        try:
                            name = entry.name
                        except UnicodeDecodeError:
                            name = self.name(entry)
                        if name not in known_names:
                            self._check_name(name)
                        after = step[name]
                        if after is not None:
                            then.append((entry, f"{path}/{name}", after))
                    elif wanted and entry.raw_name == raw_file:
                        yield path, entry
            except (KeyError, self.core.GitError) as error:
                if not self.fetch_absent(node):
                    raise self._unreadable(f"cannot read tree {node.id}", node, error) from None
                todo.append((node, path, step))

    def outline(self, tree: Node, shape: Shape, file: str) -> tuple[Outline, dict[str, Node], list[Node]]:
        """What is in a directory and in those below, as far as the shape says; and the nodes of the directories that
        are not looked into: by name of those right in it, and of those below.
        """
        raw_file = file.encode()
        known_names = self._known_names
        may_be_cut_short = self.loose_objects().are_there
        names: list[str] = []
        nodes: dict[str, Node] = {}
        below: list[Node] = []
        looked_into = [(tree, shape)]
        for node, inside in looked_into:
            others = inside.get("*")
            if may_be_cut_short:
                self.check_whole(node)
            try:
                entries = iter(node)
            except (KeyError, self.core.GitError) as error:
                entries = self._entries_after(error, node)
            for entry in entries:
                if entry.type == TYPE_TREE:
                    try:
                        name = entry.name
                    except UnicodeDecodeError:
                        name = self.name(entry)
                    if name not in known_names:
                        self._check_name(name)
                    names.append(name)
                    inner = inside.get(name, others)
                    if inner is not None:
                        looked_into.append((entry, inner))
                    elif node is tree:
                        nodes[name] = entry
                    else:
                        below.append(entry)
                elif entry.raw_name == raw_file:
                    names.append(FILE)
            names.append(END)
        return tuple(names), nodes, below

    def count(self, trees: Iterable[Node], file: str) -> int:
        """How many files of a name there are in some directories and below them."""
        todo = list(trees)
        raw_file = file.encode()
        may_be_cut_short = self.loose_objects().are_there
        number = 0
        for node in todo:
            if may_be_cut_short:
                self.check_whole(node)
            try:
                entries = iter(node)
            except (KeyError, self.core.GitError) as error:
                entries = self._entries_after(error, node)
            for entry in entries:
                if entry.type == TYPE_TREE:
                    todo.append(entry)
                elif entry.raw_name == raw_file:
                    number += 1
        return number

    def _entries_after(self, error: Exception, tree: Node) -> Iterator[Node]:
        """The entries of a tree that could not be read, once it is fetched. Raises ObjectError where it cannot be."""
        if not self.fetch_absent(tree):
            raise self._unreadable(f"cannot read tree {tree.id}", tree, error) from None
        return iter(tree)

    def listing(self, tree: Node) -> tuple[list[tuple[str, Node, bool]], dict[str, str]]:
        """All entries of a tree, whatever their names: each with its name, its node, and whether it is a directory.

        Besides, by name, what is wrong with those that no store should have, as `oddities` tells it: it is asked only
        where an entry is of another mode than files and directories, or has a name that was not met before.
        """
        self.check_whole(tree)
        plain, known_names = self._plain_mode or self._learn_modes(), self._known_names
        entries = []
        is_odd = False
        try:
            for entry in tree:
                try:
                    name = entry.name
                except UnicodeDecodeError:
                    name = self.name(entry)
                type_ = entry.type
                entries.append((name, entry, type_ == TYPE_TREE))
                if name not in known_names and not self._is_harmless(name):
                    is_odd = True
                if type_ != TYPE_TREE and entry.filemode is not plain:
                    is_odd = True
        except (KeyError, self.core.GitError) as error:
            if not self.fetch_absent(tree):
                raise self._unreadable(f"cannot read tree {tree.id}", tree, error) from None
            return self.listing(tree)
        return entries, dict(self.oddities(tree)) if is_odd else {}

    def content(self, node: Node) -> bytes:
        """All bytes of an object that was looked up. Raises ObjectError where it is gone since.

        libgit2 keeps what it has read, but not these bytes: it reads them from the disk once more.
        """
        try:
            found: bytes = node.read_raw()
            return found
        except (KeyError, self.core.GitError) as error:
            raise ObjectError(f"cannot read {node.id}: {libgit2.clean(error)}") from None

    def oddities(self, tree: Node) -> list[tuple[str, str]]:
        """The entries of a tree that no store should have, by name, and what is wrong with each."""
        self.check_whole(tree)
        raw = self.content(tree)
        odd = []
        if any(mode in raw for mode in _ODD_MODES):
            at = 0
            while at < len(raw):
                end = raw.index(b"\0", at)
                mode, _, name = raw[at:end].partition(b" ")
                at = end + 1 + len(tree.id.raw)
                if mode in _ODD_MODES:
                    odd.append((name.decode(errors="surrogateescape"), _ODD_MODES[mode]))
        names = map(self.name, tree)
        odd += [(name, why) for name in names if name not in self._known_names and (why := unsafe_name(name))]
        return odd

    def _learn_modes(self) -> Any:
        """The mode of a plain file, as libgit2's entries give it once its names for modes are loaded."""
        self._plain_mode = libgit2.load_modes(self.core).BLOB
        return self._plain_mode

    def has_harmless_names(self, path: str) -> bool:
        """Whether a path may be looked up: none of its names is one that no file of a store may have."""
        names = path.split("/")
        return self._known_names.issuperset(names) or all(map(self._is_harmless, names))

    def _is_harmless(self, name: str) -> bool:
        """Whether a file or directory may have a name; those that may are remembered, as long as there is room."""
        if unsafe_name(name):
            return False
        if len(self._known_names) < _MOST_KNOWN:
            self._known_names.add(name)
        return True

    def prepare_walk(self, *, checked: bool = False) -> None:
        """Read many objects once each: stop libgit2 from keeping all, and from checking their hashes unless `checked`.

        With both on, a walk of 10^6 documents is three times slower and takes 1.5 GB.
        """
        if not self._walks:
            self._walks = True
            if not checked:
                libgit2.switch(libgit2.STRICT_HASH_VERIFICATION, False)
            libgit2.switch(libgit2.CACHING, False)

    # What is not here

    @property
    def is_partial(self) -> bool:
        """Whether objects may have to be fetched, so that it pays to say beforehand which ones: see `prefetch`."""
        return self.fetch_missing is not None

    def is_absent(self, node: Node) -> bool:
        """Whether a node is not here, and would be fetched where it is read."""
        return self.fetch_missing is not None and not self.handle.odb.exists(node.id)

    def prefetch(self, nodes: Iterable[Node], scope: Scope = "near") -> None:
        """Fetch those of some nodes that are not here, in one batch; with the scope `trees` also all trees below them.

        With the scope `all` everything below them is fetched, whether they are here or not.
        """
        if self.fetch_missing is not None:
            exists = self.handle.odb.exists
            absent = {Oid(node.id) for node in nodes if scope == "all" or not exists(node.id)}
            if absent:
                self.fetch_missing(sorted(absent), scope)

    def prefetch_below(self, nodes: Iterable[Node]) -> None:
        """Fetch all trees at and below some trees that are not here, in one batch; also those below trees that are."""
        if self.fetch_missing is None:
            return
        exists = self.handle.odb.exists
        absent = set()
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if not exists(node.id):
                absent.add(Oid(node.id))
                continue
            try:
                todo += filter(self.is_tree, self.children(node, checked=False))
            except ObjectError:
                continue  # whoever reads it says what is wrong with it
        if absent:
            self.fetch_missing(sorted(absent), "trees")

    def fetch_absent(self, node: Node) -> bool:
        """Fetch a node that is not here; whether that made a difference."""
        if self.fetch_missing is None or not self.is_absent(node):
            return False
        self.fetch_missing([Oid(node.id)], "near")
        return bool(self.handle.odb.exists(node.id))

    def _unreadable(self, what: str, node: Node, error: Exception) -> ObjectError:
        """The error for a node that libgit2 could not read."""
        left_out = None if self.handle.odb.exists(node.id) else self.left_out(what)
        return left_out or ObjectError(f"{what}: {libgit2.clean(error)}")

    def left_out(self, what: str) -> ObjectError | None:
        """The error for an object that is not here, where the user's clone left it out; None in a whole clone."""
        packs = os.path.join(self.common_dir, "objects", "pack")
        names = os.listdir(packs) if self.fetch_missing is None and os.path.isdir(packs) else []
        if not any(name.endswith(".promisor") for name in names):
            return None
        return ObjectError(
            f"{what}: it was left out of this partial clone",
            hint="to get what is missing: git fetch --refetch --no-filter <remote> <branch>",
        )

    # What libgit2 must not meet, and what it does not tell

    def check_whole(self, node: Node) -> None:
        """Raise ObjectError where libgit2 must not read a node: see `loose`."""
        loose = self._loose or self.loose_objects()
        if loose.are_there and (path := loose.cut_short(Oid(node.id))) is not None:
            raise cut_short(f"cannot read {'tree' if node.type == TYPE_TREE else 'blob'} {node.id}", path)

    def loose_objects(self) -> LooseObjects:
        if self._loose is None:
            objects = os.path.join(self.common_dir, "objects")
            self._loose = LooseObjects([objects], lambda oid: bool(self.core.OdbBackendPack(objects).exists(oid)))
        return self._loose

    def look_up(self, oid: Any) -> Any:
        node = self.handle.git_object_lookup_prefix(oid)
        if node is None:
            raise KeyError(str(oid))
        return node

    def _check_readable(self, tree: Node, name: str) -> None:
        """libgit2 answers KeyError both for a name that is not there and for a tree that is missing."""
        try:
            len(tree)
        except (KeyError, self.core.GitError) as error:
            raise self._unreadable(f"cannot read tree {tree.id} on the way to '{name}'", tree, error) from None
