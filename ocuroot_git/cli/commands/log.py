"""`git ocuroot log`: who changed what, and when."""

from __future__ import annotations

from ...backends.remote import Remote
from ...errors import Fatal, UsageError
from ...formats.commit_message import command_of, operation_name, origin_of
from ...formats.documents import dump
from ...formats.globs import Glob
from ...formats.layout import REFS, SIDES
from ...formats.refs import INTENT, STATE
from ...formats.times import format_seconds
from ...store.history import Wanted, ref_changes
from ..arguments import absolute_glob
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...formats.documents import Document
    from ...formats.layout import ShownRef, StoredRef
    from ...git.objects import Commit
    from ...store.history import Changed, RefChange
    from ...store.snapshot import Snapshot
    from ...store.tree import StoreTree
    from ..context import Context

_MOST_CHANGES: Final = 100
"""Changes of a commit that are shown unless all are asked for: an import changes everything there is."""


def run(context: Context, *patterns: str, limit: int | None, changes: int | None, json: bool, at: str | None) -> int:
    for side in SIDES:
        backend, _ = context.stores.backend(side)
        if isinstance(backend, Remote):
            backend.need_history()
    snapshot = context.snapshot(at)
    if limit == 0:
        return 0
    wanted = _wanted(context, snapshot, patterns)
    most = changes if changes is not None else 0 if json else _MOST_CHANGES
    context.terminal.start_pager()
    for count, (commit, changed, is_cut) in enumerate(_newest_first(context, snapshot, wanted, most or None), 1):
        if json:
            context.terminal.json(_line(commit, changed, is_cut=is_cut))
        else:
            _show(context, commit, changed, is_cut=is_cut, first=count == 1)
        if count == limit:
            break
    return 0


def _wanted(context: Context, snapshot: Snapshot, words: tuple[str, ...]) -> Wanted:
    """Which refs are asked for: those named, what they lead to, and those that match a pattern; all for no words.

    A word is taken as a ref where it holds no wildcard.
    """
    if not words:
        return Wanted(lambda ref: True)
    refs: set[ShownRef] = set()
    stored: set[StoredRef] = set()
    globs = []
    for word in words:
        if set(word) & set("*?[{"):
            globs.append(absolute_glob(context, word))
            continue
        ref = snapshot.named(word)
        if ref.fragment:
            raise UsageError(f"'{word}' names a part of a document; its history is that of '{ref.without_fragment()}'")
        tree = snapshot.tree(ref)
        spellings = {*tree.layout.spellings(ref), tree.locate(ref).stored}
        stored |= spellings
        refs.update(map(tree.layout.shown, spellings))
    if not globs:
        return Wanted(refs.__contains__, stored)
    glob = Glob(*globs)
    directories = [*map(_directory_of, globs), *(f"{REFS}/{ref}" for ref in stored)]
    return Wanted(lambda ref: ref in refs or glob.matches(ref), None, None if REFS in directories else directories)


def _directory_of(glob: str) -> str:
    """The directory below which lies all that a pattern can match: that of its segments before the first wildcard.

    A marker is none of them: how it is spelled depends on the dialect.
    """
    directory = REFS
    for segment in glob.split("/"):
        if not segment or set(segment) & set("*?[]{}\\,") or segment[0] in (STATE, INTENT):
            break
        directory = f"{directory}/{segment}"
    return directory


def _newest_first(context: Context, snapshot: Snapshot, wanted: Wanted, most: int | None) -> Iterator[Changed]:
    """The changes of both stores; those of two branches merged by time."""
    trees: list[StoreTree] = []
    for side in SIDES:
        if side == "state" or snapshot.has_intent():
            tree = snapshot.side(side)
            if tree not in trees:
                trees.append(tree)
    histories = []
    for tree in trees:
        backend, directory = snapshot.backend_of(tree)
        start = snapshot.version(backend).oid
        if backend.repository is None or start is None:
            raise Fatal(f"{backend.where} has no history", hint="a store on a branch has one")
        graph = snapshot.surroundings.commit_graph
        histories.append(ref_changes(backend.repository, start, tree, directory, wanted, graph=graph, most=most))
    if len(histories) == 1:
        yield from histories[0]
        return
    heads = [next(history, None) for history in histories]
    while any(heads):
        newest = max((i for i, head in enumerate(heads) if head), key=lambda i: heads[i][0].committer.time)  # type: ignore[index]
        commit, changes, is_cut = heads[newest]  # type: ignore[misc]
        heads[newest] = next(histories[newest], None)
        for other, head in enumerate(heads):
            if head is not None and head[0].oid == commit.oid:  # one commit that changed both
                changes = sorted([*changes, *head[1]], key=lambda change: change[1])
                is_cut |= head[2] or (most is not None and len(changes) > most)
                changes = changes[:most]
                heads[other] = next(histories[other], None)
        yield commit, changes, is_cut


def _line(commit: Commit, changes: list[RefChange], *, is_cut: bool) -> str:
    origin = origin_of(commit.message)
    content: dict[str, Document] = {
        "commit": commit.oid,
        "time": format_seconds(commit.author.time),
        "author": commit.author.name,
        "email": commit.author.email,
        "subject": commit.message.partition("\n")[0],
        "command": command_of(commit.message),
        "operation": operation_name(commit.message),
        "actor": origin.actor,
        "run": origin.run,
        "reason": origin.reason,
        "changes": [{"status": letter, "ref": ref} for letter, ref in changes],
    }
    if is_cut:
        content["more"] = True
    return dump(content, None)


def _show(context: Context, commit: Commit, changes: list[RefChange], *, is_cut: bool, first: bool) -> None:
    terminal = context.terminal
    if not first:
        terminal.record("")
    terminal.record(terminal.paint(f"commit {commit.oid}", "yellow"))
    terminal.record(f"Author:  {commit.author.name} <{commit.author.email}>")
    terminal.record(f"Date:    {terminal.time(commit.author.time)}")
    subject, command = commit.message.partition("\n")[0], command_of(commit.message)
    if command:
        terminal.record(f"Command: {command}")
    origin = origin_of(commit.message)
    if origin.actor not in (None, f"local:{commit.author.email}"):
        terminal.record(f"Actor:   {origin.actor}")
    if origin.run is not None:
        terminal.record(f"Run:     {origin.run}")
    if origin.reason not in (None, subject):
        terminal.record(f"Reason:  {origin.reason}")
    terminal.record("")
    terminal.record(f"    {subject}")
    terminal.record("")
    colours = {"A": "green", "M": "cyan", "D": "red"}
    for letter, ref in changes:
        terminal.record(f"{terminal.paint(letter, colours[letter])}\t{terminal.name(ref)}")
    if is_cut:
        terminal.record("… and more: --changes=0 shows all")


COMMAND = Command(
    "log",
    "Show the commits that changed documents and links, newest first: all, or those of refs (links followed) "
    "and patterns.",
    "[<options>] [<ref> | <glob>]...",
    run,
    (
        Option("-n", "-<n>", "--limit", metavar="<n>", number=True, help="show <n> commits at most"),
        Option(
            "--changes",
            metavar="<n>",
            number=True,
            help="show <n> changes of a commit at most, 0 for all; by default 100, and with --json all",
        ),
        Option("--json", help='print a JSON line for each commit; with "more": true where --changes left some out'),
        Option("--at", metavar="<rev>", help="start from a revision (state~3, an id)"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *READING),
)
