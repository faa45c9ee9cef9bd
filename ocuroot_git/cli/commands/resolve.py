"""`git ocuroot resolve`: print the refs behind links."""

from __future__ import annotations

from ...formats.documents import dump
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, *refs: str, at: str | None, json: bool) -> int:
    snapshot = context.snapshot(at)
    for ref in refs:
        resolved = snapshot.resolve(snapshot.named(ref))
        if json:
            context.terminal.json(dump({"ref": ref, "resolved": resolved}, None))
        else:
            context.terminal.record(context.terminal.name(resolved))
    return 0


COMMAND = Command(
    "resolve",
    "Print the ref behind all links for each ref, as the store spells it. A ref need not exist.",
    "[<options>] <ref>...",
    run,
    (
        Option(
            "--at",
            metavar="<rev>",
            help="read the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
        Option("--json", help="print a JSON line for each: the ref, and what it leads to"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *READING),
    least=1,
)
