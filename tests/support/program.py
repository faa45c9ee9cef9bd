"""The program under test as a process, and where the files of this project lie."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .forked_program import ForkServer

TOP = Path(__file__).resolve().parent.parent.parent
FIXTURES = TOP / "fixtures"
CONFORMANCE = FIXTURES / "conformance"
PROGRAM = TOP / "bin" / "git-ocuroot"

PATIENCE = 600
"""How many seconds a run of the program may take."""


class Starting:
    """How `run_program` starts the program: `server` is there once a run was forked."""

    def __init__(self) -> None:
        self.anew = True
        self.server: ForkServer | None = None
        self._making = threading.Lock()

    def forks(self) -> ForkServer:
        with self._making:
            if self.server is None:
                self.server = ForkServer(PROGRAM)
            return self.server

    def end(self) -> None:
        if self.server is not None:
            self.server.close()
        self.server = None


starting = Starting()


def run_program(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run the program with this interpreter, as `git ocuroot` would; text in and out, or bytes with `text=False`.

    It is a process in any case: a fork of an interpreter that is ready, unless the test asks for a new one, with the
    mark `new_interpreter` or by an option that a fork cannot have.
    """
    options.setdefault("text", True)
    command = [sys.executable, str(PROGRAM), *arguments]
    if not starting.anew and options.keys() <= {"text", "cwd", "env", "input"}:
        done = _forked(command, **options)
        if done is not None:
            return done
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, **options)


def _forked(
    command: list[str | bytes],
    *,
    text: bool,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,
) -> subprocess.CompletedProcess[Any] | None:
    """What `subprocess.run` gives, of a fork; none where the environment asks for a new interpreter."""
    server = starting.forks()
    environ = os.environ if env is None else env
    if not server.suits(environ):
        return None
    given = input.encode() if isinstance(input, str) else input
    status, *output = server.run(command[2:], Path(cwd or os.curdir).absolute(), environ, given, PATIENCE)
    said = [io.TextIOWrapper(io.BytesIO(one), "utf-8").read() if text else one for one in output]
    return subprocess.CompletedProcess(command, status, *said)
