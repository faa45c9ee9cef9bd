"""`git ocuroot log`: who changed what, and when."""

from __future__ import annotations

from ...backends.base import Version
from ...errors import UsageError
from ...formats.commit_message import actor_of, command_of, only_records_a_log, operation_name, origin_of
from ...formats.documents import MISSING, dump, same_text
from ...formats.globs import Glob
from ...formats.layout import REFS, SIDES, Damaged, ShownRef, StoreError
from ...formats.refs import INTENT, STATE, RefError
from ...formats.times import format_seconds
from ...store.history import Wanted, ref_changes, require_history
from ..arguments import absolute_glob, moment_of, need_history, pattern_of
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...backends.base import Backend
    from ...formats.documents import Document
    from ...formats.layout import StoredRef
    from ...git.objects import Commit
    from ...store.history import Changed, RefChange
    from ...store.snapshot import Snapshot
    from ...store.tree import StoreTree
    from ...store.value_history import ValueChange
    from ..context import Context

_MOST_CHANGES: Final = 100
"""Changes of a commit that are shown unless all are asked for: an import changes everything there is."""
_CLOCKS_GO_WRONG: Final = 100
"""Commits, one after the other, that must be too old before all that come after are taken to be so too."""
_SHORT: Final = 100
"""Characters of a value before and after a change that are shown on one line."""
_COLOURS: Final = {"A": "green", "M": "cyan", "D": "red"}


def run(
    context: Context,
    *patterns: str,
    limit: int | None,
    since: str | None,
    until: str | None,
    author: str | None,
    follow: bool,
    oneline: bool,
    patch: bool,
    run_logs: bool,
    changes: int | None,
    json: bool,
    at: str | None,
) -> int:
    need_history(context)
    chosen = _Chosen(context, since, until, author)
    snapshot = context.snapshot(at)
    if limit == 0:
        return 0
    most = changes if changes is not None else 0 if json else _MOST_CHANGES
    values = _value_history(snapshot, patterns, follow=follow)
    if values is None:
        entries: Iterator[_Entry] = map(
            _entry, _newest_first(context, snapshot, _wanted(context, snapshot, patterns), most or None)
        )
    else:
        entries = _entries_of_value(values)
    context.terminal.start_pager()
    printer = _Printer(context, snapshot, oneline=oneline, patch=patch, folds=not (run_logs or json or patterns))
    count, is_cut, ends = 0, False, _ends(snapshot)
    for entry in chosen.of(entries):
        is_cut = is_cut or entry.commit.oid in ends
        if json:
            context.terminal.json(_line(entry))
        elif not printer.show(entry):
            continue
        count += 1
        if count == limit:
            break
    printer.finish()
    if is_cut:
        from ..reports import report_cut_history

        report_cut_history(context.terminal)
    if not count and context.terminal.is_interactive:
        context.terminal.remark("no such commit")
    return 0


def _ends(snapshot: Snapshot) -> set[str]:
    """The commits of both stores of which it cannot be told what they changed: those before them are not here."""
    backends = {
        snapshot.backend_of(snapshot.side(side))[0] for side in SIDES if side == "state" or snapshot.has_intent()
    }
    ends: set[str] = set()
    for backend in backends:
        ends |= backend.repository.history_ends() if backend.repository is not None else set()
    return ends


class _Entry:
    """A commit to be shown: the refs that it changed, whether there are more, and where one value is asked for that."""

    __slots__ = ("changes", "commit", "is_cut", "value")

    def __init__(
        self, commit: Commit, changes: list[RefChange], *, is_cut: bool = False, value: ValueChange | None = None
    ) -> None:
        self.commit = commit
        self.changes = changes
        self.is_cut = is_cut
        self.value = value


def _entry(changed: Changed) -> _Entry:
    return _Entry(changed[0], changed[1], is_cut=changed[2])


