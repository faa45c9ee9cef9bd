"""`--at` where state and intent lie on two branches, or at two remotes: both are read as they were at one moment."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from support.delivering import deploy, package, prepare_at, release
from support.repositories import Repo

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = "2025-11-{:02}T12:00:00Z"


@pytest.fixture
def shop(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A deployment of the 2nd of November, and another of the 4th; what is said of both is one day older."""
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, CLOCK.format(1))
    prepare_at(repo, "two branches", "production")
    for day in (2, 4):
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            monkeypatch.setenv(name, CLOCK.format(day))
        release(repo, package([deploy("production")]))
        repo.ocuroot("work", "any", "-q")
        repo.ocuroot("set", "+/custom/x", str(day))
    return repo


def stands(repo: Repo, at: str) -> list[tuple[str, str]]:
    lines = repo.ocuroot("deployments", "--json", "--at", at).splitlines()
    return [(one["status"], one["release"].rpartition("/")[2]) for one in map(json.loads, lines)]


def test_a_revision_of_state_means_the_intents_of_then(shop: Repo) -> None:
    assert shop.oid("state") != shop.oid("intent")
    then = shop.git("rev-list", "-1", "--first-parent", f"--before={CLOCK.format(3)}", "state")
    back = int(shop.git("rev-list", "--count", "--first-parent", f"{then}..state"))
    for at in (then, f"state~{back}", CLOCK.format(3)):
        assert stands(shop, at) == [("complete", "@1")], at
        assert shop.value("+/custom/x", "--at", at) == "2", at
    assert stands(shop, "state") == [("complete", "@2")] and shop.value("+/custom/x", "--at", "state") == "4"


def test_a_revision_of_intent_means_the_state_of_then(shop: Repo) -> None:
    then = shop.git("rev-list", "-1", "--first-parent", f"--before={CLOCK.format(3)}", "intent")
    assert shop.value("+/custom/x", "--at", then) == "2" and stands(shop, then) == [("complete", "@1")]
    done = shop.run("get", "--at", "nothing", "+/custom/x")
    assert (done.returncode, done.stdout) == (1, "") and "bad revision" in done.stderr


def test_two_remotes(shop: Repo, tmp_path: Path) -> None:
    then = shop.git("rev-list", "-1", "--first-parent", f"--before={CLOCK.format(3)}", "state")
    away = Repo(tmp_path / "away")
    away.path.mkdir()
    away.git("init", "-q")
    away.git("config", "ocuroot.repoAlias", "shop")
    for side in ("state", "intent"):
        server = tmp_path / f"{side}.git"
        shop.git("clone", "-q", "--bare", "--single-branch", f"--branch={side}", str(shop.path), str(server))
        away.git("config", f"ocuroot.{side}.remote", f"file://{server}")
        away.git("config", f"ocuroot.{side}.branch", side)
    assert stands(away, then) == [("complete", "@1")]
    assert os.path.isdir(away.path / ".git" / "ocuroot")
