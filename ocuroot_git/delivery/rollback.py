"""Rollback: what was deployed in an environment at some moment is wanted there again (design 13)."""

from __future__ import annotations

from ..errors import NotFound, UsageError
from ..formats.refs import Ref
from ..store.history import require_history
from ..store.snapshot import Snapshot
from ..store.transaction import Transaction
from . import model
from .addresses import package_of
from .finish import Written, write_both
from .holding import put_hold
from .holds import Hold, hold_on, intent_of, state_of
from .model import Intent
from .problems import Problems
from .queries import find_release, read_release, records_of, state_tree
from .run_queries import deployments, read_deployed
from .survey import unsettled_runs
from .vocabulary import DEPLOY, RUNNING
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
    from collections.abc import Mapping, Sequence

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from .fields import Fields

    Intents = Mapping[str, Fields]
    """What intents should be, by package: documents with at least the release."""


def state_at(stores: Stores, at: str) -> Snapshot:
    """The state store as it was at a revision or a date. Raises NotFound for a commit that is none of its own."""
    now = stores.snapshot()
    backend, _ = now.backend_of(state_tree(now))
    version = backend.read(at)
    repository, tip = require_history(now, backend)
    assert version.oid is not None, "a backend that has history reads commits"
    if not repository.is_ancestor(version.oid, tip):
        raise NotFound(
            f"commit {version.oid[:12]} is none of {backend.where}",
            hint="'git ocuroot log' and 'deployments --history' show the commits of the store",
        )
    return Snapshot(stores.surroundings, {**now.versions, backend: version})


def deployed_at(then: Snapshot, name: str, globs: Sequence[str]) -> dict[str, Fields]:
    """What was deployed in an environment, of packages that match patterns: by package, the intent that it came up to.

    Raises NotFound where nothing was, NotFound and Fatal as `deployed_in` does.
    """
    runs = deployed_in(then, name, globs)
    then.prefetch([records_of(then).deployed_ref(then, run) for run in runs.values()])
    found = {
        package: records_of(then).intent_document(then, run, read_deployed(then, run)) for package, run in runs.items()
    }
    if not found:
        which = f" of '{' '.join(globs)}'" if globs else ""
        raise NotFound(f"nothing{which} was deployed in '{name}' then")
    return found


class Change:
    """What is asked for: that `wanted` is what should be deployed in an environment.

    Other packages that match patterns and are deployed there are no longer wanted, if it `takes_down`. With `holds`,
    the releases that are left are to be held: those that are deployed there now, on their way there, or wanted.
    """

    def __init__(
        self, environment: str, wanted: Intents, globs: Sequence[str], *, takes_down: bool, holds: bool
    ) -> None:
        self.environment = environment
        self.wanted = wanted
        self.globs = globs
        self.takes_down = takes_down
        self.holds = holds

    def plan(self, snapshot: Snapshot) -> Plan:
        """What it takes. Raises NotFound where a release is no longer there, Conflict where one is held."""
        name = self.environment
        where = environment_wanted(snapshot, name)
        packages = {*self.wanted}
        if self.takes_down:
            packages.update(deployed_in(snapshot, name, self.globs, list(self.wanted)))
        made, held = Plan([]), []
        in_place = _in_place(snapshot, name, sorted(packages)) if self.holds else {}
        prefetch_wishes(snapshot, name, [str(document["release"]) for document in self.wanted.values()])
        for package in sorted(packages):
            document = self.wanted.get(package)
            release = str(document["release"]) if document is not None else ""
            wish = wish_for(snapshot, package, name, release, document)
            if release:
                _require_release(snapshot, release)
                if read_release(snapshot, release).package.find(DEPLOY, name, where) is None:
                    raise NotFound(f"'{release}' has no deployment to '{name}'")
                hold = hold_on(snapshot, release)
                if hold is not None and wish.status:
                    held.append(f"'{release}' is {hold.words}")
            there = {wish.was, *in_place.get(package, ())} - {release, ""} if self.holds else set()
            wish.left = [one for one in sorted(there) if snapshot.exists(one) and hold_on(snapshot, one) is None]
            if wish.status or wish.left:
                made.wishes.append(wish)
        refuse_held(f"roll back '{name}'", held)
        return made


def change_to(
    stores: Stores, environment: str, to: str, globs: Sequence[str] = (), *, keep_new: bool = False, holds: bool = True
) -> Change:
    """What it takes that an environment wants what was deployed there at a date or a commit, or a release, `to`.

    Packages that were not deployed there then are taken down, unless with `keep_new`, or where `to` is a release, and
    the set is of its package alone. Raises NotFound where there is no such release, or nothing was deployed then, and
    UsageError for patterns beside a release.
    """
    if "/@" in to:
        if globs:
            raise UsageError("a release to roll back to names the package; give no pattern")
        release = find_release(stores.snapshot(), to)
        wanted = {package_of(release): Intent(release).to_document()}
        return Change(environment, wanted, globs, takes_down=False, holds=holds)
    wanted = deployed_at(state_at(stores, to), environment, globs)
    return Change(environment, wanted, globs, takes_down=not keep_new, holds=holds)


def _require_release(snapshot: Snapshot, release: str) -> None:
    """Raise NotFound where a release is there no more."""
    if not snapshot.exists(release):
        from .pruned import was_pruned  # late: most are still there

        raise was_pruned(snapshot, Ref.parse(release)) or NotFound(f"there is no release '{release}' any more")


def _in_place(snapshot: Snapshot, name: str, packages: list[str]) -> dict[str, set[str]]:
    """The releases of packages that are deployed in an environment, or being deployed there."""
    problems = Problems()
    found: dict[str, set[str]] = {}
    deployed = deployments(snapshot, problems, only=name, among=packages).values()
    running = [run for run, status in unsettled_runs(snapshot, problems) if status == RUNNING]
    for run in (*deployed, *running):
        if run is not None and (run.work.kind, run.work.name) == (DEPLOY, name):
            found.setdefault(run.work.package, set()).add(run.work.release)
    return found


def dry_run(snapshot: Snapshot, change: Change, expected: str | None = None) -> Plan:
    """What `rollback` would do. Raises what it does."""
    trial = Transaction(snapshot)
    plan = Replanned(change.plan, expected).plan(trial)
    write_intents(trial, plan)
    return plan


def rollback(
    stores: Stores, change: Change, reason: str, expected: str | None = None, operation: Operation | None = None
) -> tuple[Plan, Written]:
    """Change the intents of an environment, and hold what is left, in one commit where one place holds both.

    `reason` is that of the holds, `expected` the id of the plan that was looked at. Gives the plan, and how far it was
    written. Raises what `Change.plan` raises, and Conflict where it has changed.
    """
    planned = Replanned(change.plan, expected)
    by = stores.origin(stores.backend("intent")[0]).actor or ""
    hold = Hold("", reason, by, model.timestamp())

    def want(tx: Transaction) -> Fields:
        plan = planned.plan(tx)
        write_intents(tx, plan)
        for release in plan.held:
            put_hold(tx, intent_of(release), hold)
        return plan.to_document()

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        for release in Plan.of_document(wanted).held:
            put_hold(tx, state_of(release), hold)
        return wanted

    written = write_both(stores, want, follow, "rollback", f"roll back {change.environment}", operation)
    return Plan.of_document(written.result), written
