"""The shapes of the delivery model's documents (design 7). Pure: values in, typed values out, and back.

Those of a release's document, which is a world of its own, are in `package`; no other module knows any.

Every type has `read(value, ref)`, which raises ModelError where the document at `ref` is not of its shape, and
`to_document()`, which gives back what was read, changed fields replaced and unknown fields kept.

    R = repo/-/path/@N                       Release, with its Package: phases of work
    W = R/call/<name>, R/deploy/<env>        the last completed Run
    W/<n>                                    Run
    W/<n>/functions/1                        Function: how it runs, with which inputs, and its history
    W/<n>/status/<status>                    a marker; that of `running` is the Claim of who runs it
"""

from __future__ import annotations

import time

from ..formats.documents import MISSING, Document, brief, same
from ..formats.refs import Ref, RefError
from ..formats.times import format_time, parse_seconds
from .fields import Part, Record, TakenFields, fields_of
from .vocabulary import CALL, DOWN, STATUSES, UP, ModelError, check_transition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .fields import Fields


class Environment(Record):
    """`@/environment/<name>`: a place to deploy to."""

    __slots__ = ("attributes", "name", "others")

    def __init__(self, name: str, attributes: dict[str, str], others: Fields | None = None) -> None:
        self.name = name
        self.attributes = attributes
        self.others = others if others is not None else {}

    @classmethod
    def read(cls, value: Document, ref: str) -> Environment:
        fields = fields_of(value, ref)
        name = fields.pop("name", None)
        expected = Ref.parse(ref).name
        if "/" in expected:
            raise ModelError(f"'{ref}': the name of an environment is one segment")
        if name != expected:
            raise ModelError(f"'{ref}': the environment's name is {brief(name)}, but its ref says '{expected}'")
        attributes = fields.pop("attributes", None) or {}
        if not isinstance(attributes, dict):
            raise ModelError(f"'{ref}': attributes is not an object")
        for key, attribute in attributes.items():
            if not isinstance(attribute, str):
                raise ModelError(f"'{ref}': the attribute '{key}' is {brief(attribute)}, not a string")
        return cls(expected, attributes, fields)

    def to_document(self) -> Fields:
        return {"name": self.name, "attributes": self.attributes, **self.others}

    def has(self, attributes: dict[str, str]) -> bool:
        """Whether the environment has all of these attributes."""
        return all(self.attributes.get(key) == value for key, value in attributes.items())


class Input(Record):
    """An input of work: a value, or a ref (and a default) from which the value is filled in when a run starts.

    `is_by_default` where the value is the default, because the ref led to nothing.
    """

    __slots__ = ("default", "is_by_default", "others", "ref", "value")

    def __init__(
        self,
        value: Document = MISSING,
        ref: str | None = None,
        default: Document = MISSING,
        others: Fields | None = None,
        is_by_default: bool = False,
    ) -> None:
        self.value = value
        self.ref = ref
        self.default = default
        self.others = others if others is not None else {}
        self.is_by_default = is_by_default

    @classmethod
    def read(cls, value: Document, where: str) -> Input:
        fields = fields_of(value, where)
        given, ref, default = fields.pop("value", MISSING), fields.pop("ref", None), fields.pop("default", MISSING)
        if ref is None and given is MISSING:
            raise ModelError(f"{where}: an input has a value or a ref")
        if ref is not None and not isinstance(ref, str):
            raise ModelError(f"{where}: the ref of the input is {brief(ref)}, not a string")
        return cls(given, ref, default, fields)

    def to_document(self) -> Fields:
        known: Fields = {"ref": self.ref} if self.ref is not None else {}
        if self.default is not MISSING:
            known["default"] = self.default
        if self.value is not MISSING:
            known["value"] = self.value
        return {**known, **self.others}

    def absolute(self, release: str, where: str) -> Input:
        """The same input, its ref as seen from a release. Raises ModelError where it is relative to nothing."""
        if self.ref is None:
            return self
        try:
            ref = Ref.parse(self.ref).absolute(Ref.parse(release))
        except RefError as error:
            raise ModelError(f"{where}: {error.message}", hint=error.hint) from None
        is_document = ref.type in ("environment", "custom") if ref.is_global else bool(ref.repo and ref.marker)
        if not is_document:
            raise ModelError(
                f"{where}: the ref '{self.ref}' is relative to nothing",
                hint="'./call/build#output/x' is of this release, './@/…' of this package, '//path/@/…' of this repo",
            )
        return Input(self.value, str(ref), self.default, self.others)

    @property
    def document(self) -> Ref | None:
        """The ref of the document that the input is taken from; None for one that has a value of its own."""
        return Ref.parse(self.ref).without_fragment() if self.ref is not None else None

    def unfilled(self) -> Input:
        """The same input as it is before a run starts: what a ref led to is left out."""
        return self if self.ref is None else Input(MISSING, self.ref, self.default, self.others)

    def wants_the_same(self, other: Input | None) -> bool:
        """Whether two inputs say the same, whatever their refs lead to at the moment."""
        if other is None or (self.ref is None) != (other.ref is None):
            return False
        if self.ref is None or other.ref is None:
            return same(self.value, other.value)
        if Ref.parse(self.ref) != Ref.parse(other.ref):
            return False
        if MISSING in (self.default, other.default):
            return self.default is other.default
        return same(self.default, other.default)


