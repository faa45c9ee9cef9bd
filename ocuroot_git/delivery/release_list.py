"""`release list` over a whole store: of each package, what was listed before is remembered for its tree (design 9)."""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import REFS, Damaged, StoredRef, link_target, object_path
from ..git.objects import ObjectError
from ..store.confined import Confined, Outside, PackageTree
from ..store.draft import Draft
from . import survey
from .problems import Problems
from .queries import packages, state_tree
from .releases import listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..store.forked_walk import Progress
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .fields import Fields

KIND: Final = "releases/2"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""

_MANY: Final = 8
"""Packages to be read from which on two processes share the work."""
_KEYS: Final = {"ref", "package", "commit", "time", "tags", "newest", "work"}


def releases_of(snapshot: Snapshot, only: list[str], problems: Problems) -> list[Fields]:
    """The releases of packages (of all where none is named), in order, with how their work stands."""
    names = only or packages(state_tree(snapshot))
    known = {} if only else _remembered(snapshot, names)
    found = []
    for name in names:
        found += known[name] if name in known else listing(snapshot, name, problems)
    return found


def lines_alone(files: Files, layout: Layout, package: str, node: Node) -> bytes | None:
    """What is listed of a package, out of its own tree; None where that cannot be done, or something in it is bad."""
    problems = Problems()
    try:
        lines = listing(Confined(PackageTree(files, node, layout, package), None), package, problems)
    except Outside:
        return None
    return None if problems else to_bytes(dump(lines, None))


def _remembered(snapshot: Snapshot, names: list[str]) -> dict[str, list[Fields]]:
    """What is listed of packages, by name: of those of which it is remembered, or can be."""
    tree = state_tree(snapshot)
    if isinstance(tree, Draft) or tree.files.is_partial or snapshot.backend_of(tree)[0].repository is None:
        return {}
    memory = snapshot.surroundings.memory
    if memory is None or _may_be_led_away(tree, names):
        return {}
    nodes = {name: tree.node(f"{REFS}/{name}") for name in names}
    keys = {name: survey.key_of([tree.files.oid(node)], name) for name, node in nodes.items()}
    kind = f"{KIND}/{tree.layout.dialect}"
    data = memory.get(kind, keys.values())
    unknown = [name for name, key in keys.items() if key not in data]

    def read(piece: list[int]) -> list[str]:
        alone = (
            (number, lines_alone(tree.files, tree.layout, unknown[number], nodes[unknown[number]])) for number in piece
        )
        return [f"{number} {lines.decode()}" for number, lines in alone if lines is not None]

    new = {}
    for text in _read_all(len(unknown), read, snapshot.surroundings.progress):
        number, _, lines = text.partition(" ")
        new[keys[unknown[int(number)]]] = lines.encode()
    memory.put(kind, new)
    data.update(new)
    found = {name: _lines(data[key]) for name, key in keys.items() if key in data}
    return {name: lines for name, lines in found.items() if lines is not None}


def _may_be_led_away(tree: StoreTree, names: list[str]) -> bool:
    """Whether an object above packages is a link, which leads all refs below it elsewhere, or cannot be read."""
    above = {name.rpartition("/")[0] for name in names} - {""}
    todo = [*above]
    while todo:
        head = todo.pop().rpartition("/")[0]
        if head and head not in above:
            above.add(head)
            todo.append(head)
    try:
        for head in sorted(above):
            path = object_path(StoredRef(head))
            data = tree.file(path)
            if data is not None and link_target(data, path) is not None:
                return True
    except (Damaged, ObjectError):
        return True
    return False


def _read_all(count: int, read: Callable[[list[int]], list[str]], progress: Progress | None) -> list[str]:
    numbers = list(range(count))
    if count < _MANY:
        return read(numbers)
    from ..store.forked_walk import in_two_told

    return in_two_told(numbers, read, progress)


def _lines(data: bytes) -> list[Fields] | None:
    """What `lines_alone` wrote; None for anything else."""
    try:
        lines = parse_bytes(data)
        is_ours = isinstance(lines, list) and all(isinstance(line, dict) and line.keys() == _KEYS for line in lines)
    except ValueError:
        return None
    return lines if is_ours else None
