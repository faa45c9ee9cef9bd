"""What became of the refs of the stores in one commit (design 12); `change_stream` goes from commit to commit."""

from __future__ import annotations

from ..backends.base import node_at
from ..formats.commit_message import command_of, operations_of
from ..formats.documents import same
from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredObject, StoredRef, object_path
from ..formats.refs import INTENT, STATE
from ..formats.times import format_seconds
from ..git.objects import ObjectError
from .history import actor_of_commit, changed_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final, Literal

    from ..backends.base import Files, Node
    from ..formats.documents import Document
    from ..formats.layout import ShownRef, Side
    from ..git.objects import Commit
    from .snapshot import Snapshot
    from .tree import StoreTree

    What = Literal["created", "updated", "deleted", "linked", "unlinked"]
    Kind = Literal["", "document", "link"]
    Value = tuple[Kind, Document]
    """What stands at a ref: nothing, a document, or a link with its target as a ref."""
    Candidate = tuple[StoredRef, Node | None, Node | None]
    """A ref whose file differs, and what that file was and is."""

_AT_ONCE: Final = 256
"""Documents that are fetched together, where they have to be."""


class Change:
    """What became of a ref in a commit: `old` and `new` are the documents, of a link its target; None for none.

    None stands also for a document that cannot be read. `stored` is the ref as the store spells it, `stores` the store
    in which it is, before the commit and after it.
    """

    __slots__ = ("change", "new", "old", "ref", "stored", "stores", "within")

    def __init__(
        self,
        within: ChangedCommit,
        stores: StorePair,
        stored: StoredRef,
        ref: ShownRef,
        change: What,
        old: Document,
        new: Document,
    ) -> None:
        self.within = within
        self.stores = stores
        self.stored = stored
        self.ref = ref
        self.change = change
        self.old = old
        self.new = new

    @property
    def id(self) -> str:
        """Commit and ref: there is no other change of both."""
        return f"{self.within.commit.oid}:{self.ref}"

    def to_document(self) -> dict[str, Document]:
        """The change as `watch` prints it (design 12)."""
        return {
            "id": self.id,
            "commit": self.within.commit.oid,
            "time": self.within.time,
            "ref": self.ref,
            "change": self.change,
            "old": self.old,
            "new": self.new,
            "actor": self.within.actor,
            "command": self.within.command,
            "operation": self.within.operation,
        }


class StorePair:
    """One store in a commit: its tree before and after it (None: there was none), and what of it is told.

    `side` leaves out the refs of the other side, where a tree holds both and the other is read elsewhere.
    """

    __slots__ = ("after", "before", "directory", "side")

    def __init__(self, directory: str, before: StoreTree | None, after: StoreTree, side: Side | None) -> None:
        self.directory = directory
        self.before = before
        self.after = after
        self.side = side

    def has(self, ref: ShownRef) -> bool:
        """Whether a ref that has a file in the tree is one of this store."""
        marker = next((segment[0] for segment in ref.split("/") if segment[:1] in (STATE, INTENT)), STATE)
        return self.side is None or (marker == INTENT) == (self.side == "intent")


class ChangedCommit:
    """A commit that is to be told, and where: `branch` names the branch by the first of the stores that lie in it.

    `before` and `after` are both stores at the commit told before (None: there is none) and at this one. `time` is when
    the change was made, in UTC, `actor` who asked for it, `operation` the name of the one it carries; None where that
    is not known, or where there are several.
    """

    __slots__ = (
        "_pairs",
        "_wants",
        "_warn",
        "actor",
        "after",
        "before",
        "branch",
        "command",
        "commit",
        "operation",
        "time",
    )

    def __init__(
        self,
        branch: Side,
        commit: Commit,
        before: Snapshot | None,
        after: Snapshot,
        pairs: list[StorePair],
        wants: Callable[[ShownRef], bool],
        warn: Callable[[str], None],
    ) -> None:
        self._pairs = pairs
        self._wants = wants
        self._warn = warn
        self.branch: Side = branch
        self.commit = commit
        self.before = before
        self.after = after
        names = [operation.name for operation in operations_of(commit.message)]
        self.operation = names[0] if len(names) == 1 else None
        self.command = command_of(commit.message)
        self.actor = actor_of_commit(commit)
        self.time = format_seconds(commit.author.time)

    def changes(self) -> Iterator[Change]:
        """What became of refs in the commit, in the order of the tree, always the same; read as it is asked for.

        What only changes how a document is written, or which links to it are listed, is no change.
        Raises ObjectError for a directory that cannot be read, RemoteError where something could not be fetched.
        """
        for pair in self._pairs:
            shown = pair.after.layout.shown
            for stored, old_node, new_node in _fetched(pair.after.files, self._candidates(pair)):
                ref = shown(stored)
                old, _ = self._value(pair, ref, stored, old_node)
                new, damage = self._value(pair, ref, stored, new_node)
                if damage:
                    self._warn(f"'{ref}' in commit {self.commit.oid[:12]} is told as null: {damage}")
                elif old[0] == new[0] and same(old[1], new[1]):
                    continue
                yield Change(self, pair, stored, ref, _what(old[0], new[0]), old[1], new[1])

    def _candidates(self, pair: StorePair) -> Iterator[Candidate]:
        files, shown, wants = pair.after.files, pair.after.layout.shown, self._wants
        old = None if pair.before is None else node_at(pair.before.files, pair.before.root, REFS)
        for path, was, is_now in changed_files(files, old, node_at(files, pair.after.root, REFS)):
            if not path.endswith(f"/{OBJECT_FILE}"):
                continue
            stored = StoredRef(path[: -len(OBJECT_FILE) - 1])
            ref = shown(stored)
            if pair.has(ref) and wants(ref):
                yield stored, was, is_now

    def _value(self, pair: StorePair, ref: ShownRef, stored: StoredRef, node: Node | None) -> tuple[Value, str]:
        """What stands at a ref, and why it cannot be read, if that is so."""
        if node is None:
            return ("", None), ""
        try:
            found = StoredObject.read(pair.after.files.data(node), pair.directory + object_path(stored))
        except (Damaged, ObjectError) as error:
            return ("document", None), error.message
        if found.target is not None:
            return ("link", pair.after.layout.shown_target(found.target)), ""
        return ("document", found.body), ""


def _what(old: Kind, new: Kind) -> What:
    """What became of a ref, by what stood there and what stands there now."""
    if new == "link":
        return "linked"
    if new == "":
        return "unlinked" if old == "link" else "deleted"
    return "updated" if old == "document" else "created"


def _fetched(files: Files, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """The same; where documents have to be fetched, many of them at once."""
    if not files.is_partial:
        yield from candidates
        return
    batch: list[Candidate] = []
    for candidate in candidates:
        batch.append(candidate)
        if len(batch) == _AT_ONCE:
            yield from _fetch(files, batch)
            batch = []
    yield from _fetch(files, batch)


def _fetch(files: Files, batch: list[Candidate]) -> list[Candidate]:
    files.prefetch(node for _, *nodes in batch for node in nodes if node is not None)
    return batch
