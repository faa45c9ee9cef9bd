"""What the trees of a store say about packages, releases, work and runs, read by name alone where that will do.

A page over a whole store must not read 10^5 documents. So the status of a run is read from the name of its marker,
and what was read of a directory is kept under the id of its tree: after a commit only the packages and releases
that it changed are read again. Nodes of libgit2 stay within the request that read them; what is kept is plain.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ..delivery.addresses import RunRef
from ..delivery.failures import is_dealt_with
from ..delivery.vocabulary import FAILED, OPEN
from ..errors import Error
from ..formats.layout import REFS, Damaged, StoredObject, link_target, object_path
from ..formats.refs import INTENT, STATE
from .background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from ..backends.base import Node
    from ..formats.documents import Document
    from ..formats.layout import Side
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

Value = TypeVar("Value")

STATUSES = ("running", "paused", "pending", "failed", "cancelled", "failed_retried", "complete")
"""By which a run is called that bears several markers, as a crash of the original program can leave it."""
WORDS = ("call", "task", "deploy")
"""The directories of a release that hold work."""
_MOST_RELEASES = 100_000
_MOST_PACKAGES = 20_000
_MOST_STORES = 8


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


class Work(NamedTuple):
    """A piece of work of a release: its directory's name, its own, the number of its newest run, and that status."""

    word: str
    name: str
    run: int
    status: str

    @property
    def below(self) -> str:
        """The ref below the release."""
        return f"{self.word}/{self.name}"


class Release(NamedTuple):
    """What the names below a release say: its work, and its custom documents."""

    work: tuple[Work, ...]
    custom: tuple[str, ...]


class Open(NamedTuple):
    """A run that is not at its good end: running, paused, pending or failed."""

    release: str
    number: int
    work: Work
    run: str
    time: str


class Package(NamedTuple):
    """What the trees below a package say."""

    ref: str
    numbers: tuple[int, ...]
    deployed: dict[str, str]
    """By environment: the run (or release's deployment) that is there now."""
    open: tuple[Open, ...]
    custom: tuple[tuple[int, str], ...]
    """Custom documents of releases: (number, name)."""


class Memory:
    """What all requests share."""

    def __init__(self) -> None:
        self.names: Kept[tuple[str, ...]] = Kept(_MOST_STORES)
        self.packages: Kept[Package] = Kept(_MOST_PACKAGES)
        self.releases: Kept[Release] = Kept(_MOST_RELEASES)
        self.wanted: Kept[dict[str, Document]] = Kept(_MOST_PACKAGES)
        self.background = Background()
        self.reading = threading.Lock()
        """Held while a whole store is read, so that the next request finds it read instead of reading it too."""


