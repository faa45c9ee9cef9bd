"""Runs of the program without the start of an interpreter, which costs several times what most of them do.

Each run is a process of its own all the same, with its own words, environment, directory, standard streams, memory
and exit status: a fork of an interpreter that has loaded the program, as `fork_server` keeps one for all tests of a
process. What such a run cannot show: how an interpreter starts, what is imported when, and what comes of the order of
sets, which all forks of one server share.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from . import fork_server

READ_EARLY: Final = (
    *("GIT_CONFIG", "GLIBC_", "HOME", "LANG", "LC_", "LD_"),
    *("MALLOC_", "OPENSSL_", "PYTHON", "SSL_", "TZ", "XDG_"),
)
"""How variables begin that an interpreter or a library reads as it is loaded: who sets one needs a new interpreter."""


class ForkServer:
    """An interpreter that is ready to become the program, started in the environment of the moment."""

    def __init__(self, program: Path) -> None:
        self._read_early = _read_early(os.environ)
        self._asking = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            subprocess.run(
                [sys.executable, fork_server.__file__, str(theirs.fileno()), str(program)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                check=True,
            )

    def close(self) -> None:
        """End the server, and come back when it has ended."""
        with self._control:
            self._control.shutdown(socket.SHUT_WR)
            self._control.recv(1)

    def suits(self, environ: Mapping[str, str]) -> bool:
        """Whether a fork is what an interpreter would be that was started in an environment."""
        return _read_early(environ) == self._read_early

    def run(
        self,
        words: Sequence[str | bytes],
        directory: Path,
        environ: Mapping[str, str],
        given: bytes | None,
        wait: int,
    ) -> tuple[int, bytes, bytes]:
        """Run the program with an input or none; gives its exit status, as `subprocess` has it, its stdout and stderr.

        Raises subprocess.TimeoutExpired after `wait` seconds, and kills the process then.
        """
        stdin, feed = (os.open(os.devnull, os.O_RDONLY), None) if given is None else os.pipe()
        (out, their_out), (err, their_err), (end, their_end) = os.pipe(), os.pipe(), os.pipe()
        theirs = [stdin, their_out, their_err, their_end]
        try:
            self._ask(words, directory, environ, theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        got = _exchange(feed, given or b"", (out, err, end), wait)
        if got is None:
            raise subprocess.TimeoutExpired([os.fsdecode(word) for word in words], wait)
        said = got[2][fork_server.LENGTH :]
        assert len(said) == fork_server.LENGTH, "the fork server has ended"
        return os.waitstatus_to_exitcode(int.from_bytes(said, "big")), got[0], got[1]

    def _ask(
        self, words: Sequence[str | bytes], directory: Path, environ: Mapping[str, str], descriptors: list[int]
    ) -> None:
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
        text = marshal.dumps(([os.fsencode(word) for word in words], variables, os.fsencode(directory)))
        with self._asking:
            socket.send_fds(self._control, [len(text).to_bytes(fork_server.LENGTH, "big")], descriptors)
            self._control.sendall(text)


def _exchange(feed: int | None, given: bytes, sources: tuple[int, int, int], wait: int) -> list[bytes] | None:
    """Write what is given to a pipe and read three others, the last of which begins with the id of the process, until
    all have ended; none where they do not within `wait` seconds, in which case the process is killed."""
    deadline = time.monotonic() + wait
    got = {source: bytearray() for source in sources}
    left = memoryview(given)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
            stack.callback(os.close, source)
        if feed is not None:
            os.set_blocking(feed, False)
            selector.register(feed, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                os.kill(int.from_bytes(got[sources[2]][: fork_server.LENGTH], "big"), signal.SIGKILL)
                return None
            for key, _ in ready:
                if key.fd == feed:
                    try:
                        left = left[os.write(feed, left) :]
                    except BrokenPipeError:  # it did not want to read all
                        left = left[:0]
                    if not left:
                        selector.unregister(feed)
                        os.close(feed)
                else:
                    piece = os.read(key.fd, 1 << 16)
                    got[key.fd] += piece
                    if not piece:
                        selector.unregister(key.fd)
    return [bytes(got[source]) for source in sources]


def _read_early(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(READ_EARLY)}
