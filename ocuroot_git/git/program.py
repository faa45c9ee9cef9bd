"""The one door to the `git` program: how it is started, and what it says.

Small questions (`git config`, `git var`) are asked through `start`, which spawns without the `subprocess` module:
that import alone costs as much as starting the interpreter, and `get` must not pay it. A child that was started
runs while the caller goes on; `Child.finish` collects it.
"""

from __future__ import annotations

import os

from ..errors import Fatal
from ..redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from subprocess import Popen
    from typing import Any, Final


SIGKILL: Final = 9
"""As in the module `signal`, which is no import for a start."""


class GitError(Fatal):
    """The `git` program failed; the message holds its own words and the command that was run, without passwords."""

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        reason = stderr.strip() or f"it ended with status {status}"
        super().__init__(f"'git {' '.join(arguments)}' failed: {' / '.join(reason.splitlines())}")
        self.exit_status = status
        self.stderr = redact(stderr)


class Child:
    """A running `git` process whose output is collected by `finish`, or read as it comes by `lines`."""

    __slots__ = ("_arguments", "_err", "_is_over", "_out", "_pid")

    def __init__(self, arguments: Sequence[str], pid: int, out: int, err: int) -> None:
        self._arguments = arguments
        self._pid = pid
        self._out = out
        self._err = err
        self._is_over = False

    def finish(self) -> tuple[int, bytes, str]:
        """Wait for the end; gives the exit status, stdout, and stderr as text."""
        self._is_over = True
        out, err = _read_all(self._out), _read_all(self._err)
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return status, out, err.decode(errors="replace")

    def lines(self) -> Iterator[str]:
        """The lines that it prints, as they come, without their ends. Raises GitError unless the status is 0.

        Whoever may not go on to the end calls `drop`.
        """
        rest = b""
        while piece := os.read(self._out, 1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
        self.output()

    def drop(self) -> None:
        """End it, whose answer is no longer wanted, and leave neither a process nor a descriptor behind.

        Nothing happens where it has been waited for.
        """
        if self._is_over:
            return
        self._is_over = True
        os.close(self._out)
        os.close(self._err)
        os.kill(self._pid, SIGKILL)
        os.waitpid(self._pid, 0)

    def output(self) -> bytes:
        """Wait for the end; gives stdout. Raises GitError unless the status is 0."""
        status, out, err = self.finish()
        if status != 0:
            raise GitError(self._arguments, status, err)
        return out


def start(arguments: Sequence[str], environ: Mapping[str, str]) -> Child:
    """Start `git` with these arguments and a closed stdin. For small output only: nothing reads it meanwhile."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, out_write, err_write))]
    try:
        pid = os.posix_spawnp("git", ["git", *arguments], dict(environ), file_actions=actions)
    except FileNotFoundError:
        os.close(out_read)
        os.close(err_read)
        raise Fatal("the program 'git' is not on PATH", hint="git-ocuroot needs git 2.26 or newer") from None
    finally:
        for fd in (null, out_write, err_write):
            os.close(fd)
    return Child(arguments, pid, out_read, err_read)


def run(arguments: Sequence[str], environ: Mapping[str, str], *, data: bytes | None = None) -> bytes:
    """Run `git` to its end with `data` on stdin; gives stdout. Raises GitError unless the status is 0.

    Raises Conflict where it met the lock of a reference whose owner is gone.
    """
    import subprocess

    done = subprocess.run(
        ["git", *arguments],
        env=dict(environ),
        input=data,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        stderr = done.stderr.decode(errors="replace")
        if ".lock': " in stderr:
            from .locks import refuse_left_in

            refuse_left_in(stderr)
        raise GitError(arguments, done.returncode, stderr)
    return done.stdout


class Conversation:
    """A `git` process that is told what to do bit by bit on stdin, and answers in lines; a block, which ends it.

    Whatever it is told raises GitError where it has given up. What is left of it at the end of the block is killed.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        import subprocess
        import tempfile

        self._arguments = arguments
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed at the end of the block)
        self._process = subprocess.Popen(
            ["git", *arguments],
            env=dict(environ),
            bufsize=1 << 16,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        try:
            self._stdin.close()
        except BrokenPipeError:
            pass  # what is not sent yet is not wanted any more
        self._stdout.close()
        self._stderr.close()

    def tell(self, data: bytes) -> None:
        """Write something to its stdin, sooner or later."""
        try:
            self._stdin.write(data)
        except BrokenPipeError:
            raise self._failure() from None

    def ask(self, data: bytes) -> bytes:
        """Write something to its stdin that is answered by a line on stdout; gives that, with its end."""
        self.tell(data)
        try:
            self._stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        answer = self._stdout.readline()
        if not answer.endswith(b"\n"):
            raise self._failure()
        return answer

    def finish(self) -> None:
        """Wait for its end. Raises GitError unless the status is 0."""
        try:
            self._stdin.close()
        except BrokenPipeError:
            raise self._failure() from None
        if self._process.wait() != 0:
            raise self._failure()

    def _failure(self) -> GitError:
        status = self._process.wait()
        self._stderr.seek(0)
        return GitError(self._arguments, status, self._stderr.read().decode(errors="replace"))


def _read_all(fd: int) -> bytes:
    pieces = []
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
    os.close(fd)
    return b"".join(pieces)


def start_pager(environ: Mapping[str, str]) -> Popen[bytes] | None:
    """Start the pager that git would use, with its defaults for less; None where there is to be none."""
    import subprocess

    command = run(["var", "GIT_PAGER"], environ).decode().strip()
    if command in ("", "cat"):
        return None
    defaults = {"LESS": "FRX", "LV": "-c"}
    return subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env={**defaults, **environ})


def browse(address: str, environ: Mapping[str, str]) -> None:
    """Open an address in the browser that git would use (`web.browser`), and do not wait for it."""
    import subprocess

    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen(["git", "web--browse", address], env=dict(environ), start_new_session=True, **quiet)
