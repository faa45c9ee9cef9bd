"""The packages of this repository that are code: what they define at a commit, and how their functions are called."""

from __future__ import annotations

import os

from ..errors import Fatal
from ..git.environment import without_repository
from ..git.objects import Oid
from ..git.repository import Repository
from ..packages.checkouts import Checkouts
from ..packages.files import CommitFiles
from . import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from ..packages.permissions import Permissions
    from ..store.snapshot import Snapshot
    from .definitions import Definition
    from .fields import Fields
    from .model import Environment

    class Elsewhere(Protocol):
        """What has the code of other repositories (see `elsewhere`)."""

        def code_of(self, snapshot: Snapshot, repo: str, commit: str) -> Code: ...
        def close(self) -> None: ...


class Code:
    """`repo` is what this repository is called in refs, `directory` where it is, and `root` the path in it from which
    the paths of packages begin. `elsewhere` has the code of others; None: that is left to them. A clone (`is_clone`) is
    none that a person works in: whatever runs there runs in a checkout. To be closed; threads may share it.
    """

    def __init__(
        self,
        repo: str,
        directory: str,
        root: str,
        environ: Mapping[str, str],
        permissions: Permissions,
        elsewhere: Elsewhere | None = None,
        *,
        is_clone: bool = False,
    ) -> None:
        self._repo = repo
        self._root = root
        self._directory = directory
        self.environ = environ
        """In which git finds the repository."""
        self._permissions = permissions
        self._elsewhere = elsewhere
        self._is_clone = is_clone
        self._checkouts = Checkouts(directory, environ)

    def of(self, snapshot: Snapshot, package: str, commit: str) -> Code:
        """The code of a package at a commit: of this repository, or of another. Raises Fatal where it cannot be had."""
        repo = package.partition("/-/")[0]
        if self._elsewhere is None or (repo == self._repo and self._has(commit)):
            return self
        return self._elsewhere.code_of(snapshot, repo, commit)

    def _has(self, commit: str) -> bool:
        return Repository.open(self._directory, self.environ).has(Oid(commit))

    def path_of(self, package: str) -> str:
        """The path of the file of a package, `repo/-/path`, from the top. Raises Fatal for another repository's."""
        repo, _, path = package.partition("/-/")
        if repo != self._repo:
            raise Fatal(
                f"the code of '{package}' is in another repository",
                hint=f"do this in a clone of '{repo}': here is '{self._repo}'",
            )
        return f"{self._root}/{path}".strip("/")

    def define(self, package: str, commit: str, known: dict[str, Environment]) -> Definition:
        """What a package comes to at a commit with the environments there are now. Raises Fatal, PackageError."""
        repository = Repository.open(self._directory, self.environ)
        files = CommitFiles(repository, Oid(commit))
        permissions = self._permissions
        if self._is_clone:
            permissions = (
                permissions.at(self.top_at(commit), self.environ) if permissions.shell else permissions.closed()
            )
        return definitions.read_definition(files, self.path_of(package), known, permissions)

    def top_at(self, commit: str) -> str:
        """A directory with the files of a commit."""
        return self._checkouts.directory_of(Oid(commit))

    def commands_at(self, commit: str) -> str:
        """The directory in which commands of packages run at a commit: where the paths of packages begin."""
        return os.path.join(self.top_at(commit), self._root)

    @property
    def environ_of_commands(self) -> Mapping[str, str]:
        """In which commands of packages run: in a clone, git finds the checkout they run in."""
        return without_repository(self.environ) if self._is_clone else self.environ

    def request(self, package: str, commit: str, top: str, called: Fields, known: dict[str, Environment]) -> Fields:
        """What the process is asked that calls a function (`packages.calling`); `called` is its own part of that."""
        return {
            "repository": self._directory,
            "commit": commit,
            "path": self.path_of(package),
            "top": top,
            "environments": definitions.as_code_sees(known),
            "visible": sorted(self._permissions.environ),
            "shell": self._permissions.shell is not None,
            **({"git_dir": self._directory} if self._is_clone else {}),
            **called,
        }

    def close(self) -> None:
        """Remove what was checked out."""
        self._checkouts.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
