"""Commands of `host.shell`: bounded in what they write, and nothing waits for what they leave behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.program import TOP

from ocuroot_git.config.shell import LARGEST_OUTPUT, ShellError, run, script, shell_in


def test_what_it_wrote_and_how_it_ended() -> None:
    pieces: list[tuple[int, str]] = []
    done = run("printf é; printf b >&2; exit 3", lambda *piece: pieces.append(piece))
    assert (done.stdout, done.stderr, done.combined_output, done.exit_code) == ("é", "b", "éb", 3)
    assert sorted(pieces) == [(1, "é"), (2, "b")]
    assert run("kill -9 $$").exit_code == 137
    assert run("exec >&- 2>&-; sleep 0.3; exit 4").exit_code == 4


def test_directory_and_variables() -> None:
    assert shell_in("/", {"A": "1", "PATH": os.environ["PATH"]})("pwd; echo $A").stdout == "/\n1\n"
    assert run(script("echo $0 $X", "bash", "/", {"X": "a b"})).stdout == "bash a b\n"
    with pytest.raises(ShellError, match="cannot be the name of an environment variable"):
        script("true", "sh", ".", {"A;b": ""})
    with pytest.raises(ShellError, match="cannot start sh: No such file or directory"):
        run("true", directory="/nonexistent")


def test_output_without_end() -> None:
    with pytest.raises(ShellError, match=f"wrote more than {LARGEST_OUTPUT >> 20} MiB"):
        run("yes")


def test_what_stays_in_the_background_is_not_waited_for() -> None:
    before = time.monotonic()
    assert run("sleep 60 & echo $!").stdout.strip().isdigit()
    assert time.monotonic() - before < 30


def test_an_orphan_ends_with_what_it_runs(tmp_path: Path) -> None:
    text = """
import os, sys
from ocuroot_git.config.shell import shell_in
shell = shell_in(sys.argv[1], os.environ)
if not os.fork():
    os.setpgid(0, 0)
    shell("exec 3> fifo; echo begun >&3; sleep 600")
os.wait()
"""
    os.mkfifo(tmp_path / "fifo")
    process = subprocess.Popen([sys.executable, "-c", text, str(tmp_path)], cwd=TOP)
    with open(tmp_path / "fifo", "rb", buffering=0) as fifo:
        assert fifo.readline() == b"begun\n"
        process.kill()
        process.wait()
        ready, _, _ = select.select([fifo], [], [], 60)
        assert ready and fifo.read() == b"", "the sleep still holds it open"
