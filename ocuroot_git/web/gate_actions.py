"""The actions of the page that close gates and open them: freeze and thaw (`view --write`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..delivery import freeze_requests, freezing, gates
from ..delivery.addresses import gate_ref
from ..delivery.freeze_requests import When, gate_document, moment
from ..delivery.gate_documents import Gate
from ..delivery.vocabulary import DENY
from ..delivery.windows import zone_of
from ..errors import NotFound, UsageError
from ..formats.globs import absolute
from ..formats.refs import INTENT, STATE, Ref
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
        Field("environment", "Environments", f"production, or type=prod; {ALL} for all"),
        Field("until", "Until", "2h, 3d, 2026-12-20 17:00; empty: until it is thawed", may_be_empty=True),
        Field("from", "From", "2026-12-20 17:00; empty: from now on", is_extra=True),
        Field("rrule", "Again and again, as a rule of RFC 5545 says", "FREQ=WEEKLY;BYDAY=FR;BYHOUR=17", is_extra=True),
        Field("duration", "How long each time", "63h", is_extra=True),
        Field("timezone", "By the clock of", "Europe/Berlin", is_extra=True),
        Field("package", "Only packages", "//web shop/-/**; empty: all", is_extra=True),
        Field("allow", "Who may start a run all the same, with a reason", "github:ann github:bob", is_extra=True),
        Field("name", "What to call it", "empty: after what it is about", is_extra=True),
        Field("cancel_pending", "Cancel the runs that wait to start there", is_flag=True),
    )
    needs_reason = True

    def settle(self, stores: Stores) -> None:
        if self["rrule"] and not self["timezone"]:
            self.values["timezone"] = stores.surroundings.time_zone
        zone = zone_of(self["timezone"]) if self["timezone"] else None
        for name in ("from", "until"):
            if self[name]:
                self.values[name] = format_seconds(moment(f"--{name}", self[name], zone))

    def words(self) -> list[str]:
        many = {"--package": self.several("package"), "--allow": self.several("allow")}
        return [
            "freeze",
            *self.options("from", "until", "rrule", "duration", "timezone", "name", "cancel_pending"),
            *(word for option, values in many.items() for value in values for word in (option, value)),
            *self.several("environment"),
        ]

    def _targets(self) -> list[str]:
        targets = self.several("environment")
        if ALL in targets and targets != [ALL]:
            raise UsageError(f"name environments, or attributes that they have, or {ALL}, not both")
        return [] if targets == [ALL] else targets

    def _document(self, stores: Stores, reason: str) -> dict[str, Any]:
        said = {name: self[name] or None for name in ("until", "rrule", "duration", "timezone")}
        return gate_document(
            stores,
            self._targets(),
            reason,
            when=When(self["from"] or None, **said),
            packages=[absolute(glob, stores.base.repo) for glob in self.several("package")],
            actors=[actor for actor in self["allow"].replace(",", " ").split() if actor],
        )

    def _gate(self, stores: Stores, reason: str) -> Gate:
        """The gate that it makes. Raises UsageError for what cannot be understood, Fatal for what can be no name."""
        name = self["name"] or freeze_requests.name_for(self._targets())
        gate = Gate.read(self._document(stores, reason), name, str(Ref.parse(gate_ref(INTENT, name))))
        if gate.problem is not None:
            raise UsageError(gate.problem, hint=gate.hint)
        return gate

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        gate = self._gate(stores, "")
        is_open, until = gate.at(time.time())
        if is_open:
            when = f"until {format_local(until)}" if until is not None else "until it is thawed"
        elif until is not None:
            when = f"from {format_local(until)} on"
        else:
            raise UsageError("it would close nothing: its time has passed")
        told = [f"deployments to {gate.about} do not start {when}"]
        if self["rrule"]:
            told.append(f"again and again for {self['duration']}, by {self['rrule']} ({self['timezone']})")
        told += [f"no package matches '{glob}' yet" for glob in freezing.unmatched(snapshot, gate)]
        if gate.actors:
            told.append(f"{', '.join(gate.actors)} may start a run there all the same, with a reason")
        if self["cancel_pending"]:
            told += [f"{run} is cancelled" for run in freezing.pending(snapshot, gate)]
        if is_open:
            told += [f"{run} goes on, because it was started before" for run in freezing.running(snapshot, gate)]
        return told

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [*self._targets()]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        gate = self._gate(stores, reason)
        done = freezing.freeze(
            stores,
            self._document(stores, reason),
            gate.name,
            is_fixed=bool(self["name"]),
            cancels=bool(self["cancel_pending"]),
            operation=operation,
        )
        cancelled = [f"{run} is cancelled" for run in done.result["cancelled"]]
        return Performed(cancelled + left_over(done), [gate_ref(STATE, done.result["name"])])


class Thaw(CheckedAction):
    name = "thaw"
    title = "Thaw"
    command = "thaw"
    fields = (Field("gate", "Gate", f"{ALL} for all that deny"),)

    def words(self) -> list[str]:
        return ["thaw", self["gate"]]

    def _gates(self, snapshot: Snapshot) -> list[Gate]:
        """What is taken away, as both stores have it."""
        found = [gate for side in gates.Gates(snapshot).sides for gate in side]
        if self["gate"] == ALL:
            return [gate for gate in found if gate.kind == DENY]
        return [gate for gate in found if gate.name == self["gate"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        found = self._gates(snapshot)
        if not found:
            raise NotFound("nothing is frozen" if self["gate"] == ALL else f"there is no gate '{self['gate']}'")
        said = [
            f"{gate.name}: {gate.kind or 'it'} {gate.about}: {gate.reason or gate.problem or 'no reason given'}"
            for gate in found
        ]
        return list(dict.fromkeys(said))

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [[gate.name, gate.document] for gate in self._gates(snapshot)]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        done = freezing.thaw(stores, None if self["gate"] == ALL else [self["gate"]], operation)
        return Performed([f"'{name}' is gone" for name in done.result["names"]] + left_over(done, takes_away=True))
