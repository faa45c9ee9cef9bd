"""Which files a commit of the source code has, and which differ between two commits."""

from __future__ import annotations

from .environment import exactly
from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .objects import Oid
    from .repository import Repository


def paths_of(repository: Repository, environ: Mapping[str, str], commit: Oid, below: str) -> list[str]:
    """The paths of all files of a commit below a directory, as seen from there. Raises GitError."""
    return _paths(repository, environ, below, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)


def paths_changed(repository: Repository, environ: Mapping[str, str], old: Oid, new: Oid, below: str) -> list[str]:
    """The paths below a directory, as seen from there, of files that differ between commits. Raises GitError."""
    return _paths(repository, environ, below, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)


def uncommitted(repository: Repository, environ: Mapping[str, str]) -> list[str]:
    """The paths of files of the work tree, as git knows them, that are not as they are committed. Raises GitError."""
    if repository.work_tree is None:
        return []
    arguments = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no"]
    printed = run(arguments, exactly(repository, environ)).decode(errors="surrogateescape")
    return [entry[3:] for entry in printed.split("\0") if entry]


def _paths(repository: Repository, environ: Mapping[str, str], below: str, *arguments: str) -> list[str]:
    head = f"{below}/" if below else ""
    printed = run(["--git-dir", repository.git_dir, *arguments], environ).decode(errors="surrogateescape")
    return [path[len(head) :] for path in printed.split("\0") if path and path.startswith(head)]
