"""Commands on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from support.program import PROGRAM
from support.repositories import Repo


def on_terminal(repo: Repo, *arguments: str, **environ: str) -> str:
    """What `git ocuroot` shows on a terminal that can do colours; gives the text, with plain newlines."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=repo.path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", **environ},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # how Linux says that nobody has the other end open any more
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait() in (0, 141), shown  # 141: the pager was left early, as for git itself
    return shown.decode().replace("\r\n", "\n")
