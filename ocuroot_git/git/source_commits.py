"""The commits of a repository between two of its commits, as `git log` has them."""

from __future__ import annotations

from .objects import Oid, is_whole_id
from .program import GitError, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .repository import Repository


class SourceCommit:
    """A commit of source code: its id, who wrote it, when (RFC 3339), and the first line of its message."""

    __slots__ = ("author", "oid", "subject", "time")

    def __init__(self, oid: Oid, author: str, time: str, subject: str) -> None:
        self.oid = oid
        self.author = author
        self.time = time
        self.subject = subject


def commits_between(
    repository: Repository, environ: Mapping[str, str], old: str, new: str
) -> list[SourceCommit] | None:
    """The commits that are in the history of `new` and not in that of `old`, newest first.

    None where one of them is no commit that is here, or history between them may end here.
    """
    for end in (old, new):
        if not is_whole_id(end) or not repository.has(Oid(end)):
            return None
    if repository.history_ends():
        return None
    arguments = ["--git-dir", repository.git_dir, "log", "-z", "--format=%H%x00%an%x00%aI%x00%s", new, f"^{old}", "--"]
    try:
        printed = run(arguments, {**environ, "GIT_NO_LAZY_FETCH": "1"}).decode(errors="replace")
    except GitError:
        return None
    fields = printed.split("\0") if printed else []
    pieces = [fields[start : start + 4] for start in range(0, len(fields) - 3, 4)]
    return [SourceCommit(Oid(oid), author, time, subject) for oid, author, time, subject in pieces]
