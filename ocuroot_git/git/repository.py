"""Opening a repository, and reading its references and commits, through libgit2.

`tree_reader` reads what lies below a commit; `object_writer` writes.
"""

from __future__ import annotations

import os
import time

from ..errors import Fatal, NotFound
from . import libgit2
from .loose import with_alternates
from .objects import Commit, Identity, ObjectError, Oid, cut_short, is_whole_id
from .tree_reader import TYPE_TREE, TreeReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType
    from typing import Any, Final

    from .objects import Node

TYPE_COMMIT: Final = 1
_TYPE_TAG: Final = 4
TYPE_BLOB: Final = 3
_TICK: Final = 20_000_000
"""Nanoseconds within which a file system may give two changes the same time."""
_TYPE_NAMES: Final = {TYPE_COMMIT: "a commit", TYPE_TREE: "a tree", TYPE_BLOB: "a blob", _TYPE_TAG: "a tag"}


class Repository(TreeReader):
    """An open repository: where its references and commits are read, and the trees and blobs below these."""

    def __init__(self, core: ModuleType, handle: Any) -> None:
        git_dir: str = handle.path
        super().__init__(core, handle, _common_dir(git_dir))
        self.git_dir = git_dir
        self.is_bare: bool = handle.is_bare
        self.work_tree: str | None = handle.workdir
        self.written = False
        """Whether something was written since git last had a chance to tidy up."""
        self.was_reopened = False

    @classmethod
    def open(cls, directory: str, environ: Mapping[str, str]) -> Repository:
        """Open the repository that git would use in `directory`: that of `GIT_DIR`, else the nearest one upwards.

        Bare repositories, linked worktrees and alternates work. Raises RepositoryError, which names the cause.
        """
        return cls(*libgit2.open_repository(directory, environ.get("GIT_DIR")))

    # References

    def tip(self, name: str) -> Oid | None:
        """The id of the commit at a full reference name (`refs/heads/state`), or None where there is none.

        Raises ObjectError where the reference leads to no commit.
        """
        try:
            reference = self.handle.lookup_reference(name)
        except KeyError:
            return None
        except ValueError:
            raise Fatal(f"'{name}' is not a valid reference name") from None
        except (OSError, self.core.GitError) as error:
            raise ObjectError(f"cannot read the reference '{name}': {libgit2.clean(error)}") from None
        try:
            oid = reference.resolve().target
        except KeyError:
            raise ObjectError(f"'{name}' is a symbolic reference that leads nowhere") from None
        except (ValueError, self.core.GitError) as error:
            raise ObjectError(f"cannot follow the symbolic reference '{name}': {libgit2.clean(error)}") from None
        target = self._read(oid, f"what '{name}' points to")
        if target.type == _TYPE_TAG:
            oid = target.target
            target = self._read(oid, f"what '{name}' points to")
        if target.type != TYPE_COMMIT:
            raise ObjectError(f"'{name}' points to {_TYPE_NAMES[target.type]} ({oid}), not to a commit")
        return Oid(oid)

    def references(self, prefix: str) -> list[str]:
        """The full names of the references that begin with `prefix`."""
        names = map(os.fsdecode, self.handle.raw_listall_references())
        return sorted(name for name in names if name.startswith(prefix))

    def resolve(self, revision: str) -> Oid:
        """The id of the commit that a revision names, as in gitrevisions(7). Raises NotFound."""
        if is_whole_id(revision) and self.has(Oid(revision)) and self._is_commit(Oid(revision)):
            return Oid(revision)
        damaged = self.loose_objects().any_cut_short()  # libgit2 walks the commits by itself
        if damaged is not None:
            raise cut_short(f"cannot look up '{revision}'", damaged)
        try:
            return Oid(self.handle.revparse_single(revision).peel(self.core.Commit).id)
        except (KeyError, ValueError, self.core.GitError):
            if revision == "HEAD" and self.handle.head_is_unborn:
                raise NotFound("bad revision 'HEAD': there is no commit yet", hint="'git commit' makes one") from None
            raise NotFound(f"bad revision '{revision}'") from None

    # Commits

    def root(self, commit: Oid) -> Node:
        """The root tree of a commit."""
        return self._root(self.read_commit(commit))

    def tree(self, oid: Oid) -> Node:
        """A tree by its id."""
        return self._read(self.core.Oid(hex=oid), "tree")

    def commit(self, oid: Oid) -> Commit:
        """A commit with its message."""
        found = self.read_commit(oid)
        return Commit(
            oid,
            tuple(Oid(parent) for parent in found.parent_ids),
            self._root(found),
            found.raw_message.decode(errors="replace"),
            _identity(found.author),
            _identity(found.committer),
        )

    def parents(self, oid: Oid) -> tuple[Oid, ...]:
        """The parents of a commit, as far as they are here."""
        return tuple(Oid(parent) for parent in self.read_commit(oid).parent_ids)

    def has(self, oid: Oid) -> bool:
        """Whether an object is here; nothing is fetched for it."""
        return bool(self.handle.odb.exists(self.core.Oid(hex=oid)))

    def which_are_here(self, oids: Iterable[Oid]) -> set[Oid]:
        """Which of many objects are here. `has` looks at the disk again for each that is not, this once."""
        core = self.core
        directories = list(with_alternates([os.path.join(self.common_dir, "objects")]))
        places = [core.OdbBackendPack(directory) for directory in directories]
        places += [core.OdbBackendLoose(directory, -1, False) for directory in directories]
        return {oid for oid in oids if any(place.exists(core.Oid(hex=oid)) for place in places)}

    def is_ancestor(self, older: Oid, newer: Oid) -> bool:
        """Whether a commit is another, or in its history, as far as that is here."""
        if older == newer:
            return True
        try:
            return bool(self.handle.descendant_of(self.core.Oid(hex=newer), self.core.Oid(hex=older)))
        except (KeyError, self.core.GitError) as error:
            raise ObjectError(f"cannot follow the history of commit {newer}: {libgit2.clean(error)}") from None

    def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """A newest commit that is in the history of both, as far as these are here; or None."""
        try:
            base = self.handle.merge_base(self.core.Oid(hex=one), self.core.Oid(hex=other))
        except (KeyError, self.core.GitError):
            return None
        return None if base is None else Oid(base)

    def ahead_and_behind(self, one: Oid, other: Oid) -> tuple[int, int] | None:
        """How many commits are in the history of one alone, and of the other; None where not all of both is here."""
        if self.history_ends():
            return None
        try:
            return self._count_beyond(one, other), self._count_beyond(other, one)
        except (KeyError, ValueError, self.core.GitError):
            return None

    def commits_beyond(self, one: Oid, other: Oid) -> list[tuple[Oid, int]] | None:
        """The commits in the history of one that are not in that of another, and when they were committed, in seconds
        since the epoch; None where not all of both is here."""
        if self.history_ends():
            return None
        try:
            return [(Oid(commit.id), commit.commit_time) for commit in self._walk_beyond(one, other)]
        except (KeyError, ValueError, self.core.GitError):
            return None

    def _count_beyond(self, one: Oid, other: Oid) -> int:
        return sum(1 for _ in self._walk_beyond(one, other))

    def _walk_beyond(self, one: Oid, other: Oid) -> Any:
        walk = self.handle.walk(self.core.Oid(hex=one))
        walk.hide(self.core.Oid(hex=other))
        return walk

    def history_ends(self) -> set[str]:
        """The commits at which history ends here, though it goes on elsewhere: this is a shallow clone."""
        try:
            with open(os.path.join(self.common_dir, "shallow"), encoding="ascii") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()

    def marks(self) -> list[object] | None:
        """What is another once objects have come or gone, here or in an alternate, or history ends elsewhere.

        It is there to be compared. None where it may be the same in spite of that: so soon after a change that the
        clock of the file system need not tell the next one from it.
        """
        marks: list[object] = [sorted(self.history_ends())]
        marks += [[name, str(self.handle.references[name].target)] for name in self.references("refs/replace/")]
        newest = 0
        try:
            for directory in with_alternates([os.path.join(self.common_dir, "objects")]):
                for path in (directory, *(os.path.join(directory, name) for name in sorted(os.listdir(directory)))):
                    found = os.stat(path)
                    marks.append([path, found.st_ino, found.st_mtime_ns, found.st_ctime_ns])
                    newest = max(newest, found.st_mtime_ns, found.st_ctime_ns)
        except OSError:
            return None  # it changes right now
        return marks if newest < time.time_ns() - _TICK else None

    def header(self, oid: Oid) -> tuple[Oid, tuple[Oid, ...], int]:
        """The id of the tree of a commit, its parents, as far as they are here, and when it was committed, in seconds
        since the epoch."""
        found = self.read_commit(oid)
        return Oid(found.tree_id), tuple(map(Oid, found.parent_ids)), found.commit_time

    def message_and_parents(self, oid: Oid) -> tuple[str, tuple[Oid, ...]] | None:
        """The message of a commit, and its parents; None where it is not here. Nothing is fetched for it."""
        if not self.has(oid):
            return None
        found = self.read_commit(oid)
        return found.raw_message.decode(errors="replace"), tuple(Oid(parent) for parent in found.parent_ids)

    def blob(self, oid: Oid) -> bytes:
        """The content of a blob by its id; one that is not here is fetched."""
        if self.fetch_missing is not None:
            return self.blobs([oid])[oid]
        return self.data(self._read(self.core.Oid(hex=oid), "blob"))

    def blobs(self, oids: Iterable[Oid]) -> dict[Oid, bytes]:
        """The contents of blobs by their ids; those that are not here are fetched in one batch."""
        wanted = dict.fromkeys(oids)
        if self.fetch_missing is not None:
            absent = [oid for oid in wanted if not self.handle.odb.exists(self.core.Oid(hex=oid))]
            if absent:
                self.fetch_missing(absent, "near")
        return {oid: self.data(self._read(self.core.Oid(hex=oid), "blob")) for oid in wanted}

    def target(self, name: str) -> Oid | None:
        """What a reference (full name) leads to, be it a commit or not, and be it here or not; None: there is none."""
        try:
            return Oid(self.handle.lookup_reference(name).resolve().target)
        except KeyError:
            return None

    def raw(self, oid: Oid) -> tuple[int, bytes]:
        """The type of an object (`TYPE_COMMIT` and the like), and its content. Raises ObjectError."""
        found = self._read(self.core.Oid(hex=oid), "object")
        return found.type, self.content(found)

    def small_blob(self, oid: Oid, most: int) -> bytes | None:
        """The content of a blob of at most so many bytes; None for all else, and for what is not here."""
        try:
            blob = self._read(self.core.Oid(hex=oid), "blob")
        except ObjectError:
            return None
        return bytes(blob.data) if blob.type == TYPE_BLOB and blob.size <= most else None

    def prefetch_roots(self, commits: Iterable[Oid]) -> None:
        """Fetch the root trees of commits, in one batch."""
        if self.fetch_missing is not None:
            roots = {self.read_commit(oid).tree_id for oid in commits}
            absent = [Oid(root) for root in roots if not self.handle.odb.exists(root)]
            if absent:
                self.fetch_missing(absent, "near")

    def held_lock(self, name: str) -> str | None:
        """The lock file by which another process holds a reference, or once held it before it was killed; or None."""
        path = os.path.join(self.common_dir, f"{name}.lock")
        return path if os.path.lexists(path) else None

    def read_commit(self, oid: Oid) -> Any:
        commit = self._read(self.core.Oid(hex=oid), "commit")
        if commit.type != TYPE_COMMIT:
            raise ObjectError(f"cannot read commit {oid}: it is {_TYPE_NAMES[commit.type]}")
        return commit

    def _is_commit(self, oid: Oid) -> bool:
        return bool(self._read(self.core.Oid(hex=oid), "object").type == TYPE_COMMIT)

    def _root(self, commit: Any) -> Node:
        tree_id = commit.tree_id
        if self.fetch_missing is not None and not self.handle.odb.exists(tree_id):
            self.fetch_missing([Oid(tree_id)], "near")
        return self._read(tree_id, f"the tree of commit {commit.id},")

    def _read(self, oid: Any, what: str) -> Any:
        """An object by its id. Raises ObjectError, which says `what` cannot be read."""
        loose = self.loose_objects()
        if loose.are_there and (path := loose.cut_short(Oid(oid))) is not None:
            raise cut_short(f"cannot read {what} {oid}", path)
        try:
            try:
                return self.look_up(oid)
            except KeyError:
                return self.look_up(oid)  # `git gc` may have moved it just then, from where it was looked for already
        except KeyError:
            what = f"cannot read {what} {oid}"
            raise self.left_out(what) or ObjectError(f"{what}: there is no such object") from None
        except self.core.GitError as error:
            raise ObjectError(f"cannot read {what} {oid}: {libgit2.clean(error).removeprefix(f'{oid}: ')}") from None

    def reopen(self) -> None:
        """Go on with another handle, as `opened_again` gives it: this one believes what it once saw on the disk."""
        self.handle = self.opened_again()
        self.was_reopened = True

    def opened_again(self) -> Any:
        """Another handle of this repository, which remembers nothing of what was on the disk before."""
        return libgit2.open_repository(self.git_dir, self.git_dir)[1]


def _common_dir(git_dir: str) -> str:
    relative = read_text(os.path.join(git_dir, "commondir"))
    return os.path.normpath(os.path.join(git_dir, relative)) if relative else git_dir.rstrip("/")


def _identity(signature: Any) -> Identity:
    return Identity(
        signature.raw_name.decode(errors="replace"),
        signature.raw_email.decode(errors="replace"),
        signature.time,
        signature.offset,
    )


def read_text(path: str) -> str:
    """The content of a small file of git's, without the newline; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
