"""Commands on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from support.program import PROGRAM
from support.repositories import Repo

_END = b"\0end of what was shown\0"


def on_terminal(repo: Repo, *arguments: str, **environ: str) -> str:
    """What `git ocuroot` shows on a terminal that can do colours, where it succeeds; gives the text."""
    status, shown = ended_on_terminal(repo, arguments, environ)
    assert status in (0, 141), shown  # 141: the pager was left early, as for git itself
    return shown


def ended_on_terminal(
    repo: Repo,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    look: Callable[[bytes], None] = lambda _: None,
) -> tuple[int, str]:
    """How `git ocuroot` ends, and what it shows on a terminal that can do colours, with plain newlines.

    `look` is given what has been shown so far, each time there is more.
    The terminal stays open until all is read: where the last who writes to one closes it, systems may lose what was
    written just before.
    """
    master, slave = pty.openpty()
    with ThreadPoolExecutor(1) as pool:
        try:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *arguments],
                cwd=repo.path,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "xterm", **environ},
            )
            reading = pool.submit(_read_to_end, master, look)
            status = process.wait()
            os.write(slave, _END)
            shown = reading.result()
        finally:
            os.close(slave)
    os.close(master)
    return status, shown.decode().replace("\r\n", "\n")


def _read_to_end(master: int, look: Callable[[bytes], None]) -> bytes:
    shown = b""
    while not shown.endswith(_END):
        shown += os.read(master, 1 << 16)
        look(shown)
    return shown.removesuffix(_END)
