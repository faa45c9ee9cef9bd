"""Git's objects as the rest of the program sees them: nodes, commits, who wrote them, and what goes wrong with them."""

from __future__ import annotations

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, Literal, NewType, Protocol

    Oid = NewType("Oid", str)
    """The id of an object, in hexadecimal: a type of its own, so that no name or revision is taken for one."""
    Node = Any
    """A blob or tree of the repository, as libgit2 gives it."""
    Changes = Mapping[str, bytes | None]
    """New contents of files by path, None for those that go; `<path>/` with None for a directory that goes as a whole.
    They take effect in their order."""

    class Step(Protocol):
        """What a walk wants of a directory: whether its own file, and what below it, by name (None: do not enter); and
        what to fetch of it where it is not here."""

        wanted: bool
        literals: tuple[str, ...] | None
        scope: Scope

        def __getitem__(self, name: str, /) -> Step | None: ...

    Directory = tuple[Node, str, Step]
    """A directory to be visited: its node, its path, and what is wanted of it."""
    Shape = Mapping[str, "Shape"]
    """Which directories in one are looked into: by name, or `*` for all others, the shape of what is in them."""
    Outline = tuple[str, ...]
    """The names in a directory and in those that are looked into: the same for all that have the same, so that what
    follows from them is worked out once. `nested` sorts them into their directories."""
    Nested = dict[str, dict[str, Any] | None]
    """What is in a directory, by name: what is in one that is looked into, and None for one that is not."""
    Scope = Literal["self", "near", "trees", "small", "all"]
    """What to fetch of a node: itself, what lies right in it too, the trees below it, with them all files below it that
    are small, or everything below it."""
else:
    Oid = str

ABSENT: Final = Oid("0" * 40)
"""The id that stands for "there is none", as in git-update-ref(1)."""
SHORTEST_ID: Final = 7
"""Digits of an id that are taken for it. They are compared with one id alone, and git's own least, 4, would take one
changed document in 65,536 for the same."""
_DIGITS: Final = frozenset("0123456789abcdef")


def blob_id(data: bytes) -> Oid:
    """The id of a blob."""
    from hashlib import sha1  # late: most that is read has ids already

    return Oid(sha1(b"blob %d\0%s" % (len(data), data)).hexdigest())


def is_whole_id(text: str) -> bool:
    """Whether a text is an id of an object in all its digits."""
    return len(text) == len(ABSENT) and _DIGITS.issuperset(text)


class RepositoryError(Fatal):
    """A repository cannot be opened; the message names the cause."""


END: Final = "/"
"""Ends the names of a directory in an outline."""
FILE: Final = "."
"""Stands for the file that is looked for in an outline: a directory may have its name too."""


def nested(outline: Outline, shape: Shape) -> Nested:
    """The names of an outline of this shape, sorted into their directories. `FILE` stands for the file."""
    top: Nested = {}
    todo = [(top, shape)]
    names = iter(outline)
    for directory, inside in todo:
        for name in iter(names.__next__, END):
            inner = inside.get(name, inside.get("*")) if name != FILE else None
            below: Nested | None = None if inner is None else {}
            directory[name] = below
            if below is not None and inner is not None:
                todo.append((below, inner))
    return top


class ObjectError(Fatal):
    """An object is missing or cannot be read or written."""


class Unanswered(Exception):
    """Git, or its commit-graph, could not tell a history after all: the caller walks on from where it was."""


class RefMoved(Exception):
    """A branch no longer stands where it was read, or is held by another process: the caller may try again.

    A push that was not answered by success (`is_sent`) may have been carried out all the same. Where the answer was
    lost, `failure` is what was met; where nothing is to be tried again, `refusal` is the error to end with, unless the
    change is found in the branch, or (`unless_moved`) the branch has moved, so that the refusal was a lost race.
    """

    is_sent = False
    failure: Fatal | None = None
    refusal: Fatal | None = None
    unless_moved = False


class Identity:
    """Who writes a commit, and when: name, email, seconds since the epoch, minutes east of UTC."""

    __slots__ = ("email", "name", "offset", "time")

    def __init__(self, name: str, email: str, time: int, offset: int) -> None:
        self.name = name
        self.email = email
        self.time = time
        self.offset = offset


class Commit:
    """A commit as `log` needs it: id, parents, root node, message, author, committer."""

    __slots__ = ("author", "committer", "message", "oid", "parents", "root")

    def __init__(
        self, oid: Oid, parents: tuple[Oid, ...], root: Node, message: str, author: Identity, committer: Identity
    ) -> None:
        self.oid = oid
        self.parents = parents
        self.root = root
        self.message = message
        self.author = author
        self.committer = committer


def cut_short(what: str, path: str) -> ObjectError:
    return ObjectError(
        f"{what}: the file '{path}' was cut short, as by a power cut",
        hint="'git fsck' lists all such objects; where a clone has them too, remove the files and fetch from it",
    )
