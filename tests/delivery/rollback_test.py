"""`rollback`: what was deployed in an environment at some moment is wanted there again, and what is left is held."""

from __future__ import annotations

import json
import os
import random
from functools import partial

import pytest
from support.delivering import LAYOUTS, deploy, diff, package, prepare, prepare_at, refused, release, work_any
from support.fleets import fill, put_deployment, put_release, work
from support.repositories import Repo

from ocuroot_git.delivery import rollback
from ocuroot_git.delivery.holding import hold
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.run_queries import deployments
from ocuroot_git.errors import Conflict, NotFound
from ocuroot_git.store.stores import Stores
from ocuroot_git.store.transaction import Transaction

NAMES = ["api", "web"]


def deployed(stores: Stores, at: str | None = None) -> dict[str, str]:
    """What is deployed in production, by package: now, or at a revision of the state store."""
    snapshot = stores.snapshot() if at is None else rollback.state_at(stores, at)
    found = deployments(snapshot, Problems(), only="production")
    return {package: run.work.release for (package, _), run in found.items() if run is not None}


def deploy_in_production(stores: Stores, name: str, number: int) -> None:
    """Let a release, which may be there already, be deployed in production."""

    def change(tx: Transaction) -> None:
        put_deployment(tx, put_release(tx, name, number), "production")

    stores.transact(change)


@pytest.mark.parametrize("place", LAYOUTS)
def test_back_to_what_was_deployed_and_out_with_what_was_bad(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "production")
    made = {name: [release(repo, package([deploy("production")]), name)] for name in NAMES}
    work_any(repo)
    then = repo.git("rev-parse", "state")
    made["web"].append(release(repo, package([deploy("production")]), "web"))
    made["new"] = [release(repo, package([deploy("production")]), "new")]
    work_any(repo)
    before = repo.git("for-each-ref", "refs/heads")
    numbers = {name: [one.rpartition("/")[2] for one in releases] for name, releases in made.items()}
    shown = [
        f"D\tshop/-/new\tproduction\t{numbers['new'][0]}\t\theld: {numbers['new'][0]}",
        f"M\tshop/-/web\tproduction\t{numbers['web'][1]}\t{numbers['web'][0]}\theld: {numbers['web'][1]}",
    ]
    done = repo.run("rollback", "production", "--to", then, "--dry-run")
    assert done.stdout.splitlines() == shown, done.stderr
    assert repo.run("rollback", "production", "--to", then, "--dry-run", "--keep-new").stdout.splitlines() == shown[1:]
    assert repo.git("for-each-ref", "refs/heads") == before
    refused(repo, 129, "say why", "rollback", "production", "--to", then)
    assert repo.run("rollback", "production", "--to", then, "-m", "wrong totals").stdout.splitlines() == shown
    for branch, commits in {"state": 1, **({"intent": 1} if place == "two branches" else {})}.items():
        was = next(line.split()[0] for line in before.splitlines() if line.endswith(f"/{branch}"))
        assert repo.git("rev-list", "--count", f"{was}..{branch}") == str(commits)
    work_any(repo)
    found = {line.split("\t")[0]: line.split("\t")[3] for line in repo.ocuroot("deployments").splitlines()}
    assert found == {"shop/-/api": numbers["api"][0], "shop/-/web": numbers["web"][0]}
    assert diff(repo) == []
    held = [json.loads(line) for line in repo.ocuroot("hold", "--json").splitlines()]
    assert [(one["release"], one["reason"]) for one in held] == [
        (made["new"][0], "wrong totals"),
        (made["web"][1], "wrong totals"),
    ]
    said = refused(
        repo, 3, f"'{made['web'][1]}' is held", "rollback", "production", "--to", made["web"][1], "--no-hold"
    )
    assert "hold --lift" in said
    repo.ocuroot("hold", "--lift", made["web"][1])
    assert repo.run("rollback", "production", "--to", made["web"][1], "--no-hold").returncode == 0
    assert work_any(repo) == [f"complete\t{made['web'][1]}/deploy/production/2"]


def test_inputs_that_an_intent_gave_come_back(store: Repo) -> None:
    prepare(store, "production")
    definition = package([deploy("production", inputs={"n": {"value": 1}})])
    one = release(store, definition)
    wish = {"release": one, "input": {"n": {"value": 5}}}
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps(wish))
    work_any(store)
    then = store.git("rev-parse", "state")
    two = release(store, definition)
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps({"release": two, "owner": "ann"}))
    work_any(store)
    store.run("rollback", "production", "--to", then, "--no-hold")
    assert store.value("//web/+/deploy/production") == {**wish, "owner": "ann"}
    work_any(store)
    assert store.value(f"{one}/deploy/production/2/functions/1#current/inputs/n/value") == 5


