"""What a person sees: colour, the pager and quoting, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM, Repo


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


@pytest.fixture
def history(store: Repo) -> Repo:
    store.ocuroot("set", "+/custom/freeze", "yes")
    return store


def test_log_is_coloured_and_goes_through_the_pager(history: Repo, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    shown = on_terminal(history, "log", GIT_PAGER=f"tee {paged}")
    assert "\x1b[33mcommit " in shown
    assert "\x1b[32mA\x1b[m\t+/custom/freeze" in shown
    assert paged.read_text() == shown


def test_the_pager_is_gits_own_choice(history: Repo, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    history.git("config", "core.pager", f"sh -c 'echo $LESS > {paged}; cat'")
    assert "+/custom/freeze" in on_terminal(history, "match", "**")
    assert paged.read_text() == "FRX\n"


def test_leaving_the_pager_early_is_no_error(history: Repo) -> None:
    steps = "".join(f'create @/custom/n{number} "{"x" * 50}"\n' for number in range(3000))
    history.ocuroot("update", "--stdin", input=steps)
    assert "fatal" not in on_terminal(history, "match", "--values", "**", GIT_PAGER="head -1")


@pytest.mark.parametrize(
    ("config", "environ", "coloured"),
    [
        ({}, {}, True),
        ({}, {"NO_COLOR": "1"}, False),
        ({"color.ui": "false"}, {}, False),
        ({"color.ui": "never", "color.ocuroot": "always"}, {"NO_COLOR": "1"}, True),
        ({"color.ocuroot": "false"}, {}, False),
        ({}, {"TERM": "dumb"}, False),
    ],
)
def test_colour_follows_gits_rules(history: Repo, config: dict, environ: dict, coloured: bool) -> None:
    for key, value in config.items():
        history.git("config", key, value)
    assert ("\x1b[" in on_terminal(history, "log", GIT_PAGER="cat", **environ)) is coloured


def test_colour_where_nobody_looks(history: Repo) -> None:
    assert "\x1b" not in history.ocuroot("log")
    history.git("config", "color.ui", "always")
    assert "\x1b" in history.ocuroot("log")


def test_names_that_would_break_a_line_are_quoted_as_git_does(repo: Repo) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", input='{"kind": "ref", "body": 1}')
    marker = repo.git("hash-object", "-w", "--stdin", input='{"version": 1}')
    tree = ""
    for segment in ("@object.json", "a\nb", "custom", "@", "refs"):
        entry = f"100644 blob {blob}" if segment == "@object.json" else f"040000 tree {tree}"
        entries = f"{entry}\t{segment}\0" + (f"100644 blob {marker}\t.ocuroot-store\0" if segment == "refs" else "")
        tree = repo.git("mktree", "-z", input=entries)
    commit = repo.git("commit-tree", "-m", "by hand", tree)
    repo.git("update-ref", "refs/heads/state", commit)
    assert repo.ocuroot("match", "**") == '"@/custom/a\\nb"'
    assert repo.ocuroot("match", "-z", "**") == "@/custom/a\nb\0"
