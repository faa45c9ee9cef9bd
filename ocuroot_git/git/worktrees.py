"""The work trees of a repository: in which one a branch is checked out."""

from __future__ import annotations

import os

from .repository import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .repository import Repository


def checked_out_in(repository: Repository, name: str) -> str | None:
    """The work tree in which a branch (full name) is checked out, also unborn or in a rebase; None for none."""
    main = repository.work_tree if os.path.samefile(repository.git_dir, repository.common_dir) else None
    work_trees = [] if repository.is_bare else [(repository.common_dir, main or os.path.dirname(repository.common_dir))]
    linked = os.path.join(repository.common_dir, "worktrees")
    for entry in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
        administrative = os.path.join(linked, entry)
        work_tree = read_text(os.path.join(administrative, "gitdir"))
        work_trees.append((administrative, os.path.dirname(work_tree) if work_tree else administrative))
    for administrative, work_tree in work_trees:
        if read_text(os.path.join(administrative, "HEAD")) == f"ref: {name}":
            return work_tree
        for state in ("rebase-merge/head-name", "rebase-apply/head-name"):
            if read_text(os.path.join(administrative, state)) == name:
                return work_tree
    return None
