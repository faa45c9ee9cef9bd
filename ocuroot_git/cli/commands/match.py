"""`git ocuroot match`: list the refs that match patterns."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import Document, dump
from ...formats.layout import link_target, object_path
from ...formats.refs import version_key
from ..arguments import absolute_glob
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...formats.layout import Side
    from ...store.snapshot import Snapshot
    from ...store.tree import StoreTree
    from ...store.walk import Entry
    from ..context import Context


def run(
    context: Context,
    *globs: str,
    no_links: bool,
    state: bool,
    intent: bool,
    values: bool,
    json: bool,
    count: bool,
    exclude: list[str],
    sort: str,
    limit: int | None,
    at: str | None,
) -> int:
    if state and intent:
        raise UsageError("--state and --intent exclude each other; without either both stores are searched")
    side: Side | None = "state" if state else "intent" if intent else None
    snapshot = context.snapshot(at)
    patterns = [absolute_glob(context, glob) for glob in globs]
    unwanted = [absolute_glob(context, glob) for glob in exclude]
    if count or not (values or json):
        refs = snapshot.match(*patterns, side=side, links=not no_links, exclude=unwanted)
        if count:
            context.terminal.record(str(len(refs)))
            return 0
        if sort == "version":
            refs.sort(key=version_key)
        context.terminal.start_pager()
        context.terminal.names(refs[:limit])
        return 0
    entries = snapshot.entries(patterns, side=side, links=not no_links, exclude=unwanted)
    found = _counted(context, entries) if context.terminal.shows_progress else list(entries)
    key = version_key if sort == "version" else str
    found.sort(key=lambda pair: key(pair[1].ref))
    del found[len(found) if limit is None else limit :]
    _prefetch(snapshot, found, values=values)
    context.terminal.start_pager()
    for tree, entry in found:
        context.terminal.json(_line(snapshot, tree, entry, json=json, values=values))
    return 0


def _counted(context: Context, entries: Iterator[tuple[StoreTree, Entry]]) -> list[tuple[StoreTree, Entry]]:
    from ..progress import Meter

    with Meter(context.terminal, "Reading refs") as meter:
        return list(meter.counted(entries))


def _prefetch(snapshot: Snapshot, found: list[tuple[StoreTree, Entry]], *, values: bool) -> None:
    for tree in {tree for tree, _ in found if tree.files.is_partial}:
        tree.files.prefetch(entry.node for of, entry in found if of is tree)
        if values:
            snapshot.prefetch(entry.ref for of, entry in found if of is tree)


def _line(snapshot: Snapshot, tree: StoreTree, entry: Entry, *, json: bool, values: bool) -> str:
    if not json:
        from ..reports import answer_line

        return answer_line(snapshot.entry_value(tree, entry))
    target = link_target(tree.files.data(entry.node), object_path(entry.stored))
    line: dict[str, Document] = {
        "ref": entry.ref,
        "link": tree.layout.shown_target(target) if target is not None else None,
        "oid": tree.files.oid(entry.node),
    }
    if values:
        value = snapshot.entry_value(tree, entry)
        line |= {"resolved": value.resolved, "found": value.found, "value": value.value}
    return dump(line, None)


COMMAND = Command(
    "match",
    "List the refs that match any of the patterns, in byte order. Nothing found is no error.",
    "[<options>] <glob>...",
    run,
    (
        Option("-l", "--no-links", help="leave out refs that are links"),
        Option("--state", help="search the state store only"),
        Option("--intent", help="search the intent store only"),
        Option("--values", help="print JSON lines with the documents"),
        Option("--json", help="print JSON lines: ref, target of a link, id of the blob"),
        Option("--count", help="print how many there are"),
        Option("--exclude", metavar="<glob>", many=True, help="leave out what matches this pattern too"),
        Option(
            "--sort", choices=("ref", "version"), default="ref", help="version: numbers within refs count as numbers"
        ),
        Option("--limit", metavar="<n>", number=True, help="print the first <n> only"),
        Option(
            "--at",
            metavar="<rev>",
            help="read the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    least=1,
    notes="""
Patterns: * within a segment, ** across segments, ? one character, [a-z], [!a-z], {a,b}, \\ takes the next as it is.
//… and ./-/… begin with the name of this repository.
""",
)
