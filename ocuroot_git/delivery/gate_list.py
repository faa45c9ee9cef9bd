"""The gates of both stores as `gate list` shows them (design 13)."""

from __future__ import annotations

from ..formats.documents import same
from ..formats.layout import SIDES
from ..formats.refs import INTENT, STATE, Ref
from ..formats.times import format_seconds
from .gates import Gates, names_of
from .vocabulary import ALLOW, APPROVE, DENY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ..formats.layout import Side
    from ..store.snapshot import Snapshot
    from .fields import Fields
    from .gate_documents import Gate


class ListedGate:
    """A gate as it is listed: where it stands (`sides`), whether it is `closed` or `open` now, and until when.

    Of the environments that it names, those that there are not are `missing`. `is_shut_by_time` says of one that allows
    deployments that it has no window now, `is_over` of one that denies them that it never will again.
    """

    def __init__(self, gate: Gate, side: Side, moment: float, known: Collection[str]) -> None:
        self.gate = gate
        self.sides: list[Side] = [side]
        named = gate.environments if isinstance(gate.environments, list) else []
        self.missing = [name for name in named if name not in known]
        is_open, self.until = gate.at(moment)
        is_allow = gate.kind == ALLOW and gate.problem is None
        self.state = "closed" if is_open != is_allow else "open"
        self.is_shut_by_time = is_allow and not is_open
        self.is_over = gate.kind == DENY and not is_open and self.until is None

    def to_document(self) -> Fields:
        gate = self.gate
        return {
            "name": gate.name,
            "ref": gate.ref,
            "stores": self.sides,
            "kind": gate.kind or None,
            "state": self.state,
            "until": format_seconds(self.until) if self.until is not None else None,
            "environments": gate.environments,
            "packages": gate.packages,
            "actors": gate.actors,
            "by": gate.by or None,
            "reason": gate.reason or None,
            "problem": gate.problem,
            "missing_environments": self.missing,
        }


def closed_gates(snapshot: Snapshot) -> list[Fields]:
    """The gates that are closed now, as `ListedGate.to_document` has them, each with what it concerns in words.

    Those that ask for approvals are not among them: they are closed to a release, and not as such. Nor are those that
    allow nothing now where another one may let the same deployments pass, since an open window is enough.
    """
    if not names_of(snapshot):
        return []
    listed = list_gates(snapshot)
    allowing = [one.gate for one in listed if one.gate.kind == ALLOW and one.state == "open"]
    found = [
        one
        for one in listed
        if one.state == "closed"
        and one.gate.kind != APPROVE
        and not (one.is_shut_by_time and any(_may_concern_the_same(one.gate, other) for other in allowing))
    ]
    return [{**one.to_document(), "about": one.gate.about} for one in found]


def _may_concern_the_same(one: Gate, other: Gate) -> bool:
    """Whether there may be a deployment that both gates concern, by the environments alone."""
    if isinstance(one.environments, list) and isinstance(other.environments, list):
        return not set(one.environments).isdisjoint(other.environments)
    return True


def list_gates(snapshot: Snapshot) -> list[ListedGate]:
    """All gates by name, those that stand in one store alone or are another there each by itself."""
    found: list[ListedGate] = []
    judged = Gates(snapshot)
    environments = _environments(snapshot) if any(judged.sides) else ()
    known: dict[str, ListedGate] = {}
    for side, gates in zip(SIDES, judged.sides):
        for gate in gates:
            same_one = known.get(gate.name)
            if same_one is not None and same(same_one.gate.document, gate.document):
                same_one.sides.append(side)
            else:
                known[gate.name] = ListedGate(gate, side, judged.moments[-1], environments)
                found.append(known[gate.name])
    return sorted(found, key=lambda one: one.gate.name)


def _environments(snapshot: Snapshot) -> set[str]:
    """The environments that there are, or that are wanted, those too that cannot be read."""
    found = {Ref.parse(ref).name for ref in snapshot.match(f"{STATE}/environment/*", side="state")}
    if snapshot.has_intent():
        found.update(Ref.parse(ref).name for ref in snapshot.match(f"{INTENT}/environment/*", side="intent"))
    return found
