"""Incidents: what went wrong after deployments, and for how long, as documents that people may keep (design 12).

An incident is a custom document, `@/custom/incident/<name>`, and the intent of that name beside it: `apply` of every
version deletes custom documents without one.
"""

from __future__ import annotations

from ..delivery.fields import Record
from ..delivery.finish import transact_both
from ..delivery.problems import BadDocument
from ..errors import Conflict, NotFound, UsageError
from ..formats.refs import INTENT, STATE, Ref
from ..formats.times import format_seconds, parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..delivery.fields import Fields
    from ..delivery.problems import Problems
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction

_BELOW: Final = "custom/incident/"


class Incident(Record):
    """Something that went wrong with a package in an environment: `name`, when it began and when it was resolved (None:
    not yet), in seconds since the epoch, and why, where somebody said so."""

    __slots__ = ("environment", "name", "package", "reason", "resolved", "started")

    def __init__(
        self, name: str, package: str, environment: str, started: float, resolved: float | None, reason: str = ""
    ) -> None:
        self.name = name
        self.package = package
        self.environment = environment
        self.started = started
        self.resolved = resolved
        self.reason = reason

    @classmethod
    def read(cls, value: Document, ref: str) -> Incident:
        """The incident that a document tells of. Raises BadDocument for one of another shape."""
        if not isinstance(value, dict):
            raise BadDocument(ref, "an incident is an object")
        for field in ("package", "environment"):
            if not isinstance(value.get(field), str) or not value[field]:
                raise BadDocument(ref, f"it does not say which {field} it is about")
        started, resolved = (parse_seconds(value.get(field)) for field in ("started", "resolved"))
        if started is None:
            raise BadDocument(ref, "'started' is no time, such as 2026-11-20T14:00:00Z")
        if resolved is None and value.get("resolved") is not None:
            raise BadDocument(ref, "'resolved' is no time, such as 2026-11-20T14:00:00Z")
        if resolved is not None and resolved < started:
            raise BadDocument(ref, "it was resolved before it began")
        reason = value.get("reason")
        name = Ref.parse(ref).name.partition("/")[2]
        return cls(
            name, value["package"], value["environment"], started, resolved, reason if isinstance(reason, str) else ""
        )

    def to_document(self) -> Fields:
        """As the store and JSON have it, but for the name."""
        return {
            "package": self.package,
            "environment": self.environment,
            "started": format_seconds(self.started),
            "resolved": format_seconds(self.resolved) if self.resolved is not None else None,
            "reason": self.reason or None,
        }


def incidents(snapshot: Snapshot, problems: Problems) -> list[Incident]:
    """All incidents, the one that began last first."""
    found = []
    for ref in snapshot.match(f"{STATE}/{_BELOW}**", side="state"):
        with problems.leave_out(ref):
            found.append(Incident.read(snapshot.get(ref), ref))
    return sorted(found, key=lambda one: (-one.started, one.name))


def by_cell(found: list[Incident]) -> dict[tuple[str, str], list[Incident]]:
    """The incidents of each package and environment, in the order in which they began."""
    cells: dict[tuple[str, str], list[Incident]] = {}
    for one in reversed(found):
        cells.setdefault((one.package, one.environment), []).append(one)
    return cells


def open_incident(stores: Stores, incident: Incident, operation: Operation | None = None) -> str:
    """Write down an incident; gives its name. Raises Conflict where there is one of that name."""

    def document(tx: Transaction) -> Fields:
        if tx.exists(_ref(STATE, incident.name)):
            raise Conflict(f"there is an incident '{incident.name}' already")
        return {key: value for key, value in incident.to_document().items() if value is not None}

    return _write(stores, incident.name, document, "incident open", operation)


def resolve_incident(stores: Stores, name: str, resolved: float, operation: Operation | None = None) -> str:
    """Write down that an incident is over since a moment; gives its name.

    Raises NotFound, Conflict where it was over before, BadDocument for what is no incident, and UsageError for a moment
    before it began.
    """

    def document(tx: Transaction) -> Fields:
        ref = _ref(STATE, name)
        value = tx.get(ref, None)
        if not isinstance(value, dict):
            raise NotFound(f"no such incident: '{name}'", hint="'git ocuroot incident list' names them")
        incident = Incident.read(value, ref)
        if incident.resolved is not None:
            raise Conflict(f"the incident '{name}' was resolved at {format_seconds(incident.resolved)}")
        if resolved < incident.started:
            raise UsageError(f"the incident '{name}' began later, at {format_seconds(incident.started)}")
        return {**value, "resolved": format_seconds(resolved)}

    return _write(stores, name, document, "incident resolve", operation)


def _write(
    stores: Stores, name: str, document: Callable[[Transaction], Fields], command: str, operation: Operation | None
) -> str:
    """Let the document of an incident, intent and state, be what is made of what is there; gives the name."""

    def change_state(tx: Transaction) -> Fields:
        tx.set(_ref(STATE, name), document(tx))
        return {"incident": name}

    done = transact_both(
        stores,
        lambda tx: tx.set(_ref(INTENT, name), document(tx)),
        change_state,
        command,
        message=f"{command} {name}",
        operation=operation,
    )
    return str(done["incident"])


def _ref(marker: str, name: str) -> str:
    return f"{marker}/{_BELOW}{name}"
