"""Locks that git's programs and libgit2 hold by a file, and how to tell those that a killed process has left.

Nothing here removes a lock: it only makes the difference between waiting and saying what is to be done.
"""

from __future__ import annotations

import os
import time

from ..errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_YOUNG: Final = 2.0
"""Seconds for which a lock may lie there closed, between its last word written and its renaming."""
_OLD: Final = 10.0
"""The same where nobody can say which files are open."""


def refuse_left(path: str) -> None:
    """Raise Conflict where a lock file is there whose owner is gone: to wait for it would be in vain."""
    if is_left(path):
        raise Conflict(
            f"'{path}' keeps others out, and whoever made it is gone; nothing changed", hint=f"remove it: rm '{path}'"
        )


def refuse_left_in(stderr: str) -> None:
    """Raise Conflict where git's words name the lock of a reference whose owner is gone.

    A remote's words count as well, since it may lie on this machine; but no other file than such a lock is looked at.
    """
    for piece in stderr.split("Unable to create '")[1:]:
        path = piece.partition("'")[0]
        if path.endswith("/packed-refs.lock") or ("/refs/" in path and path.endswith(".lock")):
            refuse_left(os.path.normpath(path))


def is_left(path: str) -> bool:
    """Whether a lock file is there, has been for a while, and neither is held open nor has a git that works there."""
    found = _stat(path)
    if found is None:
        return False
    age = time.time() - found.st_mtime
    if 0 <= age < _YOUNG:
        return False
    owned = _is_owned(os.path.realpath(path))
    if owned is None:
        return age >= _OLD
    # While we looked, its owner may have put it in place, and another have made one of its own there.
    again = _stat(path)
    is_same = again is not None and (again.st_ino, again.st_mtime_ns) == (found.st_ino, found.st_mtime_ns)
    return is_same and not owned


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _is_owned(path: str) -> bool | None:
    """Whether a process has a file open, or is a git at work in its repository; None where that cannot be seen."""
    repository = path.partition("/.git/")[0] if "/.git/" in path else path.partition("/refs/")[0]
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    for process in processes:
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                program, _, arguments = file.read().partition(b"\0")
            # A git that waits for a hook has closed the lock it holds. One that waits for us holds none.
            is_git = os.path.basename(program).startswith(b"git") and b"ocuroot" not in arguments
            if is_git and f"{os.readlink(f'/proc/{process}/cwd')}/".startswith(f"{repository}/"):
                return True
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                if os.readlink(f"/proc/{process}/fd/{descriptor}") == path:
                    return True
        except OSError:
            continue  # it has ended, or is another user's
    return False
