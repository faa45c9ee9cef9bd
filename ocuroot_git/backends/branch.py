"""Places where stores lie: a branch of a repository. `directory.py` is the other form, behind the same interface.

A place is read at a `Version` and written by compare-and-swap against one. Neither knows refs or documents.
"""

from __future__ import annotations

import os
import time

from ..errors import Fatal
from ..git.program import GitError, Identities, run, start
from ..git.repository import Identity, Moved, ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Final, Protocol

    from ..git.collection import GcWindow
    from ..git.program import Config
    from ..git.repository import Changes, Repository
    from ..store.history import Carried
    from ..store.tree import Files, Node

    class Place(Protocol):
        """Where a store lies: files to read at a version, and a way to replace that version by another."""

        @property
        def files(self) -> Files:
            """Where the files of its versions are read."""

        @property
        def repository(self) -> Repository | None:
            """The repository that keeps the history of the place, if it has one."""

        @property
        def where(self) -> str:
            """The place in words, for messages: `branch 'state'`."""

        def read(self, at: str | None = None) -> Version:
            """The newest version, or the one that the revision `at` names. Raises NotFound for an unknown one."""

        def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
            """Replace `version` by itself with `changes`. Raises Moved where it is no longer the newest."""

        def create(self, changes: Changes) -> Version:
            """Make the first version where there is none. Raises Moved where there is one by now."""

        def turn(self) -> AbstractContextManager[None]:
            """What a writer holds from reading to writing; waits where only one can write at a time."""

        def prepare_write(self) -> None:
            """Start what a write will need, while the caller still reads."""

        def end_write(self) -> None:
            """Take back what `prepare_write` started and no write has used."""

        def maintain(self) -> None:
            """Tidy up after writing, once, at the end of a process."""

        def held_lock(self) -> str | None:
            """The file by which another process keeps writers out, as one that was killed goes on doing; or None."""

        def may_be_collected(self) -> bool:
            """Whether a `git gc` may be why objects are missing, so that it pays to try again."""

        def pause(self, tries: int) -> float:
            """Seconds to wait after so many lost races, at random."""

        def find_operation(self, name: str, version: Version, since: str | None) -> Carried | None:
            """The operation of a name as the history of a version carries it, if it does.

            `since` is a commit whose history is known not to have it; None: nothing is known.
            """


_FIRST: Final = Identity("Ocuroot", "ocuroot@localhost", 1767225600, 0)
"""Who makes the first commit of a store, everywhere and always: 2026-01-01T00:00:00Z."""
_FIRST_MESSAGE: Final = "Create the store\n"


MANY: Final = 64
"""Files in one change from which on a pack is cheaper than loose objects, the start of git included."""
_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.1
"""Seconds between tries after a lost race: doubling, with jitter. Spinning took 40 times the tries (measured)."""


class Version:
    """A place as it stood at one moment: the commit (None: no branch, or no commits), and the tree at its top."""

    __slots__ = ("oid", "root")

    def __init__(self, oid: str | None, root: Node | None) -> None:
        self.oid = oid
        self.root = root


