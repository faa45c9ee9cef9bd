"""The actions of the page that close gates and open them: freeze and thaw (`view --write`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..delivery import freeze_requests, freezing, gates
from ..delivery.addresses import gate_ref
from ..delivery.freeze_requests import When, gate_document, moment
from ..delivery.gate_documents import Gate
from ..errors import NotFound, UsageError
from ..formats.refs import STATE
from ..formats.times import format_local, format_seconds
from .action import CheckedAction, Field, Performed, left_over

if TYPE_CHECKING:
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores


ALL = "--all"
"""In the place of the name of an environment: all of them."""


class Freeze(CheckedAction):
    """Only the place is looked at: another freeze meanwhile must not keep this one from being made."""

    name = "freeze"
    title = "Freeze"
    command = "freeze"
    fields = (
        Field("environment", "Environment", f"{ALL} for all"),
        Field("until", "Until", "2h, 3d, 2026-12-20 17:00; empty: until it is thawed", may_be_empty=True),
    )
    needs_reason = True

    def settle(self) -> None:
        if self["until"]:
            self.values["until"] = format_seconds(moment("--until", self["until"], None))

    def words(self) -> list[str]:
        until = ["--until", self["until"]] if self["until"] else []
        return ["freeze", self["environment"], *until]

    def _targets(self) -> list[str]:
        return [] if self["environment"] == ALL else [self["environment"]]

    def _document(self, stores: Stores, reason: str) -> dict[str, Any]:
        return gate_document(stores, self._targets(), reason, when=When(until=self["until"] or None))

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        gate = Gate.read(self._document(stores, ""), "", "")
        if gate.problem is not None:
            raise UsageError(gate.problem, hint=gate.hint)
        is_open, until = gate.at(time.time())
        if not is_open:
            raise UsageError("it would close nothing: its time has passed")
        when = f"until {format_local(until)}" if until is not None else "until it is thawed"
        going_on = [f"{run} goes on, because it was started before" for run in freezing.running(snapshot, gate)]
        return [f"no deployment starts in {gate.about} {when}", *going_on]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [*self._targets()]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        name = freeze_requests.name_for(self._targets())
        document = self._document(stores, reason)
        done = freezing.freeze(stores, document, name, is_fixed=False, cancels=False, operation=operation)
        return Performed(left_over(done), [gate_ref(STATE, done.result["name"])])


class Thaw(CheckedAction):
    name = "thaw"
    title = "Thaw"
    command = "thaw"
    fields = (Field("gate", "Gate"),)

    def words(self) -> list[str]:
        return ["thaw", self["gate"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        if self["gate"] not in gates.names_of(snapshot):
            raise NotFound(f"there is no gate '{self['gate']}'")
        found = [gate for side in gates.Gates(snapshot).sides for gate in side if gate.name == self["gate"]]
        said = [
            f"{gate.kind or 'it'} {gate.about}: {gate.reason or gate.problem or 'no reason given'}" for gate in found
        ]
        return list(dict.fromkeys(said))

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [
            [gate.name, gate.document]
            for side in gates.Gates(snapshot).sides
            for gate in side
            if gate.name == self["gate"]
        ]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        done = freezing.thaw(stores, [self["gate"]], operation)
        return Performed([f"'{name}' is gone" for name in done.result["names"]] + left_over(done, takes_away=True))
