"""Directories that hold documents and nothing else, remembered under the ids of their trees (design 9).

Of such a directory it is known that every ref in it leads to just the document that lies there, and that this can be
read: there is no link in it, no file or name that no store should have, and nothing damaged. That depends on its tree
alone, wherever it stands below a type.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import OBJECT_FILE, Damaged, StoredObject
from ..formats.refs import Ref, RefError
from ..git.objects import ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from ..backends.base import Files, Node
    from .memory import Memory

KIND: Final = "plain/1"
"""Its number is raised whenever the meaning of what is remembered changes, also that of what a ref may be."""
_FEWEST: Final = 64
"""Documents in a directory from which on it pays to remember it."""
_MANY: Final = 1000
"""Directories to be read from which on it pays that libgit2 keeps nothing of them."""
_LONGEST: Final = 1 << 16
"""Bytes of an entry: a directory with more exceptions than that is read anew each time."""
_MOST_HERE: Final = 1 << 14
"""Directories that one process keeps: a page that is open for weeks sees many."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."


class Contents:
    """What a directory holds: `others` are the names in it that stand for anything but directories that hold documents
    and nothing else.

    With `is_sound` these lie where their names say: the directory's own object is no link, and its entries are in git's
    order, each name once.
    """

    __slots__ = ("is_sound", "others")

    def __init__(self, is_sound: bool, others: Iterable[str]) -> None:
        self.is_sound = is_sound
        self.others = frozenset(others)

    @property
    def is_plain(self) -> bool:
        """Whether the directory holds documents and nothing else."""
        return self.is_sound and not self.others

    def to_bytes(self) -> bytes:
        return to_bytes(dump([self.is_sound, sorted(self.others)], None))

    @classmethod
    def of_bytes(cls, data: bytes) -> Contents | None:
        """What `to_bytes` wrote; None for what is of another shape."""
        try:
            is_sound, others = parse_bytes(data)
        except (ValueError, TypeError):
            return None
        is_known = type(is_sound) is bool and type(others) is list and all(type(name) is str for name in others)
        return cls(is_sound, others) if is_known else None


class _Directory:
    """A directory while it is found out what it holds, and how many documents: of one that is known at least as many as
    pay. What cannot be read, as it may be missing, is not to be remembered.
    """

    __slots__ = ("below", "contents", "documents", "is_lasting", "is_sound", "node", "object", "others")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.contents: Contents | None = None
        self.object: Node | None = None
        self.below: list[tuple[str, _Directory]] = []
        self.others: list[str] = []
        self.documents = _FEWEST
        self.is_sound = True
        self.is_lasting = True


class PlainDirectories:
    """Tells what directories of a git repository hold. `here` is what this process knows, by their ids, and `memory`
    what others do."""

    def __init__(self, files: Files, memory: Memory | None, here: dict[str, Contents]) -> None:
        self._files = files
        self._memory = memory
        self._here = here

    def contents(self, node: Node) -> Contents:
        """What a directory holds."""
        contents = self._find_out(node).contents
        assert contents is not None
        return contents

    def work_out(self, node: Node) -> bytes:
        """What should be remembered of a directory. Raises ObjectError where something in it cannot be read."""
        directory = self._find_out(node)
        if directory.contents is None or not directory.is_lasting:
            raise ObjectError(f"cannot read all of tree {self._files.oid(node)}")
        return directory.contents.to_bytes()

    def _find_out(self, node: Node) -> _Directory:
        """Read a directory from the top down, and judge it from the bottom up, each tree once."""
        top = _Directory(node)
        met: dict[str, _Directory] = {self._files.oid(node): top}
        unknown: dict[str, _Directory] = {}
        level = dict(met)
        while level:
            self._look_up(level)
            level = {id_: directory for id_, directory in level.items() if directory.contents is None}
            if top in level.values():
                self._files.prefetch_below([node])
            if len(level) >= _MANY:
                self._files.prepare_walk()
            unknown.update(level)
            below: dict[str, _Directory] = {}
            for directory in level.values():
                self._list(directory, met, below)
            level = below
        if self._files.is_partial:
            self._files.prefetch([one.object for one in unknown.values() if one.object is not None])
        todo = [top]
        while todo:
            directory = todo.pop()
            lacking = [below for _, below in directory.below if below.contents is None]
            if lacking:
                todo += [directory, *lacking]
            elif directory.contents is None:
                self._judge(directory)
        self._remember(unknown)
        return top

    def _look_up(self, level: dict[str, _Directory]) -> None:
        """Tell of the directories of a level what is known."""
        lacking = []
        for id_, directory in level.items():
            directory.contents = self._here.get(id_)
            if directory.contents is None:
                lacking.append(id_)
        if self._memory is not None:
            for id_, data in self._memory.get(KIND, lacking).items():
                contents = Contents.of_bytes(data)
                if contents is not None:
                    level[id_].contents = self._here[id_] = contents

    def _list(self, directory: _Directory, met: dict[str, _Directory], new: dict[str, _Directory]) -> None:
        """Find out what lies in a directory, and let go of its node; those below that were not `met` are `new`."""
        files = self._files
        order = []
        tree, directory.node = directory.node, None
        try:
            for node in files.children(tree):
                name = files.name(node)
                is_directory = files.is_tree(node)
                order.append(f"{name}/" if is_directory else name)
                if name == OBJECT_FILE and not is_directory:
                    directory.object = node
                elif is_directory and is_segment(name):
                    id_ = files.oid(node)
                    if id_ not in met:
                        met[id_] = new[id_] = _Directory(node)
                    directory.below.append((name, met[id_]))
                else:
                    directory.others.append(name)
        except ObjectError:
            directory.is_sound = directory.is_lasting = False
            directory.below = []
            return
        names = {name.removesuffix("/") for name in order}
        is_in_order = order == sorted(order) and len(names) == len(order)
        directory.is_sound = is_in_order and f"{OBJECT_FILE}/" not in order

    def _judge(self, directory: _Directory) -> None:
        """Say what a directory holds, those below it being judged."""
        directory.documents = 0
        if directory.object is not None:
            try:
                is_document = StoredObject.read(self._files.data(directory.object), OBJECT_FILE).kind == "ref"
            except Damaged:
                is_document = False
            except ObjectError:
                is_document = directory.is_lasting = False
            directory.is_sound = directory.is_sound and is_document
            directory.documents += 1
        for name, below in directory.below:
            assert below.contents is not None
            directory.documents += below.documents
            directory.is_lasting = directory.is_lasting and below.is_lasting
            if not below.contents.is_plain:
                directory.others.append(name)
        directory.contents = Contents(directory.is_sound, directory.others)

    def _remember(self, directories: dict[str, _Directory]) -> None:
        new = {}
        for id_, directory in directories.items():
            contents = directory.contents
            if contents is not None and directory.is_lasting and directory.documents >= _FEWEST:
                new[id_] = contents
        if len(self._here) + len(new) > _MOST_HERE:
            self._here.clear()
        self._here.update(new)
        if self._memory is not None:
            entries = {id_: contents.to_bytes() for id_, contents in new.items()}
            self._memory.put(KIND, {id_: data for id_, data in entries.items() if len(data) <= _LONGEST})


def is_segment(name: str) -> bool:
    """Whether a name may stand in a ref after its type, and means itself there."""
    if 0 < len(name) <= 100 and name[0] != "." and not name.strip(_LETTERS):
        return True  # as nearly always
    try:
        ref = Ref.parse(f"@/custom/{name}")
    except RefError:
        return False
    return ref.name == name and not ref.fragment
