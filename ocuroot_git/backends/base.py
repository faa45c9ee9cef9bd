"""What a backend is: where the files of a store lie, behind one small interface.

A backend is read at a `Version` and written by compare-and-swap against one. It knows neither refs nor documents.
`branch`, `directory` and `remote` are the three there are.
"""

from __future__ import annotations

CREATE = "ocuroot: create the store"
"""What the reflog says of the first version of a store."""
LATELY = 20.0
"""Seconds after which nobody goes on waiting for a change in an outbox: it seems that nobody can make it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from ..errors import RemoteError
    from ..git.objects import Changes, Directory, Identity, Oid, Outline, Scope, Shape
    from ..git.repository import Repository
    from .operations import Carried

    Node = Any
    """A file or directory of a backend, as its `Files` give it."""

    class Files(Protocol):
        """Where files are read: a git repository or a directory. Nodes are its own, and only handed back to it."""

        def child(self, tree: Node, name: str) -> Node | None: ...
        def children(self, tree: Node, *, checked: bool = True) -> Iterable[Node]: ...
        def oddities(self, tree: Node) -> list[tuple[str, str]]: ...
        def listing(self, tree: Node) -> tuple[list[tuple[str, Node, bool]], dict[str, str]]: ...
        def walk(self, todo: list[Directory], then: list[Directory], file: str) -> Iterator[tuple[str, Node]]: ...
        def outline(self, tree: Node, shape: Shape, file: str) -> tuple[Outline, dict[str, Node], list[Node]]: ...
        def count(self, trees: Iterable[Node], file: str) -> int: ...
        def name(self, node: Node) -> str: ...
        def is_tree(self, node: Node) -> bool: ...
        def data(self, blob: Node) -> bytes: ...
        def oid(self, node: Node) -> Oid: ...
        def prepare_walk(self, *, checked: bool = False) -> None: ...
        def is_absent(self, node: Node) -> bool: ...
        def prefetch(self, nodes: Iterable[Node], scope: Scope = "near") -> None: ...
        def prefetch_below(self, nodes: Iterable[Node]) -> None: ...
        @property
        def is_partial(self) -> bool: ...

    class Outbox(Protocol):
        """Where changes to a branch wait for another writer, each under a name that is never used again (8.10)."""

        turn: float
        """How many seconds the last try took that began with a fetch."""
        is_crowded: bool
        """Whether changes of others waited when we wrote last, and no more than one push makes."""

        def waiting(self) -> dict[str, bytes]:
            """The texts of the changes that wait, by name, of those that are in view."""

        def in_view(self, names: Iterable[str]) -> list[str]:
            """Those of some changes that one push looks at: of very many those that began the last, which come first.

            Whatever was put there in masses is older than what somebody lets wait now.
            """

        def pass_over(self, names: Iterable[str]) -> None:
            """Take note that some changes cannot be made, as it seems, and that it is no use to wait for them."""

        def is_passed_over(self, name: str) -> bool:
            """Whether that was noted of a change."""

        def crowded_version(self) -> Version | None:
            """What was known of the branch a moment ago, if many wrote to it; else None."""

        def is_there(self, name: str) -> bool:
            """Whether a change of ours was seen to wait when the outbox was last fetched."""

        def refreshed(self) -> dict[str, bytes | None]:
            """All that lies there now, by full reference name; None for what can be no change. Raises RemoteError."""

        def history(self, tip: Oid, bases: Iterable[Oid]) -> dict[Oid, set[str]]:
            """For those of some commits that are in the history of `tip`: the operations carried out since."""

        def author(self) -> tuple[str, str, int, int]:
            """Who makes a change now: name, email, seconds since the epoch, minutes east of UTC."""

        def new_name(self) -> str:
            """A name for a change of ours that begins to wait now."""

        def put(self, name: str, text: bytes, instead_of: str | None) -> tuple[bool, RemoteError | None]:
            """Let a change wait, in the place of one that waited; gives False where that cannot be.

            Gives also the failure that leaves open whether it waits now.
            """

        def take_back(self, name: str) -> None:
            """See that nobody can make a change any more. Raises RemoteError where that is not known."""

        def began(self, name: str) -> float:
            """When a change began to wait, in seconds since the epoch by its writer's clock."""

        def is_stuck(self, name: str) -> bool:
            """Whether a change could not be taken out before, so that it had better be left alone."""

        def ask_again(self) -> None:
            """Let the next reading of the branch fetch it anew, and the outbox with it."""

        def look(self) -> tuple[Oid | None, list[str]]:
            """Ask where the branch stands now, and which changes wait, the oldest first. Raises RemoteError."""

        def give_up(self) -> None:
            """Let nothing wait any more in this process: what waited has gone, or cannot be seen."""

    class Push(Protocol):
        """Commits that go to a branch together, and what they take out of its outbox."""

        @property
        def version(self) -> Version:
            """What the branch holds with the commits so far."""

        def add(self, changes: Changes, message: str, author: tuple[str, str, int, int] | None = None) -> bool:
            """Add a commit; whether there was anything to change. `author` is who made it, if that is not us."""

        def take_out(self, name: str) -> None:
            """Let a change go out of the outbox with the push."""

        def send(self, reason: str) -> Version:
            """Push. Raises RefMoved as `Backend.write`."""

    class Filling(Protocol):
        """The files of a new store, written where nobody sees them yet."""

        def make(self, first: Changes, message: str, reason: str) -> Version:
            """Make the store, at once: a first version with the files `first`, and on top of it one with all.

            Raises RefMoved where there is one by now; then it may be tried again.
            """

    class Backend(Protocol):
        """Where the files of a store lie: they are read at a version, and that version is replaced by another."""

        @property
        def files(self) -> Files:
            """Where the files of its versions are read."""

        @property
        def repository(self) -> Repository | None:
            """The repository that keeps the history, if there is one."""

        @property
        def where(self) -> str:
            """What it is in words, for messages: `branch 'state'`."""

        def read(self, at: str | None = None) -> Version:
            """The newest version, or the one that the revision `at` names. Raises NotFound for an unknown one."""

        @property
        def outbox(self) -> Outbox | None:
            """Where a change waits for another writer to make it; None where writers do not combine."""

        def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
            """Replace `version` by itself with `changes`. Raises RefMoved where it is no longer the newest."""

        def begin(self, version: Version) -> Push | None:
            """Begin to push commits on top of a version; None where nothing is pushed."""

        def create(self, changes: Changes, empty: Version | None = None) -> Version:
            """Make the first version where there is none, or on one that has no files (`empty`).

            Raises RefMoved where there is another by now.
            """

        def filled(self, contents: Iterable[tuple[str, bytes]]) -> AbstractContextManager[Filling]:
            """A block with files by path that are to be a new store, which nothing is left of unless it is made.

            They are taken one after the other, and not kept in memory. Raises Fatal for what cannot be written, and
            what `contents` raises.
            """

        def write_lock(self) -> AbstractContextManager[None]:
            """What a writer holds from reading to writing; waits where only one can write at a time."""

        def who_writes(self) -> Identity | None:
            """Who makes the commits of this process, if git knows; None where there are no commits."""

        def prepare_write(self) -> None:
            """Start what a write will need, while the caller still reads."""

        def end_write(self) -> None:
            """Take back what `prepare_write` started and no write has used."""

        def maintain(self) -> None:
            """Tidy up after writing, once, at the end of a process."""

        def held_lock(self) -> str | None:
            """The file by which another process keeps writers out, as one that was killed goes on doing; or None."""

        def may_be_collected(self) -> bool:
            """Whether a `git gc` may be why objects are missing, so that it pays to try again."""

        def pause(self, tries: int) -> float:
            """Seconds to wait after so many lost races, at random."""

        def find_operation(self, name: str, version: Version, since: Oid | None) -> Carried | None:
            """The operation of a name as the history of a version carries it, if it does.

            `since` is a commit whose history is known not to have it; None: nothing is known.
            """


