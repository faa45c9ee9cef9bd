"""Deadlines hold for git and all that it starts, with and without a terminal; and a terminal can still be asked at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import PROGRAM
from support.repositories import Repo
from support.servers import PASSWORD, USER, http_server, silent_server
from support.waiting import LONG, wait_until

from ocuroot_git.git.deadline import execute

pytestmark = pytest.mark.new_interpreter


@pytest.fixture
def silent() -> Iterator[int]:
    with silent_server() as port:
        yield port


def children(mark: str) -> list[str]:
    """The processes that have `mark`, a port of this test, in their command line: git's helpers have the URL there."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if f":{mark}/" in line]


def is_unlocked(repo: Repo) -> bool:
    """Whether nobody holds the lock of the cache."""
    cache = next((repo.path / ".git" / "ocuroot").glob("*.git"))
    held = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(held)


def asking(repo: Repo, url: str) -> Repo:
    repo.git("config", "ocuroot.state.remote", url)
    repo.git("config", "ocuroot.timeout", "1")
    return repo


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_silent_server_is_left_at_the_deadline_with_all_that_was_started(
    repo: Repo, silent: int, scheme: str
) -> None:
    asking(repo, f"{scheme}://127.0.0.1:{silent}/x.git")
    began = time.monotonic()
    for arguments in (("get", "+/custom/a"), ("set", "+/custom/a", "1")):
        done = repo.run(*arguments, start_new_session=True)
        assert done.returncode == 128
        assert "does not answer: it said nothing for 1 s" in done.stderr
        assert "ocuroot.timeout" in done.stderr
        assert children(str(silent)) == []
        assert is_unlocked(repo)
    assert time.monotonic() - began < 30


def test_a_killed_command_leaves_no_git_and_no_lock(repo: Repo, silent: int) -> None:
    asking(repo, f"http://127.0.0.1:{silent}/x.git").git("config", "ocuroot.timeout", "100")
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "get", "+/custom/a"],
            cwd=repo.path,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: len(children(str(silent))) > 0)
        time.sleep(0.3)
        process.send_signal(number)
        process.wait(60)
        wait_until(lambda: children(str(silent)) == [])
        wait_until(lambda: is_unlocked(repo))


# When the leader of a session ends, what its terminal has not passed on yet is lost. So the program is not the leader.
LEADER = """
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
program = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.write(1, b"\\0ended: %d\\0" % program.wait())
signal.pause()
"""


class Terminal:
    """A command with a terminal of its own, at which the test sits."""

    def __init__(self, repo: Repo, *arguments: str) -> None:
        self.fd, theirs = pty.openpty()
        command = [sys.executable, "-c", LEADER, sys.executable, str(PROGRAM), *arguments]
        self._leader = subprocess.Popen(
            command, cwd=repo.path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.said = b""

    def expect(self, words: bytes) -> None:
        """Read until it has said something."""
        deadline = time.monotonic() + LONG
        while words not in self.said:
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], self.said
            self.said += os.read(self.fd, 4096)

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def end(self) -> int:
        """Wait for its end; gives the exit status, negative for a signal."""
        self.expect(b"\0ended: ")
        status = self.said.partition(b"\0ended: ")[2]
        while not status.endswith(b"\0"):
            status += os.read(self.fd, 1)
        self._leader.kill()
        self._leader.wait()
        os.close(self.fd)
        return int(status.rstrip(b"\0"))


def test_git_asks_for_a_login_at_the_terminal(tmp_path: Path, repo: Repo) -> None:
    bare = tmp_path / "served" / "store.git"
    bare.mkdir(parents=True)
    Repo(bare).git("init", "-q", "--bare")
    with http_server(tmp_path / "served") as server:
        repo.git("config", "ocuroot.state.remote", f"http://127.0.0.1:{server.port}/store.git")
        repo.git("config", "credential.helper", f"store --file={tmp_path / 'credentials'}")  # so that it is asked once
        terminal = Terminal(repo, "get", "+/custom/a")
        terminal.expect(b"Username for")
        terminal.type(USER.encode() + b"\n")
        terminal.expect(b"Password for")
        terminal.type(PASSWORD.encode() + b"\n")
        terminal.expect(b"no store")  # let in: there is just no branch
        assert terminal.end() == 128


def test_deadlines_and_ctrl_c_hold_at_a_terminal(repo: Repo, silent: int) -> None:
    asking(repo, f"http://127.0.0.1:{silent}/x.git")
    terminal = Terminal(repo, "get", "+/custom/a")
    terminal.expect(b"does not answer")
    assert terminal.end() == 128
    assert children(str(silent)) == []
    repo.git("config", "ocuroot.timeout", "100")
    terminal = Terminal(repo, "get", "+/custom/a")
    wait_until(lambda: len(children(str(silent))) > 0)
    time.sleep(0.3)
    terminal.type(b"\x03")
    assert terminal.end() == -signal.SIGINT
    wait_until(lambda: children(str(silent)) == [])
    assert is_unlocked(repo)


def run_shell(script: str, *, seconds: float, most: float = 60) -> tuple[int | None, bytes, float]:
    """Run a shell script as an alias of git; gives the status, stdout, and how long it took."""
    began = time.monotonic()
    done = execute(["-c", f"alias.x=!{script}", "x"], os.environ, directory="/", seconds=seconds, most=most)
    return done.status, done.out, time.monotonic() - began


def test_what_goes_on_may_take_longer_but_not_for_ever() -> None:
    going_on = "for i in 1 2 3 4 5 6 7 8; do echo . >&2; sleep 0.4; done; echo done"
    assert run_shell(going_on, seconds=3)[:2] == (0, b"done\n")
    assert run_shell(going_on, seconds=3, most=1.2)[0] is None


def test_what_does_not_listen_is_killed_and_what_stays_is_not_waited_for() -> None:
    status, _, seconds = run_shell("trap '' TERM; while :; do sleep 0.1; done", seconds=0.3)
    assert status is None
    assert seconds < 20
    status, out, seconds = run_shell("echo out; sleep 60 & exit 0", seconds=45)
    assert (status, out) == (0, b"out\n")
    assert seconds < 30


def test_a_cache_of_credentials_that_git_started_does_not_keep_the_lock(tmp_path: Path, repo: Repo) -> None:
    bare = tmp_path / "served" / "store.git"
    bare.mkdir(parents=True)
    Repo(bare).git("init", "-q", "--bare")
    Repo(bare).git("config", "http.receivepack", "true")
    home = Path("/tmp") / f"ocuroot-test-{os.getpid()}"  # the path of a socket must be short
    home.mkdir(mode=0o700)
    socket = home / "socket"
    with http_server(tmp_path / "served") as server:
        repo.git("config", "ocuroot.state.remote", f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}/store.git")
        repo.git("config", "credential.helper", f"cache --timeout=60 --socket={socket}")
        repo.git("config", "ocuroot.timeout", "6")  # the lock is waited for ten times as long
        try:
            began = time.monotonic()
            repo.ocuroot("init", "-q")
            assert socket.exists(), "git has not started its cache of credentials"
            repo.ocuroot("set", "+/custom/a", "1")
            assert time.monotonic() - began < 50
        finally:
            repo.git("credential-cache", f"--socket={socket}", "exit", check=False)
            shutil.rmtree(home)
