"""Packages that are deployed, written at once without being built: for what is done with many of them."""

from __future__ import annotations

from typing import Any

import ocuroot_git
from ocuroot_git.delivery.addresses import RunRef
from ocuroot_git.delivery.apply import apply
from ocuroot_git.delivery.finish import finish
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.queue import READY, run_items
from ocuroot_git.delivery.starting import start_run
from ocuroot_git.store.stores import Stores
from ocuroot_git.store.transaction import Transaction

from .delivering import deploy, package
from .repositories import Repo

DEFINITION = package([deploy("staging")], [deploy("production")])


def put_release(tx: Transaction, name: str, number: int, definition: dict[str, Any] | None = None) -> str:
    """A release of a package of the repository `shop` (dialect 1), which is the newest then; gives its ref."""
    release = f"shop/-/{name}/@{number}"
    tx.set(release, {"commit": f"{number:040x}", "package": definition or DEFINITION})
    tx.link(f"shop/-/{name}/@", release)
    return release


def put_deployment(tx: Transaction, release: str, environment: str, number: int = 1) -> None:
    """Let a release be deployed, as its run of that number has come to it."""
    run = f"{release}/deploy/{environment}/{number}"
    time = "2026-11-20T12:00:00Z"
    document = {"type": "up", "release": release, "entrypoint": f"{run}/functions/1", "output": {}}
    current = {"id": "1", "fn": {"name": "up", "run": "true"}, "status": "complete"}
    tx.set(run, document)
    tx.set(f"{run}/functions/1", {"current": current, "history": [{"time": time, "status": "complete"}]})
    tx.set(f"{run}/status/complete", {"time": time})
    tx.set(run.rpartition("/")[0], document)
    tx.link(f"{release.rpartition('/')[0]}/@/deploy/{environment}", run)


def fill(repo: Repo, names: list[str]) -> Stores:
    """Give the store of a repository packages that are deployed in staging, as wanted; gives its stores."""
    repo.git("config", "ocuroot.repoAlias", "shop")
    stores = ocuroot_git.open(str(repo.path))

    def change(tx: Transaction) -> None:
        for name in ("staging", "production"):
            for marker in "@+":
                tx.set(f"{marker}/environment/{name}", {"name": name, "attributes": {"type": name}})
        for name in names:
            release = put_release(tx, name, 1)
            put_deployment(tx, release, "staging")
            tx.set(f"shop/-/{name}/+/deploy/staging", {"release": release})

    stores.transact(change, command="update")
    return stores


def work(stores: Stores) -> None:
    """Do what `work any` does, with commands that do nothing and succeed."""
    while True:
        apply(stores, None)
        ready = [item for item in run_items(stores.snapshot(), Problems()) if item.state == READY]
        if not ready:
            return
        run = RunRef.parse(ready[0].ref)
        start_run(stores, run.work, run.number)
        finish(stores, run, "complete")
