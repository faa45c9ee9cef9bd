"""Records, and the fields of a JSON object, taken out one by one, each of the type that it must be."""

from __future__ import annotations

from ..formats.documents import Document, brief
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Fields = dict[str, Any]
    Item = TypeVar("Item")


class Record:
    """Values by name, as a dataclass has them: two are equal when all values in their `__slots__` are.

    Not a dataclass: to make those would take every command that reads deliveries a third of its start. What can change
    is no key; what cannot has a `__hash__` of its own.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def values(self) -> list[Any]:
        """All values, in the order of their names."""
        return [getattr(self, name) for name in self.__slots__]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class TakenFields:
    """Fields that are taken out of a document, each by its type; empty where it is null or not there."""

    def __init__(self, fields: Fields, where: str) -> None:
        self._fields = fields
        self._where = where

    def fields(self, name: str) -> Fields:
        return dict(self._take(name, dict, "an object"))

    def text(self, name: str) -> str:
        return str(self._take(name, str, "a string"))

    def items(self, name: str, of: type) -> list[Any]:
        found = list(self._take(name, list, "a list"))
        for number, one in enumerate(found):
            if not isinstance(one, of):
                raise ModelError(f"{self._where}: {name}/{number} is not {'a string' if of is str else 'an object'}")
        return found

    def _take(self, name: str, type_: type, words: str) -> Any:
        found = self._fields.pop(name, None)
        if found is None:
            return type_()
        if not isinstance(found, type_):
            raise ModelError(f"{self._where}: {name} is {brief(found)}, not {words}")
        return found


def list_of(type_: type[Item], value: Document) -> list[Item]:
    """A JSON list of which each item is of just this type. Raises ValueError for anything else.

    For what is remembered: that it is what was written is seen by a check sum, so it need only be of the right shape.
    """
    if type(value) is not list or not {type_}.issuperset(map(type, value)):
        raise ValueError(f"no list of {type_.__name__}")
    return value


class Part:
    """A block that reads a part of a document: the keys that lead to it come first in the path of what is wrong."""

    def __init__(self, *keys: str | int) -> None:
        self._keys = keys

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, ModelError):
            error.path = (*self._keys, *error.path)


def fields_of(value: Document, where: str) -> Fields:
    """A copy of a JSON object. Raises ModelError for anything else."""
    if not isinstance(value, dict):
        raise ModelError(f"{where}: {'it is missing' if value is None else 'it is not a JSON object'}")
    return dict(value)