class _Chosen:
    """Which commits are asked for: of a time, and of somebody. Raises UsageError for what is no date or pattern."""

    def __init__(self, context: Context, since: str | None, until: str | None, author: str | None) -> None:
        self._since = None if since is None else moment_of(context, since)
        self._until = None if until is None else moment_of(context, until)
        self._author = None if author is None else pattern_of("--author", author)

    def of(self, entries: Iterator[_Entry]) -> Iterator[_Entry]:
        """The entries that are asked for, the newest first. One commit with a wrong clock does not end the search."""
        too_old = 0
        for entry in entries:
            when = entry.commit.committer.time
            too_old = too_old + 1 if self._since is not None and when < self._since else 0
            if too_old > _CLOCKS_GO_WRONG:
                return
            if not too_old and (self._until is None or when <= self._until) and self._is_by(entry.commit):
                yield entry

    def _is_by(self, commit: Commit) -> bool:
        author = f"{commit.author.name} <{commit.author.email}>"
        names = (author, actor_of(commit.message) or "")
        return self._author is None or any(map(self._author.search, names))


def _value_history(snapshot: Snapshot, words: tuple[str, ...], *, follow: bool) -> Iterator[ValueChange] | None:
    """The history of one value, where a fragment names one or links are followed through time; else None."""
    refs = [word for word in words if not set(word) & set("*?[{")]
    named = [snapshot.named(word) for word in refs] if follow or any("#" in word for word in refs) else []
    if not follow and not any(ref.fragment for ref in named):
        return None
    if len(words) != 1 or len(named) != 1:
        raise UsageError(f"{'--follow' if follow else 'a ref with a fragment'} goes with one ref alone")
    from ...store.value_history import value_changes  # late: most who ask need none of it

    return value_changes(snapshot, named[0])


def _entries_of_value(history: Iterator[ValueChange]) -> Iterator[_Entry]:
    for change in history:
        letter = "A" if change.before is MISSING else "D" if change.after is MISSING else "M"
        yield _Entry(change.commit, [(letter, ShownRef(change.resolved))], value=change)


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
        repository, start = require_history(snapshot, backend)
        graph = snapshot.surroundings.commit_graph
        memory = snapshot.surroundings.memory if wanted.paths is not None else None
        histories.append(ref_changes(repository, start, tree, directory, wanted, graph=graph, memory=memory, most=most))
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


def _line(entry: _Entry) -> str:
    commit = entry.commit
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
        "changes": [{"status": letter, "ref": ref} for letter, ref in entry.changes],
    }
    if entry.is_cut:
        content["more"] = True
    if entry.value is not None:
        content["old"] = None if entry.value.before is MISSING else entry.value.before
        content["new"] = None if entry.value.after is MISSING else entry.value.after
    return dump(content, None)


