"""What the files of git's commit-graph say of a commit, read without git: see gitformat-commit-graph(5)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Final

    from .objects import Oid

_MAGIC: Final = b"CGPH\1\1"
"""A graph of version 1, of ids of 20 bytes."""
_CHANGED_PATHS: Final = b"BDAT"
_OID_SIZE: Final = 20
_COMMIT_SIZE: Final = _OID_SIZE + 16


class GraphFiles:
    """The layers of the commit-graph in one `objects/info`, as they are now; a block, in which they are open.

    A layer that is not of a form that we know, or cannot be read, counts as none.
    """

    def __init__(self, info: str) -> None:
        self._info = info
        self._layers: list[_Layer] = []

    def __enter__(self) -> GraphFiles:
        chain = os.path.join(self._info, "commit-graphs")
        paths = [os.path.join(self._info, "commit-graph")]
        try:
            with open(os.path.join(chain, "commit-graph-chain"), encoding="ascii") as lines:
                paths += [os.path.join(chain, f"graph-{line.strip()}.graph") for line in lines]
        except (OSError, ValueError):
            pass  # there is none
        for path in paths:
            try:
                file = open(path, "rb")
            except OSError:
                continue
            try:
                self._layers.append(_Layer(file))
            except (OSError, ValueError, KeyError):
                file.close()
        return self

    def __exit__(self, *error: object) -> None:
        for layer in self._layers:
            layer.close()

    def knows(self, commit: Oid) -> bool:
        """Whether a commit is in a layer that has the paths that each commit changed."""
        oid = bytes.fromhex(commit)
        return any(layer.has_changed_paths and layer.find(oid) is not None for layer in self._layers)

    def level(self, commit: Oid) -> int | None:
        """The level of a commit: larger than those of its parents. None where the graph does not tell it."""
        oid = bytes.fromhex(commit)
        for layer in self._layers:
            position = layer.find(oid)
            if position is not None:
                return layer.level(position) or None
        return None


class _Layer:
    """One file. Raises OSError, ValueError or KeyError where it is none, or is cut short."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = file.read(8)
        if header[:6] != _MAGIC:
            raise ValueError("not a commit-graph of a form that we know")
        chunks = {}
        for _ in range(header[6] + 1):
            entry = file.read(12)
            chunks[entry[:4]] = int.from_bytes(entry[4:], "big")
        file.seek(chunks[b"OIDF"])
        counts = file.read(4 * 256)
        self._counts = [0, *(int.from_bytes(counts[at : at + 4], "big") for at in range(0, len(counts), 4))]
        if len(counts) < 4 * 256:
            raise ValueError("cut short")
        self._ids, self._commits = chunks[b"OIDL"], chunks[b"CDAT"]
        self.has_changed_paths = _CHANGED_PATHS in chunks

    def find(self, oid: bytes) -> int | None:
        """The position of a commit in the file; None where it is not in it."""
        low, high = self._counts[oid[0]], self._counts[oid[0] + 1]
        ids = self._read(self._ids + _OID_SIZE * low, _OID_SIZE * (high - low))
        at = ids.find(oid)
        while at > 0 and at % _OID_SIZE:
            at = ids.find(oid, at + 1)
        return None if at < 0 else low + at // _OID_SIZE

    def level(self, position: int) -> int:
        """The level of the commit at a position; 0 where it is not told."""
        data = self._read(self._commits + _COMMIT_SIZE * position + _OID_SIZE + 8, 4)
        return int.from_bytes(data, "big") >> 2

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, start)
