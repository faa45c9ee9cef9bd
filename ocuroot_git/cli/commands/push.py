"""`git ocuroot push`: give others what was written here."""

from __future__ import annotations

from ...errors import UsageError
from ...sync.remotes import each_place
from ..options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...sync.branch_sync import Outcome, Sharing
    from ...sync.merge import Choice
    from ..context import Context
    from ..options import Parsed

CHOICES = (
    Option("--ours", help="where both sides changed a document, take the one here"),
    Option("--theirs", help="where both sides changed a document, take the one there"),
)


def run(context: Context, options: Parsed) -> int:
    for where, sharing in each_place(context.stores, context.settings, options.arguments):
        if sharing is None:
            context.terminal.remark(f"{where}: nothing to push, what is written there is there at once")
        else:
            tell(context, where, sharing, sharing.push(choice_of(options)))
    return 0


def choice_of(options: Parsed) -> Choice:
    """Which side wins. Raises UsageError."""
    if options.ours and options.theirs:
        raise UsageError("--ours and --theirs exclude each other")
    return "ours" if options.ours else "theirs" if options.theirs else None


def tell(context: Context, where: str, sharing: Sharing, outcome: Outcome) -> None:
    """Say what a push or sync did."""
    if outcome.made:
        said = f"made from '{sharing.remote}'"
    elif outcome.replayed:
        said = f"replayed on {outcome.moved} new from '{sharing.remote}', and pushed"
    elif outcome.pushed:
        said = f"pushed to '{sharing.remote}'"
    elif outcome.moved:
        said = f"{outcome.moved} new from '{sharing.remote}'"
    else:
        said = f"up to date with '{sharing.remote}'"
    context.terminal.remark(f"{where}: {said}")


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
