"""Whatever is done in whatever order, a release that is held is not deployed until it is let go."""

from __future__ import annotations

import os
import random
from functools import partial

from support.delivering import deploy, package, prepare
from support.fleets import fill, put_release, work
from support.repositories import Repo

from ocuroot_git.delivery import promotion, rollback
from ocuroot_git.delivery.holding import hold, lift
from ocuroot_git.delivery.holds import all_holds
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.queries import deployments
from ocuroot_git.errors import Error
from ocuroot_git.store.stores import Stores

DEFINITION = package([deploy("staging"), deploy("production")])
PLACES = ["staging", "production"]


def deployed(stores: Stores) -> dict[tuple[str, str], str]:
    found = deployments(stores.snapshot(), Problems())
    return {place: run.work.release for place, run in found.items() if run is not None}


def test_in_random_operations_nothing_that_is_held_is_deployed(store: Repo) -> None:
    """`OPERATIONS` of them; each is a call of the library, and may be refused."""
    prepare(store)
    stores = fill(store, [])
    rng = random.Random(int(os.environ.get("SEED", "3")))
    latest = {"api": 0, "web": 0}
    held: set[str] = set()
    moments: list[str] = []
    counts = {"deployed": 0, "kept back": 0}
    for _ in range(int(os.environ.get("OPERATIONS", "60"))):
        name = rng.choice(list(latest))
        release = f"shop/-/{name}/@{rng.randint(1, max(latest[name], 1))}"
        environment = rng.choice(PLACES)
        before = deployed(stores)
        try:
            match rng.randrange(8):
                case 0:
                    number = latest[name] + 1
                    stores.transact(partial(put_release, name=name, number=number, definition=DEFINITION))
                    latest[name] = number
                case 1:
                    stores.set(f"shop/-/{name}/+/deploy/{environment}", {"release": release})
                case 2 if latest[name]:
                    hold(stores, [release], "random")
                    held.add(release)
                case 3:
                    lift(stores, [release])
                    held.discard(release)
                case 4:
                    promotion.promote(stores, "staging", "production", [])
                case 5 if moments:
                    wanted = rollback.deployed_at(rollback.state_at(stores, rng.choice(moments)), environment, [])
                    holds = rng.random() < 0.3
                    change = rollback.Change(environment, wanted, [], takes_down=True, holds=holds)
                    held.update(rollback.rollback(stores, change, "random")[0].held)
                case _:
                    work(stores)
                    moments.append(store.git("rev-parse", "state"))
        except Error:
            counts["kept back"] += 1
        after = deployed(stores)
        new = {release for place, release in after.items() if before.get(place) != release}
        counts["deployed"] += len(new)
        assert not new & held
        assert {one.release for one in all_holds(stores.snapshot(), Problems())} == held
    assert counts["deployed"] and counts["kept back"], counts
