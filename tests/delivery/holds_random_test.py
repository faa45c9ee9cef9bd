"""Whatever is done in whatever order, a release that is held is not deployed until it is let go."""

from __future__ import annotations

import os
import random

import pytest
from support.delivering import LAYOUTS, deploy, package, prepare_at, release
from support.fleets import work
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import promotion, rollback
from ocuroot_git.delivery.addresses import WorkRef
from ocuroot_git.delivery.holding import hold, lift
from ocuroot_git.delivery.holds import all_holds, intent_of
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.run_queries import deployments
from ocuroot_git.delivery.starting import start_run
from ocuroot_git.errors import Error
from ocuroot_git.store.stores import Stores

DEFINITION = package([deploy("staging"), deploy("production")])
PLACES = ["staging", "production"]
BY_HAND: tuple[object, ...] = ("no", 7, {"reason": 5}, ["x"], {})
"""What people and other programs may write as a hold."""


def deployed(stores: Stores) -> dict[tuple[str, str], str]:
    found = deployments(stores.snapshot(), Problems())
    return {place: run.work.release for place, run in found.items() if run is not None}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_random_operations_nothing_that_is_held_is_deployed(repo: Repo, layout: str) -> None:
    """`OPERATIONS` of them; each is a call of the library, and may be refused."""
    prepare_at(repo, layout, *PLACES)
    stores = ocuroot_git.open(str(repo.path))
    rng = random.Random(int(os.environ.get("SEED", "3")))
    made: dict[str, list[str]] = {"api": [], "web": []}
    held: set[str] = set()
    moments: list[str] = []
    counts = {"deployed": 0, "kept back": 0}
    for number in range(int(os.environ.get("OPERATIONS", "30"))):
        name = rng.choice(list(made))
        one = rng.choice(made[name] or ["shop/-/none/@1"])
        environment = rng.choice(PLACES)
        before = deployed(stores)
        try:
            match rng.randrange(10):
                case 0 if len(made[name]) < 12:
                    made[name].append(release(repo, DEFINITION, name))
                case 1:
                    stores.set(f"shop/-/{name}/+/deploy/{environment}", {"release": one})
                case 2 if made[name]:
                    hold(stores, [one], "random")
                    held.add(one)
                case 3:
                    lift(stores, [one])
                    held.discard(one)
                case 4:
                    promotion.promote(stores, "staging", "production", [])
                case 5 if moments:
                    wanted = rollback.deployed_at(rollback.state_at(stores, rng.choice(moments)), environment, [])
                    holds = rng.random() < 0.3
                    change = rollback.Change(environment, wanted, [], takes_down=True, holds=holds)
                    held.update(rollback.rollback(stores, change, "random")[0].held)
                case 6 if made[name]:
                    stores.set(str(intent_of(one)), rng.choice(BY_HAND))
                    held.add(one)
                case 7 if made[name]:
                    start_run(stores, WorkRef(one, "deploy", environment))
                case _:
                    work(stores)
                    moments.append(repo.git("rev-parse", "state"))
        except Error:
            counts["kept back"] += 1
        after = deployed(stores)
        new = {release for place, release in after.items() if before.get(place) != release}
        counts["deployed"] += len(new)
        assert not new & held, number
        assert {one.release for one in all_holds(stores.snapshot(), Problems())} == held, number
    assert counts["deployed"] and counts["kept back"], counts
