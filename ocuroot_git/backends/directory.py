"""The directory form of a store: the layout of the branch as files below a directory (design 4.3).

For trying things out, for tests, and for `export` and `import`. A change takes effect file by file: writers wait for
each other, but there is no history, and a crash may leave a part of a change. Use a branch where that matters.
"""

from __future__ import annotations

import errno
import os
import stat

from ..errors import Fatal, NotFound
from ..formats.refs import quoted, shared_segments, unsafe_name, unwritable_name
from ..git.objects import END, FILE, ObjectError, Oid, RefMoved
from .base import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Final

    from ..git.objects import Changes, Outline, Scope, Shape
    from ..git.objects import Directory as ToVisit
    from .base import Files, Outbox
    from .operations import Carried

_TEMPORARY: Final = ".ocuroot-tmp"
"""The file at the top of the store in which a new content is written, before it takes its place. Writers are alone,
so what lies there was left by one that was killed."""

_MOST_KNOWN: Final = 1 << 14
"""Names found harmless, and how many are remembered."""


class Entry:
    """A file or directory, as a node. `is_directory` is false for all that is no directory, whatever else it is."""

    __slots__ = ("is_directory", "name", "path")

    def __init__(self, path: str, name: str, is_directory: bool) -> None:
        self.path = path
        self.name = name
        self.is_directory = is_directory