class Committer:
    """Makes commits as git would in a repository: its idea of author and committer, and signed where it says so."""

    def __init__(self, repository: Repository, config: Config, environ: Mapping[str, str]) -> None:
        self.environ = _exactly(repository, environ)
        self.directory = repository.work_tree or repository.git_dir
        """Where git is started: it looks from there for hooks whose configured path is relative."""
        self._config = config
        self._identities: Identities | None = None

    def prepare(self) -> None:
        """Let git find out who writes, while the caller does something else."""
        if self._identities is None:
            self._identities = Identities(self.directory, self.environ)

    def drop(self) -> None:
        """Ask no more who writes, where that was asked for a write that did not come."""
        if self._identities is not None and self._identities.drop():
            self._identities = None

    def who(self) -> tuple[Identity, Identity]:
        """Author and committer of a commit made now."""
        self.prepare()
        assert self._identities is not None
        return self._identities.now()

    def commit(self, objects: Repository, tree: Node, parents: list[str], message: str) -> str:
        """Write a commit of a tree, beside the tree; gives its id. Raises ObjectError, or GitError from signing."""
        author, committer = self.who()
        if not self._config.get_bool("commit.gpgSign"):
            return objects.write_commit(tree, parents, message, author, committer)
        arguments = ["-C", self.directory, "commit-tree", "-S", objects.oid(tree)]
        for parent in parents:
            arguments += ["-p", parent]
        who = {"GIT_OBJECT_DIRECTORY": os.path.join(objects.common_dir, "objects")}
        for role, identity in (("AUTHOR", author), ("COMMITTER", committer)):
            sign, minutes = "-" if identity.offset < 0 else "+", abs(identity.offset)
            who[f"GIT_{role}_NAME"] = identity.name
            who[f"GIT_{role}_EMAIL"] = identity.email
            who[f"GIT_{role}_DATE"] = f"{identity.time} {sign}{minutes // 60:02}{minutes % 60:02}"
        oid = run(arguments, {**self.environ, **who}, data=message.encode()).decode().strip()
        objects.remember_commit(oid)
        return oid

    def first_commit(self, objects: Repository, changes: Changes) -> str:
        """Write the first commit of a store, which is the same everywhere; gives its id."""
        return objects.write_commit(objects.edit(None, changes), [], _FIRST_MESSAGE, _FIRST, _FIRST)


