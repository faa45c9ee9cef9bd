"""Packages with old releases, and pruning them."""

from __future__ import annotations

import json
from typing import Any

from support.delivering import call, package
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery.prune import dry_run
from ocuroot_git.delivery.prune import prune as retention_prune
from ocuroot_git.delivery.retention import Keep
from ocuroot_git.formats.documents import parse

WEB = "shop/-/web"
RECORD = f"{WEB}/@pruned"


def one_release(number: int, **fields: Any) -> dict[str, Any]:
    return package([call("build", f"echo v={number} >> $OCUROOT_OUTPUT", **fields)])


DEFINITION = json.dumps(one_release(9))


def prune(repo: Repo, keep: int = 1, seconds: float | None = None) -> list[str]:
    """Prune all packages, which must leave nothing out; gives the numbers of the releases that went."""
    result = retention_prune(ocuroot_git.open(str(repo.path)), [], Keep(keep, seconds))
    assert list(result.problems) == []
    return [ref.rpartition("@")[2] for ref in result.releases()]


def why_kept(repo: Repo) -> dict[str, str]:
    """What is said of the old releases that stay, by number."""
    result = dry_run(ocuroot_git.open(str(repo.path)).snapshot(), [], Keep(1, None))
    return {str(kept.number): "; ".join(kept.reasons) for kept in result.kept}


def update(repo: Repo, *steps: str) -> None:
    """Change the store, as `update --stdin` does."""
    with ocuroot_git.open(str(repo.path)).transaction() as tx:
        for step in steps:
            verb, ref, *rest = step.split(" ", 2)
            getattr(tx, verb)(ref, *(map(parse, rest) if verb == "set" else rest))


def tip_of(repo: Repo) -> str:
    return repo.git("rev-parse", "state")
