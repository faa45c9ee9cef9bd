"""`git ocuroot blame`: which commit gave each field of a document its value (design 12)."""

from __future__ import annotations

from ...formats.commit_message import run_of
from ...formats.documents import dump
from ...formats.times import format_seconds
from ...store.history import actor_of_commit
from ..arguments import need_history
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..table import Cell


def run(context: Context, ref: str, *, json: bool, at: str | None) -> int:
    from ...store.value_history import blame
    from ..table import Column

    need_history(context)
    snapshot = context.snapshot(at)
    named = snapshot.named(ref)
    snapshot.get(named)  # raises NotFound
    terminal = context.terminal
    blamed = blame(snapshot, named)
    terminal.start_pager()
    if json:
        for field, value, commit in blamed:
            line = {
                "field": field,
                "value": value,
                "commit": commit.oid,
                "time": format_seconds(commit.committer.time),
                "actor": actor_of_commit(commit),
                "run": run_of(commit.message),
            }
            terminal.json(dump(line, None))
        return 0
    columns = [
        *(Column("commit"), Column("actor", may_cut=True), Column("time")),
        *(Column("run", may_cut=True), Column("field"), Column("value", may_cut=True)),
    ]
    rows: list[list[Cell]] = []
    for field, value, commit in blamed:
        when, run = terminal.time(commit.committer.time), run_of(commit.message) or ""
        text = dump(value, None)
        rows.append([(commit.oid[:12], "yellow"), actor_of_commit(commit), when, run, terminal.name(field), text])
    terminal.table(columns, rows)
    return 0


COMMAND = Command(
    "blame",
    "Show which commit gave each field of a document its value, by whom, when and in which CI run: through rewrites of "
    "the document, and along links, whose move counts as the change.",
    "[<options>] <ref>",
    run,
    (
        Option("--json", help="print a JSON line for each field: field, value, commit, time, actor, run"),
        Option("--at", metavar="<rev>", help="as of a revision (state~3, an id) or a date (yesterday, 2026-11-20)"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *READING),
    least=1,
    most=1,
    notes="A ref with a fragment (<ref>#output/url) asks for a part of the document.\n"
    "Exit status: 0; 1 where there is nothing at the ref.",
)
