"""A branch that is checked out, here or in another worktree, or being rebased."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.program import run_program
from support.repositories import Repo


def test_the_branch_is_checked_out(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    store.git("checkout", "-q", "state")
    before = (
        store.git("rev-parse", "state"),
        store.git("status", "--porcelain"),
        (store.path / ".git/index").read_bytes(),
    )
    message = f"refusing to move branch 'state', which is checked out at '{store.path}/'"
    done = store.run("set", "+/custom/x", "2")
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.replace("/'\n", "'\n").split("\n")[0] == f"fatal: {message}".replace("/'", "'")
    hint = done.stderr.split("\n")[1]
    assert hint.startswith("hint: check out another branch there: git -C "), hint
    assert (
        store.git("rev-parse", "state"),
        store.git("status", "--porcelain"),
        (store.path / ".git/index").read_bytes(),
    ) == before
    assert store.value("+/custom/x") == "1"
    assert store.run("set", "+/custom/x", "1").returncode == 0, "nothing is to be moved"
    store.git("checkout", "-q", "--detach")
    store.ocuroot("set", "+/custom/x", "2")


def test_the_branch_is_checked_out_and_unborn(repo: Repo) -> None:
    repo.git("symbolic-ref", "HEAD", "refs/heads/state")
    done = repo.run("init")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: refusing to move branch 'state', which is checked out at "), done.stderr
    assert repo.git("for-each-ref") == ""


def test_the_branch_is_checked_out_in_another_worktree(store: Repo, tmp_path: Path) -> None:
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    linked = tmp_path / "linked tree"
    store.git("worktree", "add", "-q", str(linked), "state")
    for where in (store.path, linked):
        done = run_program("set", "+/custom/x", "1", cwd=where)
        assert done.returncode == 128, where
        assert (
            done.stderr.split("\n")[0] == f"fatal: refusing to move branch 'state', which is checked out at '{linked}'"
        )
    # The hint can be pasted.
    command = done.stderr.split("another branch there: ")[1].strip().removesuffix("switch -") + "switch -q -c other"
    subprocess.run(["sh", "-c", command], check=True)
    store.ocuroot("set", "+/custom/x", "1")


def test_the_main_worktree_is_named_from_a_linked_one(store: Repo, tmp_path: Path) -> None:
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    store.git("worktree", "add", "-q", str(tmp_path / "linked"))
    store.git("checkout", "-q", "state")
    done = run_program("set", "+/custom/x", "1", cwd=tmp_path / "linked")
    assert done.returncode == 128
    place = done.stderr.split("checked out at '")[1].split("'")[0]
    assert os.path.realpath(place) == os.path.realpath(store.path)


def test_the_branch_is_being_rebased(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    store.git("checkout", "-q", "state")
    store.git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "-q", "-i", "HEAD~1")
    assert store.git("symbolic-ref", "-q", "HEAD", check=False) == ""
    done = store.run("set", "+/custom/x", "2")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: refusing to move branch 'state', which is checked out at "), done.stderr
    store.git("rebase", "--abort")
    store.git("checkout", "-q", "--detach")
    store.ocuroot("set", "+/custom/x", "2")
