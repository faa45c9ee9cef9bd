"""Gates: documents below `custom/gate/` that say when and where deployments may start (design 13).

What counts is what holds in state and what is wanted in intent, each by itself: a start waits where either says so. A
gate that cannot be understood is never passed over. It closes all that it may concern, and says how to fix it.

    deny     closed while one of its windows is open
    allow    closed unless a window of one of those is open that concern the deployment
    approve  closed, while one of its windows is open, until the release is approved

Gates are for deployments. Calls, which go to no environment, pass them; so does what was started before.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, StoredRef
from ..formats.refs import INTENT, STATE, Ref
from ..formats.times import format_seconds
from . import claims
from .addresses import gate_ref
from .fields import Record
from .problems import BAD
from .queries import environment
from .vocabulary import ALLOW, APPROVE, DENY, DEPLOY, UP, shown_actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..store.snapshot import Snapshot
    from .addresses import WorkRef
    from .approvals import Approval
    from .fields import Fields
    from .gate_documents import Gate
    from .model import Environment


_MOST_TOLD: Final = 5
"""Approvals that do not count of which is told why."""


class Closure(Record):
    """Why a deployment may not start now: `what` closes it, in words; `until` when, in seconds, None where unknown.

    `actors` may start it all the same, with a reason. `gate` is the ref of the gate's document; empty where it is none.
    """

    __slots__ = ("actors", "gate", "hint", "name", "until", "what")

    def __init__(
        self,
        what: str,
        until: float | None = None,
        *,
        name: str = "",
        gate: str = "",
        actors: Iterable[str] = (),
        hint: str = "",
    ) -> None:
        self.what = what
        self.until = until
        self.name = name
        self.gate = gate
        self.actors = list(actors)
        self.hint = hint

    def to_document(self) -> Fields:
        until = format_seconds(self.until) if self.until is not None else None
        return {"gate": self.gate or None, "reason": self.what, "until": until, "actors": self.actors}


class Override(Record):
    """Who starts a deployment although gates are closed that let this actor pass, and why."""

    __slots__ = ("actor", "reason")

    def __init__(self, actor: str, reason: str) -> None:
        self.actor = actor
        self.reason = reason

    def to_document(self, gates: Iterable[str]) -> Fields:
        """What a run keeps of it."""
        return {"gates": sorted(gates), "by": self.actor, "reason": self.reason}


class Gates:
    """The gates of a snapshot, judged at one moment: by the clock here, and where the newest commit is from later than
    that, by its clock too. In a transaction all that is looked at counts as read, so that a verdict holds when it is
    written: until the moment `until`, which is None where it does not depend on the time.

    `moments` are others to judge them at. With `trusts`, approvals are taken at their word: see `approvals_of`.

    With `override`, a gate that lets its actor pass is not closed; `overridden` has the names of those.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        override: Override | None = None,
        moments: list[float] | None = None,
        *,
        trusts: bool = False,
    ) -> None:
        self._snapshot = snapshot
        self._override = override
        self._trusts = trusts
        self.overridden: set[str] = set()
        self._approvals: dict[WorkRef, list[Approval]] = {}
        self._moments = moments or []
        self.until: float | None = None
        self.sides = [_read_side(snapshot, STATE)]
        if snapshot.has_intent():
            self.sides.append(_read_side(snapshot, INTENT))
        self._environments: dict[str, Environment | None] = {}

    @property
    def moments(self) -> list[float]:
        """The moments at which the gates are judged."""
        self._moments = self._moments or claims.moments(self._snapshot)
        return self._moments

    def closures(self, work: WorkRef, type_: str = UP) -> list[Closure]:
        """Why a deployment of a release may not start, be it up or down; nothing where it may.

        To be taken down it needs no approval.
        """
        return self._closed_for(work.package, work.name, work, type_) if work.kind == DEPLOY else []

    def asks_for_approval(self, work: WorkRef) -> bool:
        """Whether some gate of state asks at any time for approvals of what goes to where a release is deployed."""
        where = self._where(work.name)
        return any(gate.kind == APPROVE and gate.concerns(work.package, work.name, where) for gate in self.sides[0])

    def closures_at(self, name: str) -> list[Closure]:
        """Why deployments to an environment may not start, if only of some packages."""
        return self._closed_for(None, name)

    def closures_of(self, package: str, name: str) -> list[Closure]:
        """Why no release of a package may be deployed to an environment, whatever was approved."""
        asking = {gate.ref for gates in self.sides for gate in gates if gate.kind == APPROVE and gate.problem is None}
        return [closure for closure in self._closed_for(package, name) if closure.gate not in asking]

    def _closed_for(
        self, package: str | None, name: str, work: WorkRef | None = None, type_: str = UP
    ) -> list[Closure]:
        found: dict[tuple[str, str], Closure] = {}
        for gates in self.sides:
            concerning = [gate for gate in gates if gate.concerns(package, name, self._where(name))]
            for moment in self.moments if concerning else ():
                for closure in self._closures(concerning, moment, work, type_):
                    if not self._passes(closure):
                        found.setdefault((closure.name, closure.what), closure)
        return list(found.values())

    def _passes(self, closure: Closure) -> bool:
        """Whether a closed gate lets the actor of the override pass; where it does not, it says who may."""
        if self._override is None:
            return False
        if self._override.actor in closure.actors:
            self.overridden.add(closure.name)
            return True
        allowed = f"; {', '.join(closure.actors)} may" if closure.actors else ""
        closure.hint = f"'{self._override.actor}' may not override gate '{closure.name}'{allowed}"
        return False

    def _closures(self, gates: list[Gate], moment: float, work: WorkRef | None, type_: str) -> Iterator[Closure]:
        allowing = []
        for gate in gates:
            is_open, until = gate.at(moment)
            self._note(until)
            if gate.problem is not None:
                yield _closed_by_mistake(gate)
            elif gate.kind == DENY:
                if is_open:
                    yield _closed(gate, until)
            elif gate.kind == ALLOW:
                allowing.append((gate, is_open, until))
            elif is_open and type_ == UP:
                yield from self._unapproved(gate, work, moment)
        if allowing and not any(is_open for _, is_open, _ in allowing):
            until = min((until for _, _, until in allowing if until is not None), default=None)
            for gate, _, _ in allowing:
                yield _closed(gate, until, "allows no deployment now", "again from")

    def _unapproved(self, gate: Gate, work: WorkRef | None, moment: float) -> Iterator[Closure]:
        """That a gate asks for approvals which a release does not have; of any release (None), that it asks at all."""
        count = gate.approvals.count
        what = f"approval by {count}" if count > 1 else "approval"
        if work is None:
            yield Closure(f"{what}, for which gate '{gate.name}' asks", name=gate.name, gate=gate.ref)
            return
        from .approvals import Authors, approvals_of, authors_of, judge  # late: most stores have no gates

        if work not in self._approvals:
            self._approvals[work] = approvals_of(self._snapshot, work, trusts=self._trusts)
        approvals = self._approvals[work]
        authors = None
        if gate.approvals.not_author and approvals:
            authors = Authors() if self._trusts else authors_of(self._snapshot, work)
        verdict = judge(gate.approvals, approvals, authors, moment)
        self._note(verdict.until)
        if not verdict.approved:
            so_far = [f"rejected by {one}" for one in verdict.rejected]
            so_far += [f"approved by {', '.join(map(shown_actor, verdict.by))}"] if verdict.by else []
            remarks = "; ".join([f"gate '{gate.name}'", *so_far, *verdict.without[:_MOST_TOLD]])
            hint = f"git ocuroot approve {work.release} --environment {work.name}"
            yield Closure(f"{what} ({remarks})", name=gate.name, gate=gate.ref, actors=gate.actors, hint=hint)

    def _note(self, until: float | None) -> None:
        if until is not None:
            self.until = until if self.until is None else min(self.until, until)

    def _where(self, name: str) -> Environment | None:
        if name not in self._environments:
            self._environments[name] = None
            try:
                self._environments[name] = environment(self._snapshot, name)
            except BAD:
                pass  # whoever starts it says so; until then any gate may concern it
        return self._environments[name]


