"""The tests themselves: what they start ends with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.program import TOP
from support.repositories import Repo

SERVE = """
import sys, time
from pathlib import Path
from support.servers import git_daemon
with git_daemon(Path(sys.argv[1])) as port:
    print(port, flush=True)
    time.sleep(600)
"""


def test_no_daemon_is_left_when_the_tests_are_killed(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], cwd=TOP / "tests", stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    port = int(running.stdout.readline())
    socket.create_connection(("127.0.0.1", port)).close()
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    pytest.fail("the daemon is still there")


def test_children_of_the_tests_can_be_interrupted() -> None:
    """Also where SIGINT is ignored around the tests, as under nohup."""
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == -signal.SIGINT


def test_the_program_on_the_path_is_run_by_this_interpreter(repo: Repo) -> None:
    """Whatever other Python is on PATH, or none."""
    bare = {**os.environ, "PATH": f"{os.environ['PATH'].partition(os.pathsep)[0]}:/usr/bin:/bin"}
    assert repo.git("ocuroot", "parse", "--json", "@/custom/x", env=bare).startswith("{")
