"""Which files differ between trees, asked of `git diff-tree` for many pairs at once.

In one process for thousands of pairs this takes a fifth of the time that comparing the trees here does.
"""

from __future__ import annotations

from .objects import Oid
from .program import GitError, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Final

    from .repository import Repository

    Step = tuple[Oid | None, Oid]
    """Two trees; None for one that has nothing in it."""
    FileChange = tuple[bytes, bytes, bytes, bytes]
    """A letter as git's `--name-status` has it (A, M, D, T), the ids of the blobs before and after (`NONE`: none), and
    the path. All are as git wrote them: of thousands few are looked at."""

NONE: Final = b"0" * 40
"""The id of a blob that is not there."""
_NOTHING: Final = Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
"""The id of the tree that has nothing in it; git knows it everywhere."""
_OPTIONS: Final = ("--stdin", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-abbrev", "--full-index")
_HEAD: Final = 82
"""Bytes of `<id> <id>` and its end."""
_PART: Final = 1 << 18
"""Bytes of what git prints that are cut up at once."""
_LETTER: Final = slice(97, 98)
_OLD: Final = slice(15, 55)
_NEW: Final = slice(56, 96)
"""Where these are in `:100644 100644 <id> <id> M`."""
_OF_PLACE: Final = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_DIFF_OPTS")


class TreeChanges:
    """Compares trees of one repository. All that differ must be here: nothing is fetched."""

    def __init__(self, repository: Repository, environ: Mapping[str, str]) -> None:
        own = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
        self._environ = {**{key: value for key, value in environ.items() if key not in _OF_PLACE}, **own}
        self._git_dir = repository.git_dir

    def of(
        self, steps: Sequence[Step], is_wanted: Callable[[bytes], bool] = lambda path: True
    ) -> Iterator[list[FileChange]]:
        """For each pair of trees, in the order given, the files that differ, of those whose paths are wanted.

        Raises GitError where git cannot compare them.
        """
        if not steps:
            return
        arguments = ["--git-dir", self._git_dir, "diff-tree", *_OPTIONS]
        lines = "".join(f"{old or _NOTHING} {new}\n" for old, new in steps)
        pieces = _pieces(run(arguments, self._environ, data=lines.encode()))
        changes: list[FileChange] = []
        count = 0
        for piece in pieces:
            while piece and piece[:1] != b":":
                # The pair itself, with which each begins, on a line of its own: also where `-z` ends all else.
                if count:
                    yield changes
                    changes = []
                count += 1
                piece = piece[_HEAD:]
            if piece:
                path = next(pieces)
                if is_wanted(path):
                    letter = piece[_LETTER]
                    # Of what was added NONE itself: a commit may add a million files.
                    changes.append((letter, NONE if letter == b"A" else piece[_OLD], piece[_NEW], path))
        if count != len(steps):
            raise GitError(arguments, 0, f"it compared {count} pairs of trees, and not {len(steps)}")
        yield changes


def _pieces(output: bytes) -> Iterator[bytes]:
    """What git ends with NUL, cut up part by part: of a commit with a million files all at once would be many times as
    large."""
    rest = b""
    for at in range(0, len(output), _PART):
        *whole, rest = (rest + output[at : at + _PART]).split(b"\0")
        yield from whole
    yield rest
