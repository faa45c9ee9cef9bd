"""Fetching what the events of a stretch of history are read from, before they are: many commits at once (design 8.4).

Where something has to be fetched at all; without it each deployment takes a handful of round trips.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..delivery import lenient
from ..delivery.vocabulary import DEPLOY, RUNNING
from ..formats.layout import StoredRef, object_path
from ..formats.refs import STATE
from ..store.prefetch import prefetch_changes, prefetch_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..git.objects import Node, Oid
    from ..git.repository import Repository
    from .stretches import Stretch

    Ended = Sequence[tuple[Oid, Mapping[str, tuple[str, Oid]]]]
    """Commits, each with the runs (stored refs) that ended in it, their outcomes, and the blobs of their markers."""


def prefetch_trees(repository: Repository, stretch: Stretch) -> None:
    """Fetch the trees that comparing the commits of a stretch will read."""
    repository.prefetch_roots([*(oid for oid, _ in stretch.commits), *([stretch.next] if stretch.next else [])])
    roots = [(repository.root(of[0]) if of else None, repository.root(oid)) for oid, of in stretch.commits]
    prefetch_changes(repository, roots)


def prefetch_documents(
    repository: Repository,
    directory: str,
    parents: Mapping[Oid, Sequence[Oid]],
    ended: Ended,
    target_of: Callable[[bytes | None], str],
) -> None:
    """Fetch the documents that say what the runs were that ended in commits, and what was there before.

    The store lies at `directory`; `parents` are those of each commit; `target_of` reads where a link leads, from its
    file.
    """
    wanted: list[tuple[Node, str]] = []
    links: list[tuple[Node, str]] = []
    for oid, runs in ended:
        after = repository.root(oid)
        before = repository.root(parents[oid][0]) if parents[oid] else None
        for run in runs:
            release, _, rest = lenient.split_work(run)
            link = f"{release.rpartition('/')[0]}/{STATE}/{DEPLOY}/{rest.partition('/')[0]}"
            wanted += [(after, path) for path in _read_of(run)]
            if before is not None:
                links.append((before, _path(link)))
                wanted.append((before, _path(f"{run}/status/{RUNNING}")))
    prefetch_paths(repository, ((root, directory + path) for root, path in (*wanted, *links)))
    repository.blobs(blob for _, runs in ended for _, blob in runs.values())
    targets: list[tuple[Node, str]] = []
    for root, path in dict.fromkeys(links):
        node = node_at(repository, root, directory + path)
        target = target_of(repository.data(node) if node is not None else None)
        if target:
            targets += [(root, _path(target)), (root, _path(lenient.split_work(target)[0]))]
    prefetch_paths(repository, ((root, directory + path) for root, path in targets))


def prefetch_runs(repository: Repository, directory: str, runs: Iterable[tuple[Node, str]]) -> None:
    """Fetch what is read of runs (stored refs) that were set running, each in a tree; the store lies at `directory`."""
    prefetch_paths(
        repository,
        ((root, directory + path) for root, run in runs for path in (*_read_of(run), _path(f"{run}/status/{RUNNING}"))),
    )


def _read_of(run: str) -> list[str]:
    """The files that are read of a run: its document, that of its first function, and what may be a link above it."""
    return [_path(ref) for ref in (lenient.split_work(run)[0], run.rpartition("/")[0], run, f"{run}/functions/1")]


def _path(stored: str) -> str:
    return object_path(StoredRef(stored))
