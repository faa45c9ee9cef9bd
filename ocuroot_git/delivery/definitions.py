"""What defines a package, in its two forms: JSON with shell commands, and code (design 7, 14).

Both come to one shape, that of the documents of releases in dialect 1, which `package` reads.
"""

from __future__ import annotations

from ..errors import Fatal, NotFound
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

    `printed` is what code printed on the way, each with `message`, `file`, `line` and `column`.
    """

    def __init__(self, document: Fields | None, environments: list[Fields], printed: list[Fields]) -> None:
        self.document = document
        self.environments = environments
        self.printed = printed


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
    return Definition(fields_of(releases.read_package(text, f"'{path}'"), f"'{path}'"), [], [])


def check(files: PackageFiles, path: str, known: dict[str, Environment], permissions: Permissions) -> list[Problem]:
    """All that is found wrong with a package without making a release of it; empty where nothing is."""
    try:
        document = read_definition(files, path, known, permissions).document
    except PackageError as error:
        return error.problems
    except Fatal as error:
        return [Problem(path, 0, 0, error.message.removeprefix(f"'{path}': "))]
    if document is None:
        return []
    release = "r/-/p/@1"
    found = problems_of(document, release)
    if not found:
        try:
            releases.check(Package.read(document, "the package"), release, known)
        except ModelError as error:
            found = [error.message]
    return [Problem(path, 0, 0, message.removeprefix("the package: ")) for message in found]
