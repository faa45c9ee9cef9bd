"""Running a `git` that talks to others: it, and all that it starts, ends when it should (design 8.11).

Where there is no terminal, git runs in a process group of its own, which is ended as a whole. On a terminal it stays
in ours, because only the group in the foreground may ask for a passphrase and is reached by Ctrl-C; there its
descendants are looked up when it is to be ended. Should this process be killed, a watcher ends git in its place: it
waits on a pipe that only we hold. So no git is left behind that nobody waits for, and none keeps a lock.
"""

from __future__ import annotations

import os
import time

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from subprocess import Popen
    from typing import BinaryIO, Final

_GRACE: Final = 5.0
"""Seconds to end by itself after the first signal, before the one that cannot be caught."""
_STRAGGLERS: Final = 0.5
"""Seconds to wait, after git ended, for output of what it left running, such as a shared ssh connection."""

_WATCHER: Final = """
read -r done && exit
kill -TERM "$1"
for second in 1 2 3 4 5; do sleep 1; kill -0 "$1" || exit; done
kill -KILL "$1"
"""
"""Ends the process $1 (a group, where it is negative) when stdin is closed without a word."""


class GitResult:
    """How a `git` process ended: its status (None: it was stopped at its deadline), stdout, and stderr as text."""

    __slots__ = ("err", "out", "status")

    def __init__(self, status: int | None, out: bytes, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err


def execute(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    directory: str,
    seconds: float,
    most: float,
    data: bytes | None = None,
    keep: Sequence[int] = (),
) -> GitResult:
    """Run a `git` that talks to others in a directory; every end is an answer.

    It is ended when it has said nothing for `seconds`, and in any case after `most`. `keep` are descriptors that it
    inherits, and holds to its end.
    """
    import subprocess

    has_terminal = _has_terminal()
    with _file_with(data) if data is not None else open(os.devnull, "rb") as stdin:
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=directory,
                env=network_environ(environ, os.isatty(0)),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=keep,
                start_new_session=not has_terminal,
            )
        except FileNotFoundError:
            raise Fatal("the program 'git' is not on PATH", hint="git-ocuroot needs git 2.26 or newer") from None
    family = _Processes(process) if has_terminal else _Group(process)
    watcher = None
    try:
        watcher = subprocess.Popen(
            ["sh", "-c", _WATCHER, "sh", family.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=keep,
            start_new_session=True,
        )
        return _collect(process, family, seconds, most)
    except BaseException:
        _end(process, family, lambda: None)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        if watcher is not None:
            watcher.communicate(b"done\n")


def _file_with(data: bytes) -> BinaryIO:
    """A file without a name to read `data` from: unlike a pipe, it needs nobody who writes meanwhile."""
    from tempfile import TemporaryFile

    file = TemporaryFile()  # noqa: SIM115  (the caller closes it)
    file.write(data)
    file.seek(0)
    return file


def _collect(process: Popen[bytes], family: _Group | _Processes, seconds: float, most: float) -> GitResult:
    """What a process says until it ends, or is ended because it says nothing any more, or goes on for too long."""
    import selectors

    assert process.stdout is not None and process.stderr is not None
    pieces: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    out, err = pieces.values()
    began = heard = time.monotonic()
    ended: float | None = None
    status: int | None = None
    with selectors.DefaultSelector() as selector:
        for fd in pieces:
            selector.register(fd, selectors.EVENT_READ)

        def read(pause: float) -> None:
            nonlocal heard
            for key, _ in selector.select(pause):
                piece = os.read(int(key.fd), 1 << 16)
                if piece:
                    pieces[int(key.fd)].append(piece)
                    heard = time.monotonic()
                else:
                    selector.unregister(key.fd)

        while True:
            now = time.monotonic()
            due = min(heard + seconds, began + most)
            if process.poll() is not None:
                status = process.returncode
                ended = ended or now
                if not selector.get_map() or now > ended + _STRAGGLERS:
                    break
            elif now >= due:
                _end(process, family, lambda: read(0))
                break
            if selector.get_map():
                read(min(0.1, max(0.0, due - now)))
            else:
                _wait(process, min(0.1, max(0.0, due - now)))
    return GitResult(status, b"".join(out), b"".join(err).decode(errors="replace"))


def _wait(process: Popen[bytes], seconds: float) -> None:
    from subprocess import TimeoutExpired

    try:
        process.wait(seconds)
    except TimeoutExpired:
        pass


def _end(process: Popen[bytes], family: _Group | _Processes, read: Callable[[], None]) -> None:
    """End a process with all that it started: asked first, so that git takes its lock files away. It is reaped.

    `read` takes what it still prints, lest it wait for a reader.
    """
    import signal  # late: with it come enum and functools, and `log` loads this module

    family.send(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        read()
        if process.poll() is not None and not family.is_alive():
            break
        time.sleep(0.01)
    family.send(signal.SIGKILL)
    process.wait()


class _Group:
    """A process and all that it started, where they have a process group of their own."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._pid = process.pid
        self.name = f"-{process.pid}"

    def send(self, number: int) -> None:
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # they have ended

    def is_alive(self) -> bool:
        try:
            os.killpg(self._pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class _Processes:
    """A process and all that it started, where they share our process group: found as its descendants."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._below: list[int] | None = None
        self.name = str(process.pid)

    def send(self, number: int) -> None:
        if self._below is None:
            self._below = _descendants(self._process.pid)
        self._process.send_signal(number)
        for pid in self._below:
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                pass  # it has ended

    def is_alive(self) -> bool:
        alive = []
        for pid in self._below or ():
            try:
                os.kill(pid, 0)
            except (ProcessLookupError, PermissionError):
                continue
            alive.append(pid)
        self._below = alive
        return bool(alive)


def _descendants(pid: int) -> list[int]:
    """The children of a process, and theirs, and so on."""
    parents = _parents()
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def _parents() -> dict[int, int]:
    """The parent of every process: from /proc where there is one, else from ps(1)."""
    import subprocess

    parents = {}
    for name in os.listdir("/proc") if os.path.exists("/proc/self/stat") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # `pid (name) state parent …`, and a name may hold anything
                    parents[int(name)] = int(file.read().rpartition(b") ")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has ended
    if not parents:
        try:
            listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=False).stdout
        except FileNotFoundError:
            return {}
        for line in listing.splitlines():
            child, parent = line.split()
            parents[int(child)] = int(parent)
    return parents


def _has_terminal() -> bool:
    """Whether this process has a terminal at which git, ssh and their helpers may ask, whatever stdin is."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def network_environ(environ: Mapping[str, str], is_interactive: bool) -> dict[str, str]:
    """The environment of a `git` that talks to others: words we can read, and no question that nobody answers."""
    changed = {**environ, "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1"}
    changed.pop("LANGUAGE", None)
    if not is_interactive:
        changed.setdefault("GIT_TERMINAL_PROMPT", "0")
    return changed