class DirectoryFiles:
    """Reads files as nodes; the interface is that of a repository (`base.Files`).

    Symbolic links are not followed, so that nothing outside the directory is read as if it were in the store; and
    nothing is opened but files and directories. The directory of the store itself is what its user named: it may be
    reached by links.
    """

    def child(self, tree: Entry, name: str) -> Entry | None:
        path = os.path.join(tree.path, name)
        if unsafe_name(name):
            return None
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError, UnicodeEncodeError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise _unreadable(path, error) from None
        _refuse_special(path, mode)
        return Entry(path, name, stat.S_ISDIR(mode))

    def children(self, tree: Entry, *, checked: bool = True) -> list[Entry]:
        found = []
        try:
            with os.scandir(tree.path) as entries:
                for entry in entries:
                    if checked and (why := unsafe_name(entry.name)):
                        if entry.name == ".git" and not tree.name:
                            continue  # the store lies at the top of a work tree
                        raise ObjectError(f"refusing to read '{entry.path}': {why}")
                    is_directory = entry.is_dir(follow_symlinks=False)
                    if checked and not is_directory and not entry.is_file(follow_symlinks=False):
                        _refuse_special(entry.path, os.lstat(entry.path).st_mode)
                    found.append(Entry(entry.path, entry.name, is_directory))
        except OSError as error:
            raise _unreadable(tree.path, error) from None
        return found

    def oddities(self, tree: Entry) -> list[tuple[str, str]]:
        found = []
        for entry in self.children(tree, checked=False):
            try:
                why = unsafe_name(entry.name) or _special(os.lstat(entry.path).st_mode)
            except OSError as error:
                why = f"it cannot be read: {error.strerror}"
            if why and (tree.name or entry.name != ".git"):
                found.append((entry.name, why))
        return found

    def listing(self, tree: Entry) -> tuple[list[tuple[str, Entry, bool]], dict[str, str]]:
        entries = self.children(tree, checked=False)
        return [(entry.name, entry, entry.is_directory) for entry in entries], dict(self.oddities(tree))

    def walk(self, todo: list[ToVisit], then: list[ToVisit], file: str) -> Iterator[tuple[str, Entry]]:
        while todo:
            directory, path, step = todo.pop()
            for entry in self.children(directory):
                if not entry.is_directory:
                    if step.wanted and entry.name == file:
                        yield path, entry
                elif (after := step[entry.name]) is not None:
                    then.append((entry, f"{path}/{entry.name}", after))

    def outline(self, tree: Entry, shape: Shape, file: str) -> tuple[Outline, dict[str, Entry], list[Entry]]:
        names = []
        nodes = {}
        below = []
        looked_into = [(tree, shape)]
        for directory, inside in looked_into:
            for node in self.children(directory):
                inner = inside.get(node.name, inside.get("*"))
                if not node.is_directory:
                    if node.name == file:
                        names.append(FILE)
                    continue
                names.append(node.name)
                if inner is not None:
                    looked_into.append((node, inner))
                elif directory is tree:
                    nodes[node.name] = node
                else:
                    below.append(node)
            names.append(END)
        return tuple(names), nodes, below

    def count(self, trees: Iterable[Entry], file: str) -> int:
        todo = list(trees)
        number = 0
        for directory in todo:
            for node in self.children(directory):
                if node.is_directory:
                    todo.append(node)
                else:
                    number += node.name == file
        return number

    def name(self, node: Entry) -> str:
        return node.name

    def is_tree(self, node: Entry) -> bool:
        return node.is_directory

    def data(self, blob: Entry) -> bytes:
        try:
            # O_NONBLOCK: what was made a FIFO since it was found must not be waited for.
            descriptor = os.open(blob.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:
                _refuse_special(blob.path, os.fstat(descriptor).st_mode)
                return file.read()
        except OSError as error:
            raise _unreadable(blob.path, error) from None

    def oid(self, node: Entry) -> Oid:
        """The id that git would give the content of a file; for a directory one that tells contents apart as well."""
        from hashlib import sha1

        if node.is_directory:
            below = sorted(f"{entry.name}\0{self.oid(entry)}" for entry in self.children(node, checked=False))
            return Oid(sha1("\0".join(below).encode(errors="surrogateescape")).hexdigest())
        data = self.data(node)
        return Oid(sha1(b"blob %d\0%s" % (len(data), data)).hexdigest())

    is_partial = False

    def is_absent(self, node: Entry) -> bool:
        return False

    def prefetch(self, nodes: Iterable[Entry], scope: Scope = "near") -> None:
        pass

    def prefetch_below(self, nodes: Iterable[Entry]) -> None:
        pass

    def prepare_walk(self, *, checked: bool = False) -> None:
        pass


class DirectoryFilling:
    """A directory that was filled, and is cleared again unless it is made a store."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.count = 0
        """How many files were written."""
        self.is_made = False

    def make(self, first: Changes, message: str, reason: str) -> Version:
        """Let it stay. There is no first version beside it, and no message."""
        self.is_made = True
        return self._directory.read()


class Directory:
    """A directory as the backend of a store."""

    outbox: Outbox | None = None
    """Writers here wait for each other: they do not combine."""

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
                if path.endswith("/"):
                    self._remove(path.removesuffix("/"))
                else:
                    self._write(path, data)
            except OSError as error:
                raise Fatal(f"cannot write '{error.filename or file}': {error.strerror}") from None
        return self.read()

    def begin(self, version: Version) -> None:
        return None

    def create(self, changes: Changes, empty: Version | None = None) -> Version:
        self._make()
        with self.write_lock():
            if not self._is_empty():
                raise RefMoved(self.path)
            return self.write(self.read(), changes, "", "")

    def filled(self, contents: Iterable[tuple[str, bytes]]) -> AbstractContextManager[DirectoryFilling]:
        """As `Backend.filled`; but the directory, which must be new or empty, is filled at once.

        It is quick where the files of a directory, and below it, come one after the other. Raises RefMoved where there
        is something in the directory already.
        """
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[DirectoryFilling]:
            is_new = not os.path.lexists(self.path)
            self._make()
            with self.write_lock():
                if not self._is_empty():
                    raise RefMoved(self.path)
                filling = DirectoryFilling(self)
                try:
                    try:
                        filling.count = _write_new(self.path, contents, self.where)
                    except OSError as error:
                        raise Fatal(f"cannot write '{error.filename or self.path}': {error.strerror}") from None
                    yield filling
                finally:
                    if not filling.is_made:
                        _clear(self.path, is_new=is_new)

        return block()

    def _make(self) -> None:
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise Fatal(f"cannot make the directory '{self.path}': {error.strerror}") from None

    def _is_empty(self) -> bool:
        try:
            return os.listdir(self.path) in ([], [_TEMPORARY])
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def write_lock(self) -> AbstractContextManager[None]:
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

    def who_writes(self) -> None:
        return None

    def prepare_write(self) -> None:
        pass

    def end_write(self) -> None:
        pass

    def maintain(self) -> None:
        pass

    def held_lock(self) -> str | None:
        return None

    def may_be_collected(self) -> bool:
        return False

    def pause(self, tries: int) -> float:
        return 0.0  # within its turn a writer is alone

    def find_operation(self, name: str, version: Version, since: Oid | None) -> Carried | None:
        raise Fatal(f"{self.where} has no history: it cannot tell whether '{name}' was carried out already")

    def _write(self, path: str, data: bytes | None) -> None:
        *directories, name = segments = path.split("/")
        for segment in segments:
            _check_writable(segment, path, self.where)
        above = self.path
        for segment in directories:
            above = os.path.join(above, segment)
            self._enter(above, make=data is not None)
        file = os.path.join(above, name)
        if os.path.lexists(file):
            _refuse_special(file, os.lstat(file).st_mode)
        if data is None:
            os.unlink(file)
            self._remove_empty(above)
            return
        temporary = os.path.join(self.path, _TEMPORARY)
        if os.path.lexists(temporary):
            os.unlink(temporary)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with open(descriptor, "wb") as opened:
                opened.write(data)
            os.replace(temporary, file)
        except OSError as error:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            error.filename = file  # not the temporary one, which says nothing to the user
            raise

    def _remove(self, path: str) -> None:
        """Remove a directory with all that is in it."""
        import shutil

        above = self.path
        for segment in path.split("/"):
            if why := unwritable_name(segment):
                raise Fatal(f"refusing to remove {quoted(path)} in {self.where}: {quoted(segment)}: {why}")
            above = os.path.join(above, segment)
            self._enter(above, make=False)
        shutil.rmtree(above)
        self._remove_empty(os.path.dirname(above))

    def _remove_empty(self, directory: str) -> None:
        while directory != self.path and not os.listdir(directory):
            os.rmdir(directory)
            directory = os.path.dirname(directory)

    def _enter(self, directory: str, *, make: bool) -> None:
        """See that a directory on the way to a file is one, and no link to one elsewhere; make it where it is not."""
        try:
            mode = os.lstat(directory).st_mode
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(directory)
            return
        _refuse_special(directory, mode)


def _check_writable(segment: str, path: str, where: str) -> None:
    if why := unwritable_name(segment):
        raise Fatal(f"refusing to write {quoted(path)} in {where}: there is {quoted(segment)} in it: {why}")


def _write_new(top: str, contents: Iterable[tuple[str, bytes]], where: str) -> int:
    """Write files that are not there yet, and the directories on the way to each, in which nobody else has a part."""
    harmless: set[str] = set()
    made: list[str] = []
    """The directories on the way to the last file."""
    count = 0
    for path, data in contents:
        *directories, name = path.split("/")
        for segment in (*directories, name):
            if segment not in harmless:
                _check_writable(segment, path, where)
                if len(harmless) < _MOST_KNOWN:
                    harmless.add(segment)
        del made[shared_segments(made, directories) :]
        above = "/".join((top, *made))
        for segment in directories[len(made) :]:
            above = f"{above}/{segment}"
            try:
                os.mkdir(above)
            except FileExistsError:
                _refuse_special(above, os.lstat(above).st_mode)
            made.append(segment)
        file = f"{above}/{name}"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            error.filename = file
            raise
        finally:
            os.close(descriptor)
        count += 1
    return count


def _clear(directory: str, *, is_new: bool) -> None:
    """Remove all that is in a directory, and the directory itself if it `is_new`."""
    import shutil

    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    if is_new:
        os.rmdir(directory)


def _special(mode: int) -> str | None:
    """Why a store cannot hold a file of this mode; None where it can."""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if stat.S_ISLNK(mode):
        return "it is a symbolic link"
    return "it is a FIFO" if stat.S_ISFIFO(mode) else "it is a socket" if stat.S_ISSOCK(mode) else "it is a device"


def _refuse_special(path: str, mode: int) -> None:
    why = _special(mode)
    if why:
        raise ObjectError(f"refusing to use '{path}': {why}", hint="a store of files holds files and directories only")


def _unreadable(path: str, error: OSError) -> ObjectError:
    return ObjectError(f"cannot read '{path}': {error.strerror}")
