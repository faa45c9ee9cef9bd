"""The shapes of releases and packages: phases of work, as `repo/-/path/@N` has them (design 7). Pure."""

from __future__ import annotations

from ..formats.documents import Document, brief
from ..formats.refs import Ref, RefError
from .fields import Part, Record, fields_of
from .model import Environment, Inputs, read_inputs
from .vocabulary import CALL, DEPLOY, DOWN, UP, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fields import Fields


class WorkSpec(Record):
    """A piece of work as a package defines it. A deployment names its environment, or attributes to select some."""

    __slots__ = ("fields", "kind", "name", "selector", "where")

    def __init__(self, kind: str, name: str, selector: dict[str, str] | None, fields: Fields, where: str) -> None:
        self.kind = kind
        self.name = name
        self.selector = selector
        self.fields = fields
        self.where = where

    @classmethod
    def read(cls, value: Document, where: str) -> WorkSpec:
        outer = fields_of(value, where)
        kinds = [kind for kind in (CALL, DEPLOY) if outer.get(kind) is not None]
        if len(kinds) != 1:
            raise ModelError(f"{where}: work is one of {{'call': …}} and {{'deploy': …}}")
        kind = kinds[0]
        with Part(kind):
            return cls._read(kind, fields_of(outer[kind], where), where)

    @classmethod
    def _read(cls, kind: str, fields: Fields, where: str) -> WorkSpec:
        name = fields.get("name" if kind == CALL else "environment") or ""
        selector = None
        if kind == DEPLOY and fields.get("environments") is not None:
            if name:
                raise ModelError(f"{where}: a deployment has 'environment' or 'environments', not both")
            with Part("environments"):
                selector = fields_of(fields["environments"], f"{where}: environments").get("attributes") or {}
                if not isinstance(selector, dict) or not all(isinstance(v, str) for v in selector.values()):
                    raise ModelError(f"{where}: the attributes that select environments are not strings")
        elif not isinstance(name, str) or not name:
            raise ModelError(f"{where}: a {kind} has no {'name' if kind == CALL else 'environment'}")
        if name:
            where = f"{where} ({kind} '{name}')"
            with Part("name" if kind == CALL else "environment"):
                _check_name(name, where)
        for function in ("fn",) if kind == CALL else (UP, DOWN):
            if fields.get(function) is not None:
                with Part(function):
                    _check_function(fields[function], f"{where}: {function}")
        return cls(kind, name, selector, fields, where)

    def function(self, type_: str) -> Fields:
        """The function that a run of a type (`call`, `up`, `down`) executes; empty where the package names none."""
        return dict(self.fields.get("fn" if type_ == CALL else type_) or {})

    def inputs(self, release: str) -> Inputs:
        """The inputs, as seen from a release. Raises ModelError."""
        with Part(self.kind):
            return read_inputs(self.fields.get("inputs"), self.where, release)

    def names(self, environments: dict[str, Environment]) -> list[str]:
        """The names of the work this stands for: one deployment for each environment that is selected."""
        if self.selector is None:
            return [self.name]
        return [name for name, environment in sorted(environments.items()) if environment.has(self.selector)]


class Phase(Record):
    __slots__ = ("name", "work")

    def __init__(self, name: str, work: list[WorkSpec]) -> None:
        self.name = name
        self.work = work


class Package(Record):
    """How a package is released: phases of work, each begun when all work of the one before is complete.

    `supersede` says whether its newer releases take the place of older ones that are still to be deployed.
    """

    __slots__ = ("phases", "supersede")

    def __init__(self, phases: list[Phase], supersede: bool = True) -> None:
        self.phases = phases
        self.supersede = supersede

    @classmethod
    def read(cls, value: Document, where: str) -> Package:
        outer = fields_of(value, where)
        supersede = outer.get("supersede", True)
        with Part("supersede"):
            if not isinstance(supersede, bool):
                raise ModelError(f"{where}: supersede is {brief(supersede)}, not true or false")
        listed = outer.get("phases")
        if not isinstance(listed, list) or not listed:
            raise ModelError(f"{where}: it has no phases")
        return cls([_read_phase(given, number, where) for number, given in enumerate(listed, 1)], supersede)

    def specs(self) -> Iterator[WorkSpec]:
        for phase in self.phases:
            yield from phase.work

    def find(self, kind: str, name: str, environment: Environment | None) -> tuple[int, WorkSpec] | None:
        """The number of the phase and the definition of a piece of work; None where the package has none such.

        `environment` is the environment of that name, where there is one: it may be selected by its attributes.
        """
        for number, phase in enumerate(self.phases):
            for spec in phase.work:
                if spec.kind != kind:
                    continue
                if spec.selector is None:
                    if spec.name == name:
                        return number, spec
                elif environment is not None and environment.has(spec.selector):
                    return number, spec
        return None


