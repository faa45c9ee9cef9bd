"""The documents of one package, read as if there were nothing else: for what is remembered of it (design 9).

What was found out in this way depends on the trees of the package alone, and on its name, since it could see nothing
else: where more is asked for, `Outside` is raised.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, StoredRef
from .snapshot import NoStore, Snapshot
from .tree import StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..backends.base import Files, Node
    from ..formats.layout import Layout, ShownRef, Side
    from ..formats.refs import Ref


class Outside(Exception):
    """Something was asked for that lies outside of the package."""


def _above(package: str) -> Iterator[StoredRef]:
    """The stored refs above a package, none of which is taken for a link."""
    above = package.rpartition("/")[0]
    while above:
        yield StoredRef(above)
        above = above.rpartition("/")[0]


class PackageTree(StoreTree):
    """What one store has of a package (`repo/-/path`), from its node there (None: nothing).

    It takes for granted that none of the directories above the package has an object of its own, which could be a link.
    """

    def __init__(self, files: Files, node: Node | None, layout: Layout, package: str) -> None:
        super().__init__(files, None, layout)
        self.package = package
        self._top = f"{REFS}/{package}"
        self._below = f"{self._top}/"
        self._own = node
        self._directories = {self._top: node}
        self._targets = dict.fromkeys(_above(package))

    def node(self, path: str) -> Node | None:
        if self._is_within(path):
            return super().node(path)
        if self._is_above(path):
            return self._own  # only ever asked whether it is there, and a directory
        if self._is_object_above(path):
            return None
        raise Outside(path)

    def file(self, path: str) -> bytes | None:
        return super().file(path) if self._is_within(path) or not self._is_object_above(path) else None

    def names(self, path: str) -> list[str]:
        if not self._is_within(path):
            raise Outside(path)
        return super().names(path)

    def _is_within(self, path: str) -> bool:
        return path.startswith(self._below) or path == self._top

    def _is_above(self, path: str) -> bool:
        return self._top.startswith(f"{path}/")

    def _is_object_above(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        return name == OBJECT_FILE and self._is_above(above)

    def _may_have(self, stored: str) -> bool:
        return self._own is None and self._is_above(f"{REFS}/{stored}")


class Confined(Snapshot):
    """A snapshot that has one package alone, and knows neither where it lies nor what relative refs are relative to."""

    def __init__(self, state: StoreTree, intent: StoreTree | None) -> None:
        self._sides: dict[Side, StoreTree | None] = {"state": state, "intent": intent}
        self.matched = {}

    def side(self, side: Side) -> StoreTree:
        tree = self._sides[side]
        if tree is None:
            raise NoStore(f"there is no {side} store")
        return tree

    def match(
        self, *globs: str, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> list[ShownRef]:
        """The refs of a side that match patterns, which must begin with the name of the package."""
        from ..formats.globs import escape  # late: few questions take a pattern
        from .walk import match_below

        tree = self.side(side or "state")
        assert isinstance(tree, PackageTree)
        head = f"{escape(tree.package)}/"
        if side is None or not links or [*exclude] or not all(glob.startswith(head) for glob in globs):
            raise Outside(" ".join(globs))
        return sorted(match_below(tree, tree.package, tuple(glob.removeprefix(head) for glob in globs), side))

    @property
    def base(self) -> Ref:
        raise Outside("what relative refs are relative to")
