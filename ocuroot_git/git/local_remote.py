"""A remote that is a repository on this machine: where its references stand now, read where they lie (design 8.10).

That takes no process, while `git ls-remote` starts three. Nothing else is read so, and nothing before git itself has
fetched from there: so `protocol.*` was asked, and all else by which git keeps somebody out. libgit2 refuses the
repository of another user as git does.
"""

from __future__ import annotations

import time

from ..errors import Error
from ..formats.urls import helper, is_url
from .repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .config import Config
    from .objects import Oid
    from .remote_access import RemoteLocation

_LONGEST: Final = 0.01
"""Seconds of the processor for one look, from which on git is faster: libgit2 reads all references that there are."""


class LocalRemote:
    """The references of a repository on this machine."""

    def __init__(self, path: str) -> None:
        """Raises Error for what libgit2 does not open."""
        self._repository = Repository.open(path, {"GIT_DIR": path})
        self.is_slow = False
        """Whether git would say it faster."""

    def look(self, branch: str, prefix: str) -> tuple[Oid | None, list[str]]:
        """Where a branch stands (full name), and the names of the references below a prefix. Raises Error.

        The branch is looked at last: where a reference went in one push with a change of the branch, that is seen too.
        """
        began = time.thread_time()
        names = self._repository.references(prefix)
        tip = self._repository.tip(branch)
        self.is_slow = time.thread_time() - began > _LONGEST
        return tip, names


def local_remote(location: RemoteLocation, config: Config) -> LocalRemote | None:
    """The remote at a location where it can be read without git; else None."""
    path = _path_of(config.rewritten(location.url))
    is_served_otherwise = location.name is not None and any(
        config.get(f"remote.{location.name}.{key}") for key in ("uploadpack", "vcs")
    )
    if path is None or is_served_otherwise or not location.is_trusted:
        return None
    try:
        return LocalRemote(path)
    except Error:
        return None


def _path_of(url: str) -> str | None:
    """The absolute path that git would read a URL as; None for all that is not plainly one."""
    if url.startswith("file:///") and "%" not in url:
        return url.removeprefix("file://")
    return url if url.startswith("/") and not is_url(url) and helper(url) is None else None
