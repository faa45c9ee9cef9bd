"""Changes of many files are written as one pack, and are as whole, as checked and as safe as small ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.program import PROGRAM
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.backends import branch as places
from ocuroot_git.git import fast_import as bulk
from ocuroot_git.git import repository as objects
from ocuroot_git.git.object_writer import ObjectWriter

MANY = places.MANY * 3


def instructions(count: int, mark: str = "") -> str:
    return "".join(f'set repo/-/p{number % 7}/@{number}/custom/x "{mark}{number}"\n' for number in range(1, count + 1))


def packs(repo: Repo) -> list[Path]:
    return sorted((repo.path / ".git" / "objects" / "pack").glob("*.pack"))


def test_many_documents_make_one_pack_and_one_commit(store: Repo) -> None:
    before = store.git("rev-list", "--count", "state")
    store.ocuroot("update", "--stdin", input=instructions(MANY))
    assert len(packs(store)) == 1
    assert store.git("rev-list", "--count", "state") == str(int(before) + 1)
    assert store.value("repo/-/p3/@3/custom/x") == "3"
    assert store.ocuroot("match", "--count", "repo/**") == str(MANY)
    assert store.git("for-each-ref", "--format=%(refname)") == "refs/heads/state"
    assert store.ocuroot("fsck") == ""
    store.git("fsck", "--strict")


def test_same_tree_as_by_loose_objects(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    store.ocuroot("update", "--stdin", input=instructions(MANY, "old"))
    base = store.git("rev-parse", "state")
    monkeypatch.chdir(store.path)
    trees = []
    for many in (1, 1 << 30):
        store.git("update-ref", "refs/heads/state", base)
        monkeypatch.setattr(places, "MANY", many)
        with ocuroot_git.open().transaction() as tx:
            for number in range(2, MANY, 2):
                tx.delete(f"repo/-/p{number % 7}/@{number}/custom/x")
            for number in range(1, MANY, 2):
                tx.set(f"repo/-/p{number % 7}/@{number}/custom/x", {"new": number})
            tx.set('repo/-/"quoted"/@1/custom/ü and space', None)
        trees.append(store.git("rev-parse", "state^{tree}"))
    assert trees[0] == trees[1]


def test_file_where_a_directory_should_be_is_refused(store: Repo) -> None:
    blob = store.git("hash-object", "-w", "--stdin", input="not a directory")
    index = {**os.environ, "GIT_INDEX_FILE": str(store.path / "index")}
    store.git("read-tree", "state", env=index)
    store.git("update-index", "--add", "--cacheinfo", f"100644,{blob},refs/repo/-/p3", env=index)
    commit = store.git("commit-tree", "-p", "state", "-m", "damage", store.git("write-tree", env=index))
    store.git("update-ref", "refs/heads/state", commit)
    done = store.run("update", "--stdin", input=instructions(MANY))
    assert done.returncode == 128
    assert "'refs/repo/-/p3' is a file where a directory should be" in done.stderr
    assert store.git("rev-parse", "state") == commit
    assert packs(store) == []


def test_lost_race_is_run_again_in_bulk(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.path)
    stores = ocuroot_git.open()
    tries = 0

    def change(tx: ocuroot_git.Transaction) -> None:
        nonlocal tries
        tries += 1
        assert not tx.exists("repo/-/p/@1/custom/x")
        if tries == 1:
            store.ocuroot("set", "+/custom/other", "came between")
        for number in range(1, MANY):
            tx.set(f"repo/-/p/@{number}/custom/x", number)

    stores.transact(change)
    assert tries == 2
    assert store.value("+/custom/other") == "came between"
    assert store.value("repo/-/p/@7/custom/x") == 7


def test_works_in_a_worktree_and_with_alternates(store: Repo, tmp_path: Path) -> None:
    store.ocuroot("set", "+/custom/x", "there")
    clone = Repo(tmp_path / "clone")
    store.git("clone", "-q", "--shared", "--bare", ".", str(clone.path))
    clone.ocuroot("update", "--stdin", input=instructions(MANY))
    assert clone.value("repo/-/p5/@5/custom/x") == "5"
    clone.git("fsck", "--strict")

    store.git("commit", "-q", "--allow-empty", "-m", "start")
    linked = Repo(tmp_path / "linked")
    store.git("worktree", "add", "-q", "-b", "linked", str(linked.path))
    linked.ocuroot("update", "--stdin", input=instructions(MANY))
    assert store.value("repo/-/p5/@5/custom/x") == "5"
    by_name = {**os.environ, "GIT_DIR": str(store.path / ".git")}
    again = Repo(tmp_path)
    again.ocuroot("update", "--stdin", input=instructions(MANY, "again"), env=by_name)
    assert store.value("repo/-/p5/@5/custom/x") == "again5"


def test_no_hook_is_asked_about_the_branch_that_never_is(store: Repo) -> None:
    hook = store.path / ".git" / "hooks" / "reference-transaction"
    log = store.path / "asked"
    hook.write_text(f"#!/bin/sh\ncat >>'{log}'\n")
    hook.chmod(0o755)
    store.ocuroot("update", "--stdin", input=instructions(MANY))
    assert {line.split()[2] for line in log.read_text().splitlines()} == {"refs/heads/state"}


@pytest.mark.parametrize("count", [3, MANY * 4])
def test_killed_at_any_moment_leaves_the_old_or_the_new(store: Repo, count: int) -> None:
    """SIGKILL to the whole group, at moments spread over the time of a write. Nothing else needs to be cleared up."""
    store.ocuroot("set", "+/custom/kept", "kept")
    start = time.monotonic()
    store.ocuroot("update", "--stdin", input=instructions(count, "first"))
    whole = time.monotonic() - start
    for attempt in range(8):
        before = store.git("rev-parse", "state")
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "update", "--stdin"],
            cwd=store.path,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(instructions(count, f"attempt {attempt} "))
        process.stdin.close()
        try:
            process.wait(whole * (0.3 + attempt * 0.12))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # The one file that may stay is git's own lock of the branch, as with every program that git ships.
        (store.path / ".git" / "refs" / "heads" / "state.lock").unlink(missing_ok=True)
        moved = store.git("rev-parse", "state") != before
        found = {store.value(f"repo/-/p{n % 7}/@{n}/custom/x") == f"attempt {attempt} {n}" for n in (1, count)}
        assert found == {moved}
        assert process.returncode != 0 or moved
    assert store.git("for-each-ref", "--format=%(refname)") == "refs/heads/state"
    store.ocuroot("update", "--stdin", input=instructions(count, "last"))
    assert not list((store.path / ".git").rglob("*.lock"))
    store.git("fsck", "--strict")
    store.git("-c", "gc.pruneExpire=now", "gc", "-q", "--prune=now")
    left = [path.name for path in (store.path / ".git" / "objects").rglob("*") if "tmp" in path.name]
    assert left == []


def test_git_that_fails_is_reported(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.path)
    repository = objects.Repository.open(".", os.environ)
    with pytest.raises(ocuroot_git.Fatal, match="fast-import"):
        bulk.edit_in_bulk(
            ObjectWriter(repository, frozenset()),
            {**os.environ, "GIT_CONFIG_COUNT": "nonsense"},
            repository.tip("refs/heads/state"),
            {"refs/x": b""},
        )
