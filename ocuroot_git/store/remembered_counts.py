"""How many documents lie below directories: remembered for those that hold many, under their trees' ids (design 9)."""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..backends.base import Files, Node
    from .memory import Memory

KIND: Final = "count/1"
_FEWEST: Final = 64
"""Documents in a directory from which on it pays to remember their number."""
_WIDEST: Final = 1000
"""Directories in one that are counted one by one: very many hold little each, and to look them up takes longer."""
_LONGEST: Final = 18
"""Digits of a number that may be right: of thousands, Python would make none."""
_DEEPEST: Final = 3
"""Levels of them."""


def counted(files: Files, memory: Memory, directories: list[Node], level: int = 1) -> int:
    """How many documents and links lie in some directories and below them, as `Files.count` has it."""
    nodes: dict[str, Node] = {files.oid(node): node for node in directories}
    known = {
        id_: int(data) for id_, data in memory.get(KIND, nodes).items() if data.isdigit() and len(data) <= _LONGEST
    }
    new = {id_: _count(files, memory, node, level) for id_, node in nodes.items() if id_ not in known}
    memory.put(KIND, {id_: b"%d" % number for id_, number in new.items() if number >= _FEWEST})
    known.update(new)
    return sum(known[files.oid(node)] for node in directories)


def _count(files: Files, memory: Memory, directory: Node, level: int) -> int:
    entries = list(files.children(directory, checked=False))
    below = [node for node in entries if files.is_tree(node)]
    if level == _DEEPEST or len(below) > _WIDEST:
        return files.count([directory], OBJECT_FILE)
    own = sum(files.name(node) == OBJECT_FILE and not files.is_tree(node) for node in entries)
    return own + counted(files, memory, below, level + 1)
