"""The bounds of an evaluation: time, steps, memory, depth; and nothing of the child is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from support.program import TOP
from support.starlark import FILE, LONG, error, read, run, timed

from ocuroot_git.config import sandbox
from ocuroot_git.config.repo_file import evaluate_value
from ocuroot_git.config.sandbox import StarlarkError

pytestmark = pytest.mark.usefixtures("nothing_left")


LOOP = "def f():\n  for i in range(2000000000):\n    x = i\n"


def test_an_endless_loop_ends_in_time_and_in_place() -> None:
    assert timed(LOOP + "f()", 0.3) == f"{FILE}:2:3: evaluation took longer than 0.3 s"
    text = "x = 1\ny = [i\n for i in range(2000000000) if x == 2]"
    assert timed(text, 0.3) == f"{FILE}:3:32: evaluation took longer than 0.3 s"
    assert timed("x = 3\nfor i in range(60):\n  x = x * x", 0.3) == f"{FILE}: evaluation took longer than 0.3 s"
    with pytest.raises(StarlarkError, match=r"^value:1:47: evaluation took longer than 0\.3 s$"):
        evaluate_value("[x for x in [3] for i in range(2000000000) if [i] == x]", seconds=0.3)


def test_an_endless_loop_ends_after_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "STEPS", 1_000_000)
    assert timed(LOOP + "f()", 5) == f"{FILE}:2:3: evaluation took longer than 1000000 steps"


@pytest.mark.parametrize(
    "text",
    [
        "x = [1] * 300000000",
        "x = 'a' * 2000000000",
        "x = ('b' * 1000000).join(['a'] * 1000000)",
        "x = sorted(range(100000000))",
        "def f():\n  x = 'ab'\n  for i in range(60):\n    x = x + x\nf()",
        "x = ['a' * 1000000 + str(i) for i in range(10000000)]",
        "for i in range(10000):\n  print('a' * 1000000)",
        "x = []\nfor i in range(10000000):\n  x = [x]\nprint(len(str(x)))",
        "x = " + "-" * 2000000 + "1",
    ],
)
def test_a_bomb_is_an_error(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    message = timed(text, LONG)
    assert message.startswith(f"{FILE}: evaluation ")
    assert "memory" in message or "nest too deeply" in message
    assert capfd.readouterr() == ("", "")


def test_a_panic_of_the_library_is_an_error_and_seen_nowhere_else(capfd: pytest.CaptureFixture[str]) -> None:
    text = "x = 'ab'\nfor i in range(60):\n  x = x + x"
    assert error(text).message == f"{FILE}: evaluation takes more than 512 MiB of memory"
    assert capfd.readouterr() == ("", "")


def test_a_crash_of_the_child_is_an_error() -> None:
    for crash, message in (
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "evaluation crashed: it seems to nest too deeply"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "evaluation crashed: it ended with wait status 9"),
        (lambda: os._exit(3), "evaluation crashed: it ended with wait status 768"),
    ):
        assert error('host.shell("x")', shell=lambda _, crash=crash: crash()).message == f"{FILE}: {message}"


def test_a_command_that_takes_too_long_ends_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        text = f'host.shell("exec >{tmp_path}/alive; echo yes; sleep 60; true")'
        assert timed(text, 2, shell=run) == f"{FILE}: evaluation took longer than 2 s"
        os.set_blocking(alive, True)
        assert os.read(alive, 9) == b"yes\n"
        assert select.select([alive], [], [], 60)[0]
        assert os.read(alive, 9) == b""  # for no one has it open any more
    finally:
        os.close(alive)


def test_an_interrupt_ends_the_child() -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> NoReturn:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interrupted):
            read("for i in range(2000000000):\n  for j in range(2000000000):\n    x = j")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert error("").message == f"{FILE}: cannot start a process to evaluate it: Resource temporarily unavailable"


def test_many_evaluations_in_one_process_and_in_threads() -> None:
    results = []

    def work(number: int) -> None:
        for _ in range(5):
            results.append((number, read(f"repo_alias('r{number}')").repo_alias))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(number, f"r{number}") for number in range(4) for _ in range(5)]


def test_the_child_leaves_the_streams_and_the_end_of_the_process_to_its_parent() -> None:
    script = """
import atexit, faulthandler, os, subprocess, sys
from ocuroot_git.config.shell import ShellResult
from ocuroot_git.config.repo_file import evaluate
def run(command: str) -> ShellResult:
    return ShellResult(subprocess.check_output(command, shell=True, text=True), "", "", 0)
def what(text):
    try:
        return evaluate(text, "f", environ={}, shell=run, seconds=60).printed
    except Exception as error:
        return error
faulthandler.enable(file=os.dup(2))
atexit.register(print, "exit handler")
print("buffered", end=" ")
print(what("print('hidden')"))
print(what("x = []\\nfor i in range(10000000):\\n  x = [x]\\nprint(len(str(x)))"))
print(what("print(host.shell('cat').stdout)"), sys.stdin.read())
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=TOP, input="stdin", capture_output=True, text=True, check=True)
    assert done.stdout == (
        "buffered ('hidden',)\nf: evaluation crashed: it seems to nest too deeply\n('',) stdin\nexit handler\n"
    )
    assert done.stderr == ""
