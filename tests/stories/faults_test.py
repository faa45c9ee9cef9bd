"""Faults injected for real: killed processes, full and read-only disks, and what a killed process leaves."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from support.faults import hook, writes_again
from support.repositories import Repo, begin

pytestmark = pytest.mark.new_interpreter

# Killed


def test_killed_at_any_moment(store: Repo) -> None:
    count, rounds = 60, 30

    def instructions(value: int) -> str:
        return "".join(f"set a/-/b/@1/custom/{number} [{value}]\n" for number in range(count))

    began = time.monotonic()
    store.ocuroot("update", "--stdin", input=instructions(0))
    latest = time.monotonic() - began
    chance = random.Random(1)
    values, killed = {0}, 0
    for value in range(1, rounds + 1):
        running = begin(store, "update", "--stdin", stdin=subprocess.PIPE)
        assert running.stdin is not None
        running.stdin.write(instructions(value))
        running.stdin.close()
        time.sleep(chance.uniform(0.3, 1.1) * latest)
        running.kill()
        if running.wait() == -signal.SIGKILL:
            killed += 1
        else:
            latest *= 0.8  # the machine is less busy than it was: the next is killed earlier
        for stream in (running.stdout, running.stderr):
            assert stream is not None
            stream.close()
        # The one file that may stay is git's own lock of the branch, as with every program that git ships.
        (store.path / ".git" / "refs" / "heads" / "state.lock").unlink(missing_ok=True)
        lines = store.ocuroot("match", "--values", "**").split("\n")
        found = {json.loads(line)["value"][0] for line in lines}
        assert len(lines) == count
        assert len(found) == 1 and found <= {max(values), value}, (found, value)
        values |= found
    assert killed > 0
    assert list((store.path / ".git").rglob("*.lock")) == []
    assert store.git("status", "--porcelain") == ""
    assert int(store.git("rev-list", "--count", "state", "--")) == 1 + len(values)
    writes_again(store)


def test_killed_before_the_branch_moves(store: Repo) -> None:
    """The last moment before the compare-and-swap, caught by a hook that kills the program that waits for it."""
    hook(store, 'test "$1" = prepared && kill -9 $(cat ../pid); exit 1')
    tip = store.git("rev-parse", "state")
    running = begin(store, "set", "+/custom/x", "1")
    (store.path.parent / "pid").write_text(str(running.pid))
    assert running.wait() in (-signal.SIGKILL, 128)
    running.communicate()
    (store.path / ".git" / "hooks" / "reference-transaction").unlink()
    assert store.git("rev-parse", "state") == tip
    writes_again(store)


# Disks


def files_up_to(limit: int) -> Callable[[], None]:
    """What to do in a new process so that it can write no file beyond a number of bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_full_disk(store: Repo) -> None:
    """Files may only grow to a limit, from which on writing fails, as it does on a full disk."""
    store.ocuroot("set", "+/custom/before", "1")
    limits = (0, 30, 60, 90, 120, 140, 160, 180, 200, 240, 280, 1 << 20)
    failures = set()
    for limit in limits:
        tip, reflog = store.git("rev-parse", "state"), store.git("reflog", "state")
        done = store.run(
            "set",
            "+/custom/x",
            f"{limit}",
            preexec_fn=files_up_to(limit),
        )
        if done.returncode == 0:
            assert store.value("+/custom/x") == str(limit)
            assert store.git("cat-file", "-t", "state") == "commit"
            store.ocuroot("delete", "+/custom/x")
            continue
        failures.add(done.stderr)
        assert (done.returncode, done.stdout) == (128, ""), (limit, done.stderr)
        assert (store.git("rev-parse", "state"), store.git("reflog", "state")) == (tip, reflog), limit
        assert store.run("get", "--default", "null", "+/custom/x").stdout == "null\n"
    assert failures
    assert limit == 1 << 20 and done.returncode == 0
    for words in failures:
        assert words.startswith(
            ("fatal: cannot write to the object database: ", "fatal: cannot move 'refs/heads/state': ")
        )
        assert "File too large" in words and words.count("\n") == 1, words
    assert list((store.path / ".git").rglob("*.lock")) == []
    writes_again(store)


def test_a_full_disk_under_the_reflog(store: Repo) -> None:
    """The commit can be written, the reflog cannot: the branch stays where it is, or moves and says so."""
    log = store.path / ".git" / "logs" / "refs" / "heads" / "state"
    log.write_text(log.read_text() * 200)
    limit = log.stat().st_size
    tip = store.git("rev-parse", "state")
    done = store.run("set", "+/custom/x", "1", preexec_fn=files_up_to(limit))
    moved = store.git("rev-parse", "state") != tip
    assert (done.returncode == 0) == moved, done.stderr
    assert list((store.path / ".git").rglob("*.lock")) == []
    writes_again(store)


def test_a_full_disk_under_a_store_of_files(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    store.ocuroot("export", "-q", "files")
    store.git("config", "--unset", "ocuroot.state.branch")
    store.git("config", "ocuroot.state.path", "files")
    before = {path: path.read_bytes() for path in (store.path / "files").rglob("*") if path.is_file()}
    done = store.run("set", "+/custom/x", "2" * 100, preexec_fn=files_up_to(50))
    path = store.path / "files" / "refs" / "+" / "custom" / "x"
    assert done.returncode == 128
    assert done.stderr.startswith(f"fatal: cannot write '{path}") and "File too large" in done.stderr, done.stderr
    assert {path: path.read_bytes() for path in (store.path / "files").rglob("*") if path.is_file()} == before


def test_a_read_only_object_database(store: Repo) -> None:
    """No object can be written, for root as little as for others: files stand where the directories would be."""
    store.ocuroot("set", "+/custom/x", "1")
    store.git("gc", "-q", "--prune=now")
    for number in range(256):
        path = store.path / ".git" / "objects" / f"{number:02x}"
        assert not path.exists()
        path.touch()
    before = store.git("for-each-ref")
    for words in (["set", "+/custom/x", "2"], ["set", "+/custom/new", "2"], ["delete", "+/custom/x"]):
        done = store.run(*words)
        assert (done.returncode, done.stdout) == (128, ""), words
        assert done.stderr.startswith("fatal: cannot write to the object database: "), done.stderr
        assert done.stderr.count("\n") == 1
    assert store.git("for-each-ref") == before
    assert store.value("+/custom/x") == "1"
    assert store.run("set", "+/custom/x", "1").returncode == 0, "nothing is to be written"


# What a killed process has left half made


def test_the_next_command_sweeps_away_what_is_half_made(store: Repo, make_repo: Callable[..., Repo]) -> None:
    ours = store.path / ".git" / "ocuroot"
    for name in ("bulk.1-abc.tmp", "x-0123456789.git.99999.tmp"):
        (ours / name / "pack").mkdir(parents=True)
        (ours / name / "pack" / "tmp_pack_x").touch()
    held = ours / "bulk.2-abc.tmp"
    held.mkdir()
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    store.ocuroot("set", "+/custom/x", "1")
    assert [path.name for path in ours.iterdir() if path.suffix == ".tmp"] == [held.name], (
        "another process is filling that one"
    )
    os.close(descriptor)
    hub = make_repo("hub", "--bare")
    store.git("config", "ocuroot.state.remote", str(hub.path))
    store.ocuroot("init", "-q")
    assert [path.name for path in ours.iterdir() if path.suffix == ".tmp"] == []
    (ours / held.name).mkdir()
    assert store.ocuroot("get", "--default", "0", "+/custom/x") == "0"
    assert [path.name for path in ours.iterdir() if path.suffix == ".tmp"] == []
