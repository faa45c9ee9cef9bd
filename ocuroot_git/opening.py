"""Open the stores of a repository: from what the user said, by way of the backends, to `Stores` (design 4.3, 11).

The one module that knows settings, backends and stores; settings and stores know nothing of each other. It is not
called `open`: a module of that name would take the place of the function `ocuroot_git.open` once it is imported.
"""

from __future__ import annotations

import os

from .backends.base import Access, node_at
from .backends.branch import Branch
from .config.settings import DEFAULT_BRANCH, Settings
from .errors import Fatal
from .formats.layout import SIDES
from .formats.refs import Ref
from .formats.urls import is_url
from .store.stores import Stores
from .store.tree import is_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .backends.base import Backend
    from .backends.remote import Remote
    from .config.settings import StoreLocation
    from .formats.layout import Side
    from .formats.operation import Origin
    from .git.commit_graph import CommitGraph
    from .git.path_filters import PathFilters
    from .git.repository import Repository
    from .git.tree_changes import TreeChanges
    from .store.memory import Memory


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
    return stores_of(Settings(directory, os.environ if environ is None else environ, package, release, access))


def stores_of(settings: Settings) -> Stores:
    """The stores that settings lead to. Their backends are opened when something first asks for them."""
    return Stores(_Surroundings(settings))


def open_backend(settings: Settings, location: StoreLocation) -> Backend:
    """What lies at a location. Raises Fatal for a location that cannot be one, RepositoryError without a repository."""
    if location.directory is not None:
        from .backends.directory import Directory

        return Directory(location.directory)
    if location.remote is not None:
        return _open_remote(settings, location, location.remote)
    return Branch(settings.repository, location.branch or DEFAULT_BRANCH, settings.config, settings.environ)


def make_named_directories(settings: Settings) -> list[str]:
    """Make the stores that `repo.ocu.star` keeps in directories that are not there; gives those, in words.

    To be called by what is about to write. They are of the dialect that `init` makes by default.
    """
    from .config.trust import REPO_FILE
    from .formats.layout import STORE_FILE, Layout
    from .git.objects import RefMoved

    made = []
    for side in SIDES:
        location = settings.location(side)
        if location.directory is None or location.source != REPO_FILE or os.path.lexists(location.directory):
            continue
        backend = open_backend(settings, location)
        try:
            backend.create({STORE_FILE: Layout(1).of_side(side).store_file()})
        except RefMoved:
            continue  # another process was faster
        made.append(backend.where)
    return made


def another_store_hint(settings: Settings, side: Side) -> str:
    """How to name another branch or directory, where the one that is named is no store."""
    location = settings.location(side)
    kind, key = ("directory", "path") if location.directory is not None else ("branch", "branch")
    if location.source == "default":
        return f"name another {kind}: git config ocuroot.state.{key} <{kind}>"
    if location.source.endswith(".*"):
        return f"name another {kind}: git config {location.source[:-1]}{key} <{kind}>"
    return f"name another {kind} in {location.source}"


