"""Many who write to one remote store, killed and cut off: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.program import PROGRAM
from support.remote_stores import World, fails, hook, operations
from support.repositories import Repo, begin
from support.servers import proxy


def shell(repo: Repo, script: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "OCU": f"{sys.executable} {PROGRAM}"}
    return subprocess.Popen(
        ["sh", "-c", script], cwd=repo.path, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_writers_in_separate_clones_lose_nothing(world: World) -> None:
    bare = world.bare()
    clones = [world.clone(f"clone{number}") for number in range(4)]
    clones[0].ocuroot("init", "-q")
    for clone in clones:
        clone.git("config", "ocuroot.timeout", "200")
    writers = [
        shell(clone, f"for i in 1 2 3 4; do $OCU set +/custom/w{number}-$i v || exit 1; done")
        for number, clone in enumerate(clones)
    ]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * 4
    assert len(clones[0].ocuroot("match", "+/custom/*").split()) == 16
    assert clones[0].run("fsck").returncode == 0
    assert len(set(operations(bare))) == 16
    assert bare.git("log", "--merges", "--format=%h", "state") == ""


def test_writers_in_one_repository_share_its_cache(files: World) -> None:
    """Fetches and pushes of several processes meet in the tool's own repository: none fails on another's lock."""
    files.bare()
    clone = files.clone("clone")
    clone.ocuroot("init", "-q")
    writers = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), "set", f"+/custom/w{number}", "x"], cwd=clone.path, stderr=subprocess.PIPE
        )
        for number in range(8)
    ]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 8
    assert clone.ocuroot("match", "--count", "+/custom/*") == "8"


def test_as_many_changes_as_zeros_under_if_match(files: World) -> None:
    bare = files.bare()
    clones = [files.clone(f"clone{number}") for number in range(4)]
    clones[0].ocuroot("init", "-q")
    clones[0].ocuroot("set", "+/custom/a", "0")
    before = len(bare.git("rev-list", "state").split())
    oid = json.loads(clones[0].ocuroot("match", "--json", "+/custom/a"))["oid"]
    writers = [begin(clone, "set", "--if-match", oid, "+/custom/a", str(n)) for n, clone in enumerate(clones, 1)]
    statuses = [(writer.communicate(), writer.returncode)[1] for writer in writers]
    assert sorted(statuses) == [0, 3, 3, 3]
    assert len(bare.git("rev-list", "state").split()) == before + 1


def test_numbers_are_allocated_without_gap_or_twin(files: World) -> None:
    bare = files.bare()
    clones = [files.clone(f"clone{number}") for number in range(4)]
    clones[0].ocuroot("init", "-q")
    script = """
        for i in 1 2 3; do
            while :; do
                n=$(($($OCU match --count 'r/-/p/@*') + 1))
                printf 'verify r/-/p/@%s absent\\ncreate r/-/p/@%s {}\\n' $n $n | $OCU update --stdin 2>err && break
                test $? = 3 || { cat err; exit 1; }
            done
        done"""
    writers = [shell(clone, script) for clone in clones]
    assert [(writer.communicate()[0], writer.returncode) for writer in writers] == [("", 0)] * 4
    assert clones[0].ocuroot("match", "--sort", "version", "r/-/p/@*").split() == [f"r/-/p/@{n}" for n in range(1, 13)]
    assert len(bare.git("rev-list", "state").split()) == 13


def test_a_lost_answer_has_one_effect(daemon: World) -> None:
    bare = daemon.bare()
    with proxy(daemon.port) as between:
        clone = daemon.clone("one", daemon.url(port=between.port))
        clone.ocuroot("init", "-q")
        for number in range(10):
            between.lose_answers = 1
            clone.ocuroot("update", "--stdin", input=f"create r/-/p/@{number + 1} {{}}\n")
        assert between.lost == 10
    assert len(set(operations(bare))) == len(operations(bare)) == 10
    assert clone.git("status", "--porcelain") == ""


def test_a_change_is_written_where_the_cache_cannot_know_it(files: World) -> None:
    """As on a disk that became full when all had been sent: here git has a file where it needs a directory."""
    bare = files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    (cache,) = (clone.path / ".git" / "ocuroot").glob("*.git")
    heads, away = cache / "refs" / "heads", cache / "refs" / "away"
    script = f"git --git-dir='{cache}' pack-refs --all && mv '{heads}' '{away}' && touch '{heads}'\n"
    made = hook(bare, "post-receive", script)
    clone.ocuroot("set", "+/custom/b", "2")
    assert heads.is_file()
    made.unlink()
    heads.unlink()
    away.rename(heads)
    clone.ocuroot("set", "+/custom/c", "3")
    assert [clone.value(f"+/custom/{name}") for name in "abc"] == ["1", "2", "3"]
    assert len(operations(bare)) == 3


def test_an_answer_lost_for_good_is_not_called_harmless(daemon: World) -> None:
    bare = daemon.bare()
    with proxy(daemon.port) as between:
        clone = daemon.clone("one", daemon.url(port=between.port))
        clone.ocuroot("init", "-q")
        # The server is gone for us as soon as it has committed.
        hook(bare, "post-receive", f"touch '{bare.path}/git-daemon-gone'; mv '{bare.path}' '{bare.path}.away'\n")
        between.lose_answers = 1
        said = fails(clone, "set", "--operation", "job-7", "+/custom/a", "1")
        assert "whether the change was written is not known" in said
        assert "--operation job-7" in said
        Path(f"{bare.path}.away").rename(bare.path)
        (bare.path / "hooks" / "post-receive").unlink()
        clone.ocuroot("set", "--operation", "job-7", "+/custom/a", "1")
    assert operations(bare) == ["job-7"]


def test_a_job_run_twice_under_one_operation_has_one_effect(files: World) -> None:
    bare = files.bare()
    one, two = files.clone("one"), files.clone("two")
    one.ocuroot("init", "-q")
    environ = {**os.environ, "OCUROOT_OPERATION": "job 12/3"}
    one.ocuroot("update", "--stdin", input="create r/-/p/@1 {}\n", env=environ)
    one.ocuroot("set", "+/custom/between", "1")
    two.ocuroot("update", "-q", "--stdin", input="create r/-/p/@1 {}\n", env=environ)
    two.ocuroot("set", "--operation", "job 12", "+/custom/a", "1")  # the beginning of a name is another name
    assert len(bare.git("rev-list", "state").split()) == 4
    assert "bad name" in fails(two, "set", "--operation", "a\nb", "+/custom/a", "1")


def test_a_cold_clone_finds_all_history_before_it_writes(files: World) -> None:
    bare = files.bare()
    files.clone("one").ocuroot("init", "-q")
    files.clone("two").ocuroot("set", "+/custom/a", "1")
    files.clone("three").ocuroot("set", "--operation", "job 1", "+/custom/b", "1")
    assert len(files.clone("four").ocuroot("log", "--json").splitlines()) == 2
    assert files.clone("five").run("get", "--at", "state~1", "+/custom/b").returncode == 1
    assert len(bare.git("rev-list", "state").split()) == 3


def test_a_push_that_is_killed_leaves_a_clone_that_works(files: World) -> None:
    bare = files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    began = time.monotonic()
    clone.ocuroot("set", "+/custom/first", "1")
    whole = time.monotonic() - began
    for number in range(12):
        writer = subprocess.Popen(
            [sys.executable, str(PROGRAM), "set", f"+/custom/k{number}", "1"],
            cwd=clone.path,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            writer.wait(whole * number / 10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
    for stale in ("shallow.lock", "config.lock", "refs/heads/state.lock"):
        next((clone.path / ".git" / "ocuroot").glob("*.git")).joinpath(stale).touch()
    clone.ocuroot("set", "+/custom/last", "1")
    assert "+/custom/last" in clone.ocuroot("match", "+/custom/*").split()
    assert clone.run("fsck").returncode == 0
    assert bare.git("fsck", "--no-dangling") == ""


def test_half_made_packs_of_gits_that_were_killed_go(files: World) -> None:
    """Not those of a git that may be at work, such as a `git gc` that somebody runs there."""
    files.bare()
    clone = files.clone("clone")
    clone.ocuroot("init", "-q")
    (cache,) = (clone.path / ".git" / "ocuroot").glob("*.git")
    packs = cache / "objects" / "pack"
    hours_ago = time.time() - 2 * 3600
    for name in ("tmp_pack_Ab1", "tmp_idx_Ab1", ".tmp-17-pack-0123.pack", "tmp_pack_new"):
        (packs / name).touch()
        if not name.endswith("new"):
            os.utime(packs / name, (hours_ago, hours_ago))
    clone.ocuroot("set", "+/custom/x", "1")
    assert [path.name for path in packs.iterdir() if "tmp" in path.name] == ["tmp_pack_new"]


def test_a_cut_connection_damages_nothing(daemon: World) -> None:
    bare = daemon.bare()
    with proxy(daemon.port) as between:
        clone = daemon.clone("one", daemon.url(port=between.port))
        clone.ocuroot("init", "-q")
        clone.ocuroot("set", "+/custom/a", "1")
        (clone.path / ".git" / "ocuroot").rename(daemon.top / "old-cache")
        between.cut_after = 300
        clone.git("config", "ocuroot.timeout", "8")
        said = fails(clone, "get", "+/custom/a")
        assert "was cut" in said
        between.cut_after = None
        assert clone.ocuroot("get", "+/custom/a") == '"1"'
    assert bare.git("fsck", "--no-dangling") == ""


def upload_pack_that(clone: Repo, top: Path, afterwards: str) -> None:
    """Let the clone's remote `origin` be read by a program that does something after its first answer, once."""
    program = top / "upload-pack"
    program.write_text(f'#!/bin/sh\ngit upload-pack "$@"\nmkdir "{top}/answered" 2>/dev/null || exit 0\n{afterwards}\n')
    program.chmod(0o755)
    clone.git("config", "remote.origin.uploadpack", str(program))


