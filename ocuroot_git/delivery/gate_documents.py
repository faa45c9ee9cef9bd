"""The documents of gates, read field by field (design 13); `gates` says what follows from them.

{"kind": "deny" | "allow" | "approve", "environments": [names] | {attributes}, "packages": [globs],
 "start", "end", "rrule", "duration", "timezone", "actors": […],
 "approvals": {"count", "from": […], "not_author", "valid_for"}, "reason", "by"}
"""

from __future__ import annotations

from ..formats.documents import brief
from ..formats.globs import Glob, GlobError
from ..formats.times import parse_duration
from .addresses import gate_ref
from .approvals import Rules
from .fields import Record, TakenFields
from .problems import BAD, BadDocument
from .vocabulary import ALLOW, DENY, GATES, ModelError
from .windows import FIELDS, Windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..store.snapshot import Snapshot
    from .fields import Fields
    from .model import Environment

_KNOWN: Final = {"kind", "environments", "packages", "actors", "approvals", "reason", "by", *FIELDS}


class Gate(Record):
    """A gate: its name, the ref of its document, and what that says.

    `environments` are names, or attributes that an environment must have, None for all; `packages` are patterns, None
    for all. `problem` says why it cannot be understood, and `hint` how to fix it; then it closes what it may concern.
    """

    __slots__ = (
        "_glob",
        "actors",
        "approvals",
        "by",
        "document",
        "environments",
        "hint",
        "kind",
        "name",
        "packages",
        "problem",
        "reason",
        "ref",
        "unknown",
        "windows",
    )

    def __init__(self, name: str, ref: str) -> None:
        self.name = name
        self.ref = ref
        self.kind = ""
        self.environments: list[str] | dict[str, str] | None = None
        self.packages: list[str] | None = None
        self._glob: Glob | None = None
        self.windows = Windows()
        self.actors: list[str] = []
        self.approvals = Rules(1, None, None, not_author=False)
        self.reason = ""
        self.by = ""
        self.unknown: list[str] = []
        self.document: object = None
        self.problem: str | None = None
        self.hint: str | None = None

    @classmethod
    def read(cls, value: object, name: str, ref: str) -> Gate:
        """The gate that a document says; each field by itself, so that a bad one hides as little as possible."""
        gate = cls(name, ref)
        gate.document = value
        if not isinstance(value, dict):
            gate._is_bad(ModelError("it is not a JSON object"))
            return gate
        fields = dict(value)
        for read in (
            gate._read_kind,
            gate._read_environments,
            gate._read_packages,
            gate._read_windows,
            gate._read_texts,
            gate._read_unknown,
        ):
            try:
                read(fields)
            except ModelError as error:
                gate._is_bad(error)
        return gate

    def concerns(self, package: str | None, name: str, where: Environment | None) -> bool:
        """Whether it concerns deployments of a package (None: of any) to an environment.

        `where` is None where that is not known.
        """
        if self._glob is not None and package is not None and not self._glob.matches(package):
            return False
        if isinstance(self.environments, list):
            return name in self.environments
        return self.environments is None or where is None or where.has(self.environments)

    def at(self, moment: float) -> tuple[bool, float | None]:
        """Whether one of its windows is open at a moment, and when that changes; None where nobody can say.

        Always where it cannot be understood.
        """
        if self.problem is None:
            try:
                return self.windows.at(moment)
            except ModelError as error:
                self._is_bad(error)
        return True, None

    @property
    def about(self) -> str:
        """What it concerns, in words."""
        places = "all environments"
        if isinstance(self.environments, list):
            places = ", ".join(self.environments)
        elif self.environments:
            places = ", ".join(f"{key}={value}" for key, value in self.environments.items())
        return f"{places} ({', '.join(self.packages)})" if self.packages is not None else places

    def _is_bad(self, error: ModelError) -> None:
        if self.problem is None:
            self.problem, self.hint = error.message, error.hint

    def _read_kind(self, fields: Fields) -> None:
        kind = fields.get("kind")
        if kind not in GATES:
            raise ModelError(f"kind is {brief(kind)}, and none of {', '.join(GATES)}")
        self.kind = kind

    def _read_environments(self, fields: Fields) -> None:
        given = fields.get("environments")
        if isinstance(given, dict) and given.keys() == {"attributes"} and isinstance(given["attributes"], dict):
            given = given["attributes"]  # as packages have it
        if isinstance(given, dict):
            if not all(isinstance(value, str) for value in given.values()):
                raise ModelError("environments has an attribute that is not a string")
            self.environments = given
        elif given is not None:
            self.environments = _strings("environments", given)

    def _read_packages(self, fields: Fields) -> None:
        given = fields.get("packages")
        if given is None:
            return
        packages = _strings("packages", given)
        try:
            self._glob = Glob(*packages)
        except GlobError as error:
            raise ModelError(f"packages: {error.message}") from None
        self.packages = packages

    def _read_windows(self, fields: Fields) -> None:
        self.windows = Windows.read(fields)

    def _read_texts(self, fields: Fields) -> None:
        taken = TakenFields({key: fields.get(key) for key in ("actors", "approvals", "reason", "by")}, "it")
        self.reason, self.by = taken.text("reason"), taken.text("by")
        self.actors = taken.items("actors", str)
        self.approvals = _rules(taken.fields("approvals"))

    def _read_unknown(self, fields: Fields) -> None:
        """What is not known might narrow what is allowed; of what is denied it could only take something away.

        So might approvals, for which only gates of their own kind ask.
        """
        self.unknown = sorted(fields.keys() - _KNOWN)
        if "approvals" in fields and self.kind == ALLOW:
            raise ModelError("it has approvals, for which gates of the kind approve ask: write one beside it")
        if self.unknown and self.kind != DENY:
            raise ModelError(f"it has a field '{self.unknown[0]}', which is not known")


def _rules(fields: Fields) -> Rules:
    """What a gate asks of approvals. Raises ModelError."""
    count, whom, not_author = fields.pop("count", 1), fields.pop("from", None), fields.pop("not_author", False)
    valid_for = fields.pop("valid_for", None)
    if type(count) is not int or count < 1:
        raise ModelError(f"approvals/count is {brief(count)}, and no number from 1 on")
    if type(not_author) is not bool:
        raise ModelError(f"approvals/not_author is {brief(not_author)}, neither true nor false")
    actors = None if whom is None else _strings("approvals/from", whom)
    if actors is not None and len(set(actors)) < count:
        raise ModelError(f"approvals/from names {len(set(actors))}, of whom {count} cannot approve")
    length = parse_duration(valid_for) if isinstance(valid_for, str) else None
    if valid_for is not None and (length is None or sum(length) <= 0):
        raise ModelError(f"approvals/valid_for is {brief(valid_for)}, and no length of time such as 8h or 3d")
    if fields:
        raise ModelError(f"approvals has a field '{min(fields)}', which is not known")
    seconds = None if length is None else 86400 * length[0] + length[1]
    return Rules(count, actors, seconds, not_author=not_author)


def _strings(key: str, given: object) -> list[str]:
    """One text, or a list of some. Raises ModelError."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise ModelError(f"{key} is {brief(given)}, and no list of texts")
    return list(texts)


def read_gate(snapshot: Snapshot, marker: str, name: str) -> Gate:
    """A gate of one store; where it cannot be read, its `problem` says why."""
    ref = gate_ref(marker, name)
    try:
        return Gate.read(snapshot.get(ref), name, ref)
    except BAD as error:
        gate = Gate(name, ref)
        gate.problem = error.what if isinstance(error, BadDocument) else error.message
        return gate
