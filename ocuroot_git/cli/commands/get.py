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
    from ...store.snapshot import Found, Snapshot
    from ..context import Context
    from ..options import Parsed


_OF_ONE_REF = (RefError, LinkCycle, Damaged)
"""What may be wrong with one ref, while the others can still be answered."""


def run(context: Context, options: Parsed) -> int:
    if options.z:
        context.terminal.end = "\0"
    if options.batch:
        if options.arguments or options.default is not None:
            raise UsageError("--batch reads the refs from stdin, and takes neither refs nor --default")
        return _batch(context, context.snapshot(options.at))
    if not options.arguments:
        raise UsageError("no ref was given")
    default = parse(options.default) if options.default is not None else None
    snapshot = context.snapshot(options.at)
    snapshot.prefetch(options.arguments)
    status = 0
    for ref in options.arguments:
        try:
            value = snapshot.get(ref)
        except NotFound as error:
            if options.default is None:
                status = max(status, _report(context, error))
                continue
            value = default
        except _OF_ONE_REF as error:
            status = max(status, _report(context, error))
            continue
        _print(context, value, options.format)
    return status


def _report(context: Context, error: Error) -> int:
    """Say what is wrong with one ref; gives its exit status. The others are printed, unless it is the only one."""
    if len(context.options.arguments) == 1:
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
    for record in context.terminal.read_records():
        try:
            line = line_of(snapshot.look_up(record))
        except _OF_ONE_REF as error:
            line = dump({"ref": record, "resolved": None, "found": False, "value": None, "error": error.message}, None)
        context.terminal.json(line)
        context.terminal.flush()
    return 0


def line_of(found: Found) -> str:
    """The JSON line of an answer, as `--batch` and `match --values` print it."""
    content = {"ref": found.ref, "resolved": found.resolved, "found": found.found, "value": found.value}
    return dump(content, None)


COMMAND = Command(
    "get",
    "Print the document at each ref, links followed, or the part of it that the ref's fragment names.",
    "[<options>] <ref>...",
    run,
    (
        Option("--at", metavar="<rev>", help="read the stores as they were at a revision (state~3, an id)"),
        Option("--format", choices=("json", "compact", "raw"), default="json", help="raw: a string without its quotes"),
        Option("--default", metavar="<json>", help="print this where there is no such document, and exit with 0"),
        Option("--batch", help="read refs from stdin, print a JSON line for each"),
        Option("-z", help="end records with NUL, on stdin and stdout"),
    ),
    common=(*RELATIVE, *READING),
    notes="Exit status: 0, or 1 where a document is not there; those that are there are printed all the same.",
)
