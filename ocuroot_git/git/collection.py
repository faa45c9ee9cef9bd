"""Writing beside `git gc --prune=now`, which deletes objects that no reference leads to, however new they are.

It looks at the references once and deletes later. What a writer has put into the object database in between is
deleted even though a reference leads to it by then. So a writer looks again after it has moved its branch, while it
still has all in memory, and for as long as the `git gc` goes on that may have looked before the branch moved.

Nor does a writer begin while one goes on: a writer that is killed in between would leave a branch whose newest commit
is gone, and the next `git gc` passes over such a branch, and over all that it alone leads to.
"""

from __future__ import annotations

import os
import time

from ..errors import Conflict, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from .object_writer import ObjectWriter
    from .objects import Changes, Oid

_LONGEST: Final = 60.0
"""Seconds to wait for the end of a `git gc`."""
_PAUSES: Final = (0.005, 0.1)
"""Seconds between two looks: the first, and the longest."""
_LATELY: Final = 10.0
"""Seconds after the end of a `git gc` within which what it deleted may still be missing."""
_MENDED: Final = 5.0
"""Seconds within which a writer beside a `git gc` has written again what that deleted, also on a busy machine."""
_STALE: Final = 12 * 3600
"""Seconds after which git itself takes the `gc.pid` of another machine for a leftover."""


def let_pass(common_dir: str) -> None:
    """Wait for the end of the `git gc` that goes on before anything is written. Raises Conflict where that is long.

    One that begins afterwards needs far longer to come to deleting than a writer to move its branch.
    """
    running = collector(common_dir)
    sleep = _sleeps()
    while running is not None and collector(common_dir) == running:
        if not next(sleep):
            raise Conflict(
                f"nothing was changed: 'git gc --prune' (process {running}) still runs, and would delete what is new",
                hint="try again when it has ended",
            )


def outlast(writer: ObjectWriter, commit: Oid, changes: Changes | None, write_again: Callable[[], None]) -> None:
    """See that all objects that a commit brought stay, once a branch leads to it; write again those that do not.

    `changes` are those it was made of; None: all that it holds. Raises Fatal where a `git gc` that may delete them goes
    on for too long to say.
    """
    running = collector(writer.repository.common_dir)
    sleep = _sleeps()
    while True:
        if not writer.holds(commit, changes):
            write_again()
            # Whichever runs by now may have looked while the commit was gone, and so have passed over the branch.
            running = collector(writer.repository.common_dir)
            continue
        if running is None:
            return
        if collector(writer.repository.common_dir) != running:
            running = None  # one that began later has seen the branch; one more look at what the first one did last
            continue
        if not next(sleep):
            raise Fatal(
                f"the change was made, but 'git gc --prune' (process {running}) still runs and may delete it",
                hint="when it has ended, see that all is well: git ocuroot fsck",
            )


def _sleeps() -> Iterator[bool]:
    """Sleep before another look, each time longer; gives False, and does not sleep, once that lasted for too long."""
    deadline = time.monotonic() + _LONGEST
    pause, longest = _PAUSES
    while time.monotonic() <= deadline:
        time.sleep(pause)
        pause = min(pause * 2, longest)
        yield True
    yield False


class GcWindow:
    """The time in which a `git gc` may be why objects are missing, so that it pays to try again.

    That is while one runs, and for a moment after one may have ended: no longer than other writers need to mend what
    it did, since what still fails then has another cause, which is to be told. Where one `git gc` follows another,
    that moment begins anew with each.
    """

    def __init__(self, common_dir: str) -> None:
        self._common_dir = common_dir
        self._ended_at: float | None = None
        """When the last one may have ended, at the latest."""

    def is_open(self) -> bool:
        """Whether to try again; asked when objects are missing."""
        now = time.monotonic()
        if collector(self._common_dir) is not None:
            self._ended_at = now
            return True
        self._ended_at = self._ended_at or now
        return now < self._ended_at + _MENDED and self._may_have_ended()

    def _may_have_ended(self) -> bool:
        try:
            # The `gc.pid` that was there has left its mark on the directory. So do other things: this says "perhaps".
            return abs(time.time() - os.stat(self._common_dir).st_mtime) < _LATELY
        except OSError:
            return False


def collector(common_dir: str) -> int | None:
    """The process of a running `git gc` that may delete new objects; None where there is none.

    A `git gc` as git starts it by itself spares what is younger than two weeks.
    """
    path = os.path.join(common_dir, "gc.pid")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            number, _, host = file.read().strip().partition(" ")
        age = time.time() - os.stat(path).st_mtime
        pid = int(number)
    except (OSError, ValueError):
        return None
    if host != os.uname().nodename:
        return pid if age < _STALE else None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it is there, and another user's
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            words = command.read().lower()
    except OSError:
        return pid
    return pid if not words or b"prune" in words else None  # it says nothing yet in its first moment
