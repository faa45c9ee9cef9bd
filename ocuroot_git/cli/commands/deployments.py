"""`git ocuroot deployments`: what is deployed where, since when and by whom (design 12)."""

from __future__ import annotations

from ...delivery.vocabulary import COMPLETE, FAILED
from ...formats.documents import dump
from ...formats.times import format_seconds
from ..arguments import absolute_glob, need_history
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ...delivery.deployments import Deployment
    from ..context import Context
    from ..table import Cell
    from ..terminal import Terminal

_COLOURS: Final = {COMPLETE: "green", FAILED: "red", "unreadable": "red"}
_OTHERWISE: Final = "yellow"


def run(context: Context, *globs: str, environment: str | None, at: str | None, json: bool) -> int:
    from ...delivery.deployments import deployments, to_document
    from ...delivery.problems import Problems
    from ..reports import report_problems
    from ..table import Column

    need_history(context)
    problems = Problems()
    patterns = [absolute_glob(context, glob) for glob in globs]
    found = deployments(context.snapshot(at), patterns, environment, problems)
    terminal = context.terminal
    terminal.start_pager()
    if json:
        for one in found:
            since = format_seconds(one.since) if one.since is not None else None
            terminal.json(dump(to_document(one, since), None))
        return report_problems(terminal, problems)
    columns = [
        *(Column("package", may_cut=True), Column("environment"), Column("status"), Column("release")),
        *(Column("of"), Column("since"), Column("by", may_cut=True)),
    ]
    if found or not terminal.is_interactive:
        terminal.table(columns, [_row(terminal, one) for one in found])
    else:
        terminal.remark("nothing is deployed")
    return report_problems(terminal, problems)


def _row(terminal: Terminal, one: Deployment) -> list[Cell]:
    status = f"{one.status} (down)" if one.is_down and one.run_ref else one.status
    release = one.release.rpartition("/")[2]
    return [
        terminal.name(one.package),
        terminal.name(one.environment),
        (status, _COLOURS.get(one.status, _OTHERWISE)),
        release,
        ",".join(one.tags) or one.commit[:10],
        _since(terminal, one.since),
        one.actor,
    ]


def _since(terminal: Terminal, moment: float | None) -> str:
    """How long ago a moment is, for people; elsewhere the moment."""
    if moment is None:
        return ""
    if not terminal.is_interactive:
        return format_seconds(moment)
    from time import time

    from ...formats.times import relative

    return relative(time() - moment)


COMMAND = Command(
    "deployments",
    "Show what is deployed where: which release, since when and by whom; and what is under way there, has failed, or "
    "is wanted and not so. Patterns choose packages (repo/-/path, //path).",
    "[<options>] [<glob>]...",
    run,
    (
        Option("--environment", metavar="<name>", help="only of this environment"),
        Option("--at", metavar="<rev>", help="as of a revision (state~3, an id) or a date (yesterday, 2026-11-20)"),
        Option("--json", help="print a JSON line for each deployment"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    notes="What is deployed has the status 'complete'; what is under way or failed has that of its run, or of its\n"
    "intent: 'wanted' and 'unwanted' where no run is under way. 'unreadable': something may be deployed there.\n"
    "Exit status: 0; 1 where a package or an environment is not there, or something cannot be read.",
)
