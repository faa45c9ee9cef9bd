"""Writes the logs of a run to the store, in bounded flushes, and holds on to the claim meanwhile."""

from __future__ import annotations

import os
import time

from ..errors import Error
from . import runs
from .logs import Lines, Log
from .model import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..store import Stores
    from ..transaction import Transaction
    from .model import RunRef

DEFAULT_LEASE: Final = 120.0
_FIRST_FLUSH: Final = 2.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds between flushes: growing, so that a run of an hour makes some 130 commits, not one for every line."""


class Recorder:
    """Collects what a run prints. `owner` is who holds the claim, renewed for `lease` seconds; empty: nobody does."""

    def __init__(
        self,
        stores: Stores,
        run: RunRef,
        *,
        owner: str = "",
        lease: float = 0,
        warn: Callable[[str], None],
    ) -> None:
        self._stores = stores
        self._run = run
        self._owner = owner
        self._lease = lease
        self._warn = warn
        self._waiting = Log()
        self._lines = {stream: Lines(self._waiting, stream) for stream in (1, 2)}
        self._pause = _FIRST_FLUSH
        now = time.monotonic()
        self._flush_at = now + self._pause
        self._renew_at = now + lease / 3 if owner else float("inf")

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
        """Flush and renew if that is due; gives the seconds until it will be. Raises ClaimLost.

        A store that cannot be written to now is tried again later: that alone must not end a deployment.
        """
        now = time.monotonic()
        if (now >= self._flush_at and not self._waiting.is_empty) or now >= self._renew_at:
            try:
                self._stores.transact(self.write, command="run log", message=f"log {self._run}")
                self._forget()
            except runs.ClaimLost:
                raise
            except Error as error:
                self._warn(f"cannot write to the store, and will try again: {error.message}")
            now = time.monotonic()
            self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
            self._flush_at = now + self._pause
            if self._owner:
                self._renew_at = now + self._lease / 3
        due = min(self._renew_at, self._flush_at if not self._waiting.is_empty else now + 1)
        return max(due - now, 0)

    def write(self, tx: Transaction) -> None:
        """Append what is waiting to the logs, and renew the claim. Raises ClaimLost."""
        if self._owner:
            runs.renew(tx, self._run, self._owner, timestamp(time.time() + self._lease))
        self.append(tx)

    def append(self, tx: Transaction) -> None:
        """Append what is waiting to the logs."""
        if not self._waiting.is_empty:
            log = Log.read(tx.get(self._run.logs, None))
            log.extend(self._waiting)
            tx.set(self._run.logs, log.to_document())

    def _forget(self) -> None:
        self._waiting = Log()
        for lines in self._lines.values():
            lines.log = self._waiting


def append_from(stores: Stores, run: RunRef, descriptor: int, warn: Callable[[str], None]) -> None:
    """Append what is read from a file descriptor, to its end, to the logs of a run."""
    import select

    recorder = Recorder(stores, run, warn=warn)
    while True:
        ready, _, _ = select.select([descriptor], [], [], recorder.tick())
        if ready:
            data = os.read(descriptor, 1 << 16)
            if not data:
                break
            recorder.feed(1, data)
    recorder.finish_lines()
    stores.transact(recorder.append, command="run log", message=f"log {run}")


def lease_of(stores: Stores) -> float:
    """Seconds for which a run is claimed at a time (`ocuroot.lease`)."""
    return stores.settings.seconds("ocuroot.lease", DEFAULT_LEASE)
