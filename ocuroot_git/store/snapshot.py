"""Both stores at one moment: reading documents by ref, whichever store they are in (design 3, 5.3, 6).

A snapshot never changes: what others write meanwhile is not seen. `Store` says where a store lies; `Snapshot`
opens its tree when it is first asked for.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..errors import NotFound
from ..formats.documents import MISSING
from ..formats.layout import STORE_FILE, Layout, ShownRef, StoredObject, StoreError, object_path
from ..formats.refs import Ref, RefError
from .tree import StoreTree, is_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Final, Protocol

    from ..backends.base import Backend, Version
    from ..formats.documents import Document
    from ..formats.layout import Side
    from ..formats.operation import Origin
    from ..git.commit_graph import CommitGraph
    from ..git.repository import Repository
    from ..git.tree_changes import TreeChanges
    from .memory import Memory
    from .tree import Location
    from .walk import Entry

    class Surroundings(Protocol):
        """What stores ask of the world around them, each when it is first needed; `open` gives it to them."""

        def backend(self, side: Side) -> tuple[Backend, str]:
            """The backend of a store and its configured directory there (empty: the top, or to be found there)."""

        def opened(self) -> list[Backend]:
            """The backends that were asked for so far, each once."""

        @property
        def base(self) -> Ref:
            """What relative refs are relative to: this repo, and the package and release that were named."""

        @property
        def directory(self) -> str:
            """The path, from the top of this repository, of the directory one is in; empty at the top."""

        @property
        def former_name(self) -> str | None:
            """What this repository was called when it last wrote, if that is not its name now, and it was needed."""

        @property
        def code(self) -> Repository | None:
            """The repository one is in, whose commits are released; None outside of one."""

        @property
        def own_directory(self) -> str | None:
            """Where the tool keeps files of its own; None outside of a repository."""

        @property
        def memory(self) -> Memory | None:
            """What was derived from trees and is remembered for other processes; None outside of a repository.

            Raises Fatal for a bad `ocuroot.cacheSize`.
            """

        def commit_graph(self, repository: Repository) -> CommitGraph:
            """What finds the commits of a long history that changed a path; written unless the user forbids it."""

        def tree_changes(self, repository: Repository) -> TreeChanges:
            """What compares many commits of a repository at once."""

        derived: dict[str, dict[str, Any]]
        """What this process has derived from trees, by its kind and their ids: see `memory.Memory`."""

        progress: Callable[[int, int], None] | None
        """Told how many packages or directories of how many are read, where that may take long; with both the same at
        the end."""

        before_waiting: Callable[[], None] | None
        """Called before a change is left to wait for another writer: from then on it must be taken back at any end."""

        reason: str | None
        """Why changes are made, as the user has said."""

        def note_write(self) -> None:
            """Take note that something was written: under the name of this repository, if that was needed."""

        def missing_store_hint(self, backend: Backend) -> str:
            """What to do where there is no store."""

        def another_store_hint(self, side: Side) -> str:
            """How to name another place, where what is at the one that is named is no store."""

        def marks(self) -> list[object] | None:
            """What is another whenever the configuration is, or the objects that the repositories at hand have: a JSON
            value to be compared. None where that cannot be told."""

        @property
        def timeout(self) -> float:
            """Seconds for which a lost race is tried again."""

        @property
        def origin(self) -> Origin:
            """Where the changes of this process come from, as far as its environment and the user say."""

        @property
        def tell(self) -> Callable[[str], None] | None:
            """What is told of each thing that is tried again, and why."""

        @property
        def time_zone(self) -> str:
            """The name of this machine's time zone; UTC where that is not known."""

        def seconds(self, key: str, default: float) -> float:
            """A number of seconds that the user has configured. Raises Fatal for what is none."""


class NoStore(StoreError):
    """There is no store where one should be."""


class Found:
    """What a ref leads to: `ref` as it was asked for, `resolved` behind all links, whether it was found, and it."""

    __slots__ = ("found", "ref", "resolved", "value")

    def __init__(self, ref: str, resolved: ShownRef, found: bool, value: Document) -> None:
        self.ref = ref
        self.resolved = resolved
        self.found = found
        self.value = value


