"""The code of other repositories, cloned from where the store says they are: `work cascade` (design 14).

The clones are bare repositories of the tool's own, which stay for the next time. A URL comes from the store, so git
is held to the transports that a `repo.ocu.star` may name, too (design 4.3).
"""

from __future__ import annotations

import os
import threading

from ..backends.remote_cache import RemoteCache
from ..config.trust import REPO_FILE, remote_location
from ..errors import Error, Fatal
from ..git.committer import Committer
from ..git.environment import without_repository
from ..git.objects import Oid
from ..git.remote_access import RemoteLocation
from ..packages.permissions import Permissions
from .code import Code
from .fields import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..config.settings import Settings
    from ..store.snapshot import Snapshot

_UNUSED: Final = "main"
"""A cache of a remote is of one of its branches; of a clone all are fetched."""


class Elsewhere:
    """Clones repositories as they are asked for. To be closed; threads may share it."""

    def __init__(self, settings: Settings, permissions: Permissions) -> None:
        self._settings = settings
        self._permissions = permissions
        self._lock = threading.Lock()
        self._clones: dict[tuple[str, str], Code] = {}
        """By the repository, and the path of a clone of it: each remote that gave something has one."""
        self._found: dict[tuple[str, str], Code] = {}
        """By the repository and a commit."""

    def code_of(self, snapshot: Snapshot, repo: str, commit: str) -> Code:
        """The code of a repository, of which a commit is there. Raises Fatal where it cannot be had."""
        with self._lock:
            if (repo, commit) not in self._found:
                path = self._cloned(snapshot, repo, commit)
                if (repo, path) not in self._clones:
                    self._clones[repo, path] = self._code(repo, path)
                self._found[repo, commit] = self._clones[repo, path]
            return self._found[repo, commit]

    def _code(self, repo: str, path: str) -> Code:
        environ = {**without_repository(self._settings.environ), "GIT_DIR": path}
        return Code(repo, path, "", environ, self._permissions, is_clone=True)

    def _cloned(self, snapshot: Snapshot, repo: str, commit: str) -> str:
        """The path of a clone that has a commit, from the first remote that gives it."""
        failures = []
        for url in urls_of(snapshot, repo, commit):
            try:
                cache = self._cache(url, repo)
                if not cache.repository.has(Oid(commit)):
                    cache.fetch_branches()
                    cache.reopen()
                if cache.repository.has(Oid(commit)):
                    return cache.path
                failures.append(f"'{url}' has no commit {commit[:12]}")
            except Error as error:
                failures.append(error.message)
        why = "; ".join(failures) or "the store says nothing of where it is"
        raise Fatal(f"the code of '{repo}' cannot be had: {why}", hint=f"do this in a clone of '{repo}'")

    def _cache(self, url: str, repo: str) -> RemoteCache:
        settings = self._settings
        top = settings.repository.work_tree or settings.directory
        checked = remote_location(url, repo, top, settings.config)
        location = RemoteLocation(checked, _UNUSED, support_files={}, is_trusted=checked.startswith("/"))
        assert settings.own_directory is not None
        path = os.path.join(settings.own_directory, "clones", location.directory())
        committer = Committer(settings.repository, settings.config, settings.environ)
        return RemoteCache(path, location, settings.config, committer, settings.access, settings.timeout)

    def close(self) -> None:
        """Remove what was checked out; the clones stay."""
        for code in self._clones.values():
            code.close()


def urls_of(snapshot: Snapshot, repo: str, commit: str) -> list[str]:
    """Where a repository is, by what the store has of it at a commit, or else at its newest. Raises ModelError."""
    for ref in (f"{repo}/-/{REPO_FILE}/@{commit}", f"{repo}/-/{REPO_FILE}/@"):
        if snapshot.exists(ref):
            remotes = fields_of(snapshot.get(ref), f"'{ref}'").get("Remotes")
            listed = [one.get("URL") for one in remotes if isinstance(one, dict)] if isinstance(remotes, list) else []
            urls = [url for url in listed if isinstance(url, str) and url]
            if urls:
                return list(dict.fromkeys(urls))
    return []