def _closed(gate: Gate, until: float | None, verb: str = "", when: str = "until") -> Closure:
    verb = verb or f"is closed{f' by {shown_actor(gate.by)}' if gate.by else ''}"
    ends = f" {when} {format_seconds(until)}" if until is not None else ""
    reason = f": {' '.join(gate.reason.split())}" if gate.reason else ""
    what = f"gate '{gate.name}', which {verb}{ends}{reason}"
    return Closure(what, until, name=gate.name, gate=gate.ref, actors=gate.actors)


def _closed_by_mistake(gate: Gate) -> Closure:
    what = f"gate '{gate.name}', which is closed because it cannot be understood: {gate.problem}"
    hint = f"fix '{gate.ref}', or take it away: git ocuroot thaw {gate.name}"
    return Closure(what, name=gate.name, gate=gate.ref, actors=gate.actors, hint=gate.hint or hint)


def _read_side(snapshot: Snapshot, marker: str) -> list[Gate]:
    """The gates of one store, by name; those too that cannot be read."""
    names = names_of(snapshot, marker)
    if not names:
        return []
    from .gate_documents import read_gate  # late: most stores have no gates

    return [read_gate(snapshot, marker, name) for name in names]


def names_of(snapshot: Snapshot, *markers: str) -> list[str]:
    """The names of the gates in state, intent or both, sorted: of those too that cannot be read."""
    names: set[str] = set()
    for marker in markers or ((STATE, INTENT) if snapshot.has_intent() else (STATE,)):
        above = Ref.parse(gate_ref(marker))
        tree = snapshot.tree(above)
        todo = [(tree.locate(above).stored, "")]
        while todo:
            stored, name = todo.pop()
            for below in tree.names(f"{REFS}/{stored}"):
                if below == OBJECT_FILE:
                    names.update((name,) if name else ())
                else:
                    todo.append((StoredRef(f"{stored}/{below}"), f"{name}/{below}" if name else below))
            if name and tree.file(f"{REFS}/{stored}") is not None:
                names.add(name)  # a file where a directory should be
    return sorted(names)