class Snapshot:
    """The state store and the intent store at one moment. Refs may be text or parsed, relative or not."""

    is_past = False
    """Whether that moment was chosen, and is not the present: what ran then is not asked whether it still does."""

    def __init__(self, surroundings: Surroundings, versions: dict[Backend, Version]) -> None:
        self.surroundings = surroundings
        self.versions = versions
        self._trees: dict[Side, StoreTree] = {}
        self._prefixes: dict[StoreTree, tuple[Backend, str]] = {}
        self.matched: dict[tuple[str, ...], list[ShownRef]] = {}
        """What patterns matched, for those who ask for the same again and again: a snapshot does not change."""

    # Which tree

    def side(self, side: Side) -> StoreTree:
        """The tree of the state store, or of the intent store; the same one where they share it. Raises StoreError."""
        if side not in self._trees:
            tree, backend, prefix = self._open(side)
            other: Side = "intent" if side == "state" else "state"
            known = self._trees.get(other)
            if known is not None and self._prefixes[known] == (backend, prefix):
                tree = known
            self._trees[side] = tree
            self._prefixes[tree] = (backend, prefix)
        return self._trees[side]

    def side_or_none(self, side: Side) -> StoreTree | None:
        """As `side`; None where there is no such store."""
        try:
            return self.side(side)
        except StoreError:
            return None

    def tree(self, ref: Ref) -> StoreTree:
        """The tree of the store that a ref belongs to."""
        return self.side("intent" if ref.is_intent else "state")

    def backend_of(self, tree: StoreTree) -> tuple[Backend, str]:
        """Where a tree of this snapshot lies: its backend, and its directory there with a `/` at the end, or empty."""
        return self._prefixes[tree]

    def origin(self, backend: Backend) -> Origin:
        """Where the changes of this process come from that it writes to a backend (design 12)."""
        origin = self.surroundings.origin
        if origin.actor is None:
            committer = backend.who_writes()
            if committer is not None:
                return origin.kept(f"local:{committer.email or committer.name}", origin.run, origin.reason)
        return origin

    def version(self, backend: Backend) -> Version:
        """The version of a backend that this snapshot reads."""
        if backend not in self.versions:
            self.versions[backend] = backend.read()
        return self.versions[backend]

    @property
    def is_shared(self) -> bool:
        """Whether one tree holds both state and intent."""
        return self.side("state") is self.side("intent")

    @property
    def base(self) -> Ref:
        """What relative refs are relative to."""
        return self.surroundings.base

    def absolute(self, ref: Ref | str) -> Ref:
        """A ref, parsed and made absolute: relative ones are of this repo, package and release."""
        parsed = Ref.parse(ref) if isinstance(ref, str) else ref
        return parsed.absolute(self.base) if parsed.is_relative else parsed

    def named(self, text: str) -> Ref:
        """The absolute ref that somebody at a prompt names; in a document, `absolute` says what a ref means.

        One without a repo, `web/@/custom/x`, is of this repo and relative to the directory one is in, as paths are,
        unless there is a document at just this ref.
        """
        parsed = self.absolute(text)
        if parsed.repo or not parsed.path or self.tree(parsed).find(parsed)[1] is not None:
            return parsed
        return parsed.replace(repo=self.base.repo, path=f"{self.surroundings.directory}/{parsed.path}".lstrip("/"))

    # Reading

    def prefetch(self, refs: Iterable[Ref | str]) -> None:
        """Say which refs will be looked up, so that of a remote store all of them are fetched together.

        What is no ref is left for the look-up to complain about.
        """
        by_tree: dict[StoreTree, list[Ref]] = {}
        for ref in refs:
            try:
                parsed = self.absolute(ref)
            except RefError:
                continue
            tree = self.side("intent" if parsed.is_intent else "state")
            if not tree.files.is_partial:
                return
            by_tree.setdefault(tree, []).append(parsed)
        if by_tree:
            from .prefetch import prefetch_refs

            for tree, parsed_refs in by_tree.items():
                prefetch_refs(tree, parsed_refs)

    def get(self, ref: Ref | str, default: Document = MISSING) -> Document:
        """The document at `ref`, links followed, or the part of it that the fragment names.

        Raises NotFound where there is none, unless `default` is given; Damaged where it cannot be read.
        """
        parsed = self.absolute(ref)
        location, exists, value = self.tree(parsed).value(parsed)
        if exists:
            return value
        if default is not MISSING:
            return default
        if location.fragment and self.exists(parsed.without_fragment()):
            raise NotFound(f"no such part: '{parsed}'")
        raise absent(parsed.without_fragment())

    def look_up(self, ref: Ref | str) -> Found:
        """As `get`, with the ref behind all links, and without an error where there is nothing."""
        parsed = self.absolute(ref)
        tree = self.tree(parsed)
        location, exists, value = tree.value(parsed)
        return Found(str(ref), _shown(tree, location), exists, value)

    def resolve(self, ref: Ref | str) -> ShownRef:
        """The ref behind all links, as the store spells it. It need not exist. Raises LinkCycle."""
        parsed = self.absolute(ref)
        tree = self.tree(parsed)
        return _shown(tree, tree.locate(parsed))

    def exists(self, ref: Ref | str) -> bool:
        """Whether there is a document at `ref`, links followed."""
        parsed = self.absolute(ref)
        return self.tree(parsed).find(parsed)[1] is not None

    def object(self, ref: Ref | str) -> StoredObject | None:
        """The object at just `ref`, links not followed: a document or a link with what is kept about it, or None."""
        parsed = self.absolute(ref)
        tree = self.tree(parsed)
        for stored in tree.layout.spellings(parsed):
            content = tree.object(stored)
            if content is not None:
                return content
        return None

    def match(
        self,
        *globs: str,
        side: Side | None = None,
        links: bool = True,
        exclude: Iterable[str] = (),
    ) -> list[ShownRef]:
        """The refs that match any of the globs, in byte order, links among them unless `links` is false.

        `side` looks into one store only; what matches a pattern of `exclude` is left out. Raises GlobError.
        """
        if not links:
            return sorted(entry.ref for _, entry in self.entries(globs, side=side, links=False, exclude=exclude))
        from ..formats.globs import Glob
        from .walk import match_refs  # late: to get a document takes no pattern

        glob, excluded = Glob(*globs), Glob(*exclude)
        refs = []
        for tree, only in self._searched(side):
            remembers = self.backend_of(tree)[0].repository is not None
            refs += match_refs(
                tree,
                glob,
                only,
                lambda: self.surroundings.memory if remembers else None,  # noqa: B023
                self.surroundings.progress,
            )
        if not excluded.start.dead:
            refs = [ref for ref in refs if not excluded.matches(ref)]
        refs.sort()
        return refs

    def entries(
        self, globs: Iterable[str], *, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> Iterator[tuple[StoreTree, Entry]]:
        """As `match`, in no order, with the tree and the node of each ref."""
        from ..formats.globs import Glob
        from .walk import match, without_links

        glob = Glob(*globs)
        excluded = Glob(*exclude)
        for tree, only in self._searched(side):
            matches = match(tree, glob, only)
            if not links:
                matches = without_links(tree, matches)
            for entry in matches:
                if excluded.start.dead or not excluded.matches(entry.ref):
                    yield tree, entry

    def _searched(self, side: Side | None) -> Iterator[tuple[StoreTree, Side | None]]:
        """The trees to be searched for the refs of a side, or of both; and of which side the refs must be there."""
        if side is not None:
            yield self.side(side), side
            return
        state = self.side("state")
        if not self.has_intent():
            yield state, "state"
        elif self.is_shared:
            yield state, None
        else:
            yield state, "state"
            yield self.side("intent"), "intent"

    def entry_value(self, tree: StoreTree, entry: Entry) -> Found:
        """The document of a matched entry, as `get` of its ref would give it."""
        try:
            parsed = Ref.parse(entry.ref)
        except ValueError:
            content = StoredObject.read(tree.files.data(entry.node), object_path(entry.stored))
            return Found(entry.ref, entry.ref, content.kind == "ref", content.body if content.kind == "ref" else None)
        location, exists, value = tree.value(parsed)
        return Found(entry.ref, _shown(tree, location), exists, value)

    def has_intent(self) -> bool:
        """Whether there is an intent store at all: one that was never made holds nothing that could match."""
        try:
            self.side("intent")
        except NoStore:
            return False
        return True

    # Opening

    def _open(self, side: Side) -> tuple[StoreTree, Backend, str]:
        backend, prefix = self.surroundings.backend(side)
        version = self.version(backend)
        root, name = version.root, backend.where
        if root is None:
            hint = self.surroundings.missing_store_hint(backend)
            raise NoStore(f"no store: there is no {name}", hint=hint)
        root = node_at(backend.files, root, prefix)
        if root is None:
            raise NoStore(f"{name} has no directory '{prefix}'", hint=_INIT_HINT)
        name = f"{name}, directory '{prefix}'" if prefix else name
        if not is_store(backend.files, root):
            below = node_at(backend.files, root, side)
            if not is_store(backend.files, below):
                if self.is_past and version.oid is not None:
                    hint = f"name a commit of {backend.where}, as 'git ocuroot log' shows them, or a date"
                    raise NotFound(f"commit {version.oid[:12]} has no store: there is no '{STORE_FILE}'", hint=hint)
                raise StoreError(
                    f"{name} is no store: it has no '{STORE_FILE}'",
                    hint=self.surroundings.another_store_hint(side),
                )
            root, name = below, f"{name}, directory '{side}'"
            prefix = f"{prefix}/{side}" if prefix else side
        layout = Layout.read(backend.files.data(backend.files.child(root, STORE_FILE)), name)
        if layout.side not in (None, side):
            raise NoStore(
                f"{name} holds {layout.side} only, and no {side} store is configured",
                hint=f"name the branch that holds it: git config ocuroot.{side}.branch <branch>",
            )
        return StoreTree(backend.files, root, layout.of_side(side)), backend, prefix + "/" if prefix else ""


_INIT_HINT: Final = "'git ocuroot init' makes a store"


def _shown(tree: StoreTree, location: Location) -> ShownRef:
    shown = tree.layout.shown(location.stored)
    return ShownRef(f"{shown}#{location.fragment}") if location.fragment else shown


def absent(ref: Ref) -> NotFound:
    """The error for a ref that leads to nothing."""
    return NotFound(f"no such document: '{ref}'")
