"""The changes of the stores as they come: what `watch` tells (design 12).

Where one stands is the id of the last commit that was told, one for each branch in which stores lie. The commits after
it follow each other by first parents, as `log` shows them, each compared with the one told before; where a merge has
the last one told behind another parent, the way leads there. So the way depends on that commit and the tip alone, and
who goes on from any commit on it is told the rest in the same order.
"""

from __future__ import annotations

from itertools import pairwise

from ..backends.base import Version, node_at
from ..backends.remote import Remote
from ..errors import Fatal, NotFound
from ..formats.layout import REFS, SIDES, StoreError
from ..git.objects import ABSENT, SHORTEST_ID, Oid
from .changes import ChangedCommit, StorePair
from .prefetch import prefetch_changes
from .snapshot import NoStore, Snapshot
from .tree import StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Final

    from ..backends.base import Backend
    from ..formats.layout import ShownRef, Side
    from ..git.repository import Repository
    from .stores import Stores

_FIRST_WINDOW: Final = 4
_LARGEST_WINDOW: Final = 256
"""Commits whose trees are fetched together, where they have to be fetched: few for those who only want a few."""


class Rewritten(Fatal):
    """A branch no longer has the commit `known`, up to which its changes were told (P7).

    `go_on` is from where to go on, if that is meant: the last commit that is in both, else where the branch stands now.
    """

    def __init__(self, where: str, known: Oid, tip: Oid | None, base: Oid | None) -> None:
        what = "was rewritten" if tip is not None else "is gone"
        super().__init__(f"{where} {what}: {known[:12]}, up to which its changes were told, is no longer in it")
        self.known = known
        self.go_on = base or tip or ABSENT


