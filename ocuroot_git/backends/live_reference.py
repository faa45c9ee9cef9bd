"""A reference of a run's own at the remote, which its executor alone writes while the run goes on (design 8.8).

Each commit adds a piece; a reader puts the pieces together. So no push is ever forced, and only what is new travels.
"""

from __future__ import annotations

from ..git.objects import ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..git.objects import Oid
    from .remote import Remote

LIVE: Final = "refs/ocuroot/live/"
_FILE: Final = "log.jsonl"
_MOST: Final = 20_000
"""Commits that are read of one reference: more than a run of a week makes."""


class LiveReference:
    """The reference of one run and executor. All of this raises RemoteError where the remote cannot be asked."""

    def __init__(self, remote: Remote, name: str) -> None:
        self.reference = f"{LIVE}{name}"
        self._remote = remote
        self._tip: Oid | None = None

    def append(self, data: bytes, message: str) -> None:
        """Add a piece, in a commit of its own."""
        writer = self._remote.object_writer
        tree = writer.edit(None, {_FILE: data})
        oid = self._remote.committer.commit(writer, tree, [self._tip] if self._tip else [], message)
        failure = self._remote.transport.push(oid, self.reference)
        if failure is not None:
            raise failure
        self._tip = oid

    def remove(self) -> None:
        """Remove the reference, if it is there."""
        tip = self._remote.transport.tip(self.reference)
        if tip is not None:
            failure = self._remote.transport.push("", self.reference, delete={self.reference: tip})
            if failure is not None:
                raise failure
        self._tip = None

    def read(self, known: Oid | None = None) -> tuple[Oid | None, bytes]:
        """Where the reference stands, and the pieces after the commit `known`; None where there is no reference."""
        tip = self._remote.transport.tip(self.reference)
        pieces: list[bytes] = []
        if tip is None or tip == known:
            return tip, b""
        self._remote.fetch_commits(tip)
        repository = self._remote.repository
        at: Oid | None = tip
        while at is not None and at != known and len(pieces) < _MOST:
            node = repository.child(repository.root(at), _FILE)
            if node is None or repository.is_tree(node):
                raise ObjectError(f"'{self.reference}' holds no log")
            pieces.append(repository.data(node))
            parents = repository.parents(at)
            at = parents[0] if parents else None
        return tip, b"".join(reversed(pieces))


def live_references(remote: Remote) -> dict[str, str]:
    """The references of runs at a remote, by name below `refs/ocuroot/live/`, and what their newest commit says."""
    found = {}
    for reference, oid in sorted(remote.transport.references(f"{LIVE}*").items()):
        remote.fetch_commits(oid)
        known = remote.repository.message_and_parents(oid)
        found[reference] = known[0] if known is not None else ""
    return found
