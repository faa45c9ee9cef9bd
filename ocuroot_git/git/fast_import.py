"""Write many files at once, as one pack: `git fast-import` does it faster than loose objects, and tidier (design 9).

Only objects are written, first to a directory of their own: what is half made when the program is killed is swept away
by the next one, and `git prune` deletes no file there while it grows. The tree is asked for within a commit on a branch
that is dropped again in the same run, before fast-import would make it, so that nothing but the caller's
compare-and-swap moves a branch.
"""

from __future__ import annotations

import os

from .objects import ABSENT, ObjectError, Oid
from .program import GitError, run
from .scratch import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from .object_writer import ObjectWriter
    from .objects import Changes, Node

_NOTHING: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The id of the empty tree."""


def edit_in_bulk(writer: ObjectWriter, environ: Mapping[str, str], commit: Oid | None, changes: Changes) -> Node | None:
    """As `ObjectWriter.edit` of the tree of `commit` (None: of no tree), written as one pack.

    Raises ObjectError where a file stands in the place of a directory, GitError where git cannot write.
    """
    repository = writer.repository
    writer.check_edit(None if commit is None else repository.root(commit), changes)
    config = ("-c", f"core.hooksPath={os.devnull}", "-c", "fastimport.unpackLimit=1")
    arguments = [*config, "fast-import", "--quiet", "--done"]
    objects = environ.get("GIT_OBJECT_DIRECTORY") or os.path.join(repository.common_dir, "objects")
    try:
        with scratch(os.path.join(repository.common_dir, "ocuroot"), "bulk") as directory:
            writer.rely_on_packs()
            stream = b"".join(_stream(commit, changes))
            output = _run(arguments, _writing_to(directory, objects, environ), stream)
            kind, _, rest = output.partition(" tree ")
            oid = Oid(rest.partition("\t")[0])
            if kind != "040000" or not oid:
                raise ObjectError(f"cannot write to the object database: git fast-import said '{output.strip()}'")
            writer.rely_on_packs(_take_over(directory, objects))
    except OSError as error:
        raise ObjectError(f"cannot write to the object database: '{error.filename}': {error.strerror}") from None
    return None if oid == _NOTHING else repository.tree(oid)


def _writing_to(directory: str, objects: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which git writes objects to one directory and finds those of another too."""
    others = environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")
    known = '"' + os.path.abspath(objects).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return {
        **environ,
        "GIT_OBJECT_DIRECTORY": directory,
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f"{known}:{others}" if others else known,
    }


def _run(arguments: list[str], environ: Mapping[str, str], data: bytes) -> str:
    try:
        return run(arguments, environ, data=data).decode(errors="replace")
    except GitError as error:
        # What it says there of its own insides helps nobody, and would stay for ever.
        report = error.stderr.partition("dumping crash report to ")[2].partition("\n")[0].strip()
        if os.path.basename(report).startswith("fast_import_crash_") and os.path.isfile(report):
            os.unlink(report)
        raise


def _take_over(directory: str, objects: str) -> list[str]:
    """Move what git wrote to a directory into the object database; gives the names of the files.

    The index of a pack comes last: by it the pack is found.
    """
    files = [(source, name) for source, _, names in os.walk(directory) for name in names]
    for source, name in sorted(files, key=lambda file: file[1].endswith(".idx")):
        target = os.path.join(objects, os.path.relpath(source, directory))
        if not os.path.isdir(target):
            os.makedirs(target, exist_ok=True)
            os.chmod(target, os.stat(source).st_mode & 0o7777)  # as git made it: the repository may be shared
        os.replace(os.path.join(source, name), os.path.join(target, name))
    return [name for _, name in files]


def _stream(commit: Oid | None, changes: Changes) -> Iterator[bytes]:
    branch = b"refs/ocuroot/bulk-" + os.urandom(8).hex().encode()
    yield b"commit %s\ncommitter <> 0 +0000\ndata 0\n" % branch
    if commit is not None:
        yield b"from %s\n" % commit.encode()
    for path, data in changes.items():
        if data is None:
            yield b"D %s\n" % _quoted(path.removesuffix("/"))
        else:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(data), data)
    yield b'ls ""\nreset %s\nfrom %s\n\ndone\n' % (branch, ABSENT.encode())


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it: in quotes where it would be taken for something else."""
    name = path.encode(errors="surrogateescape")
    if name.startswith(b'"') or b"\n" in name:
        return b'"%s"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return name
