"""A child process that is bounded in time, steps and memory, for evaluating Starlark that is not to be trusted.

What the child answers comes back as JSON through a pipe. It ends without doing what the parent would do at its end,
and is always reaped; the commands that it starts end with it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

MEMORY = 512 << 20  # bytes an evaluation may take beyond what this process holds already
STEPS = 100_000_000  # some two seconds of work, and the same bound on every machine

_OUT_OF_MEMORY = ("out of memory", "PyObject pointer is null", "Python API call failed", "AlignedSize must not exceed")
"""How panics of the library begin."""
_TOO_BIG = f"evaluation takes more than {MEMORY >> 20} MiB of memory"


class StarlarkError(Fatal):
    """What was to be evaluated cannot be; the message begins `file:line:column: ` where the place is known."""


class Bounds:
    """The bounds on this process, a child. They are switched off while a command of `host.shell` runs.

    While they are on nothing reaches stdout or stderr, where the library reports a panic before it raises it.
    """

    def __init__(self, seconds: float) -> None:
        import resource
        import time

        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.ticks = 0
        self.null, self.stderr = os.open(os.devnull, os.O_RDWR), os.dup(2)
        os.dup2(self.null, 0)
        # Processor time, for a child that lost the parent who would end it.
        limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: int(seconds) + 2}
        if os.path.exists("/proc/self/statm"):  # where it does not, only time bounds the memory
            with open("/proc/self/statm", encoding="ascii") as file:
                limits[resource.RLIMIT_AS] = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
        self.limits = {kind: (limit, *resource.getrlimit(kind)) for kind, limit in limits.items()}
        self.switch(on=True)

    def switch(self, on: bool) -> None:
        import resource

        for kind, (limit, soft, hard) in self.limits.items():
            bounded = limit if soft == resource.RLIM_INFINITY else min(limit, soft)
            resource.setrlimit(kind, (bounded if on else soft, hard))
        for number in 1, 2:  # also stdout, for what a command writes is no result of ours
            os.dup2(self.null if on else self.stderr, number)

    @contextmanager
    def off(self) -> Iterator[None]:
        """While entered, there are none."""
        self.switch(on=False)
        try:
            yield
        finally:
            self.switch(on=True)

    def exceeded(self) -> str | None:
        """The message, once time or steps are up. The library asks every thousand steps."""
        import time

        self.ticks += 1
        if self.ticks * 1000 > STEPS:
            return f"evaluation took longer than {STEPS} steps"
        return f"evaluation took longer than {self.seconds:g} s" if time.monotonic() > self.deadline else None


def in_child(work: Callable[[Bounds], object], name: str, seconds: float) -> Any:
    """What `work` returns, made to JSON and back, from a bounded child process; or the StarlarkError it raises.

    The library asks whether to go on between two steps, but a single step may take all time and memory there is,
    or crash. So the child, with the commands it runs, is ended from here soon after it should have ended by itself.
    """
    import json
    import select
    import time

    deadline = time.monotonic() + seconds + 0.5
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(read)
        os.close(write)
        raise StarlarkError(f"{name}: cannot start a process to evaluate it: {error.strerror}") from None
    if not pid:
        _be_child(work, name, seconds, write)
    answer = bytearray()
    late = False
    try:
        os.close(write)
        poll = select.poll()
        poll.register(read, select.POLLIN)
        while not answer.endswith(b"\n"):  # the end of the file may come late: others fork, too, and hold it open
            late = not poll.poll(max(0, deadline - time.monotonic()) * 1000)
            chunk = b"" if late else os.read(read, 1 << 16)
            if not chunk:
                break
            answer += chunk
    finally:
        os.close(read)
        status = _end_child(pid, kill=not answer.endswith(b"\n"))
    if late:
        raise StarlarkError(f"{name}: evaluation took longer than {seconds:g} s")
    if not answer.endswith(b"\n"):
        guess = {6: "it seems to be out of memory", 11: "it seems to nest too deeply"}
        reason = guess.get(os.WTERMSIG(status), f"it ended with wait status {status}")
        raise StarlarkError(f"{name}: evaluation crashed: {reason}")
    result = json.loads(answer)
    if "message" in result:
        raise StarlarkError(result["message"], hint=result["hint"])
    return result["value"]


def _be_child(work: Callable[[Bounds], object], name: str, seconds: float, write: int) -> NoReturn:
    """Answers through the pipe and ends, past all that the parent would do at its end, such as to flush its buffers."""
    import faulthandler
    import json

    try:
        faulthandler.disable()  # it keeps a stderr of its own
        os.setpgid(0, 0)  # so that the commands of host.shell end with this process
        try:
            answer = json.dumps({"value": work(Bounds(seconds))}).encode()
            if len(answer) > MEMORY >> 3:
                raise MemoryError
        except StarlarkError as error:
            answer = json.dumps({"message": error.message, "hint": error.hint}).encode()
        except BaseException as error:
            too_big = isinstance(error, MemoryError) or str(error).startswith(_OUT_OF_MEMORY)
            message = _TOO_BIG if too_big else f"{type(error).__name__}: {error}"
            answer = json.dumps({"message": f"{name}: {message}", "hint": None}).encode()
        rest = memoryview(answer + b"\n")
        while rest:
            rest = rest[os.write(write, rest) :]
    finally:
        os._exit(0)


def _end_child(pid: int, kill: bool) -> int:
    """The status of the child, which is gone after this, with the commands it left running; `kill`: at once."""
    import signal

    senders = [os.killpg, os.kill] if kill else [os.killpg]  # it may be too young to have a group
    for send in senders:
        try:
            send(pid, signal.SIGKILL)
        except OSError:
            continue
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:  # where SIGCHLD is ignored, the system has reaped it
        return 0
