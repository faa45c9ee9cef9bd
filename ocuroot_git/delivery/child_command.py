"""The one door to users' commands: process groups, signals, time-outs, output as it comes (design 7).

A command runs in a session of its own, so that it and all it started can be signalled together. If this process is
killed, nobody is left to end the command, which another executor may be about to run again; so a watcher in the
command's group waits on a pipe that only we hold, and kills the group when the pipe closes without a word.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Final

GRACE: Final = 10.0
"""Seconds from the first signal to the one that cannot be caught."""
TIMED_OUT: Final = 124
"""The exit status that stands for a time-out, as timeout(1) gives it."""
_STRAGGLERS: Final = 0.5
"""Seconds to wait, after a command ended, for output of what it left running in the background."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# $1 is what the command reads on stdin, the rest is the command. The watcher's stdin is our end of the pipe.
# $1 is opened first, since it may be /dev/fd/3.
_WRAPPER: Final = """
exec 4<"$1" 3<&0
exec <&4 4<&-
shift
( ( read -r done <&3 || kill -KILL 0 ) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
"""


class Stop:
    """Whether this process was asked to end: which signal, and how often. Wakes every command that is waited for."""

    def __init__(self) -> None:
        self.signal = 0
        self.count = 0
        self.wake, self._write = os.pipe()

    def request(self, number: int) -> None:
        """Ask all commands to end; asking twice ends them at once."""
        self.signal = self.signal or number
        self.count += 1
        if self.count == 1:
            os.write(self._write, b".")  # never read, so that the pipe wakes whoever waits, now and later

    def wait(self, seconds: float) -> None:
        """Wait, unless asked to end."""
        import selectors  # late, as `subprocess` is: mostly nothing is to be done

        with selectors.DefaultSelector() as selector:
            selector.register(self.wake, selectors.EVENT_READ)
            selector.select(seconds)

    def close(self) -> None:
        os.close(self.wake)
        os.close(self._write)


class Signals:
    """While entered, signals that would end this process are passed on to the commands it runs, by way of a Stop."""

    def __init__(self) -> None:
        self.stop = Stop()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        def handle(number: int, frame: FrameType | None) -> None:
            self.stop.request(number)

        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup(1)
                self._before[number] = signal.signal(number, handle)
        return self.stop

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        self.stop.close()


class EndCommand(Exception):
    """Raised by `tick`: the command is to end, by a signal that it can catch. The text says why."""


class CommandExit:
    """How a command ended: its exit status as a shell gives it, and why it was made to end, if it was."""

    __slots__ = ("status", "why")

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        self.why = why


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    directory: str,
    stdin: str,
    timeout: float | None,
    stop: Stop,
    output: Callable[[int, bytes], None],
    tick: Callable[[], float],
    keep: Sequence[int] = (),
) -> CommandExit:
    """Run a command to its end. `stdin` is the path of a file; `output` is given what it prints: stream and bytes.

    `keep` are descriptors that the command inherits, so that `stdin` may be a file without a name, `/dev/fd/<n>`.
    `tick` is called often, and says in how many seconds at most it is to be called again; what it raises but EndCommand
    kills the command. Raises Fatal where the command cannot be started at all.
    """
    import subprocess

    try:
        process = subprocess.Popen(
            ["sh", "-c", _WRAPPER, "sh", stdin, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=dict(environ),
            pass_fds=tuple(keep),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Fatal(f"cannot start '{command[0]}': {getattr(error, 'strerror', None) or error}") from None
    running = _Running(process, timeout, stop)
    try:
        for stream, data in running.events(tick):
            output(stream, data)
    except BaseException:
        running.kill(signal.SIGKILL)
        raise
    finally:
        running.close()
    status = process.wait()
    if running.timed_out:
        return CommandExit(TIMED_OUT, running.why)
    if running.stopped_by and status == 0:
        status = -running.stopped_by
    return CommandExit(128 - status if status < 0 else status, running.why or _killed(status))


def _killed(status: int) -> str:
    return f"it was killed by {_name(-status)}" if status < 0 else ""


class _Running:
    """A command while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], timeout: float | None, stop: Stop) -> None:
        self.process = process
        self.timed_out = False
        self.stopped_by = 0
        self.why = ""
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout if timeout is not None else None
        self._kill_at: float | None = None
        self._stop = stop
        self._ended, ended = os.pipe()
        self._waiter = threading.Thread(target=self._wait, args=(ended,), daemon=True)
        self._waiter.start()

    def _wait(self, ended: int) -> None:
        self.process.wait()
        os.close(ended)

    def events(self, tick: Callable[[], float]) -> Iterator[tuple[int, bytes]]:
        """What the command prints, until it ended and nothing more is to be expected."""
        assert self.process.stdout is not None and self.process.stderr is not None
        import selectors

        with selectors.DefaultSelector() as selector:
            streams = {self.process.stdout.fileno(): 1, self.process.stderr.fileno(): 2}
            for fd in (*streams, self._ended, self._stop.wake):
                selector.register(fd, selectors.EVENT_READ)
            last_call: float | None = None
            while streams or last_call is None:
                try:
                    pause = min(tick(), self._pause())
                except EndCommand as asked:
                    pause = 0
                    if self._kill_at is None and self.process.poll() is None:
                        self.stopped_by = signal.SIGTERM
                        self._end(str(asked), signal.SIGTERM)
                if last_call is not None:
                    pause = min(pause, last_call - time.monotonic())
                for key, _ in selector.select(max(pause, 0)):
                    fd = int(key.fd)
                    if fd in streams:
                        data = os.read(fd, 1 << 16)
                        if data:
                            yield streams[fd], data
                            continue
                        del streams[fd]
                    elif fd == self._ended:
                        last_call = time.monotonic() + _STRAGGLERS
                    selector.unregister(fd)
                self._check()
                if last_call is not None and time.monotonic() > last_call:
                    return

    def _pause(self) -> float:
        """Seconds until something is due."""
        if self._kill_at is not None:
            return 0.1  # a second signal wakes nobody
        return 3600 if self._deadline is None else self._deadline - time.monotonic()

    def _check(self) -> None:
        """Pass on a signal, end what took too long, and kill what does not go."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now > self._kill_at or self._stop.count > 1:
                self.kill(signal.SIGKILL)
        elif self.process.poll() is not None:
            return
        elif self._stop.signal:
            self.stopped_by = self._stop.signal
            self._end(f"it was ended by {_name(self.stopped_by)}", self.stopped_by)
        elif self._deadline is not None and now > self._deadline:
            self.timed_out = True
            self._end(f"it took longer than {self._timeout:g} s", signal.SIGTERM)

    def _end(self, why: str, number: int) -> None:
        self.why = why
        self._kill_at = time.monotonic() + GRACE
        self.kill(number)

    def kill(self, number: int) -> None:
        """Send a signal to the command and all that it started."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it ended meanwhile

    def close(self) -> None:
        """Dismiss the watcher, and what was made to end but left others behind."""
        if self.why:
            self.kill(signal.SIGKILL)
        assert self.process.stdin and self.process.stdout and self.process.stderr
        try:
            os.write(self.process.stdin.fileno(), b"\n")
        except BrokenPipeError:
            pass  # the watcher went with its group
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self._waiter.join()
        os.close(self._ended)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
