"""Loose objects that were cut short, as a power cut leaves them: told apart before libgit2 reads them.

libgit2 1.9.7 never returns from reading a loose object whose compressed data ends early. Its header says nothing: that
is whole in most of them. So each loose object is unpacked here once before libgit2 does it. An object in a pack is
found by libgit2 there first: that it is no loose one is asked for each, unless there are none, as in a clone. Who asks
as often as it takes to check them all has them checked, and need not ask again.
"""

from __future__ import annotations

import os
import sys

from .objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_CHUNK: Final = 1 << 20
NAME_LENGTH: Final = 38
"""How long the name of a loose object is, in its directory: libgit2 opens no repository of longer ids."""
_MOST_ALTERNATES: Final = 5
"""How deep alternates may refer to alternates, in git too."""
_OFTEN: Final = 10_000
_ASKED_FOR_ONE: Final = 100
_ASKED_FOR_BYTES: Final = 30
"""How often one may ask before all are checked: so often in any case, so often in the time that it takes to check one,
and the bytes of them that are unpacked in the time of asking once."""


class LooseObjects:
    """The loose objects of a repository, in its own object directory and in its alternates.

    What another process adds later is not looked at: only an accident before this process began can cut a file short,
    because git and libgit2 write objects under another name first.
    """

    def __init__(self, directories: list[str], is_packed: Callable[[str], bool]) -> None:
        """`is_packed` says whether an object is in a pack too, where libgit2 takes it from."""
        self._is_packed = is_packed
        self._fans: dict[str, list[str]] = {}
        """By the first two digits of an id: the directories that may hold such files."""
        self._unchecked: dict[str, dict[str, list[str]]] = {}
        """By the first two digits of an id, once asked for: the ids not checked yet, and the directories of each."""
        for directory in with_alternates(directories):
            for name in listed(directory):
                if len(name) == 2:
                    self._fans.setdefault(name, []).append(os.path.join(directory, name))
        self.are_there = bool(self._fans)
        self._asked = 0
        self._patience = _OFTEN

    def cut_short(self, oid: Oid) -> str | None:
        """The file of an object that was cut short, so that libgit2 must not read it; None for any other object."""
        self._asked += 1
        if self._asked >= self._patience:
            self._check_all()
        fan = oid[:2]
        if fan not in self._fans:
            return None
        unchecked = self._unchecked.get(fan)
        if unchecked is None:
            unchecked = self._unchecked[fan] = self._list(fan)
        for directory in unchecked.get(oid, ()):
            path = os.path.join(directory, oid[2:])
            if not _is_whole(path) and not self._is_packed(oid):
                return path
        unchecked.pop(oid, None)
        return None

    def _check_all(self) -> None:
        """Check all that are left, where asking has taken as long as that. If they are whole, nobody asks again."""
        left = []
        size = 0
        for fan in self._fans:
            if fan not in self._unchecked:
                self._unchecked[fan] = self._list(fan)
            for oid, directories in self._unchecked[fan].items():
                left.append(Oid(oid))
                size += sum(_size(os.path.join(directory, oid[2:])) for directory in directories)
        self._patience = max(len(left) * _ASKED_FOR_ONE, size // _ASKED_FOR_BYTES)
        if self._patience > self._asked:
            return
        self._patience = sys.maxsize
        if all(self.cut_short(oid) is None for oid in left):
            self._fans.clear()
            self.are_there = False

    def _list(self, fan: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for directory in self._fans[fan]:
            for name in listed(directory):
                if len(name) == NAME_LENGTH:  # others are half-made, or not git's
                    found.setdefault(fan + name, []).append(directory)
        return found

    def forget(self, oid: Oid) -> None:
        """Take note that the file of an object was removed."""
        self._unchecked.get(oid[:2], {}).pop(oid, None)

    def any_cut_short(self) -> str | None:
        """The file of some object that was cut short; None where all are whole. Reads all of them."""
        for fan in self._fans:
            for oid in self._list(fan):
                path = self.cut_short(Oid(oid))
                if path is not None:
                    return path
        return None


def with_alternates(directories: list[str]) -> list[str]:
    found: list[str] = []
    todo = [(directory, 0) for directory in directories]
    while todo:
        directory, depth = todo.pop(0)
        if directory in found or depth > _MOST_ALTERNATES:
            continue
        found.append(directory)
        try:
            with open(
                os.path.join(directory, "info", "alternates"), encoding="utf-8", errors="surrogateescape"
            ) as file:
                lines = file.read().split("\n")
        except OSError:
            continue
        todo += [
            (os.path.normpath(os.path.join(directory, line)), depth + 1) for line in lines if line and line[0] != "#"
        ]
    return found


def listed(directory: str) -> list[str]:
    """The names in a directory; none where it is not there, or cannot be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []  # it was tidied away meanwhile, or libgit2 cannot read it either


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0  # it was packed meanwhile


def _is_whole(path: str) -> bool:
    """Whether the compressed data of a loose object comes to its end, or is damaged in a way that libgit2 notices."""
    import zlib

    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unpacking = zlib.decompressobj()
            while data := os.read(file, _CHUNK):
                while data and not unpacking.eof:
                    unpacking.decompress(data, _CHUNK)
                    data = unpacking.unconsumed_tail
            return unpacking.eof
        finally:
            os.close(file)
    except FileNotFoundError:
        return True  # it was packed meanwhile
    except (OSError, zlib.error):
        return True  # libgit2 says what is wrong