def test_what_is_on_its_way_is_left_as_well(store: Repo) -> None:
    """The deployment that is there is the wanted one; the bad one has begun, and another waits."""
    stores = fill(store, NAMES)
    prepare(store)

    def change(tx: Transaction) -> None:
        put_deployment(tx, "shop/-/web/@1", "production")
        tx.set("shop/-/web/+/deploy/production", {"release": "shop/-/web/@1"})
        for number in (2, 3):
            put_release(tx, "web", number, package([deploy("production")]))

    stores.transact(change)
    then = store.git("rev-parse", "state")
    store.ocuroot("run", "start", "shop/-/web/@2/deploy/production")
    stores.set("shop/-/web/+/deploy/production", {"release": "shop/-/web/@3"})
    done = store.run("rollback", "production", "--to", then, "-m", "no")
    assert done.stdout == "M\tshop/-/web\tproduction\t@3\t@1\theld: @2 @3\n"
    store.ocuroot("hold", "--lift", "shop/-/web/@2")
    done = store.run("rollback", "production", "--to", then, "-m", "no")
    assert done.stdout == "\tshop/-/web\tproduction\t@1\t@1\theld: @2\n"


def test_what_cannot_be_gone_back_to(store: Repo) -> None:
    stores = fill(store, NAMES)
    prepare(store)
    empty = store.git("rev-parse", "state")
    for name in NAMES:
        deploy_in_production(stores, name, 1)
    then = store.git("rev-parse", "state")
    for number in (2, 3):
        deploy_in_production(stores, "web", number)
    for status, words, arguments in (
        (1, "nothing was deployed in 'production' then", ["production", "--to", empty]),
        (1, "no such environment: 'nowhere'", ["nowhere", "--to", "//web/@1"]),
        (1, "bad revision 'nonsense'", ["production", "--to", "nonsense"]),
        (1, "there was no commit yet at '1999-01-01'", ["production", "--to", "1999-01-01"]),
        (1, "is none of branch 'state'", ["production", "--to", "HEAD"]),
        (1, "no package matches 'shop/-/none'", ["production", "//none", "--to", then]),
        (1, "no such release", ["production", "--to", "//web/@9"]),
        (129, "give no pattern", ["production", "//web", "--to", "//web/@1"]),
        (129, "roll back to what?", ["production"]),
        (129, "an argument is missing", ["--to", then]),
    ):
        refused(store, status, words, "rollback", *arguments, "-m", "no")
    looked_at = rollback.Change(
        "production", {"shop/-/web": {"release": "shop/-/web/@1"}}, [], takes_down=False, holds=True
    )
    plan = rollback.dry_run(stores.snapshot(), looked_at)
    assert (plan.held, [wish.status for wish in plan.wishes]) == (["shop/-/web/@3"], ["A"])
    deploy_in_production(stores, "web", 4)
    with pytest.raises(Conflict, match="what was looked at has moved meanwhile"):
        rollback.rollback(stores, looked_at, "no", plan.id)
    # A release that was pruned since, and one that is held, keep all from being changed.
    hold(stores, ["shop/-/web/@1"], "no")
    refused(store, 3, "'shop/-/web/@1' is held by", "rollback", "production", "--to", then, "-m", "no")
    store.ocuroot("hold", "--lift", "shop/-/web/@1")
    stores.transact(lambda tx: tx.remove("shop/-/web/@1"))
    with pytest.raises(NotFound, match="there is no release 'shop/-/web/@1' any more"):
        rollback.rollback(stores, looked_at, "no")


def test_any_past_commit_gives_the_set_of_then(store: Repo) -> None:
    """A history of random deliveries; `ROLLBACKS` times it is gone back to, with a deployment of each difference."""
    prepare(store, "production")
    stores = fill(store, [])
    definition = package([deploy("production")])
    rng = random.Random(7)
    latest: dict[str, int] = {}
    moments = []
    for _ in range(12):
        name = rng.choice(["api", "web", "worker"])
        action = rng.randrange(4)
        if name not in latest or action == 0:
            latest[name] = latest.get(name, 0) + 1
            stores.transact(partial(put_release, name=name, number=latest[name], definition=definition))
        intent = f"shop/-/{name}/+/deploy/production"
        if action != 1:
            stores.set(intent, {"release": f"shop/-/{name}/@{rng.randint(1, latest[name])}"})
        elif stores.look_up(intent).found:
            stores.delete(intent)
        work(stores)
        if deployed(stores):
            moments.append(store.git("rev-parse", "state"))
    for _ in range(int(os.environ.get("ROLLBACKS", "4"))):
        then = rng.choice(moments)
        wanted = rollback.deployed_at(rollback.state_at(stores, then), "production", [])
        change = rollback.Change("production", wanted, [], takes_down=True, holds=False)
        rollback.rollback(stores, change, "")
        work(stores)
        assert deployed(stores) == deployed(stores, then)