class ChangeStream:
    """The changes of both stores after the commits at `positions`, by branch, and on to where the branches stand.

    `wants` says of which refs. `warn` is told of documents that cannot be read. Raises Fatal for stores without
    history.
    """

    def __init__(
        self,
        stores: Stores,
        wants: Callable[[ShownRef], bool] = lambda ref: True,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.wants = wants
        self.warn = warn
        self.positions: dict[Side, Oid] = {}
        self._stores = stores
        self._sides: dict[Side, list[Side]] = {}
        """The stores that lie in each branch."""
        for side in SIDES:
            backend = self._backend(side)
            if backend.repository is None:
                raise Fatal(f"{backend.where} has no history", hint="a store on a branch has one")
            first = next((known for known in self._sides if self._backend(known) == backend), side)
            self._sides.setdefault(first, []).append(side)

    # Where to begin

    def begin(self, since: Sequence[str] = (), known: Mapping[Side, Oid] | None = None) -> None:
        """Begin after commits: `known`, by branch; else after those of `since`, each of the branches that have it.

        A branch of which neither says anything begins where it stands now; zeros stand for the time before its first
        commit. Raises NotFound for a bad revision, Fatal for a commit of no branch.
        """
        begun: dict[Side, Oid] = dict(known or {})
        for text in since if len(begun) < len(self._sides) else ():
            for branch, oid in self._named(text).items():
                begun.setdefault(branch, oid)
        for branch in self._sides:
            if known is not None and branch not in begun:
                raise Fatal(
                    f"the cursor says nothing of {self.where(branch)}", hint="--since says where to begin there"
                )
            self.positions[branch] = begun.get(branch) or self._tip(branch) or ABSENT

    def _named(self, text: str) -> dict[Side, Oid]:
        """The commit that somebody names to begin after, by the branches that have it."""
        if set(text) == {"0"} and SHORTEST_ID <= len(text) <= len(ABSENT):
            return dict.fromkeys(self._sides, ABSENT)
        found: dict[Side, Oid] = {}
        unknown: NotFound | None = None
        for branch in self._sides:
            tip = self._tip(branch)
            self._fetch_history(branch)
            try:
                oid = self._repository(branch).resolve(text)
            except NotFound as error:
                unknown = error
                continue
            if tip is not None and self._repository(branch).is_ancestor(oid, tip):
                found[branch] = oid
        if not found:
            if unknown is not None:
                raise unknown
            branches = list(self._sides)
            names = " and ".join(map(self.where, branches))
            raise Fatal(f"'{text}' is no commit of {names}", hint=self._how_to_reach(branches[0]))
        return found

    def missing(self) -> list[str]:
        """The branches that are not there yet, in words; their changes are told once they are."""
        return [self.where(branch) for branch, oid in self.positions.items() if oid == ABSENT and not self._tip(branch)]

    # What comes

    def pending(self) -> Iterator[ChangedCommit]:
        """The commits after the positions, up to where the branches stand now: the oldest first.

        Of two branches that which was committed first comes first, of the same second that of the first branch; within
        each the order is that of its history. So it is the same wherever one goes on.
        Raises Rewritten, RemoteError, and StoreError for what is no store that we know.
        """
        ways = {branch: self._way(branch) for branch in self._sides}
        heads = {branch: head for branch, way in ways.items() if (head := next(way, None)) is not None}
        while heads:
            branch = min((one for one in ways if one in heads), key=lambda one: heads[one].commit.committer.time)
            yield heads.pop(branch)
            following = next(ways[branch], None)
            if following is not None:
                heads[branch] = following

    def passed(self, commit: ChangedCommit) -> None:
        """Take note that a commit was told."""
        self.positions[commit.branch] = commit.commit.oid

    def where(self, branch: Side) -> str:
        """A branch in words."""
        return self._backend(branch).where

    @property
    def is_far(self) -> bool:
        """Whether to look takes a round trip to a remote."""
        return any(isinstance(self._backend(branch), Remote) for branch in self._sides)

    def tidy(self) -> None:
        """Let git put together what many looks have fetched; it decides by itself whether it is time."""
        self._stores.finish()

    # One branch

    def _backend(self, side: Side) -> Backend:
        return self._stores.backend(side)[0]

    def _repository(self, branch: Side) -> Repository:
        repository = self._backend(branch).repository
        assert repository is not None
        return repository

    def _tip(self, branch: Side) -> Oid | None:
        return self._backend(branch).read().oid

    def _way(self, branch: Side) -> Iterator[ChangedCommit]:
        """The commits of a branch after its position, the oldest first."""
        known, tip = self.positions[branch], self._tip(branch)
        if tip == known or (tip is None and known == ABSENT):
            return
        if tip is None:
            raise Rewritten(self.where(branch), known, None, None)
        oids = self._commits(branch, known, tip)
        repository = self._repository(branch)
        repository.prepare_walk()
        tip_pairs = self._pairs(branch, None, self._snapshot(branch, tip), None)
        before = None if known == ABSENT else self._snapshot(branch, known)
        pairs = None if before is None else self._pairs(branch, None, before, tip_pairs)
        fetched, window = 0, _FIRST_WINDOW
        for number, oid in enumerate(oids):
            if repository.is_partial and number == fetched:
                last = known if number == 0 else oids[number - 1]
                self._prefetch(repository, last, oids[number : number + window], tip_pairs)
                fetched, window = number + window, min(2 * window, _LARGEST_WINDOW)
            after = self._snapshot(branch, oid)
            pairs = self._pairs(branch, pairs, after, pairs or tip_pairs)
            commit = repository.commit(oid)
            yield ChangedCommit(branch, commit, before, after, pairs, self.wants, self.warn)
            before = after

    def _snapshot(self, branch: Side, oid: Oid) -> Snapshot:
        version = Version(oid, self._repository(branch).root(oid))
        return Snapshot(self._stores.surroundings, {self._backend(branch): version})

    def _pairs(
        self, branch: Side, before: list[StorePair] | None, after: Snapshot, otherwise: list[StorePair] | None
    ) -> list[StorePair]:
        """The stores of a branch at a commit; where it has none that can be opened, as they lie `otherwise`.

        So the changes of a commit that damaged the store's own file are told all the same. Raises StoreError where
        nothing says how they lie.
        """
        backend = self._backend(branch)
        files, root = backend.files, after.version(backend).root
        pairs: list[StorePair] = []
        for side in self._sides[branch]:
            try:
                tree = after.side(side)
                directory = after.backend_of(tree)[1]
            except StoreError as error:
                if otherwise is None:
                    if isinstance(error, NoStore) and side != self._sides[branch][0]:
                        continue
                    raise
                known = next((pair for pair in otherwise if pair.after.layout.side in (None, side)), None)
                if known is None:
                    continue
                directory = known.directory
                tree = StoreTree(files, node_at(files, root, directory.rstrip("/")), known.after.layout)
            if any(pair.directory == directory for pair in pairs):
                continue
            former = [pair.after for pair in before or () if pair.directory == directory]
            former += [pair.after for pair in before or () if pair.after.layout.side in (None, side)]
            old = former[0] if former else None
            pairs.append(StorePair(directory, old, tree, side if len(self._sides[branch]) == 1 else None))
        return pairs

    def _prefetch(self, repository: Repository, last: Oid, oids: list[Oid], pairs: list[StorePair]) -> None:
        """Fetch the trees that comparing some commits, each with the one before, will read: all at once."""
        known = oids if last == ABSENT else [last, *oids]
        repository.prefetch_roots(known)
        roots = [repository.root(oid) for oid in known]
        for pair in pairs:
            nodes = [node_at(repository, root, pair.directory + REFS) for root in roots]
            nodes = [None, *nodes] if last == ABSENT else nodes
            prefetch_changes(repository, list(pairwise(nodes)))

    # The way from one commit to another

    def _commits(self, branch: Side, known: Oid, tip: Oid) -> list[Oid]:
        """The ids of the commits after `known` up to `tip`, the oldest first. Raises Rewritten."""
        found = self._commits_here(branch, known, tip)
        if found is None:
            # A remote store keeps no more than it was asked for; and a clone may have got more of its history since.
            self._fetch_history(branch)
            found = self._commits_here(branch, known, tip)
        if found is not None:
            return found
        repository = self._repository(branch)
        if repository.history_ends():
            first = "its first commit" if known == ABSENT else known[:12]
            raise Fatal(
                f"what is here of the history of {self.where(branch)} does not reach back to {first}",
                hint=self._how_to_reach(branch),
            )
        raise Rewritten(self.where(branch), known, tip, repository.merge_base(known, tip))

    def _commits_here(self, branch: Side, known: Oid, tip: Oid) -> list[Oid] | None:
        """As `_commits`; None where the way does not lead there, or is not here."""
        repository = self._repository(branch)
        if known != ABSENT and not repository.has(known):
            return None
        oids: list[Oid] = []
        oid = tip
        ends = repository.history_ends()
        while oid != known:
            oids.append(oid)
            parents = () if oid in ends else repository.parents(oid)
            if not parents:
                if known != ABSENT or oid in ends:
                    return None
                break
            oid = parents[0]
            if len(parents) > 1 and known != ABSENT:
                towards = [parent for parent in parents if repository.is_ancestor(known, parent)]
                if not towards:
                    return None
                oid = towards[0]
        oids.reverse()
        return oids

    def _fetch_history(self, branch: Side) -> None:
        """Let a branch that is read from a cache have all of its history there; forget what was read of others."""
        backend = self._backend(branch)
        if isinstance(backend, Remote):
            backend.need_history()
        else:
            self._repository(branch).reopen()  # libgit2 reads once where history ends

    def _how_to_reach(self, branch: Side) -> str | None:
        """What to do about a history that is not all here."""
        if not self._repository(branch).history_ends():
            return None
        if isinstance(self._backend(branch), Remote):
            return "leave out --offline"
        return "this is a shallow clone: 'git fetch --unshallow' gets the rest"
