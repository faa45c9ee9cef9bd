"""One snapshot as the pages ask of it: what `delivery` says, kept between requests.

A page over a whole store must not read 10^5 documents each time. What was asked of one version of the stores is kept
under that version, and what was read of one directory under the id of its tree. Nodes of libgit2 stay within the
request that read them; what is kept is plain.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ..delivery import lenient, overview
from ..delivery.addresses import RunRef
from ..delivery.gates import Gates
from ..delivery.problems import Problems
from ..delivery.vocabulary import RUNNING, ModelError
from ..errors import Fatal, NotFound
from ..formats.globs import escape
from ..formats.layout import REFS, Damaged, StoredObject
from ..formats.refs import RefError
from ..ledger.chunks import Ledger
from ..ledger.deployment_history import Choice
from ..ledger.held import HeldReleases
from ..store.history import require_history
from .background import Background
from .live_logs import RunningLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator

    from ..backends.base import Node
    from ..delivery.overview import Package, Unfinished
    from ..delivery.survey import Progress
    from ..formats.documents import Document
    from ..formats.layout import Side, StoredRef
    from ..git.objects import Oid
    from ..git.repository import Repository
    from ..ledger.events import Event
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

Value = TypeVar("Value")

_MOST_RELEASES = 100_000
_MOST_PACKAGES = 20_000
_MOST_VERSIONS = 4
_MOST_RUNNING_LOGS = 16


class Kept(Generic[Value]):
    """A bounded memory that threads share: what was put in first goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[Hashable, Value] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        with self._lock:
            while len(self._values) >= self._most:
                del self._values[next(iter(self._values))]
            self._values[key] = value
        return value


LeftOut = tuple[tuple[str, str], ...]
"""Documents that were left out: the ref of each, and what is wrong with it."""


class Packages(NamedTuple):
    """All packages of one version of the stores, by name in byte order, and the documents that were left out."""

    by_name: dict[str, Package]
    left_out: LeftOut


class AllUnfinished(NamedTuple):
    """All that is under way or has failed, the latest first; the documents left out; and whether that is known yet."""

    runs: list[Unfinished]
    by_package: dict[str, list[Unfinished]]
    left_out: LeftOut
    done: bool = True


class Memory:
    """What all requests share."""

    def __init__(self) -> None:
        self._running_logs: Kept[RunningLog] = Kept(_MOST_RUNNING_LOGS)
        self.names: Kept[tuple[str, ...]] = Kept(_MOST_VERSIONS)
        self.packages: Kept[Packages] = Kept(_MOST_VERSIONS)
        self.releases: Kept[lenient.Release] = Kept(_MOST_RELEASES)
        self.custom: Kept[tuple[tuple[int, str], ...]] = Kept(_MOST_PACKAGES)
        self.background = Background()
        self.reading = threading.Lock()
        """Held while a whole store is read, so that the next request finds it read instead of reading it too."""

    def running_log(self, state: StoreTree, run: str) -> RunningLog | None:
        """What a run, by its stored ref, prints while it goes on; None where it does not, or is none."""
        try:
            RunRef.parse(run)
        except (ModelError, RefError):
            return None
        if lenient.status_of(state, run) != RUNNING:
            return None
        return self._running_logs.get(run) or self._running_logs.put(run, RunningLog())


