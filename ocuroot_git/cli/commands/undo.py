"""`git ocuroot undo`: take back what one commit did (design 13)."""

from __future__ import annotations

from ...formats.documents import dump
from ..arguments import need_history
from ..options import WRITING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, revision: str | None = None, *, dry_run: bool, json: bool) -> int:
    from ...delivery import undo

    need_history(context)
    if dry_run:
        done = undo.dry_run(context.snapshot(), revision)
    else:
        done = undo.undo(context.stores, revision, context.operation("undo"))
    for change in done["changes"]:
        if json:
            context.terminal.json(dump({**change, "undone": done["commit"]}, None))
        else:
            context.terminal.record(f"{change['status']}\t{context.terminal.name(change['ref'])}")
    return 0


COMMAND = Command(
    "undo",
    "Take back what a commit of a store did to intents, custom documents and environments, by a new commit: by default "
    "the newest commit of the intent store.",
    "[<options>] [<commit>]",
    run,
    (
        Option("--dry-run", help="only say what would change"),
        Option("--json", help="print a JSON line for each ref"),
        Option("-z", help="end records with NUL"),
    ),
    common=WRITING,
    most=1,
    notes="Prints A, M or D and the ref for each that changes. The record of releases and runs is not undone.\n"
    "Exit status: 0; 1 where no store has the commit; 3 where what it changed was changed again: then nothing is\n"
    "changed; 128 where it is not to be undone.",
)
