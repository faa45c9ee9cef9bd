"""Write many files at once, as one pack: `git fast-import` does it faster than loose objects, and tidier (design 9).

Only objects are written. The tree is asked for within a commit on a branch that is dropped again in the same run,
before fast-import would make it, so that nothing but the caller's compare-and-swap moves a branch.
"""

from __future__ import annotations

import os

from .git import run
from .objects import ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from .objects import Changes, Node, Repository

_NOTHING: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The id of the empty tree."""


def edit_in_bulk(
    repository: Repository, environ: Mapping[str, str], commit: str | None, changes: Changes
) -> Node | None:
    """As `Repository.edit` of the tree of `commit` (None: of no tree), written as one pack.

    Raises ObjectError where a file stands in the place of a directory, GitError where git cannot write.
    """
    repository.check_edit(None if commit is None else repository.root(commit), changes)
    arguments = ["-c", f"core.hooksPath={os.devnull}", "fast-import", "--quiet", "--done"]
    said = run(arguments, environ, data=b"".join(_stream(commit, changes))).decode(errors="replace")
    kind, _, rest = said.partition(" tree ")
    oid = rest.partition("\t")[0]
    if kind != "040000" or not oid:
        raise ObjectError(f"cannot write to the object database: git fast-import said '{said.strip()}'")
    return None if oid == _NOTHING else repository.tree(oid)


def _stream(commit: str | None, changes: Changes) -> Iterator[bytes]:
    branch = b"refs/ocuroot/bulk-" + os.urandom(8).hex().encode()
    yield b"commit %s\ncommitter <> 0 +0000\ndata 0\n" % branch
    if commit is not None:
        yield b"from %s\n" % commit.encode()
    for path, data in changes.items():
        if data is None:
            yield b"D %s\n" % _quoted(path)
        else:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(data), data)
    yield b'ls ""\nreset %s\nfrom %s\n\ndone\n' % (branch, b"0" * 40)


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it: in quotes where it would be taken for something else."""
    name = path.encode(errors="surrogateescape")
    if name.startswith(b'"') or b"\n" in name:
        return b'"%s"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return name
