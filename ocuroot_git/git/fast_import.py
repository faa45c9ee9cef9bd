"""Write many files at once, as one pack: `git fast-import` does it faster than loose objects, and tidier (design 9).

Only objects are written, first to a directory of their own: what is half made when the program is killed is swept away
by the next one, and `git prune` deletes no file there while it grows. The tree is asked for within a commit on a branch
that is dropped again in the same run, before fast-import would make it, so that nothing but the caller's
compare-and-swap moves a branch.

Neither side holds all of it at once: files are taken as they come, and the trees of a directory that is done, and has
much in it, are written at once, which fast-import would keep in memory until the end.
"""

from __future__ import annotations

import os

from ..formats.refs import quoted, shared_segments, unwritable_name
from .objects import ABSENT, ObjectError, Oid
from .program import Conversation
from .scratch import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Final

    from .object_writer import ObjectWriter
    from .objects import Changes, Node
    from .repository import Repository

_COMMAND: Final = (
    *("-c", f"core.hooksPath={os.devnull}", "-c", "fastimport.unpackLimit=1"),
    *("fast-import", "--quiet", "--done"),
)
_NOTHING: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The id of the empty tree."""
_MUCH: Final = 1000
"""Entries in a directory, and below it, from which on its trees are written as soon as it is left."""
_MOST_KNOWN: Final = 1 << 14
"""Names found harmless, and how many are remembered."""


def edit_in_bulk(writer: ObjectWriter, environ: Mapping[str, str], commit: Oid | None, changes: Changes) -> Node | None:
    """As `ObjectWriter.edit` of the tree of `commit` (None: of no tree), written as one pack.

    Raises ObjectError where a file stands in the place of a directory, GitError where git cannot write.
    """
    repository = writer.repository
    writer.check_edit(None if commit is None else repository.root(commit), changes)
    writer.rely_on_packs()
    with _packed(repository, environ, commit, changes.items()) as tree:
        return tree.take_over(writer)


def packed(
    repository: Repository, environ: Mapping[str, str], files: Iterable[tuple[str, bytes]]
) -> AbstractContextManager[PackedTree]:
    """A block with a tree of these files, all of whose objects lie in packs that nobody sees before `take_over`.

    Raises ObjectError for a path that cannot be written, GitError where git cannot write, and what `files` raises.
    """
    return _packed(repository, environ, None, _checked(files))


class PackedTree:
    """A tree whose objects lie in a directory beside the object database."""

    def __init__(self, directory: str, objects: str, oid: Oid) -> None:
        self._directory = directory
        self._objects = objects
        self._oid = oid

    def take_over(self, writer: ObjectWriter) -> Node | None:
        """Put the objects into the object database, once more where they have gone; gives the tree, None if empty.

        The index of a pack comes last: by it the pack is found.
        """
        files = [(source, name) for source, _, names in os.walk(self._directory) for name in names]
        try:
            for source, name in sorted(files, key=lambda file: file[1].endswith(".idx")):
                target = os.path.join(self._objects, os.path.relpath(source, self._directory))
                if not os.path.isdir(target):
                    os.makedirs(target, exist_ok=True)
                    os.chmod(target, os.stat(source).st_mode & 0o7777)  # as git made it: the repository may be shared
                _copy(os.path.join(source, name), target)
        except OSError as error:
            raise _unwritable(error) from None
        writer.rely_on_packs([name for _, name in files])
        return None if self._oid == _NOTHING else writer.repository.tree(self._oid)


def _packed(
    repository: Repository, environ: Mapping[str, str], base: Oid | None, files: Iterable[tuple[str, bytes | None]]
) -> AbstractContextManager[PackedTree]:
    from contextlib import ExitStack, contextmanager

    @contextmanager
    def block() -> Iterator[PackedTree]:
        objects = environ.get("GIT_OBJECT_DIRECTORY") or os.path.join(repository.common_dir, "objects")
        with ExitStack() as stack:
            try:
                directory = stack.enter_context(scratch(os.path.join(repository.common_dir, "ocuroot"), "bulk"))
                place = _environment(directory, repository.common_dir, None if base is None else objects, environ)
            except OSError as error:
                raise _unwritable(error) from None
            with Conversation(_COMMAND, place) as git:
                oid = _write(git, base, files)
            yield PackedTree(place["GIT_OBJECT_DIRECTORY"], objects, oid)

    return block()


def _environment(directory: str, common_dir: str, known: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which git writes objects to a directory, and finds those of `known` too.

    For git the directory is a work tree's own part of the repository, so that the report it makes of its own insides,
    where it fails or is killed, goes with it.
    """
    written = os.path.join(directory, "objects")
    os.mkdir(written)
    with open(os.path.join(directory, "HEAD"), "w", encoding="ascii") as file:
        file.write("ref: refs/heads/none\n")
    places = {
        **environ,
        "GIT_DIR": directory,
        "GIT_COMMON_DIR": os.path.abspath(common_dir),
        "GIT_OBJECT_DIRECTORY": written,
    }
    others = places.pop("GIT_ALTERNATE_OBJECT_DIRECTORIES", None)
    if known is not None:
        quoted_path = '"' + os.path.abspath(known).replace("\\", "\\\\").replace('"', '\\"') + '"'
        places["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f"{quoted_path}:{others}" if others else quoted_path
    return places


def _write(git: Conversation, base: Oid | None, files: Iterable[tuple[str, bytes | None]]) -> Oid:
    """Have git write files on top of a commit; gives the id of the tree."""
    branch = b"refs/ocuroot/bulk-" + os.urandom(8).hex().encode()
    git.tell(b"commit %s\ncommitter <> 0 +0000\ndata 0\n" % branch)
    if base is not None:
        git.tell(b"from %s\n" % base.encode())
    entered: list[str] = []
    entries: list[int] = []
    """The directories on the way to the last file, and how many entries of each, and below it, git holds."""
    for path, data in files:
        if data is None:
            git.tell(b"D %s\n" % _quoted(path.removesuffix("/")))
            continue
        *directories, _ = path.split("/")
        common = shared_segments(entered, directories)
        while len(entered) > common:
            held = entries.pop()
            if held >= _MUCH:
                _write_trees(git, "/".join(entered))
                held = 1
            entered.pop()
            if entries:
                entries[-1] += held
        for name in directories[common:]:
            entered.append(name)
            entries.append(0)
        if entries:
            entries[-1] += 1
        git.tell(b"M 100644 inline %s\ndata %d\n" % (_quoted(path), len(data)))
        git.tell(data)
        git.tell(b"\n")
    answer = git.ask(b'ls ""\n').decode(errors="replace")
    git.tell(b"reset %s\nfrom %s\n\ndone\n" % (branch, ABSENT.encode()))
    git.finish()
    oid = _tree_in(answer)
    if oid is None:
        raise ObjectError(f"cannot write to the object database: git fast-import said '{answer.strip()}'")
    return oid


def _write_trees(git: Conversation, directory: str) -> None:
    """Have git write the trees of a directory, and forget what is in it: it reads that again where it must."""
    path = _quoted(directory)
    oid = _tree_in(git.ask(b"ls %s\n" % path).decode(errors="replace"))
    if oid is not None:
        git.tell(b"M 040000 %s %s\n" % (oid.encode(), path))


def _tree_in(answer: str) -> Oid | None:
    kind, _, rest = answer.partition(" tree ")
    return Oid(rest.partition("\t")[0]) if kind == "040000" else None


def _checked(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    harmless: set[str] = set()
    for path, data in files:
        for segment in path.split("/"):
            if segment not in harmless:
                if why := unwritable_name(segment):
                    raise ObjectError(f"cannot write {quoted(path)}: there is an entry {quoted(segment)} in it: {why}")
                if len(harmless) < _MOST_KNOWN:
                    harmless.add(segment)
        yield path, data


def _copy(source: str, directory: str) -> None:
    """Put a file into a directory, in the place of one that may be there, and keep it where it is.

    What another process sees half made bears a name by which git knows it for that, and removes it.
    """
    name = os.path.basename(source)
    half_made = os.path.join(directory, f"tmp_{os.getpid()}_{name}")
    try:
        os.link(source, half_made)
    except OSError:
        _copy_contents(source, half_made)  # there are file systems without links
    os.replace(half_made, os.path.join(directory, name))


def _copy_contents(source: str, target: str) -> None:
    from shutil import copyfileobj

    with open(source, "rb") as read, open(target, "wb") as written:
        os.fchmod(written.fileno(), os.stat(source).st_mode & 0o7777)
        copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _unwritable(error: OSError) -> ObjectError:
    return ObjectError(f"cannot write to the object database: '{error.filename}': {error.strerror}")


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it everywhere."""
    name = path.encode(errors="surrogateescape")
    return b'"%s"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
