"""Where the stores are said to be, and what this repository is called (design 4.3). Opens no store.

First found wins, for each store: environment, git configuration, `repo.ocu.star`, the local branch `state`.
Everything is worked out when it is first asked for: `get` of an absolute ref needs neither the repository's name
nor, where git's configuration names the store, the evaluation of `repo.ocu.star`.
"""

from __future__ import annotations

import os

from ..backends.base import Access
from ..errors import Fatal
from ..formats.layout import STORE_FILE
from ..formats.urls import is_url, is_without_accounts
from ..git.config import Config, start_config
from ..git.repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from ..formats.documents import Document
    from ..formats.layout import Side
    from ..formats.operation import Operation
    from .naming import Name
    from .repo_file import RepoFile, StoreSpec

DEFAULT_BRANCH: Final = "state"
DEFAULT_TIMEOUT: Final = 60.0


class StoreLocation:
    """Where a store is said to be: on a branch of this repository, on a remote, or in a directory; and who said it.

    Of a remote without `branch` it is the default branch (`opening`).
    """

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
        self,
        directory: str,
        environ: Mapping[str, str],
        package: str,
        release: str,
        access: Access | None = None,
        config: Config | None = None,
    ) -> None:
        """`config` is what git's configuration says there, where that was read before."""
        self.directory = directory
        self.environ = environ
        self.access = access or Access()
        self.package = package
        self.release = release
        child = start_config(directory, environ) if config is None else None
        # While git reads its configuration, load libgit2 and open the repository.
        self._repository: Repository | None = None
        self._repository_error: Fatal | None = None
        try:
            self._repository = Repository.open(directory, environ)
        except Fatal as error:
            self._repository_error = error
        try:
            if child is not None:
                config = Config.read(child)
        except Fatal:
            if self._repository_error is not None:
                raise self._repository_error from None
            raise
        assert config is not None
        self.config = config
        self._check_bare()
        self._locations: dict[Side, StoreLocation] = {}
        self._repo_file: RepoFile | None = None
        self._name: Name | None = None
        self._repo_file_read = False
        self._kept_file: RepoFile | None = None
        self._kept_repo_file_read = False
        self._root: str | None = None

    @property
    def repository(self) -> Repository:
        """The repository we are in. Raises RepositoryError where there is none."""
        if self._repository is None:
            assert self._repository_error is not None
            raise self._repository_error
        return self._repository

    @property
    def offline(self) -> bool:
        """Whether no remote is to be asked for anything."""
        return self.access.offline

    @property
    def tell(self) -> Callable[[str], None] | None:
        """What is told of each thing that is tried again, and why."""
        return self.access.tell

    @property
    def timeout(self) -> float:
        """Seconds for which a lost race is tried again (`ocuroot.timeout`)."""
        return self.seconds("ocuroot.timeout", DEFAULT_TIMEOUT)

    def combines(self, url: str, remote: str | None) -> bool:
        """Whether changes to a remote store that have lost races are made together with those of others (8.10).

        As `ocuroot.combine` says. By default where a server knows no rights that differ from branch to branch: who may
        push to the outbox alone would else write to a branch by the hands of those who may push to that.
        """
        if self.config.get("ocuroot.combine") is not None:
            return self.config.get_bool("ocuroot.combine")
        is_pushed_elsewhere = any(key.endswith(".pushinsteadof") for key in self.config.keys("url"))
        urls = [url, *(self.config.values(f"remote.{remote}.pushurl") if remote is not None else ())]
        return not is_pushed_elsewhere and all(is_without_accounts(self.config.rewritten(url)) for url in urls)

    @property
    def live_logs(self) -> bool:
        """Whether what runs of a remote store print goes there while they go on (`ocuroot.liveLogs`)."""
        return self.config.get_bool("ocuroot.liveLogs")

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
    def directory_below_top(self) -> str:
        """The path of the directory we are in, from `root`; empty there, and where there is no work tree."""
        return "" if self.root is None else _path_below(self.root, self.directory)

    @property
    def root_below_top(self) -> str:
        """The path of `root` from the top of the work tree; empty there."""
        return "" if self.root is None else _path_below(self.repository.work_tree or "", self.root)

    @property
    def root(self) -> str | None:
        """The directory from which the paths of packages are named; None where there is no work tree.

        The nearest upwards that has a `repo.ocu.star`, else the top of the work tree.
        """
        top = self._repository.work_tree if self._repository is not None else None
        if top is None or self._root is not None:
            return self._root
        self._root = top
        below = _path_below(top, self.directory)
        while below:
            directory = os.path.join(top, below)
            if os.path.lexists(os.path.join(directory, "repo.ocu.star")):
                self._root = directory
                break
            below = below.rpartition("/")[0]
        return self._root

    @property
    def own_directory(self) -> str | None:
        """Where the tool keeps files of its own, which all work trees share; None outside of a repository."""
        return None if self._repository is None else os.path.join(self._repository.common_dir, "ocuroot")

    @property
    def cache_size(self) -> int | None:
        """Bytes that may be remembered of what was derived from trees (`ocuroot.cacheSize`); None: not said."""
        return self._size("ocuroot.cacheSize")

    def _size(self, key: str) -> int | None:
        """A number of bytes in the configuration, with git's suffixes. Raises Fatal for what is none."""
        value = (self.config.get(key) or "").strip().lower()
        digits = value[:-1] if value[-1:] in ("k", "m", "g") else value
        if not value:
            return None
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

    def location(self, side: Side) -> StoreLocation:
        """Where a store is said to be; an intent store of which nothing is said is where the state store is."""
        if side not in self._locations:
            location = self._from_environment(side) or self._from_config(side) or self._from_repo_file(side)
            if location is None:
                is_state = side == "state"
                location = StoreLocation("default", branch=DEFAULT_BRANCH) if is_state else self.location("state")
            self._locations[side] = location
        return self._locations[side]

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

    def share_repo_file(self, other: Settings) -> None:
        """Let another object for the same directory have what `repo.ocu.star` says, as far as this one needs it.

        Evaluating it forks, which a process that has threads by then must not do.
        """
        for side in ("state", "intent"):
            self.location(side)
        _ = self.name
        other._repo_file, other._repo_file_read = self._repo_file, self._repo_file_read
        other._kept_file, other._kept_repo_file_read = self._kept_file, self._kept_repo_file_read

    def repo_file(self) -> RepoFile | None:
        """What the nearest `repo.ocu.star` upwards says, within the work tree; None for none. Raises StarlarkError."""
        if not self._repo_file_read:
            self._repo_file_read = True
            if self.root is not None and os.path.lexists(os.path.join(self.root, "repo.ocu.star")):
                self._repo_file = self._evaluate(self.root)
        return self._repo_file

    @property
    def is_store_checkout(self) -> bool:
        """Whether a store is checked out here, and not the code of a repository."""
        return self._kept_repo_file() is not None

    def _kept_repo_file(self) -> RepoFile | None:
        """What a `repo.ocu.star` says that is kept in the store checked out here, where none lies here itself."""
        if not self._kept_repo_file_read:
            self._kept_repo_file_read = True
            top = self._repository.work_tree if self._repository is not None else None
            if top is not None and self.repo_file() is None:
                self._kept_file = self._evaluate_kept(os.path.realpath(top))
        return self._kept_file

    def _evaluate_kept(self, top: str) -> RepoFile | None:
        below = self.directory_below_top.split("/")
        for depth in range(len(below), -1, -1):
            store = os.path.join(top, *below[:depth])
            if os.path.lexists(os.path.join(store, STORE_FILE)):
                from .store_checkout import kept_repo_file  # late: few work in one

                kept = kept_repo_file(store)
                return self._evaluate_text(kept[1], top) if kept is not None else None
        return None

    def configure(self, side: Side, *, branch: str | None = None, remote: str | None = None) -> None:
        """Take a branch, or one of a remote, for a store as if it were configured, as `init` is about to make it do."""
        self._locations[side] = StoreLocation("init", branch=branch or DEFAULT_BRANCH, remote=remote)

    def tracking_branch(self, branch: str) -> str | None:
        """The remote-tracking branch that bears the name of a local branch, if there is just one; None otherwise."""
        names = [name for name in self.repository.references("refs/remotes/") if name.split("/", 3)[-1] == branch]
        return names[0] if len(names) == 1 else None

    def remotes(self) -> list[str]:
        """The remotes that have a URL, in the order of the configuration."""
        keys = (key for key in self.config.keys("remote") if key.endswith(".url"))
        return list(dict.fromkeys(key.split(".", 1)[1].rpartition(".")[0] for key in keys))

    def remotes_for(self, branch: str) -> list[str]:
        """The remote that a local branch is shared with: its own, `origin` or the only one; else all there are."""
        remotes = self.remotes()
        for candidate in (self.config.get(f"branch.{branch}.remote"), "origin"):
            if candidate in remotes:
                return [candidate]
        return remotes

    def missing_store_hint(self, branch: str | None) -> str:
        """What to do where there is no store: make one, or take the one that a remote has of a local branch."""
        if branch is None:
            return "'git ocuroot init' makes one"
        tracking = self.tracking_branch(branch)
        if tracking is not None:
            return f"'git ocuroot init' takes it from '{tracking.removeprefix('refs/remotes/')}'"
        remotes = self.remotes_for(branch)
        if not remotes:
            return "'git ocuroot init' makes one"
        named = f" {remotes[0]}" if len(remotes) > 1 else ""
        takes = f"'git ocuroot fetch{named}' takes the one of '{remotes[0]}'"
        return f"{takes}; where it has none, 'git ocuroot init' makes one"

    def _from_environment(self, side: Side) -> StoreLocation | None:
        variable = f"OCUROOT_{side.upper()}"
        value = self.environ.get(variable)
        if not value:
            return None
        where, _, branch = value.partition("#")
        if not where:
            return StoreLocation(variable, branch=branch)
        if is_url(where) or f"remote.{where}.url" in self.config.keys("remote"):
            return StoreLocation(variable, remote=where, branch=branch or DEFAULT_BRANCH)
        path = os.path.join(self.directory, os.path.expanduser(where))
        if os.path.isdir(path) or where[0] in "./~":
            if branch:
                return StoreLocation(variable, remote=path, branch=branch)
            return StoreLocation(variable, directory=path)
        if branch:
            raise Fatal(f"bad value '{value}' for {variable}: '{where}' is neither a URL, a remote nor a path")
        return StoreLocation(variable, branch=where)

    def _from_config(self, side: Side) -> StoreLocation | None:
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
        return StoreLocation(
            f"{section}.*",
            branch=values["branch"] or DEFAULT_BRANCH,
            remote=values["remote"],
            directory=directory,
            prefix=values["prefix"],
        )

    def _from_repo_file(self, side: Side) -> StoreLocation | None:
        repo_file = self.repo_file() or self._kept_repo_file()
        spec: StoreSpec | None = getattr(repo_file, side) if repo_file is not None else None
        if spec is None:
            return None
        from .trust import REPO_FILE, directory_location, git_location

        top, root = self.repository.work_tree or "", self.root or ""
        if spec.kind == "fs" and repo_file is self._kept_file:
            raise Fatal(f"the {REPO_FILE} that is kept in the store here has it in a directory elsewhere")
        if spec.kind == "fs":
            git_dirs = (self.repository.git_dir, self.repository.common_dir)
            return StoreLocation(REPO_FILE, directory=directory_location(spec.location, root, top, git_dirs))
        is_remote = self.config.remote_url(spec.location) is not None  # which the user has chosen
        remote = spec.location if is_remote else git_location(spec.location, root, top, side, self.config)
        return StoreLocation(
            REPO_FILE,
            remote=remote,
            is_trusted=is_remote or remote.startswith("/"),
            branch=spec.branch or (DEFAULT_BRANCH if self._is_here(remote) else None),
            prefix=spec.path_prefix,
            may_create=spec.create_branch is not False,
            support_files=spec.support_files,
        )

    def _is_here(self, path: str) -> bool:
        """Whether a path is that of this repository, whose default branch is that of the code."""
        if not path.startswith("/"):
            return False
        known = (self.repository.work_tree, self.repository.git_dir, self.repository.common_dir)
        return os.path.realpath(path) in [os.path.realpath(each) for each in known if each]

    def _evaluate(self, directory: str) -> RepoFile | None:
        from .trust import read_repo_file

        text = read_repo_file(directory)
        return None if text is None else self._evaluate_text(text, directory)

    def _evaluate_text(self, text: str, directory: str) -> RepoFile:
        """What a `repo.ocu.star` says; its commands run in a directory."""
        from .repo_file import evaluate
        from .trust import REPO_FILE, visible_environment

        shell = None
        if self.config.get_bool("ocuroot.allowShell", own=True):
            from .shell import shell_in

            shell = shell_in(directory, self.environ)
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


def _path_below(top: str, directory: str) -> str:
    """The path of a directory from one above it, with `/` between its segments; empty for itself or one elsewhere."""
    below = os.path.relpath(os.path.realpath(directory), os.path.realpath(top))
    return "" if below == "." or below.split(os.sep)[0] == ".." else below.replace(os.sep, "/")
