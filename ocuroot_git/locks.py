"""Locks that git's programs and libgit2 hold by a file, and how to tell those that a killed process has left.

Nothing here removes a lock: it only makes the difference between waiting and saying what is to be done.
"""

from __future__ import annotations

import os
import time

from .errors import Conflict

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


def is_left(path: str) -> bool:
    """Whether a lock file is there, has been for a while, and neither is held open nor has a git that works there."""
    try:
        age = time.time() - os.stat(path).st_mtime
    except OSError:
        return False
    if 0 <= age < _YOUNG:
        return False
    owned = _is_owned(os.path.realpath(path))
    return age >= _OLD if owned is None else not owned and os.path.lexists(path)


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