Inputs = dict[str, Input]


def read_inputs(value: Document, where: str, release: str) -> Inputs:
    """The inputs of work in a release, refs made absolute. Raises ModelError."""
    if value is None:
        return {}
    with Part("inputs"):
        fields = fields_of(value, f"{where}: inputs")
    inputs = {}
    names: dict[str, str] = {}
    for name, given in fields.items():
        here = f"{where}: input '{name}'"
        other = names.setdefault(variable_name(name), name)
        with Part("inputs", name):
            if other != name or not name:
                raise ModelError(f"{here}: it has no name of its own for the environment: {variable_name(name)}")
            inputs[name] = Input.read(given, here).absolute(release, here)
    return inputs


def take_defaults(inputs: Inputs) -> None:
    """Give inputs that a run had their values where the original says none: those are the defaults."""
    for given in inputs.values():
        if given.value is MISSING and given.default is not MISSING:
            given.value, given.is_by_default = given.default, True


def write_inputs(inputs: Inputs) -> Fields:
    """The document of inputs."""
    return {name: given.to_document() for name, given in inputs.items()}


def variable_name(name: str) -> str:
    """The name of the environment variable that hands an input to a command."""
    return "OCUROOT_INPUT_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()


class Run(Record):
    """`W/<n>`, and `W` for the last that completed.

    `watch` are the paths whose change asks for a new release, as `done(watch = […])` names them. `names_type` is false
    for what the original program left without a type: calls, and deployments going up. It always names the type of
    what takes a deployment down.
    """

    __slots__ = ("entrypoint", "names_type", "others", "output", "release", "type", "watch")

    def __init__(
        self,
        type: str,
        release: str,
        entrypoint: str,
        output: Fields,
        others: Fields | None = None,
        names_type: bool = True,
        watch: list[str] | None = None,
    ) -> None:
        self.type = type
        self.release = release
        self.entrypoint = entrypoint
        self.output = output
        self.others = others if others is not None else {}
        self.names_type = names_type
        self.watch = watch or []

    @classmethod
    def read(cls, value: Document, ref: str) -> Run:
        fields = fields_of(value, f"'{ref}'")
        type_ = fields.pop("type", None)
        names_type = type_ != ""
        if not names_type:
            type_ = CALL if Ref.parse(ref).type == CALL else UP
        if type_ not in (CALL, UP, DOWN):
            raise ModelError(f"'{ref}': the type is {brief(type_)}, not call, up or down")
        release, entrypoint = fields.pop("release", ""), fields.pop("entrypoint", "")
        output = fields.pop("output", None) or {}
        if not (isinstance(release, str) and isinstance(entrypoint, str) and isinstance(output, dict)):
            raise ModelError(f"'{ref}': release, entrypoint or output is not of its type")
        return cls(type_, release, entrypoint, output, fields, names_type, watched_paths(fields.pop(WATCH, None), ref))

    def to_document(self) -> Fields:
        type_ = self.type if self.names_type else ""
        known = {"type": type_, "release": self.release, "entrypoint": self.entrypoint, "output": self.output}
        return {**known, **({WATCH: self.watch} if self.watch else {}), **self.others}


WATCH: Final = "watch_files"


def watched_paths(value: Document, ref: str) -> list[str]:
    """The paths that a run watches, from its document; none where that says nothing. Raises ModelError."""
    if value is None:
        return []
    if not (isinstance(value, list) and all(isinstance(path, str) for path in value)):
        raise ModelError(f"'{ref}': {WATCH} is {brief(value)}, not a list of paths")
    return value


