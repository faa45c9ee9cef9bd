"""What several threads write within a second goes to a remote store in one push (design 8.8)."""

from __future__ import annotations

import copy
import threading
import time

from ..errors import Error, Fatal, RemoteError
from ..store.retry import Companion
from ..store.stores import Stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final, TypeVar

    from ..formats.operation import Operation
    from ..store.transaction import Transaction

    Result = TypeVar("Result")

_WINDOW: Final = 1.0
"""Seconds for which a write waits for those of other threads."""


class Together:
    """Collects writes. `count` says how many threads may write: where all of them do, nobody else is waited for."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._changed = threading.Condition()
        self._waiting: list[_Write] = []

    def stores(self, stores: Stores) -> Stores:
        """The same stores, whose transactions are collected."""
        return _JointStores(stores, self)

    def write(self, stores: Stores, companion: Companion) -> object:
        """Write a change, with those that come within the window. Raises what it would raise by itself."""
        write = _Write(companion)
        with self._changed:
            self._waiting.append(write)
            self._changed.notify_all()
            if self._waiting[0] is not write:
                self._changed.wait_for(lambda: write.is_done or self._waiting[:1] == [write])
            if not write.is_done:
                self._changed.wait_for(lambda: len(self._waiting) >= self._count(), timeout=_WINDOW)
                batch = list(self._waiting)
        if not write.is_done:
            self._write_all(stores, batch)
        if write.error is not None:
            raise write.error
        return write.companion.result

    def _write_all(self, stores: Stores, batch: Sequence[_Write]) -> None:
        """Write a batch in as few pushes as possible; whatever happens, nobody is left waiting."""
        left = list(batch)
        deadline = time.monotonic() + stores.surroundings.timeout / 2
        try:
            while left:
                first, *others = left
                _write_first(stores, first, [other.companion for other in others])
                left = [other for other in others if not other.companion.is_made]
                if first.error is not None and (isinstance(first.error, RemoteError) or time.monotonic() > deadline):
                    for other in left:  # what keeps one from being written keeps all
                        other.error = copy.copy(first.error)
                    left = []
        except BaseException as fault:
            for write in left:  # what was not written must not be taken for written
                if write.error is None and not write.companion.is_made:
                    write.error = Fatal(f"not written, because of a fault in another: {fault!r}")
            raise
        finally:
            with self._changed:
                for write in batch:
                    write.is_done = True
                self._waiting = [write for write in self._waiting if write not in batch]
                self._changed.notify_all()


class _Write:
    """A change of one thread, and what became of it."""

    def __init__(self, companion: Companion) -> None:
        self.companion = companion
        self.error: Error | None = None
        self.is_done = False


def _write_first(stores: Stores, write: _Write, others: Sequence[Companion]) -> None:
    own = write.companion
    try:
        own.result = stores.transact(own.change, command=own.command, message=own.message, companions=others)
    except Error as error:
        write.error = copy.copy(error)  # whoever gets it may add to its words


class _JointStores(Stores):
    """Stores whose transactions wait for those of other threads."""

    def __init__(self, stores: Stores, together: Together) -> None:
        super().__init__(stores.surroundings)
        self._stores = stores
        self._together = together

    def transact(
        self,
        change: Callable[[Transaction], Result],
        *,
        command: str = "update",
        message: str | None = None,
        operation: Operation | str | None = None,
        companions: Sequence[Companion] = (),
    ) -> Result:
        if operation is not None or companions:
            return self._stores.transact(
                change, command=command, message=message, operation=operation, companions=companions
            )
        result: Any = self._together.write(self._stores, Companion(change, command, message))
        return result  # type: ignore[no-any-return]
