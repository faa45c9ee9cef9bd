"""What defines a package, in its two forms: JSON with shell commands, and code (design 7, 14).

Both come to one shape, that of the documents of releases in dialect 1, which `package` reads.
"""

from __future__ import annotations

from ..errors import Fatal, NotFound
from ..formats.documents import MISSING, position
from ..packages.evaluate import PackageError, evaluate, is_starlark
from ..packages.files import FilesError, within
from ..packages.problem import Problem
from .addresses import WorkRef
from .fields import fields_of
from .model import write_inputs
from .package import Package, WorkSpec, problems_of
from .vocabulary import CALL, DEPLOY, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.documents import Document
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

    Raises NotFound where there is no file, PackageError for code or JSON that is wrong, Fatal for JSON of another kind.
    """
    try:
        text = files.read(within("", path))
    except FilesError as error:
        raise NotFound(str(error)) from None
    if is_starlark(path) and not text.lstrip().startswith("{"):  # JSON under the name of code goes on to be JSON
        evaluated = evaluate(files, path, environments=as_code_sees(known), permissions=permissions)
        return Definition(evaluated.definition, evaluated.environments, evaluated.printed)
    return Definition(fields_of(parse_package(text, path), f"'{path}'"), [], [], text)


def as_code_sees(known: dict[str, Environment]) -> list[Fields]:
    """Environments as `environments()` gives them: in the order of their refs."""
    return [{"name": name, "attributes": one.attributes} for name, one in sorted(known.items())]


def is_code(package: str, document: Document) -> bool:
    """Whether what a release holds came from code: the package is, by its name, and its functions have a place."""
    return is_starlark(package) and isinstance(document, dict) and bool(document.get("functions"))


def for_release(document: Fields, release: str) -> Fields:
    """The definition of code as a release keeps it: refs made absolute, as the original has them. Raises ModelError.

    The shape is that of dialect 1.
    """
    phases = []
    for phase in document["phases"]:
        work = []
        for one in phase["work"]:
            kind = CALL if CALL in one else DEPLOY
            spec = WorkSpec.read(one, "the package")
            work.append({kind: {**one[kind], "inputs": write_inputs(spec.inputs(release))}})
        phases.append({**phase, "work": work})
    return {**document, "phases": phases}


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
            check_work(Package.read(definition.document, "the package"), release, known)
        except ModelError as error:
            found = [error]
    return [_problem(path, definition.text, error) for error in found]


def _problem(path: str, text: str, error: ModelError) -> Problem:
    """What is wrong with a package, at its line and column where it is JSON."""
    line, column = position(text, error.path) if text and error.path else (0, 0)
    return Problem(path, line, column, error.message.removeprefix("the package: "))


def check_work(package: Package, release: str, known: dict[str, Environment]) -> None:
    """Raise ModelError for what is seen to be wrong before the first run: doubles, and work that waits for itself."""
    seen: dict[str, WorkSpec] = {}
    waits: dict[str, set[str]] = {}
    before: set[str] = set()
    for phase in package.phases:
        here: set[str] = set()
        for spec in phase.work:
            inputs = spec.inputs(release)
            needed = {
                given.ref.partition("#")[0] for given in inputs.values() if given.ref and given.default is MISSING
            }
            for name in spec.names(known):
                work = WorkRef(release, spec.kind, name)
                if work.ref in seen:
                    raise ModelError(
                        f"{spec.where}: {spec.kind} '{name}' is named twice; first in {seen[work.ref].where}"
                    )
                seen[work.ref] = spec
                waits[work.ref] = before | {work.ref if ref == work.current else ref for ref in needed}
                here.add(work.ref)
        before = here or before
    _refuse_cycle(waits, seen)


def _refuse_cycle(waits: dict[str, set[str]], seen: dict[str, WorkSpec]) -> None:
    """Take away what can run, again and again; where something is left, it waits for itself."""
    left = dict(waits)
    while True:
        able = [ref for ref, needed in left.items() if not needed & left.keys()]
        if not able:
            break
        for ref in able:
            del left[ref]
    for ref, needed in left.items():
        names = [f"'{_short(other)}'" for other in sorted(needed & left.keys())]
        raise ModelError(
            f"{seen[ref].where}: it depends on itself: '{_short(ref)}' waits for {', '.join(names)}",
            hint="an input that may not be there yet takes a default",
        )


def _short(work: str) -> str:
    return "/".join(work.rsplit("/", 2)[1:])


def read_package(text: str, file: str) -> Document:
    """The definition of a package from JSON text, if a package has that shape.

    Raises PackageError, with the `file` that it came from and the line and column of each thing that is wrong.
    """
    document = parse_package(text, file)
    problems = [_problem(file, text, error) for error in problems_of(document, "r/-/p/@1")]
    if problems:
        raise PackageError(problems)
    return document


def parse_package(text: str, file: str) -> Document:
    """The definition of a package from JSON text, whatever its shape. Raises PackageError as `read_package` does."""
    from ..formats.documents import DocumentError, parse

    try:
        return parse(text)
    except DocumentError as error:
        raise PackageError(
            [Problem(file, error.line, error.column, f"bad JSON: {error.why}")],
            hint=error.hint or 'a package is JSON: {"phases": [{"name", "work": […]}]}',
        ) from None
