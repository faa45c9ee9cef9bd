"""What the place of a directory says of the document in it: carried down a walk, while a look-up begins at the top.

A walk enters directory by directory, and each name leads from one place to the next. Places are few, however many
directories there are: what lies below `a/-/b/@12/custom/x` is to be judged as what lies below `c/-/d/@7/custom/y`. Each
asks the code that reads refs, once, about an example of itself.
"""

from __future__ import annotations

from ..formats.layout import StoredRef
from ..formats.refs import Ref, RefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.layout import Layout

_REMEMBERED: Final = 1 << 14
"""How many names a place remembers: enough for what repeats in a store, bounded for what does not."""


class Place(dict[str, "Place"]):
    """A kind of place in a store; by the name of a directory below, the place there.

    A dictionary, so that a name met again costs one look-up; `__missing__` works out the others.
    """

    __slots__ = ("_example", "_places", "is_known", "is_plain", "is_release")

    is_plain: bool
    """Whether an object here is what its ref, read as any other ref, leads to, unless a link above leads elsewhere.

    False is no verdict: it takes a look-up to know.
    """
    is_known: bool
    """Whether a ref could lead here, by its path."""
    is_release: bool
    """Whether this is a numbered release of a package, spelled as the store spells it."""

    def __init__(self, places: _Places, example: tuple[str, ...] | None, *, is_plain: bool, is_release: bool) -> None:
        self._places = places
        self._example = example
        self.is_known = example is not None
        self.is_plain = is_plain
        self.is_release = is_release

    def __missing__(self, name: str) -> Place:
        place = self._places.below(self._example, name)
        if len(self) < _REMEMBERED:
            self[name] = place
        return place


def top_place(layout: Layout) -> Place:
    """The place at the top of a store's refs."""
    return _Places(layout).top


class _Places:
    """The places of a store, each once, by an example of its path: a head, a marker, a type and a name.

    None is the example of what has none: where one name cannot be in a ref, none below can be told.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[tuple[tuple[str, ...] | None, bool, bool], Place] = {}
        self.top = self._place((), is_plain=False)

    def _place(self, example: tuple[str, ...] | None, *, is_plain: bool, is_release: bool = False) -> Place:
        key = example, is_plain, is_release
        if key not in self._known:
            self._known[key] = Place(self, example, is_plain=is_plain, is_release=is_release)
        return self._known[key]

    def below(self, example: tuple[str, ...] | None, name: str) -> Place:
        """The place of a directory in the one that `example` stands for."""
        if example is None:
            return self._place(None, is_plain=False)
        marked = next((number for number, segment in enumerate(example) if segment[0] in "@+"), None)
        here: tuple[str, ...] = (*example, name)
        is_plain = self._is_plain(here)
        if marked is None and name[0] not in "@+":
            return self._place(("head",) if is_plain else None, is_plain=is_plain)
        if marked is None:
            if not is_plain:
                return self._place(None, is_plain=False)
            number = self._layout.release_number(name)
            is_release = bool(example) and number is not None and self._layout.release_segment(number) == name
            general_name = name if len(name) == 1 else name[0] + self._layout.release_segment(1)[1:]
            return self._place((*example, general_name), is_plain=is_plain, is_release=is_release)
        if len(example) == marked + 1:  # a type, which means nothing without a name
            return self._place(here if self._parse((*here, "name")) is not None else None, is_plain=False)
        general = (*example[: marked + 2], "name")
        return self._place(general if is_plain == self._is_plain(general) else None, is_plain=is_plain)

    def _is_plain(self, path: tuple[str, ...]) -> bool:
        """Whether the ref of an object at a path leads to just this path, as long as no link is on the way."""
        ref = self._parse(path)
        return ref is not None and self._layout.spellings(ref)[0] == "/".join(path)

    def _parse(self, path: tuple[str, ...]) -> Ref | None:
        try:
            return Ref.parse(self._layout.shown(StoredRef("/".join(path))))
        except RefError:
            return None
