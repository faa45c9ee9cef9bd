"""Large walks, remembered: the refs that match some patterns below a package are kept under its tree's id (design 9).

A walk that has come to a wide level is cut into units: the packages whose releases are there, or the directories
themselves. What matches in a unit depends on its tree, its path and the patterns, so after a commit only the units that
it changed are walked again.
"""

from __future__ import annotations

from ..formats.globs import Glob
from ..formats.layout import OBJECT_FILE, StoredRef
from .steps import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout, Side
    from ..git.objects import Directory
    from .forked_walk import Progress
    from .memory import Memory
    from .steps import Step

KIND: Final = "match/1"
"""Its number is raised whenever the meaning of what is remembered changes, also that of patterns; the dialect of the
store is added, and its side where it has a tree of its own."""

_FEWEST: Final = 8
"""Units from which on it pays: where a few hold everything, each commit changes one of them."""
_LARGEST: Final = 1 << 16
"""Bytes of refs of one unit that are remembered: to read more than that again would be to walk in another place."""
_LONGEST: Final = 2000
"""Characters in patterns that are remembered."""


class Unit:
    """A directory of which is remembered what matches in it: in all of it, or in the releases just below it alone."""

    __slots__ = ("directories", "node", "of_releases", "path")

    def __init__(self, node: Node, path: str, *, of_releases: bool) -> None:
        self.node = node
        self.path = path
        self.of_releases = of_releases
        self.directories: list[Directory] = []


def take_units(todo: list[Directory], above: dict[str, tuple[Node, Step]], glob: Glob) -> list[Unit]:
    """Cut what is to be visited into units, and take that out; nothing, unless they are many and most of it.

    `above` has the directories one level higher, by path. What lies within releases is no unit: those are too many.
    """
    units: dict[tuple[str, bool], Unit] = {}
    rest = []
    for node, path, step in todo:
        parent = path.rpartition("/")[0]
        is_release = step.is_marked and parent in above and not above[parent][1].is_marked  # type: ignore[attr-defined]
        if step.is_marked and not is_release:  # type: ignore[attr-defined]
            rest.append((node, path, step))
            continue
        key = (parent if is_release else path, is_release)
        if key not in units:
            units[key] = Unit(above[parent][0] if is_release else node, key[0], of_releases=is_release)
        units[key].directories.append((node, path, step))
    if len(units) < _FEWEST or len(rest) > len(todo) // 2 or sum(map(len, glob.patterns)) > _LONGEST:
        return []
    todo[:] = rest
    return list(units.values())


def names_in(
    units: list[Unit], rest: list[Directory], files: Files, rules: Rules, memory: Memory, tell: Progress | None
) -> list[StoredRef]:
    """The stored refs that match in some units, those that are remembered and those that are found now, and in the
    rest of the directories that are to be visited.

    `tell` is told how many of both are walked.
    """
    kind = kind_of(rules.layout)
    keys = [_key(files, rules, unit) for unit in units]
    known = memory.get(kind, keys)
    names: list[StoredRef] = []
    unknown = []
    for number, (unit, key) in enumerate(zip(units, keys)):
        if key in known:
            names += [StoredRef(unit.path + text) for text in _decoded(known[key])]
        else:
            unknown.append(number)
    found, others = _walk(units, unknown, rest, files, tell)
    names += others
    for number, suffixes in found.items():
        names += [StoredRef(units[number].path + suffix) for suffix in suffixes]
    new = {keys[number]: _encoded(suffixes) for number, suffixes in found.items()}
    memory.put(kind, {key: data for key, data in new.items() if len(data) <= _LARGEST})
    return names


def work_out(files: Files, layout: Layout, key: str, node: Node) -> bytes | None:
    """What should be remembered of a tree under a key, of which the id has been taken off; None for no such key."""
    how, side, path, *patterns = bytes.fromhex(key).decode(errors="surrogateescape").split("\0")
    sides: dict[str, Side | None] = {"": None, "state": "state", "intent": "intent"}
    if side not in sides or how not in _WAYS:
        return None
    step: Step | None = Rules(layout, Glob(*patterns), sides[side]).start
    for name in path.split("/"):
        step = step[name] if step is not None else None
    if step is None:
        return None
    unit = Unit(node, path, of_releases=how == _WAYS[1])
    unit.directories = [(node, path, step)]
    if unit.of_releases:
        below: list[Directory] = []
        list(files.walk(unit.directories, below, OBJECT_FILE))
        unit.directories = [one for one in below if one[2].is_marked]  # type: ignore[attr-defined]
    return _encoded(_suffixes(unit, files))


def kind_of(layout: Layout) -> str:
    """Under which kind the matches in a tree are remembered."""
    return f"{KIND}/{layout.dialect}/{layout.side or '-'}"


_WAYS: Final = ("whole", "releases")


def _key(files: Files, rules: Rules, unit: Unit) -> str:
    words = (_WAYS[unit.of_releases], rules.side or "", unit.path, *rules.glob.patterns)
    return files.oid(unit.node) + "\0".join(words).encode(errors="surrogateescape").hex()


def _walk(
    units: list[Unit], numbers: list[int], rest: list[Directory], files: Files, tell: Progress | None
) -> tuple[dict[int, list[str]], list[StoredRef]]:
    """What matches in the units of these numbers, less their paths, and in the rest, by two processes where there is
    much."""
    from .forked_walk import in_two_told

    def walk(piece: list[int | Directory]) -> list[str]:
        directories = [one for one in piece if not isinstance(one, int)]
        of_units = [one for one in piece if isinstance(one, int)]
        texts = [f"{number}{suffix}" for number in of_units for suffix in _suffixes(units[number], files)]
        return texts + [f"/{path}" for path, _ in files.walk(directories, directories, OBJECT_FILE)]

    found: dict[int, list[str]] = {number: [] for number in numbers}
    others = []
    items: list[int | Directory] = [*numbers, *rest]
    for text in in_two_told(items, walk, tell) if len(items) >= _FEWEST else walk(items):
        number, slash, suffix = text.partition("/")
        if number:
            found[int(number)].append(slash + suffix)
        else:
            others.append(StoredRef(suffix))
    return found, others


def _suffixes(unit: Unit, files: Files) -> Iterable[str]:
    start = len(unit.path)
    todo = list(unit.directories)
    return (path[start:] for path, _ in files.walk(todo, todo, OBJECT_FILE))


def _encoded(suffixes: Iterable[str]) -> bytes:
    return "\0".join(f"={suffix}" for suffix in sorted(suffixes)).encode(errors="surrogateescape")


def _decoded(data: bytes) -> list[str]:
    texts = data.decode(errors="surrogateescape").split("\0") if data else []
    return [text[1:] for text in texts]
