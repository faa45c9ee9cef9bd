"""Runs that another program started past a gate are named: by `fsck`, and wherever is told what was deployed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.delivering import LAYOUTS, deploy, package, pending_run, prepare_at, release, start_as_others_do, work_any
from support.repositories import Repo
from support.viewing import Browser, application

import ocuroot_git
from ocuroot_git.delivery import past_gates
from ocuroot_git.git.objects import Commit
from ocuroot_git.ledger.gate_passes import GatePasses
from ocuroot_git.ledger.remembered import check

SHOP = "shop/-/web"
ANN = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}


@pytest.fixture(params=LAYOUTS)
def shop(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    """A release that is ready for staging and for production."""
    prepare_at(repo, request.param, "staging", "production")
    release(repo, package([deploy("staging"), deploy("production")]))
    return repo


def by_fsck(repo: Repo, *options: str) -> list[str]:
    done = repo.run("fsck", "--json", *options)
    assert done.returncode == 0, done.stdout
    found = map(json.loads, done.stdout.splitlines())
    return [f"{one['where']}: {one['what']}" for one in found if "past gate" in one["what"]]


def told(repo: Repo, *options: str) -> dict[str, Any]:
    """The gates that runs were started past, as `deployments` tells of those that have begun."""
    lines = map(json.loads, repo.ocuroot("deployments", "--json", *options).splitlines())
    return {one["environment"]: one["past_gates"] for one in lines if one["actor"]}


def test_it_is_named_wherever_it_is_told_what_was_deployed(shop: Repo) -> None:
    staging, production = pending_run(shop, "staging"), pending_run(shop, "production")
    start_as_others_do(shop, staging)
    shop.ocuroot("freeze", "-m", "incident", "production", "--allow", "github:ann")
    assert by_fsck(shop) == [] and told(shop) == {"staging": []}
    listed = [json.loads(line) for line in shop.ocuroot("deployments", "--json").splitlines()]
    assert [one["past_gates"] for one in listed if one["status"] == "pending"] == [None]
    before = shop.git("rev-parse", "state")
    start_as_others_do(shop, production)
    shop.ocuroot("thaw", "production")
    after = shop.git("rev-parse", "state")
    (line,) = by_fsck(shop)
    assert line.startswith(f"{production}: it was started at ") and line.endswith("past gate 'production'")
    assert len(by_fsck(shop, "--since", before)) == 1 and by_fsck(shop, "--since", after) == []
    # Under way, ended, and after that.
    assert told(shop) == {"staging": [], "production": ["production"]}
    for run in (staging, production):
        shop.ocuroot("run", "finish", run, "--status", "complete")
    for options in ((), ("--history",)):
        assert told(shop, *options) == {"staging": [], "production": ["production"]}, options
        rows = shop.ocuroot("deployments", *options).splitlines()
        assert {"\tproduction\t" in row for row in rows if ", past gate production" in row} == {True}, rows
    assert told(shop, "--at", before) == {"staging": []}
    # Whoever is let pass is not named, nor what is started now.
    release(shop, package([deploy("staging"), deploy("production")]))
    shop.ocuroot("freeze", "-m", "incident", "production", "--allow", "github:ann")
    shop.ocuroot("run", "exec", "-q", "--override", "-m", "fix", pending_run(shop, "production"), env=ANN)
    shop.ocuroot("thaw", "--all")
    work_any(shop, "-q")
    assert len(by_fsck(shop)) == 1 and told(shop)["production"] == []


def test_the_page_shows_it(shop: Repo) -> None:
    shop.ocuroot("freeze", "-m", "incident", "production")
    shop.ocuroot("hold", f"{SHOP}/@1", "-m", "it leaks")
    run = pending_run(shop, "production")
    start_as_others_do(shop, run)
    shop.ocuroot("run", "finish", run, "--status", "failed")
    text = Browser(application(shop.path)).get("/timeline")
    assert '<span class="tag warn">past gate production</span> <span class="tag warn">though held</span>' in text


def test_what_is_remembered_is_what_is_worked_out_anew(
    store: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many stretches of history, gates that come and go, and in a clone that has only some of it."""
    store.git("config", "ocuroot.repoAlias", "shop")
    store.ocuroot("set", "-f=json", "+/environment/production", '{"name": "production", "attributes": {}}')
    store.ocuroot("apply", "--all")
    store.git("commit", "-q", "--allow-empty", "-m", "first")
    stores = ocuroot_git.open(str(store.path))
    web = release(store, package([deploy("production")]))
    run = f"{web}/deploy/production/1"
    closed, runs = False, []
    for number in range(1, 1500):
        with stores.transaction() as tx:
            if number % 97 == 0:
                closed = not closed
                gate: dict[str, Any] = {"kind": "deny", "reason": str(number)}
                tx.set("@/custom/gate/x", gate) if closed else tx.delete("@/custom/gate/x")
            elif number % 331 == 0:
                other = f"{web}/deploy/production/{number}"
                tx.set(other, tx.get(run))
                tx.set(f"{other}/functions/1", tx.get(f"{run}/functions/1"))
                tx.set(f"{other}/status/running", {"time": datetime.now(timezone.utc).isoformat()})
                runs += [(other, ["x"] if closed else [])]
            else:
                tx.set("+/custom/n", number)
    assert {True, False} == {bool(names) for _, names in runs}
    for _ in range(2):
        passes = GatePasses(ocuroot_git.open(str(store.path)).snapshot())
        assert [(one, passes.of_run(one)) for one, _ in runs] == runs
    fresh = ocuroot_git.open(str(store.path))
    memory = fresh.surroundings.memory
    assert memory is not None
    checked = check(fresh, memory, lambda done, total: None)
    commits = store.git("rev-list", "--first-parent", "state").split()
    stretches = 1 + sum(commit.startswith("00") for commit in commits[1:])
    assert memory.kinds()[passes.kind] == stretches
    assert checked.wrong == [] and checked.of_others == 0 and checked.right >= stretches
    # Of a stretch that goes on only the new commits are judged.
    judged = []
    passed = past_gates.StartJudge.passed

    def noted(judge: past_gates.StartJudge, commit: Commit, *others: Any) -> Iterator[tuple[str, list[str]]]:
        judged.append(commit.oid)
        return passed(judge, commit, *others)

    for number in (7, 8):
        with stores.transaction() as tx:
            other = f"{web}/deploy/production/{number}"
            tx.set(other, tx.get(run))
            tx.set(f"{other}/functions/1", tx.get(f"{run}/functions/1"))
            tx.set(f"{other}/status/running", {"time": datetime.now(timezone.utc).isoformat()})
            tx.set("@/custom/gate/x", {"kind": "deny", "reason": "closed"})
        runs += [(other, ["x"] if number == 8 or closed else [])]
    with monkeypatch.context() as patch:
        patch.setattr(past_gates.StartJudge, "passed", noted)
        for _ in range(2):
            passes = GatePasses(ocuroot_git.open(str(store.path)).snapshot())
            assert [(one, passes.of_run(one)) for one, _ in runs] == runs
            assert len(judged) <= 2
    fresh = ocuroot_git.open(str(store.path))
    checked = check(fresh, memory, lambda done, total: None)
    assert memory.kinds()[passes.kind] == stretches + 1 and checked.wrong == []
    # In a shallow clone what is not known is not told.
    clone = Repo(tmp_path / "clone")
    subprocess.run(
        ["git", "clone", "-q", "--depth=300", f"file://{store.path}", str(clone.path), "-b", "state"], check=True
    )
    clone.git("config", "ocuroot.repoAlias", "shop")
    passes = GatePasses(ocuroot_git.open(str(clone.path)).snapshot())
    found = {passes.of_run(one) == names for one, names in runs if names} | {passes.of_run(run) is None}
    assert True in found
    assert all(passes.of_run(one) in (None, names) for one, names in runs)


