"""New stores with all that is in them, made at once from files that are never all in memory (`import`).

The files are written first, as packs beside the object database (`git/fast_import`). Then the store comes into being
with two commits: the first one, which only says what it is, and is the same everywhere; and one that adds all else.
"""

from __future__ import annotations

from ..git.collection import outlast
from ..git.fast_import import packed
from ..git.objects import ObjectError, RefMoved
from ..git.program import GitError
from .base import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Protocol

    from ..git.committer import Committer
    from ..git.fast_import import PackedTree
    from ..git.object_writer import ObjectWriter
    from ..git.objects import Changes, Node, Oid
    from ..git.repository import Repository
    from .base import Filling

    class LocalBranch(Protocol):
        """What is asked of a branch of the user's repository, which is `branch.Branch`."""

        reference: str

        @property
        def repository(self) -> Repository: ...
        @property
        def writer(self) -> ObjectWriter: ...
        @property
        def committer(self) -> Committer: ...
        def begin_write(self) -> None: ...
        def move(self, old: Oid | None, new: Oid, reason: str) -> None: ...
        def keep(self, oid: Oid, changes: Changes | None, edit_again: Callable[[], object]) -> None: ...
        def may_be_collected(self) -> bool: ...

    class RemoteBranch(Protocol):
        """What is asked of a branch of a remote repository, which is `remote.Remote`."""

        committer: Committer

        @property
        def repository(self) -> Repository: ...
        @property
        def object_writer(self) -> ObjectWriter: ...
        def push(self, old: Oid | None, new: Oid, reason: str) -> None: ...


def filling(
    repository: Repository,
    environ: Mapping[str, str],
    contents: Iterable[tuple[str, bytes]],
    make: Callable[[PackedTree], Filling],
) -> AbstractContextManager[Filling]:
    """A block with files that were written for a repository; `make` gives what makes a store of them."""
    from contextlib import contextmanager

    @contextmanager
    def block() -> Iterator[Filling]:
        with packed(repository, environ, contents) as tree:
            yield make(tree)

    return block()


class BranchFilling:
    """The files of a store that is to be a branch of the user's repository."""

    def __init__(self, branch: LocalBranch, tree: PackedTree) -> None:
        self._branch = branch
        self._tree = tree

    def make(self, first: Changes, message: str, reason: str) -> Version:
        branch, writer = self._branch, self._branch.writer
        branch.begin_write()
        commits = _Commits(branch.committer, writer, self._tree, first, {})
        oid = None
        try:
            oid = commits.write(message)
            branch.move(None, oid, reason)
        except (ObjectError, GitError):
            if (oid is not None and writer.holds(oid, None)) or not branch.may_be_collected():
                raise
            raise RefMoved(branch.reference) from None  # what was written may be gone already: from the beginning
        branch.keep(oid, None, commits.edit)
        return Version(oid, branch.repository.root(oid))


class RemoteFilling:
    """The files of a store that is to be a branch of a remote repository."""

    def __init__(self, remote: RemoteBranch, tree: PackedTree, support: Changes) -> None:
        self._remote = remote
        self._tree = tree
        self._support = support

    def make(self, first: Changes, message: str, reason: str) -> Version:
        remote, writer = self._remote, self._remote.object_writer
        writer.begin_write()
        commits = _Commits(remote.committer, writer, self._tree, first, self._support)
        oid = commits.write(message)
        remote.push(None, oid, reason)

        def write_again() -> None:
            writer.write_commits_again()
            commits.edit()

        outlast(writer, oid, None, write_again)
        return Version(oid, remote.repository.root(oid))


class _Commits:
    """The commits of a new store: the first, one with the files that support it if there are any, and all else."""

    def __init__(
        self, committer: Committer, writer: ObjectWriter, tree: PackedTree, first: Changes, support: Changes
    ) -> None:
        self._committer = committer
        self._writer = writer
        self._tree = tree
        self._first = first
        self._support = support

    def write(self, message: str) -> Oid:
        """Write them; gives the newest. Raises ObjectError and GitError."""
        *before, root = self.edit()
        oid = self._committer.first_commit(self._writer, self._first)
        if self._support:
            oid = self._committer.commit(self._writer, before[-1], [oid], SUPPORT_MESSAGE)
        return self._committer.commit(self._writer, root, [oid], message)

    def edit(self) -> list[Node]:
        """Write their trees; gives them, the oldest first."""
        trees = [self._writer.edit(None, self._first)]
        root = self._tree.take_over(self._writer)
        if self._support:
            trees.append(self._writer.edit(trees[0], self._support))
            root = self._writer.edit(root, self._support)
        return [*trees, root]


SUPPORT_MESSAGE = "Add the files that support the store\n"
"""Of the commit of such files. They are not in the first one, which is the same everywhere."""
