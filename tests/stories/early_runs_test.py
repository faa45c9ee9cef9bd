"""Runs that early Ocuroot left on their way: it keeps a run pending until its last function has ended.

`early-runs.tar.gz` is a repository as early Ocuroot left it, which was killed twice:

    asks      paused at `next`, for the second function lacks its input; a deployment waits for that
    fails     failed in the second function, was tried again from there, and failed again
    killed    running in its second function when it was killed
    deploys   running in its first function, of a deployment, when it was killed
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.original_stores import repository
from support.repositories import Repo
from support.viewing import Browser, application

ASKS, KILLED, DEPLOYS = (f"shop/-/{name}.ocu.star/@1" for name in ("asks", "killed", "deploys"))
FAILS = "shop/-/fails.ocu.star/@1"


@pytest.fixture(params=["directory", "branch"])
def early(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    """The repository, its store in the directory that `repo.ocu.star` names, or in a branch."""
    repo = repository("early-runs.tar.gz", "state", tmp_path / "early")
    if request.param == "branch":
        repo.git("config", "ocuroot.state.branch", "state")
        repo.ocuroot("import", "-q", "--offline", ".store")
    return repo


def work(repo: Repo) -> dict[str, tuple[str, list[str]]]:
    """The runs that `work list` lists, with their states and what they wait for; it leaves nothing out."""
    done = repo.run("work", "list", "--json")
    assert done.returncode == 0 and not done.stderr, done
    items = [json.loads(line) for line in done.stdout.splitlines()]
    return {item["ref"]: (item["state"], item["waits_for"]) for item in items if item["kind"] == "run"}


def statuses(repo: Repo, run: str) -> list[str]:
    """The markers of a run and of its functions."""
    found = repo.ocuroot("match", f"{run}/status/*", f"{run}/functions/*/status/*")
    return [ref.removeprefix(f"{run}/") for ref in found.splitlines()]


def shown(repo: Repo, run: str) -> dict[str, Any]:
    """What the page of a run says."""
    page: dict[str, Any] = Browser(application(repo.path)).json(f"/ref/{run}")["run"]
    return page


def test_all_is_listed_as_it_stands(early: Repo) -> None:
    other = ["which another program started"]
    assert work(early) == {
        f"{ASKS}/call/asks/1": ("waiting", [f"input 'answer' ({ASKS}/custom/answer)"]),
        f"{ASKS}/deploy/staging/1": ("waiting", [f"'{ASKS}/call/asks'"]),
        f"{KILLED}/call/second/1": ("running", other),
        f"{DEPLOYS}/deploy/staging/1": ("running", other),
        f"{FAILS}/call/fails/2": ("failed", []),
        f"{FAILS}/call/retried/2": ("failed", []),
    }
    assert early.run("fsck").returncode == 0
    listed = [json.loads(line) for line in early.ocuroot("release", "list", "--json").splitlines()]
    assert {line["ref"]: line["work"] for line in listed} == {
        ASKS: {"paused": 1, "pending": 1},
        DEPLOYS: {"running": 1},
        FAILS: {"failed": 2},
        KILLED: {"running": 1},
    }


def test_the_page_shows_them_so(early: Repo) -> None:
    paused = shown(early, f"{ASKS}/call/asks/1")
    assert paused["status"] == "paused" and paused["state"] == "waiting", paused
    assert shown(early, f"{KILLED}/call/second/1")["status"] == "running"
    assert shown(early, f"{DEPLOYS}/deploy/staging/1")["status"] == "running"
    assert shown(early, f"{FAILS}/call/fails/2")["status"] == "failed"
    overview = Browser(application(early.path)).json("/")
    found = {one["run"]: one["status"] for one in (*overview["waiting_for_people"], *overview["active"])}
    assert found[f"{ASKS}/call/asks/1"] == "paused" and found[f"{KILLED}/call/second/1"] == "running"


def test_a_paused_run_goes_on_once_its_input_is_there(early: Repo) -> None:
    run = f"{ASKS}/call/asks/1"
    assert not any(line.startswith("complete") for line in early.run("work", "any").stdout.splitlines())
    early.ocuroot("set", "asks.ocu.star/+1/custom/answer", "yes")
    done = early.run("work", "any")
    assert f"complete\t{run}" in done.stdout.splitlines(), done
    assert early.value(f"{run}#output") == {"answer": "yes"}
    assert statuses(early, run) == ["functions/1/status/complete", "functions/2/status/complete", "status/complete"]
    assert early.value("asks.ocu.star/@/call/asks#output/answer") == "yes"
    # The deployment that waited for it pauses in its turn, and is found by what finds those of early Ocuroot.
    paused = f"{ASKS}/deploy/staging/1"
    assert statuses(early, paused) == ["functions/1/status/complete", "functions/2/status/pending", "status/paused"]
    assert work(early)[paused] == ("waiting", [f"input 'answer' ({ASKS}/custom/switch)"])
    assert early.run("fsck").returncode == 0


def early_enters(early: Repo, run: str, status: str, *more: str) -> None:
    """What early Ocuroot writes of a run that we paused: its function and marker, that of the run in the end alone."""
    second = early.value(f"{run}/functions/2")
    before = second["current"]["status"]
    second["current"]["status"] = status
    lines = [f"delete {run}/functions/2/status/{before}", f"set {run}/functions/2/status/{status} {{}}"]
    if status != "running":
        lines += [f"delete {run}/status/paused", f"set {run}/status/{status} {{}}"]
    lines.append(f"set {run}/functions/2 {json.dumps(second)}")
    early.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in (*lines, *more)))


def test_what_early_ocuroot_does_to_a_run_that_we_paused(early: Repo) -> None:
    early.ocuroot("set", "asks.ocu.star/+1/custom/answer", "yes")
    early.run("work", "any", "-q")
    run = f"{ASKS}/deploy/staging/1"
    early_enters(early, run, "running")
    assert work(early)[run] == ("running", ["which another program started"])
    assert shown(early, run)["status"] == "running"
    early_enters(early, run, "failed")
    assert work(early)[run] == ("failed", [])
    assert early.run("fsck").returncode == 0
    # It was begun for the intent that there is: that does not ask for it once more.
    early.ocuroot("run", "dismiss", run)
    assert ASKS not in early.run("work", "any").stdout


def test_what_early_ocuroot_brings_to_its_end_stays_deployed(early: Repo) -> None:
    early.ocuroot("set", "asks.ocu.star/+1/custom/answer", "yes")
    early.run("work", "any", "-q")
    run = f"{ASKS}/deploy/staging/1"
    early_enters(early, run, "running")
    work_document = json.dumps({**early.value(run), "output": {"switch": "on"}})
    documents = [f"set {where} {work_document}" for where in (run, f"{ASKS}/deploy/staging")]
    early_enters(early, run, "complete", *documents, f"link shop/-/asks.ocu.star/@/deploy/staging {run}")
    # It makes an intent when it starts a deployment, and this one was started by us.
    assert "asks.ocu.star" not in early.ocuroot("diff")
    early.run("work", "any")
    assert early.value("asks.ocu.star/@/deploy/staging#output/switch") == "on"
    assert early.run("fsck").returncode == 0


def test_what_runs_elsewhere_is_left_alone_and_can_be_ended_by_hand(early: Repo) -> None:
    run = f"{DEPLOYS}/deploy/staging/1"
    done = early.run("run", "start", run)
    assert done.returncode == 3 and "it is running" in done.stderr
    # Nothing else is deployed there meanwhile.
    second = early.ocuroot("release", "new", "deploys.ocu.star", "--force")
    assert work(early)[f"{second}/deploy/staging/1"] == ("waiting", [f"'{run}', which is running"])
    early.ocuroot("run", "finish", run, "--status", "failed")
    assert statuses(early, run) == ["functions/1/status/failed", "status/failed"]
    assert early.run("apply", "deploys.ocu.star/+/deploy/staging").returncode == 3  # it was for that intent
    early.ocuroot("run", "cancel", f"{KILLED}/call/second/1")
    assert statuses(early, f"{KILLED}/call/second/1")[-1] == "status/cancelled"
    assert early.run("fsck").returncode == 0


def test_what_failed_in_a_later_function_is_tried_again(early: Repo) -> None:
    (early.path / ".works").touch()
    done = early.run("release", "retry", FAILS)
    assert done.returncode == 0 and done.stdout.splitlines() == [
        f"complete\t{FAILS}/call/fails/3",
        f"complete\t{FAILS}/call/retried/3",
    ], done
    before = f"{FAILS}/call/fails/2"
    assert statuses(early, before) == ["functions/2/status/failed_retried", "status/failed_retried"]
    # Early Ocuroot marks the work as well, and takes its release for failed as long as one of them says so.
    assert early.ocuroot("match", f"{FAILS}/call/*/status/*").splitlines() == [
        f"{FAILS}/call/{name}/status/complete" for name in ("fails", "retried")
    ]
    assert early.run("fsck").returncode == 0


def test_one_that_failed_here_has_one_function_that_failed(early: Repo) -> None:
    # Early Ocuroot makes a run for each function that has: two for one run would both be executed.
    release = early.ocuroot("release", "new", "fails.ocu.star", "--force")
    assert early.run("release", "continue", release, "-q").returncode == 1
    run = f"{release}/call/fails/1"
    assert statuses(early, run) == ["functions/1/status/complete", "functions/2/status/failed", "status/failed"]