class _Surroundings:
    """What `Stores` asks of the world around it (`store.snapshot.Surroundings`), answered by settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backends: dict[StoreLocation, Backend] = {}
        self._base: Ref | None = None
        self._last_name: str | None = None
        self._memory: Memory | None = None
        self.derived: dict[str, dict[str, Any]] = {}
        self._read_graphs: dict[str, PathFilters] = {}
        self.progress: Callable[[int, int], None] | None = None
        self.before_waiting: Callable[[], None] | None = None
        self.reason = settings.access.reason

    def backend(self, side: Side) -> tuple[Backend, str]:
        location = self._settings.location(side)
        if location not in self._backends:
            self._backends[location] = open_backend(self._settings, location)
        return self._backends[location], location.prefix

    def opened(self) -> list[Backend]:
        return list(dict.fromkeys(self._backends.values()))

    @property
    def base(self) -> Ref:
        if self._base is None:
            settings = self._settings
            package = f"{settings.package.strip('/')}/" if settings.package else ""
            self._base = Ref.parse(f"{settings.name.text}/-/{package}@{settings.release}")
            repository = settings.repository_or_none
            if repository is not None and not settings.is_store_checkout:
                from .config.naming import last_name

                self._last_name = last_name(repository)
        return self._base

    @property
    def directory(self) -> str:
        return self._settings.directory_below_top

    @property
    def former_name(self) -> str | None:
        is_other = self._base is not None and self._last_name not in (None, self._base.repo)
        return self._last_name if is_other else None

    @property
    def code(self) -> Repository | None:
        return self._settings.repository_or_none

    @property
    def own_directory(self) -> str | None:
        return self._settings.own_directory

    @property
    def memory(self) -> Memory | None:
        directory = self.own_directory
        if self._memory is None and directory is not None:
            from .store.memory import FILE, MOST, Memory

            try:
                os.makedirs(directory, exist_ok=True)
            except OSError:
                pass  # a repository that cannot be written to is read without
            size = self._settings.cache_size
            self._memory = Memory(os.path.join(directory, FILE), MOST if size is None else size)
        return self._memory

    def commit_graph(self, repository: Repository) -> CommitGraph:
        from .git.commit_graph import CommitGraph

        may_write = self._settings.may_index_history
        return CommitGraph(repository, self._settings.environ, may_write=may_write, read=self._read_graphs)

    def tree_changes(self, repository: Repository) -> TreeChanges:
        from .git.tree_changes import TreeChanges

        return TreeChanges(repository, self._settings.environ)

    def note_write(self) -> None:
        repository = self._settings.repository_or_none
        if self._base is not None and repository is not None and not self._settings.is_store_checkout:
            from .config.naming import remember_name

            remember_name(repository, self._base.repo)

    def missing_store_hint(self, backend: Backend) -> str:
        return self._settings.missing_store_hint(backend.name if isinstance(backend, Branch) else None)

    def another_store_hint(self, side: Side) -> str:
        return another_store_hint(self._settings, side)

    def marks(self) -> list[object] | None:
        repositories = {one.common_dir: one for one in (self.code, *(each.repository for each in self.opened())) if one}
        marks: list[object] = [self._settings.config.entries()]
        for directory, repository in sorted(repositories.items()):
            found = repository.marks()
            if found is None:
                return None
            marks.append([directory, found])
        return marks

    @property
    def timeout(self) -> float:
        return self._settings.timeout

    @property
    def origin(self) -> Origin:
        from .formats.ci_systems import run_of_environment
        from .formats.operation import Origin

        actor, run = run_of_environment(self._settings.environ)
        if actor is None and "TEAMCITY_BUILD_PROPERTIES_FILE" in self._settings.environ:
            from .config.teamcity import starter_of_build  # late: few jobs are of TeamCity

            actor = starter_of_build(self._settings.environ)
        return Origin.of(actor, run, self.reason)

    @property
    def tell(self) -> Callable[[str], None] | None:
        return self._settings.tell

    @property
    def time_zone(self) -> str:
        name = self._settings.environ.get("TZ", "").removeprefix(":")
        if name and not name.startswith("/"):
            return name
        try:
            _, _, name = os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")
        except OSError:
            return "UTC"
        return "UTC" if name in ("", "Etc/UTC", "Universal") else name

    def seconds(self, key: str, default: float) -> float:
        return self._settings.seconds(key, default)


def _open_remote(settings: Settings, location: StoreLocation, remote: str) -> Backend:
    from .backends.remote import Remote
    from .git.remote_access import RemoteLocation

    name: str | None = remote
    url = settings.config.remote_url(remote)
    if url is None:
        name, url = None, remote
    if not url.strip() or url.startswith("-"):
        raise Fatal(f"bad URL '{url}' of a remote store ({location.source})")
    if not is_url(url):
        if name is None and "/" not in url and not os.path.isdir(os.path.join(settings.directory, url)):
            raise Fatal(
                f"no such remote: '{url}' ({location.source})",
                hint="'git remote -v' lists those there are; or give a URL",
            )
        base = settings.repository.work_tree or settings.directory
        url = os.path.abspath(os.path.join(base, os.path.expanduser(url)))

    def branch_of_remote(branch: str) -> Remote:
        remote_location = RemoteLocation(
            url,
            branch,
            name=name,
            may_create=location.may_create,
            support_files=location.support_files,
            is_trusted=location.is_trusted,
        )
        return Remote(
            settings.repository,
            remote_location,
            settings.config,
            settings.environ,
            settings.access,
            settings.timeout,
            combines=settings.combines(url, name),
            live_logs=settings.live_logs,
        )

    if location.branch is not None:
        return branch_of_remote(location.branch)
    return _branch_nobody_named(branch_of_remote, location)


def _branch_nobody_named(branch_of_remote: Callable[[str], Remote], location: StoreLocation) -> Remote:
    """The branch of a remote for a store of which `repo.ocu.star` names none: the remote's default branch.

    The first version took `state`. So where `state` holds a store and the default branch none, it is that one still.
    Once a branch holds the store it is kept in mind: a default branch that is renamed on the server moves no store.
    Raises Fatal where both hold a store.
    """
    usual = branch_of_remote(DEFAULT_BRANCH)
    kept = usual.kept_branch
    if kept is not None:
        return branch_of_remote(kept)
    if usual.is_offline and usual.known() is not None:
        return usual  # fetched by the first version
    name = usual.default_branch() or DEFAULT_BRANCH
    chosen = usual if name == DEFAULT_BRANCH else branch_of_remote(name)
    holds_store = _holds_store(chosen, location)
    if chosen is not usual and _holds_store(usual, location):
        if holds_store:
            raise Fatal(
                f"{location.source} names no branch of '{usual.location.url}', and two hold a store: '{name}', its "
                f"default branch, and '{DEFAULT_BRANCH}'",
                hint=f'say which: store.git(…, branch = "{DEFAULT_BRANCH}")',
            )
        chosen, holds_store = usual, True
        location.source += f", without a branch: not '{name}', the default branch, which holds no store"
    if holds_store:
        chosen.keep_branch()
    return chosen


def _holds_store(backend: Backend, location: StoreLocation) -> bool:
    root = backend.read().root
    root = None if root is None else node_at(backend.files, root, location.prefix)
    if root is None:
        return False
    sides = [backend.files.child(root, side) for side in SIDES]
    return is_store(backend.files, root) or any(is_store(backend.files, side) for side in sides)
