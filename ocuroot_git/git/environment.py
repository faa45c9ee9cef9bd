"""Environments in which git is started: bound to one repository, bound to none, or with configuration added."""

from __future__ import annotations

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from .repository import Repository

_LOCAL_VARIABLES: Final = frozenset(
    (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    )
)
"""What binds git to the user's repository: `git rev-parse --local-env-vars`, and a few of its own."""


def exactly(repository: Repository, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment in which git finds just this repository: a relative GIT_DIR would mislead it elsewhere."""
    exact = {**environ, "GIT_DIR": repository.git_dir}
    exact.pop("GIT_WORK_TREE", None)
    if repository.work_tree is not None:
        exact["GIT_WORK_TREE"] = repository.work_tree
    return exact


def without_repository(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what binds git to the user's repository."""
    return {name: value for name, value in environ.items() if name not in _LOCAL_VARIABLES}


def with_config(environ: Mapping[str, str], values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """An environment with configuration added, which gives way to what `-c` and `GIT_CONFIG_*` say there already.

    Raises Fatal for a GIT_CONFIG_COUNT that git would refuse too.
    """
    try:
        count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    except ValueError:
        raise Fatal(f"bad value '{environ['GIT_CONFIG_COUNT']}' for GIT_CONFIG_COUNT") from None
    known = [(environ[f"GIT_CONFIG_KEY_{n}"], environ[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]
    changed = {**environ, "GIT_CONFIG_COUNT": str(len(values) + count)}
    for number, (key, value) in enumerate([*values, *known]):
        changed[f"GIT_CONFIG_KEY_{number}"] = key
        changed[f"GIT_CONFIG_VALUE_{number}"] = value
    return changed
