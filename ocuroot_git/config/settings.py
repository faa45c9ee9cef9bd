"""Where the stores are, and what this repository is called (design 4.3).

First found wins, for each store: environment, git configuration, `repo.ocu.star`, the local branch `state`.
Everything is worked out when it is first asked for: `get` of an absolute ref needs neither the repository's name
nor, where git's configuration names the store, the evaluation of `repo.ocu.star`.
"""

from __future__ import annotations

import os

from ..backends.base import Access
from ..backends.branch import Branch
from ..backends.directory import Directory
from ..errors import Fatal
from ..formats.urls import is_url
from ..git.config import Config, start_config
from ..git.repository import Repository
from ..store.stores import Stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..backends.base import Backend
    from ..formats.documents import Document
    from ..formats.layout import Side
    from ..formats.operation import Operation
    from ..store.memory import Memory
    from .naming import Name
    from .repo_file import RepoFile, StoreSpec

DEFAULT_BRANCH: Final = "state"
DEFAULT_TIMEOUT: Final = 60.0


class Spec:
    """Where a store is said to be: on a branch of this repository, on a remote, or in a directory; and who said it."""

    __slots__ = ("branch", "directory", "is_trusted", "may_create", "prefix", "remote", "source", "support_files")

    def __init__(
        self,
        source: str,
        *,
        branch: str | None = None,
        remote: str | None = None,
        directory: str | None = None,
        prefix: str | None = None,
        may_create: bool = True,
        support_files: Mapping[str, str] | None = None,
        is_trusted: bool = True,
    ) -> None:
        self.source = source
        self.is_trusted = is_trusted
        self.may_create = may_create
        self.support_files = support_files or {}
        self.branch = branch
        self.remote = remote
        self.directory = directory
        self.prefix = (prefix or "").strip("/")


