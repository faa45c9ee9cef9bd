"""What other programs start past gates and holds is named by `fsck`, in whichever form they write it."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone

import pytest
from support.delivering import LAYOUTS, deploy, package, pending_run, prepare_at, release, start_as_others_do
from support.repositories import Repo

WEB = "shop/-/web/@1"


@pytest.fixture(params=LAYOUTS)
def shop(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    """A release that is ready for production."""
    prepare_at(repo, request.param, "production")
    release(repo, package([deploy("production")]))
    return repo


@pytest.fixture
def web(store: Repo) -> Repo:
    prepare_at(store, "one", "production")
    release(store, package([deploy("production")]))
    return store


def findings(repo: Repo) -> list[str]:
    """What `fsck` says of runs that were started."""
    found = map(json.loads, repo.run("fsck", "--json").stdout.splitlines())
    return [f"{one['where']}: {one['what']}" for one in found if "it was started" in one["what"]]


def change(repo: Repo, *steps: str) -> None:
    repo.ocuroot("update", "--stdin", input="".join(f"{step}\n" for step in steps))


def now(seconds: float = 0) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


def marker(run: str, status: str, time: str) -> str:
    return f"set {run}/status/{status} {json.dumps({'time': time})}"


def test_a_run_of_a_held_release_is_named(shop: Repo) -> None:
    run = pending_run(shop, "production")
    shop.ocuroot("hold", WEB, "-m", "rounds totals")
    assert findings(shop) == []
    start_as_others_do(shop, run)
    shop.ocuroot("hold", "--lift", WEB)
    shop.ocuroot("run", "finish", run, "--status", "complete")
    (line,) = findings(shop)
    assert line.startswith(f"{run}: it was started at ") and "though its release was held by " in line
    assert line.endswith(": rounds totals")
    # Who was let go, and what is taken down, is not held.
    shop.ocuroot("run", "exec", "-q", f"{WEB}/deploy/production")
    shop.ocuroot("hold", WEB, "-m", "again")
    shop.ocuroot("delete", "shop/-/web/+/deploy/production")
    shop.ocuroot("work", "any", "-q")
    assert findings(shop) == [line]


def test_a_hold_written_by_hand_counts(web: Repo) -> None:
    change(web, 'set shop/-/web/+1/custom/hold "no"')
    start_as_others_do(web, pending_run(web, "production"))
    (line,) = findings(web)
    assert line.endswith("though its release was held: no")


def test_what_is_over_in_the_commit_that_starts_it_is_named(web: Repo) -> None:
    """A program may write what it did when all is done."""
    run = pending_run(web, "production")
    web.ocuroot("freeze", "production", "-m", "incident")
    web.ocuroot("hold", WEB, "-m", "bad")
    change(web, f"delete {run}/status/pending", marker(run, "complete", now()))
    past, held = findings(web)
    assert past.startswith(f"{run}: ") and past.endswith("past gate 'production'")
    assert held.endswith(": bad")
    # So is one that nobody asked for.
    other = f"{run[:-1]}7"
    steps = [f"set {other}{part} {json.dumps(web.value(run + part))}" for part in ("", "/functions/1")]
    change(web, *steps, marker(other, "failed", now()))
    assert len([line for line in findings(web) if line.startswith(f"{other}: ")]) == 2


def test_what_was_begun_before_is_not_named_when_it_ends(web: Repo) -> None:
    """Not either where a program takes one marker away before it writes the next, in two commits."""
    run = pending_run(web, "production")
    start_as_others_do(web, run)
    web.ocuroot("freeze", "production", "-m", "incident")
    web.ocuroot("hold", WEB, "-m", "bad")
    change(web, f"delete {run}/status/running")
    change(web, marker(run, "complete", now()))
    assert findings(web) == []


def test_what_was_over_before_a_window_began_is_not_named(web: Repo) -> None:
    run = pending_run(web, "production")
    web.ocuroot("freeze", "production", "--from", now(-60), "-m", "incident")
    change(web, f"delete {run}/status/pending", marker(run, "complete", now(-120)))
    assert findings(web) == []


@pytest.mark.parametrize("who", ["ann", "eve"])
def test_an_override_is_of_who_made_the_commit(web: Repo, who: str) -> None:
    run = pending_run(web, "production")
    web.ocuroot("freeze", "production", "--allow", "github:ann", "-m", "incident")
    function = web.value(f"{run}/functions/1")
    override = {"gates": ["production"], "by": "github:ann", "reason": "fix"}
    function["current"]["status"] = "running"
    function["history"].append({"time": now(), "status": "running", "override": override})
    steps = [f"delete {run}/status/pending", marker(run, "running", now())]
    steps.append(f"set {run}/functions/1 {json.dumps(function)}")
    environ = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": who}
    web.ocuroot("update", "--stdin", input="\n".join(steps) + "\n", env=environ)
    assert len(findings(web)) == (who == "eve")