class Release(Record):
    """`repo/-/path/@N`: one numbered snapshot of a package. What the package is defined by is kept as it was given."""

    __slots__ = ("commit", "definition", "package")

    def __init__(self, commit: str, package: Package, definition: Document) -> None:
        self.commit = commit
        self.package = package
        self.definition = definition

    @classmethod
    def read(cls, value: Document, ref: str) -> Release:
        fields = fields_of(value, f"'{ref}'")
        commit = fields.get("commit")
        if not isinstance(commit, str):
            raise ModelError(f"'{ref}': the commit is {brief(commit)}, not a string")
        if not commit.isascii() or not commit.isalnum():
            raise ModelError(f"'{ref}': the commit is {brief(commit)}, not the id of one")
        package = Package.read(fields.get("package"), f"'{ref}': package")
        for spec in package.specs():
            spec.inputs(ref)
        return cls(commit, package, fields["package"])


def _read_phase(value: Document, number: int, where: str) -> Phase:
    name, work, here = _phase(value, number, where)
    specs = []
    for n, one in enumerate(work, 1):
        with Part("phases", number - 1, "work", n - 1):
            specs.append(WorkSpec.read(one, f"{here}: work {n}"))
    return Phase(name, specs)


def _phase(value: Document, number: int, where: str) -> tuple[str, list[Document], str]:
    """The name of a phase, its work as it stands there, and what errors call the phase. Raises ModelError."""
    with Part("phases", number - 1):
        fields = fields_of(value, f"{where}: phase {number}")
        name = fields.get("name") or ""
        if not isinstance(name, str):
            raise ModelError(f"{where}: phase {number}: the name is not a string")
        here = f"{where}: phase '{name}'" if name else f"{where}: phase {number}"
        work = fields.get("work") or []
        with Part("work"):
            if not isinstance(work, list):
                raise ModelError(f"{here}: work is not a list")
    return name, work, here


def problems_of(value: Document, release: str) -> list[ModelError]:
    """All that is wrong with the shape of a package that is to be released; refs as seen from a release.

    Of a release that is there already, whatever stands for nothing is taken for that: see `Package.read`.
    """
    where = "the package"
    found: list[ModelError] = []
    phases: list[Document] = []
    try:
        listed = fields_of(value, where).get("phases")
        phases = listed if isinstance(listed, list) else []
        Package.read({**fields_of(value, where), "phases": [{"work": []}] if phases else listed}, where)
    except ModelError as error:
        found.append(error)
    for number, given in enumerate(phases, 1):
        try:
            _, work, here = _phase(given, number, where)
            with Part("phases", number - 1):
                _check_types(given, {"name": str, "work": list}, here)
        except ModelError as error:
            found.append(error)
            continue
        for n, one in enumerate(work, 1):
            try:
                with Part("phases", number - 1, "work", n - 1):
                    spec = WorkSpec.read(one, f"{here}: work {n}")
                    spec.inputs(release)
                    with Part(spec.kind):
                        _check_types_of_work(spec)
            except ModelError as error:
                found.append(error)
    return found


def _check_types_of_work(spec: WorkSpec) -> None:
    _check_types(spec.fields, {"environment": str, "environments": dict} if spec.kind == DEPLOY else {}, spec.where)
    of_function: dict[str, type] = {"name": str, "pos": str, "run": str}
    of_selector: dict[str, type] = {"attributes": dict}
    for name, types in (("environments", of_selector), ("fn", of_function), (UP, of_function), (DOWN, of_function)):
        if isinstance(spec.fields.get(name), dict):
            with Part(name):
                _check_types(spec.fields[name], types, f"{spec.where}: {name}")


def _check_types(fields: Document, types: dict[str, type], where: str) -> None:
    """Raise ModelError for a field of another type: one that is empty would be taken for one that is not there."""
    for name, type_ in types.items():
        value = fields.get(name)
        if value is not None and not isinstance(value, type_):
            with Part(name):
                words = "a string" if type_ is str else "a list" if type_ is list else "an object"
                raise ModelError(f"{where}: {name} is {brief(value)}, not {words}")


def _check_name(name: str, where: str) -> None:
    try:
        Ref.parse(f"r/-/p/@1/{CALL}/{name}")
    except RefError as error:
        raise ModelError(f"{where}: '{name}' cannot be a name: {error.message.partition(': ')[2]}") from None
    for sign in "/#":
        if sign in name:
            raise ModelError(f"{where}: '{name}' cannot be a name: it holds a '{sign}'")


def _check_function(value: Document, where: str) -> None:
    fields = fields_of(value, where)
    if not isinstance(fields.get("run") or "", str):
        raise ModelError(f"{where}: run is not a string")
