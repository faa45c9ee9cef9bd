"""The actions of the page that change a set of intents: promote and roll back (`view --write`)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ..delivery import promotion, rollback
from ..errors import UsageError
from ..formats.globs import absolute
from .action import Action, Field, Looked, Performed, left_over

if TYPE_CHECKING:
    from ..delivery.rollback import Change
    from ..delivery.wishes import Plan
    from ..formats.operation import Operation
    from ..store.stores import Stores


_PACKAGES = Field("packages", "Only packages", "//web shop/-/**; empty: all", is_extra=True)


class _Planned(Action):
    """An action that changes a set of intents, by a plan with an id of its own."""

    def patterns(self, stores: Stores) -> list[str]:
        """Which packages it is about, as patterns; none for all."""
        return [absolute(glob, stores.base.repo) for glob in self.several("packages")]

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
    fields = (Field("source", "What is deployed in"), Field("target", "is wanted in"), _PACKAGES)

    def words(self) -> list[str]:
        return ["promote", self["source"], self["target"], *self.several("packages")]

    def plan(self, stores: Stores) -> Plan:
        if self["source"] == self["target"]:
            raise UsageError("name two environments")
        return promotion.dry_run(stores.snapshot(), self["source"], self["target"], self.patterns(stores))

    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        globs = self.patterns(stores)
        plan = promotion.promote(stores, self["source"], self["target"], globs, looked, operation)
        return Performed([*_words_of(plan), "'git ocuroot work any' makes it so"])


class RollBack(_Planned):
    name = "rollback"
    title = "Roll back"
    command = "rollback"
    fields = (
        Field("environment", "Environment"),
        Field("to", "To what was deployed then", "yesterday, 2026-11-20 14:00, a commit, or a release"),
        _PACKAGES,
        Field("no_hold", "Do not hold the releases that are left", is_flag=True),
        Field("keep_new", "Leave packages alone that were not deployed there then", is_flag=True),
    )
    needs_reason = True

    def words(self) -> list[str]:
        options = ["--to", self["to"], *self.options("no_hold", "keep_new")]
        return ["rollback", *options, self["environment"], *self.several("packages")]

    def _change(self, stores: Stores) -> Change:
        globs, keep_new, no_hold = self.patterns(stores), bool(self["keep_new"]), bool(self["no_hold"])
        return rollback.change_to(stores, self["environment"], self["to"], globs, keep_new=keep_new, holds=not no_hold)

    def plan(self, stores: Stores) -> Plan:
        return rollback.dry_run(stores.snapshot(), self._change(stores))

    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        plan, done = rollback.rollback(stores, self._change(stores), reason, looked, operation)
        return Performed([*_words_of(plan), *left_over(done), "'git ocuroot work any' makes it so"])


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
