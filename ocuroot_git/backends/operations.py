"""Looking for an operation in the history of a branch: whether a change that was asked for was made already."""

from __future__ import annotations

from ..formats.commit_message import command_of, operation_line, operations_of
from ..git.objects import ObjectError, Oid
from ..git.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..formats.operation import Operation
    from ..git.repository import Repository

_FEW: Final = 200
"""Commits that are read here faster than git has started."""


class Carried:
    """An operation as a commit carries it. `before` is the commit's parent, None for the first."""

    __slots__ = ("before", "command", "commit", "operation", "subject")

    def __init__(self, commit: Oid, before: Oid | None, message: str, operation: Operation) -> None:
        self.commit = commit
        self.before = before
        self.command = command_of(message)
        self.subject = message.partition("\n")[0]
        self.operation = operation


def find_carried(
    name: str, start: Oid | None, since: Oid | None, repository: Repository, environ: Mapping[str, str]
) -> Carried | None:
    """The commit that carries an operation, in the history of `start` without that of `since`; the first of several.

    git finds the commits whose text has the line, whatever its letters mean in a pattern; only those count that have it
    as a trailer. A few commits in one line are read without git.
    """
    if start is None or start == since:
        return None
    is_known, carried = _find_in_line(name, start, since, repository)
    if is_known:
        return carried
    span = [start, *([f"^{since}"] if since else [])]
    search = ["--fixed-strings", f"--grep={operation_line(name)}", "--encoding=UTF-8", "--format=%H%x00%P%x00%B%x00"]
    output = run(["rev-list", *search, *span, "--"], {**environ, "GIT_DIR": repository.git_dir})
    fields = output.decode(errors="replace").split("\0")[:-1]
    for commit, parents, message in reversed(list(zip(fields[::3], fields[1::3], fields[2::3]))):
        for operation in operations_of(message):
            if operation.name == name:
                before = Oid(parents.partition(" ")[0]) if parents else None
                return Carried(Oid(commit.rpartition("\n")[2]), before, message, operation)
    return None


def _find_in_line(name: str, start: Oid, since: Oid | None, repository: Repository) -> tuple[bool, Carried | None]:
    """As `find_carried`, where `start` is a few commits beyond `since`, in one line; and whether that is so."""
    found: Carried | None = None
    at = start
    for _ in range(_FEW if since is not None else 0):
        if at == since:
            return True, found
        try:
            commit = repository.message_and_parents(at)
        except ObjectError:
            break  # `git gc` moves it right now: git finds it
        if commit is None or len(commit[1]) != 1:
            break
        message, (before,) = commit
        for operation in operations_of(message) if name in message else ():
            if operation.name == name:
                found = Carried(at, before, message, operation)
        at = before
    return False, None
