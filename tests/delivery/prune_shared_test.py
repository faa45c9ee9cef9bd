"""Pruning a local branch that is shared by hand: what others do not have stays until they do (design 7, 8.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.delivering import copy_of, release, work_any
from support.pruning import RECORD, WEB, one_release, tip_of, update
from support.repositories import Repo


@pytest.fixture
def origin(five: Repo, tmp_path: Path) -> Repo:
    bare = Repo(tmp_path / "origin.git")
    bare.path.mkdir()
    bare.git("init", "-q", "--bare")
    return bare


@pytest.fixture
def shop(five: Repo, origin: Repo, tmp_path: Path) -> Repo:
    """Five releases that were pushed."""
    shop = copy_of(five, tmp_path / "shop")
    shop.git("remote", "add", "origin", f"file://{origin.path}")
    shop.ocuroot("push", "-q")
    return shop


def make_release(repo: Repo, number: int) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", f"number {number}")
    release(repo, one_release(number))
    work_any(repo, "-q")


def prune(repo: Repo, *options: str) -> tuple[list[str], list[str]]:
    """The numbers of the releases that went, and what was said."""
    done = repo.run("prune", "--keep-releases=1", *options)
    assert done.returncode == 0, done.stderr
    return [line.rpartition("@")[2] for line in done.stdout.splitlines()], done.stderr.splitlines()


def test_what_was_not_pushed_stays_until_it_is(shop: Repo) -> None:
    pushed = tip_of(shop)
    for number in (6, 7):
        make_release(shop, number)
    gone, said = prune(shop, "--dry-run", "-v")
    assert gone == ["1", "2", "3", "4"]
    assert said[:3] == [
        f"'{WEB}/@5' stays: it was not pushed as it is now",  # it lists that it is the newest no more
        f"'{WEB}/@6' stays: it was not pushed as it is now",
        "would prune 4 releases of 1 package",
    ]
    gone, said = prune(shop)
    assert gone == ["1", "2", "3", "4"]
    assert said[1:] == [
        "2 old releases stay; '-v' says why each does",
        "2 of these would go once they are pushed: 'git ocuroot push'",
    ]
    record: Any = shop.value(RECORD)
    assert [(one["releases"], one["commit"]) for one in record["pruned"]] == [("1-4", pushed)]
    assert shop.value(f"{WEB}/@3#commit", "--at", pushed[:12])
    shop.ocuroot("push", "-q")
    assert prune(shop)[0] == ["5", "6"]


def test_what_is_pruned_is_found_by_others_after_a_replay(shop: Repo, tmp_path: Path) -> None:
    was = shop.ocuroot("get", f"{WEB}/@4/call/build/1#output")
    other = copy_of(shop, tmp_path / "other")
    make_release(shop, 6)
    assert prune(shop)[0] == ["1", "2", "3", "4"]
    other.ocuroot("set", "-q", "+/custom/meanwhile", "other")
    other.ocuroot("push", "-q")
    shop.ocuroot("push", "-q")
    other.ocuroot("sync", "-q")
    assert other.git("log", "--format=%s", "-1", "state").startswith("replay ")
    done = other.run("get", f"{WEB}/@4/call/build/1#output")
    assert done.returncode == 1
    hint = done.stderr.splitlines()[1].removeprefix("hint: git ocuroot ").split()
    assert other.ocuroot(*hint) == was
    assert other.run("fsck", "-q").stdout == ""


CHANGES = [
    f'set {WEB}/@2/custom/note "kept"',
    f'set {WEB}/@2/call/build/1/logs [{{"message": "more"}}]',
    f"delete {WEB}/@2/call/build/1/logs",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_since_the_push_stays(shop: Repo, change: str) -> None:
    if change.startswith("delete"):
        update(shop, CHANGES[1])
        shop.ocuroot("push", "-q")
    update(shop, change)
    assert prune(shop)[0] == ["1", "3", "4"]
    shop.ocuroot("push", "-q")
    assert prune(shop)[0] == ["2"]


@pytest.mark.parametrize("places", ["one branch", "two branches"])
def test_intents_that_were_not_pushed_stay_with_their_release(shop: Repo, places: str) -> None:
    if places == "two branches":
        shop.ocuroot("init", "-q", "--intent-branch", "wanted")
    update(shop, f'set {WEB}/@2/custom/note "x"')
    shop.ocuroot("push", "-q")
    shop.ocuroot("set", "-q", f"{WEB}/+2/custom/note", "x")  # the state is as it was: the intent alone is new
    assert prune(shop)[0] == ["1", "3", "4"]
    shop.ocuroot("push", "-q")
    assert prune(shop)[0] == ["2"]
    assert shop.ocuroot("match", f"{WEB}/+2/**") == ""


def test_a_branch_that_was_never_pushed(five: Repo, origin: Repo, tmp_path: Path) -> None:
    shop = copy_of(five, tmp_path / "lonely")
    assert prune(copy_of(five, tmp_path / "alone"))[1] == [
        f"pruned 4 releases of 1 package; 'git ocuroot get --at {tip_of(five)[:12]} <ref>' reads them"
    ]
    shop.git("remote", "add", "origin", f"file://{origin.path}")
    gone, said = prune(shop)
    assert gone == ["1", "2", "3", "4"]
    assert said[1].startswith("warning: nothing is known of branch 'state' on 'origin': ")
    assert said[2] == "hint: to share it, push before pruning: git ocuroot push origin"


def test_a_tracking_branch_that_is_no_store(shop: Repo) -> None:
    """What others have is not known then: all of it stays."""
    shop.git("update-ref", "refs/remotes/origin/state", "HEAD")
    assert prune(shop) == ([], [
        "nothing to prune",
        "4 old releases stay; '-v' says why each does",
        "4 of these would go once they are pushed: 'git ocuroot push'",
    ])  # fmt: skip
