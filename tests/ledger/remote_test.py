"""The ledger of a remote store of which nothing is here: what it reads comes in batches (design 8.4, 12)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support.delivering import deploy, package, prepare, release
from support.repositories import Repo

if TYPE_CHECKING:
    from pathlib import Path

RELEASES = 12


def test_deployments_are_not_fetched_one_by_one(store: Repo, tmp_path: Path) -> None:
    prepare(store, "staging", "production")
    store.ocuroot("freeze", "--name", "others", "production", "--package", "//other", "-m", "so that there are gates")
    for number in range(RELEASES):
        run = "exit 1" if number % 3 == 2 else "true"
        release(store, package([deploy("staging"), deploy("production", run)]))
        assert store.run("work", "any", "-q").returncode in (0, 1)
    here = store.ocuroot("deployments", "--history", "--json")
    assert len(here.splitlines()) == 2 * RELEASES
    server = tmp_path / "server.git"
    store.git("clone", "-q", "--bare", str(store.path), str(server))
    for name in ("allowFilter", "allowAnySHA1InWant"):
        store.git("--git-dir", str(server), "config", f"uploadpack.{name}", "true")
    away = Repo(tmp_path / "away")
    away.path.mkdir()
    away.git("init", "-q")
    for name, value in (("state.remote", f"file://{server}"), ("state.branch", "state"), ("repoAlias", "shop")):
        away.git("config", f"ocuroot.{name}", value)
    trace = tmp_path / "trace"
    there = away.ocuroot("deployments", "--history", "--json", env={**os.environ, "GIT_TRACE": str(trace)})
    without = [line.partition('"ahead"')[0] for line in here.splitlines()]  # the commits of the code are not there
    assert [line.partition('"ahead"')[0] for line in there.splitlines()] == without
    fetches = sum("built-in: git fetch" in line for line in trace.read_text().splitlines())
    # Each stretch of history is fetched by itself, and in how many it is cut is chance.
    stretches = 1 + sum(commit.startswith("00") for commit in store.git("rev-list", "state").split())
    assert fetches <= 35 * stretches, f"{fetches}: each level of directories once, and not each deployment by itself"
