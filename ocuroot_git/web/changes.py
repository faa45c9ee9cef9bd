"""The history of a store for the view: its commits, and what became of one document, a page at a time.

Commits are followed along first parents, as `log` does. A page looks at a bounded number of them and names the
commit to go on from, so that a long history costs no page more than a short one.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from ..backends.base import file_at, node_at
from ..errors import Error, NotFound
from ..formats.commit_message import command_of, only_records_a_log, operation_name, origin_of
from ..formats.documents import MISSING
from ..formats.layout import StoredObject, stored_ref
from ..formats.times import format_seconds
from ..store.history import changed_paths, changing_commits
from .json_text import difference
from .masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..backends.base import Backend
    from ..git.objects import Commit, Node, Oid
    from ..git.repository import Repository
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

COMMITS_PER_PAGE = 50
MOST_COMMITS = 1000
"""Commits that one page of a document's history looks at."""
_MOST_CHANGES = 5000
"""Changes of one commit that are listed; an import changes all there is."""
_PREVIEW = 4
_FOLDED_PER_COMMIT = 20
"""A page looks at so many times the commits that it shows."""


def fetch_history(backend: Backend) -> None:
    """Let a place that holds no more than the newest commit, as a remote store does, fetch those before it."""
    need = getattr(backend, "need_history", None)
    if need is not None:
        need()


def commit_of_id(backend: Backend, text: str) -> Oid | None:
    """The commit with an id, or the one whose id begins with `text`; None where there is none, or where there are
    several."""
    repository = backend.repository
    if repository is None:
        return None
    fetch_history(backend)
    try:
        return repository.resolve(text)
    except NotFound:
        return None


def commit_to_start_from(backend: Backend, oid: Oid | None) -> Oid | None:
    """The commit that an address names to go on from, if it names one. Raises NotFound where that is not there."""
    if oid is not None and commit_of_id(backend, oid) is None:
        raise NotFound(f"there is no commit '{oid}'")
    return oid


def describe(commit: Commit) -> dict[str, Any]:
    """A commit as pages show it. `who` is the actor, in short; `run` is a link only if it is an address of the web."""
    origin, subject = origin_of(commit.message), commit.message.partition("\n")[0]
    return {
        "commit": commit.oid,
        "time": format_seconds(commit.author.time),
        "author": commit.author.name,
        "email": commit.author.email,
        "subject": subject,
        "command": command_of(commit.message),
        "operation": operation_name(commit.message),
        "actor": origin.actor,
        "who": actor if (actor := origin.actor) and not actor.startswith("local:") else commit.author.name,
        "run": origin.run,
        "reason": origin.reason if origin.reason != subject else None,
    }


def commit_page(
    snapshot: Snapshot, backend: Backend, start: Oid, count: int = COMMITS_PER_PAGE, *, folds: bool = True
) -> dict[str, Any]:
    """`count` commits from `start` on with the first refs each changed; `next` is where to go on.

    `folds`: those that only record what runs printed are left out; `folded` of a commit, and of the page for those at
    its end, says how many there were before it.
    """
    repository = backend.repository
    assert repository is not None
    found: list[dict[str, Any]] = []
    oid: Oid | None = start
    folded = 0
    for _ in range(count * (_FOLDED_PER_COMMIT if folds else 1)):
        if oid is None or len(found) == count:
            break
        commit = repository.commit(oid)
        parent, oid, _ = _parent(repository, commit)
        if folds and only_records_a_log(commit.message):
            folded += 1
            continue
        changes = list(islice(_changes(snapshot, backend, commit, parent), _PREVIEW + 1))
        more = len(changes) > _PREVIEW
        found.append({**describe(commit), "folded": folded, "changes": changes[:_PREVIEW], "more": more})
        folded = 0
    return {"commits": found, "folded": folded, "next": oid}


