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
    from ...formats.documents import Document
    from ...git.objects import Commit
    from ..context import Context
    from ..table import Cell, Column
    from ..terminal import Terminal


def run(context: Context, ref: str, *, json: bool, at: str | None) -> int:
    from ...store.value_history import blame
    from ..reports import report_cut_history

    need_history(context)
    snapshot = context.snapshot(at)
    named = snapshot.named(ref)
    snapshot.get(named)  # raises NotFound
    repository = snapshot.backend_of(snapshot.tree(named))[0].repository
    ends = repository.history_ends() if repository is not None else set()
    terminal = context.terminal
    blamed = blame(snapshot, named)
    terminal.start_pager()
    if json:
        for field, value, commit in blamed:
            is_known = commit.oid not in ends
            line = {
                "field": field,
                "value": value,
                "commit": commit.oid if is_known else None,
                "time": format_seconds(commit.committer.time) if is_known else None,
                "actor": actor_of_commit(commit) if is_known else None,
                "run": run_of(commit.message) if is_known else None,
            }
            terminal.json(dump(line, None))
    else:
        terminal.table(*_table(terminal, blamed, ends))
    if any(commit.oid in ends for _, _, commit in blamed):
        report_cut_history(terminal)
    return 0


def _table(
    terminal: Terminal, blamed: list[tuple[str, Document, Commit]], ends: set[str]
) -> tuple[list[Column], list[list[Cell]]]:
    """The columns, and a row for each field. What the oldest commit of a shallow clone has may be older; as git does,
    `^` says so."""
    from ..table import SENTENCE, Column

    columns = [
        *(Column("commit"), Column("actor", may_cut=True), Column("time")),
        *(
            Column("run", may_cut=True, shortest=SENTENCE),
            Column("field"),
            Column("value", may_cut=True, shortest=SENTENCE),
        ),
    ]
    rows: list[list[Cell]] = []
    for field, value, commit in blamed:
        told: list[Cell] = [(f"^{commit.oid[:12]}", "yellow"), "", "", ""]
        if commit.oid not in ends:
            when, run = terminal.time(commit.committer.time), run_of(commit.message) or ""
            told = [(commit.oid[:12], "yellow"), actor_of_commit(commit), when, run]
        rows.append([*told, terminal.name(field), dump(value, None)])
    return columns, rows


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
