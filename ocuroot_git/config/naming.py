"""What this repository is called in refs, who says so, and what it was called when it last wrote (design 7).

A repository has one name. Where it comes from the URL of a remote, every clone comes to the same; any other name holds
for one clone, so `init` writes it into the configuration, and linked worktrees take that of their main worktree.
"""

from __future__ import annotations

import os

from ..errors import Fatal
from ..formats.refs import Ref, RefError
from ..formats.urls import name_of_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final, Protocol

    from ..git.config import Config
    from ..git.repository import Repository
    from .repo_file import RepoFile

    class Named(Protocol):
        """What says how a repository is called: where it is, its configuration and its `repo.ocu.star`."""

        config: Config
        directory: str
        environ: Mapping[str, str]

        @property
        def repository_or_none(self) -> Repository | None: ...
        def repo_file(self) -> RepoFile | None: ...


ALIAS_KEY: Final = "ocuroot.repoAlias"
URL_OF_ORIGIN: Final = "the URL of 'origin'"
_ALIAS_VARIABLE: Final = "OCU_CFG_repo_alias"
_URL_VARIABLE: Final = "OCU_REPO_URL_OVERRIDE"
"""What the original program takes for the alias, and for the URL of `origin`."""
_HINT: Final = f"give it one: git config {ALIAS_KEY} <name>"
_LONGEST: Final = 1 << 13
"""Bytes of a remembered name that are read: more than any ref has."""


class Name:
    """The name of a repository in refs; `source` says where it comes from."""

    __slots__ = ("source", "text")

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source


def name_of(settings: Named) -> Name:
    """The name: the alias, else the URL of `origin`, else the directory's name. Raises Fatal where none can be made."""
    alias = settings.environ.get(_ALIAS_VARIABLE)
    if alias:
        return Name(_checked(alias, f"the name in {_ALIAS_VARIABLE} is none: "), _ALIAS_VARIABLE)
    alias = settings.config.get(ALIAS_KEY)
    if alias:
        return Name(_checked(alias, f"the name in {ALIAS_KEY} is none: "), ALIAS_KEY)
    repo_file = settings.repo_file()
    if repo_file is not None and repo_file.repo_alias:
        return Name(_checked(repo_file.repo_alias, "the name in repo.ocu.star is none: "), "repo.ocu.star")
    given = settings.environ.get(_URL_VARIABLE)
    url, source = (given, _URL_VARIABLE) if given else (settings.config.remote_url("origin"), URL_OF_ORIGIN)
    by_url = name_of_url(settings.config.rewritten(url)) if url else ""
    if given and not by_url:
        by_url = given  # the original takes it as it stands, and people give it without a scheme
    if by_url:
        # Where refs cannot bear it, another clone would have another name: so none is made up.
        return Name(_checked(by_url, f"no name can be made of {source}: "), source)
    top = os.path.realpath(_main_directory(settings))
    by_directory = os.path.basename(top).removesuffix(".git")
    return Name(
        _checked(by_directory, f"no name can be made of the directory's, '{by_directory}': "), "the directory's name"
    )


def last_name(repository: Repository) -> str | None:
    """What the repository was called when it last wrote under its name; None where that is not known."""
    try:
        with open(_file(repository), "rb") as file:
            text = file.read(_LONGEST + 1).decode()
    except (OSError, UnicodeDecodeError):
        return None  # it serves a warning only
    name = text.removesuffix("\n")
    return name if name and name.isprintable() and len(name) < _LONGEST else None


def remember_name(repository: Repository, name: str) -> None:
    """Keep a name for `last_name`."""
    if last_name(repository) == name:
        return
    path = _file(repository)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(f"{name}\n")
        os.replace(temporary, path)
    except OSError:
        pass  # it serves a warning only, and the write it belongs to is done


def _file(repository: Repository) -> str:
    return os.path.join(repository.common_dir, "ocuroot", "name")


def _main_directory(settings: Named) -> str:
    """The directory that a repository is called after: the top of its main worktree, or that of a bare repository."""
    repository = settings.repository_or_none
    if repository is None:
        return settings.directory
    git_dir, common_dir = os.path.realpath(repository.git_dir), os.path.realpath(repository.common_dir)
    if git_dir == common_dir and repository.work_tree:
        return repository.work_tree
    return _main_worktree(settings.config, common_dir)


def _main_worktree(config: Config, common_dir: str) -> str:
    configured = config.get("core.worktree")
    if configured:
        return os.path.join(common_dir, configured)
    return os.path.dirname(common_dir) if os.path.basename(common_dir) == ".git" else common_dir


def _checked(name: str, what: str) -> str:
    """A repository's name, if refs can bear it. Raises Fatal, with what is wrong behind `what`."""
    try:
        if not name:
            raise RefError("it is empty")
        if Ref.parse(f"{name}/-").repo != name:
            raise RefError(f"bad ref '{name}/-': segment '-': it ends a repository's name")
        return name
    except RefError as error:
        raise Fatal(f"{what}{error.message}", hint=_HINT) from None
