"""Faults injected for real: killed processes, full and read-only disks, held locks, hooks, signing, and damage."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import PROGRAM, run_program
from support.repositories import Repo


def refused(done: subprocess.CompletedProcess[str], message: str, hint: str | None = None, status: int = 128) -> None:
    expected = f"fatal: {message}\n" + (f"hint: {hint}\n" if hint else "")
    assert (done.stderr, done.returncode, done.stdout) == (expected, status, "")


def started(repo: Repo, *words: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, PROGRAM, *words],
        cwd=repo.path,
        text=True,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def objects(repo: Repo) -> dict[str, str]:
    return dict(line.split(": ") for line in repo.git("count-objects", "-v").split("\n"))


def writes_again(repo: Repo) -> None:
    """The repository is sound, and the next command works."""
    repo.ocuroot("set", "+/custom/again", str(random.random()))
    assert repo.ocuroot("fsck", "-q") == ""
    assert repo.git("fsck", "--strict", "--no-dangling") == ""


# Killed


def test_killed_at_any_moment(store: Repo) -> None:
    count, rounds = 60, 30

    def instructions(value: int) -> str:
        return "".join(f"set a/-/b/@1/custom/{number} [{value}]\n" for number in range(count))

    begin = time.monotonic()
    store.ocuroot("update", "--stdin", input=instructions(0))
    duration = time.monotonic() - begin
    chance = random.Random(1)
    values, killed = {0}, 0
    for value in range(1, rounds + 1):
        running = started(store, "update", "--stdin", stdin=subprocess.PIPE)
        assert running.stdin is not None
        running.stdin.write(instructions(value))
        running.stdin.close()
        time.sleep(chance.uniform(0.3, 1.1) * duration)
        running.kill()
        killed += running.wait() == -signal.SIGKILL
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
    running = started(store, "set", "+/custom/x", "1")
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


# Checked out


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


# Damage


def replace(repo: Repo, path: str, content: str | None) -> None:
    """Change one file of the branch by hand, with plain git."""
    index = {**os.environ, "GIT_INDEX_FILE": str(repo.path / ".git" / "by-hand")}
    repo.git("read-tree", "state", env=index)
    repo.git("update-index", "--force-remove", path, env=index)
    if content is not None:
        for known in repo.git("ls-files", path, env=index).split():
            repo.git("update-index", "--force-remove", known, env=index)
        blob = repo.git("hash-object", "-w", "--stdin", input=content)
        repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = repo.git("write-tree", env=index)
    repo.git("update-ref", "refs/heads/state", repo.git("commit-tree", "-p", "state", "-m", "by hand", tree))


@pytest.fixture
def damaged(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input="set @/custom/good 1\nset +/custom/bad 1\nlink @/custom/l @/custom/good\n")
    replace(store, "refs/+/custom/bad/@object.json", '{"kind": "ref",\n "body": }')
    return store


DAMAGE = "damaged store: 'refs/+/custom/bad/@object.json': bad JSON: line 2, column 10: a value is expected here"
DAMAGE_HINT = (
    "other documents stay readable; 'git ocuroot fsck' lists all damage, "
    "and 'git log <branch> -- <path>' says who wrote it"
)


def test_damage_is_named(damaged: Repo) -> None:
    for words in (["get", "+/custom/bad"], ["get", "+/custom/bad#x"]):
        refused(damaged.run(*words), DAMAGE, DAMAGE_HINT)
    done = damaged.run("fsck", "-q")
    path, why = DAMAGE.removeprefix("damaged store: ").split(": ", 1)
    assert (done.returncode, done.stdout, done.stderr) == (1, f"error: {path[1:-1]}: {why}\n", "")


def test_other_documents_stay_readable_and_writable(damaged: Repo) -> None:
    assert damaged.value("@/custom/l") == 1
    assert damaged.ocuroot("match", "**") == "+/custom/bad\n@/custom/good\n@/custom/l"
    answers = damaged.run("get", "--batch", input="+/custom/bad\n@/custom/good\n")
    assert (answers.returncode, answers.stderr) == (0, "")
    bad, good = map(json.loads, answers.stdout.splitlines())
    assert bad == {"ref": "+/custom/bad", "resolved": None, "found": False, "value": None, "error": DAMAGE}
    assert good["value"] == 1
    damaged.ocuroot("set", "+/custom/other", "2")
    assert len(damaged.ocuroot("log", "--json", "+/custom/bad").splitlines()) == 2
    assert damaged.run("get", "--at", "state~2", "+/custom/bad").stdout == "1\n"


def test_a_file_where_a_directory_should_be(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/x 1\nset +/custom/y 1\n")
    replace(store, "refs/@/custom", "what is this")
    done = store.run("get", "@/custom/x")
    assert (done.returncode, done.stdout) == (1, "")
    refused(
        store.run("update", "--stdin", input="set @/custom/x 2\n"),
        "damaged store: 'refs/@/custom' is a file where a directory should be",
    )
    assert store.value("+/custom/y") == 1
    store.ocuroot("set", "+/custom/y", "2")
    done = store.run("fsck", "-q")
    assert (done.returncode, done.stdout) == (1, "error: refs/@/custom: it is a file where a directory should be\n")


def test_a_directory_where_a_file_should_be(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    replace(store, "refs/+/custom/x/@object.json", None)
    replace(store, "refs/+/custom/x/@object.json/file", "x")
    assert store.run("get", "+/custom/x").returncode == 1
    refused(
        store.run("set", "+/custom/x", "2"),
        "damaged store: 'refs/+/custom/x/@object.json' is a directory where a file should be",
    )
    done = store.run("fsck", "-q")
    assert done.stdout == "error: refs/+/custom/x/@object.json: it is a directory where a file should be\n"


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_missing_object(store: Repo, kind: str) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/x 1\nset @/environment/y 2\n")
    oid = store.git("rev-parse", "state:refs/@/custom" + ("/x/@object.json" if kind == "blob" else ""))
    (store.path / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    done = store.run("get", "@/custom/x")
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.startswith(f"fatal: cannot read {kind} {oid}"), done.stderr
    assert "unexpected" not in done.stderr
    assert store.value("@/environment/y") == 2
    done = store.run("match", "@/custom/**")
    assert done.returncode == (0 if kind == "blob" else 128), done.stderr
    assert "unexpected" not in done.stderr


# Locks, hooks, signing


def test_a_held_lock_is_waited_for(store: Repo) -> None:
    lock = store.path / ".git" / "refs" / "heads" / "state.lock"
    lock.touch()
    before = objects(store)["count"]
    running = started(store, "set", "+/custom/x", "1")
    while objects(store)["count"] == before:  # the commit is written just before the branch is to be moved
        assert running.poll() is None, running.communicate()
    lock.unlink()
    assert running.communicate(timeout=60) == ("", "")
    assert (running.returncode, store.value("+/custom/x")) == (0, "1")


@pytest.mark.parametrize("hooked", [False, True])
def test_a_lock_that_nobody_releases(store: Repo, hooked: bool) -> None:
    if hooked:
        hook(store, "exit 0")
    (store.path / ".git" / "refs" / "heads" / "state.lock").touch()
    tip = store.git("rev-parse", "state")
    done = run_program(
        "set",
        "+/custom/x",
        "1",
        cwd=store.path,
        env={**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "ocuroot.timeout", "GIT_CONFIG_VALUE_0": "0.3"},
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "fatal: another process held 'refs/heads/state' for 0.3 s; nothing changed\n"
        f"hint: if no git process runs any more, one was killed: remove '{store.path}/.git/refs/heads/state.lock'\n"
    )
    assert store.git("rev-parse", "state") == tip


def hook(repo: Repo, script: str, where: str = ".git/hooks") -> None:
    path = repo.path / where / "reference-transaction"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


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


# Children


@pytest.mark.parametrize("where", ["refs/remotes/origin/state", "there"])
def test_a_lock_left_on_the_way_to_a_remote_is_named_at_once(
    store: Repo, make_repo: Callable[..., Repo], where: str
) -> None:
    hub = make_repo("hub", "--bare")
    store.git("remote", "add", "origin", str(hub.path))
    store.ocuroot("push", "-q")
    store.ocuroot("set", "+/custom/x", "1")
    inside = hub.path / "refs/heads/state.lock" if where == "there" else store.path / ".git" / f"{where}.lock"
    lock = old(inside)
    begin = time.monotonic()
    for command in ("push", "sync"):
        done = store.run(command)
        assert (done.returncode, f"hint: remove it: rm '{lock}'\n" in done.stderr) == (3, True), done.stderr
    assert time.monotonic() - begin < 20, "and not after a minute for each"
    lock.unlink()
    store.ocuroot("push", "-q")


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


# Locks that a killed process has left


def old(lock: Path) -> Path:
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    return lock


def test_a_lock_that_was_left_is_named_at_once(store: Repo, make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    hub, other = make_repo("hub", "--bare"), make_repo("other")
    for repo in (store, other):
        repo.git("remote", "add", "origin", str(hub.path))
    store.ocuroot("set", "+/custom/x", "1")
    store.ocuroot("push", "-q")
    other.ocuroot("fetch", "-q")
    other.ocuroot("set", "+/custom/y", "1")
    other.ocuroot("push", "-q")
    store.ocuroot("export", "-q", str(tmp_path / "files"))
    lock = old(store.path / ".git" / "refs" / "heads" / "state.lock")
    begin = time.monotonic()
    for words in (["set", "+/custom/x", "2"], ["apply", "--all"], ["fetch"], ["sync"]):
        refused(
            store.run(*words),
            f"'{lock}' keeps others out, and whoever made it is gone; nothing changed",
            f"remove it: rm '{lock}'",
            3,
        )
    assert time.monotonic() - begin < 30, "and not after a minute for each"
    assert store.run("set", "+/custom/x", "1").returncode == 0, "nothing is to be moved"
    for name, words in (("a", ["init"]), ("b", ["import", str(tmp_path / "files")])):
        repo = make_repo(name)
        lock = old(repo.path / ".git" / "refs" / "heads" / "state.lock")
        done = repo.run(*words)
        assert (done.returncode, f"remove it: rm '{lock}'" in done.stderr) == (3, True), done.stderr
    repo = make_repo("c")
    lock = old(repo.path / ".git" / "config.lock")
    done = repo.run("init", "--branch", "other")
    assert (done.returncode, f"remove it: rm '{lock}'" in done.stderr) == (3, True), done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="who holds a file open is read from /proc")
def test_a_lock_that_is_held_is_waited_for(store: Repo) -> None:
    lock = old(store.path / ".git" / "refs" / "heads" / "state.lock")
    with lock.open():
        running = started(store, "set", "+/custom/x", "2")
        time.sleep(2)
        assert running.poll() is None
        lock.unlink()
        assert running.communicate(timeout=60)[1] == ""
    assert store.value("+/custom/x") == "2"


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


def test_fetch_waits_for_a_lock_that_is_held(store: Repo, make_repo: Callable[..., Repo]) -> None:
    hub, other = make_repo("hub", "--bare"), make_repo("other")
    for repo in (store, other):
        repo.git("remote", "add", "origin", str(hub.path))
    store.ocuroot("push", "-q")
    lock = other.path / ".git" / "refs" / "heads" / "state.lock"
    with lock.open("w"):
        done = other.run("fetch", env={**os.environ, **TIMEOUT})
    assert (done.returncode, "unexpected" in done.stderr) == (3, False), done.stderr
    lock.unlink()
    other.ocuroot("fetch", "-q")


TIMEOUT = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "ocuroot.timeout", "GIT_CONFIG_VALUE_0": "1"}
