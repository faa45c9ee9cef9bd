"""What the stores say at the commit that a site is made of; and what the pages of a package were made of (design 10).

The pages of a package are made again only where something has changed that they could tell. Most of what they tell is
in the trees of the package; `Uses` notes what else was looked at, by the same functions that the page uses.
"""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from ..formats.documents import dump, to_bytes
from ..formats.globs import Glob, escape
from ..formats.layout import REFS, StoredRef, edge_directories
from ..formats.refs import INTENT, STATE, Ref
from ..ledger.chunks import Ledger
from ..store.snapshot import Snapshot
from .differences import Compared
from .facts import AllUnfinished, Deployments, Facts
from .lists import PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..delivery.gates import Gates
    from ..delivery.overview import Unfinished
    from ..formats.documents import Document
    from ..formats.layout import ShownRef, Side
    from ..ledger.events import Event
    from ..store.tree import StoreTree
    from ..store.walk import Entry
    from .facts import LeftOut, Memory, Value

_OF_STORE = (f"{STATE}/", f"{INTENT}/")
_EVERYTHING = "**"
"""Noted where it cannot be told what was looked at."""


class Uses:
    """The places beyond a package that its pages looked at: packages, and of the store itself directories such as
    `@/environment/x`, which stand for what is wanted there as well."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.heads: set[str] = set()
        self.sources: set[str] = set()
        """Commits of the source that were asked for."""

    def everything(self) -> None:
        """Take note that anything at all may have been looked at."""
        self.heads.add(_EVERYTHING)

    def ref(self, ref: Ref) -> None:
        """Take note of a ref that was looked up."""
        head = str(ref.replace(marker="", release="", type="", name="", fragment=""))
        is_above = not ref.marker and self._package.startswith(f"{head}/")  # which is there, as the package is
        if head and head != self._package and not is_above:
            self.heads.add(head)
        elif not head and (ref.type or ref.release):  # a marker alone says which store is meant
            releases = [ref.release, f"r{ref.release}"] if ref.release else [""]
            self.heads.update(_of_store(f"{STATE}{one}", ref.type, ref.name) for one in releases)

    def place(self, stored: str) -> None:
        """Take note of a place in the tree of a store: what is there, or the names below it."""
        if stored[:2] in _OF_STORE:
            self.heads.add(_of_store(STATE, stored[2:]))

    def glob(self, glob: str) -> None:
        """Take note of a pattern that was looked for."""
        if glob.startswith(_OF_STORE):
            literal = takewhile(lambda segment: not set(segment) & set("*?[{\\"), glob[2:].split("/"))
            self.heads.add(_of_store(STATE, *literal))
        elif not glob.startswith((f"{escape(self._package)}/@", f"{escape(self._package)}/+")):
            self.everything()

    @property
    def is_everything(self) -> bool:
        return _EVERYTHING in self.heads


def _of_store(*names: str) -> str:
    """The directory of a document of the store itself; of names with more than one segment, that of the first."""
    return "/".join(filter(None, "/".join(names).split("/")[:3]))


class WatchedSnapshot(Snapshot):
    """A snapshot that notes what is looked up in it."""

    uses: Uses | None = None

    def tree(self, ref: Ref) -> StoreTree:
        if self.uses is not None:
            self.uses.ref(ref)
        return super().tree(ref)

    def match(
        self, *globs: str, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> list[ShownRef]:
        self._note(globs)
        return super().match(*globs, side=side, links=links, exclude=exclude)

    def entries(
        self, globs: Iterable[str], *, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> Iterator[tuple[StoreTree, Entry]]:
        globs = list(globs)
        self._note(globs)
        return super().entries(globs, side=side, links=links, exclude=exclude)

    def _note(self, globs: Iterable[str]) -> None:
        for glob in globs if self.uses is not None else ():
            assert self.uses is not None
            self.uses.glob(glob)


class Gathered(Deployments):
    """The newest deployments in each place, of one pass through the ledger."""

    def __init__(self, snapshot: Snapshot, is_chosen: Callable[[str], bool]) -> None:
        self._ledger = Ledger(snapshot)
        self._events: dict[tuple[str, str], list[Event]] = {}
        for event in self._ledger.events():
            if is_chosen(event.package):
                package, environment = event.cell
                for place in (("", ""), (environment, ""), ("", package), (environment, package)):
                    known = self._events.setdefault(place, [])
                    if len(known) <= PER_PAGE:
                        known.append(event)

    def of(self, environment: str, package: str) -> Iterator[Event]:
        return iter(self._events.get((environment, package), ()))

    def places(self) -> list[tuple[str, str]]:
        """The environments and packages in which there was something; an empty name is that of all."""
        return sorted(self._events)


class NoDeployments(Deployments):
    """Those of a store without history."""

    is_cut = False

    def __init__(self) -> None:
        pass

    def of(self, environment: str, package: str) -> Iterator[Event]:
        return iter(())


class SiteFacts(Facts):
    """What the stores say, of the packages that were chosen (None: of all)."""

    tells_history = False

    def __init__(self, snapshot: WatchedSnapshot, memory: Memory, choice: Glob | None, shared: dict[str, Any]) -> None:
        """`shared` is what all who ask about this commit have found out."""
        super().__init__(snapshot, memory, lambda: snapshot)
        self._choice = choice
        self.tells_commits = choice is None  # they tell of all packages
        self._shared = shared
        self._snapshot = snapshot

    def begin(self, uses: Uses | None) -> None:
        """From now on, note what is looked at."""
        self._snapshot.uses = uses

    def is_chosen(self, package: str) -> bool:
        """Whether the site tells of a package."""
        return self._choice is None or self._choice.matches(package)

    def package_names(self) -> tuple[str, ...]:
        return tuple(filter(self.is_chosen, super().package_names()))

    def body(self, stored: str) -> Document:
        self._note_place(stored)
        return super().body(stored)

    def names(self, tree: StoreTree, stored: str) -> list[str]:
        self._note_place(stored)
        return super().names(tree, stored)

    def _note_place(self, stored: str) -> None:
        if self._snapshot.uses is not None:
            self._snapshot.uses.place(stored)

    def note_source(self, commit: str) -> None:
        if self._snapshot.uses is not None:
            self._snapshot.uses.sources.add(commit)

    def ledger(self) -> Deployments:
        found: Deployments = self._shared["ledger"]
        return found

    def later(self, what: str, work: Callable[[Facts], Value]) -> Value | None:
        """What takes long is done here, once where others ask for the same."""
        if what not in self._shared:
            found = self._chosen(work(self))
            if not what.startswith(("unfinished", "differences")):
                return found
            self._shared[what] = found
        kept: Value = self._shared[what]
        return kept

    def _chosen(self, found: Value) -> Value:
        if self._choice is None:
            return found
        if isinstance(found, Compared):
            rest = [one for one in found.differences if self._is_of_chosen(one["state"])]
            deployments = {ref: one for ref, one in found.deployments.items() if self._is_of_chosen(ref)}
            return found._replace(differences=rest, deployments=deployments, left_out=self._left_out(found.left_out))
        if isinstance(found, AllUnfinished):
            runs = [one for one in found.runs if self.is_chosen(one.package)]
            by_package = {package: runs for package, runs in found.by_package.items() if self.is_chosen(package)}
            return found._replace(runs=runs, by_package=by_package, left_out=self._left_out(found.left_out))
        return found

    def _left_out(self, left_out: LeftOut) -> LeftOut:
        return tuple(one for one in left_out if self._is_of_chosen(one[0]))

    def _is_of_chosen(self, ref: str) -> bool:
        head = re.split("/[@+]", ref, maxsplit=1)[0]
        return head == ref or self.is_chosen(head)

    def unfinished(self) -> AllUnfinished:
        self._note_everything()
        return super().unfinished()

    def unfinished_of(self, package: str) -> list[Unfinished]:
        return super().unfinished().by_package.get(package, [])

    def packages(self, *more: Any) -> Any:
        self._note_everything()
        return super().packages(*more)

    @property
    def gates(self) -> Gates:
        self._note_everything()
        return super().gates

    def _note_everything(self) -> None:
        if self._snapshot.uses is not None:
            self._snapshot.uses.everything()


def state_of(facts: SiteFacts, heads: Iterable[str]) -> str:
    """A digest of what the stores have at the places that pages looked at."""
    ids: list[str | None] = []
    for tree in {facts.state: None, facts.intent: None}:
        if tree is None:
            continue
        ids += [tree.oid(StoredRef(marker)) for marker in (STATE, INTENT)]  # above all that is of the store itself
        for head in heads:
            if head[:1] != STATE:
                ids.append(tree.tree_id(f"{REFS}/{head}"))
                continue
            for path in (head, INTENT + head[1:]):
                ids += [tree.tree_id(f"{REFS}/{path}"), *_links_above(tree, path)]
    return digest(ids)


def _links_above(tree: StoreTree, path: str) -> Iterator[str | None]:
    """The ids of the objects above a place, which may be links that lead elsewhere from there."""
    segments = path.split("/")
    return (tree.oid(StoredRef("/".join(segments[:end]))) for end in range(1, len(segments)))


def edges_of(facts: SiteFacts, package: StoredRef) -> list[str | None]:
    """The ids of what says on what the documents of a package depend, and what depends on them."""
    trees = [tree for tree in {facts.state: None, facts.intent: None} if tree is not None]
    return [tree.tree_id(directory) for tree in trees for directory in edge_directories(package)]


def digest(value: Any) -> str:
    """A digest of a JSON value."""
    return sha256(to_bytes(dump(value, None))).hexdigest()[:40]
