"""Collects what a run prints, and holds on to its claim meanwhile (design 8.8).

Of a run that is executed here the logs go into the store with its end: see live.py for where they are until then.
"""

from __future__ import annotations

import os
import time

from ..errors import Error
from . import claims, live, vocabulary
from .child_command import EndCommand
from .logs import Lines, Log
from .model import timestamp
from .run_queries import read_function
from .vocabulary import WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .claims import Executor

_FIRST_FLUSH: Final = 2.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds between flushes into the store: growing, so that an hour makes some 130 of them, not one for every line."""
_SPOOLED_AFTER: Final = 0.5
"""Seconds after which what was printed is in the file of the live log."""
_LOOK_NEAR: Final = 2.0
_LOOK_FAR: Final = 30.0
"""Seconds between looks at a claim, to see whether the run was cancelled or taken over: here, and on a remote."""
_LONGEST_LOOK: Final = 240.0
"""Seconds between looks at a remote that could not be reached."""


class LogWriter:
    """Collects what a run prints. `executor` is who holds the claim, which is renewed; None: nobody does."""

    def __init__(
        self,
        stores: Stores,
        run: RunRef,
        *,
        executor: Executor | None = None,
        warn: Callable[[str], None],
    ) -> None:
        self._stores = stores
        self._run = run
        self._executor = executor
        self._warn = warn
        self._waiting = Log()
        """What is in no file yet."""
        self._unrecorded = Log()
        """What is not in the store yet."""
        self._lines = {stream: Lines(self._waiting, stream) for stream in (1, 2)}
        path = live.path_of(stores.surroundings, run, executor.name) if executor is not None else None
        self._file = live.LiveFile(path) if path is not None else None
        self._reference = live.reference_of(stores.surroundings, run, executor.name) if executor is not None else None
        self._unpublished = Log()
        """What others cannot follow yet."""
        self._publish_pause = _FIRST_FLUSH
        self._is_published = False
        self._pause = _FIRST_FLUSH if path is None else _SPOOLED_AFTER
        self._shortest_look = self._look_pause = _LOOK_NEAR if _is_near(stores) else _LOOK_FAR
        now = time.monotonic()
        self._flush_at = now + self._pause
        self._publish_at = now + self._publish_pause if self._reference is not None else float("inf")
        self._renew_at = now + executor.renew_after if executor is not None else float("inf")
        self._look_at = now + self._look_pause if executor is not None else float("inf")
        self._asked_to_stop = False
        self.told_to_stop = ""
        """Why the command was told to end, once it was: the run was cancelled."""

    @property
    def kept_in(self) -> str:
        """The file that holds what is not recorded; empty where there is none."""
        return self._file.path if self._file is not None and os.path.exists(self._file.path) else ""

    def feed(self, stream: int, data: bytes) -> None:
        """Add what was printed to stdout (1) or stderr (2)."""
        self._lines[stream].feed(data)

    def add(self, messages: list[str], stream: int, attributes: dict[str, str]) -> None:
        """Add entries that are complete, with what is known of where they come from."""
        self._waiting.add_all(messages, stream, timestamp(), attributes)

    def say(self, message: str) -> None:
        """Add an entry of our own."""
        self.finish_lines()
        self._waiting.add(message, 2, timestamp())

    def finish_lines(self) -> None:
        """Take what was printed without a newline at its end for a line."""
        for lines in self._lines.values():
            lines.finish()

    def tick(self) -> float:
        """Flush, renew and look if that is due; gives the seconds until something will be.

        A store that cannot be reached now is tried again later: that alone must not end a deployment. Raises
        ClaimLost, WrongStatus where the run has ended, and once EndCommand, where it was cancelled.
        """
        if time.monotonic() >= self._flush_at and not self._waiting.is_empty:
            self._flush()
        if time.monotonic() >= self._publish_at:
            self._publish()
        if time.monotonic() >= self._renew_at:
            self._renew()
        elif time.monotonic() >= self._look_at:
            self._look()
        if self._asked_to_stop and not self.told_to_stop:
            self.told_to_stop = "it was cancelled"
            raise EndCommand(self.told_to_stop)
        now = time.monotonic()
        due = min(
            self._renew_at, self._look_at, self._publish_at, self._flush_at if not self._waiting.is_empty else now + 1
        )
        return max(due - now, 0)

    def append(self, tx: Transaction) -> None:
        """Append what is not recorded to the logs. Raises WrongStatus where the run has ended."""
        self.keep()
        if not self._unrecorded.is_empty:
            require_open(read_function(tx, self._run).status, self._run)
            log = Log.read(tx.get(self._run.logs, None))
            log.extend(self._unrecorded)
            tx.set(self._run.logs, log.to_document())

    def recorded(self) -> None:
        """Take note that all is in the store."""
        self._unrecorded = Log()
        if self._file is not None:
            try:
                self._file.remove()
            except OSError as error:
                self._warn(f"cannot remove '{self._file.path}': {error.strerror}")
        if self._reference is not None and self._is_published:
            try:
                self._reference.remove()
            except Error as error:
                self._warn(f"cannot remove '{self._reference.reference}': {error.message}")

    def _flush(self) -> None:
        """Bring what is waiting into the file, or, where there is none, into the store."""
        if self._file is not None:
            self.keep()
        elif self._try(
            "write to", lambda: self._stores.transact(self.append, command="run log", message=f"log {self._run}")
        ):
            self._unrecorded = Log()
        if self._file is None:
            self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        self._flush_at = time.monotonic() + self._pause

    def keep(self) -> None:
        """Bring what is waiting into the file, so that it outlives this process."""
        if self._waiting.is_empty:
            return
        new, self._waiting = self._waiting, Log()
        for lines in self._lines.values():
            lines.log = self._waiting
        self._unrecorded.extend(new)
        if self._reference is not None:
            self._unpublished.extend(new)
        if self._file is not None:
            try:
                self._file.append(new, self._unrecorded)
            except OSError as error:
                self._warn(f"cannot write '{self._file.path}', the log is in memory alone: {error.strerror}")
                self._file = None  # from now on it goes into the store as it comes

    def _publish(self) -> None:
        """Send what is new to where others can follow it. That is a help to them: it never ends a run."""
        reference, new = self._reference, self._unpublished
        self._publish_at = time.monotonic() + self._publish_pause
        if reference is None or new.is_empty:
            return
        self._is_published = True
        if self._try("write the live log to", lambda: live.publish(reference, self._run, new)):
            self._unpublished = Log()
        self._publish_pause = min(self._publish_pause * 1.5, _LONGEST_PAUSE)
        self._publish_at = time.monotonic() + self._publish_pause

    def _renew(self) -> None:
        executor = self._executor
        assert executor is not None

        def renew(tx: Transaction) -> None:
            self._asked_to_stop = bool(executor.renew(tx, self._run).cancel)

        if self._try("write to", lambda: self._stores.transact(renew, command="run log", message=f"renew {self._run}")):
            executor.renewed()
            self._renew_at = time.monotonic() + executor.renew_after
        else:
            self._renew_at = time.monotonic() + executor.renew_after * _TRIED_AGAIN_AFTER
        self._look_at = time.monotonic() + self._look_pause

    def _look(self) -> None:
        executor = self._executor
        assert executor is not None

        def look() -> None:
            claim = claims.require_claim(self._stores.snapshot(), self._run, executor.name)
            self._asked_to_stop = bool(claim.cancel)

        was_read = self._try("read", look)
        self._look_pause = self._shortest_look if was_read else min(self._look_pause * 2, _LONGEST_LOOK)
        self._look_at = time.monotonic() + self._look_pause

    def _try(self, what: str, act: Callable[[], object]) -> bool:
        """Whether it was done. What may pass is said, and tried again later. Raises ClaimLost, WrongStatus."""
        try:
            act()
            return True
        except (claims.ClaimLost, WrongStatus):
            raise
        except Error as error:
            self._warn(f"cannot {what} the store, and will try again: {error.message}")
            return False


_TRIED_AGAIN_AFTER: Final = 1 / 8
"""The part of the time between two renewals after which one that failed is tried again."""


def _is_near(stores: Stores) -> bool:
    """Whether looking at the store asks no other machine."""
    from ..backends.remote import Remote

    return not isinstance(stores.backend("state")[0], Remote)


def require_open(status: str, run: RunRef) -> None:
    """Raise WrongStatus where a run has ended: what it printed is history then."""
    if status not in vocabulary.OPEN:
        raise WrongStatus(f"cannot write logs of '{run}': it is {status}")


def append_from(
    stores: Stores, run: RunRef, descriptor: int, warn: Callable[[str], None], name: Callable[..., Operation]
) -> None:
    """Append what is read from a file descriptor, to its end, to the logs of a run.

    As it comes; but under the name of an operation in one piece, lest the same lines, cut in another way, be taken for
    written already when they come again. `name` gives the operation for a hash of what was read (`stdin`). Raises
    WrongStatus where the run has ended.
    """
    import select
    from hashlib import sha256

    is_named = name("run log").is_named
    if not is_named:  # else it may have ended since the same was written
        require_open(read_function(stores.snapshot(), run).status, run)
    log = LogWriter(stores, run, warn=warn)
    read = sha256()
    while True:
        ready, _, _ = select.select([descriptor], [], [], None if is_named else log.tick())
        if ready:
            data = os.read(descriptor, 1 << 16)
            if not data:
                break
            read.update(data)
            log.feed(1, data)
    log.finish_lines()
    operation = name("run log", stdin=read.hexdigest())
    stores.transact(log.append, command="run log", message=f"log {run}", operation=operation)
