"""The one door to the commands that functions of packages run: `host.shell` of a run (design 14.7).

They stay in the process group of the run, so that they end with it.
"""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import time

from .files import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Final

LARGEST_OUTPUT: Final = 64 << 20
"""Bytes of what a command writes that a package is given."""
_STRAGGLERS: Final = 0.5
"""Seconds to wait, after a command ended, for output of what it left running in the background."""


class Signals:
    """Which signal asked this process to end. The command that runs gets it too, and is waited for."""

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number


def run(script: str, output: Callable[[int, str], None]) -> tuple[int, str, str]:
    """Run a script by sh; gives its exit status as a shell has it, and what it wrote to stdout and stderr.

    `output` is given that as it comes: the stream (1 or 2) and text. Raises HostError where it cannot be started, or
    writes too much.
    """
    try:
        process = subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except (OSError, ValueError) as error:
        raise HostError(f"host.shell: cannot start sh: {getattr(error, 'strerror', None) or error}") from None
    assert process.stdout is not None and process.stderr is not None
    texts: dict[int, list[str]] = {1: [], 2: []}
    size = 0
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        for stream, pipe in ((1, process.stdout), (2, process.stderr)):
            selector.register(pipe, selectors.EVENT_READ, (stream, codecs.getincrementaldecoder("utf-8")("replace")))
        last_call: float | None = None
        while selector.get_map() and (last_call is None or time.monotonic() < last_call):
            for key, _ in selector.select(0.1):
                stream, decoder = key.data
                data = os.read(key.fd, 1 << 16)
                text = decoder.decode(data, final=not data)
                if not data:
                    selector.unregister(key.fileobj)
                size += len(data)
                if size > LARGEST_OUTPUT:
                    process.kill()
                    process.wait()
                    raise HostError(f"host.shell: the command wrote more than {LARGEST_OUTPUT >> 20} MiB")
                if text:
                    texts[stream].append(text)
                    output(stream, text)
            if last_call is None and process.poll() is not None:
                last_call = time.monotonic() + _STRAGGLERS
    status = process.wait()
    return 128 - status if status < 0 else status, "".join(texts[1]), "".join(texts[2])
