"""The one door to the commands of `host.shell`: those of `repo.ocu.star`, and of packages (design 14.7).

They stay in the process group of who runs them, so that they end with it.
"""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

LARGEST_OUTPUT: Final = 64 << 20
"""Bytes of what a command writes that a file is given."""
_STRAGGLERS: Final = 0.5
"""Seconds to wait, after a command ended, for output of what it left running in the background."""
_OFTEN: Final = 0.1


class ShellError(ValueError):
    """A command cannot be run, or wrote too much; the message says why."""


class ShellResult:
    """What a command of `host.shell` wrote, and how it ended: its exit status as a shell has it."""

    __slots__ = ("combined_output", "exit_code", "stderr", "stdout")

    def __init__(self, stdout: str, stderr: str, combined_output: str, exit_code: int) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.combined_output = combined_output
        self.exit_code = exit_code


def script(command: str, program: str, folder: str, env: dict[str, str]) -> str:
    """What sh is given to run a command by another shell, in a directory, with variables of its own.

    Raises ShellError for what cannot be a variable's name.
    """
    import shlex

    text = command if program == "sh" else f"exec {shlex.quote(program)} -c {shlex.quote(command)}"
    for name, value in env.items():
        if not (name.isascii() and name.isidentifier()):
            raise ShellError(f"host.shell: '{name}' cannot be the name of an environment variable")
        text = f"export {name}={shlex.quote(value)}\n{text}"
    return text if folder in (".", "") else f"cd -- {shlex.quote(folder)} || exit\n{text}"


def shell_in(directory: str, environ: Mapping[str, str]) -> Callable[[str], ShellResult]:
    """What runs scripts in a directory, in this process or a child of it. An orphan ends, with its group."""
    owner = os.getpid()

    def end_if_orphaned() -> None:
        if owner not in (os.getpid(), os.getppid()) and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)

    def shell(script: str) -> ShellResult:
        return run(script, directory=directory, environ=environ, tick=end_if_orphaned)

    return shell


def run(
    script: str,
    output: Callable[[int, str], None] = lambda stream, text: None,
    *,
    directory: str | None = None,
    environ: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> ShellResult:
    """Run a script by sh, and wait for its end, though not for that of what it leaves in the background.

    `output` is given what it writes as it comes: the stream (1 or 2) and text; `tick` is called often. Raises
    ShellError where it cannot be started, or writes too much.
    """
    try:
        process = subprocess.Popen(
            ["sh", "-c", script],
            cwd=directory,
            env=dict(environ) if environ is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise ShellError(f"host.shell: cannot start sh: {getattr(error, 'strerror', None) or error}") from None
    assert process.stdout is not None and process.stderr is not None
    texts: dict[int, list[str]] = {1: [], 2: []}
    size = 0
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        for stream, pipe in ((1, process.stdout), (2, process.stderr)):
            selector.register(pipe, selectors.EVENT_READ, (stream, codecs.getincrementaldecoder("utf-8")("replace")))
        last_call: float | None = None
        while last_call is None or (selector.get_map() and time.monotonic() < last_call):
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_OFTEN)
            for key, _ in selector.select(_OFTEN) if selector.get_map() else ():
                stream, decoder = key.data
                data = os.read(key.fd, 1 << 16)
                text = decoder.decode(data, final=not data)
                if not data:
                    selector.unregister(key.fileobj)
                size += len(data)
                if size > LARGEST_OUTPUT:
                    process.kill()
                    process.wait()
                    raise ShellError(f"host.shell: the command wrote more than {LARGEST_OUTPUT >> 20} MiB")
                if text:
                    texts[stream].append(text)
                    output(stream, text)
            tick()
            if last_call is None and process.poll() is not None:
                last_call = time.monotonic() + _STRAGGLERS
    status = process.wait()
    stdout, stderr = "".join(texts[1]), "".join(texts[2])
    return ShellResult(stdout, stderr, stdout + stderr, 128 - status if status < 0 else status)