class Settings:
    """The configuration of one repository, or of no repository where the stores are directories."""

    def __init__(
        self, directory: str, environ: Mapping[str, str], package: str, release: str, access: Access | None = None
    ) -> None:
        self.directory = directory
        self.environ = environ
        self.access = access or Access()
        self.package = package
        self.release = release
        child = start_config(directory, environ)
        # While git reads its configuration, load libgit2 and open the repository.
        self._repository: Repository | None = None
        self._repository_error: Fatal | None = None
        try:
            self._repository = Repository.open(directory, environ)
        except Fatal as error:
            self._repository_error = error
        try:
            self.config = Config.read(child)
        except Fatal:
            if self._repository_error is not None:
                raise self._repository_error from None
            raise
        self._check_bare()
        self._specs: dict[Side, Spec] = {}
        self._places: dict[Side, tuple[Backend, str]] = {}
        self._repo_file: RepoFile | None = None
        self._name: Name | None = None
        self._repo_file_read = False
        self._memory: Memory | None = None

    @property
    def repository(self) -> Repository:
        """The repository we are in. Raises RepositoryError where there is none."""
        if self._repository is None:
            assert self._repository_error is not None
            raise self._repository_error
        return self._repository

    @property
    def timeout(self) -> float:
        """Seconds for which a lost race is tried again (`ocuroot.timeout`)."""
        return self.seconds("ocuroot.timeout", DEFAULT_TIMEOUT)

    @property
    def may_index_history(self) -> bool:
        """Whether a commit-graph of our own may be written (`ocuroot.historyIndex`, by default it may)."""
        return self.config.get("ocuroot.historyIndex") is None or self.config.get_bool("ocuroot.historyIndex")

    def seconds(self, key: str, default: float) -> float:
        """A number of seconds in the configuration. Raises Fatal for what is none."""
        value = self.config.get(key)
        try:
            return float(value) if value else default
        except ValueError:
            raise Fatal(f"bad value '{value}' for '{key}': it is a number of seconds") from None

    @property
    def memory(self) -> Memory | None:
        """What was derived from trees and is remembered for other processes; None outside of a repository.

        Raises Fatal for a bad `ocuroot.cacheSize`.
        """
        if self._memory is None and self._repository is not None:
            from ..store.memory import FILE, MOST, Memory

            directory = os.path.join(self._repository.common_dir, "ocuroot")
            try:
                os.makedirs(directory, exist_ok=True)
            except OSError:
                pass  # a repository that cannot be written to is read without
            self._memory = Memory(os.path.join(directory, FILE), self._size("ocuroot.cacheSize", MOST))
        return self._memory

    def _size(self, key: str, default: int) -> int:
        """A number of bytes in the configuration, with git's suffixes. Raises Fatal for what is none."""
        value = (self.config.get(key) or "").strip().lower()
        digits = value[:-1] if value[-1:] in ("k", "m", "g") else value
        if not value:
            return default
        if not (digits.isascii() and digits.isdigit()):
            raise Fatal(f"bad value '{value}' for '{key}': it is a number of bytes, like 256m")
        return int(digits) << {"k": 10, "m": 20, "g": 30}.get(value[-1], 0)

    def operation(self, request: Document, *, of_job: bool = True) -> Operation:
        """The operation of a request, named by `--operation`, or `OCUROOT_OPERATION` (if `of_job`), or by chance.

        Raises Fatal for a bad name.
        """
        from ..formats.operation import name_operation

        job = self.environ.get("OCUROOT_OPERATION") if of_job else None
        return name_operation(self.access.operation, job, os.urandom(16).hex(), request)

    def place(self, side: Side) -> tuple[Backend, str]:
        """The place of a store, and the directory in it (empty: the top, or to be found there)."""
        if side not in self._places:
            spec = self.spec(side)
            if side == "intent" and spec is self.spec("state"):
                self._places[side] = self.place("state")
            else:
                self._places[side] = self._open(spec), spec.prefix
        return self._places[side]

    def opened(self) -> list[Backend]:
        """The places of the stores as far as something has asked for them, each once."""
        return list(dict.fromkeys(place for place, _ in self._places.values()))

    def spec(self, side: Side) -> Spec:
        """Where a store is said to be; an intent store of which nothing is said is where the state store is."""
        if side not in self._specs:
            spec = self._from_environment(side) or self._from_config(side) or self._from_repo_file(side)
            if spec is None:
                spec = Spec("default", branch=DEFAULT_BRANCH) if side == "state" else self.spec("state")
            self._specs[side] = spec
        return self._specs[side]

    @property
    def name(self) -> Name:
        """The name of this repository in refs, and where it comes from. Raises Fatal where none can be made."""
        if self._name is None:
            from .naming import name_of

            self._name = name_of(self)
        return self._name

    @property
    def repository_or_none(self) -> Repository | None:
        """The repository we are in, if we are in one."""
        return self._repository

    def repo_file(self) -> RepoFile | None:
        """What `repo.ocu.star` at the top of the work tree says; None where there is none. Raises StarlarkError."""
        if not self._repo_file_read:
            self._repo_file_read = True
            top = self._repository.work_tree if self._repository is not None else None
            if top and os.path.lexists(os.path.join(top, "repo.ocu.star")):
                self._repo_file = self._evaluate(top)
        return self._repo_file

    def configure(self, side: Side, *, branch: str | None = None, remote: str | None = None) -> None:
        """Take a branch, or one of a remote, for a store as if it were configured, as `init` is about to make it do."""
        self._specs[side] = Spec("init", branch=branch or DEFAULT_BRANCH, remote=remote)
        self._places.pop(side, None)

    def remote_branch(self, place: Backend) -> str | None:
        """The remote-tracking branch that bears the name of a place, if there is just one; None otherwise."""
        if not isinstance(place, Branch):
            return None
        names = [name for name in place.repository.references("refs/remotes/") if name.split("/", 3)[-1] == place.name]
        return names[0] if len(names) == 1 else None

    def remotes(self) -> list[str]:
        """The remotes that have a URL, in the order of the configuration."""
        keys = (key for key in self.config.keys("remote") if key.endswith(".url"))
        return list(dict.fromkeys(key.split(".", 1)[1].rpartition(".")[0] for key in keys))

    def remotes_for(self, place: Backend) -> list[str]:
        """The remote that a local branch is shared with: its own, `origin` or the only one; else all there are."""
        remotes = self.remotes()
        for candidate in (self.config.get(f"branch.{getattr(place, 'name', '')}.remote"), "origin"):
            if candidate in remotes:
                return [candidate]
        return remotes

    def missing_store_hint(self, place: Backend) -> str:
        """What to do where there is no store: make one, or take the one that a remote has."""
        tracking = self.remote_branch(place)
        if tracking is not None:
            return f"'git ocuroot init' takes it from '{tracking.removeprefix('refs/remotes/')}'"
        remotes = self.remotes_for(place) if isinstance(place, Branch) else []
        if not remotes:
            return "'git ocuroot init' makes one"
        named = f" {remotes[0]}" if len(remotes) > 1 else ""
        takes = f"'git ocuroot fetch{named}' takes the one of '{remotes[0]}'"
        return f"{takes}; where it has none, 'git ocuroot init' makes one"

    def _open(self, spec: Spec) -> Backend:
        if spec.directory is not None:
            return Directory(spec.directory)
        if spec.remote is not None:
            return self._open_remote(spec, spec.remote)
        return Branch(self.repository, spec.branch or DEFAULT_BRANCH, self.config, self.environ)

    def _open_remote(self, spec: Spec, where: str) -> Backend:
        from ..backends.remote import Remote
        from ..git.remote_access import RemoteLocation

        name: str | None = where
        url = self.config.remote_url(where)
        if url is None:
            name, url = None, where
        if not url.strip() or url.startswith("-"):
            raise Fatal(f"bad URL '{url}' of a remote store ({spec.source})")
        if not is_url(url):
            if name is None and "/" not in url and not os.path.isdir(os.path.join(self.directory, url)):
                raise Fatal(
                    f"no such remote: '{url}' ({spec.source})",
                    hint="'git remote -v' lists those there are; or give a URL",
                )
            base = self.repository.work_tree or self.directory
            url = os.path.abspath(os.path.join(base, os.path.expanduser(url)))
        location = RemoteLocation(
            url,
            spec.branch or DEFAULT_BRANCH,
            name=name,
            may_create=spec.may_create,
            support_files=spec.support_files,
            is_trusted=spec.is_trusted,
        )
        return Remote(self.repository, location, self.config, self.environ, self.access, self.timeout)

    def _from_environment(self, side: Side) -> Spec | None:
        variable = f"OCUROOT_{side.upper()}"
        value = self.environ.get(variable)
        if not value:
            return None
        where, _, branch = value.partition("#")
        if not where:
            return Spec(variable, branch=branch)
        if is_url(where) or f"remote.{where}.url" in self.config.keys("remote"):
            return Spec(variable, remote=where, branch=branch or DEFAULT_BRANCH)
        path = os.path.join(self.directory, os.path.expanduser(where))
        if os.path.isdir(path) or where[0] in "./~":
            if branch:
                return Spec(variable, remote=path, branch=branch)
            return Spec(variable, directory=path)
        if branch:
            raise Fatal(f"bad value '{value}' for {variable}: '{where}' is neither a URL, a remote nor a path")
        return Spec(variable, branch=where)

    def _from_config(self, side: Side) -> Spec | None:
        get = self.config.get
        section = f"ocuroot.{side}"
        values = {name: get(f"{section}.{name}") for name in ("branch", "remote", "path", "prefix")}
        if not any(values.values()):
            return None
        if values["path"] and (values["remote"] or values["branch"]):
            raise Fatal(
                f"'{section}.path' names a directory; it does not go with '{section}.remote' or '{section}.branch'"
            )
        directory = values["path"]
        if directory:
            base = self._repository.work_tree if self._repository is not None else None
            directory = os.path.join(base or self.directory, os.path.expanduser(directory))
        return Spec(
            f"{section}.*",
            branch=values["branch"] or DEFAULT_BRANCH,
            remote=values["remote"],
            directory=directory,
            prefix=values["prefix"],
        )

    def _from_repo_file(self, side: Side) -> Spec | None:
        repo_file = self.repo_file()
        said: StoreSpec | None = getattr(repo_file, side) if repo_file is not None else None
        if said is None:
            return None
        from .trust import REPO_FILE, directory_location, git_location

        top = self.repository.work_tree or ""
        if said.kind == "fs":
            git_dirs = (self.repository.git_dir, self.repository.common_dir)
            return Spec(REPO_FILE, directory=directory_location(said.location, top, git_dirs))
        is_remote = self.config.remote_url(said.location) is not None  # which the user has chosen
        where = said.location if is_remote else git_location(said.location, top, side, self.config)
        return Spec(
            REPO_FILE,
            remote=where,
            is_trusted=is_remote or where.startswith("/"),
            branch=said.branch or DEFAULT_BRANCH,
            prefix=said.path_prefix,
            may_create=said.create_branch is not False,
            support_files=said.support_files,
        )

    def _evaluate(self, top: str) -> RepoFile | None:
        from .trust import REPO_FILE, read_repo_file, visible_environment

        text = read_repo_file(top)
        if text is None:
            return None
        from .repo_file import evaluate

        shell = None
        if self.config.get_bool("ocuroot.allowShell", own=True):
            from ..git.program import shell_in

            shell = shell_in(top, self.environ)
        visible = visible_environment(self.environ, self.config)
        return evaluate(text, REPO_FILE, environ=visible, hidden=self.environ.keys() - visible.keys(), shell=shell)

    def _check_bare(self) -> None:
        """`safe.bareRepository` is git's; libgit2 does not know it."""
        if self._repository is None or not self._repository.is_bare or "GIT_DIR" in self.environ:
            return
        if self.config.get("safe.bareRepository") == "explicit":
            path = self._repository.git_dir.rstrip("/")
            raise Fatal(
                f"cannot use bare repository '{path}' (safe.bareRepository is 'explicit')",
                hint=f"name it: git --git-dir '{path}' ocuroot …",
            )


def open_stores(
    directory: str = ".",
    *,
    environ: Mapping[str, str] | None = None,
    package: str = "",
    release: str = "",
    access: Access | None = None,
) -> Stores:
    """The stores of the repository in `directory`; `package` and `release` are what relative refs are relative to.

    Raises RepositoryError where there is no repository, unless the stores turn out to be directories.
    """
    return Stores(Settings(directory, os.environ if environ is None else environ, package, release, access))
