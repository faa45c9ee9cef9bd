"""What a package says: `*.ocu.star` evaluated with its SDK in a bounded child process (design 14)."""

from __future__ import annotations

import posixpath

from ..config.sandbox import StarlarkError, in_child
from ..config.starlark import need_library
from ..errors import Fatal
from .files import FilesError, within
from .problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from ..config.sandbox import Bounds
    from .files import PackageFiles
    from .permissions import Permissions

    Fields = dict[str, Any]

SECONDS: Final = 10.0
SECONDS_WITH_COMMANDS: Final = 120.0
"""How long an evaluation may take; the second where the user lets packages run commands."""
_LARGEST: Final = 4 << 20
"""Characters of a definition, as JSON."""


class PackageError(Fatal):
    """A package is wrong. `problems` are all that was found."""

    def __init__(self, problems: list[Problem], hint: str | None = None) -> None:
        more = len(problems) - 1
        self.problems = problems
        message = str(problems[0]) + (f" (and {more} more)" if more else "")
        if more and hint is None:
            hint = "all of them: git ocuroot package lint <file>"
        super().__init__(message, hint=hint)


class Evaluated:
    """What a package says: its `definition`, in the shape of dialect 1 (None where it has no phases), the environments
    that it registers, and what it printed (`message`, `file`, `line`, `column`)."""

    def __init__(self, definition: Fields | None, environments: list[Fields], printed: list[Fields]) -> None:
        self.definition = definition
        self.environments = environments
        self.printed = printed


def is_starlark(path: str) -> bool:
    """Whether a package is code, by its name."""
    return path.endswith(".star")


def evaluate(
    files: PackageFiles,
    path: str,
    *,
    environments: list[Fields],
    permissions: Permissions,
    seconds: float | None = None,
) -> Evaluated:
    """Evaluate the package at a path among `files`; `environments` is what `environments()` gives.

    Raises PackageError for a package that is wrong or exceeds its bounds, Fatal where the library is missing.
    """

    # Before the child is forked: there a lock of the import system might be held for good by another thread.
    from .evaluation import Evaluation, Failure
    from .host import Closed

    def work(bounds: Bounds) -> object:
        host = Closed(files, permissions, posixpath.join(permissions.top, posixpath.dirname(path)), bounds)
        evaluation = Evaluation(files, path, host, bounds, callable=False)
        registry = evaluation.registry
        registry.environments = environments
        hint = None
        try:
            evaluation.run()
            registry.finish()
        except FilesError as error:
            registry.problems.append(Problem(path, 0, 0, str(error)))
        except Failure as failure:
            registry.problems.append(failure.problem)
            hint = failure.hint
        definition = registry.definition()
        _check_size(definition, path, registry.problems)
        mask = host.secrets.mask
        problems = [[one.file, one.line, one.column, mask(one.message)] for one in registry.problems]
        if problems:
            definition = None
        return [definition, registry.registered, host.printed, problems, mask(hint) if hint else None]

    try:
        path = within("", path)
    except FilesError as error:
        raise PackageError([Problem(path, 0, 0, str(error))]) from None
    need_library("a package")
    if seconds is None:
        seconds = SECONDS_WITH_COMMANDS if permissions.shell is not None else SECONDS
    try:
        definition, registered, printed, problems, hint = in_child(work, path, seconds)
    except StarlarkError as error:
        message = error.message.removeprefix(f"{path}: ")
        raise PackageError([Problem(path, 0, 0, message)], hint=error.hint) from None
    if problems:
        raise PackageError([Problem(*problem) for problem in _unique(problems)], hint=hint)
    return Evaluated(definition, registered, printed)


def _check_size(definition: Fields | None, path: str, problems: list[Problem]) -> None:
    import json

    if definition is not None and len(json.dumps(definition)) > _LARGEST:
        problems.append(Problem(path, 0, 0, f"the package is over {_LARGEST >> 20} MiB as JSON"))


def _unique(problems: list[list[Any]]) -> list[list[Any]]:
    """Problems once each, in the order of their places."""
    found: list[list[Any]] = []
    for problem in problems:
        if problem not in found:
            found.append(problem)
    return found