def one_commit(snapshot: Snapshot, backend: Backend, oid: Oid) -> dict[str, Any]:
    """One commit with the refs that it changed, sorted, and its parent."""
    assert backend.repository is not None
    commit = backend.repository.commit(oid)
    parent, parent_oid, is_cut = _parent(backend.repository, commit)
    changes = list(islice(_changes(snapshot, backend, commit, parent), _MOST_CHANGES + 1))
    return {
        **describe(commit),
        "committed": format_seconds(commit.committer.time),
        "message": commit.message,
        "parent": parent_oid,
        "is_cut": is_cut,
        "changes": sorted(changes[:_MOST_CHANGES], key=lambda change: change["ref"]),
        "more": len(changes) > _MOST_CHANGES,
    }


def document_history(
    snapshot: Snapshot,
    backend: Backend,
    start: Oid,
    path: str,
    *,
    most: int,
    look_at: int | None = None,
) -> dict[str, Any]:
    """The commits from `start` on that changed the file at `path`: at most `most`, of `look_at` looked at (1000).

    `next` is the commit to go on from, None at the beginning of history, or where a commit cannot be read: `problem`
    says why. Where there is a commit-graph that knows the changes of older commits, all of them are looked at.
    """
    repository = backend.repository
    assert repository is not None
    repository.commit(start)  # that there is none is the answer, and no gap in the history
    found: list[dict[str, Any]] = []
    graph, memory = snapshot.surroundings.commit_graph, snapshot.surroundings.memory
    look_at = look_at or MOST_COMMITS
    history = changing_commits(repository, start, [path], graph=graph, look_at=look_at, memory=memory)
    while True:
        try:
            commit, before = next(history)
        except StopIteration as end:
            return {"entries": found, "next": end.value, "problem": ""}
        except Error as error:
            return {"entries": found, "next": None, "problem": error.message}
        if len(found) == most:
            return {"entries": found, "next": commit.oid, "problem": ""}
        was, is_now = node_at(repository, before, path), node_at(repository, commit.root, path)
        found.append({**describe(commit), "status": "A" if was is None else "D" if is_now is None else "M"})


def change_of(repository: Repository, oid: Oid, path: str) -> list[tuple[str, str]] | None:
    """What a commit changed in the document at `path`, as marked lines; None where it is too long to compare."""
    commit = repository.commit(oid)
    parent, _, _ = _parent(repository, commit)
    old = _body(repository, parent.root if parent is not None else None, path)
    return difference(old, _body(repository, commit.root, path))


def _parent(repository: Repository, commit: Commit) -> tuple[Commit | None, Oid | None, bool]:
    """The first parent and its id; the last says that there is one, but not here: the clone is a shallow one."""
    if not commit.parents:
        return None, None, False
    try:
        return repository.commit(commit.parents[0]), commit.parents[0], False
    except Error:
        return None, None, True


def _changes(snapshot: Snapshot, backend: Backend, commit: Commit, parent: Commit | None) -> Iterator[dict[str, str]]:
    """The refs that a commit changed, of whichever store of the place, in no order."""
    homes = [(snapshot.backend_of(tree)[1], tree) for tree in _trees(snapshot, backend)]
    for letter, path in changed_paths(backend.files, parent.root if parent is not None else None, commit.root):
        for directory, tree in homes:
            stored = stored_ref(path.removeprefix(directory)) if path.startswith(directory) else None
            if stored is not None:
                yield {"status": letter, "ref": tree.layout.shown(stored)}
                break


def _trees(snapshot: Snapshot, backend: Backend) -> list[StoreTree]:
    found = [snapshot.side("state")]
    if snapshot.has_intent() and snapshot.side("intent") is not found[0]:
        found.append(snapshot.side("intent"))
    return [tree for tree in found if snapshot.backend_of(tree)[0] == backend]


def _body(repository: Repository, root: Node | None, path: str) -> Any:
    data = file_at(repository, root, path)
    if data is None:
        return MISSING
    try:
        found = StoredObject.read(data, path)
    except Error as error:
        return error.message
    return masked(found.body) if found.kind == "ref" else f"link to {found.target}"
