"""A branch of the user's repository as the backend of a store: never checked out, and moved by compare-and-swap."""

from __future__ import annotations

import os
import time

from ..errors import Fatal
from ..git.objects import ABSENT, ObjectError, RefMoved
from ..git.program import GitError, run, start
from .base import CREATE, Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Final

    from ..git.collection import GcWindow
    from ..git.committer import Committer
    from ..git.config import Config
    from ..git.object_writer import ObjectWriter
    from ..git.objects import Changes, Identity, Oid
    from ..git.repository import Repository
    from .base import Files, Filling, Node, Outbox
    from .operations import Carried

MANY: Final = 64
"""Files in one change from which on a pack is cheaper than loose objects, the start of git included."""
_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.1
"""Seconds between tries after a lost race: doubling, with jitter. Spinning took 40 times the tries (measured)."""


class Branch:
    """A branch of a repository as the backend of a store; moved only by compare-and-swap."""

    outbox: Outbox | None = None
    """Writers here do not combine: to write is cheap."""

    def __init__(self, repository: Repository, name: str, config: Config, environ: Mapping[str, str]) -> None:
        self.repository = repository
        self.files: Files = repository
        self.name = name
        self.reference = f"refs/heads/{name}"
        self._config = config
        self._environ = environ
        self._committer: Committer | None = None
        self._writer: ObjectWriter | None = None
        self._gc_window: GcWindow | None = None

    @property
    def where(self) -> str:
        return f"branch '{self.name}'"

    @property
    def writer(self) -> ObjectWriter:
        """Who writes the objects of this branch, and moves it."""
        if self._writer is None:
            from ..git.object_writer import ObjectWriter  # late: whoever only reads needs none of it

            self._writer = ObjectWriter(self.repository, self._config.synced())
        return self._writer

    @property
    def committer(self) -> Committer:
        """Who makes the commits of this branch."""
        if self._committer is None:
            from ..git.committer import Committer  # late: whoever only reads makes none

            self._committer = Committer(self.repository, self._config, self._environ)
        return self._committer

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
            oid = self.repository.tip(self.reference)
            if at is not None:
                from ..git.moments import commit_named

                oid = commit_named(self.repository, self.environ, oid, at)
            try:
                return Version(oid, None if oid is None else self.repository.root(oid))
            except ObjectError:
                # Whoever moved the branch there is about to write again what `git gc` has deleted.
                if at is not None or not self.may_be_collected():
                    raise
            time.sleep(_FIRST_PAUSE)

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        self._refuse_checked_out()
        self.begin_write()
        oid = None
        try:
            tree = self._edit(version, changes)
            if tree is None:
                raise Fatal(f"{self.where}: refusing to write an empty tree")
            if version.root is not None and tree.id == version.root.id:
                return version
            oid = self.committer.commit(self.writer, tree, [version.oid] if version.oid else [], message)
            self.move(version.oid, oid, reason)
        except (ObjectError, GitError):
            if (oid is not None and self.writer.holds(oid, changes)) or not self.may_be_collected():
                raise
            raise RefMoved(self.reference) from None  # what was written may be gone already: from the beginning
        self._gc_window = None
        self.keep(oid, changes, lambda: self._edit(version, changes))
        return Version(oid, tree)

    def begin_write(self) -> None:
        """Before objects are written to which the branch will lead. Raises Conflict where a `git gc` runs too long."""
        from ..git.collection import let_pass

        let_pass(self.repository.common_dir)
        self.writer.begin_write()

    def keep(self, oid: Oid, changes: Changes | None, edit_again: Callable[[], object]) -> None:
        """See that all objects of a commit stay which was made since `begin_write`, and to which the branch leads now.

        `changes` are those it was made of; None: all that it holds. `edit_again` writes its trees and blobs once more.
        Raises Fatal where that cannot be told.
        """
        from ..git.collection import outlast

        def write_again() -> None:
            self.writer.write_commits_again()
            edit_again()

        outlast(self.writer, oid, changes, write_again)

    def may_be_collected(self) -> bool:
        if self._gc_window is None:
            from ..git.collection import GcWindow  # late: whoever only reads, and meets nothing odd, needs none of it

            self._gc_window = GcWindow(self.repository.common_dir)
        return self._gc_window.is_open()

    def _edit(self, version: Version, changes: Changes) -> Node | None:
        if len(changes) < MANY:
            return self.writer.edit(version.root, changes)
        from ..git.fast_import import edit_in_bulk

        return edit_in_bulk(self.writer, self.committer.environ, version.oid, changes)

    def begin(self, version: Version) -> None:
        return None

    def create(self, changes: Changes, empty: Version | None = None) -> Version:
        if empty is not None and empty.oid is not None:
            from ..git.committer import FIRST_MESSAGE

            return self.write(empty, changes, FIRST_MESSAGE, CREATE)
        self.begin_write()
        oid = self.committer.first_commit(self.writer, changes)
        self.move(None, oid, CREATE)
        self.keep(oid, changes, lambda: self.writer.edit(None, changes))
        return Version(oid, self.repository.root(oid))

    def filled(self, contents: Iterable[tuple[str, bytes]]) -> AbstractContextManager[Filling]:
        from .filling import BranchFilling, filling

        self._refuse_checked_out()
        return filling(self.repository, self.environ, contents, lambda tree: BranchFilling(self, tree))

    def adopt(self, oid: Oid, reason: str) -> Version:
        """Make the branch, which does not exist, at a commit that does. Raises RefMoved where it exists by now."""
        self.move(None, oid, reason)
        return self.read()

    def write_lock(self) -> AbstractContextManager[None]:
        """Writers to a branch do not wait for each other: who loses the comparison tries again."""
        from contextlib import nullcontext

        return nullcontext()

    def who_writes(self) -> Identity | None:
        return self.committer.known()

    def prepare_write(self) -> None:
        """Let git find out who writes while the caller still reads."""
        self.committer.prepare()
        sweep_leftovers(os.path.join(self.repository.common_dir, "ocuroot"))

    def end_write(self) -> None:
        if self._committer is not None:
            self._committer.drop()

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

    def find_operation(self, name: str, version: Version, since: Oid | None) -> Carried | None:
        from .operations import find_carried

        return find_carried(name, version.oid, since, self.repository, self.committer.environ)

    def move(self, old: Oid | None, new: Oid, reason: str) -> None:
        """Move the branch from `old` (None: it must not exist) to `new`. Raises RefMoved where it stands elsewhere.

        Raises Conflict where a process that is gone has left its lock.
        """
        try:
            self._move(old, new, reason)
        except RefMoved:
            lock = self.held_lock()
            if lock is not None:
                from ..git.locks import refuse_left

                refuse_left(lock)
            raise

    def _move(self, old: Oid | None, new: Oid, reason: str) -> None:
        self._refuse_checked_out()
        if self._has_reference_hook():
            # libgit2 runs no hooks. git does, and compares the old value as well.
            try:
                run(
                    ["-C", self.committer.directory, "update-ref", "-m", reason, self.reference, new, old or ABSENT],
                    self.committer.environ,
                )
            except GitError as error:
                if self.repository.tip(self.reference) != old or f"{self.reference}.lock" in error.stderr:
                    raise RefMoved(self.reference) from None
                raise
        else:
            self.writer.move(self.reference, old, new, reason, self.committer.identities()[1])
        self.repository.written = True

    def _has_reference_hook(self) -> bool:
        hooks = self._config.get("core.hooksPath") or os.path.join(self.repository.common_dir, "hooks")
        hooks = os.path.join(self.committer.directory, os.path.expanduser(hooks))
        return os.access(os.path.join(hooks, "reference-transaction"), os.X_OK)

    def _refuse_checked_out(self) -> None:
        from ..git.worktrees import checked_out_in

        work_tree = checked_out_in(self.repository, self.reference)
        if work_tree is not None:
            raise Fatal(
                f"refusing to move branch '{self.name}', which is checked out at '{work_tree}'",
                hint=f"check out another branch there: git -C '{work_tree}' switch -",
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
