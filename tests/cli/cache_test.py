"""`git ocuroot cache`: what is remembered is shown, checked and forgotten; in every kind of repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.program import run_program
from support.repositories import Repo

from ocuroot_git.delivery import survey
from ocuroot_git.store.memory import FILE, Memory


@pytest.fixture
def filled(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input="set r/-/a/@1/custom/x 1\nset r/-/a/+1/custom/x 1\nset r/-/b/@2 2\n")
    store.ocuroot("status")
    return store


def file_of(repo: Repo) -> Path:
    return repo.path / ".git" / "ocuroot" / FILE


def test_stat(filled: Repo) -> None:
    lines = filled.ocuroot("cache", "--stat").splitlines()
    assert lines[0].split() == ["file", str(file_of(filled))]
    assert lines[1].endswith("KiB of 256 MiB at most")
    report = json.loads(filled.ocuroot("cache", "--stat", "--json"))
    assert report["bytes"] == file_of(filled).stat().st_size
    assert report["entries"] == sum(report["kinds"].values()) > 0
    assert list(report["kinds"]) == [f"{survey.KIND}/1/1"]


def test_clear(filled: Repo) -> None:
    before = filled.ocuroot("status")
    filled.ocuroot("cache", "--clear")
    assert not file_of(filled).exists()
    assert json.loads(filled.ocuroot("cache", "--stat", "--json"))["entries"] == 0
    assert not file_of(filled).exists()
    assert filled.ocuroot("status") == before
    assert file_of(filled).exists()


def test_verify(filled: Repo) -> None:
    done = filled.run("cache", "--verify")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(" right, 0 wrong\n")


@pytest.mark.parametrize("data", [b"7 7", b"nonsense", b"3 1 [{},[],{},[],true]"])
def test_verify_finds_what_is_wrong(filled: Repo, data: bytes) -> None:
    memory = Memory(str(file_of(filled)))
    (kind,) = memory.kinds()
    wrong = memory.ids(kind)[0]
    memory.put(kind, {wrong: data})
    memory.put("summary/9/1/1", {wrong: b"of another version"})
    memory.put("others", {wrong: b"7 7"})
    memory.put(kind, {"12" * 40 + "61": b"7 7"})
    memory.close()
    done = filled.run("cache", "--verify")
    assert (done.returncode, done.stdout) == (1, f"{kind}\t{wrong}\n")
    assert "1 wrong; not checked: 1 whose trees are gone, 2 of other versions\n" in done.stderr
    shown = json.loads(filled.run("cache", "--verify", "--json").stdout)
    assert shown == {"kind": kind, "id": wrong}


def test_a_flipped_bit_counts_as_wrong(filled: Repo) -> None:
    memory = Memory(str(file_of(filled)))
    (kind,) = memory.kinds()
    marked = memory.ids(kind)[0]
    memory.put(kind, {marked: b"1111111111 2222222222"})
    memory.close()
    data = file_of(filled).read_bytes()
    assert data.count(b"1111111111 2222222222") == 1
    file_of(filled).write_bytes(data.replace(b"1111111111 2222222222", b"1111111111 2222222223"))
    done = filled.run("cache", "--verify")
    assert (done.returncode, done.stdout) == (1, f"{kind}\t{marked}\n")


def test_a_file_of_something_else_is_nothing_remembered(filled: Repo) -> None:
    file_of(filled).write_bytes(b"of something else" * 1000)
    assert json.loads(filled.ocuroot("cache", "--stat", "--json"))["entries"] == 0
    assert filled.run("cache", "--verify").returncode == 0


def test_worktrees_and_bare_repositories_share_it(filled: Repo, tmp_path: Path) -> None:
    filled.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), "state")
    for directory in (tmp_path / "tree", filled.path / ".git"):
        done = run_program("cache", "--stat", "--json", cwd=directory)
        assert json.loads(done.stdout)["file"] == str(file_of(filled)), done.stderr


def test_one_thing_is_asked_for(filled: Repo) -> None:
    for asked in ([], ["--stat", "--clear"]):
        done = filled.run("cache", *asked)
        assert (done.returncode, done.stdout) == (129, "")
        assert done.stderr.startswith("error: give one of --stat, --verify and --clear\n")