@pytest.mark.parametrize("command", [("init", "--remote", "origin"), ("fetch",), ("sync",)], ids=" ".join)
def test_a_branch_that_appears_after_the_fetch_did_not_find_it(files: World, command: tuple[str, ...]) -> None:
    bare = files.bare()
    first = files.clone("first")
    first.ocuroot("init", "-q")
    made = bare.git("rev-parse", "state")
    bare.git("update-ref", "-d", "refs/heads/state")
    clone = files.top / "clone"
    Repo(files.top).git("clone", "-q", files.url(), str(clone))
    upload_pack_that(Repo(clone), files.top, f"git -C {bare.path} update-ref refs/heads/state {made}")
    done = Repo(clone).run(*command)
    assert done.returncode == 0, done.stderr
    assert (files.top / "answered").is_dir()
    assert bare.git("rev-list", "state").split() == [made]
    assert Repo(clone).run("status").returncode == 0


def test_several_inits_at_once_make_one_history(files: World) -> None:
    bare = files.bare()
    clones = [files.clone(f"clone{number}") for number in range(6)]
    made = [begin(clone, "init", "-q") for clone in clones]
    assert [(one.communicate()[1], one.returncode) for one in made] == [("", 0)] * 6
    assert len(bare.git("rev-list", "--all").split()) == 1
