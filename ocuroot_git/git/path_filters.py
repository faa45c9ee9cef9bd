"""Which commits may have changed a path, by the Bloom filters of a commit-graph, read without git (design 12).

git asks its filters of one path at a time, and goes through all commits for each. Here they are gone through once, for
many paths. What a filter says no to was not changed; what it says yes to is to be compared. See
gitformat-commit-graph(5), and gitformat-chunk(5).
"""

from __future__ import annotations

import os
from array import array

from .objects import Oid, Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

_MAGIC: Final = b"CGPH\1\1"
"""A graph of version 1, of ids of 20 bytes."""
_OID_SIZE: Final = 20
_COMMIT_WORDS: Final = 9
_PARENT_WORD: Final = 5
_NO_PARENT: Final = 0x70000000
_HEADER: Final = 12
"""Bytes before the filters: which hash, how many bits are set for a path, and how many there are for one."""
_HASHES: Final = (1, 2)
"""What we know: both are murmur3, but in 1 bytes from 0x80 on count as what the machine takes for a `char`."""
_SEEDS: Final = (0x293AE76F, 0x7E646E2C)
_WORD: Final = 0xFFFFFFFF
_AT_ONCE: Final = 8192
"""Commits that are looked at together: who wants the newest five does not wait for all."""
_SAMPLE: Final = 256
_SELDOM: Final = 4
"""Of how many commits one at most changes a directory that several paths share, for it to be looked for first."""


class PathFilters:
    """The filters of the graph in one `objects/info`. Raises Unanswered where it is of a form that we do not know."""

    def __init__(self, info: str) -> None:
        self._info = info
        self._layers: list[_Layer] = []
        try:
            self._files = _files_in(info)
            for path, *_ in self._files:
                with open(path, "rb") as file:
                    self._layers.append(_Layer(file.read(), sum(layer.count for layer in self._layers)))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise Unanswered(f"the commit-graph cannot be read: {error}") from None

    @property
    def are_current(self) -> bool:
        """Whether the files are those that were read."""
        try:
            return _files_in(self._info) == self._files
        except OSError:
            return False

    def can_tell(self, path: str) -> bool:
        """Whether a path may be asked for, as they spell it: in filters of the first kind one in ASCII alone."""
        is_readable = path.isascii() or all(layer.hash_version == 2 for layer in self._layers)
        return is_readable and "" not in path.split("/")

    def along(self, start: Oid, paths: Sequence[str]) -> Iterator[tuple[Oid, list[str]]]:
        """The commits along the first parents of one that may have changed some of the paths, with these; newest first.

        Whoever does not want a path any more takes it out of `paths`. Raises Unanswered where the graph does not know
        all of the commits.
        """
        keys = {path: [_hashes(name) for name in _names(path)] for path in paths}
        shared = os.path.commonpath(paths) if len(paths) > 1 else ""
        try:
            for layer, positions in self._first_parents(start):
                if not paths:
                    return
                left = positions
                if shared:
                    newest = positions[:_SAMPLE]
                    if len(layer.may_have_changed(newest, [_hashes(shared)])) * _SELDOM < len(newest):
                        left = layer.may_have_changed(positions, [_hashes(shared)])
                may_have: dict[int, list[str]] = {}
                for path in paths:
                    for position in layer.may_have_changed(left, keys[path]):
                        may_have.setdefault(position, []).append(path)
                for position in positions if may_have else ():
                    if position in may_have:
                        yield layer.oid(position), may_have[position]
        except IndexError:
            raise Unanswered("the commit-graph is damaged") from None

    def _first_parents(self, start: Oid) -> Iterator[tuple[_Layer, list[int]]]:
        """The positions of the commits in their layers, some together."""
        number, at = next(
            ((number, at) for number, layer in enumerate(self._layers) if (at := layer.find(start)) is not None),
            (-1, 0),
        )
        if number < 0:
            raise Unanswered(f"the commit-graph does not know {start}")
        left = sum(layer.count for layer in self._layers)
        while True:
            layer = self._layers[number]
            base, parents = layer.base, layer.parents
            positions: list[int] = []
            parent = base + at
            while parent >= base and parent < _NO_PARENT and len(positions) < _AT_ONCE:
                positions.append(parent - base)
                parent = parents[parent - base]
            yield layer, positions
            left -= len(positions)
            if parent >= _NO_PARENT:
                return
            if left <= 0:
                raise IndexError(parent)
            while parent < self._layers[number].base:
                number -= 1
            at = parent - self._layers[number].base


