"""A remote that is a repository on this machine: read where it lies, while writers wait for each other (design 8.10).

That takes no process, while `git ls-remote` starts three and `git fetch` six. Nothing is read so before git itself has
fetched from there: so `protocol.*` was asked, and all else by which git keeps somebody out. libgit2 refuses the
repository of another user as git does. Nothing is written there.
"""

from __future__ import annotations

import time

from ..errors import Error
from ..formats.urls import helper, is_url
from .objects import Oid
from .repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .config import Config
    from .remote_access import RemoteLocation

_LONGEST: Final = 0.01
"""Seconds of the processor for one look, from which on git is faster: libgit2 reads all references that there are."""
_MOST_COMMITS: Final = 200
_MOST_OBJECTS: Final = 4000
_MOST_BYTES: Final = 4 << 20
"""How much is read of what a branch has gained; git is better at more."""
_NAMES: Final = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_TREE: Final = b"40000"
_SUBMODULE: Final = b"160000"


class News:
    """What a branch has gained: where it stands, and all objects that came with that, as (type, content)."""

    __slots__ = ("objects", "tip")

    def __init__(self, tip: Oid, objects: list[tuple[int, bytes]]) -> None:
        self.tip = tip
        self.objects = objects

    def pack(self) -> bytes:
        """A pack of the objects, as gitformat-pack(5) has it."""
        from hashlib import sha1
        from zlib import compress

        pieces = [b"PACK", (2).to_bytes(4, "big"), len(self.objects).to_bytes(4, "big")]
        for kind, data in self.objects:
            size = len(data)
            header = [kind << 4 | size & 15]
            size >>= 4
            while size:
                header[-1] |= 128
                header.append(size & 127)
                size >>= 7
            pieces += [bytes(header), compress(data, 1)]
        content = b"".join(pieces)
        return content + sha1(content).digest()


class LocalRemote:
    """A repository on this machine."""

    def __init__(self, path: str) -> None:
        """Raises Error for what libgit2 does not open."""
        self._repository = Repository.open(path, {"GIT_DIR": path})
        self.references = self._repository.references
        self.target = self._repository.target
        self.small_blob = self._repository.small_blob
        self.is_slow = False
        """Whether git would say it faster."""

    def look(self, branch: str, prefix: str) -> tuple[Oid | None, list[str]]:
        """Where a branch stands (full name), and the names of the references below a prefix. Raises Error.

        The branch is looked at last: where a reference went in one push with a change of the branch, that is seen too.
        """
        began = time.thread_time()
        names = self._repository.references(prefix)
        tip = self._repository.tip(branch)
        self.is_slow = time.thread_time() - began > _LONGEST
        return tip, names

    def news(self, branch: str, known: Oid) -> News | None:
        """What a branch (full name) has gained since a commit; None where that is better fetched by git.

        So it is where the branch has not grown in one line from there, or by much, and where an object is not what
        its id says. Raises Error for what cannot be read.
        """
        tip = self._repository.tip(branch)
        if tip is None:
            return None
        found: dict[Oid, tuple[int, bytes]] = {}
        trees: list[Oid] = []
        at = tip
        while at != known:
            commit = self._take(found, at)
            head = commit.partition(b"\n\n")[0].decode(errors="replace").split("\n")
            parents = [line.removeprefix("parent ") for line in head if line.startswith("parent ")]
            if len(trees) == _MOST_COMMITS or len(parents) != 1:
                return None
            trees.append(Oid(head[0].removeprefix("tree ")))
            at = Oid(parents[0])
        before = self._repository.raw(known)[1][5:45].decode()
        for tree in reversed(trees):
            self._take_below(found, Oid(before), tree)
            if len(found) > _MOST_OBJECTS or sum(len(data) for _, data in found.values()) > _MOST_BYTES:
                return None
            before = tree
        if any(_id(kind, data) != oid for oid, (kind, data) in found.items()):
            return None
        return News(tip, list(found.values()))

    def _take(self, found: dict[Oid, tuple[int, bytes]], oid: Oid) -> bytes:
        """The content of an object, which is kept in `found`."""
        found[oid] = self._repository.raw(oid)
        return found[oid][1]

    def _take_below(self, found: dict[Oid, tuple[int, bytes]], before: Oid, after: Oid) -> None:
        """Keep a tree and all below it that another one has not got at the same path."""
        todo: list[tuple[Oid | None, Oid]] = [(before, after)]
        while todo:
            old, new = todo.pop()
            if old == new or new in found:
                continue
            had = _entries(self._repository.raw(old)[1]) if old is not None else {}
            for name, (mode, oid) in _entries(self._take(found, new)).items():
                prior = had.get(name)
                if mode == _TREE:
                    todo.append((prior[1] if prior is not None and prior[0] == _TREE else None, oid))
                elif mode != _SUBMODULE and prior != (mode, oid) and oid not in found:
                    self._take(found, oid)


def _entries(tree: bytes) -> dict[bytes, tuple[bytes, Oid]]:
    """The entries of a tree, by name: mode and id."""
    found = {}
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, name = tree[at:end].partition(b" ")
        at = end + 21
        found[name] = (mode, Oid(tree[end + 1 : at].hex()))
    return found


def _id(kind: int, data: bytes) -> str:
    """The id of an object."""
    from hashlib import sha1

    return sha1(b"%s %d\0%s" % (_NAMES[kind], len(data), data)).hexdigest()


def local_remote(location: RemoteLocation, config: Config) -> LocalRemote | None:
    """The remote at a location where it can be read without git; else None."""
    path = _path_of(config.rewritten(location.url))
    is_served_otherwise = location.name is not None and any(
        config.get(f"remote.{location.name}.{key}") for key in ("uploadpack", "vcs")
    )
    if path is None or is_served_otherwise or not location.is_trusted:
        return None
    try:
        return LocalRemote(path)
    except Error:
        return None


def _path_of(url: str) -> str | None:
    """The absolute path that git would read a URL as; None for all that is not plainly one."""
    if url.startswith("file:///") and "%" not in url:
        return url.removeprefix("file://")
    return url if url.startswith("/") and not is_url(url) and helper(url) is None else None
