"""Holding releases, and letting them go (design 13); `holds` reads what is held."""

from __future__ import annotations

from ..errors import NotFound
from ..formats.globs import escape
from ..formats.refs import INTENT, Ref
from . import model
from .addresses import package_of
from .compare import state_ref
from .fields import Record
from .finish import Written, write_both
from .holds import HOLD, Hold, hold_on, intent_of, state_of
from .problems import Problems
from .run_queries import deployments, last_runs_of
from .vocabulary import DEPLOY, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .fields import Fields


class Reach(Record):
    """What a hold does not undo: the environments in which a release is deployed, and its runs that are under way."""

    __slots__ = ("environments", "runs")

    def __init__(self, environments: list[str], runs: list[str]) -> None:
        self.environments = environments
        self.runs = runs


def reach_of(snapshot: Snapshot, release: str) -> Reach:
    """Where a release is deployed, and which of its deployments run."""
    package = package_of(release)
    deployed = deployments(snapshot, Problems(), among=[package])
    names = [name for (_, name), run in deployed.items() if run is not None and run.work.release == release]
    last = last_runs_of(snapshot, release, Problems())
    return Reach(names, [run.ref for run, status in last if run.work.kind == DEPLOY and status == RUNNING])


def hold(stores: Stores, releases: Sequence[str], reason: str, operation: Operation | None = None) -> Written:
    """Hold releases (numbered refs), in one commit where one place holds state and intent, else in the intent first.

    One that is held already for the same reason stays held as it is. Gives the `releases`.
    """
    by = stores.origin(stores.backend("intent")[0]).actor or ""
    what = Hold("", reason, by, model.timestamp())

    def want(tx: Transaction) -> Fields:
        for release in releases:
            put_hold(tx, intent_of(release), what)
        return {"releases": [*releases]}

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        for release in releases:
            put_hold(tx, state_of(release), what)
        return wanted

    return write_both(stores, want, follow, "hold", _subject("hold", releases), operation)


def put_hold(tx: Transaction, ref: Ref, what: Hold) -> None:
    """Write a hold where none is for the same reason."""
    before = tx.get(ref, None) if tx.exists(ref) else None
    if not isinstance(before, dict) or before.get("reason") != what.reason:
        tx.set(ref, what.to_document())


def lift(stores: Stores, releases: Sequence[str], operation: Operation | None = None) -> Written:
    """Let releases go; gives the `releases`. Raises NotFound where one is not held: then all stay as they are."""

    def want(tx: Transaction) -> Fields:
        require_held(tx, releases)
        for release in releases:
            for ref in tx.match(f"{escape(package_of(release))}/{INTENT}*/custom/{HOLD}", side="intent"):
                if Ref.parse(state_ref(tx, Ref.parse(ref))) == state_of(release):
                    tx.delete(ref)
        return {"releases": [*releases]}

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        for release in releases:
            if tx.exists(state_of(release)):
                tx.delete(state_of(release))
        return wanted

    return write_both(stores, want, follow, "hold --lift", _subject("let go", releases), operation)


def require_held(snapshot: Snapshot, releases: Sequence[str]) -> None:
    """Raise NotFound for a release that is not held."""
    for release in releases:
        if hold_on(snapshot, release) is None:
            raise NotFound(f"'{release}' is not held", hint="'git ocuroot hold' lists those that are")


def _subject(verb: str, releases: Sequence[str]) -> str:
    return f"{verb} {releases[0]}" if len(releases) == 1 else f"{verb} {len(releases)} releases"
