"""`git ocuroot push`: give others what was written here."""

from __future__ import annotations

from ...sync.remotes import each_backend
from ..arguments import CHOICES, choice_of
from ..options import Command
from ..reports import report_sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, remote: str | None = None, *, ours: bool, theirs: bool) -> int:
    shares = False
    for where, sharing in each_backend(context.stores, context.settings, remote):
        shares = shares or sharing is not None
        if sharing is None:
            context.terminal.remark(f"{where}: nothing to push, what is written there is there at once")
        else:
            report_sharing(context.terminal, where, sharing, sharing.push(choice_of(ours=ours, theirs=theirs)))
    if not shares and context.settings.repo_file() is not None:
        context.terminal.remark(
            "Ocuroot's 'push' is another thing: 'git ocuroot release changed' releases what changed"
        )
    return 0


COMMAND = Command(
    "push",
    "Push the branches of the stores to a remote. Where it has moved, the documents changed here are replayed on its "
    "new tip; nothing is ever forced.",
    "[--ours | --theirs] [<remote>]",
    run,
    CHOICES,
    most=1,
    notes="Exit status: 0; 3 where both sides changed a document to different values, and nothing was moved.",
)
