"""`git ocuroot incident`, and what `metrics` makes of incidents (design 12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.delivering import commits, deploy, package, prepare, release, want_environment
from support.repositories import Repo, begin

SHOP = "shop/-/web"


@pytest.fixture(params=["--dialect=1", "--dialect=3", "--intent-branch=intent"])
def shop(request: pytest.FixtureRequest, repo: Repo) -> Repo:
    """A release that is in production; state and intent in one place, and in two."""
    repo.ocuroot("init", "-q", request.param)
    prepare(repo)
    want_environment(repo, "production")
    repo.ocuroot("apply", "--all")
    release(repo, package([deploy("production")]))
    repo.ocuroot("work", "any", "-q")
    return repo


def listed(repo: Repo, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in repo.ocuroot("incident", "list", "--json", *arguments).splitlines()]


@pytest.mark.new_interpreter
def test_an_incident_from_its_beginning_to_its_end(shop: Repo) -> None:
    name = shop.ocuroot("incident", "open", "//web", "production", "-m", "checkout answers 500")
    (one,) = listed(shop)
    assert list(one) == ["incident", "package", "environment", "started", "resolved", "reason"]
    assert (one["incident"], one["package"], one["environment"]) == (name, SHOP, "production")
    assert (one["resolved"], one["reason"]) == (None, "checkout answers 500")
    # It stays where state follows intent, and is a document like any other.
    assert shop.ocuroot("diff") == "" and shop.ocuroot("apply", "--all") == ""
    assert shop.value(f"@/custom/incident/{name}") == shop.value(f"+/custom/incident/{name}")
    before = shop.ocuroot("metrics", "--json")
    assert json.loads(before)["change_failure_rate"] == 1
    assert json.loads(before)["time_to_restore_seconds"] == {"p50": None, "p90": None}
    shop.ocuroot("incident", "resolve", name)
    (over,) = listed(shop)
    assert over["resolved"] >= over["started"] and listed(shop, "--unresolved") == []
    assert json.loads(shop.ocuroot("metrics", "--json"))["time_to_restore_seconds"]["p50"] >= 0
    assert shop.ocuroot("fsck") == ""


def test_moments_and_what_is_refused(shop: Repo) -> None:
    opened = ["incident", "open", "--name=x", "--started=2023-11-20 14:00 +0000", "//web", "production"]
    assert shop.ocuroot(*opened) == "x"
    for arguments, status, words in (
        (opened, 3, "there is an incident 'x' already"),
        (["incident", "open", "//wbe", "production"], 1, "no package matches"),
        (["incident", "open", "//web", "prod"], 1, "no such environment: 'prod'"),
        (["incident", "open", "//web"], 129, "an argument is missing"),
        (["incident", "open", "--name=a/b", "//web", "production"], 129, "is one word"),
        (["incident", "open", "--name=..", "//web", "production"], 128, ".."),
        (["incident", "open", "--started=soonish", "//web", "production"], 129, "is no date"),
        (
            ["incident", "open", "--started=2090-01-01", "//web", "production"],
            129,
            "--started takes a moment that is past",
        ),
        (["incident", "open", "--started=tomorrow", "//web", "production"], 129, "is no date"),
        (["incident", "open", "--started=2023-02-30", "//web", "production"], 129, "is no date"),
        (["incident", "resolve", "--resolved=2090-01-01", "x"], 129, "--resolved takes a moment that is past"),
        (["incident", "resolve", "y"], 1, "no such incident: 'y'"),
        (["incident", "resolve", "--resolved=2023-11-20 13:00 +0000", "x"], 129, "began later"),
    ):
        done = shop.run(*arguments)
        assert (done.returncode, done.stdout) == (status, "") and words in done.stderr, (arguments, done.stderr)
    shop.ocuroot("incident", "resolve", "--resolved=2023-11-20 15:30 +0000", "x")
    assert shop.run("incident", "resolve", "x").returncode == 3
    assert shop.ocuroot("incident", "list").split("\t") == [
        *("x", SHOP, "production", "2023-11-20T14:00:00Z", "1 h 30 min", ""),
    ]
    # It began before anything was deployed there, so that it has nothing to do with that.
    assert json.loads(shop.ocuroot("metrics", "--json"))["change_failure_rate"] == 0


def test_an_operation_opens_one_incident(shop: Repo) -> None:
    opened = ["incident", "open", "-q", "--operation=alert-1", "//web", "production"]
    name = shop.ocuroot(*opened)
    assert shop.ocuroot(*opened) == name and len(listed(shop)) == 1


def test_of_two_with_one_name_one_is_opened(store: Repo) -> None:
    prepare(store, "production")
    release(store, package([deploy("production")]))
    before = commits(store)
    started = [begin(store, "incident", "open", "--name=x", "//web", "production") for _ in range(4)]
    assert sorted(process.wait() for process in started) == [0, 3, 3, 3]
    assert commits(store) == before + 1


def test_incidents_of_others_and_what_is_none(store: Repo, tmp_path: Path) -> None:
    prepare(store, "production")
    release(store, package([deploy("production")]))
    store.ocuroot("work", "any", "-q")
    ended = json.loads(store.ocuroot("deployments", "--json"))["since"]
    good = {"package": SHOP, "environment": "production", "started": ended, "resolved": None}
    bad: list[Any] = [
        "text",
        {},
        {**good, "started": "soon"},
        {**good, "resolved": "2001-01-01T00:00:00Z"},
        {**good, "resolved": 7},
        {**good, "package": ["a"]},
        {**good, "environment": ""},
    ]
    documents = {"good": {**good, "started": "2090-01-01T00:00:00.5+01:00"}}
    documents.update({f"bad{number}": value for number, value in enumerate(bad)})
    for side in "+@":
        lines = [f"set {side}/custom/incident/{name} {json.dumps(value)}\n" for name, value in documents.items()]
        store.ocuroot("update", "--stdin", input="".join(lines))
    for arguments in (["metrics", "--json"], ["incident", "list", "--json"]):
        done = store.run(*arguments)
        assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
        assert done.stderr.count("is left out") == len(bad), done.stderr
    assert json.loads(store.run("metrics", "--json").stdout)["change_failure_rate"] == 1
    assert store.run("incident", "resolve", "bad2").returncode == 128
    # By a clock that is wrong it has not begun yet.
    assert store.run("incident", "resolve", "good").returncode == 129
    # Somebody wrote the state alone: resolved, it has its intent.
    over = {**good, "started": "2023-01-01T00:00:00Z"}
    store.ocuroot(
        "update", "--stdin", input=f"delete +/custom/incident/good\nset @/custom/incident/good {json.dumps(over)}\n"
    )
    store.ocuroot("incident", "resolve", "--resolved=2023-01-01 12:00 +0000", "good")
    assert store.value("+/custom/incident/good")["resolved"] == "2023-01-01T12:00:00Z"
