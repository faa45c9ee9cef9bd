"""The actions of the page that are about a release: approve and reject, hold and let go (`view --write`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..delivery import freezing, gates, holding, holds
from ..delivery.addresses import package_of
from ..delivery.queries import find_release
from ..formats.globs import escape
from ..formats.refs import INTENT, STATE
from .action import CheckedAction, Field, Performed, left_over

if TYPE_CHECKING:
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores


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
        return Performed([*waits, *left_over(done)], [done.result["ref"]])


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
        return Performed(["held", *left_over(done)], [release])


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
        return Performed(["let go", *left_over(done, takes_away=True)], [release])
