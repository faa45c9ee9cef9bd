"""History through git's commit-graph: which commits changed a path, by Bloom filters of the paths that each changed.

The graph is written into a small bare repository of our own (`ocuroot/history.git` beside the user's objects, which
it finds as its alternate), never among the user's objects. It may be deleted at any time. What is asked of it is
asked of git; where git cannot answer, for whatever reason, the caller walks the commits instead.
"""

from __future__ import annotations

import os

from .objects import Oid
from .program import GitError, run
from .scratch import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO, Final

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
_BLOOM: Final = b"BDAT"
_OID_SIZE: Final = 20


class CommitGraph:
    """The commit-graph of one repository. `may_write`: whether it may be made and brought up to date."""

    def __init__(self, repository: Repository, environ: Mapping[str, str], *, may_write: bool = True) -> None:
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

    def changed(self, start: Oid, paths: Sequence[str], *, write: Oid | None = None) -> list[Oid] | None:
        """The commits that changed any of the paths, along the first parents of `start`, newest first.

        Each is compared with its first parent, the first commit with nothing. None where there is no graph that knows
        `start`; where it is worth the time to make one, `write` is the commit whose history it is to know.
        """
        if not self._is_of_use or not paths:
            return None
        try:
            git_dir = self._git_dir_of(start)
            if git_dir is None and write and self._may_write:
                self._write(write)
                git_dir = self._git_dir_of(start)
            return None if git_dir is None else self._ask(git_dir, start, list(dict.fromkeys(paths)))
        except (GitError, OSError):
            return None

    def _git_dir_of(self, commit: Oid) -> str | None:
        """The repository whose graph knows a commit and what it changed: the user's own, or ours."""
        oid = bytes.fromhex(commit)
        if _knows(os.path.join(self._objects, "info"), oid):
            return self._parent
        return self.path if _knows(os.path.join(self.path, "objects", "info"), oid) else None

    def _ask(self, git_dir: str, start: Oid, paths: list[str]) -> list[Oid]:
        # The filters serve one path at a time.
        histories = [self._rev_list(git_dir, start, path) for path in paths]
        histories = [commits for commits in histories if commits]
        if len(histories) < 2:
            return histories[0] if histories else []
        wanted = {commit for commits in histories for commit in commits}
        if all(len(commits) == len(wanted) for commits in histories):
            return histories[0]
        return [commit for commit in self._rev_list(git_dir, start) if commit in wanted]

    def _rev_list(self, git_dir: str, start: Oid, *paths: str) -> list[Oid]:
        arguments = ["--git-dir", git_dir, "rev-list", "--first-parent", start, "--", *map(os.fsencode, paths)]
        return [Oid(oid) for oid in run(arguments, self._environ).decode().split()]  # type: ignore[arg-type]

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


def _knows(info: str, oid: bytes) -> bool:
    """Whether a graph in `objects/info` has a commit, with the paths that it changed."""
    chain = os.path.join(info, "commit-graphs")
    files = [os.path.join(info, "commit-graph")]
    try:
        with open(os.path.join(chain, "commit-graph-chain"), encoding="ascii") as lines:
            files += [os.path.join(chain, f"graph-{line.strip()}.graph") for line in lines]
    except (OSError, ValueError):
        pass  # there is none
    return any(_file_knows(file, oid) for file in files)


def _file_knows(path: str, oid: bytes) -> bool:
    """The same of one file: see gitformat-commit-graph(5)."""
    try:
        with open(path, "rb") as file:
            return _lookup(file, oid)
    except (OSError, ValueError, KeyError):
        return False  # not there, or not of a form that we know


def _lookup(file: BinaryIO, oid: bytes) -> bool:
    header = file.read(8)
    if header[:6] != b"CGPH\1\1":
        return False
    chunks = {}
    for _ in range(header[6] + 1):
        entry = file.read(12)
        chunks[entry[:4]] = int.from_bytes(entry[4:], "big")
    if _BLOOM not in chunks:
        return False
    file.seek(chunks[b"OIDF"] + 4 * max(oid[0] - 1, 0))
    bounds = file.read(8)
    low = int.from_bytes(bounds[:4], "big") if oid[0] else 0
    high = int.from_bytes(bounds[4:] if oid[0] else bounds[:4], "big")
    file.seek(chunks[b"OIDL"] + _OID_SIZE * low)
    ids = file.read(_OID_SIZE * (high - low))
    return any(ids[at : at + _OID_SIZE] == oid for at in range(0, len(ids), _OID_SIZE))
