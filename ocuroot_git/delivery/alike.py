"""Directories of custom documents that are one and the same in both stores, by their ids: nothing in them differs.

What is the same is not compared, and nothing of it is read where it is known to hold documents and nothing else
(`store.plain`): a link may lead to something that differs by side.
"""

from __future__ import annotations

from ..formats.layout import REFS, StoredRef
from ..formats.refs import INTENT, STATE
from ..store.draft import Draft
from .problems import Problems
from .queries import intent_tree, is_there, prefetch, state_tree
from .release_facts import CUSTOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..store.plain import Contents, PlainDirectories
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

    Pair = tuple[StoredRef, StoredRef]


class Alike:
    """Such directories: their stored refs in state, and in intent."""

    def __init__(self) -> None:
        self.state: set[StoredRef] = set()
        self.intent: set[StoredRef] = set()

    def update(self, others: Alike) -> None:
        """Take up others as well."""
        self.state |= others.state
        self.intent |= others.intent

    def has(self, state: StoreTree, ref: str) -> bool:
        """Whether there is a document at a ref of the state store that lies in one of the directories.

        Then there is one at the same place in the intent store, and it is the one that counts.
        """
        head = ref
        while self.state and head:
            if head in self.state:
                return is_there(state, StoredRef(ref))
            head = head.rpartition("/")[0]
        return False


def alike_in_releases(
    state: StoreTree, intent: StoreTree, of_state: Iterable[StoredRef], of_intent: Iterable[StoredRef]
) -> Alike:
    """The directories of custom documents of releases (`P/@3`, and `P/+3`) that are the same.

    None of their documents is read: what is the same differs in nothing, not even where it cannot be read. That a
    numbered release is no link, below which they would lie hidden, is taken for granted, as `fsck` does not.
    """
    found = Alike()
    if intent.layout.intent_marker == STATE:
        return found
    wanted = {*of_intent}
    for head in of_state:
        package, _, name = head.rpartition("/")
        other = StoredRef(f"{package}/{INTENT}{name[1:]}")
        if other in wanted and state.layout.release_number(name) is not None:
            custom = state.tree_id(f"{REFS}/{head}/{CUSTOM}")
            if custom is not None and custom == intent.tree_id(f"{REFS}/{other}/{CUSTOM}"):
                found.state.add(StoredRef(f"{head}/{CUSTOM}"))
                found.intent.add(StoredRef(f"{other}/{CUSTOM}"))
    return found


def alike_globals(snapshot: Snapshot) -> Alike:
    """The directories of global custom documents that are the same, and hold documents and nothing else."""
    state, intent = state_tree(snapshot), intent_tree(snapshot)
    top = StoredRef(f"{STATE}/{CUSTOM}"), StoredRef(f"{intent.layout.intent_marker}/{CUSTOM}")
    is_one = state is intent and top[0] == top[1]
    if is_one or state.node(f"{REFS}/{top[0]}") is None or intent.node(f"{REFS}/{top[1]}") is None:
        return Alike()
    bases = [tree.base if isinstance(tree, Draft) else tree for tree in (state, intent)]
    if any(snapshot.backend_of(base)[0].repository is None for base in bases):
        return Alike()  # directories on disk have no ids
    from ..store.plain import KIND, PlainDirectories

    surroundings = snapshot.surroundings
    here = surroundings.derived.setdefault(KIND, {})
    search = _Search(state, intent, PlainDirectories(state.files, surroundings.memory, here))
    todo = [top]
    while todo:
        todo += search.visit(todo.pop())
    return search.found


class _Search:
    """Looks for directories that are alike, from the top down. A pair is a directory in state, and in intent."""

    def __init__(self, state: StoreTree, intent: StoreTree, plain: PlainDirectories) -> None:
        self._state = state
        self._intent = intent
        self._plain = plain
        self.found = Alike()

    def visit(self, pair: Pair) -> Iterable[Pair]:
        """Take up what is alike at a pair, or right below it; gives the pairs below that are to be visited."""
        if self._are_same(pair):
            if not self._are_reached(pair):
                return []
            contents = self._contents(pair)
            if contents.is_plain:
                self._take(pair)
                return []
            below = self._below(pair)
            same = {*below}
        else:
            prefetch(self._state, pair[:1], "trees")
            prefetch(self._intent, pair[1:], "trees")
            below = self._below(pair)
            same = {name for name, one in below.items() if self._are_same(one)}
            if not below or not self._are_reached(pair):
                return []
            if not same:
                return below.values()
            contents = self._contents(pair)
        if not contents.is_sound:
            return []
        for name in same - contents.others:
            self._take(below.pop(name))
        return below.values()

    def _take(self, pair: Pair) -> None:
        self.found.state.add(pair[0])
        self.found.intent.add(pair[1])

    def _are_same(self, pair: Pair) -> bool:
        of_state = self._state.tree_id(f"{REFS}/{pair[0]}")
        return of_state is not None and of_state == self._intent.tree_id(f"{REFS}/{pair[1]}")

    def _are_reached(self, pair: Pair) -> bool:
        """Whether no link stands on the way to both, and nothing that cannot be read."""
        with Problems().leave_out(pair[0]):
            return not self._state.next_steps(pair[0]) and not self._intent.next_steps(pair[1])
        return False

    def _contents(self, pair: Pair) -> Contents:
        """What is in the directory in state, from which what is in both is known as well."""
        return self._plain.contents(self._state.node(f"{REFS}/{pair[0]}"))

    def _below(self, pair: Pair) -> dict[str, Pair]:
        """The pairs right below, by name, but for names that mean something else in a ref."""
        from ..store.plain import is_segment

        names = {*self._state.names(f"{REFS}/{pair[0]}")} & {*self._intent.names(f"{REFS}/{pair[1]}")}
        return {
            name: (StoredRef(f"{pair[0]}/{name}"), StoredRef(f"{pair[1]}/{name}")) for name in names if is_segment(name)
        }
