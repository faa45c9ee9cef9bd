"""Locks: those held are waited for, those left behind are named at once, here and at a remote."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.faults import hook, objects, old, refused
from support.program import run_program
from support.repositories import Repo, begin

pytestmark = pytest.mark.new_interpreter


def test_a_held_lock_is_waited_for(store: Repo) -> None:
    lock = store.path / ".git" / "refs" / "heads" / "state.lock"
    lock.touch()
    before = objects(store)["count"]
    running = begin(store, "set", "+/custom/x", "1")
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


# At a remote


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
    began = time.monotonic()
    for command in ("push", "sync"):
        done = store.run(command)
        assert (done.returncode, f"hint: remove it: rm '{lock}'\n" in done.stderr) == (3, True), done.stderr
    assert time.monotonic() - began < 20, "and not after a minute for each"
    lock.unlink()
    store.ocuroot("push", "-q")


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
    began = time.monotonic()
    for words in (["set", "+/custom/x", "2"], ["apply", "--all"], ["fetch"], ["sync"]):
        refused(
            store.run(*words),
            f"'{lock}' keeps others out, and whoever made it is gone; nothing changed",
            f"remove it: rm '{lock}'",
            3,
        )
    assert time.monotonic() - began < 30, "and not after a minute for each"
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
        running = begin(store, "set", "+/custom/x", "2")
        time.sleep(2)
        assert running.poll() is None
        lock.unlink()
        assert running.communicate(timeout=60)[1] == ""
    assert store.value("+/custom/x") == "2"


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
