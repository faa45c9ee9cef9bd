"""An intent whose deployment failed asks for it once: what follows is for people to say (design 7)."""

from __future__ import annotations

import json

import pytest
from support.delivering import deploy, diff, package, prepare, refused, release, want_environment, work_any
from support.repositories import Repo

INTENT = "shop/-/web/+/deploy/staging"
FLAKY = "test -e good"


@pytest.fixture(params=[1, 3])
def shop(request: pytest.FixtureRequest, repo: Repo) -> Repo:
    """A store of an early or a late dialect, with an environment."""
    repo.ocuroot("init", "-q", f"--dialect={request.param}")
    prepare(repo)
    want_environment(repo, "staging")
    repo.ocuroot("apply", "--all")
    return repo


def want(repo: Repo, wanted: str, **fields: object) -> None:
    repo.ocuroot("set", "-f=json", INTENT, json.dumps({"release": wanted, **fields}))


def runs(repo: Repo, of: str) -> list[str]:
    """The statuses of the runs of a release, in order."""
    found = repo.ocuroot("match", f"{of}/deploy/staging/*/status/*").splitlines()
    return [ref.rpartition("/")[2] for ref in sorted(found)]


def failed(repo: Repo) -> str:
    """A release that was deployed in vain because an intent asked for it."""
    first = release(repo, package([deploy("staging", FLAKY)]))
    repo.ocuroot("run", "cancel", f"{first}/deploy/staging")
    want(repo, first)
    assert repo.run("work", "any").returncode == 1
    assert runs(repo, first)[-1] == "failed"
    return first


def test_it_is_not_tried_again_by_itself(shop: Repo) -> None:
    first = failed(shop)
    before = runs(shop, first)
    assert shop.run("work", "any").returncode == 1
    assert shop.run("apply", "--all").stdout == ""
    assert runs(shop, first) == before
    run = f"{first}/deploy/staging/{len(before)}"
    listed = [json.loads(line) for line in shop.ocuroot("work", "list", "--json").splitlines()]
    assert [(item["kind"], item["state"], item["waits_for"]) for item in listed] == [
        ("intent", "blocked", [f"'{run}', which failed"]),
        ("run", "failed", []),
    ]
    said = refused(shop, 3, f"cannot apply '{INTENT}': '{run}', which was for it, failed", "apply", INTENT)
    assert f"hint: 'git ocuroot run retry {run}' tries it again" in said


def test_a_retry_tries_it_again(shop: Repo) -> None:
    first = failed(shop)
    (shop.path / "good").touch()
    shop.ocuroot("run", "retry", f"{first}/deploy/staging")
    work_any(shop)
    assert (diff(shop), shop.ocuroot("work", "list")) == ([], "")


def test_another_intent_is_tried(shop: Repo) -> None:
    first = failed(shop)
    (shop.path / "good").touch()
    want(shop, first, input={"why": {"value": "again"}})
    assert work_any(shop) == [f"complete\t{first}/deploy/staging/{len(runs(shop, first))}"]
    assert diff(shop) == []


def test_the_same_intent_is_tried_once_something_else_was_there(shop: Repo) -> None:
    first = failed(shop)
    second = release(shop, package([deploy("staging")]))
    shop.ocuroot("run", "dismiss", f"{first}/deploy/staging")
    work_any(shop)
    assert shop.value("//web/@/deploy/staging#release") == second
    (shop.path / "good").touch()
    want(shop, first)
    work_any(shop)
    assert shop.value("//web/@/deploy/staging#release") == first
    assert diff(shop) == []


def test_one_that_was_dismissed_is_no_failure(shop: Repo) -> None:
    first = failed(shop)
    shop.ocuroot("run", "dismiss", f"{first}/deploy/staging")
    before = runs(shop, first)
    assert work_any(shop) == []
    assert runs(shop, first) == before
    assert "blocked" in shop.ocuroot("work", "list")


def test_one_that_was_cancelled_while_it_ran_is_not_made_again(shop: Repo) -> None:
    first = release(shop, package([deploy("staging")]))
    shop.ocuroot("run", "cancel", f"{first}/deploy/staging")
    want(shop, first)
    shop.ocuroot("apply", "--all")
    shop.ocuroot("run", "start", f"{first}/deploy/staging")
    shop.ocuroot("run", "cancel", f"{first}/deploy/staging")
    assert work_any(shop) == []
    refused(shop, 3, f"which was for it, was cancelled\nhint: 'git ocuroot run exec {first}/deploy", "apply", INTENT)
    assert shop.run("run", "exec", f"{first}/deploy/staging").returncode == 0
    assert diff(shop) == []


def test_what_was_taken_down_is_deployed_when_it_is_asked_for_again(shop: Repo) -> None:
    """Early Ocuroot leaves just this intent when it takes a deployment down itself; that one asks for nothing."""
    first = release(shop, package([deploy("staging", inputs={"size": {"value": 1}})]))
    want(shop, first, input={"size": {"value": 1}})
    work_any(shop)
    assert shop.run("deploy", "down", "web/@/deploy/staging").returncode == 0
    want(shop, first, input={"size": {"value": 1}})
    work_any(shop)
    assert shop.value("//web/@/deploy/staging#type") == "up"
    assert diff(shop) == []
