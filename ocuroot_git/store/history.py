"""The history of a store: which commits changed which refs (design 6, `log`).

Commits are compared with their first parents, tree by tree; equal subtrees have equal ids and are not entered.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..errors import Fatal
from ..formats.commit_message import actor_of
from ..formats.layout import REFS, object_path, stored_ref
from ..git.objects import Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator
    from typing import Final

    from ..backends.base import Backend, Files
    from ..formats.layout import ShownRef, StoredRef
    from ..git.commit_graph import CommitGraph
    from ..git.objects import Commit, Node, Oid
    from ..git.repository import Repository
    from .memory import Memory
    from .snapshot import Snapshot
    from .tree import StoreTree

    Spots = dict[str, "Spots"]
    """Places in a tree: what is below each name of interest; the empty name says that the place itself is one."""
    Change = tuple[str, str]
    """A letter as git's `--name-status` has it (A, M, D), and a path."""
    RefChange = tuple[str, ShownRef]
    """Such a letter, and a ref."""
    Changed = tuple[Commit, list[RefChange], bool]
    """A commit, the refs that it changed, and whether there are more of them."""

_FIRST_WINDOW: Final = 4
_LARGEST_WINDOW: Final = 256
"""Commits whose trees are fetched together, where they have to be fetched: few for those who only want a few."""
_ASK_EVERY: Final = 512
"""Commits after which, again and again, the commit-graph is asked whether it knows the rest; sooner at first."""
_MEETING_POINT: Final = "00"
"""How the id of a commit begins at which the graph is asked where the answer is to be remembered: one in 256."""
_MOST_KNOWN: Final = 1000
"""Entries of directories that are kept on the way through history."""
WRITE_AFTER: Final = 5000
"""Commits after which it pays to make it know the rest: the next one who asks need not walk them."""
_ADD_AFTER: Final = 10
"""How much sooner that pays where it knows what comes after that: it is only added to."""


def require_history(snapshot: Snapshot, backend: Backend) -> tuple[Repository, Oid]:
    """The repository in which a backend keeps its history, and the commit that a snapshot reads there.

    Raises Fatal where it keeps none: a store in a directory.
    """
    tip = snapshot.version(backend).oid
    if backend.repository is None or tip is None:
        raise Fatal(f"{backend.where} has no history", hint="a store on a branch has one")
    return backend.repository, tip


def actor_of_commit(commit: Commit) -> str:
    """Who asked for the change that a commit made: as it says itself, else its author."""
    return actor_of(commit.message) or commit.author.name


def commits(repository: Repository, start: Oid) -> Iterator[Commit]:
    """A commit and its ancestors along first parents, newest first."""
    oid: Oid | None = start
    waiting, window = 0, _FIRST_WINDOW
    while oid is not None:
        if repository.is_partial and waiting == 0:
            _prefetch(repository, oid, window)
            waiting, window = window, min(2 * window, _LARGEST_WINDOW)
        waiting -= 1
        commit = repository.commit(oid)
        yield commit
        oid = commit.parents[0] if commit.parents else None


def _prefetch(repository: Repository, start: Oid, window: int) -> None:
    """Fetch the trees that comparing the next commits with their parents will read, all at once."""
    from .prefetch import prefetch_changes

    oids = [start]
    while len(oids) <= window and (parents := repository.parents(oids[-1])):
        oids.append(parents[0])
    repository.prefetch_roots(oids)
    roots = [repository.root(oid) for oid in oids]
    prefetch_changes(repository, list(zip(roots[1:], roots)))


class Wanted:
    """Whose history is asked for: the shown refs that match, in which files and directories they are to be found.

    `only` are the stored refs of all that is wanted, where these are known, else None. A commit that left all of
    `paths` alone (from the top of the store) changed nothing that is wanted; None where that is not known.
    """

    __slots__ = ("matches", "only", "paths")

    def __init__(
        self,
        matches: Callable[[ShownRef], bool],
        only: Collection[StoredRef] | None = None,
        paths: Collection[str] | None = None,
    ) -> None:
        self.matches = matches
        self.only = only
        self.paths = paths if only is None else [object_path(ref) for ref in only]


