"""`git ocuroot status`: where the stores are, and what is in them."""

from __future__ import annotations

from ..documents import dump, to_bytes
from ..globs import Glob
from ..layout import SIDES, link_target, object_path
from ..match import match
from ..options import Command, Option
from ..snapshot import NoStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..documents import Document
    from ..layout import Side
    from ..options import Parsed
    from ..snapshot import Snapshot


def run(context: Context, options: Parsed) -> int:
    snapshot = context.snapshot()
    report: dict[str, Document] = {"repo": context.stores.base.repo}
    for side in SIDES:
        report[side] = _describe(context, snapshot, side)
    if options.json:
        context.terminal.write(to_bytes(dump(report, 2) + "\n"))
        return 0
    terminal = context.terminal
    terminal.colour(context.stores.settings.config)
    terminal.record(f"repository  {terminal.paint(report['repo'], 'bold')}")
    for side in SIDES:
        _show(context, side, report[side])
    return 0


def _describe(context: Context, snapshot: Snapshot, side: Side) -> dict[str, Document]:
    spec = context.stores.settings.spec(side)
    place, _ = context.stores.where(side)
    found: dict[str, Document] = {"place": place.where, "configured_by": spec.source, "exists": True}
    try:
        tree = snapshot.side(side)
    except NoStore as error:
        return {**found, "exists": False, "problem": error.message, "hint": error.hint}
    place, directory = snapshot.place(tree)
    documents = links = 0
    for entry in match(tree, Glob("**"), side):
        if link_target(tree.files.data(entry.node), object_path(entry.stored)) is None:
            documents += 1
        else:
            links += 1
    return {
        **found,
        "directory": directory.rstrip("/"),
        "dialect": tree.layout.version,
        "tip": snapshot.version(place).oid,
        "documents": documents,
        "links": links,
    }


def _show(context: Context, side: Side, report: dict[str, Document]) -> None:
    terminal = context.terminal
    head = f"{side:<11} {terminal.paint(report['place'], 'bold')}"
    if not report["exists"]:
        terminal.record(f"{head}: {terminal.paint('no store', 'red')} ({report['hint']})")
        return
    where = f", directory '{report['directory']}'" if report["directory"] else ""
    tip = f" at {terminal.paint(report['tip'][:12], 'yellow')}" if report["tip"] else ""
    terminal.record(f"{head}{where}{tip}, dialect {report['dialect']}")
    terminal.record(f"{'':<11} {_count(report['documents'], 'document')}, {_count(report['links'], 'link')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


COMMAND = Command(
    "status",
    "Show where the stores are, their tips, and how many documents and links they hold.",
    "[--json]",
    run,
    (Option("--json", help="print a JSON object"),),
    most=0,
)
