"""`git ocuroot rollback`: let an environment want what was deployed there before (design 13)."""

from __future__ import annotations

from ...errors import UsageError
from ..arguments import absolute_glob
from ..options import RELATIVE, WRITING, Command, Option
from ..plans import report_plan
from ..reports import report_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(
    context: Context,
    environment: str,
    *globs: str,
    to: str | None,
    no_hold: bool,
    keep_new: bool,
    dry_run: bool,
    expect: str | None,
    json: bool,
) -> int:
    from ...delivery import rollback

    reason = context.options.message
    if to is None:
        raise UsageError("roll back to what? give --to <date>, <commit> or <release>")
    if not (reason or dry_run or no_hold):
        raise UsageError("say why: -m <text>", hint="the releases that are left are held for it; --no-hold holds none")
    patterns = [absolute_glob(context, glob) for glob in globs]
    operation = context.operation("rollback")
    change = rollback.change_to(context.stores, environment, to, patterns, keep_new=keep_new, holds=not no_hold)
    if dry_run:
        plan = rollback.dry_run(context.snapshot(), change, expect)
        report_plan(context, context.snapshot(), plan, dry_run=True, json=json)
        return 0
    plan, written = rollback.rollback(context.stores, change, reason or "", expect, operation)
    report_plan(context, context.snapshot(), plan, dry_run=False, json=json)
    report_left(context.terminal, written)
    return 0


COMMAND = Command(
    "rollback",
    "Let an environment want what was deployed there at a date or a commit of the store, or a release, in one commit; "
    "and hold the releases that are left, so that nobody deploys them again. Patterns choose packages (repo/-/path, "
    "//path).",
    "[<options>] <environment> [<glob>...] --to (<date> | <commit> | <release>)",
    run,
    (
        Option("--to", metavar="<when>", help="a date (yesterday, 2026-11-20), a commit of the store, or a release"),
        Option("--no-hold", help="do not hold the releases that are left"),
        Option("--keep-new", help="leave packages alone that were not deployed there then"),
        Option("--dry-run", help="only show what would be wanted"),
        Option("--expect", metavar="<plan>", help="only where this is still what --dry-run showed"),
        Option("--json", help="print a JSON line for each package"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *WRITING),
    least=1,
    notes="A package that was not deployed there then is taken down, unless --keep-new is given, or --to names a\n"
    "release. 'work any' makes it so.\n"
    "Exit status: 0; 1 where nothing was deployed then, or a release is not there any more; 3 where one is held, or\n"
    "what was looked at has moved: then nothing is changed.",
)
