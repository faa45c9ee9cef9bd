"""How sets of intents are printed that are changed together: by `promote` and `rollback` (design 13)."""

from __future__ import annotations

from ..formats.documents import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..delivery.wishes import Plan
    from ..store.snapshot import Snapshot
    from .context import Context
    from .table import Cell

_COLOURS: Final = {"A": "green", "M": "cyan", "D": "red"}


def report_plan(context: Context, snapshot: Snapshot, plan: Plan, *, dry_run: bool, json: bool) -> None:
    """Print what changes, a line for each package, as of a snapshot that has the releases."""
    from ..delivery.tags import tags_of
    from .table import Column

    terminal = context.terminal
    rows: list[list[Cell]] = []
    for wish in plan.wishes:
        if json:
            tags = tags_of(snapshot, wish.release) if wish.release else []
            document = {
                "package": wish.package,
                "environment": wish.environment,
                "status": wish.status or None,
                "release": wish.release or None,
                "tags": tags,
                "from": wish.was or None,
                "held": wish.left,
                "plan": plan.id,
            }
            terminal.json(dump(document, None))
        else:
            left = f"held: {' '.join(map(_short, wish.left))}" if wish.left else ""
            status = (wish.status, _COLOURS[wish.status]) if wish.status else ""
            package, environment = terminal.name(wish.package), terminal.name(wish.environment)
            rows.append([status, package, environment, _short(wish.was), _short(wish.release), left])
        if wish.dropped:
            terminal.warning(
                f"'{wish.intent}' gave inputs for '{wish.was}' that do not go over: {', '.join(wish.dropped)}"
            )
    columns = [Column(""), Column("package", may_cut=True), *map(Column, ("environment", "from", "to", ""))]
    if rows:
        terminal.table(columns, rows)
    for package, why in plan.left_out.items():
        terminal.remark(f"{package} is left out: {why}")
    if not plan.wishes:
        terminal.remark("nothing to change")
    elif dry_run:
        terminal.remark(f"plan {plan.id}: '--expect {plan.id}' does just this, or nothing where something has moved")
    else:
        terminal.remark("'git ocuroot work any' makes it so")


def _short(release: str) -> str:
    """The number of a release as its ref has it: `@3`."""
    return release.rpartition("/")[2]
