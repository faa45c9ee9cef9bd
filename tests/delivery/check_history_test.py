"""A link to what is deployed that somebody moved by hand is named by `fsck`: nobody deployed by that."""

from __future__ import annotations

import json

import pytest
from support.delivering import LAYOUTS, deploy, package, prepare_at, release
from support.repositories import Repo

LINK = "shop/-/web/@/deploy/production"


@pytest.fixture(params=LAYOUTS)
def shop(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    """Two releases that were deployed, one after the other."""
    prepare_at(repo, request.param, "production")
    for subject in ("second", "third"):
        release(repo, package([deploy("production")]))
        repo.run("work", "any", "-q")
        repo.git("commit", "-q", "--allow-empty", "-m", subject)
    return repo


def moved(repo: Repo, *options: str) -> list[str]:
    """What `fsck` says of links to what is deployed."""
    found = map(json.loads, repo.run("fsck", "--json", *options).stdout.splitlines())
    return [one["what"].partition(" at 2")[0] for one in found if one["where"] == LINK and "though" in one["what"]]


def change(repo: Repo, *steps: str) -> None:
    repo.ocuroot("update", "--stdin", input="".join(f"{step}\n" for step in steps))


def test_a_link_that_was_moved_by_hand_is_named(shop: Repo) -> None:
    second = shop.ocuroot("resolve", LINK)
    first = second.replace("2/deploy", "1/deploy")
    assert moved(shop) == []
    before = shop.git("rev-parse", "state")
    change(shop, f"link {LINK} {first}")
    (what,) = moved(shop)
    assert what.startswith(f"leads to '{first}") and f"though '{second}" in what
    assert what.endswith("was the last to be deployed there,")
    assert moved(shop, "--since", before) == [], "what was deployed before that was not read"
    # With the next deployment all is as it should be.
    release(shop, package([deploy("production")]))
    shop.run("work", "any", "-q")
    assert moved(shop) == []


def test_a_link_that_was_removed_by_hand_or_put_back_is_named(shop: Repo) -> None:
    second = shop.ocuroot("resolve", LINK)
    change(shop, f"unlink {LINK}")
    (what,) = moved(shop)
    assert what.startswith("is missing, though ")
    change(shop, f"link {LINK} {second}")
    assert moved(shop) == []
    shop.ocuroot("delete", "shop/-/web/+/deploy/production")
    shop.run("work", "any", "-q")
    assert moved(shop) == []


def test_what_was_taken_back_with_git_decides_nothing(shop: Repo) -> None:
    ended = shop.git("log", "-1", "--format=%H", "--grep=^complete", "state")
    tree = shop.git("commit-tree", "-p", "state", "-m", "as it was", f"{ended}^^{{tree}}")
    shop.git("update-ref", "refs/heads/state", tree)
    assert moved(shop) == []