def changed_files(files: Files, old: Node | None, new: Node | None) -> Iterator[tuple[str, Node | None, Node | None]]:
    """The files that differ between two trees, either of which may be None, always in the same order.

    Each comes with its path and with what it was and is: None where there was or is no file.
    """
    todo: list[tuple[str, Node | None, Node | None]] = [("", old, new)]
    while todo:
        above, before, after = todo.pop()
        old_nodes, new_nodes = _by_name(files, before), _by_name(files, after)
        below: list[tuple[str, Node | None, Node | None]] = []
        for name in sorted(old_nodes.keys() | new_nodes.keys()):
            old_node, new_node = old_nodes.get(name), new_nodes.get(name)
            if old_node is not None and new_node is not None and files.oid(old_node) == files.oid(new_node):
                continue
            path = above + name
            old_tree = old_node if old_node is not None and files.is_tree(old_node) else None
            new_tree = new_node if new_node is not None and files.is_tree(new_node) else None
            if old_tree is not None or new_tree is not None:
                below.append((path + "/", old_tree, new_tree))
            was, is_now = None if old_tree is not None else old_node, None if new_tree is not None else new_node
            if was is not None or is_now is not None:
                yield path, was, is_now
        todo += reversed(below)


def changed_paths(files: Files, old: Node | None, new: Node | None) -> Iterator[Change]:
    """The files that differ between two trees, as `changed_files` has them, each with what became of it."""
    for path, was, is_now in changed_files(files, old, new):
        yield ("A" if was is None else "D" if is_now is None else "M"), path


def changed_refs(files: Files, old: Node | None, new: Node | None, directory: str) -> Iterator[tuple[str, StoredRef]]:
    """The stored refs whose objects differ between the stores that lie at `directory` of two trees."""
    for letter, path in changed_paths(
        files, node_at(files, old, directory + REFS), node_at(files, new, directory + REFS)
    ):
        stored = stored_ref(f"{REFS}/{path}")
        if stored is not None:
            yield letter, stored


def ref_changes(
    repository: Repository,
    start: Oid,
    tree: StoreTree,
    directory: str,
    wanted: Wanted,
    *,
    graph: Callable[[Repository], CommitGraph] | None = None,
    memory: Memory | None = None,
    most: int | None = None,
) -> Iterator[Changed]:
    """Each commit from `start` on that changed a wanted ref, with its changes, sorted; refs as they are shown.

    `tree` and `directory` are of the store as it is at `start`: its dialect, and where it lies in the branch. `graph`
    opens what finds the commits of a long history, `memory` keeps what it found. Of a commit's changes no more than
    `most` are looked for.
    """
    paths = None if wanted.paths is None else [directory + path for path in wanted.paths]
    history = changing_commits(repository, start, paths, graph=graph, write_after=WRITE_AFTER, memory=memory)
    for commit, before in history:
        if before is None and tree.files.is_partial:
            from .prefetch import prefetch_changes

            prefetch_changes(tree.files, [(None, commit.root)])
        changes: list[RefChange] = []
        is_cut = False
        for change in _wanted_changes(tree, directory, before, commit.root, wanted):
            if len(changes) == most:
                is_cut = True
                break
            changes.append(change)
        if changes:
            yield commit, sorted(changes, key=lambda change: change[1]), is_cut


