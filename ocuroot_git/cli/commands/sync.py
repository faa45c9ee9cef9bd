"""`git ocuroot sync`: fetch, bring together, and push."""

from __future__ import annotations

from ...sync.remotes import each_place
from ..options import Command
from .push import CHOICES, choice_of, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..options import Parsed


def run(context: Context, options: Parsed) -> int:
    for where, sharing in each_place(context.stores, context.settings, options.arguments):
        if sharing is None:
            context.terminal.remark(f"{where}: up to date with the remote")
        else:
            tell(context, where, sharing, sharing.push(choice_of(options), fetch_first=True))
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
