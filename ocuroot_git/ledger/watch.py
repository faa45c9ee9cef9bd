"""`watch`: hand over what changes in the stores, each event once it is there, and remember up to where (design 12).

An event is handed over before the cursor moves past its commit, and the cursor moves before the next commit is begun.
So who is killed and starts again misses nothing, and hands over again no more than the events of one commit: the same
events, in the same order, under the same ids.
"""

from __future__ import annotations

import tempfile
import time

from ..delivery import child_command
from ..errors import Error, RemoteError
from ..formats.documents import dump, to_bytes
from ..git.failures import NO_REPOSITORY, RETRY, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Final, Protocol

    from ..delivery.fields import Fields
    from ..formats.layout import Side
    from ..git.objects import Oid
    from ..store.change_stream import ChangeStream
    from ..store.changes import ChangedCommit
    from ..store.cursor import Cursor

    class Receiver(Protocol):
        """Who is handed events."""

        is_slow: bool
        """Whether it is worth a write to the disk to hand nothing over twice."""

        def take(self, text: str, event: Fields) -> None:
            """Take one event, as JSON on a line without its end, and as what that says."""

        def finish_commit(self) -> None:
            """Let go of what was taken of a commit; when this is done the cursor moves."""


LOOK_NEAR: Final = 1.0
LOOK_FAR: Final = 10.0
"""Seconds between looks at a local branch, and, unless configured otherwise, at a remote."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds before a remote that is away is asked again: doubling."""
_BETWEEN_TIDYING: Final = 600.0
"""Seconds after which what was fetched may be put together: a process that never ends cannot leave it to its end."""
_BETWEEN_WRITES: Final = 1.0
"""Seconds between two writes of the cursor where events are cheap to hand over twice."""


class CommandFailed(Error):
    """A command did not take an event; its exit status is that of `watch`."""

    def __init__(self, status: int, why: str, event: Fields) -> None:
        identity = event.get("id") or event["context"]["id"]
        super().__init__(
            f"the command failed for event '{identity}': {why or f'it ended with status {status}'}",
            hint="the cursor stays before the commit: started again, 'watch' hands over all of its events",
        )
        self.status = status


class Interrupted(Exception):
    """This process was asked to end by a signal, `number`, while a command ran."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Handler:
    """Hands each event to a process of its own, on stdin. Its words go to `output`: stream (1 or 2) and bytes."""

    is_slow = True

    def __init__(
        self, command: str, environ: Mapping[str, str], directory: str, output: Callable[[int, bytes], None]
    ) -> None:
        self._words = ["sh", "-c", command]
        self._environ = environ
        self._directory = directory
        self._output = output

    def take(self, text: str, event: Fields) -> None:
        """Run the command to its end. Raises CommandFailed, Interrupted."""
        # A file without a name is nothing that could be left behind.
        with tempfile.TemporaryFile() as file, child_command.Signals() as stop:
            file.write(to_bytes(f"{text}\n"))
            file.seek(0)
            ended = child_command.run(
                self._words,
                environ=self._environ,
                directory=self._directory,
                stdin=f"/dev/fd/{file.fileno()}",
                keep=(file.fileno(),),
                timeout=None,
                stop=stop,
                output=self._output,
                tick=lambda: 3600.0,
            )
            if stop.signal and ended.status != 0:
                raise Interrupted(stop.signal)
        if ended.status != 0:
            raise CommandFailed(ended.status, ended.why, event)
        if stop.signal:
            raise Interrupted(stop.signal)

    def finish_commit(self) -> None:
        pass


class Watch:
    """Hands the events of a stream's commits to a receiver, and keeps the cursor, if there is one, behind them.

    `events` makes the events of a commit, `pause` waits for so many seconds, `warn` is told of a remote that is away.
    """

    def __init__(
        self,
        stream: ChangeStream,
        events: Callable[[ChangedCommit], Iterator[Fields]],
        receiver: Receiver,
        cursor: Cursor | None,
        *,
        pause: Callable[[float], None],
        warn: Callable[[str], None],
    ) -> None:
        self._stream = stream
        self._events = events
        self._receiver = receiver
        self._cursor = cursor
        self._pause = pause
        self._warn = warn
        self._begun: tuple[Side, Oid] | None = None
        self._taken = 0
        """Of which commit how many events were taken before its reading failed."""
        self._written = float("-inf")
        self._tidied = time.monotonic()

    def run(self, *, once: bool, seconds: float) -> None:
        """Hand over all there is, and, unless `once`, what comes, looking every so many seconds.

        Raises what the stream and the receiver raise; RemoteError where that will not pass, and under `once`.
        """
        pause = _FIRST_PAUSE
        try:
            while True:
                try:
                    for commit in self._stream.pending():
                        self._hand_over(commit)
                    pause = _FIRST_PAUSE
                except RemoteError as error:
                    if once or not _passes(error):
                        raise
                    self._keep_cursor()
                    self._warn(f"{error.message}; trying again in {pause:g} s")
                    self._pause(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                self._keep_cursor()
                if once:
                    return
                if time.monotonic() - self._tidied > _BETWEEN_TIDYING:
                    self._tidied = time.monotonic()
                    self._stream.tidy()
                self._pause(seconds)
        finally:
            self._keep_cursor()

    def _hand_over(self, commit: ChangedCommit) -> None:
        this = (commit.branch, commit.commit.oid)
        if self._begun != this:
            self._begun, self._taken = this, 0
        for number, event in enumerate(self._events(commit)):
            if number >= self._taken:
                self._receiver.take(dump(event, None), event)
                self._taken = number + 1
        self._receiver.finish_commit()
        self._stream.passed(commit)
        is_due = time.monotonic() - self._written > _BETWEEN_WRITES
        if is_due or (self._taken and self._receiver.is_slow):
            self._keep_cursor()

    def _keep_cursor(self) -> None:
        """Write up to where events were handed over."""
        if self._cursor is not None:
            self._cursor.write(self._stream.positions)
            self._written = time.monotonic()


def _passes(error: RemoteError) -> bool:
    """Whether a remote may be there again by and by; what people have to do something about ends the watch."""
    return isinstance(error, TransportError) and (error.handling == RETRY or error.kind == NO_REPOSITORY)
