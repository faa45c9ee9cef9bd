"""`git ocuroot metrics`: how fast and how well software is delivered, by the five metrics of dora.dev (design 12)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import dump
from ...formats.times import lasted
from ..arguments import absolute_glob, moment_of, need_history
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...ledger.attempts import Attempt
    from ...ledger.metrics import Measured
    from ..context import Context
    from ..table import Cell
    from ..terminal import Terminal

UNKNOWN = "unknown"


def run(
    context: Context,
    *globs: str,
    environment: str | None,
    since: str | None,
    until: str | None,
    by: str | None,
    explain: bool,
    json: bool,
    prometheus: bool,
) -> int:
    import time

    from ...delivery.problems import Problems
    from ...ledger.attempt_pages import AttemptReader, Explained
    from ...ledger.chunks import Ledger
    from ...ledger.incidents import by_cell, incidents
    from ...ledger.lead_times import LeadTimes
    from ...ledger.metrics import Window, counted, measure
    from ...ledger.places import Places
    from ..reports import report_cut_history, report_problems

    if prometheus and (json or explain):
        raise UsageError(f"--prometheus and {'--json' if json else '--explain'} exclude each other")
    names = _names(by)
    first, last = (None if date is None else moment_of(context, date) for date in (since, until))
    problems = Problems()
    places = Places([absolute_glob(context, glob) for glob in globs], environment)
    window = Window(first, last, time.time())
    need_history(context)
    snapshot = context.snapshot()
    ledger = Ledger(snapshot)
    memory = snapshot.surroundings.memory
    source = Explained(ledger) if explain else AttemptReader(ledger)
    lead_times = LeadTimes(snapshot.surroundings.code, memory)
    cells = counted(source, places, window, lead_times, by_cell(incidents(snapshot, problems)))
    measured = measure(cells, window, names)
    places.require_found(snapshot, problems)
    terminal = context.terminal
    terminal.start_pager()
    if explain:
        every = [one for attempts in cells.values() for one in attempts if not one.is_down and window.has(one.time)]
        _explain(terminal, every, json=json)
    elif json:
        for one in measured:
            terminal.json(dump(one.to_document(), None))
    elif prometheus:
        from ...ledger.prometheus import exposition

        terminal.write("".join(f"{line}\n" for line in exposition(measured)).encode(errors="replace"))
    else:
        _show(terminal, measured, names)
    if ledger.is_cut:
        report_cut_history(terminal)
    return report_problems(terminal, problems)


def _names(by: str | None) -> list[str]:
    from ...ledger.metrics import BY

    names = by.split(",") if by is not None else []
    for name in names:
        if name not in BY:
            raise UsageError(f"--by takes {' and '.join(BY)}, not '{name}'", hint="such as --by package,environment")
    return [name for name in BY if name in names]


def _show(terminal: Terminal, measured: Sequence[Measured], names: Sequence[str]) -> None:
    from ..table import Column

    if not measured and terminal.is_interactive:
        terminal.remark("nothing was deployed")
        return
    columns = [
        *(Column(name, may_cut=True) for name in names),
        *(Column(title, is_number=True) for title in ("deployments", "per day", "lead time", "90%", "failed")),
        *(Column(title, is_number=True) for title in ("restored in", "90%", "rework")),
    ]
    terminal.table(columns, [_row(terminal, one, names) for one in measured])


def _row(terminal: Terminal, one: Measured, names: Sequence[str]) -> list[Cell]:
    return [
        *(terminal.name(one.key[name]) for name in names),
        UNKNOWN if one.deployments is None else str(one.deployments),
        UNKNOWN if one.frequency is None else f"{one.frequency:.2f}",
        *_times(one.lead_time),
        _share(one.failure_rate),
        *_times(one.to_restore),
        _share(one.rework_rate),
    ]


def _times(percentiles: Mapping[str, float | None]) -> list[str]:
    return [UNKNOWN if seconds is None else lasted(seconds) for seconds in percentiles.values()]


def _share(rate: float | None) -> str:
    return UNKNOWN if rate is None else f"{100 * rate:.1f} %"


def _explain(terminal: Terminal, every: list[Attempt], *, json: bool) -> None:
    from ...ledger.explained import in_words, to_document
    from ..table import Column

    every.sort(key=lambda one: -one.time)
    if json:
        for one in every:
            terminal.json(dump(to_document(one), None))
        return
    columns = [
        *(Column("time"), Column("package", may_cut=True), Column("environment", may_cut=True), Column("release")),
        *(Column("commit"), Column("counts as")),
    ]
    rows: list[list[Cell]] = []
    for one in every:
        event = one.event
        assert event is not None
        where = [terminal.name(event.package), terminal.name(event.environment), event.release.rpartition("/")[2]]
        rows.append([terminal.time(int(event.time)), *where, event.commit[:10], in_words(one)])
    if rows or not terminal.is_interactive:
        terminal.table(columns, rows)
    else:
        terminal.remark("nothing was deployed")


COMMAND = Command(
    "metrics",
    "Show the five metrics of software delivery that dora.dev defines: how often there are deployments, how long "
    "commits take to be deployed, how many deployments fail, how long it takes to recover, and how many are rework. "
    "Patterns choose packages (repo/-/path, //path).",
    "[<options>] [<glob>...]",
    run,
    (
        Option("--environment", metavar="<name>", help="only of this environment"),
        Option("--since", metavar="<date>", help="deployments that ended since then (30d, yesterday, 2026-11-20)"),
        Option("--until", metavar="<date>", help="deployments that ended until then"),
        Option("--by", metavar="<names>", help="package, environment, or both with a comma: a line for each"),
        Option("--explain", help="show what was counted and why, each deployment with its commit"),
        Option("--json", help="print a JSON line for each line"),
        Option("--prometheus", help="print the text format of Prometheus"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    notes="Nothing before the first recorded deployment counts, and what cannot be known is 'unknown'.\n"
    "Exit status: 0; 1 where a package or an environment is not there, or something cannot be read.",
)
