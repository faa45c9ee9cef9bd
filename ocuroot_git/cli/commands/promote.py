"""`git ocuroot promote`: let one environment want what is deployed in another (design 13)."""

from __future__ import annotations

from ...errors import UsageError
from ..arguments import absolute_glob
from ..options import RELATIVE, WRITING, Command, Option
from ..plans import report_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, source: str, target: str, *globs: str, dry_run: bool, expect: str | None, json: bool) -> int:
    from ...delivery import promotion

    if source == target:
        raise UsageError("name two environments")
    patterns = [absolute_glob(context, glob) for glob in globs]
    if dry_run:
        plan = promotion.dry_run(context.snapshot(), source, target, patterns, expect)
    else:
        operation = context.operation("promote")
        plan = promotion.promote(context.stores, source, target, patterns, expect, operation)
    report_plan(context, context.snapshot(), plan, dry_run=dry_run, json=json)
    return 0


COMMAND = Command(
    "promote",
    "Let an environment want what is deployed in another, as one set in one commit. Patterns choose packages "
    "(repo/-/path, //path).",
    "[<options>] <from> <to> [<glob>...]",
    run,
    (
        Option("--dry-run", help="only show what would be wanted"),
        Option("--expect", metavar="<plan>", help="only where this is still what --dry-run showed"),
        Option("--json", help="print a JSON line for each package"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *WRITING),
    least=2,
    notes="Packages that have no deployment to <to> are left out; what is wanted there and not deployed in <from>\n"
    "stays. 'work any' deploys what is wanted.\n"
    "Exit status: 0; 1 where nothing is deployed, or an environment is not there; 3 where a release is held, or what\n"
    "was looked at has moved: then nothing is changed.",
)
