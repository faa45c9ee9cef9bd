"""Releases that are held, and which of their runs were started all the same: what `deployments` tells of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.delivering import LAYOUTS, deploy, package, pending_run, prepare_at, release, start_as_others_do
from support.repositories import Repo, put_file

WEB = "shop/-/web/@1"


@pytest.fixture(params=LAYOUTS)
def shop(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    """A release that is ready for staging and for production."""
    prepare_at(repo, request.param, "staging", "production")
    release(repo, package([deploy("staging"), deploy("production")]))
    return repo


def told(repo: Repo, *options: str) -> dict[str, Any]:
    """Of each environment the reason of the hold, and whether the run there was started all the same."""
    lines = map(json.loads, repo.ocuroot("deployments", "--json", *options).splitlines())
    holds = {one["environment"]: one["hold"] for one in lines if one["run_ref"]}
    return {name: hold and (hold["reason"], hold["passed"]) for name, hold in holds.items()}


def test_it_is_told_that_a_release_is_held_and_of_which_runs_it_was_no_matter(shop: Repo, tmp_path: Path) -> None:
    staging, production = pending_run(shop, "staging"), pending_run(shop, "production")
    start_as_others_do(shop, staging)
    assert told(shop) == {"staging": None, "production": None}
    shop.ocuroot("hold", WEB, "-m", "it leaks")
    assert told(shop) == {"staging": ("it leaks", False), "production": ("it leaks", None)}
    before = shop.git("rev-parse", "state")
    start_as_others_do(shop, production)
    for run in (staging, production):
        shop.ocuroot("run", "finish", run, "--status", "complete")
    for options in ((), ("--history",), ("--deployed",)):
        assert told(shop, *options) == {"staging": ("it leaks", False), "production": ("it leaks", True)}, options
        rows = [row.split("\t") for row in shop.ocuroot("deployments", *options).splitlines()]
        by = [row[-2 if options == ("--history",) else 6] for row in rows if "unwanted" not in row]
        me = "test@example.com"
        assert {one.partition(", ")[2] for one in by} == {f"held by {me}", f"though held by {me}"}, rows
    assert told(shop, "--at", before) == {"staging": ("it leaks", False), "production": ("it leaks", None)}
    # A clone that has not the commit that began a run does not know.
    clone = Repo(tmp_path / "clone")
    shop.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{shop.path}", str(clone.path))
    clone.git("fetch", "-q", "origin", "refs/heads/*:refs/heads/*", "--update-head-ok")
    for line in shop.git("config", "--local", "--get-regexp", "^ocuroot").splitlines():
        clone.git("config", *line.split(" ", 1))
    assert told(clone) == {"staging": ("it leaks", None), "production": ("it leaks", None)}
    shop.ocuroot("hold", "--lift", WEB)
    assert told(shop) == told(shop, "--history") == {"staging": None, "production": None}


def test_what_packages_are_remembered_to_tell_hides_no_hold(shop: Repo) -> None:
    shop.run("work", "any", "-q")
    free = {"staging": None, "production": None}
    assert told(shop) == told(shop) == free
    shop.ocuroot("hold", WEB, "-m", "it leaks")
    assert told(shop) == told(shop) == {"staging": ("it leaks", False), "production": ("it leaks", False)}
    shop.ocuroot("hold", "--lift", WEB)
    assert told(shop) == free
    # One that only the intent says counts as well: this login may not be allowed to write state.
    shop.ocuroot("set", "-q", "shop/-/web/+1/custom/hold", "no")
    assert told(shop) == told(shop, "--history") == {"staging": ("no", False), "production": ("no", False)}


def test_a_hold_that_cannot_be_read_is_one(store: Repo) -> None:
    prepare_at(store, "one", "staging")
    release(store, package([deploy("staging")]))
    put_file(store, f"refs/{WEB}/custom/hold/@object.json", "{")
    (found,) = told(store).values()
    assert found is not None and "cannot be read" in found[0] and found[1] is None
