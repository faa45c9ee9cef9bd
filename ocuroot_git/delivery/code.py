"""The packages of this repository that are code: what they define at a commit, and how their functions are called."""

from __future__ import annotations

import os

from ..errors import Fatal
from ..git.objects import Oid
from ..git.repository import Repository
from ..packages.checkouts import Checkouts
from ..packages.files import CommitFiles
from . import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..packages.permissions import Permissions
    from .definitions import Definition
    from .fields import Fields
    from .model import Environment


class Code:
    """`repo` is what this repository is called in refs, `directory` where it is, and `root` the path in it from which
    the paths of packages begin. To be closed; threads may share it.
    """

    def __init__(
        self, repo: str, directory: str, root: str, environ: Mapping[str, str], permissions: Permissions
    ) -> None:
        self._repo = repo
        self._root = root
        self._directory = directory
        self._environ = environ
        self._permissions = permissions
        self._checkouts = Checkouts(directory, environ)

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
        repository = Repository.open(self._directory, self._environ)
        files = CommitFiles(repository, Oid(commit))
        return definitions.read_definition(files, self.path_of(package), known, self._permissions)

    def top_at(self, commit: str) -> str:
        """A directory with the files of a commit."""
        return self._checkouts.directory_of(Oid(commit))

    def commands_at(self, commit: str) -> str:
        """The directory in which commands of packages run at a commit: where the paths of packages begin."""
        return os.path.join(self.top_at(commit), self._root)

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
            **called,
        }

    def close(self) -> None:
        """Remove what was checked out."""
        self._checkouts.close()