def nodes_on_the_way(files: Files, root: Node | None, path: str) -> Iterator[Node | None]:
    """The nodes on the way down from a tree, one for each segment of the path; None from where there is nothing."""
    node = root
    for name in path.split("/") if path else ():
        node = files.child(node, name) if node is not None and files.is_tree(node) else None
        yield node


def node_at(files: Files, root: Node | None, path: str) -> Node | None:
    """The file or directory at a path below a tree (empty: the tree itself), or None."""
    return [root, *nodes_on_the_way(files, root, path)][-1]


def file_at(files: Files, root: Node | None, path: str) -> bytes | None:
    """The content of the file at a path below a tree; None where there is none, or a directory."""
    node = node_at(files, root, path)
    return None if node is None or files.is_tree(node) else files.data(node)


class Version:
    """A backend as it stood at one moment: the commit (None: no branch, or no commits), and the tree at its top."""

    __slots__ = ("oid", "root")

    def __init__(self, oid: Oid | None, root: Node | None) -> None:
        self.oid = oid
        self.root = root


class Access:
    """How one command uses remote stores: whether at all, how old an answer may be, and how its write is named.

    `reason` is why the command writes; `tell` is told what is tried again, and why.
    """

    __slots__ = ("max_age", "offline", "operation", "reason", "tell")

    def __init__(
        self,
        *,
        offline: bool = False,
        max_age: float | None = None,
        operation: str | None = None,
        reason: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.tell = tell
        self.offline = offline
        self.max_age = max_age
        self.operation = operation
        self.reason = reason
