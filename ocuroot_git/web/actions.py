"""The actions of the page (`view --write`), each for the command whose name it bears."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ..delivery import finish, freeze_requests, freezing, gates, holding, holds, promotion, rollback, run_requests
from ..delivery.addresses import gate_ref, package_of
from ..delivery.finish import Written
from ..delivery.freeze_requests import When, gate_document, moment
from ..delivery.gate_documents import Gate
from ..delivery.queries import find_release, find_run, last_run, last_runs_of, read_function
from ..delivery.vocabulary import FAILED, RUNNING
from ..errors import NotFound, UsageError
from ..formats.globs import escape
from ..formats.refs import INTENT, STATE, Ref
from ..formats.times import format_local, format_seconds
from .action import Action, CheckedAction, Field, Looked, Performed

if TYPE_CHECKING:
    from ..delivery.wishes import Plan
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores

ALL = "--all"
"""In the place of the name of an environment: all of them."""


def _left(written: Written, *, takes_away: bool = False) -> list[str]:
    """What is told where the state does not follow yet."""
    return list(written.remark(takes_away=takes_away) or ())


class Approve(CheckedAction):
    name = "approve"
    title = "Approve"
    command = "approve"
    fields = (Field("release", "Release"), Field("environment", "Environment"))
    approves: ClassVar[bool] = True

    def words(self) -> list[str]:
        reject = [] if self.approves else ["--reject"]
        return ["approve", *reject, "--environment", self["environment"], self["release"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        name = self["environment"]
        work = freezing.deployment_to(snapshot, self["release"], name)
        waits = [f"{name} waits for {closure.what}" for closure in gates.Gates(snapshot).closures(work)]
        hold = holds.hold_on(snapshot, work.release)
        return [*waits, *([f"the release is {hold.words}"] if hold is not None else [])]

    def looked_at(self, snapshot: Snapshot) -> Document:
        work = freezing.deployment_to(snapshot, self["release"], self["environment"])
        hold = holds.hold_on(snapshot, work.release)
        said: dict[str, Document] = {}
        for marker in (STATE, INTENT) if snapshot.has_intent() else (STATE,):
            number = work.release.rpartition(f"/{STATE}")[2]
            below = f"{package_of(work.release)}/{marker}{number}/custom/approval/{work.name}"
            said.update((str(ref), snapshot.get(ref, None)) for ref in snapshot.match(f"{escape(below)}/*"))
        return [snapshot.get(work.release), said, hold.to_document() if hold is not None else None]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        work = freezing.deployment_to(stores.snapshot(), self["release"], self["environment"])
        done = freezing.approve(stores, work, reason or None, approves=self.approves, operation=operation)
        closures = gates.Gates(stores.snapshot()).closures(work)
        waits = [f"{work.name} still waits for {closure.what}" for closure in closures]
        return Performed([*waits, *_left(done)], [done.result["ref"]])


class Reject(Approve):
    name = "reject"
    title = "Reject"
    command = "approve --reject"
    approves = False


class Hold(CheckedAction):
    name = "hold"
    title = "Hold"
    command = "hold"
    fields = (Field("release", "Release"),)
    needs_reason = True

    def words(self) -> list[str]:
        return ["hold", self["release"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        release = find_release(snapshot, self["release"])
        hold, reach = holds.hold_on(snapshot, release), holding.reach_of(snapshot, release)
        stays = [f"it stays deployed in {', '.join(reach.environments)}"] if reach.environments else []
        is_held = [f"it is {hold.words}"] if hold is not None else []
        return [*is_held, *stays, *(f"{run} goes on" for run in reach.runs)]

    def looked_at(self, snapshot: Snapshot) -> Document:
        release = find_release(snapshot, self["release"])
        hold = holds.hold_on(snapshot, release)
        return [release, hold.to_document() if hold is not None else None]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        release = find_release(stores.snapshot(), self["release"])
        done = holding.hold(stores, [release], reason, operation)
        return Performed(["held", *_left(done)], [release])


class Lift(Hold):
    name = "lift"
    title = "Let go"
    command = "hold --lift"
    needs_reason = False

    def words(self) -> list[str]:
        return ["hold", "--lift", self["release"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        release = find_release(snapshot, self["release"])
        holding.require_held(snapshot, [release])
        return super().lines(stores, snapshot)

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        release = find_release(stores.snapshot(), self["release"])
        done = holding.lift(stores, [release], operation)
        return Performed(["let go", *_left(done, takes_away=True)], [release])


class _Planned(Action):
    """An action that changes a set of intents, by a plan with an id of its own."""

    @abstractmethod
    def plan(self, stores: Stores) -> Plan:
        """What it would change."""

    def look(self, stores: Stores) -> Looked:
        plan = self.plan(stores)
        return Looked(_words_of(plan), plan.id, is_idle=not plan.wishes)


class Promote(_Planned):
    name = "promote"
    title = "Promote"
    command = "promote"
    fields = (Field("source", "What is deployed in"), Field("target", "is wanted in"))

    def words(self) -> list[str]:
        return ["promote", self["source"], self["target"]]

    def plan(self, stores: Stores) -> Plan:
        if self["source"] == self["target"]:
            raise UsageError("name two environments")
        return promotion.dry_run(stores.snapshot(), self["source"], self["target"], ())

    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        plan = promotion.promote(stores, self["source"], self["target"], (), looked, operation)
        return Performed([*_words_of(plan), "'git ocuroot work any' makes it so"])


class RollBack(_Planned):
    name = "rollback"
    title = "Roll back"
    command = "rollback"
    fields = (
        Field("environment", "Environment"),
        Field("to", "To what was deployed then", "yesterday, 2026-11-20 14:00, a commit, or a release"),
    )
    needs_reason = True

    def words(self) -> list[str]:
        return ["rollback", self["environment"], "--to", self["to"]]

    def plan(self, stores: Stores) -> Plan:
        change = rollback.change_to(stores, self["environment"], self["to"])
        return rollback.dry_run(stores.snapshot(), change)

    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        change = rollback.change_to(stores, self["environment"], self["to"])
        plan, done = rollback.rollback(stores, change, reason, looked, operation)
        return Performed([*_words_of(plan), *_left(done), "'git ocuroot work any' makes it so"])


def _words_of(plan: Plan) -> list[str]:
    """What a plan comes to, a line for each package."""
    lines = []
    for wish in plan.wishes:
        was, wanted = (text.rpartition("/")[2] or "nothing" for text in (wish.was, wish.release))
        becomes = f"{was} → {wanted}" if wish.status else f"stays {wanted}"
        left = f"; {', '.join(one.rpartition('/')[2] for one in wish.left)} is to be held" if wish.left else ""
        lines.append(f"{wish.package}: {becomes}{left}")
        if wish.dropped:
            lines.append(f"{wish.package}: inputs that were given for {was} do not go over: {', '.join(wish.dropped)}")
    lines += [f"{package} is left out: {why}" for package, why in plan.left_out.items()]
    return lines if plan.wishes else [*lines, "nothing to change"]


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
        return Performed(_left(done), [gate_ref(STATE, done.result["name"])])


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
        return Performed([f"'{name}' is gone" for name in done.result["names"]] + _left(done, takes_away=True))


class Retry(CheckedAction):
    name = "retry"
    title = "Retry"
    command = "run retry"
    fields = (Field("run", "Run, or release"),)

    def words(self) -> list[str]:
        return ["run", "retry", self["run"]]

    def _last(self, snapshot: Snapshot) -> list[tuple[str, str]]:
        """The last runs that it is about, each with its status."""
        if not Ref.parse(self["run"]).type:
            runs = last_runs_of(snapshot, find_release(snapshot, self["run"]))
            return [(run.ref, status) for run, status in runs if status == FAILED]
        run = last_run(snapshot, find_run(snapshot, self["run"]).work)
        return [(run.ref, read_function(snapshot, run).status)] if run is not None else []

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        return [f"{run} is {status}" for run, status in self._last(snapshot)]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [[run, status] for run, status in self._last(snapshot)]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        return Performed(["a new run is waiting to start"], run_requests.retry(stores, self["run"], operation))


class Cancel(CheckedAction):
    name = "cancel"
    title = "Cancel"
    command = "run cancel"
    fields = (Field("run", "Run"),)

    def words(self) -> list[str]:
        return ["run", "cancel", self["run"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        run = find_run(snapshot, self["run"])
        status = read_function(snapshot, run).status
        stops = ["its executor is asked to stop, and does when it looks at its claim next"] if status == RUNNING else []
        return [f"{run} is {status}", *stops]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return read_function(snapshot, find_run(snapshot, self["run"])).status

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        results = run_requests.cancel(stores, [self["run"]], operation=operation)
        stopping = "its executor stops it when it looks at its claim next"
        return Performed([stopping if one == finish.STOPPING else one for one in results.values()], list(results))


KINDS: tuple[type[Action], ...] = (Approve, Reject, Promote, RollBack, Hold, Lift, Freeze, Thaw, Retry, Cancel)
ACTIONS = {kind.name: kind for kind in KINDS}