class Branch:
    """A branch of a repository as the place of a store. It is never checked out, and moved only by compare-and-swap."""

    def __init__(self, repository: Repository, name: str, config: Config, environ: Mapping[str, str]) -> None:
        self.repository = repository
        self.files: Files = repository
        self.name = name
        self.reference = f"refs/heads/{name}"
        self._config = config
        repository.synced = config.synced()
        self.committer = Committer(repository, config, environ)
        self._gc_window: GcWindow | None = None

    @property
    def where(self) -> str:
        return f"branch '{self.name}'"

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment in which git finds the repository of this branch."""
        return self.committer.environ

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Branch):
            return NotImplemented
        same_repository = os.path.realpath(self.repository.common_dir) == os.path.realpath(other.repository.common_dir)
        return same_repository and self.name == other.name

    def __hash__(self) -> int:
        return hash((os.path.realpath(self.repository.common_dir), self.name))

    def read(self, at: str | None = None) -> Version:
        while True:
            oid = self.repository.tip(self.reference) if at is None else self.repository.resolve(at)
            try:
                return Version(oid, None if oid is None else self.repository.root(oid))
            except ObjectError:
                # Whoever moved the branch there is about to write again what `git gc` has deleted.
                if at is not None or not self.may_be_collected():
                    raise
            time.sleep(_FIRST_PAUSE)

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        self._refuse_checked_out()
        self.repository.begin_write()
        oid = None
        try:
            tree = self._edit(version, changes)
            if tree is None:
                raise Fatal(f"{self.where}: refusing to write an empty tree")
            if version.root is not None and tree.id == version.root.id:
                return version
            oid = self.committer.commit(self.repository, tree, [version.oid] if version.oid else [], message)
            self.move(version.oid, oid, reason)
        except (ObjectError, GitError):
            if (oid is not None and self.repository.holds(oid, changes)) or not self.may_be_collected():
                raise
            raise Moved(self.reference) from None  # what was written may be gone already: from the beginning
        self._gc_window = None
        self.keep(oid, changes, lambda: self._edit(version, changes))
        return Version(oid, tree)

    def keep(self, oid: str, changes: Changes, edit_again: Callable[[], object]) -> None:
        """See that all objects of a commit stay which was made since `begin_write`, and to which the branch leads now.

        `edit_again` writes its trees and blobs once more. Raises Fatal where that cannot be told.
        """

        from ..git.collection import outlast

        def write_again() -> None:
            self.repository.write_commits_again()
            edit_again()

        outlast(self.repository, oid, changes, write_again)

    def may_be_collected(self) -> bool:
        if self._gc_window is None:
            from ..git.collection import GcWindow  # late: whoever only reads, and meets nothing odd, needs none of it

            self._gc_window = GcWindow(self.repository.common_dir)
        return self._gc_window.is_open()

    def _edit(self, version: Version, changes: Changes) -> Node | None:
        if len(changes) < MANY:
            return self.repository.edit(version.root, changes)
        from ..git.fast_import import edit_in_bulk

        return edit_in_bulk(self.repository, self.committer.environ, version.oid, changes)

    def create(self, changes: Changes) -> Version:
        self.repository.begin_write()
        oid = self.committer.first_commit(self.repository, changes)
        self.move(None, oid, "ocuroot: create the store")
        self.keep(oid, changes, lambda: self.repository.edit(None, changes))
        return Version(oid, self.repository.root(oid))

    def adopt(self, oid: str, reason: str) -> Version:
        """Make the branch, which does not exist, point to a commit that does. Raises Moved where it exists by now."""
        self.move(None, oid, reason)
        return self.read()

    def turn(self) -> AbstractContextManager[None]:
        """Writers to a branch do not wait for each other: who loses the comparison tries again."""
        from contextlib import nullcontext

        return nullcontext()

    def prepare_write(self) -> None:
        """Let git find out who writes while the caller still reads."""
        self.committer.prepare()
        sweep_leftovers(os.path.join(self.repository.common_dir, "ocuroot"))

    def end_write(self) -> None:
        self.committer.drop()

    def maintain(self) -> None:
        """Let git tidy up, as its own commands do after they wrote; once for all branches of a repository."""
        if self.repository.written:
            self.repository.written = False
            arguments = ["-C", self.committer.directory, "maintenance", "run", "--auto", "--quiet"]
            # What was to be written is written; git reports its own trouble at its next maintenance.
            start(arguments, self.committer.environ).finish()

    def held_lock(self) -> str | None:
        return self.repository.held_lock(self.reference)

    def pause(self, tries: int) -> float:
        from random import random

        return float(min(_FIRST_PAUSE * 2 ** min(tries - 1, 16), _LONGEST_PAUSE)) * random()

    def find_operation(self, name: str, version: Version, since: str | None) -> Carried | None:
        from ..store.history import find_carried

        return find_carried(name, version.oid, since, self.repository.git_dir, self.committer.environ)

    def move(self, old: str | None, new: str, reason: str) -> None:
        """Move the branch from `old` (None: it must not exist) to `new`. Raises Moved where it stands elsewhere.

        Raises Conflict where a process that is gone has left its lock.
        """
        try:
            self._move(old, new, reason)
        except Moved:
            lock = self.held_lock()
            if lock is not None:
                from ..git.locks import refuse_left

                refuse_left(lock)
            raise

    def _move(self, old: str | None, new: str, reason: str) -> None:
        self._refuse_checked_out()
        if self._has_reference_hook():
            # libgit2 runs no hooks. git does, and compares the old value as well.
            try:
                run(
                    ["-C", self.committer.directory, "update-ref", "-m", reason, self.reference, new, old or "0" * 40],
                    self.committer.environ,
                )
            except GitError as error:
                if self.repository.tip(self.reference) != old or f"{self.reference}.lock" in error.words:
                    raise Moved(self.reference) from None
                raise
        else:
            self.repository.move(self.reference, old, new, reason, self.committer.who()[1])
        self.repository.written = True

    def _has_reference_hook(self) -> bool:
        hooks = self._config.get("core.hooksPath") or os.path.join(self.repository.common_dir, "hooks")
        hooks = os.path.join(self.committer.directory, os.path.expanduser(hooks))
        return os.access(os.path.join(hooks, "reference-transaction"), os.X_OK)

    def _refuse_checked_out(self) -> None:
        place = self.repository.checked_out_in(self.reference)
        if place is not None:
            raise Fatal(
                f"refusing to move branch '{self.name}', which is checked out at '{place}'",
                hint=f"check out another branch there: git -C '{place}' switch -",
            )


def sweep_leftovers(directory: str) -> None:
    """Remove what is half made in a directory of ours by processes that were killed; costs little where nothing is."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    if any(name.endswith(".tmp") for name in names):
        from ..git.scratch import sweep

        sweep(directory)


def _exactly(repository: Repository, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment in which git finds just this repository: a relative GIT_DIR would mislead it elsewhere."""
    exact = {**environ, "GIT_DIR": repository.git_dir}
    exact.pop("GIT_WORK_TREE", None)
    if repository.work_tree is not None:
        exact["GIT_WORK_TREE"] = repository.work_tree
    return exact