def changing_commits(
    repository: Repository,
    start: Oid,
    paths: Collection[str] | None,
    *,
    graph: Callable[[Repository], CommitGraph] | None = None,
    write_after: int | None = None,
    look_at: int | None = None,
    memory: Memory | None = None,
) -> Generator[tuple[Commit, Node | None], None, str | None]:
    """The commits from `start` on that changed what is at any of the paths (None: all commits), newest first.

    Each comes with the tree at the top of its first parent; None for the first commit. No more than `look_at` commits
    are looked at, those aside of which `graph` knows that they changed nothing; the generator returns the one to go on
    from, None at the end. From `write_after` commits on the graph is made to know the rest. In `memory` is kept what it
    found, where that is little: for those who ask for the same paths again and again.
    """
    repository.prepare_walk()
    wanted = None if paths is None else spots_of(paths)
    files = _LookedInto(repository)
    asked = graph(repository) if graph is not None and paths else None
    newer: Commit | None = None
    for count, commit in enumerate(commits(repository, start)):
        if newer is not None and (wanted is None or differ(files, commit.root, newer.root, wanted)):
            yield newer, commit.root
        if asked is not None and paths is not None and _is_time_to_ask(count, commit, memory):
            pays = write_after is not None and count >= (write_after // _ADD_AFTER if asked.is_there else write_after)
            write = start if pays else None
            if memory is None:
                known = asked.changed(commit.oid, list(paths), write=write)
            else:
                from .rare_changes import changed

                known = changed(asked, memory, commit.oid, paths, write)
            if known is not None:
                at = yield from _those_known(repository, commit.oid, known)
                left = None if look_at is None else max(look_at - count, 1)
                return None if at is None else (yield from changing_commits(repository, at, paths, look_at=left))
        if count == look_at:
            return commit.oid
        newer = commit
    if newer is not None and (wanted is None or differ(files, None, newer.root, wanted)):
        yield newer, None
    return None


def _is_time_to_ask(count: int, commit: Commit, memory: Memory | None) -> bool:
    """Whether to ask the graph at a commit, the `count`-th from the start. What is to be remembered is asked for at
    such commits as others who begin elsewhere come to as well."""
    if memory is not None:
        return commit.oid.startswith(_MEETING_POINT)
    return count & (count - 1) == 0 or count % _ASK_EVERY == 0


def _those_known(
    repository: Repository, start: Oid, known: Generator[Oid, None, None]
) -> Generator[tuple[Commit, Node | None], None, Oid | None]:
    """The commits that a graph tells of from `start` on, as `changing_commits` has them; returns None at the end, and
    where git cannot go on the commit that was not told of yet."""
    at: Oid | None = start
    try:
        for commit in map(repository.commit, known):
            at = commit.parents[0] if commit.parents else None
            yield commit, repository.root(at) if at is not None else None
    except Unanswered:
        return at
    finally:
        known.close()
    return None


def spots_of(paths: Iterable[str]) -> Spots:
    """Paths as `differ` has them."""
    spots: Spots = {}
    for path in paths:
        at = spots
        for segment in path.split("/") if path else ():
            at = at.setdefault(segment, {})
        at[""] = {}
    return spots


class _LookedInto:
    """Files whose directories are looked into once each: one commit after the other has most of them in common."""

    def __init__(self, files: Files) -> None:
        self.oid, self.is_tree, self._child = files.oid, files.is_tree, files.child
        self._known: dict[tuple[Oid, str], Node | None] = {}

    def child(self, node: Node, name: str) -> Node | None:
        key = (self.oid(node), name)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._child(node, name)
        return self._known[key]


def differ(files: Files | _LookedInto, old: Node | None, new: Node | None, spots: Spots) -> bool:
    """Whether there is something else at any of some places in two trees."""
    if old is None and new is None:
        return False
    if old is not None and new is not None and files.oid(old) == files.oid(new):
        return False
    if "" in spots:
        return True
    old = old if old is not None and files.is_tree(old) else None
    new = new if new is not None and files.is_tree(new) else None
    if old is None and new is None:
        return False
    for name, below in spots.items():
        was = files.child(old, name) if old is not None else None
        if differ(files, was, files.child(new, name) if new is not None else None, below):
            return True
    return False


def _wanted_changes(
    tree: StoreTree, directory: str, before: Node | None, after: Node, wanted: Wanted
) -> Iterator[RefChange]:
    files, shown = tree.files, tree.layout.shown
    if wanted.only is None:
        for letter, stored in changed_refs(files, before, after, directory):
            ref = shown(stored)
            if wanted.matches(ref):
                yield letter, ref
        return
    for stored in wanted.only:
        if not wanted.matches(shown(stored)):
            continue  # in a store that spells intents as state, it is the other side's
        path = directory + object_path(stored)
        old, new = _file_at(files, before, path), _file_at(files, after, path)
        if old != new:
            yield ("A" if old is None else "D" if new is None else "M"), shown(stored)


def _file_at(files: Files, root: Node | None, path: str) -> str | None:
    node = node_at(files, root, path)
    return None if node is None or files.is_tree(node) else files.oid(node)


def _by_name(files: Files, tree: Node | None) -> dict[str, Node]:
    """The entries of a tree; whatever their names: what was once written stays in history, and is only shown."""
    if tree is None or not files.is_tree(tree):
        return {}
    return {files.name(node): node for node in files.children(tree, checked=False)}
