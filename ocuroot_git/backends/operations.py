"""Looking for an operation in the history of a branch: whether a change that was asked for was made already."""

from __future__ import annotations

from ..formats.commit_message import command_of, operation_line, operations_of
from ..git.objects import Oid
from ..git.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..formats.operation import Operation


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
    name: str, start: Oid | None, since: Oid | None, directory: str, environ: Mapping[str, str]
) -> Carried | None:
    """The commit that carries an operation, in the history of `start` without that of `since`; the first of several.

    `directory` is the repository. git finds the commits whose text has the line, whatever its letters mean in a
    pattern; only those count that have it as a trailer.
    """
    if start is None or start == since:
        return None
    span = [start, *([f"^{since}"] if since else [])]
    search = ["--fixed-strings", f"--grep={operation_line(name)}", "--encoding=UTF-8", "--format=%H%x00%P%x00%B%x00"]
    output = run(["rev-list", *search, *span, "--"], {**environ, "GIT_DIR": directory})
    fields = output.decode(errors="replace").split("\0")[:-1]
    for commit, parents, message in reversed(list(zip(fields[::3], fields[1::3], fields[2::3]))):
        for operation in operations_of(message):
            if operation.name == name:
                before = Oid(parents.partition(" ")[0]) if parents else None
                return Carried(Oid(commit.rpartition("\n")[2]), before, message, operation)
    return None
