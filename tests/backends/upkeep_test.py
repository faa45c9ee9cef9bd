"""The clone that a remote store keeps loses nothing that git needs when git tidies it up."""

from __future__ import annotations

import os
import subprocess
import time
import zlib
from hashlib import sha1
from pathlib import Path

import pytest
from support.remote_stores import World
from support.repositories import Repo


def _two_who_write(world: World) -> tuple[Repo, Repo, Path, list[str]]:
    """Two clones, the cache of the first, and its commits, after which some of the other's were fetched.

    From then on git takes them for what need not be kept.
    """
    bare = world.bare()
    one, other = world.clone("one"), world.clone("other")
    one.ocuroot("init", "-q")
    one.ocuroot("set", "-q", "+/custom/x", "1")
    one.ocuroot("set", "-q", "+/custom/y", "1")
    commits = bare.git("rev-list", "state").split()
    for value in "01":  # of one alone git would go on to the commits before it
        other.ocuroot("set", "-q", "+/custom/z", value)
    assert one.ocuroot("get", "+/custom/z") == '"1"'
    (cache,) = (one.path / ".git" / "ocuroot").glob("*.git")
    return one, other, cache, commits


def _is_here(cache: Path, oid: str) -> bool:
    return subprocess.run(["git", "-C", cache, "cat-file", "-e", oid], capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", ["daemon", "files"])
def test_a_commit_that_git_threw_away_is_fetched_again(kind: str, request: pytest.FixtureRequest) -> None:
    one, other, cache, commits = _two_who_write(request.getfixturevalue(kind))
    for oid in commits:  # as `git gc` does two weeks later, up to git 2.47
        (cache / "objects" / oid[:2] / oid[2:]).unlink()
    assert not any(_is_here(cache, oid) for oid in commits)
    other.ocuroot("set", "-q", "+/custom/z", "2")
    assert one.ocuroot("get", "+/custom/z") == '"2"'
    one.ocuroot("set", "-q", "+/custom/x", "2")
    assert other.ocuroot("get", "+/custom/x") == '"2"' and one.ocuroot("get", "+/custom/y") == '"1"'
    assert len(one.ocuroot("log", "--oneline").splitlines()) >= 6


def test_what_was_pushed_stays_when_git_tidies_up(daemon: World) -> None:
    one, _, cache, commits = _two_who_write(daemon)
    subprocess.run(["git", "-C", cache, "config", "gc.auto", "6700"], check=True)
    found = 0
    for number in range(1 << 16):
        data = b"blob %d\0%d" % (len(str(number)), number)
        oid = sha1(data).hexdigest()
        if oid.startswith("17"):  # by these git guesses how many loose objects there are
            path = cache / "objects" / "17" / oid[2:]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(data))
            found += 1
        if found == 30:
            break
    long_ago = time.time() - 30 * 86400
    for path in (cache / "objects").glob("??/*"):
        os.utime(path, (long_ago, long_ago))
    one.ocuroot("set", "-q", "+/custom/x", "2")
    assert all(_is_here(cache, oid) for oid in commits)
    assert not (cache / "objects" / "17").exists()
    packs = list((cache / "objects" / "pack").glob("*.pack"))
    assert len(packs) < 4 and all(path.with_suffix(".promisor").exists() for path in packs)
    one.ocuroot("set", "-q", "+/custom/x", "3")
    assert one.run("fsck").returncode == 0
