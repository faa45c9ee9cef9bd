"""`git ocuroot get`: print documents."""

from __future__ import annotations

from ...errors import Error, NotFound, UsageError
from ...formats.documents import dump, parse, to_bytes
from ...formats.layout import Damaged
from ...formats.refs import RefError
from ...store.tree import LinkCycle
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...formats.documents import Document
    from ...store.snapshot import Snapshot
    from ..context import Context


_OF_ONE_REF = (RefError, LinkCycle, Damaged)
"""What may be wrong with one ref, while the others can still be answered."""


def run(context: Context, *refs: str, at: str | None, format: str, default: str | None, batch: bool) -> int:
    if batch:
        if refs or default is not None:
            raise UsageError("--batch reads the refs from stdin, and takes neither refs nor --default")
        return _batch(context, context.snapshot(at))
    if not refs:
        raise UsageError("no ref was given")
    substitute = parse(default) if default is not None else None
    snapshot = context.snapshot(at)
    snapshot.prefetch(refs)
    status = 0
    for ref in refs:
        try:
            value = snapshot.get(snapshot.named(ref))
        except NotFound as error:
            if default is None:
                status = max(status, _report(context, _explained(snapshot, ref, error), alone=len(refs) == 1))
                continue
            value = substitute
        except _OF_ONE_REF as error:
            status = max(status, _report(context, error, alone=len(refs) == 1))
            continue
        _print(context, value, format)
    return status


def _explained(snapshot: Snapshot, ref: str, error: Error) -> Error:
    """Why there is nothing at a ref, where more is known than that."""
    from ...delivery.pruned import was_pruned

    return was_pruned(snapshot, snapshot.absolute(ref)) or error


def _report(context: Context, error: Error, *, alone: bool) -> int:
    """Say what is wrong with one ref; gives its exit status. The others are printed, unless it is the only one."""
    if alone:
        raise error
    context.terminal.error("error: ", error.message, error.hint)
    return error.status


def _print(context: Context, value: Document, form: str) -> None:
    if form == "raw" and isinstance(value, str):
        context.terminal.write(to_bytes(value + context.terminal.end))
    else:
        context.terminal.json(dump(value, 2 if form == "json" else None))


def _batch(context: Context, snapshot: Snapshot) -> int:
    """Answer refs as they come, one JSON line each, so that another program can ask and wait for the answer."""
    from ..reports import answer_line

    for record in context.terminal.read_records():
        try:
            found = snapshot.look_up(snapshot.named(record))
            found.ref = record
            line = answer_line(found)
        except _OF_ONE_REF as error:
            line = dump({"ref": record, "resolved": None, "found": False, "value": None, "error": error.message}, None)
        context.terminal.json(line)
        context.terminal.flush()
    return 0


COMMAND = Command(
    "get",
    "Print the document at each ref, links followed, or the part of it that the ref's fragment names.",
    "[<options>] <ref>...",
    run,
    (
        Option(
            "--at",
            metavar="<rev>",
            help="read the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
        Option("--format", choices=("json", "compact", "raw"), default="json", help="raw: a string without its quotes"),
        Option("--default", metavar="<json>", help="print this where there is no such document, and exit with 0"),
        Option("--batch", help="read refs from stdin, print a JSON line for each"),
        Option("-z", help="end records with NUL, on stdin and stdout"),
    ),
    common=(*RELATIVE, *READING),
    notes="Exit status: 0, or 1 where a document is not there; those that are there are printed all the same.",
)
