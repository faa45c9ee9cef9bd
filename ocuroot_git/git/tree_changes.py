"""Which files commits changed, asked of `git diff-tree` for many commits at once.

In one process for thousands of commits this takes a fifth of the time that comparing their trees here does.
"""

from __future__ import annotations

from .objects import ABSENT, Oid
from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Final

    from .repository import Repository

    Step = tuple[Oid, Oid | None]
    """A commit, and the one that it is compared with; None: with nothing."""
    FileChange = tuple[str, Oid, Oid, str]
    """A letter as git's `--name-status` has it (A, M, D, T), the blobs before and after (zeros: none), and the path."""
    Changed = tuple[Oid, list[FileChange], "Directories"]
    """A commit, the files that it changed, and the directories on the way to them."""

_OPTIONS: Final = (
    "--stdin",
    "-r",
    "-t",
    "-z",
    "--no-renames",
    "--no-ext-diff",
    "--root",
    "--no-abbrev",
    "--full-index",
)
_TREE: Final = b"040000"
_OF_PLACE: Final = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_DIFF_OPTS")


class TreeChanges:
    """Compares commits of one repository. All trees that differ must be here: nothing is fetched."""

    def __init__(self, repository: Repository, environ: Mapping[str, str]) -> None:
        own = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
        self._environ = {**{key: value for key, value in environ.items() if key not in _OF_PLACE}, **own}
        self._git_dir = repository.git_dir

    def of(self, steps: Sequence[Step], is_wanted: Callable[[bytes], bool] = lambda path: True) -> Iterator[Changed]:
        """Each commit that changed files whose paths are wanted, in the order given, with these changes, and with all
        directories that it changed.

        Raises GitError where git cannot compare them.
        """
        lines = "".join(f"{commit} {parent}\n" if parent else f"{commit}\n" for commit, parent in steps)
        # Of a commit that is named with parents these count, whatever grafts and shallow boundaries say.
        pieces = run(["--git-dir", self._git_dir, "diff-tree", *_OPTIONS], self._environ, data=lines.encode()).split(
            b"\0"
        )
        commit: Oid | None = None
        changes: list[FileChange] = []
        directories = Directories()
        at, end = 0, len(pieces) - 1
        while at < end:
            piece = pieces[at]
            if not piece.startswith(b":"):
                if commit is not None and changes:
                    yield commit, changes, directories
                commit, changes, directories = Oid(piece.decode()), [], Directories()
                at += 1
                continue
            path = pieces[at + 1]
            at += 2
            if piece.startswith(_TREE, 1) or piece.startswith(_TREE, 8):
                directories.add(piece, path)
            elif is_wanted(path):
                _, _, old, new, letter = piece.decode().split(" ")
                changes.append((letter, Oid(old), Oid(new), path.decode(errors="surrogateescape")))
        if commit is not None and changes:
            yield commit, changes, directories


class Directories:
    """The directories that a commit changed: the ids of each before and after, as far as somebody asks."""

    def __init__(self) -> None:
        self._lines: list[tuple[bytes, bytes]] = []
        self._ids: dict[str, tuple[Oid, Oid]] | None = None

    def add(self, line: bytes, path: bytes) -> None:
        """Take in what `git diff-tree` says of one."""
        self._lines.append((line, path))

    def ids(self, path: str) -> tuple[Oid, Oid]:
        """The trees at a path before and after the commit; zeros for none, and for one that it did not change."""
        if self._ids is None:
            self._ids = {}
            for line, raw_path in self._lines:
                old_mode, new_mode, old, new, _ = line.decode().split(" ")
                found = Oid(old) if old_mode == ":040000" else ABSENT, Oid(new) if new_mode == "040000" else ABSENT
                self._ids[raw_path.decode(errors="surrogateescape")] = found
        return self._ids.get(path, (ABSENT, ABSENT))