def test_approvals_are_taken_at_their_word_here_and_not_by_fsck(store: Repo) -> None:
    store.git("config", "ocuroot.repoAlias", "shop")
    store.git("commit", "-q", "--allow-empty", "-m", "first")
    store.ocuroot("set", "-f=json", "+/environment/production", '{"name": "production", "attributes": {}}')
    gate = {"kind": "approve", "approvals": {"not_author": True, "valid_for": "1h", "from": ["local:ann@example.org"]}}
    store.ocuroot("set", "-f=json", "+/custom/gate/eyes", json.dumps(gate))
    store.ocuroot("apply", "--all")
    forged = {"approved": True, "by": "local:ann@example.org", "time": datetime.now(timezone.utc).isoformat()}
    for number, document in enumerate((None, forged), 1):
        release(store, package([deploy("production")]))
        if document is not None:
            ref = f"{SHOP}/+{number}/custom/approval/production/local:ann@example.org"
            store.ocuroot("set", "-f=json", ref, json.dumps(document))
        start_as_others_do(store, pending_run(store, "production"))
        store.ocuroot("run", "finish", f"{SHOP}/@{number}/deploy/production", "--status", "complete")
    history = [json.loads(line) for line in store.ocuroot("deployments", "--history", "--json").splitlines()]
    assert [one["past_gates"] for one in history] == [[], ["eyes"]]
    assert len(by_fsck(store)) == 2


@pytest.mark.parametrize("place", ["two branches", "dialect 3"])
def test_approvals_count_as_far_as_that_is_certain(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "production", "staging")
    gate = {"kind": "approve", "environments": ["production"], "approvals": {"from": ["github:ann"]}}
    repo.ocuroot("set", "-f=json", "+/custom/gate/eyes", json.dumps(gate))
    repo.ocuroot("apply", "--all")
    for number in (1, 2, 3):
        release(repo, package([deploy("production"), deploy("staging")]))
        if number > 1:
            repo.ocuroot("approve", f"{SHOP}/@{number}", "--environment", "production", "-m", "seen", env=ANN)
        for name in ("production", "staging"):
            run = pending_run(repo, name)
            start_as_others_do(repo, run)
            repo.ocuroot("run", "finish", run, "--status", "complete")
    # Of 1 there never was an approval; that of 2 was there. That of 3 is taken back: the history of state alone does
    # not say whether it was there.
    (of_3,) = repo.ocuroot("match", "--intent", "**/+*3/custom/approval/**").splitlines()
    repo.ocuroot("delete", "-q", of_3)
    lines = [json.loads(line) for line in repo.ocuroot("deployments", "--history", "--json").splitlines()]
    found = {(one["environment"], one["release"][-1]): one["past_gates"] for one in lines}
    assert found == {
        **{("staging", number): [] for number in "123"},
        ("production", "1"): ["eyes"],
        ("production", "2"): [],
        ("production", "3"): None if place == "two branches" else [],
    }
    (line,) = by_fsck(repo)
    assert "1/deploy/production/1: it was started at " in line and line.endswith(" past gate 'eyes'")