class Deployments:
    """The deployments there have been, newest first, in an environment, of a package; an empty name is that of all."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._ledger = Ledger(snapshot)

    def of(self, environment: str, package: str) -> Iterator[Event]:
        """Those in one place."""
        return Choice([escape(package)] if package else [], environment or None).of(self._ledger)

    @property
    def is_cut(self) -> bool:
        """Whether what was read so far ended because the clone is a shallow one."""
        return self._ledger.is_cut


class Facts:
    """What the stores say at one moment. Raises StoreError where there is no state store."""

    tells_history = True
    """Whether the page of a document says what became of it."""
    tells_commits = True
    """Whether the newest commits are shown."""

    def __init__(
        self, snapshot: Snapshot, memory: Memory, again: Callable[[], Snapshot], patience: float | None = None
    ) -> None:
        """`again` opens a snapshot in another thread; `patience` is for how many seconds to wait in all for what is
        found out there (None: be done)."""
        self.snapshot = snapshot
        self.memory = memory
        self._again = again
        self._patience = patience
        self.state: StoreTree = snapshot.side("state")
        self.intent: StoreTree | None = snapshot.side("intent") if snapshot.has_intent() else None
        self._asked: dict[str, Any] = {}
        """What this request has asked for so far, and got: it waits once for what takes long."""
        self._gates: Gates | None = None
        self._held: HeldReleases | None = None
        self.is_whole = True
        """Whether all that was asked so far was known in time."""
        self.running = ("", "")
        """The run whose log is shown while it goes on, and a text that changes with that log; empty where none is."""

    @property
    def gates(self) -> Gates:
        """The gates, judged now; for a moment in the past, judged then."""
        if self._gates is None:
            self._gates = Gates(self.snapshot)
        return self._gates

    @property
    def held(self) -> HeldReleases:
        """The releases that are held."""
        if self._held is None:
            self._held = HeldReleases(self.snapshot, Problems())
        return self._held

    def side(self, side: Side) -> StoreTree | None:
        return self.state if side == "state" else self.intent

    def history_of(self, tree: StoreTree) -> tuple[Repository, Oid]:
        """The repository that keeps the history of a store, and the commit shown. Raises NotFound where none does."""
        try:
            return require_history(self.snapshot, self.snapshot.backend_of(tree)[0])
        except Fatal as error:
            raise NotFound(error.message, hint=error.hint) from None

    def later(self, what: str, work: Callable[[Facts], Value]) -> Value | None:
        """What `work` says of these stores, if it is known by now: see `background.Background`."""
        if what not in self._asked:
            self._asked[what] = self._ask(what, work)
            self.is_whole = self.is_whole and self._asked[what] is not None
        found: Value | None = self._asked[what]
        return found

    def _ask(self, what: str, work: Callable[[Facts], Value]) -> Value | None:
        versions = self._versions()
        if versions is None:
            return work(self)
        question = (what, *versions)
        if self._patience is None:
            return self.memory.background.now(question, lambda: work(self))  # type: ignore[no-any-return]
        start = time.monotonic()
        found: Value | None = self.memory.background.get(
            question, lambda: work(Facts(self._again(), self.memory, self._again)), self._patience
        )
        self._patience = max(0.0, self._patience - (time.monotonic() - start))
        return found

    def _versions(self) -> tuple[Hashable, ...] | None:
        """Which version of the stores this is; None in a directory, where nothing says whether it is still so."""
        versions = []
        for tree in (self.state, self.intent or self.state):
            backend, directory = self.snapshot.backend_of(tree)
            versions.append((self.snapshot.version(backend).oid, directory))
        return None if None in (oid for oid, _ in versions) else tuple(versions)

    def ledger(self) -> Deployments:
        """What was deployed, as history has it."""
        return Deployments(self.snapshot)

    def note_source(self, commit: str) -> None:
        """Take note that a commit of the source was asked for: what is said of it hangs on whether it is here."""

    # Documents of the state store, by stored ref

    def body(self, stored: str) -> Document:
        """The document at just this ref; None where there is none that can be read."""
        return lenient.body(self.state, stored)

    def time(self, stored: str) -> str:
        """The time in a marker (`{"time": …}`), or an empty text."""
        return lenient.moment(self.state, stored)

    def names(self, tree: StoreTree, stored: str) -> list[str]:
        """The names of directories below a ref that are valid text, in byte order."""
        return lenient.names(tree, stored)

    # Packages

    def package_names(self) -> tuple[str, ...]:
        """All packages of the state store and the intent store, in byte order."""
        versions = self._versions()
        known = self.memory.names.get(versions) if versions is not None else None
        if known is None:
            known = overview.package_names(self.snapshot)
            if versions is not None:
                self.memory.names.put(versions, known)
        return known

    def packages(self, progress: Progress | None = None) -> dict[str, Package]:
        """All packages. The first time this reads the names in the whole store."""
        return self.all_packages(progress).by_name

    def all_packages(self, progress: Progress | None = None) -> Packages:
        """All packages, and what was left out of them."""
        versions = self._versions()
        if versions is None:
            return self._read_packages(self.package_names(), progress)
        known = self.memory.packages.get(versions)
        if known is None:
            with self.memory.reading:
                known = self.memory.packages.get(versions)
                if known is None:
                    known = self.memory.packages.put(versions, self._read_packages(self.package_names(), progress))
        return known

    def package(self, ref: str) -> Package:
        """One package."""
        versions = self._versions()
        known = self.memory.packages.get(versions) if versions is not None else None
        found = known.by_name.get(ref) if known is not None else None
        return found if found is not None else self._read_packages((ref,), None).by_name[ref]

    def _read_packages(self, names: Collection[str], progress: Progress | None) -> Packages:
        problems = Problems()
        found = overview.packages(self.snapshot, names, problems, progress)
        return Packages(found, refs_of(problems))

    def custom(self, package: Package) -> tuple[tuple[int, str], ...]:
        """The custom documents of the releases of a package: number and name."""
        key = self._key(self.state, self.state.node(f"{REFS}/{package.ref}"))
        known = self.memory.custom.get(key) if key is not None else None
        if known is not None:
            return known
        segment = self.state.layout.release_segment
        found = tuple(
            (number, name)
            for number in package.with_custom
            for name in lenient.customs(self.state, f"{package.ref}/{segment(number)}")
        )
        return self.memory.custom.put(key, found) if key is not None else found

    # Runs

    def unfinished(self) -> AllUnfinished:
        """What is under way or has failed; nothing as long as that is not known."""
        # Once a minute anew: claims run out, and executors die, without any commit.
        minute = "" if self.snapshot.is_past else f"{time.time() // 60:.0f}"
        found = self.later(f"unfinished {minute}", _unfinished)
        return found if found is not None else AllUnfinished([], {}, (), done=False)

    def unfinished_of(self, package: str) -> list[Unfinished]:
        """What is under way or has failed in one package."""
        return self.unfinished().by_package.get(package, [])

    def running_log(self, run: str) -> tuple[list[Document], str] | None:
        """What a run prints that is not recorded yet, and why that cannot be read; None for one that does not go on."""
        log = self.memory.running_log(self.state, run) if not self.snapshot.is_past else None
        if log is None:
            return None
        entries, version = log.look(self.snapshot, run)
        self.running = (run, version)
        return entries, log.problem

    # Releases

    def release(self, stored: str) -> lenient.Release:
        """What the names below a release say."""
        key = self._key(self.state, self.state.node(f"{REFS}/{stored}"))
        known = self.memory.releases.get(key) if key is not None else None
        if known is not None:
            return known
        found = lenient.release(self.state, stored)
        return self.memory.releases.put(key, found) if key is not None else found

    def _key(self, tree: StoreTree, node: Node | None) -> str | None:
        """The id of a tree; None where there is none to keep things under, as in a directory."""
        if node is None or self.snapshot.backend_of(tree)[0].repository is None:
            return None
        return tree.files.oid(node)


def _unfinished(facts: Facts) -> AllUnfinished:
    problems = Problems()
    runs = overview.unfinished(facts.snapshot, problems)
    runs.sort(key=lambda one: (one.time[:19], one.number), reverse=True)  # what bears no time comes last
    by_package: dict[str, list[Unfinished]] = {}
    for one in runs:
        by_package.setdefault(one.package, []).append(one)
    return AllUnfinished(runs, by_package, refs_of(problems))


def refs_of(problems: Problems) -> LeftOut:
    """The documents that queries left out."""
    return tuple((problem.ref, problem.what) for problem in problems)


def read_object(tree: StoreTree, stored: StoredRef) -> tuple[StoredObject | None, str]:
    """The object at a stored ref, and what is wrong with it where it cannot be read."""
    try:
        return tree.object(stored), ""
    except Damaged as error:
        return None, error.message
