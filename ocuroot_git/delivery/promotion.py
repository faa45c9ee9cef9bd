"""Promotion: what is deployed in one environment is wanted in another, as one set (design 13)."""

from __future__ import annotations

from ..errors import NotFound
from ..store.transaction import Transaction
from .holds import hold_on
from .queries import environment, no_environment, read_release
from .vocabulary import DEPLOY
from .wishes import (
    Plan,
    Replanned,
    deployed_in,
    environment_wanted,
    prefetch_wishes,
    refuse_held,
    wish_for,
    write_intents,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from .fields import Fields


def plan(snapshot: Snapshot, source: str, target: str, globs: Sequence[str]) -> Plan:
    """What would be wanted in `target` that is not yet: what is deployed in `source`, of packages that match patterns.

    Packages that have no deployment to `target` are left out. What is wanted there and not deployed in `source` stays
    as it is. Raises NotFound where there is nothing to promote, Conflict where a release is held.
    """
    where = environment_wanted(snapshot, target)
    found = deployed_in(snapshot, source, globs)
    if not found and environment(snapshot, source) is None:
        raise no_environment(snapshot, source)
    prefetch_wishes(snapshot, target, [run.work.release for run in found.values()])
    made = Plan([])
    held = []
    for package, run in sorted(found.items()):
        release = run.work.release
        if read_release(snapshot, release).package.find(DEPLOY, target, where) is None:
            made.left_out[package] = f"'{release}' has no deployment to '{target}'"
            continue
        wish = wish_for(snapshot, package, target, release)
        if wish.status:
            made.wishes.append(wish)
            hold = hold_on(snapshot, release)
            if hold is not None:
                held.append(f"'{release}' is {hold.words}")
    if len(made.left_out) == len(found):
        which = f" of '{' '.join(globs)}'" if globs else ""
        raise NotFound(f"nothing{which} that is deployed in '{source}' has a deployment to '{target}'")
    refuse_held(f"promote '{source}' to '{target}'", held)
    return made


def dry_run(snapshot: Snapshot, source: str, target: str, globs: Sequence[str], expected: str | None = None) -> Plan:
    """What `promote` would do. Raises what it does."""
    trial = Transaction(snapshot)
    made = Replanned(lambda now: plan(now, source, target, globs), expected).plan(trial)
    write_intents(trial, made)
    return made


def promote(
    stores: Stores,
    source: str,
    target: str,
    globs: Sequence[str],
    expected: str | None = None,
    operation: Operation | None = None,
) -> Plan:
    """Let `target` want what is deployed in `source`, in one commit; gives what was done.

    `expected` is the id of the plan that was looked at. Raises what `plan` raises, and Conflict where it has changed.
    """
    planned = Replanned(lambda snapshot: plan(snapshot, source, target, globs), expected)

    def change(tx: Transaction) -> Fields:
        made = planned.plan(tx)
        write_intents(tx, made)
        return made.to_document()

    message = f"promote {source} to {target}"
    return Plan.of_document(stores.transact(change, command="promote", message=message, operation=operation))
