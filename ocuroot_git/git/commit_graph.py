"""History through git's commit-graph: which commits changed a path, by Bloom filters of the paths that each changed.

The graph is written into a small bare repository of our own (`ocuroot/history.git` beside the user's objects, which
it finds as its alternate), never among the user's objects. It may be deleted at any time. What is asked of it is
asked of git; where git cannot answer, for whatever reason, the caller walks the commits instead.
"""

from __future__ import annotations

import os

from .graph_files import GraphFiles
from .objects import ObjectError, Oid, Unanswered
from .path_filters import PathFilters
from .program import GitError, run
from .program import start as start_program
from .scratch import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from typing import Final

    from .objects import Node
    from .program import Child
    from .repository import Repository

DIRECTORY: Final = os.path.join("ocuroot", "history.git")
"""Where the graph lies, below the common directory of the repository."""

_ALTERNATE: Final = "../../../objects\n"
"""The user's objects as seen from our own: relative, so that both can be moved."""
_FILES: Final = {
    "HEAD": "ref: refs/heads/none\n",
    "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    os.path.join("objects", "info", "alternates"): _ALTERNATE,
}
_ELSEWHERE: Final = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
_MOST_PROCESSES: Final = 16
"""Paths of which each is asked for by a process of its own; more are asked for together, without the filters."""


class CommitGraph:
    """The commit-graph of one repository. `may_write`: whether it may be made and brought up to date.

    In `read` its files are kept as they were read, by their directory, for those who ask again.
    """

    def __init__(
        self,
        repository: Repository,
        environ: Mapping[str, str],
        *,
        may_write: bool = True,
        read: dict[str, PathFilters] | None = None,
    ) -> None:
        self._read = {} if read is None else read
        self._repository = repository
        self._objects = os.path.join(repository.common_dir, "objects")
        self._parent = repository.common_dir
        self.path = os.path.join(repository.common_dir, DIRECTORY)
        # Replacements are nothing that libgit2 knows; and a path is a path, whatever characters are in it.
        names = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE")
        own = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_LITERAL_PATHSPECS": "1", "GIT_NO_LAZY_FETCH": "1"}
        self._environ = {**{key: value for key, value in environ.items() if key not in names}, **own}
        self._may_write = may_write
        # A commit-graph knows no commits whose parents are not here, nor trees that would have to be fetched.
        self._is_of_use = not (
            repository.is_partial
            or any(environ.get(key) for key in _ELSEWHERE)
            or os.path.lexists(os.path.join(repository.common_dir, "shallow"))
            or os.path.lexists(os.path.join(repository.common_dir, "info", "grafts"))
        )

    @property
    def is_there(self) -> bool:
        """Whether one of our own was made, to which it is quick to add."""
        return os.path.lexists(os.path.join(self.path, "objects", "info", "commit-graphs"))

    def changed(
        self,
        start: Oid,
        paths: Sequence[str],
        *,
        write: Oid | None = None,
        known: Mapping[str, Sequence[Oid]] | None = None,
        take: Callable[[str, list[Oid]], None] = lambda path, commits: None,
    ) -> Generator[Oid, None, None] | None:
        """The commits that changed any of the paths, along the first parents of `start`, newest first, as they come.

        Each is compared with its first parent, the first commit with nothing. None where there is no graph that knows
        `start`; where it is worth the time to make one, `write` is the commit whose history it is to know. The iterator
        raises Unanswered where git fails; whoever does not go on to its end closes it.

        Of the paths that are `known`, the commits are given. What git finds of any other, to the end, `take` is told.
        """
        if not self._is_of_use or not paths:
            return None
        git_dir = self._git_dir_of(start)
        if git_dir is None and write and self._may_write:
            try:
                self._write(write)
            except (GitError, OSError):
                return None
            git_dir = self._git_dir_of(start)
        return None if git_dir is None else self._ask(git_dir, start, list(dict.fromkeys(paths)), known or {}, take)

    def _git_dir_of(self, commit: Oid) -> str | None:
        """The repository whose graph knows a commit and what it changed: the user's own, or ours."""
        for git_dir, objects in ((self._parent, self._objects), (self.path, os.path.join(self.path, "objects"))):
            with GraphFiles(os.path.join(objects, "info")) as files:
                if files.knows(commit):
                    return git_dir
        return None

    def _ask(
        self,
        git_dir: str,
        start: Oid,
        paths: list[str],
        known: Mapping[str, Sequence[Oid]],
        take: Callable[[str, list[Oid]], None],
    ) -> Generator[Oid, None, None]:
        unknown = [path for path in paths if path not in known]
        children: list[Child] = []
        histories = [iter(known[path]) for path in paths if path in known]
        filters = self._filters(git_dir, unknown)
        if filters is not None:
            histories.append(self._by_filters(filters, start, unknown, take))
            unknown = []
        # git's filters serve one path at a time, and so several processes find several paths sooner than one.
        groups = [[path] for path in unknown] if len(unknown) <= _MOST_PROCESSES else [unknown] if unknown else []
        try:
            for group in groups:
                words = ["--git-dir", git_dir, "rev-list", "--first-parent", start, "--", *group]
                child = start_program(words, self._environ)
                children.append(child)
                found = map(Oid, child.lines())
                histories.append(found if len(group) > 1 else _told(found, group[0], take))
            if len(histories) == 1:
                yield from histories[0]
            else:
                with GraphFiles(os.path.join(git_dir, "objects", "info")) as files:
                    yield from _in_order(histories, files)
        except (GitError, OSError, ObjectError) as error:
            raise Unanswered(str(error)) from None
        finally:
            for child in children:
                child.drop()

    def _filters(self, git_dir: str, paths: Sequence[str]) -> PathFilters | None:
        """The filters in which paths can be looked for here; None where git has to be asked."""
        if not paths:
            return None
        info = os.path.join(git_dir, "objects", "info")
        try:
            if info not in self._read or not self._read[info].are_current:
                self._read[info] = PathFilters(info)
        except Unanswered:
            return None
        filters = self._read[info]
        return filters if all(map(filters.can_tell, paths)) else None

    def _by_filters(
        self, filters: PathFilters, start: Oid, paths: Sequence[str], take: Callable[[str, list[Oid]], None]
    ) -> Iterator[Oid]:
        """The commits that changed any of some paths, of those that may have; at their end `take` is told of all.

        Where nobody goes on to the end, it is told of the paths for which there was none: to see that there is none at
        all costs the same for each who asks, and they are asked for again.
        """
        found: dict[str, list[Oid]] = {path: [] for path in paths}
        wanted = list(paths)
        candidates = filters.along(start, wanted)
        try:
            for commit, some in candidates:
                changed = self._changed_of(commit, some)
                for path in changed:
                    found[path].append(commit)
                if changed:
                    yield commit
        except GeneratorExit:
            wanted[:] = [path for path in wanted if not found[path]]
            found = {path: [] for path in wanted}
            try:
                for commit, some in candidates:
                    for path in self._changed_of(commit, [path for path in some if path in found]):
                        found[path].append(commit)
            except (Unanswered, ObjectError):
                found = {}
            for path, commits in found.items():
                take(path, commits)
            raise
        for path, commits in found.items():
            take(path, commits)

    def _changed_of(self, commit: Oid, paths: Sequence[str]) -> list[str]:
        """Those of some paths that a commit changed. Raises ObjectError."""
        if not paths:
            return []
        repository = self._repository
        root, parents, _ = repository.header(commit)
        after = repository.tree(root)
        before = repository.tree(repository.header(parents[0])[0]) if parents else None
        return [path for path in paths if _differs(repository, before, after, path.split("/"))]

    def _write(self, start: Oid) -> None:
        """Add the history of a commit to the graph; one process at a time, and the others do without."""
        import fcntl

        self._make()
        lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            info = os.path.join(self.path, "objects", "info")
            for left in ("commit-graph.lock", os.path.join("commit-graphs", "commit-graph-chain.lock")):
                if os.path.lexists(os.path.join(info, left)):
                    os.unlink(os.path.join(info, left))  # of a git that was killed: we hold the lock that counts
            try:
                self._add(start, "--split")
            except GitError:
                # A graph that is damaged, or knows commits that have gone since: all of it anew.
                self._add(start, "--split=replace")
        finally:
            os.close(lock)

    def _add(self, start: Oid, *options: str) -> None:
        arguments = ["commit-graph", "write", "--stdin-commits", "--changed-paths", "--no-progress"]
        run(["--git-dir", self.path, *arguments, *options], self._environ, data=f"{start}\n".encode())

    def _make(self) -> None:
        """Make the repository, whole or not at all. Raises OSError."""
        alternates = os.path.join(self.path, "objects", "info", "alternates")
        if os.path.isfile(alternates):
            return
        with scratch(os.path.dirname(self.path), "history") as directory:
            made = os.path.join(directory, "new")
            for name, text in _FILES.items():
                os.makedirs(os.path.dirname(os.path.join(made, name)), exist_ok=True)
                with open(os.path.join(made, name), "w", encoding="utf-8") as file:
                    file.write(text)
            os.mkdir(os.path.join(made, "refs"))
            try:
                os.rename(made, self.path)
            except OSError:
                if not os.path.isfile(alternates):  # else another process was faster
                    raise


