"""What `blame` and `log` tell in a shallow clone: nothing of commits that are not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.repositories import Repo
from support.terminals import on_terminal

if TYPE_CHECKING:
    from pathlib import Path

WARNING = "warning: history begins later here than elsewhere"


@pytest.fixture
def shallow(store: Repo, tmp_path: Path) -> Repo:
    """A clone of the last two of three commits: what the first of them made seems to be made by the second."""
    store.ocuroot("set", "-f=json", "+/custom/x", '{"a": 1, "b": 1}')
    store.ocuroot("set", "+/custom/y", "1")
    store.ocuroot("set", "-f=json", "+/custom/x", '{"a": 1, "b": 2}')
    clone = tmp_path / "clone"
    store.git("clone", "-q", "--depth=2", "--no-checkout", "--branch=state", f"file://{store.path}", str(clone))
    repo = Repo(clone)
    repo.git("symbolic-ref", "HEAD", "refs/heads/main")
    return repo


def test_blame_knows_nobody_for_what_is_older_than_what_is_here(shallow: Repo) -> None:
    done = shallow.run("blame", "--json", "+/custom/x")
    older, newer = map(json.loads, done.stdout.splitlines())
    assert older == {"field": "a", "value": 1, "commit": None, "time": None, "actor": None, "run": None}
    assert newer["commit"] == shallow.oid("state") and newer["actor"]
    assert done.returncode == 0 and WARNING in done.stderr
    older, newer = (line.split("\t") for line in shallow.run("blame", "+/custom/x").stdout.splitlines())
    assert older == ["^" + shallow.oid("state~1")[:12], "", "", "", "a", "1"] and newer[0] == shallow.oid("state")[:12]
    assert WARNING not in shallow.run("blame", "+/custom/x#b").stderr


@pytest.mark.parametrize("options", [[], ["--follow"], ["--json"], ["--oneline"]])
def test_log_says_that_there_was_more(shallow: Repo, options: list[str]) -> None:
    done = shallow.run("log", *options, "+/custom/x")
    assert done.returncode == 0 and WARNING in done.stderr
    assert WARNING not in shallow.run("log", "-1", *options, "+/custom/x").stderr


def test_a_person_is_told_that_there_is_nothing(store: Repo) -> None:
    assert on_terminal(store, "log", "+/custom/nothing", GIT_PAGER="cat") == "no such commit\n"
    done = store.run("log", "+/custom/nothing")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
