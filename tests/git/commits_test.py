"""Commits as git makes them: hooks, signatures, author and committer, the reflog, maintenance."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.faults import hook
from support.repositories import Repo


@pytest.mark.parametrize("where", [".git/hooks", "my hooks"])
def test_the_reference_transaction_hook_sees_each_write(store: Repo, where: str) -> None:
    hook(store, 'echo "$1 $(cat)" >> "$GIT_DIR/seen"', where)
    if where != ".git/hooks":
        store.git("config", "core.hooksPath", where)
    old = store.git("rev-parse", "state")
    store.ocuroot("set", "+/custom/x", "1")
    new = store.git("rev-parse", "state")
    seen = (store.path / ".git" / "seen").read_text()
    assert seen == f"prepared {old} {new} refs/heads/state\ncommitted {old} {new} refs/heads/state\n"
    assert store.git("reflog", "-1", "--format=%gs", "state") == "ocuroot: set +/custom/x"


def test_the_reference_transaction_hook_may_refuse(store: Repo) -> None:
    hook(store, "echo no writing on Fridays >&2; exit 1")
    tip = store.git("rev-parse", "state")
    done = store.run("set", "+/custom/x", "1")
    assert (done.returncode, done.stdout) == (128, "")
    assert "no writing on Fridays" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert store.git("rev-parse", "state") == tip


def fake_gpg(repo: Repo, script: str) -> None:
    path = repo.path / ".git" / "fake-gpg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    repo.git("config", "gpg.program", str(path))
    repo.git("config", "commit.gpgSign", "true")


def test_commits_are_signed(store: Repo) -> None:
    signature = "'-----BEGIN PGP SIGNATURE-----' fake '-----END PGP SIGNATURE-----'"
    fake_gpg(store, f"cat >/dev/null; echo '[GNUPG:] SIG_CREATED ' >&2; printf '%s\\n' {signature}")
    who = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@x", "GIT_AUTHOR_DATE": "1700000000 -0330"}
    store.ocuroot("set", "+/custom/x", "ü", env={**os.environ, **who})
    commit = store.git("cat-file", "commit", "state")
    assert "\ngpgsig -----BEGIN PGP SIGNATURE-----\n fake\n -----END PGP SIGNATURE-----\n" in commit
    assert "\nauthor Ann <ann@x> 1700000000 -0330\n" in commit
    assert commit.split("\n\n", 1)[1].startswith("set +/custom/x\n\n+/custom/x\n\nOcuroot-Command: set\n")
    assert store.value("+/custom/x") == "ü"


def test_a_commit_that_cannot_be_signed_is_not_made(store: Repo) -> None:
    fake_gpg(store, "echo no secret key >&2; exit 2")
    tip = store.git("rev-parse", "state")
    done = store.run("set", "+/custom/x", "1")
    assert (done.returncode, done.stdout) == (128, "")
    assert "gpg failed to sign the data" in done.stderr, done.stderr
    assert done.stderr.startswith("fatal: ") and done.stderr.count("\n") == 1
    assert store.git("rev-parse", "state") == tip


# Who and when


def test_author_and_committer_are_gits(store: Repo) -> None:
    who = {
        "GIT_AUTHOR_NAME": "Ann Åström",
        "GIT_AUTHOR_EMAIL": "ann@example.com", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05-0330",
        "GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.com", "GIT_COMMITTER_DATE": "@1700000000 +0545",
    }  # fmt: skip
    store.ocuroot("set", "+/custom/x", "1", env={**os.environ, **who})
    assert store.git("log", "-1", "--format=%an|%ae|%ad|%cn|%ce|%cd", "--date=raw", "state") == (
        "Ann Åström|ann@example.com|1767335645 -0330|CI|ci@example.com|1700000000 +0545"
    )
    assert store.git("reflog", "-1", "--format=%gn|%ge|%gs", "state") == "CI|ci@example.com|ocuroot: set +/custom/x"
    store.git("config", "user.name", "Local")
    store.git("-c", "user.email=given@example.com", "ocuroot", "set", "+/custom/x", "2")
    assert store.git("log", "-1", "--format=%an|%ae", "state") == "Local|given@example.com"


def test_without_any_identity(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    repo = make_repo("anonymous")
    repo.git("config", "user.useConfigOnly", "true")
    nobody = {**os.environ, "HOME": str(tmp_path / "no-home")}
    assert repo.run("init", env=nobody).returncode == 0
    done = repo.run("set", "+/custom/x", "1", env=nobody)
    assert (done.returncode, done.stderr) == (0, "")
    ocuroot = "Ocuroot <ocuroot@localhost>"
    assert repo.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", "state") == f"{ocuroot}|{ocuroot}"
    assert abs(int(repo.git("log", "-1", "--format=%at", "state")) - time.time()) < 300


def test_the_reflog_tells_what_ran(store: Repo) -> None:
    store.ocuroot("set", "-m", "two\nlines", "+/custom/x", "1")
    store.ocuroot("delete", "+/custom/x")
    assert store.git("reflog", "--format=%gs", "state").split("\n") == [
        "ocuroot: delete +/custom/x",
        "ocuroot: two",
        "ocuroot: create the store",
    ]


def test_maintenance_runs_once_after_writing(store: Repo, tmp_path: Path) -> None:
    def runs(*words: str, **options: object) -> int:
        trace = tmp_path / "trace"
        trace.unlink(missing_ok=True)
        done = store.run(*words, env={**os.environ, "GIT_TRACE": str(trace)}, **options)
        assert done.returncode == 0
        return trace.read_text().count("built-in: git maintenance run --auto --quiet")

    assert runs("set", "+/custom/x", "1") == 1
    assert runs("set", "+/custom/x", "1") == 0
    assert runs("get", "+/custom/x") == 0


def test_maintenance_runs_once_after_every_command_that_writes(
    store: Repo, make_repo: Callable[..., Repo], tmp_path: Path
) -> None:
    def runs(repo: Repo, *words: str) -> int:
        trace = tmp_path / "trace"
        trace.unlink(missing_ok=True)
        repo.ocuroot(*words, "-q", env={**os.environ, "GIT_TRACE": str(trace)})
        return trace.read_text().count("built-in: git maintenance run --auto --quiet")

    hub, other, third = make_repo("hub", "--bare"), make_repo("other"), make_repo("third")
    hub.git("config", "receive.autogc", "false")
    for repo in (store, other, third):
        repo.git("remote", "add", "origin", str(hub.path))
    store.ocuroot("export", "-q", str(tmp_path / "files"))
    assert runs(make_repo("made"), "init", "--intent-branch", "wanted") == 1, "two branches, one repository"
    assert runs(make_repo("filled"), "import", str(tmp_path / "files")) == 1
    assert runs(store, "push") == 1
    assert runs(other, "fetch") == 1
    assert runs(other, "fetch") == 0
    other.ocuroot("set", "+/custom/x", "1")
    assert runs(other, "sync") == 1
    assert runs(store, "set", "+/custom/y", "1") == 1
    assert runs(store, "sync") == 1
    assert runs(third, "init", "--remote", "origin") == 1, "the tool's own repository was fetched into"
    assert runs(third, "get", "--default", "0", "+/custom/x") == 0
    assert runs(third, "set", "+/custom/z", "1") == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open descriptors are read from /proc")
def test_what_was_started_for_a_write_that_did_not_come_is_ended(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    script = """
import os, ocuroot_git

def held():
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        return len(os.listdir("/proc/self/fd")), file.read()

kept = []
for n in range(20):
    kept.append(ocuroot_git.open())
    kept[-1].set("+/custom/x", "1")
    if n == 1:
        before = held()
try:
    kept[0].delete("+/custom/nothing")
except ocuroot_git.NotFound:
    pass
print(*before, *held())
kept[0].set("+/custom/x", "2")  # who writes is asked anew
kept[0].set("+/custom/x", "3")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=store.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = done.stdout.split()
    assert before == after, "no descriptor more, and no child"
    assert store.git("log", "-1", "--format=%an", "state") == "Test"
