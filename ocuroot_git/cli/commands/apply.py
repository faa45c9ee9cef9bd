"""`git ocuroot apply`: make state follow intent (design 7)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import dump
from ..options import COMMON, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.apply import ApplyResult
    from ..context import Context


def run(context: Context, *refs: str, all: bool, dry_run: bool, cascade: bool, json: bool) -> int:
    from ...delivery import apply
    from ..new_releases import Made

    if bool(refs) == all:
        raise UsageError("name intents, or give --all")
    if cascade and dry_run:
        raise UsageError("what '--cascade' would do is not known before: it does not go with '--dry-run'")
    named = None if all else list(refs)
    if dry_run:
        return report(context, apply.dry_run(context.snapshot(), named, strict=named is not None), json=json)

    def change() -> Made:
        applied = apply.apply(context.stores, named, context.operation("apply", of_job=False))
        changed = any(difference.kind == "environment" for difference in applied.acted)
        return Made(report(context, applied, json=json), environments=changed)

    if not cascade:
        return change().status
    from .work import cascade_from

    return cascade_from(context, change)


def report(context: Context, applied: ApplyResult, *, json: bool) -> int:
    """Print what was acted on, and what could not be; gives the exit status, 1 where something was left out."""
    from ..reports import report_problems

    for difference in applied.acted:
        if json:
            context.terminal.json(dump({"status": difference.status, "ref": difference.ref}, None))
        else:
            context.terminal.record(f"{difference.status}\t{context.terminal.name(difference.ref)}")
    for error in applied.errors.values():
        context.terminal.error("error: ", error.message, error.hint)
    left_out = report_problems(context.terminal, applied.problems)
    return 1 if applied.errors else left_out


COMMAND = Command(
    "apply",
    "Make state follow intents: copy or delete custom documents and environments, and make the runs that deployments "
    "need. Applying again changes nothing.",
    "[<options>] (--all | <intent-ref>...)",
    run,
    (
        Option("--all", help="all intents that state does not follow"),
        Option("--dry-run", help="only say what would be acted on"),
        Option("--cascade", help="then execute the runs that this makes, and do what follows from them"),
        Option("--json", help="print a JSON line for each intent that was acted on"),
        Option("-z", help="end records with NUL"),
    ),
    common=COMMON,
    notes="Prints the intents that were acted on; 'work any' then executes the runs.",
)
