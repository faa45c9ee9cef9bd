"""Remote stores against real servers: what arrives, what is lost, what is told, and how little is transferred."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import FIXTURES, PROGRAM
from support.remote_stores import HEADER, World, fails, hook, operations, serving
from support.repositories import Repo
from support.servers import free_port, proxy

KINDS = ["file", "daemon", "http"]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path, "file") as made:
        yield made


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path, "daemon") as made:
        yield made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path, "http") as made:
        yield made


def everything_in(repo: Repo) -> dict[str, str]:
    """What git knows of a repository that a remote store must leave alone."""
    return {
        "status": repo.git("status", "--porcelain=v2", "--branch"),
        "shallow": repo.git("rev-parse", "--is-shallow-repository"),
        "config": (repo.path / ".git" / "config").read_text(),
        "refs": repo.git("for-each-ref"),
        "head": (repo.path / ".git" / "HEAD").read_text(),
        "objects": repo.git("count-objects", "-v"),
    }


# What it is for


@pytest.mark.parametrize("filters", [True, False])
def test_two_clones_share_a_store(world: World, filters: bool) -> None:
    bare = world.bare(filters=filters)
    one, two = world.clone("one"), world.clone("two")
    one.ocuroot("init", "-q")
    before = everything_in(one)
    one.ocuroot("set", "-f", "json", "+/environment/staging", '{"name": "staging"}')
    two.ocuroot("set", "+/custom/note", "hello")
    assert two.value("+/environment/staging") == {"name": "staging"}
    assert one.value("+/custom/note") == "hello"
    two.ocuroot(
        "update", "--stdin", input="create @/custom/a 1\nlink @/custom/b @/custom/a\ncreate r/-/p/@1/custom/c 1\n"
    )
    assert one.ocuroot("match", "**").split() == [
        "+/custom/note",
        "+/environment/staging",
        "@/custom/a",
        "@/custom/b",
        "r/-/p/@1/custom/c",
    ]
    assert one.ocuroot("match", "-l", "@/custom/*") == "@/custom/a"
    assert json.loads(one.ocuroot("match", "--values", "@/custom/b"))["value"] == 1
    assert one.run("fsck").returncode == 0
    assert len(one.ocuroot("log", "--json").splitlines()) == 3
    assert one.value("+/custom/note", "--at", "state~1") == "hello"
    assert everything_in(one) == before
    # In history each commit has the one before as its only parent.
    assert bare.git("log", "--merges", "--format=%h", "state") == ""
    assert len(bare.git("rev-list", "state").split()) == 4


def test_the_login_may_stand_in_a_file_included_for_this_repository_only(web: World) -> None:
    web.bare()
    clone = web.clone("one")
    clone.git("config", "--unset", "http.extraheader")
    included = web.top / "login"
    included.write_text(f'[http]\n\textraheader = "{HEADER}"\n')
    clone.git("config", f"includeIf.gitdir:{clone.path}/.git.path", str(included))
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    assert clone.ocuroot("get", "+/custom/a") == '"1"'
    kept = "".join(
        path.read_text(errors="replace") for path in (clone.path / ".git" / "ocuroot").rglob("*") if path.is_file()
    )
    assert HEADER.split()[-1] not in kept


def test_state_and_intent_in_two_repositories_with_different_rights(web: World) -> None:
    state = web.bare("state")
    web.bare("intent")
    clone = web.clone("one", web.url("state"))
    clone.git("config", "ocuroot.intent.remote", web.url("intent"))
    clone.ocuroot("init", "-q")
    state.git("config", "http.receivepack", "false")
    clone.ocuroot("set", "+/custom/a", "1")
    assert clone.ocuroot("get", "+/custom/a") == '"1"'
    said = fails(clone, "update", "--stdin", input="set @/custom/a 1\n")
    assert "403" in said
    (web.top / "served" / "state.git").rename(web.top / "gone")
    clone.ocuroot("set", "+/custom/a", "2")


def test_offline_and_max_age(files: World) -> None:
    files.bare()
    one, two = files.clone("one"), files.clone("two")
    assert "nothing was fetched" in fails(one, "get", "--offline", "+/custom/a")
    one.ocuroot("init", "-q")
    one.ocuroot("set", "+/custom/a", "1")
    two.ocuroot("get", "+/custom/a")
    one.ocuroot("set", "+/custom/a", "2")
    assert two.ocuroot("get", "--max-age", "1000", "+/custom/a") == '"1"'
    assert two.ocuroot("get", "--offline", "+/custom/a") == '"1"'
    assert two.run("set", "--offline", "+/custom/a", "3").returncode == 129
    assert two.ocuroot("get", "--max-age", "0", "+/custom/a") == '"2"'
    contact = next((two.path / ".git" / "ocuroot").rglob("at"))
    os.utime(contact, (time.time() + 5000, time.time() + 5000))  # the clock was set back since
    one.ocuroot("set", "+/custom/a", "3")
    assert two.ocuroot("get", "--max-age", "1000", "+/custom/a") == '"3"'


def test_a_repo_file_names_the_remote_and_what_its_branch_is_made_with(files: World) -> None:
    bare = files.bare()
    clone = files.clone("one")
    clone.git("config", "--unset", "ocuroot.state.remote")
    said = f'store.set(store.git("{files.url()}", branch="facts", support_files={{"README.md": "read me"}}))\n'
    (clone.path / "repo.ocu.star").write_text(said)
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    assert bare.git("show", "facts:README.md") == "read me"
    assert len(bare.git("rev-list", "facts").split()) == 3
    (clone.path / "repo.ocu.star").write_text(
        said.replace("facts", "others").replace("branch", "create_branch=False, branch")
    )
    assert "create_branch" in fails(clone, "init")
    assert bare.git("for-each-ref", "--format=%(refname)") == "refs/heads/facts"


# What goes wrong, told apart


def test_failures_are_not_confused(web: World) -> None:
    bare = web.bare()
    clone = web.clone("one")
    assert "no store" in fails(clone, "get", "+/custom/a")  # the branch is missing: alone this asks for `init`
    assert "init" in fails(clone, "set", "+/custom/a", "1")
    missing = web.clone("two", web.url("nowhere"))
    for arguments in (("init",), ("get", "+/custom/a"), ("set", "+/custom/a", "1")):
        assert "there is no repository at" in fails(missing, *arguments)
    stranger = web.clone("three")
    stranger.git("config", "http.extraheader", "Authorization: Basic bm8=")
    for arguments in (("init",), ("get", "+/custom/a")):
        said = fails(stranger, *arguments)
        assert "refused the login" in said
        assert "bm8=" not in said
    unreachable = web.clone("four", f"http://127.0.0.1:{free_port()}/store.git")
    for arguments in (("init",), ("get", "+/custom/a")):
        assert "cannot reach" in fails(unreachable, *arguments)
    assert bare.git("for-each-ref") == ""
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    assert "refused the login" in fails(stranger, "set", "+/custom/a", "2")
    assert clone.ocuroot("get", "+/custom/a") == '"1"'


def test_a_busy_server_is_asked_again(web: World) -> None:
    web.bare()
    clone = web.clone("one")
    clone.ocuroot("init", "-q")
    assert web.server is not None
    web.server.unavailable = 1
    clone.ocuroot("set", "+/custom/a", "1")
    web.server.unavailable = 1
    assert clone.ocuroot("get", "+/custom/a") == '"1"'
    assert web.server.unavailable == 0


def test_a_refusal_by_policy_is_told_and_not_tried_again(world: World) -> None:
    bare = world.bare()
    clone = world.clone("one")
    clone.ocuroot("init", "-q")
    tip = bare.git("rev-parse", "state")
    count = bare.path / "count"
    hook(bare, "pre-receive", f"echo x >> '{count}'\necho 'GH006: protected branch' >&2\nexit 1\n")
    said = fails(clone, "set", "+/custom/a", "1")
    assert "its own rules" in said
    assert "GH006" in said
    assert count.read_text() == "x\n"
    assert bare.git("rev-parse", "state") == tip
    assert clone.run("get", "+/custom/a").returncode == 1
    (bare.path / "hooks" / "pre-receive").unlink()
    clone.ocuroot("set", "+/custom/a", "1")


def test_a_locked_branch_is_waited_for(files: World) -> None:
    bare = files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    lock = bare.path / "refs" / "heads" / "state.lock"
    # The lock goes when the second push comes: its pre-receive hook runs before the branch is locked.
    hook(bare, "pre-receive", f"test -e '{bare.path}/again' && rm -f '{lock}'\ntouch '{bare.path}/again'\n")
    lock.touch()
    clone.ocuroot("set", "+/custom/a", "1")
    assert clone.ocuroot("get", "+/custom/a") == '"1"'
    lock.touch()
    hook(bare, "pre-receive", "exit 0\n")
    clone.git("config", "ocuroot.timeout", "1")
    done = clone.run("set", "+/custom/a", "2")
    assert done.returncode == 3
    assert "lost the race" in done.stderr


def test_reads_that_lag_behind_are_told_instead_of_looping(files: World) -> None:
    bare = files.bare()
    clone, other = files.clone("one"), files.clone("two")
    clone.ocuroot("init", "-q")
    subprocess.run(["cp", "-r", str(bare.path), str(files.top / "mirror.git")], check=True)
    other.ocuroot("set", "+/custom/a", "1")
    clone.git("remote", "add", "store", f"file://{files.top}/mirror.git")
    clone.git("remote", "set-url", "--push", "store", files.url())
    clone.git("config", "ocuroot.state.remote", "store")
    assert "does not advance" in fails(clone, "set", "+/custom/b", "1")


def test_bad_urls_and_remotes(files: World) -> None:
    clone = files.clone("one")
    for bad, words in (
        ("-oProxyCommand=touch /tmp/x", "bad URL"),
        ("nowhere", "no such remote"),
        (f"file://{files.top}/served/has space.git", "there is no repository"),
        ("http://127.0.0.1:1/a b.git", "cannot"),
    ):
        clone.git("config", "ocuroot.state.remote", bad)
        assert words in fails(clone, "get", "+/custom/a"), bad
    spaced = files.bare("has space")
    clone.git("config", "ocuroot.state.remote", str(spaced.path))
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    assert len(spaced.git("rev-list", "state").split()) == 2


def test_a_branch_that_is_no_store_or_one_of_another_version(files: World) -> None:
    bare = files.bare()
    clone = files.clone("one")
    clone.git("commit", "-q", "--allow-empty", "-m", "code")
    clone.git("push", "-q", str(bare.path), "main:state")
    tip = bare.git("rev-parse", "state")
    assert "is no store" in fails(clone, "init")
    assert "is no store" in fails(clone, "set", "+/custom/a", "1")
    (clone.path / ".ocuroot-store").write_text('{"version": 9}\n')
    clone.git("add", ".ocuroot-store")
    clone.git("commit", "-q", "-m", "store")
    clone.git("push", "-q", str(bare.path), "main:state")
    assert "version 9" in fails(clone, "get", "+/custom/a")
    assert bare.git("rev-parse", "state~1") == tip


def test_history_rewritten_by_others_is_reported(files: World) -> None:
    bare = files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    clone.ocuroot("set", "+/custom/a", "1")
    tip = bare.git("rev-parse", "state")
    bare.git("update-ref", "refs/heads/state", "state~1")
    for arguments in (("get", "+/custom/a"), ("set", "+/custom/b", "1")):
        said = fails(clone, *arguments)
        assert "was rewritten" in said
        assert tip[:12] in said
    bare.git("update-ref", "-d", "refs/heads/state")
    assert "is gone" in fails(clone, "get", "+/custom/a")
    assert "is gone" in fails(clone, "init")
    assert bare.git("for-each-ref") == ""
    assert clone.ocuroot("get", "--offline", "+/custom/a") == '"1"'


# Nothing lost, nothing twice


def start(repo: Repo, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=repo.path,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


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
    writers = [start(clone, "set", "--if-match", oid, "+/custom/a", str(n)) for n, clone in enumerate(clones, 1)]
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
    made = [start(clone, "init", "-q") for clone in clones]
    assert [(one.communicate()[1], one.returncode) for one in made] == [("", 0)] * 6
    assert len(bare.git("rev-list", "--all").split()) == 1


# How little is transferred


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workload") / "store.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    script = f"{sys.executable} {FIXTURES / 'workload.py'} --documents 20000 | git -C {path} fast-import --quiet"
    subprocess.run(script, shell=True, check=True)
    subprocess.run(["git", "-C", str(path), "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", str(path), "config", "uploadpack.allowFilter", "true"], check=True)
    return path


def test_little_is_transferred(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    with proxy(daemon.port) as between:

        def transferred(clone: Repo, *arguments: str) -> tuple[int, int]:
            before = between.bytes, between.connections
            clone.ocuroot(*arguments)
            return between.bytes - before[0], between.connections - before[1]

        url = daemon.url(port=between.port)
        before = between.bytes
        subprocess.run(
            ["git", "clone", "-q", "--depth=1", "--bare", "-b", "state", url, "whole"], cwd=daemon.top, check=True
        )
        whole = between.bytes - before
        limit = min(1 << 20, whole // 4)
        reader = daemon.clone("reader", url)
        assert transferred(reader, "get", f"{package}/@17/deploy/production/1/status/complete")[0] < limit // 4
        assert transferred(daemon.clone("matcher", url), "match", f"{package}/**")[0] < limit
        assert transferred(daemon.clone("writer", url), "set", "+/custom/freeze", "1")[0] < limit // 4
        # What is near needs nothing but the tip; and a second time nothing at all but the tip.
        assert transferred(reader, "get", f"{package}/@17/deploy/production/1/status/complete")[1] == 1
        few, connections = transferred(reader, "match", f"{package}/@17/deploy/production/1/status/*")
        assert few <= 1600 and connections == 1
        everything, connections = transferred(daemon.clone("walker", url), "match", "**/deploy/production")
        assert everything < whole
        assert connections < 15


def test_many_refs_are_fetched_together(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    with proxy(daemon.port) as between:
        clone = daemon.clone("one", daemon.url(port=between.port))
        lines = clone.ocuroot("match", "--values", f"{package}/@/**", f"{package}/@1*/custom/*").splitlines()
        assert len(lines) > 50
        assert all(json.loads(line)["found"] for line in lines)
        assert between.connections < 40
        before = between.connections
        steps = "".join(f"set {package}/@{n}/custom/approval {{}}\n" for n in range(20, 120))
        clone.ocuroot("update", "--stdin", input=steps)
        assert between.connections - before < 8


def test_concurrent_commands_in_one_clone(files: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(files.top / "served" / "store.git")], check=True)
    clone = files.clone("one")
    readers = [
        start(clone, "get", f"github.com/example/shop/-/services/service-0000/release.ocu.star/@{n}")
        for n in range(1, 7)
    ]
    assert [(reader.communicate()[1], reader.returncode) for reader in readers] == [("", 0)] * 6


def test_the_library_reads_remote_stores(files: World) -> None:
    files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    code = (
        "import ocuroot_git; s = ocuroot_git.open(); s.set('+/custom/a', [1]);"
        "print(s.get('+/custom/a'), s.match('**')); s.finish()"
    )
    environ = {**os.environ, "PYTHONPATH": str(PROGRAM.parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], cwd=clone.path, env=environ, capture_output=True, text=True)
    assert done.stdout == "[1] ['+/custom/a']\n", done.stderr
