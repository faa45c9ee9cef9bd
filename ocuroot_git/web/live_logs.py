"""The logs of runs that go on, read on from where the last request left off (design 8.8, 10)."""

from __future__ import annotations

import threading
import time
from hashlib import sha1
from typing import TYPE_CHECKING

from ..delivery.addresses import RunRef
from ..delivery.live import LiveLog
from ..delivery.printed import entries_from
from ..delivery.problems import BAD
from ..delivery.run_queries import read_claim
from ..errors import Error

if TYPE_CHECKING:
    from ..formats.documents import Document
    from ..store.snapshot import Snapshot

_PAUSE = 2.0
"""Seconds for which what a remote said serves all who look."""


class RunningLog:
    """What a run has printed that is not recorded, for all threads; each brings its own snapshot to read through."""

    def __init__(self) -> None:
        self._log = LiveLog()
        self._asked = float("-inf")
        self._lock = threading.Lock()
        self.problem = ""
        """Why it cannot be read, the last time that was tried."""

    def look(self, snapshot: Snapshot, run: str) -> tuple[list[Document], str]:
        """The entries, and a text that changes with them."""
        with self._lock:
            self._refresh(snapshot, RunRef.parse(run))
            entries: list[Document] = list(self._log.log.to_document())
            words = f"{self._log.owner}\0{entries_from(entries, 0)[1]}\0{self.problem}"
            return entries, sha1(words.encode(errors="replace")).hexdigest()[:12]

    def _refresh(self, snapshot: Snapshot, run: RunRef) -> None:
        is_fresh = self._log.is_far and time.monotonic() - self._asked < _PAUSE
        try:
            if is_fresh and self._log.owner == read_claim(snapshot, run).owner:
                return
            self._log.refresh(snapshot, run)
            self.problem = ""
        except (*BAD, Error) as error:
            self.problem = str(getattr(error, "message", error))
        self._asked = time.monotonic()  # not from before a remote that took its time
