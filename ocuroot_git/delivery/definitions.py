"""What defines a package, in its two forms: JSON with shell commands, and code (design 7, 14).

Both come to one shape, that of the documents of releases in dialect 1, which `package` reads.
"""

from __future__ import annotations

from ..errors import Fatal, NotFound
from ..formats.documents import position
from ..packages.evaluate import PackageError, evaluate, is_starlark
from ..packages.files import FilesError, within
from ..packages.source import Problem
from . import releases
from .fields import fields_of
from .package import Package, problems_of
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..packages.files import PackageFiles
    from ..packages.permissions import Permissions
    from .fields import Fields
    from .model import Environment


class Definition:
    """What a file comes to: a package (`document`; None where it has none), or environments that it registers.

    `printed` is what code printed on the way, each with `message`, `file`, `line` and `column`; `text` is the file
    where it is JSON.
    """

    def __init__(
        self, document: Fields | None, environments: list[Fields], printed: list[Fields], text: str = ""
    ) -> None:
        self.document = document
        self.environments = environments
        self.printed = printed
        self.text = text


def read_definition(
    files: PackageFiles, path: str, known: dict[str, Environment], permissions: Permissions
) -> Definition:
    """What the file at a path defines; `known` are the environments there are.

    Raises NotFound where there is no file, PackageError for code that is wrong, Fatal for JSON that is.
    """
    if is_starlark(path):
        said = evaluate(
            files,
            path,
            environments=[{"name": name, "attributes": one.attributes} for name, one in sorted(known.items())],
            permissions=permissions,
        )
        return Definition(said.definition, said.environments, said.printed)
    try:
        text = files.read(within("", path))
    except FilesError as error:
        raise NotFound(str(error)) from None
    return Definition(fields_of(releases.parse_package(text, f"'{path}'"), f"'{path}'"), [], [], text)


def check(files: PackageFiles, path: str, known: dict[str, Environment], permissions: Permissions) -> list[Problem]:
    """All that is found wrong with a package without making a release of it; empty where nothing is."""
    try:
        definition = read_definition(files, path, known, permissions)
    except PackageError as error:
        return error.problems
    except Fatal as error:
        return [Problem(path, 0, 0, error.message.removeprefix(f"'{path}': "))]
    if definition.document is None:
        return []
    release = "r/-/p/@1"
    found = problems_of(definition.document, release)
    if not found:
        try:
            releases.check(Package.read(definition.document, "the package"), release, known)
        except ModelError as error:
            found = [error]
    return [_problem(path, definition.text, error) for error in found]


def _problem(path: str, text: str, error: ModelError) -> Problem:
    """What is wrong with a package, at its line and column where it is JSON."""
    line, column = position(text, error.path) if text and error.path else (0, 0)
    return Problem(path, line, column, error.message.removeprefix("the package: "))
