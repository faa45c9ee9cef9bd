"""`promote`: one environment wants what is deployed in another, as one set, or nothing is changed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.delivering import LAYOUTS, copy_of, deploy, diff, package, prepare_at, refused, release, work_any
from support.fleets import fill, put_deployment, put_release
from support.remote_stores import World, hook
from support.repositories import Repo, begin, put_file

import ocuroot_git
from ocuroot_git.delivery import promotion
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.run_queries import deployments
from ocuroot_git.delivery.wishes import Plan, write_intents
from ocuroot_git.errors import Conflict, Fatal
from ocuroot_git.store.transaction import Transaction

NAMES = ["api", "web"]


def wanted(repo: Repo) -> dict[str, str]:
    """What is wanted in production, by package."""
    found = repo.ocuroot("match", "--values", "**/+/deploy/production").splitlines()
    return {one["ref"].split("/")[2]: one["value"]["release"] for one in map(json.loads, found)}


@pytest.mark.parametrize("place", LAYOUTS)
def test_what_was_tested_together_goes_out_together(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "staging", "production")
    later = deploy("production", inputs={"go": {"ref": "./custom/go"}})
    made = {name: release(repo, package([deploy("staging")], [later]), name) for name in NAMES}
    release(repo, package([deploy("staging")]), "tool")
    work_any(repo)
    branches = repo.git("for-each-ref", "refs/heads")
    done = repo.run("promote", "staging", "production", "--dry-run")
    assert done.stdout.splitlines() == [
        f"A\tshop/-/{name}\tproduction\t\t{made[name].rpartition('/')[2]}\t" for name in NAMES
    ]
    tool, plan = done.stderr.splitlines()
    assert tool.startswith("shop/-/tool is left out: 'shop/-/tool/@") and tool.endswith("no deployment to 'production'")
    assert repo.git("for-each-ref", "refs/heads") == branches
    identity = plan.split()[1].removesuffix(":")
    lines = repo.run("promote", "staging", "production", "--json", "--expect", identity, "-m", "week 48").stdout
    assert [json.loads(line) for line in lines.splitlines()] == [
        {
            "package": f"shop/-/{name}",
            "environment": "production",
            "status": "A",
            "release": made[name],
            "tags": [],
            "from": None,
            "held": [],
            "plan": identity,
        }
        for name in NAMES
    ]
    assert wanted(repo) == made
    branch = "intent" if place == "two branches" else "state"
    before = dict(line.split("\t") for line in reversed_refs(branches))
    assert repo.git("rev-parse", f"{branch}^") == before[f"refs/heads/{branch}"]
    assert repo.git("log", "-1", "--format=%s%n%(trailers:key=Ocuroot-Reason)", branch).split("\n")[:2] == [
        "promote staging to production",
        "Ocuroot-Reason: week 48",
    ]
    with_go = "".join(f"set {one}/custom/go 1\n" for one in made.values())
    repo.ocuroot("update", "--stdin", input=with_go)
    wish = "".join(f"set {one.replace('@', '+')}/custom/go 1\n" for one in made.values())
    repo.ocuroot("update", "--stdin", input=wish)
    work_any(repo)
    assert diff(repo) == []
    assert repo.run("promote", "staging", "production").stdout == ""


def reversed_refs(listed: str) -> list[str]:
    """Lines of `for-each-ref`, each as the name and the id."""
    return [f"{line.split()[2]}\t{line.split()[0]}" for line in listed.splitlines()]


def test_what_cannot_go_keeps_all_from_going(store: Repo) -> None:
    fill(store, ["api", "web", "worker"])
    store.ocuroot("hold", "shop/-/web/@1", "shop/-/worker/@1", "-m", "no")
    words = (
        "cannot promote 'staging' to 'production': 'shop/-/web/@1' is held by test@example.com: no; "
        "'shop/-/worker/@1' is held by test@example.com: no"
    )
    for options in ([], ["--dry-run"]):
        refused(store, 3, words, "promote", "staging", "production", *options)
    store.run("promote", "staging", "production", "//api")
    assert wanted(store) == {"api": "shop/-/api/@1"}
    store.ocuroot("hold", "--lift", "shop/-/web/@1", "shop/-/worker/@1")
    put_file(store, "refs/shop/-/web/@/deploy/staging/@object.json", "{")
    refused(store, 128, "what is deployed cannot be read: 'shop/-/web/@/dep", "promote", "staging", "production")
    for status, said, arguments in (
        (1, "no such environment: 'nowhere'", ["staging", "nowhere"]),
        (1, "no such environment: 'nowhere'", ["nowhere", "production"]),
        (1, "no package matches 'shop/-/none'", ["staging", "production", "//none"]),
        (1, "nothing that is deployed in 'production'", ["production", "staging"]),
        (129, "name two environments", ["staging", "staging"]),
        (129, "an argument is missing", ["staging"]),
    ):
        refused(store, status, said, "promote", *arguments)


def test_what_has_moved_is_not_promoted(store: Repo) -> None:
    stores = fill(store, NAMES)
    looked_at = promotion.dry_run(stores.snapshot(), "staging", "production", [])

    def deploy_newer(tx: Transaction) -> None:
        put_deployment(tx, put_release(tx, "web", 2), "staging")

    stores.transact(deploy_newer)
    with pytest.raises(Conflict, match="what was looked at has moved meanwhile"):
        promotion.promote(stores, "staging", "production", [], looked_at.id)
    # What somebody wants there by now was not looked at either.
    looked_at = promotion.dry_run(stores.snapshot(), "staging", "production", [])
    stores.set("shop/-/api/+/deploy/production", {"release": "shop/-/api/@1", "note": 1})
    with pytest.raises(Conflict, match="has moved meanwhile"):
        promotion.dry_run(stores.snapshot(), "staging", "production", [], looked_at.id)
    assert wanted(store) == {"api": "shop/-/api/@1"}
    # What has nothing to do with it may change.
    looked_at = promotion.dry_run(stores.snapshot(), "staging", "production", [])
    stores.set("+/custom/other", 1)
    promotion.promote(stores, "staging", "production", [], looked_at.id)
    assert wanted(store) == {"api": "shop/-/api/@1", "web": "shop/-/web/@2"}


def test_a_deployment_that_ends_meanwhile_is_noticed(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race is lost to a deployment in the other environment, between what is read and what is written."""
    stores = fill(store, NAMES)
    others = fill(store, NAMES)
    moves = [lambda tx: put_deployment(tx, put_release(tx, "web", 2), "staging")]

    def interrupted(tx: Transaction, plan: Plan) -> None:
        if moves:
            others.transact(moves.pop())
        write_intents(tx, plan)

    monkeypatch.setattr("ocuroot_git.delivery.promotion.write_intents", interrupted)
    with pytest.raises(Conflict, match=r"what was looked at has moved meanwhile: shop/-/web$"):
        promotion.promote(stores, "staging", "production", [])
    moves = [lambda tx: tx.set("+/custom/other", 1)]
    promotion.promote(stores, "staging", "production", [])
    assert wanted(store) == {"api": "shop/-/api/@1", "web": "shop/-/web/@2"}