def _differs(repository: Repository, before: Node | None, after: Node | None, names: list[str]) -> bool:
    """Whether there is something else at a path in two trees."""
    for name in names:
        if before is not None and after is not None and repository.oid(before) == repository.oid(after):
            return False
        before, after = (
            repository.child(node, name) if node is not None and repository.is_tree(node) else None
            for node in (before, after)
        )
    return (before is None or repository.oid(before)) != (after is None or repository.oid(after))


def _told(commits: Iterator[Oid], path: str, take: Callable[[str, list[Oid]], None]) -> Iterator[Oid]:
    """The commits that changed a path; at their end `take` is told of all."""
    found = []
    for commit in commits:
        found.append(commit)
        yield commit
    take(path, found)


def _in_order(histories: list[Iterator[Oid]], files: GraphFiles) -> Iterator[Oid]:
    """The commits of several histories along the same first parents as one, each once, newest first.

    Their order is that of their levels, whatever clocks say. Raises Unanswered where the graph does not tell them.
    """
    heads: list[tuple[int, Oid, Iterator[Oid]]] = []

    def add_next(history: Iterator[Oid]) -> None:
        commit = next(history, None)
        if commit is not None:
            level = files.level(commit)
            if level is None:
                raise Unanswered(f"the commit-graph does not tell where {commit} stands")
            heads.append((level, commit, history))

    for history in histories:
        add_next(history)
    while heads:
        _, newest, _ = max(heads, key=lambda head: head[0])
        yield newest
        for head in [head for head in heads if head[1] == newest]:
            heads.remove(head)
            add_next(head[2])
