"""`git ocuroot deployments`: what is deployed where, since when and by whom (design 12)."""

from __future__ import annotations

from ...delivery.vocabulary import COMPLETE, DOWN, FAILED
from ...errors import UsageError
from ...formats.documents import dump
from ...formats.times import format_seconds, lasted
from ..arguments import absolute_glob, moment_of, need_history, pattern_of
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ...delivery.problems import Problems
    from ...ledger.deployment import Deployment
    from ...ledger.deployment_history import Choice, Teller
    from ...ledger.events import Event
    from ...ledger.held import Held
    from ...store.snapshot import Snapshot
    from ..context import Context
    from ..deployment_grid import Parts
    from ..table import Cell
    from ..terminal import Terminal

_COLOURS: Final = {COMPLETE: "green", FAILED: "red", "unreadable": "red"}
_OTHERWISE: Final = "yellow"


def run(
    context: Context,
    *globs: str,
    environment: str | None,
    deployed: bool,
    history: bool,
    since: str | None,
    until: str | None,
    by: str | None,
    failed: bool,
    limit: int | None,
    at: str | None,
    json: bool,
) -> int:
    from ...delivery.problems import Problems
    from ..reports import report_problems

    asked = {"--since": since, "--until": until, "--by": by, "--failed": failed or None, "-n": limit}
    problems = Problems()
    patterns = [absolute_glob(context, glob) for glob in globs]
    if history:
        if deployed:
            raise UsageError("option '--deployed' does not go with --history")
        from ...ledger.deployment_history import Choice

        first, last = (None if date is None else moment_of(context, date) for date in (since, until))
        author = None if by is None else pattern_of("--by", by)
        choice = Choice(patterns, environment, first, last, author, only_failed=failed)
        need_history(context)
        _show_history(context, context.snapshot(at), choice, limit, problems, json=json)
        return report_problems(context.terminal, problems)
    for option, value in asked.items():
        if value is not None:
            raise UsageError(f"option '{option}' goes with --history")
    _show_now(context, at, patterns, environment, problems, only_deployed=deployed, json=json)
    return report_problems(context.terminal, problems)


def _show_now(
    context: Context,
    at: str | None,
    patterns: list[str],
    environment: str | None,
    problems: Problems,
    *,
    only_deployed: bool,
    json: bool,
) -> None:
    from ...delivery.claims import now
    from ...ledger.deployments import deployments, lacks_history, tell_history, to_document

    snapshot = context.snapshot(at)
    found = deployments(snapshot, patterns, environment, problems, only_deployed=only_deployed)
    terminal = context.terminal
    if not lacks_history(snapshot, found):
        tell_history(snapshot, found, are_all=not (patterns or environment or only_deployed))
    elif only_deployed:
        terminal.remark("not all runs say who deployed them; without --deployed history is asked for that")
    else:
        need_history(context)
        tell_history(context.snapshot(at), found)
    terminal.start_pager()
    if json:
        for one in found:
            since = format_seconds(one.since) if one.since is not None else None
            terminal.json(dump(to_document(one, since), None))
        return
    if not found and terminal.is_interactive:
        terminal.remark("nothing is deployed")
        return
    _show_table(terminal, found, now(snapshot))


def _show_table(terminal: Terminal, found: list[Deployment], present: float) -> None:
    """Print deployments: packages × environments for people; a line for each where there is but one environment, if
    the lines fit, and elsewhere."""
    from ..table import Column

    titles = ("package", "environment", "status", "release", "of", "since", "by")
    rows = [_row(terminal, one, present) for one in found]
    has_one = len({one.environment for one in found}) == 1
    if terminal.is_interactive and not terminal.ends_with_nul:
        from ..deployment_grid import grids

        if not (has_one and terminal.fits([Column(title) for title in titles], rows)):
            made = grids(found, terminal.name, lambda one: _parts(terminal, one, present), terminal.fits)
            for number, (columns, lines) in enumerate(made):
                if number:
                    terminal.record("")
                terminal.table(columns, lines)
            if made:
                return
    terminal.table([Column(title, may_cut=title in ("package", "by")) for title in titles], rows)


def _parts(terminal: Terminal, one: Deployment, present: float) -> Parts:
    """What a cell of the grid says of a deployment."""
    from ..deployment_grid import what_of

    return (
        what_of(one, _COLOURS.get(one.status, _OTHERWISE)),
        _since(terminal, one.since, present),
        one.actor,
        _note(one.past_gates, one.held),
    )


