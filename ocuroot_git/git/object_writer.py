"""Writing to a repository through libgit2: trees, blobs and commits, and moving references to them."""

from __future__ import annotations

import os

from ..errors import Fatal
from ..formats.refs import quoted, unwritable_name
from . import libgit2
from .objects import ObjectError, Oid, RefMoved, cut_short
from .repository import TYPE_COMMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Final

    from .objects import Changes, Identity, Node
    from .repository import Repository

_MODE_BLOB: Final = 0o100644
_MODE_TREE: Final = 0o040000
_OF_PACKS: Final = (".pack", ".idx")


class ObjectWriter:
    """Writes objects and moves references of one repository.

    `synced` is what is on the disk before it counts as written: `loose-object`, `reference`; see `Config.synced`.
    """

    def __init__(self, repository: Repository, synced: frozenset[str]) -> None:
        self.repository = repository
        self._synced = synced
        self._new: list[Any] = []
        self._commits: dict[Oid, bytes] = {}
        self._packs: frozenset[str] = frozenset()

    def edit(self, base: Node | None, changes: Changes) -> Node | None:
        """The tree that `changes` make of `base`; None where nothing is left. Each directory is rebuilt once.

        Raises ObjectError where a file stands in the place of a directory, or where the objects cannot be written.
        """
        # Else each entry is looked up again when it is put into a tree, though it was written just before.
        libgit2.switch(libgit2.STRICT_OBJECT_CREATION, False)
        try:
            if base is not None and self.repository.was_reopened:
                base = self.repository.look_up(base.id)  # a builder takes no node of another handle
            with self._syncing("loose-object"):
                oid = self._edit(base, _nested(changes))
            return self.repository.look_up(oid) if oid is not None else None
        except (OSError, KeyError, self.repository.core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {libgit2.clean(error)}") from None

    def check_edit(self, base: Node | None, changes: Changes) -> None:
        """Raise ObjectError as `edit` would where a file stands in the place of a directory, or the reverse."""
        todo = [("", base, _nested(changes))]
        while todo:
            path, tree, level = todo.pop()
            for name, change in level.items() if tree is not None else ():
                before = self.repository.child(tree, name)
                self._check_kind(before, change, path + name)
                if isinstance(change, _Level):
                    todo.append((f"{path}{name}/", None if change.is_anew else before, change))

    def _edit(self, base: Node | None, changes: _Level) -> Any:
        """The id of the tree; None where nothing is left. Without recursion: refs may have 2,000 segments."""
        order: list[tuple[Node | None, _Level, str, int, str]] = [(base, changes, "", 0, "")]
        for number, (above, level, path, _, _) in enumerate(order):  # which grows, from the top down
            for name, change in level.items():
                before = self.repository.child(above, name) if above is not None else None
                self._check_kind(before, change, path + name)
                if isinstance(change, _Level):
                    order.append((None if change.is_anew else before, change, f"{path}{name}/", number, name))
        made: list[dict[str, Any]] = [{} for _ in order]
        for number in range(len(order) - 1, -1, -1):
            above, level, _, parent, name_there = order[number]
            oid = self._build(above, level, made[number])
            made[parent][name_there] = oid
        return oid

    def _build(self, base: Node | None, changes: _Level, directories: dict[str, Any]) -> Any:
        """The id of one rebuilt directory, or None for an empty one; `directories`: the ids of those below, by name."""
        if base is not None:
            self.repository.check_whole(base)
            self.repository.fetch_absent(base)
        builder = self.repository.handle.TreeBuilder(base) if base is not None else self.repository.handle.TreeBuilder()
        for name, change in changes.items():
            if isinstance(change, _Level):
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
        self._new.append(self._written(builder.write))
        return self._new[-1]

    def _write_blob(self, data: bytes) -> Any:
        return self._written(lambda: self.repository.handle.create_blob(data))

    def _written(self, write: Callable[[], Any]) -> Any:
        """The id of an object that `write` writes: once more where it failed, or took a file that was cut short for it.

        A `git gc` removes directories that are empty, be it just before a file is put there. A file that was cut short
        holds nothing that anybody could miss. Raises ObjectError where it is not this repository's own.
        """
        try:
            oid = write()
        except (OSError, self.repository.core.GitError):
            oid = write()
        path = self.repository.loose_objects().cut_short(Oid(oid))
        if path is None:
            return oid
        if not path.startswith(os.path.join(self.repository.common_dir, "objects", "")):
            raise cut_short(f"cannot write {oid}", path)
        os.unlink(path)
        self.repository.loose_objects().forget(Oid(oid))
        return write()

    def _check_kind(self, before: Node | None, change: _Level | bytes | None, path: str) -> None:
        if before is not None and self.repository.is_tree(before) != isinstance(change, _Level):
            is_now, should_be = ("directory", "file") if self.repository.is_tree(before) else ("file", "directory")
            raise ObjectError(f"damaged store: '{path}' is a {is_now} where a {should_be} should be")

    def write_commit(self, tree: Node, parents: list[Oid], message: str, author: Identity, committer: Identity) -> Oid:
        """Write a commit; gives its id. Raises ObjectError."""
        signature = self.repository.core.Signature
        try:
            # In two steps, because libgit2's own `git_commit_create` reports no failure to write the object, and the
            # branch would be moved to a commit that is not there (seen with libgit2 1.9.7).
            commit = self.repository.handle.create_commit_string(
                signature(author.name, author.email, author.time, author.offset),
                signature(committer.name, committer.email, committer.time, committer.offset),
                message,
                tree.id,
                [self.repository.core.Oid(hex=parent) for parent in parents],
            )
            return self._write_commit(commit.encode())
        except (OSError, self.repository.core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {libgit2.clean(error)}") from None

    def _write_commit(self, data: bytes) -> Oid:
        with self._syncing("loose-object"):
            oid = self._written(lambda: self.repository.handle.odb.write(TYPE_COMMIT, data))
        self._new.append(oid)
        self._commits[Oid(oid)] = data
        return Oid(oid)

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

    def remember_commit(self, oid: Oid) -> None:
        """Remember a commit that git has written for us. Raises ObjectError where it is gone."""
        commit = self.repository.read_commit(oid)
        self._new.append(commit.id)
        self._commits[oid] = self.repository.content(commit)

    def holds(self, commit: Oid, changes: Changes | None) -> bool:
        """Whether all is there, on the disk, that a commit brought with the `changes` it was made of (None: all)."""
        objects = os.path.join(self.repository.common_dir, "objects")
        if not self._packs or self._packs <= self._pack_names():
            loose = (str(oid) for oid in self._new if oid is not None)
            if all(os.path.lexists(os.path.join(objects, oid[:2], oid[2:])) for oid in loose):
                return True
        # Some are packed, or gone. A handle that has read packs answers from those that were deleted meanwhile.
        handle = self.repository.opened_again()
        exists = handle.odb.exists
        try:
            level = None if changes is None else _nested(changes)
            todo = [(handle.git_object_lookup_prefix(self.repository.core.Oid(hex=commit)).tree, level)]
            while todo:
                tree, level = todo.pop()
                for name in level if level is not None else [entry.name for entry in tree]:
                    if name not in tree:
                        continue
                    if not exists(tree[name].id):
                        return False
                    below = level[name] if level is not None else None
                    if isinstance(below, _Level) or (level is None and self.repository.is_tree(tree[name])):
                        todo.append((tree[name], below))
            return all(exists(self.repository.core.Oid(hex=oid)) for oid in self._commits)
        except (KeyError, AttributeError, self.repository.core.GitError):
            return False

    def write_commits_again(self) -> None:
        """Write the commits that were written since `begin_write` once more. Raises ObjectError."""
        self.repository.reopen()  # the handle we have believes that they are there
        try:
            for data in list(self._commits.values()):
                self._write_commit(data)
        except (OSError, self.repository.core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {libgit2.clean(error)}") from None

    def _pack_names(self) -> frozenset[str]:
        try:
            names = os.listdir(os.path.join(self.repository.common_dir, "objects", "pack"))
            return frozenset(name for name in names if name.endswith(_OF_PACKS))
        except OSError:
            return frozenset()

    def move(self, name: str, old: Oid | None, new: Oid, reason: str, committer: Identity) -> None:
        """Move a reference from `old` (None: it must not exist) to `new`; `reason` is for the reflog.

        Compare-and-swap, creation included: raises RefMoved where the reference stands elsewhere, or where another
        process holds its lock; ObjectError where the file cannot be written.
        """
        try:
            with self._syncing("reference") as is_synced:
                # libgit2 looks at its switch when a repository first uses a reference.
                handle = self.repository.opened_again() if is_synced else self.repository.handle
                self._sign_reflog(handle, committer)
                target = self.repository.core.Oid(hex=new)
                if old is None:
                    handle.create_reference_direct(name, target, False, reason)
                    return
                reference = handle.lookup_reference(name).resolve()
                if str(reference.target) != old:
                    raise RefMoved(name)
                reference.set_target(target, reason)
        except (KeyError, self.repository.core.AlreadyExistsError):
            raise RefMoved(name) from None
        except ValueError as error:
            raise Fatal(f"cannot move '{name}': {libgit2.clean(error)}") from None
        except (OSError, self.repository.core.GitError) as error:
            # A held lock comes as OSError from some calls and as GitError from others; so does a lost comparison.
            if self.repository.tip(name) != old or _is_locked(str(error)):
                raise RefMoved(name) from None
            raise ObjectError(f"cannot move '{name}': {libgit2.clean(error)}") from None

    def _syncing(self, what: str) -> AbstractContextManager[bool]:
        """A block in which libgit2 waits for the disk where `what` is to be synced; gives whether it does.

        It has one switch for all kinds of files and all repositories.
        """
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[bool]:
            is_synced = what in self._synced
            if is_synced:
                libgit2.switch(libgit2.FSYNC, True)
            try:
                yield is_synced
            finally:
                if is_synced:
                    libgit2.switch(libgit2.FSYNC, False)

        return block()

    def _sign_reflog(self, handle: Any, committer: Identity) -> None:
        """Let the reflog name the committer: libgit2's own guess ignores the environment."""
        ffi, lib = libgit2.other_half()
        pointer = ffi.new("git_repository **")
        ffi.buffer(pointer)[:] = handle._pointer[:]
        lib.git_repository_set_ident(pointer[0], committer.name.encode(), committer.email.encode())


class _Level(dict["str", "Any"]):
    """The changes in one directory: by name a content, None, or the changes in a directory there.

    `is_anew`: nothing stays there of what there was.
    """

    is_anew = False


def _nested(changes: Changes) -> _Level:
    """Changes by directory: a level for each directory in which something changes."""
    nested = _Level()
    for path, data in changes.items():
        *directories, name = segments = path.removesuffix("/").split("/")
        for segment in segments:
            if why := unwritable_name(segment):
                raise ObjectError(f"cannot write {quoted(path)}: there is an entry {quoted(segment)} in it: {why}")
        level = nested
        for directory in directories:
            level = level.setdefault(directory, _Level())
        if path.endswith("/"):
            level[name] = _Level()
            level[name].is_anew = True
        else:
            level[name] = data
    return nested


def _is_locked(message: str) -> bool:
    return ".lock" in message or "lock file" in message or "locked" in message
