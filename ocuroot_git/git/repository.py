"""The one door to git's objects: repositories, trees, blobs, commits and branches, through libgit2.

A *node* is a libgit2 object as it was found in a tree; nodes are handed to the methods here and never looked into.
"""

from __future__ import annotations

import os

from ..errors import Fatal, NotFound
from ..formats.refs import quoted, unsafe_name, unwritable_name
from . import libgit2
from .loose import LooseObjects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType
    from typing import Any, Final, Literal, Protocol

    Node = Any
    """A blob or tree of the repository, as libgit2 gives it."""
    Changes = Mapping[str, bytes | None]
    """New contents of files by path; None where the file is to go."""

    class Step(Protocol):
        """What a walk wants of a directory: whether its own file, and what below it, by name (None: do not enter)."""

        wanted: bool
        literals: tuple[str, ...] | None
        is_endless: bool

        def __getitem__(self, name: str, /) -> Step | None: ...

    Directory = tuple[Node, str, Step]
    """A directory to be visited: its node, its path, and what is wanted of it."""
    Scope = Literal["self", "trees", "all"]
    """What to fetch of a node: itself, the trees below it too, or everything below it."""

_MODE_BLOB: Final = 0o100644
_MODE_TREE: Final = 0o040000
_OF_PACKS: Final = (".pack", ".idx")
_TYPE_COMMIT: Final = 1
_TYPE_TREE: Final = 2
_TYPE_TAG: Final = 4
_TYPE_NAMES: Final = {_TYPE_COMMIT: "a commit", _TYPE_TREE: "a tree", 3: "a blob", _TYPE_TAG: "a tag"}
_MOST_KNOWN: Final = 1 << 16
"""Names found harmless, and how many are remembered: a store has few names, again and again."""
EXECUTABLE: Final = "it is an executable file"
_ODD_MODES: Final = {b"120000": "it is a symbolic link", b"160000": "it is a submodule", b"100755": EXECUTABLE}
"""What an entry of a tree can be besides a file and a directory, by its mode."""


class ObjectError(Fatal):
    """An object is missing or cannot be read or written."""


class RefMoved(Exception):
    """A branch no longer stands where it was read, or is held by another process: the caller may try again.

    A push that was not answered by success (`is_sent`) may have been carried out all the same. Where the answer was
    lost, `failure` is what was met; where nothing is to be tried again, `refusal` is the error to end with, unless the
    change is found in the branch, or (`unless_moved`) the branch has moved, so that the refusal was a lost race.
    """

    is_sent = False
    failure: Fatal | None = None
    refusal: Fatal | None = None
    unless_moved = False


class Identity:
    """Who writes a commit, and when: name, email, seconds since the epoch, minutes east of UTC."""

    __slots__ = ("email", "name", "offset", "time")

    def __init__(self, name: str, email: str, time: int, offset: int) -> None:
        self.name = name
        self.email = email
        self.time = time
        self.offset = offset


class Commit:
    """A commit as `log` needs it: id, parents, root node, message, author, committer."""

    __slots__ = ("author", "committer", "message", "oid", "parents", "root")

    def __init__(
        self, oid: str, parents: tuple[str, ...], root: Node, message: str, author: Identity, committer: Identity
    ) -> None:
        self.oid = oid
        self.parents = parents
        self.root = root
        self.message = message
        self.author = author
        self.committer = committer