class Facts:
    """The trees of one snapshot. Raises StoreError where there is no state store."""

    def __init__(
        self, snapshot: Snapshot, memory: Memory, again: Callable[[], Snapshot], patience: float | None = None
    ) -> None:
        """`again` opens a snapshot in another thread; `patience` is how long to wait for it there (None: be done)."""
        self.snapshot = snapshot
        self.memory = memory
        self._again = again
        self._patience = patience
        self.state: StoreTree = snapshot.side("state")
        self.intent: StoreTree | None = snapshot.side("intent") if snapshot.has_intent() else None
        self._all: dict[str, Package] | None = None

    def side(self, side: Side) -> StoreTree | None:
        return self.state if side == "state" else self.intent

    def later(self, what: str, work: Callable[[Facts], Value]) -> Value | None:
        """What `work` says of these stores, if it is known by now: see `background.Background`."""
        versions = []
        for tree in (self.state, self.intent or self.state):
            place, directory = self.snapshot.place(tree)
            versions.append((self.snapshot.version(place).oid, directory))
        if None in (oid for oid, _ in versions):  # in a directory nothing says whether it is still so
            return work(self)
        question = (what, *versions)
        if self._patience is None:
            found: Value | None = self.memory.background.now(question, lambda: work(self))
            return found
        return self.memory.background.get(  # type: ignore[no-any-return]
            question, lambda: work(Facts(self._again(), self.memory, self._again)), self._patience
        )

    # Documents by stored ref

    def body(self, stored: str) -> Document:
        """The document at just this stored ref of the state store; None where there is none that can be read."""
        try:
            found = self.state.object(stored)
        except Damaged:
            return None
        return found.body if found is not None and found.kind == "ref" else None

    def time(self, stored: str) -> str:
        """The time in a marker (`{"time": …}`), or an empty text."""
        body = self.body(stored)
        found = body.get("time") if isinstance(body, dict) else None
        return found if isinstance(found, str) else ""

    def names(self, tree: StoreTree, stored: str) -> list[str]:
        """The names of directories below a stored ref that are valid text, in byte order."""
        node = tree.node(f"{REFS}/{stored}")
        return sorted(name for name, _ in _directories(tree, node))

    # Packages

    def package_names(self) -> tuple[str, ...]:
        """All packages of the state store and the intent store, in byte order."""
        found = self._package_names(self.state)
        if self.intent is not None and self.intent is not self.state:
            found = tuple(sorted({*found, *self._package_names(self.intent)}))
        return found

    def _package_names(self, tree: StoreTree) -> tuple[str, ...]:
        root = tree.node(REFS)
        key = self._key(tree, root)
        kept = self.memory.names.get(key) if key is not None else None
        if kept is not None:
            return kept
        found = set()
        todo = [(root, "")]
        while todo:
            node, path = todo.pop()
            for name, child in _directories(tree, node):
                if name[0] not in "@+":
                    todo.append((child, f"{path}/{name}" if path else name))
                elif path:
                    found.add(path)
        names = tuple(sorted(found))
        return self.memory.names.put(key, names) if key is not None else names

    def package(self, ref: str) -> Package:
        """What is below a package, read once for each version of its tree."""
        node = self.state.node(f"{REFS}/{ref}")
        key = self._key(self.state, node)
        kept = self.memory.packages.get((ref, key)) if key is not None else None
        if kept is not None:
            return kept
        package = self._read_package(ref, node)
        return self.memory.packages.put((ref, key), package) if key is not None else package

    def packages(self) -> dict[str, Package]:
        """All packages. The first time this reads the names in the whole store."""
        if self._all is None:
            with self.memory.reading:
                self._all = {ref: self.package(ref) for ref in self.package_names()}
        return self._all

    def _read_package(self, ref: str, node: Node | None) -> Package:
        releases = []
        for name, child in _directories(self.state, node):
            number = self.state.layout.release_number(name)
            if number is not None:
                releases.append((number, name, child))
        releases.sort(key=lambda item: item[0])
        unfinished: list[Open] = []
        custom: list[tuple[int, str]] = []
        for number, name, child in releases:
            release = self._release(child)
            custom += [(number, document) for document in release.custom]
            for work in release.work:
                run = f"{ref}/{name}/{work.below}" + (f"/{work.run}" if work.run else "")
                is_open = work.status in OPEN
                if is_open or (work.status == FAILED and not self._is_dealt_with(run, releases[-1][0])):
                    time = self.time(f"{run}/status/{work.status}")
                    unfinished.append(Open(f"{ref}/{name}", number, work, run, time))
        numbers = tuple(number for number, _, _ in releases)
        return Package(ref, numbers, self._deployed(ref), tuple(unfinished), tuple(custom))

    def _is_dealt_with(self, run: str, newest: int) -> bool:
        """Whether a failure needs no attention any more, as `work list` has it; in other dialects none is known to."""
        if self.state.layout.version != 1:
            return False
        try:
            return is_dealt_with(self.snapshot, RunRef.parse(run), newest)
        except Error:
            return False

    def _deployed(self, ref: str) -> dict[str, str]:
        found = {}
        for environment in self.names(self.state, f"{ref}/{STATE}/deploy"):
            stored = f"{ref}/{STATE}/deploy/{environment}"
            data = self.state.file(object_path(stored))
            if data is None:
                continue
            try:
                found[environment] = link_target(data, stored) or stored
            except Damaged:
                continue
        return found

    # Releases

    def release(self, stored: str) -> Release:
        """What the names below a release say."""
        return self._release(self.state.node(f"{REFS}/{stored}"))

    def _release(self, node: Node | None) -> Release:
        key = self._key(self.state, node)
        kept = self.memory.releases.get(key) if key is not None else None
        if kept is not None:
            return kept
        work: list[Work] = []
        custom: tuple[str, ...] = ()
        for word, directory in _directories(self.state, node):
            if word in WORDS:
                for name, child in _directories(self.state, directory):
                    work.append(self._work(word, name, child))
            elif word == "custom":
                custom = tuple(sorted(name for name, _ in _directories(self.state, directory)))
        release = Release(tuple(sorted(work)), custom)
        return self.memory.releases.put(key, release) if key is not None else release

    def _work(self, word: str, name: str, node: Node) -> Work:
        newest, of_newest = 0, node
        for child_name, child in _directories(self.state, node):
            if child_name.isascii() and child_name.isdigit() and int(child_name) > newest:
                newest, of_newest = int(child_name), child
        return Work(word, name, newest, self._status(of_newest))

    def _status(self, run: Node) -> str:
        files = self.state.files
        directory = files.child(run, "status")
        names = {name for name, _ in _directories(self.state, directory)}
        return next((status for status in STATUSES if status in names), next(iter(sorted(names)), ""))

    def runs(self, work: str) -> list[int]:
        """The numbers of the runs of a piece of work (a stored ref), ascending."""
        return sorted(
            int(name) for name in self.names(self.state, work) if name.isascii() and name.isdigit() and len(name) < 10
        )

    def status(self, run: str) -> str:
        """The status of a run (a stored ref); empty where it has none."""
        node = self.state.node(f"{REFS}/{run}")
        return "" if node is None else self._status(node)

    # Intent

    def marker(self) -> str:
        """How the marker of an intent is stored."""
        return STATE if self.intent is not None and self.intent.layout.version > 1 else INTENT

    def wanted(self, package: str) -> dict[str, Document]:
        """What is wanted deployed of a package, by environment: the documents of its deploy intents."""
        if self.intent is None:
            return {}
        base = f"{package}/{self.marker()}/deploy"
        node = self.intent.node(f"{REFS}/{base}")
        if node is None:
            return {}
        key = self._key(self.intent, node)
        kept = self.memory.wanted.get(key) if key is not None else None
        if kept is not None:
            return kept
        found: dict[str, Document] = {}
        for environment, _ in _directories(self.intent, node):
            try:
                stored = self.intent.object(f"{base}/{environment}")
            except Damaged:
                continue
            if stored is not None and stored.kind == "ref":
                found[environment] = stored.body
        return self.memory.wanted.put(key, found) if key is not None else found

    def _key(self, tree: StoreTree, node: Node | None) -> str | None:
        """The id of a tree; None where there is none to keep things under, as in a directory."""
        if node is None or self.snapshot.place(tree)[0].repository is None:
            return None
        return tree.files.oid(node)


def _directories(tree: StoreTree, node: Node | None) -> Iterator[tuple[str, Node]]:
    """The directories in a directory, with their names; those whose name is no UTF-8 have no address, and no page."""
    files = tree.files
    if node is None or not files.is_tree(node):
        return
    for child in files.children(node):
        if files.is_tree(child):
            name = files.name(child)
            if name.isascii() or _is_text(name):
                yield name, child


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_object(tree: StoreTree, stored: str) -> tuple[StoredObject | None, str]:
    """The object at a stored ref, and what is wrong with it where it cannot be read."""
    try:
        return tree.object(stored), ""
    except Damaged as error:
        return None, error.message