class _Printer:
    """Shows commits to people; `folds` those that only record what runs printed: a line tells how many there were."""

    def __init__(self, context: Context, snapshot: Snapshot, *, oneline: bool, patch: bool, folds: bool) -> None:
        self._terminal = context.terminal
        self._snapshot = snapshot
        self._oneline = oneline
        self._patch = patch
        self._folds = folds
        self._folded = 0
        self._is_first = True

    def show(self, entry: _Entry) -> bool:
        """Show a commit; whether it was not folded."""
        if self._folds and only_records_a_log(entry.commit.message):
            self._folded += 1
            return False
        self.finish()
        if not self._oneline and not self._is_first:
            self._terminal.record("")
        self._is_first = False
        if self._oneline:
            oid = self._terminal.paint(entry.commit.oid[:10], "yellow")
            self._terminal.record(f"{oid} {entry.commit.message.partition(chr(10))[0]}")
        else:
            self._show_head(entry.commit)
        if entry.value is not None:
            if self._patch or not self._oneline:
                self._show_value(entry, entry.value)
        elif self._patch:
            for _, ref in entry.changes:
                self._show_patch(entry.commit, ref)
        elif not self._oneline:
            for letter, ref in entry.changes:
                self._terminal.record(f"{self._terminal.paint(letter, _COLOURS[letter])}\t{self._terminal.name(ref)}")
        if entry.is_cut and (self._patch or not self._oneline):
            self._terminal.record("… and more: --changes=0 shows all")
        return True

    def finish(self) -> None:
        """Say how many commits were folded since the last that was shown."""
        if self._folded:
            what = "1 commit" if self._folded == 1 else f"{self._folded} commits"
            if not self._oneline and not self._is_first:
                self._terminal.record("")
            self._terminal.record(self._terminal.paint(f"… {what} of logs of runs: --run-logs shows them", "dim"))
            self._folded, self._is_first = 0, False

    def _show_head(self, commit: Commit) -> None:
        terminal = self._terminal
        subject, command = commit.message.partition("\n")[0], command_of(commit.message)
        terminal.record(terminal.paint(f"commit {commit.oid}", "yellow"))
        terminal.record(f"Author:  {commit.author.name} <{commit.author.email}>")
        terminal.record(f"Date:    {terminal.time(commit.author.time)}")
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

    def _show_value(self, entry: _Entry, value: ValueChange) -> None:
        """What a value was and is: on one line where it is short, else as a patch."""
        from ..patches import show_patch

        ref = entry.changes[0][1]
        texts = ["(none)" if one is MISSING else dump(one, None) for one in (value.before, value.after)]
        if self._patch or sum(map(len, texts)) > _SHORT:
            show_patch(self._terminal, self._terminal.name(ref), value.before, value.after)
        else:
            old, new = self._terminal.paint(texts[0], "red"), self._terminal.paint(texts[1], "green")
            self._terminal.record(f"{self._terminal.name(ref)}: {old} → {new}")

    def _show_patch(self, commit: Commit, ref: ShownRef) -> None:
        """How a commit changed a document or a link, in whichever branch it is."""
        from ..patches import show_patch

        sides = [side for side in SIDES if side == "state" or self._snapshot.has_intent()]
        backends = {self._snapshot.backend_of(self._snapshot.side(side))[0] for side in sides}
        documents = []
        for oid in (commit.parents[0] if commit.parents else None, commit.oid):
            document = MISSING
            for backend in backends:
                if oid is not None and backend.repository is not None and backend.repository.has(oid):
                    version = Version(oid, backend.repository.root(oid))
                    document = self._document(backend, version, ref)
            documents.append(document)
        if MISSING not in documents and same_text(*documents):
            self._terminal.record(self._terminal.paint(f"diff {self._terminal.name(ref)}", "bold"))
            self._terminal.record("(only which links lead to it)")
        else:
            show_patch(self._terminal, self._terminal.name(ref), documents[0], documents[1])

    def _document(self, backend: Backend, version: Version, ref: ShownRef) -> Document:
        from ...store.snapshot import Snapshot

        then = Snapshot(self._snapshot.surroundings, {**self._snapshot.versions, backend: version})
        try:
            found = then.object(ref)
        except StoreError:
            return MISSING  # before there was a store
        except (Damaged, RefError) as error:
            return f"({error.message})"
        return MISSING if found is None else found.body if found.kind == "ref" else f"link to {found.target}"


COMMAND = Command(
    "log",
    "Show the commits that changed documents and links, newest first: all, or those of refs (links followed) "
    "and patterns.",
    "[<options>] [(<ref> | <glob>)...]",
    run,
    (
        Option("-n", "-<n>", "--limit", metavar="<n>", number=True, help="show <n> commits at most"),
        Option("--since", metavar="<date>", help="only commits made since then (yesterday, 2026-11-20)"),
        Option("--until", metavar="<date>", help="only commits made until then"),
        Option("--author", metavar="<pattern>", help="only commits whose author or actor matches, as 'github:ann'"),
        Option("--follow", help="of one ref: follow it along its links, as they were at each moment"),
        Option("--oneline", help="show a commit in one line"),
        Option("-p", "--patch", help="show how each document has changed"),
        Option("--run-logs", help="show also commits that only record what runs have printed"),
        Option(
            "--changes",
            metavar="<n>",
            number=True,
            help="show <n> changes of a commit at most, 0 for all; by default 100, and with --json all",
        ),
        Option("--json", help='print a JSON line for each commit; with "more": true where --changes left some out'),
        Option("--at", metavar="<rev>", help="start from a revision (state~3, an id) or a date (yesterday)"),
        Option("-z", help="end records with NUL"),
    ),
    common=(*RELATIVE, *READING),
)
