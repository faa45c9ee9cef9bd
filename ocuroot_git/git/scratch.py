"""Directories for what is half made, and their removal where whoever made them was killed.

Each is locked while it is in use, and the lock ends with the process, however that ends. So what is left over can be
told from what another process, perhaps in another container, is filling at this moment.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Final

_ENDING: Final = ".tmp"


def scratch(parent: str, name: str) -> AbstractContextManager[str]:
    """A block with a new directory below `parent`, which is made too; at its end what is left of it is removed.

    Raises OSError.
    """
    from contextlib import contextmanager

    @contextmanager
    def block() -> Iterator[str]:
        os.makedirs(parent, exist_ok=True)
        sweep(parent)
        path, descriptor = _make(parent, name)
        try:
            yield path
        finally:
            _remove(path)
            os.close(descriptor)

    return block()


def sweep(parent: str) -> None:
    """Remove the directories for half-made things in `parent` that nobody fills any more."""
    try:
        names = [name for name in os.listdir(parent) if name.endswith(_ENDING)]
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(parent, name)
        descriptor = _lock(path)
        if descriptor is not None:
            _remove(path)
            os.close(descriptor)


def _make(parent: str, name: str) -> tuple[str, int]:
    while True:
        path = os.path.join(parent, f"{name}.{os.getpid()}-{os.urandom(4).hex()}{_ENDING}")
        os.mkdir(path)
        descriptor = _lock(path)
        if descriptor is not None:
            if os.path.isdir(path):
                return path, descriptor
            os.close(descriptor)
        # Another process has swept it away in the moment before it was locked.


def _lock(path: str) -> int | None:
    """The descriptor by which a directory is locked now; None where another process holds it, or it is gone."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(path: str) -> None:
    from shutil import rmtree

    rmtree(path, ignore_errors=True)  # what cannot be removed now, the next command tries again