def test_what_an_intent_says_besides(store: Repo) -> None:
    stores = fill(store, NAMES)
    old = {"release": "shop/-/web/@7", "input": {"n": {"value": 3}}, "note": "ours"}
    stores.set("shop/-/web/+/deploy/production", old)
    stores.set("shop/-/api/+/deploy/production", {"release": "shop/-/api/@", "input": {"n": {"value": 3}}})
    done = store.run("promote", "staging", "production")
    assert done.stdout == "M\tshop/-/web\tproduction\t@7\t@1\t\n"
    assert done.stderr.splitlines()[0] == (
        "warning: 'shop/-/web/+/deploy/production' gave inputs for 'shop/-/web/@7' that do not go over: n"
    )
    assert stores.get("shop/-/web/+/deploy/production") == {"release": "shop/-/web/@1", "note": "ours"}
    assert stores.get("shop/-/api/+/deploy/production#input/n/value") == 3

    def link(tx: Transaction) -> None:
        tx.delete("shop/-/web/+/deploy/production")
        tx.link("shop/-/web/+/deploy/production", "shop/-/api/+/deploy/production")

    stores.transact(link)
    with pytest.raises(Fatal, match="is a link to"):
        promotion.promote(stores, "staging", "production", [])


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A bare repository with a hundred packages that are deployed in staging."""
    top = tmp_path_factory.mktemp("hundred")
    (top / "served").mkdir()
    bare = World(top, "file").bare()
    maker = World(top, "file").clone("maker")
    maker.ocuroot("init", "-q")
    fill(maker, [f"p{number:03}" for number in range(100)])
    return bare


def clone_of(bare: Repo, top: Path, name: str) -> tuple[Repo, Repo]:
    """A copy of a bare repository that notes each push, and a clone that has its store there."""
    copy = Repo(top / f"{name}.git")
    subprocess.run(["cp", "-r", str(bare.path), str(copy.path)], check=True)
    hook(copy, "post-receive", "cat >> pushes\n")
    clone = Repo(top / name)
    clone.path.mkdir()
    clone.git("init", "-q")
    clone.git("config", "ocuroot.state.remote", f"file://{copy.path}")
    clone.git("config", "ocuroot.repoAlias", "shop")
    return copy, clone


def test_a_hundred_packages_go_in_one_push_or_not_at_all(hundred: Repo, tmp_path: Path) -> None:
    bare, clone = clone_of(hundred, tmp_path, "whole")
    began = time.monotonic()
    clone.run("promote", "staging", "production")
    took = time.monotonic() - began
    assert len((bare.path / "pushes").read_text().splitlines()) == 1
    assert len(wanted(clone)) == 100
    assert (
        clone.git("--git-dir", str(bare.path), "rev-list", "--count", f"{hundred.git('rev-parse', 'state')}..state")
        == "1"
    )
    bare, clone = clone_of(hundred, tmp_path, "killed")
    for number in range(1, 7):
        process = begin(clone, "promote", "staging", "production", start_new_session=True)
        time.sleep(took * number / 6)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert len(wanted(clone)) in (0, 100)
    clone.run("promote", "staging", "production")
    assert len(wanted(clone)) == 100
    assert bare.git("rev-list", "--count", f"{hundred.git('rev-parse', 'state')}..state") == "1"


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Ten packages in staging, of which one is about to get a newer release there: its run goes on."""
    repo = Repo(tmp_path_factory.mktemp("moving"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    repo.git("config", "ocuroot.repoAlias", "shop")
    stores = fill(repo, [f"p{number}" for number in range(10)])
    stores.transact(lambda tx: put_release(tx, "p3", 2, package([deploy("staging")], [deploy("production")])))
    repo.ocuroot("run", "start", "shop/-/p3/@2/deploy/staging")
    return repo


def race(repo: Repo, delays: dict[tuple[str, ...], float], kill_after: float | None = None) -> list[int]:
    """Start commands as processes, each after a delay, and kill the first, if asked for; gives how they ended."""
    running = {}
    began = time.monotonic()
    for command, delay in sorted(delays.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, began + delay - time.monotonic()))
        running[command] = begin(repo, *command, start_new_session=True)
    if kill_after is not None:
        time.sleep(max(0.0, began + kill_after - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running[next(iter(delays))].pid, signal.SIGKILL)
    return [running[command].wait() for command in delays]


def wanted_and_deployed(repo: Repo, at: str) -> tuple[dict[str, str], dict[str, str]]:
    """What was wanted in production at a commit, and what was deployed in staging at the commit before."""
    now, before = (ocuroot_git.open(str(repo.path)).snapshot(revision) for revision in (at, f"{at}^"))
    wants = {ref: now.get(f"{ref}#release") for ref in now.match("**/+/deploy/production")}
    runs = deployments(before, Problems(), only="staging").values()
    return (
        {ref.split("/")[2]: release for ref, release in wants.items()},
        {run.work.package.split("/")[2]: run.work.release for run in runs if run is not None},
    )


@pytest.mark.parametrize("kind", ["moved", "promoted twice", "killed"])
def test_promotions_race_with_what_moves_by_real_processes(moving: Repo, tmp_path: Path, kind: str) -> None:
    """All that was in staging at the moment of the commit goes, and as it was looked at, or nothing."""
    chance = random.Random(os.urandom(8))
    plan = json.loads(moving.ocuroot("promote", "staging", "production", "--dry-run", "--json").splitlines()[0])["plan"]
    promote = ("promote", "-q", "staging", "production", "--expect", plan)
    finish = ("run", "finish", "-q", "shop/-/p3/@2/deploy/staging", "--status", "complete")
    again = ("promote", "-q", "staging", "production", "--expect", plan, "-m", "another")
    ends = set()
    for number in range(int(os.environ.get("PROMOTIONS", "5"))):
        repo = copy_of(moving, tmp_path / str(number))
        base = repo.git("rev-parse", "state")
        other = again if kind == "promoted twice" else finish
        kill = chance.random() if kind == "killed" else None
        statuses = race(repo, {promote: chance.random() / 3, other: chance.random() / 3}, kill)
        for lock in repo.path.glob(".git/**/*.lock"):
            lock.unlink()  # what a killed process left
        made = repo.git("log", "--format=%H %(trailers:key=Ocuroot-Command,valueonly)", f"{base}..state").splitlines()
        promotions = [line.split()[0] for line in made if line.endswith(" promote")]
        told = statuses if kind == "promoted twice" else statuses[:1]
        assert all(status in (0, 3) for status in statuses if status >= 0), (statuses, made)
        assert len(promotions) <= 1 and (not promotions) <= (0 not in told), (statuses, made)
        if promotions:
            wants, deployed = wanted_and_deployed(repo, promotions[0])
            assert wants == deployed and len(wants) == 10 and wants["p3"] == "shop/-/p3/@1"
        else:
            assert wanted(repo) == {}
        if kind != "promoted twice":
            assert statuses[1] == 0, "a promotion keeps no deployment from being recorded"
        elif promotions:
            assert sorted(statuses) in ([0, 0], [0, 3])
        ends.add(tuple(statuses))
        assert repo.run("fsck", "-q").returncode == 0
    assert ends