class Function(Record):
    """`<run>/functions/1`: what is executed, its dependencies and inputs, and through which statuses it went.

    Beyond design 7, `cause` says what made the run, `reason` why that was done, `overrides` which inputs came from the
    intent, `intent` the id of the intent's document when the run started (see finish.py), and `ended_by` what cancelled
    it.
    """

    __slots__ = (
        "cause",
        "dependencies",
        "ended_by",
        "fn",
        "history",
        "inputs",
        "intent",
        "others",
        "outer",
        "outputs",
        "overrides",
        "reason",
        "status",
    )

    def __init__(
        self,
        fn: Fields,
        status: str,
        dependencies: list[str],
        inputs: Inputs,
        outputs: Fields | None = None,
        history: list[Fields] | None = None,
        cause: str = "",
        overrides: Fields | None = None,
        intent: str = "",
        ended_by: str = "",
        others: Fields | None = None,
        outer: Fields | None = None,
        reason: str = "",
    ) -> None:
        self.fn = fn
        self.status = status
        self.dependencies = dependencies
        self.inputs = inputs
        self.outputs = outputs if outputs is not None else {}
        self.history = history if history is not None else []
        self.cause = cause
        self.overrides = overrides if overrides is not None else {}
        self.intent = intent
        self.ended_by = ended_by
        self.reason = reason
        self.others = others if others is not None else {}
        self.outer = outer if outer is not None else {}

    @classmethod
    def read(cls, value: Document, ref: str) -> Function:
        outer = fields_of(value, f"'{ref}'")
        current = fields_of(outer.pop("current", None), f"'{ref}': current")
        status = current.pop("status", None)
        if status not in STATUSES:
            raise ModelError(f"'{ref}': the status is {brief(status)}, which is none")
        current.pop("id", None)
        taken = TakenFields(current, f"'{ref}'")
        return cls(
            fn=taken.fields("fn"),
            status=status,
            dependencies=taken.items("dependencies", str),
            inputs={name: Input.read(one, f"'{ref}': input '{name}'") for name, one in taken.fields("inputs").items()},
            outputs=taken.fields("outputs"),
            history=TakenFields(outer, f"'{ref}'").items("history", dict),
            cause=taken.text("cause"),
            overrides=taken.fields("overrides"),
            intent=taken.text("intent"),
            ended_by=taken.text("ended_by"),
            reason=taken.text("reason"),
            others=current,
            outer=outer,
        )

    def to_document(self) -> Fields:
        current: Fields = {"id": "1", "fn": self.fn, "status": self.status}
        optional = {
            "dependencies": self.dependencies,
            "inputs": write_inputs(self.inputs),
            "outputs": self.outputs,
            "cause": self.cause,
            "overrides": self.overrides,
            "intent": self.intent,
            "ended_by": self.ended_by,
            "reason": self.reason,
        }
        current.update({key: value for key, value in optional.items() if value})
        return {"current": {**current, **self.others}, "history": self.history, **self.outer}

    def enter(self, run: str, status: str, when: str) -> None:
        """Go to another status. Raises WrongStatus where the model does not allow that."""
        check_transition(run, self.status, status)
        self.status = status
        self.history = [*self.history, {"time": when, "status": status}]


class Claim(Record):
    """`<run>/status/running`: since when a run is running, and, where an executor holds it, who and until when.

    `renewed` is when the executor last said so, `process` which process it is, `operation` the name under which the
    user started it, and `cancel` when somebody asked it to stop (see claims.py).
    """

    __slots__ = ("cancel", "operation", "others", "owner", "process", "renewed", "time", "until")

    def __init__(
        self,
        time: str,
        owner: str = "",
        until: str = "",
        renewed: str = "",
        process: str = "",
        operation: str = "",
        cancel: str = "",
        others: Fields | None = None,
    ) -> None:
        self.time = time
        self.owner = owner
        self.until = until
        self.renewed = renewed
        self.process = process
        self.operation = operation
        self.cancel = cancel
        self.others = others if others is not None else {}

    @classmethod
    def read(cls, value: Document, ref: str) -> Claim:
        fields = fields_of(value, f"'{ref}'")
        known = {key: fields.pop(key, "") for key in ("time", *_HELD)}
        for key, text in known.items():
            if not isinstance(text, str):
                raise ModelError(f"'{ref}': {key} is {brief(text)}, not a string")
        for key in ("until", "renewed"):
            try:
                if known[key]:
                    seconds_of(known[key])
            except ModelError as error:
                raise ModelError(f"'{ref}': {key}: {error.message}") from None
        return cls(**known, others=fields)

    def to_document(self) -> Fields:
        held = {key: getattr(self, key) for key in _HELD}
        return {"time": self.time, **{key: text for key, text in held.items() if text}, **self.others}


_HELD: Final = ("owner", "until", "renewed", "process", "operation", "cancel")
"""The fields of the claim of an executor; a run that was started by hand has none of them."""


class Intent(Record):
    """`repo/-/path/+/deploy/<env>`: the release that is wanted there, and inputs that override the release's own."""

    __slots__ = ("input", "others", "release")

    def __init__(self, release: str, input: Fields | None = None, others: Fields | None = None) -> None:
        self.release = release
        self.input = input if input is not None else {}
        self.others = others if others is not None else {}

    @classmethod
    def read(cls, value: Document, ref: str) -> Intent:
        fields = fields_of(value, f"'{ref}'")
        release = fields.pop("release", None)
        if not isinstance(release, str) or not release:
            raise ModelError(f"'{ref}': the release is {brief(release)}, not a ref")
        return cls(release, fields_of(fields.pop("input", None) or {}, f"'{ref}': input"), fields)

    def to_document(self) -> Fields:
        return {"release": self.release, **({"input": self.input} if self.input else {}), **self.others}


# Time


def timestamp(seconds: float | None = None) -> str:
    """A moment (default: now) as documents have it."""
    return format_time(time.time() if seconds is None else seconds)


def seconds_of(text: str) -> float:
    """The moment that a text in a document names, in seconds since the epoch. Raises ModelError."""
    seconds = parse_seconds(text)
    if seconds is None:
        raise ModelError(f"'{text}' is no time")
    return seconds
