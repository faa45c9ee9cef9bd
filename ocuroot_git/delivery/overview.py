"""How everything stands, package by package: what a page over a whole store shows (design 7 and 10).

Nothing is decided here. What is deployed and wanted, what is under way, what failed and was not dealt with, and what a
run waits for is asked of the queries that commands ask, so that both say the same.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import REFS
from ..formats.refs import STATE
from ..git.objects import ABSENT
from ..store.confined import Confined, Outside, PackageTree
from . import compare, index, lenient, queries, run_queries, survey
from .addresses import RunRef, release_number
from .fields import Record, list_of
from .index import Facts
from .problems import Problems
from .release_facts import CUSTOM
from .vocabulary import DEPLOY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

    from ..backends.base import Node
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .survey import Progress

KIND: Final = "standing/2"
"""Its number is raised whenever the meaning of what is remembered changes; the dialects of the stores are added."""


class Package(Record):
    """A package: the numbers of its releases, rising; its deployments by environment; and where to look for more.

    `deployed` has the run that is deployed in each environment now; the work, where no run is named. `unreadable` are
    the environments in which something may be deployed that cannot be read, `wanted` those for which there is an
    intent, `with_custom` the numbers below which there are custom documents, be there a release or not.
    """

    __slots__ = ("deployed", "numbers", "ref", "unreadable", "wanted", "with_custom")

    def __init__(
        self,
        ref: str,
        numbers: tuple[int, ...],
        deployed: dict[str, str],
        unreadable: tuple[str, ...],
        wanted: tuple[str, ...],
        with_custom: tuple[int, ...],
    ) -> None:
        self.ref = ref
        self.numbers = numbers
        self.deployed = deployed
        self.unreadable = unreadable
        self.wanted = wanted
        self.with_custom = with_custom

    def to_bytes(self) -> bytes:
        """What is remembered of a package in which all can be read."""
        return to_bytes(dump([self.numbers, self.deployed, self.wanted, self.with_custom], None))


class Unfinished(Record):
    """A run that has not ended, or that failed and was not dealt with, as `work list` has it.

    `status` is that of its marker, and `time` when it came to it; `state` and `reasons` are those of `work list`.
    `word` and `name` are of the work, `number` of the release.
    """

    __slots__ = ("name", "number", "reasons", "release", "run", "state", "status", "time", "word")

    def __init__(
        self,
        run: str,
        release: str,
        number: int,
        word: str,
        name: str,
        status: str,
        state: str,
        reasons: tuple[str, ...],
        time: str,
    ) -> None:
        self.run = run
        self.release = release
        self.number = number
        self.word = word
        self.name = name
        self.status = status
        self.state = state
        self.reasons = reasons
        self.time = time

    @property
    def package(self) -> str:
        return self.release.rpartition("/")[0]


def package_names(snapshot: Snapshot) -> tuple[str, ...]:
    """All packages of the state store and the intent store, in byte order."""
    return tuple(sorted({package for tree in _trees(snapshot) for package in queries.packages(tree)}))


def packages(
    snapshot: Snapshot, names: Collection[str], problems: Problems, progress: Progress | None = None
) -> dict[str, Package]:
    """The packages of these names. `progress` is told how many of how many are read, where all have to be.

    A package is found out of its own trees where that can be done, and remembered for them, whatever changes elsewhere.
    """
    remembered = _Remembered(snapshot, names, progress)
    found = dict(remembered.known)
    rest = [name for name in names if name not in found]
    state, *others = _trees(snapshot)
    of_state = _facts(snapshot, state, rest, problems)
    of_intent = _facts(snapshot, others[0], rest, problems) if others else of_state
    for name in rest:
        package = remembered.read_alone(name, of_state[name], of_intent[name])
        found[name] = package or _package(snapshot, name, of_state[name], of_intent[name], problems)
    remembered.save()
    return {name: found[name] for name in names}


def package_alone(
    trees: tuple[StoreTree, StoreTree | None],
    nodes: tuple[Node | None, Node | None],
    name: str,
    facts: tuple[Facts, Facts] | None = None,
) -> Package | None:
    """A package out of its own trees alone, by its nodes in the trees of both stores.

    None where these do not say all, or where something in them is bad. Raises ObjectError.
    """
    state, intent = trees
    if facts is None:
        read = [
            index.read(tree.files, tree.layout, node) if tree is not None and node is not None else _NOTHING
            for tree, node in zip(trees, nodes)
        ]
        facts = read[0], read[1]
    own_state = PackageTree(state.files, nodes[0], state.layout, name)
    own_intent: PackageTree | None = own_state
    if intent is not state:
        own_intent = PackageTree(intent.files, nodes[1], intent.layout, name) if intent is not None else None
    problems = Problems()
    try:
        package = _package(Confined(own_state, own_intent), name, *facts, problems)
    except Outside:
        return None
    return None if problems else package


def _package(snapshot: Snapshot, name: str, of_state: Facts, of_intent: Facts, problems: Problems) -> Package:
    deployed: dict[str, str] = {}
    unreadable = []
    if f"{STATE}/{DEPLOY}" in of_state.below:
        for (_, environment), run in run_queries.deployments(snapshot, problems, among=[name]).items():
            is_there = None if run is None else has_document(snapshot, run, problems)
            if run is None or is_there is None:
                unreadable.append(environment)
            else:
                deployed[environment] = run.ref if is_there else run.work.ref
    wanted: tuple[str, ...] = ()
    if snapshot.has_intent() and compare.stored_intent(snapshot, DEPLOY) in of_intent.below:
        wanted = tuple(environment for _, environment in compare.deploy_intents(snapshot, [name]))
    with_custom = _with_custom(queries.state_tree(snapshot), of_state)
    return Package(name, of_state.releases, deployed, tuple(unreadable), wanted, with_custom)


def has_document(snapshot: Snapshot, run: RunRef, problems: Problems) -> bool | None:
    """Whether there is a document of a run that is said to be deployed: a link of another program may lead to the work.
    None where that cannot be read."""
    with problems.leave_out(run.ref):
        return bool(run.number) and snapshot.exists(run.ref)
    return None


class _Remembered:
    """Packages that are remembered under the ids of their trees, and their name, which refs within them may say."""

    def __init__(self, snapshot: Snapshot, names: Collection[str], progress: Progress | None) -> None:
        state, *others = _trees(snapshot)
        self._trees = state, others[0] if others else state if snapshot.has_intent() else None
        trees = [tree for tree in self._trees if tree is not None]
        self._is_of_use = all(snapshot.backend_of(tree)[0].repository is not None for tree in trees)
        if self._is_of_use:
            # Where much is to be read, this reads all of both stores in one pass, for the index too. And it says
            # whether a link above packages makes that what lies in them is not all there is to know.
            self._is_of_use = not survey.summary_of(snapshot, progress, fills_index=True).is_entangled
        self._kind = f"{KIND}/{survey.dialects_of(self._trees)}"
        self._here: dict[str, Package] = snapshot.surroundings.derived.setdefault(self._kind, {})
        self._memory = snapshot.surroundings.memory if self._is_of_use else None
        self._new: dict[str, bytes] = {}
        self._keys = {name: self._key(name) for name in names} if self._is_of_use else {}
        wanted = {key: name for name, key in self._keys.items() if key not in self._here}
        if self._memory is not None:
            for key, data in self._memory.get(self._kind, wanted).items():
                package = _package_of_bytes(wanted[key], data)
                if package is not None:
                    self._here[key] = package
        self.known = {name: known for name, key in self._keys.items() if (known := self._here.get(key)) is not None}

    def _key(self, name: str) -> str:
        ids = (tree.tree_id(f"{REFS}/{name}") if tree is not None else None for tree in self._trees)
        return survey.key_of((id_ or ABSENT for id_ in ids), name)

    def read_alone(self, name: str, of_state: Facts, of_intent: Facts) -> Package | None:
        """A package out of its own trees; None where that cannot be done."""
        if not self._is_of_use:
            return None
        nodes = [tree.node(f"{REFS}/{name}") if tree is not None else None for tree in self._trees]
        package = package_alone(self._trees, (nodes[0], nodes[1]), name, (of_state, of_intent))
        if package is not None:
            key = self._keys[name]
            self._here[key] = package
            self._new[key] = package.to_bytes()
        return package

    def save(self) -> None:
        """Keep what was read for other processes."""
        if self._memory is not None:
            self._memory.put(self._kind, self._new)


def _package_of_bytes(name: str, data: bytes) -> Package | None:
    """What `Package.to_bytes` wrote; None for what is of another shape."""
    try:
        numbers, deployed, wanted, with_custom = parse_bytes(data)
        list_of(str, [*deployed.values()])
        custom = tuple(list_of(int, with_custom))
        return Package(name, tuple(list_of(int, numbers)), deployed, (), tuple(list_of(str, wanted)), custom)
    except (ValueError, TypeError, AttributeError):
        return None


def _with_custom(tree: StoreTree, facts: Facts) -> tuple[int, ...]:
    heads = [head for head, _, word in (one.partition("/") for one in facts.below) if word == CUSTOM]
    numbers = map(tree.layout.release_number, heads)
    return tuple(sorted(number for number in numbers if number is not None))


def unfinished(snapshot: Snapshot, problems: Problems) -> list[Unfinished]:
    """All runs that have not ended, or failed and were not dealt with."""
    from . import queue  # late: often there are none

    state = queries.state_tree(snapshot)
    found = []
    for item in queue.run_items(snapshot, problems):
        work = RunRef.parse(item.ref).work
        status = lenient.status_of(state, item.ref)
        time = lenient.moment(state, f"{item.ref}/status/{status}")
        number = release_number(work.release)
        found.append(
            Unfinished(
                item.ref, work.release, number, work.word, work.name, status, item.state, tuple(item.reasons), time
            )
        )
    return found


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


_NOTHING = Facts((), (), frozenset())
