"""Which commits changed what changes rarely, remembered: most documents, and what could be a link above a package.

To be sure that nothing else ever was at a path, git goes through all commits, for each path again. What it found from
a commit on is true for ever, and is remembered under the commit and the path.
"""

from __future__ import annotations

from ..git.objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable
    from typing import Final

    from ..git.commit_graph import CommitGraph
    from .memory import Memory

KIND: Final = "changed/1"
"""Its number is raised whenever the meaning of what is remembered changes."""

_MOST: Final = 256
"""Commits that are remembered of a path: what changes more often is asked for again."""
_LENGTH: Final = 40


def changed(
    graph: CommitGraph, memory: Memory, start: Oid, paths: Collection[str], write: Oid | None
) -> Generator[Oid, None, None] | None:
    """As `CommitGraph.changed`, which is asked only for the paths of which nothing is remembered."""
    ids = {id_of(start, path): path for path in paths}
    remembered = ((ids[id_], _unpacked(data)) for id_, data in memory.get(KIND, ids).items())
    known = {path: commits for path, commits in remembered if commits is not None}
    new: dict[str, bytes] = {}

    def take(path: str, commits: list[Oid]) -> None:
        data = packed(commits)
        if data is not None:
            new[id_of(start, path)] = data

    found = graph.changed(start, list(paths), write=write, known=known, take=take)
    return None if found is None else _keeping(found, memory, new)


def _keeping(found: Generator[Oid, None, None], memory: Memory, new: dict[str, bytes]) -> Generator[Oid, None, None]:
    try:
        yield from found
    finally:
        found.close()
        memory.put(KIND, new)


def id_of(start: Oid, path: str) -> str:
    """Under which id the commits are remembered that changed a path, from a commit on."""
    return start + path.encode(errors="surrogateescape").hex()


def start_and_path(id_: str) -> tuple[Oid, str] | None:
    """The commit and the path of an id; None for what is none."""
    try:
        path = bytes.fromhex(id_[_LENGTH:]).decode(errors="surrogateescape")
    except ValueError:
        return None
    return (Oid(id_[:_LENGTH]), path) if path and len(id_) > _LENGTH else None


def packed(commits: Iterable[Oid]) -> bytes | None:
    """Commits as they are remembered; None for too many."""
    ids = [bytes.fromhex(commit) for commit in commits]
    return b"".join(ids) if len(ids) <= _MOST else None


def _unpacked(data: bytes) -> list[Oid] | None:
    text = data.hex()
    return [Oid(text[at : at + _LENGTH]) for at in range(0, len(text), _LENGTH)] if not len(text) % _LENGTH else None
