"""Which of git's filters a server takes, and what it is asked for instead of one that it does not take (design 8.4).

A server that filters at all may refuse some filters, or bound their depth (`uploadpackfilter` of git-config(5)). Large
hosts do, as only `blob:none` and `tree:0` are cheap for them. It says so when it is asked; what it said is kept, so
that it is asked in vain once, and not by each command.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NONE: Final = "--no-filter"
_BLOBS: Final = "blob:none"
_SMALL_BLOBS: Final = "blob:limit"
_TREES: Final = "tree"
_DEEPEST: Final = "depth"
"""How a line of the file begins that says how deep trees may be asked for; the others are filters that were refused."""


class RemoteFilters:
    """The filters that the server of a cache takes, as far as it has said so; kept in a file at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._refused: set[str] | None = None
        self._depth: int | None = None

    def option(self, wanted: str | None) -> str:
        """The option of `git fetch` for a filter (None: for none), or for the next wider one that the server takes: it
        gives more, never less, but that trees come with fewer levels below them than `wanted` says, and small files
        not at all from a server that takes `blob:none` only."""
        if wanted is None:
            return _NONE
        self._read()
        assert self._refused is not None
        kind, _, depth = wanted.partition(":")
        if kind == _TREES and _TREES not in self._refused:
            return f"--filter={kind}:{depth if self._depth is None else min(int(depth), self._depth)}"
        if wanted.startswith(_SMALL_BLOBS) and _SMALL_BLOBS not in self._refused:
            return f"--filter={wanted}"
        return f"--filter={_BLOBS}" if _BLOBS not in self._refused else _NONE

    def note_refusal(self, stderr: str) -> bool:
        """Take note of what a server refused, from git's stderr; whether that is new, so that it pays to ask again."""
        import re  # late: hardly any server refuses anything, and then once

        self._read()
        assert self._refused is not None
        depth = re.search(r"tree filter allows max depth (\d+)", stderr)
        filter_ = re.search(rf"filter '({_TREES}|{_BLOBS}|{_SMALL_BLOBS})' not supported", stderr)
        if depth is not None and (self._depth is None or int(depth[1]) < self._depth):
            self._depth = int(depth[1])
        elif filter_ is not None and filter_[1] not in self._refused:
            self._refused.add(filter_[1])
        else:
            return False
        self._keep()
        return True

    def _read(self) -> None:
        if self._refused is not None:
            return
        self._refused = set()
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            return  # nothing was refused yet
        for line in lines:
            kind, _, number = line.partition(" ")
            if kind == _DEEPEST and number.isdecimal():
                self._depth = int(number)
            else:
                self._refused.add(line)

    def _keep(self) -> None:
        assert self._refused is not None
        lines = sorted(self._refused) + ([f"{_DEEPEST} {self._depth}"] if self._depth is not None else [])
        temporary = f"{self._path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "w", encoding="ascii") as file:
                file.write("".join(f"{line}\n" for line in lines))
            os.replace(temporary, self._path)
        except OSError:
            pass  # the next command asks again
