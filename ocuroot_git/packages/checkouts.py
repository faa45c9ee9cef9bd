"""Where the files of a commit lie while functions of a package run: the work tree, or one made for the purpose."""

from __future__ import annotations

import os
import threading

from ..errors import Fatal
from ..git.program import GitError
from ..git.program import run as run_git
from ..git.repository import Repository
from ..git.scratch import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from ..git.objects import Oid


class Checkouts:
    """Gives each commit a directory with its files, for as long as a command lasts; threads may share it.

    The commit that is checked out has the work tree itself, so that what an earlier run left there is found. Of any
    other a work tree is made below `.git/ocuroot/checkouts`, one for all runs of the commit, and removed at the end.
    """

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._environ = environ
        self._lock = threading.Lock()
        self._made: dict[Oid, str] = {}
        self._stack: ExitStack | None = None

    def directory_of(self, commit: Oid) -> str:
        """The directory with the files of a commit. Raises Fatal."""
        with self._lock:
            repository = Repository.open(self._directory, self._environ)
            if repository.work_tree and _head(repository) == commit:
                return repository.work_tree
            if commit not in self._made:
                self._made[commit] = self._make(repository, commit)
            return self._made[commit]

    def _make(self, repository: Repository, commit: Oid) -> str:
        from contextlib import ExitStack

        if self._stack is None:
            self._stack = ExitStack()
            self._stack.callback(self._git, repository, "worktree", "prune")
        try:
            path = self._stack.enter_context(
                scratch(os.path.join(repository.common_dir, "ocuroot", "checkouts"), commit)
            )
            # Hooks are for people who check something out.
            self._git(
                repository, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "-q", "--detach", path, commit
            )
        except OSError as error:
            raise Fatal(f"cannot check out {commit}: {error.strerror}") from None
        except GitError as error:
            raise Fatal(f"cannot check out {commit}: {error.message}") from None
        return path

    def _git(self, repository: Repository, *arguments: str) -> None:
        run_git(["--git-dir", repository.common_dir, *arguments], self._environ)

    def close(self) -> None:
        """Remove what was made."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None


def _head(repository: Repository) -> str | None:
    try:
        return repository.resolve("HEAD")
    except Fatal:
        return None  # a branch without commits
