"""The history of a store: which commits changed which refs (design 6, `log`).

Commits are compared with their first parents, tree by tree; equal subtrees have equal ids and are not entered.
"""

from __future__ import annotations

from ..formats.layout import REFS, object_path, stored_ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Final

    from ..backends.base import Files
    from ..git.repository import Commit, Node, Repository
    from .tree import StoreTree

    Change = tuple[str, str]
    """A letter as git's `--name-status` has it (A, M, D), and a path."""

_FIRST_WINDOW: Final = 4
_LARGEST_WINDOW: Final = 256
"""Commits whose trees are fetched together, where they have to be fetched: few for those who only want a few."""


def commits(repository: Repository, start: str) -> Iterator[Commit]:
    """A commit and its ancestors along first parents, newest first."""
    oid: str | None = start
    waiting, window = 0, _FIRST_WINDOW
    while oid is not None:
        if repository.is_partial and waiting == 0:
            _prefetch(repository, oid, window)
            waiting, window = window, min(2 * window, _LARGEST_WINDOW)
        waiting -= 1
        commit = repository.commit(oid)
        yield commit
        oid = commit.parents[0] if commit.parents else None


def _prefetch(repository: Repository, start: str, window: int) -> None:
    """Fetch the trees that comparing the next commits with their parents will read, all at once."""
    from .prefetch import prefetch_changes

    oids = [start]
    while len(oids) <= window and (parents := repository.parents(oids[-1])):
        oids.append(parents[0])
    repository.prefetch_roots(oids)
    roots = [repository.root(oid) for oid in oids]
    prefetch_changes(repository, list(zip(roots[1:], roots)))


def changed_paths(files: Files, old: Node | None, new: Node | None) -> Iterator[Change]:
    """The files that differ between two trees, either of which may be None, by path. In no particular order."""
    todo: list[tuple[str, Node | None, Node | None]] = [("", old, new)]
    while todo:
        above, before, after = todo.pop()
        old_nodes, new_nodes = _by_name(files, before), _by_name(files, after)
        for name in old_nodes.keys() | new_nodes.keys():
            one, other = old_nodes.get(name), new_nodes.get(name)
            if one is not None and other is not None and files.oid(one) == files.oid(other):
                continue
            path = above + name
            one_tree = one if one is not None and files.is_tree(one) else None
            other_tree = other if other is not None and files.is_tree(other) else None
            if one_tree is not None or other_tree is not None:
                todo.append((path + "/", one_tree, other_tree))
            was, is_now = one is not None and one_tree is None, other is not None and other_tree is None
            if was or is_now:
                yield ("M" if was and is_now else "A" if is_now else "D"), path


def changed_refs(files: Files, old: Node | None, new: Node | None, directory: str) -> Iterator[Change]:
    """The stored refs whose objects differ between the stores that lie at `directory` of two trees."""
    for letter, path in changed_paths(
        files, _below(files, old, directory + REFS), _below(files, new, directory + REFS)
    ):
        stored = stored_ref(f"{REFS}/{path}")
        if stored is not None:
            yield letter, stored


def ref_changes(
    repository: Repository,
    start: str,
    tree: StoreTree,
    directory: str,
    wanted: Callable[[str], bool],
    only: Collection[str] | None = None,
) -> Iterator[tuple[Commit, list[Change]]]:
    """Each commit from `start` on that changed a wanted ref, with its changes, sorted; refs as they are shown.

    `tree` and `directory` are of the store as it is at `start`: its dialect, and where it lies in the branch. `only`
    are the stored refs of all that is wanted, where these are known: commits that left them alone are passed over.
    """
    files = tree.files
    files.prepare_walk()
    shown = tree.layout.shown
    newer: Commit | None = None
    newer_ids: list[str | None] | None = None
    for commit in commits(repository, start):
        ids = None if only is None else [_id_at(files, commit.root, directory + object_path(ref)) for ref in only]
        if newer is not None and (ids is None or ids != newer_ids):
            yield from _changes_of(files, newer, commit.root, directory, shown, wanted)
        newer, newer_ids = commit, ids
    if newer is not None:
        if files.is_partial:
            from .prefetch import prefetch_changes

            prefetch_changes(files, [(None, newer.root)])
        yield from _changes_of(files, newer, None, directory, shown, wanted)


def _changes_of(
    files: Files,
    commit: Commit,
    before: Node | None,
    directory: str,
    shown: Callable[[str], str],
    wanted: Callable[[str], bool],
) -> Iterator[tuple[Commit, list[Change]]]:
    found = [(letter, shown(stored)) for letter, stored in changed_refs(files, before, commit.root, directory)]
    found = [(letter, ref) for letter, ref in found if wanted(ref)]
    if found:
        yield commit, sorted(found, key=lambda change: change[1])


def _below(files: Files, root: Node | None, path: str) -> Node | None:
    node = root
    for name in path.split("/"):
        node = files.child(node, name) if node is not None and files.is_tree(node) else None
    return node


def _id_at(files: Files, root: Node, path: str) -> str | None:
    node = _below(files, root, path)
    return None if node is None else files.oid(node)


def _by_name(files: Files, tree: Node | None) -> dict[str, Node]:
    """The entries of a tree; whatever their names: what was once written stays in history, and is only shown."""
    if tree is None or not files.is_tree(tree):
        return {}
    return {files.name(node): node for node in files.children(tree, checked=False)}
