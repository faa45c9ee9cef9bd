"""Standard streams that are closed, full, cut off or interrupted, and input from a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
from support.program import PROGRAM
from support.repositories import Repo, state_of

pytestmark = pytest.mark.new_interpreter


def test_a_value_from_a_closed_stdin(store: Repo) -> None:
    message = "fatal: cannot read from standard input: it is closed\n"
    for words in ("set +/custom/x -", "update --stdin", "get --batch"):
        done = shell(store, f"{words} <&-")
        assert (done.returncode, done.stdout, done.stderr) == (128, "", message), words
    assert store.ocuroot("match", "**") == ""


# Standard streams that are closed, full or interrupted


def shell(repo: Repo, line: str) -> subprocess.CompletedProcess[str]:
    """Run one command line of the program in a shell, for what only a shell does to the standard streams."""
    return subprocess.run(
        ["bash", "-c", f'"$PYTHON" "$PROGRAM" {line}'],
        cwd=repo.path,
        env={**os.environ, "PYTHON": sys.executable, "PROGRAM": str(PROGRAM)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "words", ["get @/custom/freeze", "match '**'", "status", "log", "-h", "get -h", "--version", "parse @/custom/x"]
)
def test_output_that_nobody_can_take(shop: Repo, words: str) -> None:
    done = shell(shop, f"{words} >&-")
    assert (done.returncode, done.stderr) == (128, "fatal: cannot write to standard output: it is closed\n")
    done = shell(shop, f"{words} >/dev/full")
    assert (done.returncode, done.stderr) == (
        128,
        "fatal: cannot write to standard output: No space left on device\n",
    )


def test_closed_streams_do_no_harm(shop: Repo) -> None:
    for number, closing in enumerate((">&-", "2>&-", "<&-", "<&- >&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-")):
        done = shell(shop, f"set +/custom/x {number} {closing}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), closing
        assert shop.value("+/custom/x") == str(number)
        assert shop.git("log", "-1", "--format=%an", "state") == "Test"
        done = shell(shop, f"get @/custom/nothing {closing}")
        assert (done.returncode, done.stdout) == (1, ""), closing
    assert shop.git("fsck", "--strict") == ""


def test_a_closed_pipe_ends_quietly(store: Repo) -> None:
    lines = "".join(f"set @/custom/{number:05} 1\n" for number in range(20_000))
    store.ocuroot("update", "--stdin", input=lines)
    done = shell(store, "match '**' | head -1; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("@/custom/00000\n141\n", "")
    done = shell(store, "match --values '**' | head -1 >/dev/null; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("141\n", "")
    done = shell(store, "get --batch < <(while :; do echo @/custom/00001; done) | head -1; echo ${PIPESTATUS[0]}")
    assert (done.stdout.split("\n")[1], done.stderr) == ("141", "")


def test_a_reader_that_has_gone_leaves_the_error(store: Repo) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, PROGRAM, "get", "@/custom/nothing"],
            cwd=store.path,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "fatal: no such document: '@/custom/nothing'\n")


def test_ctrl_c_while_it_prints(store: Repo) -> None:
    lines = "".join(f"set @/custom/{number:05}{'x' * 100} 1\n" for number in range(10_000))
    store.ocuroot("update", "--stdin", input=lines)
    before = state_of(store)
    # Once the first line is here, the rest is more than the pipe holds: the program is still printing.
    for words in (["match", "--values", "**"], ["match", "**"]):
        running = subprocess.Popen(
            [sys.executable, PROGRAM, *words], cwd=store.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.readline()
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        assert (running.wait(timeout=60), running.stderr.read()) == (-signal.SIGINT, b"")
        running.stdout.close()
        running.stderr.close()
    assert state_of(store) == before


def test_ctrl_c_while_it_waits_for_input(store: Repo) -> None:
    before = state_of(store)
    running = subprocess.Popen(
        [sys.executable, PROGRAM, "update", "--stdin"],
        cwd=store.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin is not None
    # More than the pipe holds: when all of it is written, the program has begun to read.
    running.stdin.write(b"".join(b"set @/custom/%d 1\n" % number for number in range(10_000)))
    running.stdin.flush()
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60)[1] == b""
    assert running.returncode == -signal.SIGINT
    assert state_of(store) == before


def test_input_from_a_terminal(store: Repo) -> None:
    """A person may type the value, and end it with Ctrl-D."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, PROGRAM, "set", "+/custom/x", "-"], cwd=store.path, stdin=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, b"typed\n\x04")
    assert running.communicate(timeout=60)[1] == b""
    os.close(ours)
    assert (running.returncode, store.value("+/custom/x")) == (0, "typed")
