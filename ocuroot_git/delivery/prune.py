"""Taking old releases out of the live tree, in one commit (design 7). They stay in history, and a record says where.

Where state and intent lie in two places, the state comes first: until the intents of the releases follow, nothing is
applied for a release that was pruned, and the next `prune` or `apply --all` takes them away.
"""

from __future__ import annotations

import time

from ..errors import Fatal
from ..formats.layout import REFS
from ..formats.pruned import Pruned, PrunedRecord, format_spans, read_spans, shortened, spans_of
from ..formats.refs import STATE
from ..formats.times import format_time
from ..store.snapshot import Snapshot
from .apply import forget_pruned
from .problems import Problems
from .pruned import record_of, record_ref
from .queries import intent_tree, state_tree
from .retention import chosen_packages, plan
from .shared_history import SharedHistory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..backends.base import Backend
    from ..formats.operation import Operation
    from ..git.objects import Oid
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .fields import Fields
    from .retention import Keep, OldRelease


class PruneResult:
    """What was pruned: by package the numbers of its releases (`1-40,42`), and the last `commit` that has them all.

    `kept` are the old releases that stay, `unshared` those of them that would go if they were pushed; both are empty
    where this was carried out before. `problems` is what could not be read.
    """

    def __init__(self) -> None:
        self.gone: dict[str, str] = {}
        self.prefix = STATE
        """What the number of a release stands behind in its ref."""
        self.commit = ""
        self.kept: list[OldRelease] = []
        self.unshared: list[OldRelease] = []
        self.problems = Problems()

    def releases(self) -> Iterator[str]:
        """The releases that were pruned."""
        for package, numbers in self.gone.items():
            for first, last in read_spans(numbers):
                for number in range(first, last + 1):
                    yield f"{package}/{self.prefix}{number}"

    def to_document(self) -> Fields:
        return {
            "gone": self.gone,
            "prefix": self.prefix,
            "commit": self.commit,
            "problems": self.problems.to_document(),
        }

    @classmethod
    def of_document(cls, document: Fields) -> PruneResult:
        """What `to_document` wrote down."""
        result = cls()
        result.gone, result.commit = document["gone"], document["commit"]
        result.prefix = document.get("prefix", STATE)
        result.problems = Problems.of_document(document["problems"])
        return result


def prune(
    stores: Stores,
    globs: list[str],
    keep: Keep,
    operation: Operation | None = None,
    tips: Mapping[Backend, Oid] | None = None,
) -> PruneResult:
    """Take the releases of packages (of all, where no glob is given) away that are old and that nobody needs.

    `tips` are the commits that others have of branches which are shared by hand: what they do not have stays.
    Raises Fatal where the store keeps no history, in which they would stay; NotFound for a glob that no
    package matches. Packages and releases of which something cannot be read are left out, and reported.
    """
    is_one_place = stores.backend("state")[0] == stores.backend("intent")[0]
    made: list[PruneResult] = []

    def change(tx: Transaction) -> Fields:
        result = _prune(tx, globs, keep, tips or {})
        made[:] = [result]
        if is_one_place:
            forget_pruned(tx)
        return result.to_document()

    done = PruneResult.of_document(stores.transact(change, command="prune", operation=operation))
    for result in made:
        done.kept, done.unshared = result.kept, result.unshared
    if not is_one_place and stores.snapshot().has_intent():
        step = operation.step("intent") if operation is not None else None
        stores.transact(forget_pruned, command="prune", operation=step)
    return done


def dry_run(snapshot: Snapshot, globs: list[str], keep: Keep, tips: Mapping[Backend, Oid] | None = None) -> PruneResult:
    """What `prune` would do now; nothing is written."""
    result = PruneResult()
    result.prefix = _check_place(snapshot)
    shared = SharedHistory(snapshot, tips or {})
    found = plan(snapshot, chosen_packages(snapshot, globs), keep, time.time(), result.problems, shared)
    result.gone = {package: _numbers(releases) for package, releases in found.gone.items()}
    result.commit = shared.commit("state")
    result.kept, result.unshared = found.kept, found.unshared
    return result


def _prune(tx: Transaction, globs: list[str], keep: Keep, tips: Mapping[Backend, Oid]) -> PruneResult:
    result = PruneResult()
    result.prefix = _check_place(tx)
    chosen = chosen_packages(tx, globs)
    # Not by the transaction, which would keep all that is read: it is run again as a whole where another was faster.
    before = Snapshot(tx.surroundings, tx.versions)
    shared = SharedHistory(before, tips)
    found = plan(before, chosen, keep, time.time(), result.problems, shared)
    result.kept, result.unshared = found.kept, found.unshared
    result.commit = shared.commit("state")
    for package in chosen:
        releases = found.gone.get(package, [])
        with result.problems.leave_out(record_ref(package)), tx.all_or_nothing():
            _remove_remains(tx, package)
            for release in releases:
                tx.remove(release.ref, release.ties)
            if releases:
                _record(tx, package, releases, found.highest[package], shared)
                result.gone[package] = _numbers(releases)
    return result


def _record(tx: Transaction, package: str, releases: list[OldRelease], highest: int, shared: SharedHistory) -> None:
    record = record_of(tx, package) or PrunedRecord(0, [])
    record.highest = max(record.highest, highest)
    entry = Pruned(
        spans_of(release.number for release in releases),
        shared.commit("state"),
        format_time(time.time()),
        list(dict.fromkeys(shortened(one) for release in releases for one in release.commits)),
        "" if _is_one_place(tx) else shared.commit("intent"),
    )
    record.entries.append(entry)
    tx.set(record_ref(package), record.to_document())


def _remove_remains(tx: Transaction, package: str) -> None:
    """Take away what other programs applied for releases after they were pruned: custom documents without a release."""
    record = record_of(tx, package)
    tree = state_tree(tx)
    for name in tree.names(f"{REFS}/{package}") if record is not None else ():
        number = tree.layout.release_number(name)
        is_pruned = record is not None and number is not None and record.find(number) is not None
        if is_pruned and {*tree.names(f"{REFS}/{package}/{name}")} == {"custom"}:
            tx.remove(f"{package}/{name}")


def _check_place(snapshot: Snapshot) -> str:
    """Raise Fatal unless what is pruned stays in history, and both stores are of one family of dialects.

    Gives what the number of a release stands behind there.
    """
    layout = state_tree(snapshot).layout
    if snapshot.has_intent() and (
        intent_tree(snapshot).layout.spells_intents_as_state != layout.spells_intents_as_state
    ):
        raise Fatal("cannot prune releases: the intent store is of another dialect than the state store")
    backend, _ = snapshot.surroundings.backend("state")
    if backend.repository is None:
        raise Fatal(
            f"cannot prune {backend.where}: it keeps no history, in which the releases would stay",
            hint="a store on a branch does: git ocuroot init, git ocuroot import",
        )
    return layout.release_segment(1)[:-1]


def _is_one_place(snapshot: Snapshot) -> bool:
    (state, _), (intent, _) = snapshot.surroundings.backend("state"), snapshot.surroundings.backend("intent")
    return state == intent


def _numbers(releases: list[OldRelease]) -> str:
    return format_spans(spans_of(release.number for release in releases))
