"""`git ocuroot hold`: keep releases from being deployed, and let them go (design 13)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import dump
from ..options import READING, RELATIVE, WRITING, Command, Option
from ..reports import report_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.finish import Written
    from ...delivery.holding import Reach
    from ..context import Context


def run(context: Context, *references: str, lift: bool, dry_run: bool, json: bool) -> int:
    if not references:
        if lift or dry_run or context.options.message:
            raise UsageError("name the releases")
        return _list(context, json=json)
    from ...delivery import holding
    from ...delivery.queries import find_release

    reason = context.options.message
    if not lift and not reason:
        raise UsageError("say why: -m <text>")
    snapshot = context.snapshot()
    releases = list(dict.fromkeys(find_release(snapshot, reference) for reference in references))
    operation = context.operation("hold")
    done: Written | None = None
    if dry_run and lift:
        holding.require_held(snapshot, releases)
    elif lift:
        done = holding.lift(context.stores, releases, operation)
    elif not dry_run:
        done = holding.hold(context.stores, releases, reason or "", operation)
    for release in releases:
        reach = None if lift else holding.reach_of(snapshot, release)
        _tell(context, release, reach, json=json)
    if done is not None:
        report_left(context.terminal, done, takes_away=lift)
    return 0


def _tell(context: Context, release: str, reach: Reach | None, *, json: bool) -> None:
    """Say of a release that it is held, or with no `reach` that it is not, and what that leaves as it is."""
    terminal = context.terminal
    if json:
        document: dict[str, object] = {"release": release, "held": reach is not None}
        if reach is not None:
            document.update(deployed=reach.environments, running=reach.runs)
        terminal.json(dump(document, None))
        return
    terminal.record(f"{'lifted' if reach is None else 'held'}\t{terminal.name(release)}")
    if reach is not None and reach.environments:
        terminal.remark(f"{release}: it stays deployed in {', '.join(reach.environments)}")
    for name in reach.runs if reach is not None else ():
        terminal.remark(f"{name}: it goes on; 'git ocuroot run cancel {name}' stops it")


def _list(context: Context, *, json: bool) -> int:
    from ...delivery.holds import all_holds
    from ...delivery.problems import Problems
    from ..reports import report_problems
    from ..table import SENTENCE, Column

    terminal = context.terminal
    problems = Problems()
    found = all_holds(context.snapshot(), problems)
    terminal.start_pager()
    if json:
        for hold in found:
            terminal.json(dump({"release": hold.release, **hold.to_document()}, None))
    elif found or not terminal.is_interactive:
        columns = [
            Column("release"),
            Column("since"),
            Column("by", may_cut=True),
            Column("why", may_cut=True, shortest=SENTENCE),
        ]
        times = [terminal.time_of(one.time, one.time) for one in found]
        rows = [[terminal.name(one.release), time, one.by, one.reason] for one, time in zip(found, times)]
        terminal.table(columns, rows)
    else:
        terminal.remark("nothing is held")
    return report_problems(terminal, problems)


COMMAND = Command(
    "hold",
    "Keep releases from being deployed, by anyone, until they are let go. Without a release: list those that are held.",
    "[<options>] [<release>...]",
    run,
    (
        Option("--lift", help="let the releases go"),
        Option("--dry-run", help="only say what would be held or let go"),
        Option("--json", help="print a JSON line for each release"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *READING, *WRITING),
    notes="Runs that are going on are not touched, and what is deployed stays; it may be taken down.\n"
    "Exit status: 0; 1 where a release is not there, or with --lift not held.",
)
