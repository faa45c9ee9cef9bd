"""The directory form of a store: the layout of the branch as files below a directory (design 4.3).

For trying things out, for tests, and for `export` and `import`. A change takes effect file by file: writers wait for
each other, but there is no history, and a crash may leave a part of a change. Use a branch where that matters.
"""

from __future__ import annotations

import os

from .errors import Fatal, NotFound
from .objects import Moved
from .places import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from .objects import Changes, Scope
    from .objects import Directory as ToVisit
    from .tree import Files


class Entry:
    """A file or directory, as a node."""

    __slots__ = ("is_directory", "name", "path")

    def __init__(self, path: str, name: str, is_directory: bool) -> None:
        self.path = path
        self.name = name
        self.is_directory = is_directory


class DirectoryFiles:
    """Reads files as nodes; the interface is that of a repository (`tree.Files`)."""

    def child(self, tree: Entry, name: str) -> Entry | None:
        path = os.path.join(tree.path, name)
        if os.path.isdir(path):
            return Entry(path, name, True)
        return Entry(path, name, False) if os.path.lexists(path) else None

    def children(self, tree: Entry) -> list[Entry]:
        with os.scandir(tree.path) as entries:
            return [Entry(entry.path, entry.name, entry.is_dir()) for entry in entries if entry.name != ".git"]

    def walk(self, todo: list[ToVisit], then: list[ToVisit], file: str) -> Iterator[tuple[str, Entry]]:
        while todo:
            directory, path, step = todo.pop()
            for entry in self.children(directory):
                if not entry.is_directory:
                    if step.wanted and entry.name == file:
                        yield path, entry
                elif (after := step[entry.name]) is not None:
                    then.append((entry, f"{path}/{entry.name}", after))

    def name(self, node: Entry) -> str:
        return node.name

    def is_tree(self, node: Entry) -> bool:
        return node.is_directory

    def data(self, blob: Entry) -> bytes:
        try:
            with open(blob.path, "rb") as file:
                return file.read()
        except OSError as error:
            raise Fatal(f"cannot read '{blob.path}': {error.strerror}") from None

    def oid(self, node: Entry) -> str:
        """The id that git would give the content."""
        from hashlib import sha1

        data = self.data(node)
        return sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()

    is_partial = False

    def prefetch(self, nodes: Iterable[Entry], scope: Scope = "self") -> None:
        pass

    def prepare_walk(self) -> None:
        pass


class Directory:
    """A directory as the place of a store."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.files: Files = DirectoryFiles()
        self.repository = None

    @property
    def where(self) -> str:
        return f"directory '{self.path}'"

    def __eq__(self, other: object) -> bool:
        return (
            os.path.realpath(self.path) == os.path.realpath(other.path)
            if isinstance(other, Directory)
            else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(os.path.realpath(self.path))

    def read(self, at: str | None = None) -> Version:
        if at is not None:
            raise NotFound(f"{self.where} has no history: '{at}' names nothing in it")
        return Version(None, Entry(self.path, "", True) if os.path.isdir(self.path) else None)

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        """Write the changes. There is nothing to compare: within its `turn` a writer is alone."""
        for path, data in changes.items():
            file = os.path.join(self.path, path)
            try:
                self._write(file, data)
            except OSError as error:
                raise Fatal(f"cannot write '{error.filename or file}': {error.strerror}") from None
        return self.read()

    def create(self, changes: Changes) -> Version:
        if os.path.isdir(self.path) and os.listdir(self.path):
            raise Moved(self.path)
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise Fatal(f"cannot make the directory '{self.path}': {error.strerror}") from None
        return self.write(self.read(), changes, "", "")

    def turn(self) -> AbstractContextManager[None]:
        """Wait until no other process writes here, and keep others waiting: by a lock on the directory, not a file."""
        from contextlib import contextmanager

        return contextmanager(self._hold_lock)()

    def _hold_lock(self) -> Iterator[None]:
        import fcntl

        if not os.path.lexists(self.path):
            yield  # there is no store, as whoever reads it will find out
            return
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Fatal(f"cannot open '{self.path}': {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def prepare_write(self) -> None:
        pass

    def end_write(self) -> None:
        pass

    def maintain(self) -> None:
        pass

    def held_lock(self) -> str | None:
        return None

    def pause(self, tries: int) -> float:
        return 0.0  # within its turn a writer is alone

    def find_operation(self, operation: str, version: Version, since: str | None) -> Version | None:
        raise Fatal(f"{self.where} has no history: it cannot tell whether '{operation}' was carried out already")

    def _write(self, path: str, data: bytes | None) -> None:
        directory = os.path.dirname(path)
        if data is None:
            os.unlink(path)
            while directory != self.path and not os.listdir(directory):
                os.rmdir(directory)
                directory = os.path.dirname(directory)
            return
        os.makedirs(directory, exist_ok=True)
        temporary = os.path.join(directory, f".tmp-{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise
