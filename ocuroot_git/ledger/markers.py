"""The markers by which a commit says of runs of deployments that they began or ended, told from the files it changed.

A marker is a document whose name is the status of a run: see design 7. What other files a deployment is told from is
said here as well.
"""

from __future__ import annotations

from ..delivery.vocabulary import CANCELLED, COMPLETE, DEPLOY, FAILED, FAILED_RETRIED
from ..formats.layout import OBJECT_FILE, REFS
from ..formats.refs import STATE, run_number
from ..git.objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from ..formats.layout import Layout
    from ..git.tree_changes import FileChange

    Marker = tuple[bytes, str, str, bytes]
    """A letter (A, M, D, T), the run (a stored ref), the status, and the blob that says so after the commit."""
    Ended = dict[str, tuple[str, Oid]]
    """By run (a stored ref): its outcome, and the blob of the marker that says it."""

OUTCOMES: Final = {COMPLETE: COMPLETE, FAILED: FAILED, FAILED_RETRIED: FAILED, CANCELLED: CANCELLED}
"""What the statuses say of a run that is over."""
_TAIL: Final = f"/{OBJECT_FILE}"
_RAW_TAIL: Final = _TAIL.encode()
_STATUS: Final = b"/status/"
_OVER: Final = tuple(f"/status/{status}{_TAIL}".encode() for status in OUTCOMES)
_LOGS: Final = f"/logs{_TAIL}".encode()
_BELOW_DEPLOY: Final = f"/{DEPLOY}/".encode()
_RELEASE: Final = f"/{STATE}".encode()


class Markers:
    """Finds the markers of a store that lies at a directory (`state/`, or empty), among the files of a commit."""

    def __init__(self, layout: Layout, directory: str) -> None:
        self._layout = layout
        self._head = f"{directory}{REFS}/"
        self._raw_head = self._head.encode()

    def is_wanted(self, path: bytes) -> bool:
        """Whether a file may be that of a deployment, of a run of one, or of a release; logs tell nothing."""
        if not (path.endswith(_RAW_TAIL) and path.startswith(self._raw_head)):
            return False
        if path.endswith(_LOGS) and path[path.rfind(b"/", 0, -len(_LOGS)) + 1 : -len(_LOGS)].isdigit():
            return False
        return _BELOW_DEPLOY in path or path.startswith(_RELEASE, path.rfind(b"/", 0, -len(_RAW_TAIL)))

    def among(self, changes: Sequence[FileChange]) -> list[Marker]:
        """The changes of markers of runs of deployments, among those of all files."""
        return [
            (letter, *marker, new)
            for letter, _, new, path in changes
            if _STATUS in path and (marker := self._marker(path))[0]
        ]

    def _marker(self, raw_path: bytes) -> tuple[str, str]:
        """The run (a stored ref) and the status of a marker of a run of a deployment; empty texts for another path."""
        path = raw_path.decode(errors="surrogateescape")
        head, _, status = path[: -len(_TAIL)].rpartition("/status/")
        segments = head.rsplit("/", 4)
        if len(segments) != 5 or "/" in status or segments[2] != DEPLOY or run_number(segments[4]) is None:
            return "", ""
        if self._layout.release_number(segments[1]) is None or not path.isprintable():
            return "", ""
        return head[len(self._head) :], status


def may_end(changes: Sequence[FileChange]) -> bool:
    """Whether anything in a commit got a marker as one has that is over; quicker than to look at the markers."""
    return any(letter == b"A" and path.endswith(_OVER) for letter, _, _, path in changes)


def ended_in(markers: Sequence[Marker]) -> Ended:
    """The runs that ended in a commit, by all its markers."""
    ended: Ended = {}
    had_ended = set()
    for letter, run, status, new in markers:
        if status not in OUTCOMES:
            continue
        if letter == b"A":
            ended[run] = OUTCOMES[status], Oid(new.decode())
        elif letter == b"D":
            had_ended.add(run)  # what has failed and was retried since had ended before
    return {run: marker for run, marker in ended.items() if run not in had_ended}
