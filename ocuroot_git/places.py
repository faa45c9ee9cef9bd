"""Places where stores lie: a branch of a repository. `directory.py` is the other form, behind the same interface.

A place is read at a `Version` and written by compare-and-swap against one. Neither knows refs or documents.
"""

from __future__ import annotations

import os

from .errors import Fatal
from .git import GitError, Identities, run
from .objects import Identity, Moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from typing import Any, Final, Protocol

    from .git import Config
    from .objects import Changes, Repository
    from .tree import Files, Node

    class Place(Protocol):
        """Where a store lies: files to read at a version, and a way to replace that version by another."""

        files: Files

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

        def maintain(self) -> None:
            """Tidy up after writing, once, at the end of a process."""


_FIRST: Final = Identity("Ocuroot", "ocuroot@localhost", 1767225600, 0)
"""Who makes the first commit of a store, everywhere and always: 2026-01-01T00:00:00Z."""
_FIRST_MESSAGE: Final = "Create the store\n"


class Version:
    """A place as it stood at one moment: the commit (None: no branch, or no commits), and the tree at its top."""

    __slots__ = ("oid", "root")

    def __init__(self, oid: str | None, root: Node | None) -> None:
        self.oid = oid
        self.root = root


class Branch:
    """A branch of a repository as the place of a store. It is never checked out, and moved only by compare-and-swap."""

    def __init__(self, repository: Repository, name: str, config: Config, environ: Mapping[str, str]) -> None:
        self.repository = repository
        self.files: Files = repository
        self.name = name
        self.reference = f"refs/heads/{name}"
        self.written = False
        self._config = config
        self._environ = environ
        self._identities: Identities | None = None

    @property
    def where(self) -> str:
        return f"branch '{self.name}'"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Branch):
            return NotImplemented
        same_repository = os.path.realpath(self.repository.common_dir) == os.path.realpath(other.repository.common_dir)
        return same_repository and self.name == other.name

    def __hash__(self) -> int:
        return hash((os.path.realpath(self.repository.common_dir), self.name))

    def read(self, at: str | None = None) -> Version:
        oid = self.repository.tip(self.reference) if at is None else self.repository.resolve(at)
        return Version(oid, None if oid is None else self.repository.root(oid))

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        self._refuse_checked_out()
        tree = self.repository.edit(version.root, changes)
        if tree is None:
            raise Fatal(f"{self.where}: refusing to write an empty tree")
        if version.root is not None and tree.id == version.root.id:
            return version
        author, committer = self._who()
        parents = [version.oid] if version.oid else []
        if self._config.get_bool("commit.gpgSign"):
            oid = self._signed_commit(tree, parents, message, author, committer)
        else:
            oid = self.repository.write_commit(tree, parents, message, author, committer)
        self._move(version.oid, oid, reason, committer)
        return Version(oid, tree)

    def create(self, changes: Changes) -> Version:
        self._refuse_checked_out()
        tree = self.repository.edit(None, changes)
        oid = self.repository.write_commit(tree, [], _FIRST_MESSAGE, _FIRST, _FIRST)
        self._move(None, oid, "ocuroot: create the store", self._who()[1])
        return Version(oid, tree)

    def adopt(self, oid: str, reason: str) -> Version:
        """Make the branch, which does not exist, point to a commit that does. Raises Moved where it exists by now."""
        self._refuse_checked_out()
        self._move(None, oid, reason, self._who()[1])
        return self.read()

    def turn(self) -> AbstractContextManager[None]:
        """Writers to a branch do not wait for each other: who loses the comparison tries again."""
        from contextlib import nullcontext

        return nullcontext()

    def prepare_write(self) -> None:
        """Let git find out who writes while the caller still reads."""
        if self._identities is None:
            self._identities = Identities(self.repository.git_dir, self._environ)

    def maintain(self) -> None:
        """Let git tidy up, as its own commands do after they wrote; at most once, and only after a write."""
        if self.written:
            self.written = False
            try:
                run(["-C", self.repository.git_dir, "maintenance", "run", "--auto", "--quiet"], self._environ)
            except GitError:
                pass  # what was to be written is written; git reports its own trouble at its next maintenance

    def _who(self) -> tuple[Identity, Identity]:
        self.prepare_write()
        assert self._identities is not None
        return self._identities.now()

    def _move(self, old: str | None, new: str, reason: str, committer: Identity) -> None:
        if self._has_reference_hook():
            # libgit2 runs no hooks. git does, and compares the old value as well.
            try:
                run(
                    ["-C", self.repository.git_dir, "update-ref", "-m", reason, self.reference, new, old or "0" * 40],
                    self._environ,
                )
            except GitError:
                if self.repository.tip(self.reference) != old:
                    raise Moved(self.reference) from None
                raise
        else:
            self.repository.move(self.reference, old, new, reason, committer)
        self.written = True

    def _has_reference_hook(self) -> bool:
        hooks = self._config.get("core.hooksPath") or os.path.join(self.repository.common_dir, "hooks")
        base = self.repository.work_tree or self.repository.git_dir
        return os.access(os.path.join(base, os.path.expanduser(hooks), "reference-transaction"), os.X_OK)

    def _signed_commit(self, tree: Any, parents: list[str], message: str, author: Identity, committer: Identity) -> str:
        arguments = ["-C", self.repository.git_dir, "commit-tree", "-S", self.repository.oid(tree)]
        for parent in parents:
            arguments += ["-p", parent]
        who = {}
        for role, identity in (("AUTHOR", author), ("COMMITTER", committer)):
            sign, minutes = "-" if identity.offset < 0 else "+", abs(identity.offset)
            who[f"GIT_{role}_NAME"] = identity.name
            who[f"GIT_{role}_EMAIL"] = identity.email
            who[f"GIT_{role}_DATE"] = f"{identity.time} {sign}{minutes // 60:02}{minutes % 60:02}"
        return run(arguments, {**self._environ, **who}, data=message.encode()).decode().strip()

    def _refuse_checked_out(self) -> None:
        place = self.repository.checked_out_in(self.reference)
        if place is not None:
            raise Fatal(
                f"refusing to move branch '{self.name}', which is checked out at '{place}'",
                hint=f"check out another branch there: git -C {place} switch -",
            )
