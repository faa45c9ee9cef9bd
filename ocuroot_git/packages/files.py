"""The files that a package is made of and may read: those of a commit, or those of a work tree.

A package comes with a repository, and is anybody's word: it reads nothing that lies outside of it, wherever symbolic
links lead, and nothing of git's own.
"""

from __future__ import annotations

import os
import stat

from ..formats.refs import is_dot_git
from ..git.tree_reader import EXECUTABLE, SYMBOLIC_LINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Protocol

    from ..git.objects import Node, Oid
    from ..git.repository import Repository

    class PackageFiles(Protocol):
        """Paths are relative to the top of the repository, as `within` gives them. All raise FilesError."""

        def read(self, path: str) -> str:
            """The text of a file."""

        def names(self, path: str) -> list[str]:
            """The names in a directory, sorted."""

        def is_directory(self, path: str) -> bool:
            """Whether there is a directory at a path; an error where there is nothing."""


LARGEST_FILE: Final = 16 << 20
"""Bytes of a file that a package may read."""


class FilesError(ValueError):
    """A file cannot be read; the message says which, and why."""


class HostError(ValueError):
    """Something else that a package asks for cannot be done; the message says what, and why."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def within(directory: str, path: str) -> str:
    """A path as seen from a directory of the repository, made relative to its top. Raises FilesError."""
    if "\0" in path:
        raise FilesError("a path holds a NUL character")
    parts: list[str] = [part for part in directory.split("/") if part]
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise FilesError(f"'{path}' leads out of the repository")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if any(map(is_dot_git, parts)):
        raise FilesError(f"'{path}' is git's own")
    return "/".join(parts)


_MOST_LINKS: Final = 40
"""Symbolic links that are followed on the way to a file, as systems do."""


class CommitFiles:
    """The files of a commit, read from the object database: nothing but they can be read.

    Symbolic links are followed as long as they stay among them.
    """

    def __init__(self, repository: Repository, commit: Oid) -> None:
        self._repository = repository
        self._root = repository.root(commit)

    def read(self, path: str) -> str:
        node = self._find(path)
        if node is None:
            raise FilesError(f"there is no file '{path}'")
        if self._repository.is_tree(node):
            raise FilesError(f"'{path or '.'}' is a directory")
        return _text(self._repository.data(node), path)

    def names(self, path: str) -> list[str]:
        if not self.is_directory(path):
            raise FilesError(f"'{path}' is no directory")
        node = self._find(path)
        assert node is not None
        return sorted(self._repository.name(child) for child in self._repository.children(node, checked=False))

    def is_directory(self, path: str) -> bool:
        node = self._find(path)
        if node is None:
            raise FilesError(f"there is nothing at '{path}'")
        return self._repository.is_tree(node)

    def _find(self, path: str) -> Node | None:
        """The file or directory at a path, once every link is followed; None where there is none. Raises FilesError."""
        way = [self._root]
        todo = path.split("/")
        links = 0
        while todo:
            name = todo.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                way.pop()
                if not way:
                    raise FilesError(f"'{path}' leads out of the repository")
                continue
            directory = way[-1]
            node = self._repository.child(directory, name) if self._repository.is_tree(directory) else None
            if node is None:
                return None
            odd = dict(self._repository.oddities(directory)).get(name, EXECUTABLE)
            if odd == SYMBOLIC_LINK:
                target = self._repository.data(node).decode(errors="surrogateescape")
                links += 1
                if target.startswith("/"):
                    raise FilesError(f"'{path}' leads out of the repository")
                if links > _MOST_LINKS:
                    raise FilesError(f"cannot read '{path}': it is a symbolic link that leads nowhere")
                todo = [*target.split("/"), *todo]
            elif odd != EXECUTABLE:
                raise FilesError(f"cannot read '{path}': {odd}")
            else:
                way.append(node)
        return way[-1]


class OneFile:
    """One file, whose text is known; there are no others."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def read(self, path: str) -> str:
        if path != self._path:
            raise FilesError(f"'{path}' cannot be read: nothing but '{self._path}' is known here")
        return self._text

    def names(self, path: str) -> list[str]:
        raise FilesError(f"'{path}' cannot be read: nothing but '{self._path}' is known here")

    def is_directory(self, path: str) -> bool:
        raise FilesError(f"there is nothing at '{path}'")


class DirectoryFiles:
    """The files below a directory as they lie there. Symbolic links are followed as long as they stay below it."""

    def __init__(self, top: str) -> None:
        self._top = os.path.realpath(top)

    def read(self, path: str) -> str:
        try:
            # Without waiting: a FIFO would have no end.
            descriptor = os.open(self.place(path), os.O_RDONLY | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise FilesError(f"'{path}' is no regular file")
                return _text(file.read(LARGEST_FILE + 1), path)
        except FileNotFoundError:
            raise FilesError(f"there is no file '{path}'") from None
        except IsADirectoryError:
            raise FilesError(f"'{path or '.'}' is a directory") from None
        except OSError as error:
            raise FilesError(f"cannot read '{path}': {error.strerror}") from None

    def write(self, path: str, content: str) -> None:
        """Write a file, and make the directories on the way. Raises FilesError."""
        try:
            place = self.place(path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8", newline="") as file:
                file.write(content)
        except OSError as error:
            raise FilesError(f"cannot write '{path}': {error.strerror}") from None

    def names(self, path: str) -> list[str]:
        if not self.is_directory(path):
            raise FilesError(f"'{path}' is no directory")
        try:
            return sorted(os.listdir(self.place(path)))
        except OSError as error:
            raise FilesError(f"cannot read '{path}': {error.strerror}") from None

    def is_directory(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(self.place(path)).st_mode)
        except OSError:
            raise FilesError(f"there is nothing at '{path}'") from None

    def place(self, path: str) -> str:
        """Where a path of the repository lies, once every link is followed. Raises FilesError."""
        place = os.path.realpath(os.path.join(self._top, path))
        below = place[len(self._top) :] if place.startswith(self._top.rstrip("/") + "/") else ""
        if place != self._top and not below:
            raise FilesError(f"'{path}' leads out of the repository")
        if any(map(is_dot_git, below.split("/"))):
            raise FilesError(f"'{path}' is git's own")
        return place


def _text(data: bytes, path: str) -> str:
    if len(data) > LARGEST_FILE:
        raise FilesError(f"'{path}' is over {LARGEST_FILE >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FilesError(f"'{path}' is not UTF-8 in line {line}") from None
