"""Remote stores against real servers: what arrives, and what is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from support.program import PROGRAM
from support.remote_stores import HEADER, World, fails, hook
from support.repositories import Repo
from support.servers import kept_port


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
    with kept_port() as port:
        unreachable = web.clone("four", f"http://127.0.0.1:{port}/store.git")
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
    (clone.path / "code").touch()
    clone.git("add", "code")
    clone.git("commit", "-q", "-m", "code")
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


@pytest.mark.parametrize("kept", ["objects/pack/tmp_pack_x", "HEAD"])
def test_what_is_left_of_a_deleted_cache_is_in_nobodys_way(files: World, kept: str) -> None:
    files.bare()
    clone = files.clone("one")
    clone.ocuroot("init")
    clone.ocuroot("set", "+/custom/x", "1")
    cache = next((clone.path / ".git" / "ocuroot").glob("*.git"))
    (cache / "objects" / "pack" / "tmp_pack_x").write_bytes(b"PACK")
    for path in sorted(cache.rglob("*"), reverse=True):
        name = path.relative_to(cache).as_posix()
        if name != kept and not kept.startswith(f"{name}/"):
            path.rmdir() if path.is_dir() else path.unlink()
    assert clone.ocuroot("get", "+/custom/x") == '"1"'
    assert not [path for path in cache.parent.iterdir() if path.name.endswith(".tmp")]


def test_a_contact_that_cannot_be_noted_is_in_nobodys_way(files: World) -> None:
    """As on a file system that is only to be read: here a directory lies where the file should be."""
    files.bare()
    clone = files.clone("one")
    clone.ocuroot("init", "-q")
    kept = next((clone.path / ".git" / "ocuroot").glob("*.git/ocuroot-contact/state/at"))
    kept.unlink()
    kept.mkdir()
    clone.ocuroot("set", "+/custom/a", "1")
    assert clone.ocuroot("get", "+/custom/a") == '"1"'


def test_a_ref_of_very_many_segments(files: World) -> None:
    files.bare()
    one = files.clone("one")
    one.ocuroot("init", "-q")
    ref = f"r/-/p/@1/custom/{'/'.join('a' * 1900)}"
    one.ocuroot("update", "--stdin", input=f"set {ref} 1\n")
    assert one.value(ref) == files.clone("two").value(ref) == 1


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
