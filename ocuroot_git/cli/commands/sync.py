"""`git ocuroot sync`: fetch, bring together, and push."""

from __future__ import annotations

from ...sync.remotes import each_backend
from ..arguments import CHOICES, choice_of
from ..options import Command
from ..reports import report_sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, remote: str | None = None, *, ours: bool, theirs: bool) -> int:
    for where, sharing in each_backend(context.stores, context.settings, remote):
        if sharing is None:
            context.terminal.remark(f"{where}: up to date with the remote")
        else:
            choice = choice_of(ours=ours, theirs=theirs)
            report_sharing(context.terminal, where, sharing, sharing.push(choice, fetch_first=True))
    return 0


COMMAND = Command(
    "sync",
    "Bring the branches of the stores and those of a remote together: take over what is new there, replay what was "
    "changed here, and push.",
    "[--ours | --theirs] [<remote>]",
    run,
    CHOICES,
    most=1,
    notes="Exit status: 0; 3 where both sides changed a document to different values, and nothing was moved.",
)
