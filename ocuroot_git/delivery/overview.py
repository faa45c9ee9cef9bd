"""How everything stands, package by package: what a page over a whole store shows (design 7 and 10).

Nothing is decided here. What is deployed and wanted, what is under way, what failed and was not dealt with, and what a
run waits for is asked of the queries that commands ask, so that both say the same. Of a store in a dialect in which
this program writes no runs, and of whose runs commands say nothing, they are told as far as names go (see `lenient`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..formats.layout import REFS
from ..formats.refs import STATE
from . import compare, index, lenient, queries, queue
from .addresses import RunRef, release_number
from .index import CUSTOM, Facts
from .vocabulary import DEPLOY, FAILED, OPEN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .problems import Problems


class Package(NamedTuple):
    """A package: the numbers of its releases, rising; its deployments by environment; and where to look for more."""

    ref: str
    numbers: tuple[int, ...]
    deployed: dict[str, str]
    """The run that is deployed in each environment now; in dialects 2 and 3 the work."""
    unreadable: tuple[str, ...]
    """Environments in which something may be deployed that cannot be read."""
    wanted: tuple[str, ...]
    """Environments for which there is an intent."""
    with_custom: tuple[int, ...]
    """The numbers below which there are custom documents, be there a release or not."""


class Unfinished(NamedTuple):
    """A run that has not ended, or that failed and was not dealt with, as `work list` has it.

    `status` is that of its marker, and `time` when it came to it; `state` and `reasons` are those of `work list`, empty
    in other dialects. `word` and `name` are of the work, `number` of the release.
    """

    run: str
    release: str
    number: int
    word: str
    name: str
    status: str
    state: str
    reasons: tuple[str, ...]
    time: str

    @property
    def package(self) -> str:
        return self.release.rpartition("/")[0]


def package_names(snapshot: Snapshot) -> tuple[str, ...]:
    """All packages of the state store and the intent store, in byte order."""
    return tuple(sorted({package for tree in _trees(snapshot) for package in queries.packages(tree)}))


def packages(snapshot: Snapshot, names: Collection[str], problems: Problems) -> dict[str, Package]:
    """The packages of these names."""
    state, *others = _trees(snapshot)
    facts = _facts(snapshot, state, names, problems)
    deployed = queries.deployments(snapshot, problems, among=_with(facts, f"{STATE}/{DEPLOY}"))
    runs: dict[str, dict[str, str]] = {name: {} for name in names}
    unreadable: dict[str, list[str]] = {name: [] for name in names}
    for (package, environment), run in deployed.items():
        if run is None:
            unreadable[package].append(environment)
        else:
            runs[package][environment] = run.ref if run.number else run.work.ref
    wanted: dict[str, list[str]] = {name: [] for name in names}
    if snapshot.has_intent():
        of_intent = _facts(snapshot, others[0], names, problems) if others else facts
        among = _with(of_intent, compare.stored_intent(snapshot, DEPLOY))
        for package, environment in compare.deploy_intents(snapshot, among):
            wanted[package].append(environment)
    found = {}
    for name, known in facts.items():
        with_custom = _with_custom(state, known)
        where = tuple(unreadable[name]), tuple(wanted[name])
        found[name] = Package(name, known.releases, runs[name], *where, with_custom)
    return found


def _with_custom(tree: StoreTree, facts: Facts) -> tuple[int, ...]:
    heads = [head for head, _, word in (one.partition("/") for one in facts.below) if word == CUSTOM]
    numbers = map(tree.layout.release_number, heads)
    return tuple(sorted(number for number in numbers if number is not None))


def unfinished(snapshot: Snapshot, problems: Problems) -> list[Unfinished]:
    """All runs that have not ended, or failed and were not dealt with."""
    state = queries.state_tree(snapshot)
    if not state.layout.writes_deliveries:
        return list(_unfinished_by_names(snapshot, state))
    found = []
    for item in queue.run_items(snapshot, problems):
        work = RunRef.parse(item.ref).work
        status = lenient.status_of(state, item.ref)
        time = lenient.moment(state, f"{item.ref}/status/{status}")
        number = release_number(work.release)
        found.append(
            Unfinished(
                item.ref, work.release, number, work.kind, work.name, status, item.state, tuple(item.reasons), time
            )
        )
    return found


def _unfinished_by_names(snapshot: Snapshot, state: StoreTree) -> Iterator[Unfinished]:
    for package, facts in index.facts_of(snapshot, state, queries.packages(state)).items():
        for number in facts.unsettled if facts is not None else sorted(state.release_numbers(package)):
            release = f"{package}/{state.layout.release_segment(number)}"
            for work in lenient.release(state, release).work:
                if work.status in (*OPEN, FAILED):
                    run = f"{release}/{work.newest}"
                    time = lenient.moment(state, f"{run}/status/{work.status}")
                    yield Unfinished(run, release, number, work.word, work.name, work.status, "", (), time)


def _trees(snapshot: Snapshot) -> list[StoreTree]:
    """The tree of the state store, and that of the intent store where it is another."""
    state = snapshot.side("state")
    return [state] if not snapshot.has_intent() or snapshot.is_shared else [state, snapshot.side("intent")]


def _facts(snapshot: Snapshot, tree: StoreTree, names: Collection[str], problems: Problems) -> dict[str, Facts]:
    """What the index says of packages, also where it cannot remember: of a tree that cannot be read, nothing."""
    found = {}
    for name, facts in index.facts_of(snapshot, tree, names).items():
        if facts is None:
            facts = _NOTHING
            with problems.leave_out(name):
                node = tree.node(f"{REFS}/{name}")
                if node is not None and tree.files.is_tree(node):
                    facts = index.read(tree.files, tree.layout, node)
        found[name] = facts
    return found


_NOTHING = Facts((), (), frozenset(), (0, 0))


def _with(facts: dict[str, Facts], below: str) -> list[str]:
    return [name for name, known in facts.items() if below in known.below]