class _Layer:
    """One file, which begins with the commit of a number. Raises ValueError, KeyError or IndexError for another."""

    def __init__(self, data: bytes, base: int) -> None:
        if data[:6] != _MAGIC:
            raise ValueError("it is of a form that we do not know")
        places = [int.from_bytes(data[at + 4 : at + 12], "big") for at in range(8, 8 + 12 * (data[6] + 1), 12)]
        chunks = {data[8 + 12 * at : 12 + 12 * at]: data[places[at] : places[at + 1]] for at in range(data[6])}
        self.base = base
        self._ids = chunks[b"OIDL"]
        self.count = len(self._ids) // _OID_SIZE
        self.parents = _words(chunks[b"CDAT"])[_PARENT_WORD::_COMMIT_WORDS]
        ends = _words(chunks[b"BIDX"])
        filters = chunks[b"BDAT"]
        self.hash_version, self._bits, _ = _words(filters[:_HEADER])
        self._filters = filters[_HEADER:]
        self._starts = array("I", [0, *ends[:-1]])
        self._lengths = array("I", [end - start for start, end in zip(self._starts, ends)])
        self._all_lengths = {*self._lengths} - {0}
        self._longest = max(self._all_lengths, default=0)
        self._known_bits: dict[tuple[tuple[int, int], int], tuple[list[int], list[int]]] = {}
        is_whole = len(self.parents) == len(ends) == self.count and (not ends or ends[-1] == len(self._filters))
        if self.hash_version not in _HASHES or not is_whole or self._longest > len(self._filters):
            raise ValueError("its filters are of a form that we do not know")
        self._are_all_there = 0 not in self._lengths

    def find(self, oid: Oid) -> int | None:
        raw = bytes.fromhex(oid)
        at = self._ids.find(raw)
        while at > 0 and at % _OID_SIZE:
            at = self._ids.find(raw, at + 1)
        return None if at < 0 else at // _OID_SIZE

    def oid(self, position: int) -> Oid:
        return Oid(self._ids[_OID_SIZE * position : _OID_SIZE * (position + 1)].hex())

    def may_have_changed(self, positions: list[int], keys: list[tuple[int, int]]) -> list[int]:
        """Those of some commits whose filters have all the keys, and those that have no filter."""
        starts, lengths, filters = self._starts, self._lengths, self._filters
        left = positions if self._are_all_there else [at for at in positions if lengths[at]]
        for key in keys:
            for number in range(self._bits if left else 0):
                offsets, masks = self._bit(key, number)
                left = [at for at in left if filters[starts[at] + offsets[length := lengths[at]]] & masks[length]]
        return left if self._are_all_there else left + [at for at in positions if not lengths[at]]

    def _bit(self, key: tuple[int, int], number: int) -> tuple[list[int], list[int]]:
        """Which byte of a filter a bit of a key is in, and its mask there, by the length of the filter."""
        if (key, number) not in self._known_bits:
            hashed = (key[0] + number * key[1]) & _WORD
            offsets, masks = [0] * (self._longest + 1), [0] * (self._longest + 1)
            for length in self._all_lengths:
                offsets[length], masks[length] = (hashed % (8 * length)) >> 3, 1 << (hashed % (8 * length) & 7)
            self._known_bits[key, number] = offsets, masks
        return self._known_bits[key, number]


def _files_in(info: str) -> list[tuple[str, int, int, int]]:
    """The files of a graph, the oldest layer first: one, or a chain. Each with what says that it is as it was."""
    paths = [os.path.join(info, "commit-graph")]
    if not os.path.lexists(paths[0]):
        chain = os.path.join(info, "commit-graphs")
        with open(os.path.join(chain, "commit-graph-chain"), encoding="ascii") as lines:
            paths = [os.path.join(chain, f"graph-{line.strip()}.graph") for line in lines]
    found = [(path, os.stat(path)) for path in paths]
    return [(path, status.st_ino, status.st_size, status.st_mtime_ns) for path, status in found]


def _words(data: bytes) -> array[int]:
    words = array("I", data)
    if words.itemsize != 4:
        raise ValueError("no integers of four bytes here")
    if int.from_bytes(b"\1\0", "little") == array("H", b"\1\0")[0]:
        words.byteswap()
    return words


def _names(path: str) -> list[str]:
    """A path and all directories above it, each of which a filter has as well: those first that fewest commits have."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(len(names), 0, -1)]


def _hashes(name: str) -> tuple[int, int]:
    data = name.encode(errors="surrogateescape")
    return _murmur3(_SEEDS[0], data), _murmur3(_SEEDS[1], data)


def _murmur3(seed: int, data: bytes) -> int:
    """murmur3 of 32 bits."""

    def scrambled(word: int) -> int:
        word = word * 0xCC9E2D51 & _WORD
        return (word << 15 | word >> 17) * 0x1B873593 & _WORD

    whole = len(data) & ~3
    for at in range(0, whole, 4):
        seed ^= scrambled(int.from_bytes(data[at : at + 4], "little"))
        seed = ((seed << 13 | seed >> 19) * 5 + 0xE6546B64) & _WORD
    if whole < len(data):
        seed ^= scrambled(int.from_bytes(data[whole:], "little"))
    seed ^= len(data)
    seed = (seed ^ seed >> 16) * 0x85EBCA6B & _WORD
    seed = (seed ^ seed >> 13) * 0xC2B2AE35 & _WORD
    return seed ^ seed >> 16
