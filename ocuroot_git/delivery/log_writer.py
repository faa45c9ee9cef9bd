"""Writes the logs of a run to the store, in bounded flushes, and holds on to the claim meanwhile."""

from __future__ import annotations

import os
import time

from ..errors import Error
from . import claims, model
from .child_command import EndCommand
from .logs import Lines, Log
from .model import WrongStatus, timestamp
from .queries import read_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .claims import Executor
    from .model import RunRef

_FIRST_FLUSH: Final = 2.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds between flushes: growing, so that a run of an hour makes some 130 commits, not one for every line."""
_PEEK: Final = 2.0
"""Seconds between looks at a claim that lies in this machine, to see whether the run was cancelled."""


class Recorder:
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
        self._lines = {stream: Lines(self._waiting, stream) for stream in (1, 2)}
        self._pause = _FIRST_FLUSH
        self._renew_after = executor.lease * claims.RENEWED_AFTER if executor is not None else float("inf")
        now = time.monotonic()
        self._flush_at = now + self._pause
        self._renew_at = now + self._renew_after
        self._peek_at = now if executor is not None and _is_near(stores) else float("inf")
        self._asked_to_stop = False
        self.told_to_stop = ""
        """Why the command was told to end, once it was: the run was cancelled."""

    def feed(self, stream: int, data: bytes) -> None:
        """Add what was printed to stdout (1) or stderr (2)."""
        self._lines[stream].feed(data)

    def say(self, message: str) -> None:
        """Add an entry of our own."""
        self.finish_lines()
        self._waiting.add(message, 2, timestamp())

    def finish_lines(self) -> None:
        """Take what was printed without a newline at its end for a line."""
        for lines in self._lines.values():
            lines.finish()

    def tick(self) -> float:
        """Flush and renew if that is due; gives the seconds until it will be.

        A store that cannot be written to now is tried again later: that alone must not end a deployment. Raises
        ClaimLost, WrongStatus where the run has ended, and once EndCommand, where it was cancelled.
        """
        now = time.monotonic()
        is_due = (now >= self._flush_at and not self._waiting.is_empty) or now >= self._renew_at
        if is_due or now >= self._peek_at:
            try:
                if is_due:
                    self._stores.transact(self.write, command="run log", message=f"log {self._run}")
                    self._forget()
                else:
                    self._look()
            except (claims.ClaimLost, WrongStatus):
                raise
            except Error as error:
                self._warn(f"cannot write to the store, and will try again: {error.message}")
            now = time.monotonic()
            if self._peek_at < float("inf"):
                self._peek_at = now + _PEEK
        if is_due:
            self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
            self._flush_at = now + self._pause
            self._renew_at = now + self._renew_after
        if self._asked_to_stop and not self.told_to_stop:
            self.told_to_stop = "it was cancelled"
            raise EndCommand(self.told_to_stop)
        due = min(self._renew_at, self._peek_at, self._flush_at if not self._waiting.is_empty else now + 1)
        return max(due - now, 0)

    def write(self, tx: Transaction) -> None:
        """Append what is waiting to the logs, and renew the claim. Raises ClaimLost, WrongStatus."""
        if self._executor is not None:
            self._asked_to_stop = bool(self._executor.renew(tx, self._run).cancel)
        self.append(tx)

    def append(self, tx: Transaction) -> None:
        """Append what is waiting to the logs. Raises WrongStatus where the run has ended."""
        if not self._waiting.is_empty:
            require_open(read_function(tx, self._run).status, self._run)
            log = Log.read(tx.get(self._run.logs, None))
            log.extend(self._waiting)
            tx.set(self._run.logs, log.to_document())

    def _look(self) -> None:
        assert self._executor is not None
        claim = claims.require_claim(self._stores.snapshot(), self._run, self._executor.name)
        self._asked_to_stop = bool(claim.cancel)

    def _forget(self) -> None:
        self._waiting = Log()
        for lines in self._lines.values():
            lines.log = self._waiting


def _is_near(stores: Stores) -> bool:
    """Whether looking at the store asks no other machine."""
    from ..backends.remote import Remote

    return not isinstance(stores.where("state")[0], Remote)


def require_open(status: str, run: RunRef) -> None:
    """Raise WrongStatus where a run has ended: what it printed is history then."""
    if status not in model.OPEN:
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
    recorder = Recorder(stores, run, warn=warn)
    read = sha256()
    while True:
        ready, _, _ = select.select([descriptor], [], [], None if is_named else recorder.tick())
        if ready:
            data = os.read(descriptor, 1 << 16)
            if not data:
                break
            read.update(data)
            recorder.feed(1, data)
    recorder.finish_lines()
    operation = name("run log", stdin=read.hexdigest())
    stores.transact(recorder.append, command="run log", message=f"log {run}", operation=operation)