class Repository:
    """An open repository: where its objects are read and written, and its branches moved."""

    def __init__(self, core: ModuleType, handle: Any) -> None:
        self._core: Any = core
        self._handle = handle
        self.git_dir: str = handle.path
        self.is_bare: bool = handle.is_bare
        self.common_dir = _common_dir(self.git_dir)
        self.work_tree: str | None = handle.workdir
        self.synced: frozenset[str] = frozenset()
        """What is on the disk before it counts as written: `loose-object`, `reference`; see `Config.synced`."""
        self.written = False
        """Whether something was written since git last had a chance to tidy up."""
        self.fetch_missing: Callable[[list[str], Scope], None] | None = None
        """Fetches objects by id, and what is below them as far as the scope says; None where nothing can be missing."""
        self._walks = False
        self._known_names: set[str] = set()
        self._loose: LooseObjects | None = None
        self._was_reopened = False
        self._new: list[Any] = []
        self._commits: dict[str, bytes] = {}
        self._packs: frozenset[str] = frozenset()

    @classmethod
    def open(cls, directory: str, environ: Mapping[str, str]) -> Repository:
        """Open the repository that git would use in `directory`: that of `GIT_DIR`, else the nearest one upwards.

        Bare repositories, linked worktrees and alternates work. Raises RepositoryError, which names the cause.
        """
        return cls(*libgit2.open_repository(directory, environ.get("GIT_DIR")))

    # Reading

    def tip(self, name: str) -> str | None:
        """The id of the commit at a full reference name (`refs/heads/state`), or None where there is none.

        Raises ObjectError where the reference leads to no commit.
        """
        try:
            reference = self._handle.lookup_reference(name)
        except KeyError:
            return None
        except ValueError:
            raise Fatal(f"'{name}' is not a valid reference name") from None
        except (OSError, self._core.GitError) as error:
            raise ObjectError(f"cannot read the reference '{name}': {_clean(error)}") from None
        try:
            oid = reference.resolve().target
        except KeyError:
            raise ObjectError(f"'{name}' is a symbolic reference that leads nowhere") from None
        except (ValueError, self._core.GitError) as error:
            raise ObjectError(f"cannot follow the symbolic reference '{name}': {_clean(error)}") from None
        found = self._read(oid, f"what '{name}' points to")
        if found.type == _TYPE_TAG:
            oid = found.target
            found = self._read(oid, f"what '{name}' points to")
        if found.type != _TYPE_COMMIT:
            raise ObjectError(f"'{name}' points to {_TYPE_NAMES[found.type]} ({oid}), not to a commit")
        return str(oid)

    def references(self, prefix: str) -> list[str]:
        """The full names of the references that begin with `prefix`."""
        names = map(os.fsdecode, self._handle.raw_listall_references())
        return sorted(name for name in names if name.startswith(prefix))

    def resolve(self, revision: str) -> str:
        """The id of the commit that a revision names, as in gitrevisions(7). Raises NotFound."""
        damaged = self._loose_objects().any_cut_short()  # libgit2 walks the commits by itself
        if damaged is not None:
            raise _cut_short(f"cannot look up '{revision}'", damaged)
        try:
            return str(self._handle.revparse_single(revision).peel(self._core.Commit).id)
        except (KeyError, ValueError, self._core.GitError):
            if revision == "HEAD" and self._handle.head_is_unborn:
                raise NotFound(
                    "bad revision 'HEAD': there is no commit yet", hint="'git commit' makes one; --commit names another"
                ) from None
            raise NotFound(f"bad revision '{revision}'") from None

    def root(self, commit: str) -> Node:
        """The root tree of a commit."""
        return self._root(self._commit(commit))

    def tree(self, oid: str) -> Node:
        """A tree by its id."""
        return self._read(self._core.Oid(hex=oid), "tree")

    def commit(self, oid: str) -> Commit:
        """A commit with its message."""
        found = self._commit(oid)
        return Commit(
            oid,
            tuple(str(parent) for parent in found.parent_ids),
            self._root(found),
            found.raw_message.decode(errors="replace"),
            _identity(found.author),
            _identity(found.committer),
        )

    def parents(self, oid: str) -> tuple[str, ...]:
        """The parents of a commit, as far as they are here."""
        return tuple(str(parent) for parent in self._commit(oid).parent_ids)

    def child(self, tree: Node, name: str) -> Node | None:
        """The entry of a tree by its name, or None. A name that no file of a store may have is not looked up."""
        self._check_whole(tree)
        try:
            if unsafe_name(name):
                return None
            return tree[name]
        except TypeError:  # half of a surrogate pair in it: bytes that are no UTF-8, or a name that no entry has
            return next((node for node in self.children(tree) if self.name(node) == name), None)
        except KeyError:
            if self._fetch_absent(tree):
                return self.child(tree, name)
            self._check_readable(tree, name)
            return None
        except self._core.GitError as error:
            raise ObjectError(f"cannot read tree {tree.id} on the way to '{name}': {_clean(error)}") from None

    def children(self, tree: Node, *, checked: bool = True) -> Iterator[Node]:
        """The entries of a tree, in git's order.

        Raises ObjectError for an entry whose name would lead out of the store, or into git's own files, where the
        tree is written to disk; not where `checked` is false, for those who only show what there is.
        """
        self._check_whole(tree)
        try:
            found = iter(tree)
        except (KeyError, self._core.GitError) as error:
            if not self._fetch_absent(tree):
                raise ObjectError(f"cannot read tree {tree.id}: {_clean(error)}") from None
            found = iter(tree)
        return self._checked(found) if checked else found

    def _checked(self, nodes: Iterator[Node]) -> Iterator[Node]:
        for node in nodes:
            name = self.name(node)
            if name not in self._known_names:
                self._check_name(name)
            yield node

    def _check_name(self, name: str) -> None:
        why = unsafe_name(name)
        if why:
            raise ObjectError(
                f"damaged store: there is an entry {quoted(name)}: {why}",
                hint="'git ocuroot fsck' says where, and 'git log <branch> -- <path>' who wrote it",
            )
        if len(self._known_names) < _MOST_KNOWN:
            self._known_names.add(name)

    def oddities(self, tree: Node) -> list[tuple[str, str]]:
        """The entries of a tree that no store should have, by name, and what is wrong with each."""
        self._check_whole(tree)
        raw: bytes = tree.read_raw()
        found = []
        if any(mode in raw for mode in _ODD_MODES):
            at = 0
            while at < len(raw):
                end = raw.index(b"\0", at)
                mode, _, name = raw[at:end].partition(b" ")
                at = end + 1 + len(tree.id.raw)
                if mode in _ODD_MODES:
                    found.append((name.decode(errors="surrogateescape"), _ODD_MODES[mode]))
        names = map(self.name, tree)
        found += [(name, why) for name in names if name not in self._known_names and (why := unsafe_name(name))]
        return found

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
            self._check_whole(node)
            if step.literals is not None:
                found = (self.child(node, name) for name in (*step.literals, *((file,) if wanted else ())))
                entries = [entry for entry in found if entry is not None]
            try:
                for entry in entries:
                    if entry.type == _TYPE_TREE:
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
            except (KeyError, self._core.GitError) as error:
                if not self._fetch_absent(node):
                    raise ObjectError(f"cannot read tree {node.id}: {_clean(error)}") from None
                todo.append((node, path, step))

    def name(self, node: Node) -> str:
        """The name under which a node was found; bytes that are no UTF-8 become surrogates."""
        try:
            name: str = node.name
        except UnicodeDecodeError:
            name = node.raw_name.decode(errors="surrogateescape")
        return name

    def is_tree(self, node: Node) -> bool:
        """Whether a node is a tree (else it is a blob or a submodule)."""
        return bool(node.type == _TYPE_TREE)

    def data(self, blob: Node) -> bytes:
        """The content of a blob."""
        self._check_whole(blob)
        try:
            data: bytes = blob.data
        except AttributeError:
            is_now = "directory" if self.is_tree(blob) else "submodule"
            raise ObjectError(f"cannot read blob {blob.id}: it is a {is_now}") from None
        except (KeyError, self._core.GitError) as error:
            if self._fetch_absent(blob):
                return self.data(blob)
            raise ObjectError(f"cannot read blob {blob.id}: {_clean(error)}") from None
        return data

    def oid(self, node: Node) -> str:
        """The id of a node, in hexadecimal."""
        return str(node.id)

    @property
    def is_partial(self) -> bool:
        """Whether objects may have to be fetched, so that it pays to say beforehand which ones: see `prefetch`."""
        return self.fetch_missing is not None

    def prefetch(self, nodes: Iterable[Node], scope: Scope = "self") -> None:
        """Fetch those of some nodes that are not here, in one batch; with the scope `trees` also all trees below them.

        With the scope `all` everything below them is fetched, whether they are here or not.
        """
        if self.fetch_missing is not None:
            exists = self._handle.odb.exists
            absent = {str(node.id) for node in nodes if scope == "all" or not exists(node.id)}
            if absent:
                self.fetch_missing(sorted(absent), scope)

    def prefetch_roots(self, commits: Iterable[str]) -> None:
        """Fetch the root trees of commits, in one batch."""
        if self.fetch_missing is not None:
            roots = {self._commit(oid).tree_id for oid in commits}
            absent = [str(root) for root in roots if not self._handle.odb.exists(root)]
            if absent:
                self.fetch_missing(absent, "self")

    def prepare_walk(self) -> None:
        """Read many objects once each: stop libgit2 from keeping every one and from checking its hash.

        With both on, a walk of 10^6 documents is three times slower and takes 1.5 GB. `git ocuroot fsck` checks hashes.
        """
        if not self._walks:
            self._walks = True
            libgit2.switch(libgit2.STRICT_HASH_VERIFICATION, False)
            libgit2.switch(libgit2.CACHING, False)

    # Writing

    def edit(self, base: Node | None, changes: Changes) -> Node | None:
        """The tree that `changes` make of `base`; None where nothing is left. Each directory is rebuilt once.

        Raises ObjectError where a file stands in the place of a directory, or where the objects cannot be written.
        """
        # Else each entry is looked up again when it is put into a tree, though it was written just before.
        libgit2.switch(libgit2.STRICT_OBJECT_CREATION, False)
        try:
            if base is not None and self._was_reopened:
                base = self._look_up(base.id)  # a builder takes no node of another handle
            with self._syncing("loose-object"):
                oid = self._edit(base, _nested(changes))
            return self._look_up(oid) if oid is not None else None
        except (OSError, KeyError, self._core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {_clean(error)}") from None

    def check_edit(self, base: Node | None, changes: Changes) -> None:
        """Raise ObjectError as `edit` would where a file stands in the place of a directory, or the reverse."""
        todo = [("", base, _nested(changes))]
        while todo:
            path, tree, level = todo.pop()
            for name, change in level.items() if tree is not None else ():
                before = self.child(tree, name)
                self._check_kind(before, change, path + name)
                if isinstance(change, dict):
                    todo.append((f"{path}{name}/", before, change))

    def _edit(self, base: Node | None, changes: dict[str, Any]) -> Any:
        """The id of the tree; None where nothing is left. Without recursion: refs may have 2,000 segments."""
        order: list[tuple[Node | None, dict[str, Any], str, int, str]] = [(base, changes, "", 0, "")]
        for number, (above, level, path, _, _) in enumerate(order):  # which grows, from the top down
            for name, change in level.items():
                before = self.child(above, name) if above is not None else None
                self._check_kind(before, change, path + name)
                if isinstance(change, dict):
                    order.append((before, change, f"{path}{name}/", number, name))
        made: list[dict[str, Any]] = [{} for _ in order]
        for number in range(len(order) - 1, -1, -1):
            above, level, _, parent, name_there = order[number]
            oid = self._build(above, level, made[number])
            made[parent][name_there] = oid
        return oid

    def _build(self, base: Node | None, changes: dict[str, Any], directories: dict[str, Any]) -> Any:
        """The id of one rebuilt directory, or None for an empty one; `directories`: the ids of those below, by name."""
        if base is not None:
            self._check_whole(base)
            self._fetch_absent(base)
        builder = self._handle.TreeBuilder(base) if base is not None else self._handle.TreeBuilder()
        for name, change in changes.items():
            if isinstance(change, dict):
                oid, mode = directories[name], _MODE_TREE
            else:
                oid, mode = (self._write_blob(change) if change is not None else None), _MODE_BLOB
                self._new.append(oid)
            if oid is not None:
                builder.insert(name, oid, mode)
            elif builder.get(name) is not None:
                builder.remove(name)
        if not len(builder):
            return None
        self._new.append(self._whole(builder.write(), builder.write))
        return self._new[-1]

    def _write_blob(self, data: bytes) -> Any:
        return self._whole(self._handle.create_blob(data), lambda: self._handle.create_blob(data))

    def _whole(self, oid: Any, write_again: Callable[[], Any]) -> Any:
        """The id of an object just written: once more, where libgit2 took a file that was cut short for it.

        Such a file holds nothing that anybody could miss. Raises ObjectError where it is not this repository's own.
        """
        path = self._loose_objects().cut_short(str(oid))
        if path is None:
            return oid
        if not path.startswith(os.path.join(self.common_dir, "objects", "")):
            raise _cut_short(f"cannot write {oid}", path)
        os.unlink(path)
        self._loose_objects().forget(str(oid))
        return write_again()

    def _check_kind(self, before: Node | None, change: dict[str, Any] | bytes | None, path: str) -> None:
        if before is not None and self.is_tree(before) != isinstance(change, dict):
            is_now, should_be = ("directory", "file") if self.is_tree(before) else ("file", "directory")
            raise ObjectError(f"damaged store: '{path}' is a {is_now} where a {should_be} should be")

    def write_commit(self, tree: Node, parents: list[str], message: str, author: Identity, committer: Identity) -> str:
        """Write a commit; gives its id. Raises ObjectError."""
        signature = self._core.Signature
        try:
            # In two steps, because libgit2's own `git_commit_create` reports no failure to write the object, and the
            # branch would be moved to a commit that is not there (seen with libgit2 1.9.7).
            commit = self._handle.create_commit_string(
                signature(author.name, author.email, author.time, author.offset),
                signature(committer.name, committer.email, committer.time, committer.offset),
                message,
                tree.id,
                [self._core.Oid(hex=parent) for parent in parents],
            )
            return self._write_commit(commit.encode())
        except (OSError, self._core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {_clean(error)}") from None

    def _write_commit(self, data: bytes) -> str:
        with self._syncing("loose-object"):
            write = self._handle.odb.write
            oid = self._whole(write(_TYPE_COMMIT, data), lambda: write(_TYPE_COMMIT, data))
        self._new.append(oid)
        self._commits[str(oid)] = data
        return str(oid)

    # What was written, until it is known to stay: see `collection`

    def begin_write(self) -> None:
        """From here on remember what is written, for `holds`, and ask the disk anew what is there already."""
        if self._new:
            self._new.clear()
            self._commits.clear()
        self._packs = frozenset()

    def rely_on_packs(self, names: Iterable[str] = ()) -> None:
        """Remember the packs that are there, in which git finds what it need not write, and those it writes now."""
        self._packs |= {*self._pack_names(), *(name for name in names if name.endswith(_OF_PACKS))}

    def remember_commit(self, oid: str) -> None:
        """Remember a commit that git has written for us. Raises ObjectError where it is gone."""
        found = self._commit(oid)
        self._new.append(found.id)
        self._commits[oid] = found.read_raw()

    def holds(self, commit: str, changes: Changes) -> bool:
        """Whether all is there, on the disk, that a commit brought with the `changes` it was made of."""
        objects = os.path.join(self.common_dir, "objects")
        if not self._packs or self._packs <= self._pack_names():
            loose = (str(oid) for oid in self._new if oid is not None)
            if all(os.path.lexists(os.path.join(objects, oid[:2], oid[2:])) for oid in loose):
                return True
        # Some are packed, or gone. A handle that has read packs answers from those that were deleted meanwhile.
        handle = self._opened_again()
        exists = handle.odb.exists
        try:
            todo = [(handle.git_object_lookup_prefix(self._core.Oid(hex=commit)).tree, _nested(changes))]
            while todo:
                tree, level = todo.pop()
                for name, change in level.items():
                    if name not in tree:
                        continue
                    if not exists(tree[name].id):
                        return False
                    if isinstance(change, dict):
                        todo.append((tree[name], change))
        except (KeyError, AttributeError, self._core.GitError):
            return False
        return True

    def write_commits_again(self) -> None:
        """Write the commits that were written since `begin_write` once more. Raises ObjectError."""
        self._handle = self._opened_again()  # the one we have believes that they are there
        self._was_reopened = True
        try:
            for data in list(self._commits.values()):
                self._write_commit(data)
        except (OSError, self._core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {_clean(error)}") from None

    def _pack_names(self) -> frozenset[str]:
        try:
            names = os.listdir(os.path.join(self.common_dir, "objects", "pack"))
            return frozenset(name for name in names if name.endswith(_OF_PACKS))
        except OSError:
            return frozenset()

    def move(self, name: str, old: str | None, new: str, reason: str, committer: Identity) -> None:
        """Move a reference from `old` (None: it must not exist) to `new`; `reason` is for the reflog.

        Compare-and-swap, creation included: raises RefMoved where the reference stands elsewhere, or where another
        process holds its lock; ObjectError where the file cannot be written.
        """
        try:
            with self._syncing("reference") as is_synced:
                # libgit2 looks at its switch when a repository first uses a reference.
                handle = self._opened_again() if is_synced else self._handle
                self._sign_reflog(handle, committer)
                target = self._core.Oid(hex=new)
                if old is None:
                    handle.create_reference_direct(name, target, False, reason)
                    return
                reference = handle.lookup_reference(name).resolve()
                if str(reference.target) != old:
                    raise RefMoved(name)
                reference.set_target(target, reason)
        except (KeyError, self._core.AlreadyExistsError):
            raise RefMoved(name) from None
        except ValueError as error:
            raise Fatal(f"cannot move '{name}': {_clean(error)}") from None
        except (OSError, self._core.GitError) as error:
            # A held lock comes as OSError from some calls and as GitError from others; so does a lost comparison.
            if self.tip(name) != old or _is_locked(str(error)):
                raise RefMoved(name) from None
            raise ObjectError(f"cannot move '{name}': {_clean(error)}") from None

    def held_lock(self, name: str) -> str | None:
        """The lock file by which another process holds a reference, or once held it before it was killed; or None."""
        path = os.path.join(self.common_dir, f"{name}.lock")
        return path if os.path.lexists(path) else None

    def checked_out_in(self, name: str) -> str | None:
        """The work tree in which a branch (full name) is checked out, also unborn or in a rebase; None for none."""
        main = self.work_tree if os.path.samefile(self.git_dir, self.common_dir) else None
        places = [] if self.is_bare else [(self.common_dir, main or os.path.dirname(self.common_dir))]
        linked = os.path.join(self.common_dir, "worktrees")
        for entry in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
            administrative = os.path.join(linked, entry)
            place = _read_text(os.path.join(administrative, "gitdir"))
            places.append((administrative, os.path.dirname(place) if place else administrative))
        for administrative, place in places:
            if _read_text(os.path.join(administrative, "HEAD")) == f"ref: {name}":
                return place
            for state in ("rebase-merge/head-name", "rebase-apply/head-name"):
                if _read_text(os.path.join(administrative, state)) == name:
                    return place
        return None

    def _commit(self, oid: str) -> Any:
        found = self._read(self._core.Oid(hex=oid), "commit")
        if found.type != _TYPE_COMMIT:
            raise ObjectError(f"cannot read commit {oid}: it is {_TYPE_NAMES[found.type]}")
        return found

    def _root(self, commit: Any) -> Node:
        tree_id = commit.tree_id
        if self.fetch_missing is not None and not self._handle.odb.exists(tree_id):
            self.fetch_missing([str(tree_id)], "self")
        return self._read(tree_id, f"the tree of commit {commit.id},")

    def _read(self, oid: Any, what: str) -> Any:
        """An object by its id. Raises ObjectError, which says `what` cannot be read."""
        path = self._loose_objects().cut_short(str(oid))
        if path is not None:
            raise _cut_short(f"cannot read {what} {oid}", path)
        try:
            return self._look_up(oid)
        except KeyError:
            raise ObjectError(f"cannot read {what} {oid}: there is no such object") from None
        except self._core.GitError as error:
            raise ObjectError(f"cannot read {what} {oid}: {_clean(error).removeprefix(f'{oid}: ')}") from None

    def _check_whole(self, node: Node) -> None:
        """Raise ObjectError where libgit2 must not read a node: see `loose`."""
        loose = self._loose or self._loose_objects()
        if loose.are_there and (path := loose.cut_short(str(node.id))) is not None:
            raise _cut_short(f"cannot read {'tree' if node.type == _TYPE_TREE else 'blob'} {node.id}", path)

    def _loose_objects(self) -> LooseObjects:
        if self._loose is None:
            objects = os.path.join(self.common_dir, "objects")
            self._loose = LooseObjects([objects], lambda oid: bool(self._core.OdbBackendPack(objects).exists(oid)))
        return self._loose

    def _fetch_absent(self, node: Node) -> bool:
        """Fetch a node that is not here; whether that made a difference."""
        if self.fetch_missing is None or self._handle.odb.exists(node.id):
            return False
        self.fetch_missing([str(node.id)], "self")
        return bool(self._handle.odb.exists(node.id))

    def _look_up(self, oid: Any) -> Any:
        found = self._handle.git_object_lookup_prefix(oid)
        if found is None:
            raise KeyError(str(oid))
        return found

    def _check_readable(self, tree: Node, name: str) -> None:
        """libgit2 answers KeyError both for a name that is not there and for a tree that is missing."""
        try:
            len(tree)
        except (KeyError, self._core.GitError) as error:
            raise ObjectError(f"cannot read tree {tree.id} on the way to '{name}': {_clean(error)}") from None

    def _syncing(self, what: str) -> AbstractContextManager[bool]:
        """A block in which libgit2 waits for the disk where `what` is to be synced; gives whether it does.

        It has one switch for all kinds of files and all repositories.
        """
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[bool]:
            is_synced = what in self.synced
            if is_synced:
                libgit2.switch(libgit2.FSYNC, True)
            try:
                yield is_synced
            finally:
                if is_synced:
                    libgit2.switch(libgit2.FSYNC, False)

        return block()

    def _opened_again(self) -> Any:
        """Another handle of this repository, which remembers nothing of what was on the disk before."""
        return libgit2.open_repository(self.git_dir, self.git_dir)[1]

    def _sign_reflog(self, handle: Any, committer: Identity) -> None:
        """Let the reflog name the committer: libgit2's own guess ignores the environment."""
        ffi, lib = libgit2.other_half()
        pointer = ffi.new("git_repository **")
        ffi.buffer(pointer)[:] = handle._pointer[:]
        lib.git_repository_set_ident(pointer[0], committer.name.encode(), committer.email.encode())


def _common_dir(git_dir: str) -> str:
    relative = _read_text(os.path.join(git_dir, "commondir"))
    return os.path.normpath(os.path.join(git_dir, relative)) if relative else git_dir.rstrip("/")


def _identity(signature: Any) -> Identity:
    return Identity(
        signature.raw_name.decode(errors="replace"),
        signature.raw_email.decode(errors="replace"),
        signature.time,
        signature.offset,
    )


def _nested(changes: Changes) -> dict[str, Any]:
    """Changes by directory: a dictionary for each directory in which something changes."""
    nested: dict[str, Any] = {}
    for path, data in changes.items():
        *directories, name = segments = path.split("/")
        for segment in segments:
            if why := unwritable_name(segment):
                raise ObjectError(f"cannot write {quoted(path)}: there is an entry {quoted(segment)} in it: {why}")
        level = nested
        for directory in directories:
            level = level.setdefault(directory, {})
        level[name] = data
    return nested


def _cut_short(what: str, path: str) -> ObjectError:
    return ObjectError(
        f"{what}: the file '{path}' was cut short, as by a power cut",
        hint="'git fsck' lists all such objects; where a clone has them too, remove the files and fetch from it",
    )


def _is_locked(words: str) -> bool:
    return ".lock" in words or "lock file" in words or "locked" in words


def _clean(error: Exception) -> str:
    return str(error).strip().replace("\n", " ") or type(error).__name__


def _read_text(path: str) -> str:
    """The content of a small file of git's, without the newline; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