def _row(terminal: Terminal, one: Deployment, present: float) -> list[Cell]:
    status = f"{one.status} (down)" if one.is_down and one.run_ref else one.status
    release = one.release.rpartition("/")[2]
    return [
        terminal.name(one.package),
        terminal.name(one.environment),
        (status, _COLOURS.get(one.status, _OTHERWISE)),
        release,
        ",".join(one.tags) or one.commit[:10],
        _since(terminal, one.since, present),
        _by(one.actor, _note(one.past_gates, one.held)),
    ]


def _by(actor: str, note: str) -> str:
    """By whom something was deployed, and what is to be said of that."""
    return ", ".join(filter(None, (actor, note)))


def _note(past_gates: list[str] | None, held: Held | None) -> str:
    """Which gates something was started past, and that its release is held."""
    past = f"past gate {', '.join(past_gates)}" if past_gates else ""
    return ", ".join(filter(None, (past, held.words if held is not None else "")))


def _since(terminal: Terminal, moment: float | None, present: float) -> str:
    """How long before the present a moment is, for people; elsewhere the moment."""
    if moment is None:
        return ""
    if not terminal.is_interactive:
        return format_seconds(moment)
    from ...formats.times import relative

    return relative(present - moment)


def _show_history(
    context: Context, snapshot: Snapshot, choice: Choice, limit: int | None, problems: Problems, *, json: bool
) -> None:
    from itertools import islice

    from ...ledger.chunks import Ledger
    from ...ledger.deployment_history import Teller
    from ..reports import report_cut_history
    from ..table import SENTENCE, Column

    terminal = context.terminal
    ledger = Ledger(snapshot)
    teller = Teller(snapshot, context.settings.repository_or_none, problems)
    events = teller.in_batches(islice(choice.of(ledger), limit))
    terminal.start_pager()
    columns = [
        *(Column("time"), Column("package", may_cut=True), Column("environment"), Column("what"), Column("from")),
        *(Column("to"), Column("commits"), Column("took", is_number=True), Column("by", may_cut=True)),
        Column("why", may_cut=True, shortest=SENTENCE),
    ]
    if json:
        for event in events:
            terminal.json(dump(teller.document(event, format_seconds(event.time)), None))
    elif terminal.is_interactive:
        rows = [_event_row(terminal, event, teller) for event in events]
        if rows:
            terminal.table(columns, rows)
        else:
            terminal.remark("no such deployment")
    else:
        for event in events:
            terminal.table(columns, [_event_row(terminal, event, teller)])
    if limit is None:
        choice.require_found(snapshot, problems)
    if ledger.is_cut:
        report_cut_history(terminal)


def _event_row(terminal: Terminal, event: Event, teller: Teller) -> list[Cell]:
    what = event.type if event.outcome == COMPLETE else f"{event.type} {event.outcome}"
    between = teller.between(event)
    steps = [f"{sign}{count}" for sign, count in zip("+-", between or ()) if count]
    return [
        terminal.time(int(event.time)),
        terminal.name(event.package),
        terminal.name(event.environment),
        (what, _COLOURS.get(event.outcome, _OTHERWISE)),
        event.before.rpartition("/")[2],
        "" if event.type == DOWN else event.release.rpartition("/")[2],
        " ".join(steps) if between != (0, 0) else "0",
        "" if event.seconds is None else lasted(event.seconds),
        _by(event.actor, _note(teller.past_gates(event), teller.held(event))),
        event.reason or event.run,
    ]


COMMAND = Command(
    "deployments",
    "Show what is deployed where: which release, since when and by whom; and what is under way there, has failed, or "
    "is wanted and not so; or with --history what was deployed, newest first. Patterns choose packages (repo/-/path, "
    "//path).",
    "[<options>] [<glob>...]",
    run,
    (
        Option("--environment", metavar="<name>", help="only of this environment"),
        Option("--deployed", help="only what is deployed; of a remote store no more is fetched than that takes"),
        Option("--history", help="show which deployments there have been, newest first"),
        Option("--since", metavar="<date>", help="with --history, those that ended since then (yesterday, 2026-11-20)"),
        Option("--until", metavar="<date>", help="with --history, those that ended until then"),
        Option("--by", metavar="<pattern>", help="with --history, those whose actor matches, as 'github:ann'"),
        Option("--failed", help="with --history, those that failed"),
        Option("-n", "-<n>", "--limit", metavar="<n>", number=True, help="with --history, <n> at most"),
        Option("--at", metavar="<rev>", help="as of a revision (state~3, an id) or a date (yesterday, 2026-11-20)"),
        Option("--json", help="print a JSON line for each deployment"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    notes="What is deployed has the status 'complete'; what is under way or failed has that of its run, or of its\n"
    "intent: 'wanted' and 'unwanted' where no run is under way. 'unreadable': something may be deployed there.\n"
    "Exit status: 0; 1 where a package or an environment is not there, or something cannot be read.",
)
