"""What an action of the page is (`view --write`): it does what a command does, by the same function.

An action is made of the fields of an address. It says the command it stands for, what there is to know before it is
done (`look`), and does it (`perform`). What was looked at has an id: where that has changed by the time it is done,
nothing is changed (design 10).
"""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import Conflict, UsageError
from ..formats.documents import dump, to_bytes
from ..store.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..delivery.finish import Written
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.retry import Companion
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction


class Field:
    """A field of an action: its name, what people call it, an example, and whether it may be empty.

    One that `is_extra` is left alone by most, and is not asked for; one that `is_flag` is a box to tick.
    """

    def __init__(
        self,
        name: str,
        label: str,
        example: str = "",
        *,
        may_be_empty: bool = False,
        is_extra: bool = False,
        is_flag: bool = False,
    ) -> None:
        self.name = name
        self.label = label
        self.example = example
        self.may_be_empty = may_be_empty or is_extra or is_flag
        self.is_extra = is_extra or is_flag
        self.is_flag = is_flag

    def is_asked_for(self, given: dict[str, str]) -> bool:
        """Whether people have to be asked for it, as what was given does not say it."""
        return not self.is_extra and not given.get(self.name) and not (self.may_be_empty and self.name in given)


class Looked:
    """What there is to know before something is done, in `lines`, and the `id` of what was looked at.

    Where there is nothing to do, `is_idle`.
    """

    def __init__(self, lines: list[str], id_: str, *, is_idle: bool = False) -> None:
        self.lines = lines
        self.id = id_
        self.is_idle = is_idle


class Performed:
    """What was done: `lines` for people, and the `refs` that it was about."""

    def __init__(self, lines: list[str], refs: Sequence[str] = ()) -> None:
        self.lines = lines
        self.refs = list(refs)


def left_over(written: Written, *, takes_away: bool = False) -> list[str]:
    """What is told where the state does not follow yet."""
    return list(written.remark(takes_away=takes_away) or ())


class Action(ABC):
    """Something that can be done. `values` are the texts of its `fields`, by name; empty for what was not said."""

    name: ClassVar[str]
    title: ClassVar[str]
    command: ClassVar[str]
    """The command as commits name it."""
    fields: ClassVar[tuple[Field, ...]]
    needs_reason: ClassVar[bool] = False

    def __init__(self, values: dict[str, str]) -> None:
        self.values = {field.name: values.get(field.name, "") for field in self.fields}

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def several(self, name: str) -> list[str]:
        """The words of a field that holds several, with quotes around those that hold spaces. Raises UsageError."""
        words = shlex.shlex(self[name], posix=True)
        words.whitespace_split, words.commenters, words.escape = True, "", ""
        try:
            return list(words)
        except ValueError:
            raise UsageError(f"a quote does not end in '{self[name]}'") from None

    def options(self, *names: str) -> list[str]:
        """Those of its fields that were said, as options of the command that bear the same names."""
        found: list[str] = []
        for field in self.fields:
            if field.name in names and self[field.name]:
                found += [f"--{field.name.replace('_', '-')}", *([] if field.is_flag else [self[field.name]])]
        return found

    def settle(self, stores: Stores) -> None:  # noqa: B027 - most have nothing to settle
        """Make the fields say what they say now, also later. Raises UsageError for what they cannot say."""

    @abstractmethod
    def words(self) -> list[str]:
        """The command that it stands for, without what every command begins with, and without the reason."""

    def command_line(self, reason: str = "") -> str:
        """The command as it would be typed."""
        return shlex.join(["git", "ocuroot", *self.words(), *(["-m", reason] if reason else [])])

    @abstractmethod
    def look(self, stores: Stores) -> Looked:
        """What there is to know. Raises what the command would for what cannot be done."""

    @abstractmethod
    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        """Do it, if what has the id `looked` is still so. Raises Conflict, and what the command raises."""


class CheckedAction(Action):
    """An action that is done if a document of what concerns it is still the same, in the very transaction."""

    def look(self, stores: Stores) -> Looked:
        snapshot = stores.snapshot()
        return Looked(self.lines(stores, snapshot), _id(self.looked_at(snapshot)))

    @abstractmethod
    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        """What there is to know, in words. Raises what the command would for what cannot be done."""

    @abstractmethod
    def looked_at(self, snapshot: Snapshot) -> Document:
        """What must still be so when it is done."""

    def perform(self, stores: Stores, reason: str, looked: str, operation: Operation) -> Performed:
        def check(tx: Transaction) -> None:
            if _id(self.looked_at(tx)) != looked:
                raise Conflict("what was looked at has moved meanwhile; nothing was changed", hint="look at it again")

        return self.do(_CheckedStores(stores, check), reason, operation)

    @abstractmethod
    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        """Do it. Raises what the command raises."""


class _CheckedStores(Stores):
    """Stores of which the first change is made only if a check finds nothing against it, on the tree it is made on."""

    def __init__(self, stores: Stores, check: Callable[[Transaction], None]) -> None:
        super().__init__(stores.surroundings)
        self.repeated = stores.repeated
        self._check: Callable[[Transaction], None] | None = check

    def transact(
        self,
        change: Callable[[Transaction], Any],
        *,
        command: str = "update",
        message: str | None = None,
        operation: Operation | str | None = None,
        companions: Sequence[Companion] = (),
    ) -> Any:
        def checked(tx: Transaction) -> Any:
            if self._check is not None:
                self._check(tx)
            return change(tx)

        result = super().transact(checked, command=command, message=message, operation=operation, companions=companions)
        self._check = None
        return result


def _id(looked_at: Document) -> str:
    return sha256(to_bytes(dump(looked_at, None))).hexdigest()
