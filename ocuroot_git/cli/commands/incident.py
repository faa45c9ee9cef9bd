"""`git ocuroot incident`: write down what went wrong after a deployment, and when it was over (design 12)."""

from __future__ import annotations

import os

from ...errors import UsageError
from ...formats.documents import dump
from ...formats.refs import Ref
from ...formats.times import format_seconds, lasted
from ..arguments import moment_of
from ..options import READING, WRITING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ...ledger.incidents import Incident
    from ..context import Context
    from ..table import Cell
    from ..terminal import Terminal

_CLOCKS_DIFFER: Final = 60
"""Seconds by which the clock of who saw it may be ahead of the one here."""


def open_(context: Context, package: str, environment: str, *, name: str | None, started: str | None) -> int:
    import time

    from ...delivery.overview import package_names
    from ...delivery.problems import Problems
    from ...ledger.deployments import no_package, require_environment
    from ...ledger.incidents import Incident, open_incident

    began = time.time() if started is None else _moment_past(context, "--started", started)
    parsed = Ref.parse(package)
    parsed = parsed.absolute(context.stores.base) if parsed.is_relative else parsed
    snapshot = context.snapshot()
    if str(parsed) not in package_names(snapshot):
        raise no_package(package)
    require_environment(snapshot, environment, Problems())
    name = name or f"{format_seconds(began)[:10]}-{os.urandom(3).hex()}"
    Ref.parse(f"@/custom/incident/{name}")  # which says what is wrong with a name
    if "/" in name:
        raise UsageError(f"the name of an incident is one word, not '{name}'")
    incident = Incident(name, str(parsed), environment, began, None, context.options.message or "")
    context.terminal.result(open_incident(context.stores, incident, context.operation("incident open")))
    return 0


def resolve(context: Context, name: str, *, resolved: str | None) -> int:
    import time

    from ...ledger.incidents import resolve_incident

    moment = time.time() if resolved is None else _moment_past(context, "--resolved", resolved)
    resolve_incident(context.stores, name, moment, context.operation("incident resolve"))
    return 0


def list_(context: Context, *, unresolved: bool, json: bool) -> int:
    from ...delivery.problems import Problems
    from ...ledger.incidents import incidents
    from ..reports import report_problems
    from ..table import SENTENCE, Column

    problems = Problems()
    found = [one for one in incidents(context.snapshot(), problems) if not (unresolved and one.resolved is not None)]
    terminal = context.terminal
    terminal.start_pager()
    if json:
        for one in found:
            terminal.json(dump({"incident": one.name, **one.to_document()}, None))
    elif found or not terminal.is_interactive:
        columns = [
            *(Column("incident"), Column("package", may_cut=True), Column("environment"), Column("started")),
            *(Column("lasted", is_number=True), Column("reason", may_cut=True, shortest=SENTENCE)),
        ]
        terminal.table(columns, [_row(terminal, one) for one in found])
    else:
        terminal.remark("no incident is written down")
    return report_problems(terminal, problems)


def _row(terminal: Terminal, one: Incident) -> list[Cell]:
    took: Cell = ("not over", "red") if one.resolved is None else lasted(one.resolved - one.started)
    return [
        terminal.name(one.name),
        terminal.name(one.package),
        terminal.name(one.environment),
        terminal.time(int(one.started)),
        took,
        one.reason,
    ]


def _moment_past(context: Context, option: str, date: str) -> int:
    """The moment that a date names. Raises UsageError for one in the future: what has not begun is no incident yet, and
    nobody knows when one will be over."""
    import time

    moment = moment_of(context, date)
    if moment > time.time() + _CLOCKS_DIFFER:
        raise UsageError(f"{option} takes a moment that is past, and '{date}' is in the future")
    return moment


COMMAND = Group(
    "incident",
    "Write down what went wrong after a deployment, and when it was over: 'metrics' counts it.",
    (
        Command(
            "incident open",
            "Write down that something is wrong with a package (repo/-/path, //path) in an environment since its last "
            "deployment there. Prints the name of the incident.",
            "[<options>] <package> <environment>",
            open_,
            (
                Option("--name", metavar="<name>", help="call it so (default: its date and a few characters)"),
                Option("--started", metavar="<date>", help="it began then, in the past (default: now)"),
            ),
            common=WRITING,
            least=2,
            most=2,
            notes="What -m says is kept as the reason.\n"
            "Exit status: 0; 1 where the package or the environment is not there; 3 where there is one of that name.",
        ),
        Command(
            "incident resolve",
            "Write down that an incident is over.",
            "[<options>] <incident>",
            resolve,
            (Option("--resolved", metavar="<date>", help="it was over then, in the past (default: now)"),),
            common=WRITING,
            least=1,
            most=1,
            notes="Exit status: 0; 1 where there is no such incident; 3 where it was over before.",
        ),
        Command(
            "incident list",
            "List the incidents, the one that began last first.",
            "[<options>]",
            list_,
            (
                Option("--unresolved", help="only those that are not over"),
                Option("--json", help="print a JSON line for each"),
                Option("-z", help="end records with NUL"),
            ),
            common=READING,
            most=0,
            notes="Exit status: 0; 1 where one cannot be read.",
        ),
    ),
)
