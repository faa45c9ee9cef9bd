"""A failure stays visible until it is dealt with (design 7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, copy_of, deploy, package, prepare, refused, release, work_any
from support.repositories import Repo
from support.viewing import Browser, application

R = "shop/-/web/@1"
UP = "test -e good"


@pytest.fixture(scope="module")
def template(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A release whose deployment failed, as a job that ran `work any` left it."""
    repo = copy_of(Repo(store_template), tmp_path_factory.mktemp("failed") / "repo")
    prepare(repo, "production")
    release(repo, package([call("build")], [deploy("production", UP)]))
    assert repo.run("work", "any").returncode == 1
    return repo


@pytest.fixture
def failed(template: Repo, tmp_path: Path) -> Repo:
    return copy_of(template, tmp_path / "failed")


def failures(repo: Repo) -> list[str]:
    """What `work list` says has failed; `status` and the view must say the same."""
    listed = [json.loads(line) for line in repo.ocuroot("work", "list", "--json").splitlines()]
    found = [item["ref"] for item in listed if item["state"] == "failed"]
    counts = json.loads(repo.ocuroot("status", "--json"))["work"]
    assert counts.get("failed runs", 0) == len(found)
    page: Any = Browser(application(repo.path)).json("/work?status=failed")
    assert sorted(one["run"] for one in page["items"]) == sorted(found)
    return found


def test_a_failure_is_shown_again_and_again(failed: Repo) -> None:
    run = f"{R}/deploy/production/1"
    for _ in range(2):
        done = failed.run("work", "any")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"error: '{run}' failed, and nobody has dealt with that\n" in done.stderr
        assert f"hint: 'git ocuroot run retry {run}' tries it again" in done.stderr
        assert "runs: 1 failed\n" in done.stderr
    line = f"failed   run up    {run}\t'git ocuroot run retry {run}' tries it again"
    assert failed.ocuroot("work", "list").splitlines() == [line]
    assert failures(failed) == [run]
    assert "work        1 failed run" in failed.ocuroot("status")


def test_a_retry_deals_with_it(failed: Repo) -> None:
    failed.ocuroot("run", "retry", f"{R}/deploy/production")
    assert failures(failed) == []
    assert failed.run("work", "any").returncode == 1
    assert failures(failed) == [f"{R}/deploy/production/2"]
    (failed.path / "good").touch()
    failed.ocuroot("run", "retry", R)
    assert failed.run("work", "any").returncode == 0
    assert failures(failed) == []


def test_a_newer_release_deals_with_it(failed: Repo) -> None:
    release(failed, package([call("build", "false")], [deploy("production", UP)]))
    assert failures(failed) == []
    assert failed.run("work", "any").returncode == 1
    assert failures(failed) == ["shop/-/web/@2/call/build/1"]
    release(failed, package([call("build")], [deploy("production")]))
    assert failures(failed) == []
    assert failed.run("work", "any").returncode == 0


def test_a_rollback_that_failed_is_not_dealt_with_by_what_was_there_before(failed: Repo) -> None:
    second = release(failed, package([call("build")], [deploy("production")]))
    assert failed.run("work", "any").returncode == 0
    failed.ocuroot("run", "start", f"{R}/deploy/production")
    failed.ocuroot("run", "finish", f"{R}/deploy/production", "--status=failed")
    assert failures(failed) == [f"{R}/deploy/production/2"]
    third = release(failed, package([call("build")], [deploy("production")]))
    assert failures(failed) == [f"{R}/deploy/production/2"]
    failed.ocuroot("run", "exec", "-q", f"{third}/call/build")
    failed.ocuroot("run", "exec", "-q", f"{third}/deploy/production")
    assert failures(failed) == []
    assert second != third


def test_a_dismissal_deals_with_it(failed: Repo) -> None:
    run = f"{R}/deploy/production/1"
    refused(failed, 1, "no such run", "run", "dismiss", f"{R}/deploy/production/7")
    refused(failed, 3, "it is complete", "run", "dismiss", f"{R}/call/build")
    refused(failed, 128, "", "run", "dismiss", "+/environment/production")
    failed.ocuroot("run", "dismiss", "-m", "the cluster is gone", run)
    assert failures(failed) == []
    done = failed.run("work", "any")
    assert (done.returncode, done.stderr) == (0, "nothing to do\n")
    marker = failed.value(f"{run}/status/failed")
    assert isinstance(marker, dict)
    assert marker["dismissed"]["reason"] == "the cluster is gone"
    assert set(marker) == {"time", "actor", "dismissed"}
    # It has failed as before, for whoever reads the statuses alone.
    assert failed.value(f"{run}/functions/1#current/status") == "failed"
    before = failed.git("rev-parse", "state")
    failed.ocuroot("run", "dismiss", R)
    assert failed.git("rev-parse", "state") == before
    assert failed.ocuroot("fsck", "-q") == ""
    assert failed.ocuroot("run", "retry", run) == f"{R}/deploy/production/2"
    refused(failed, 3, "it is failed_retried", "run", "dismiss", run)
    refused(failed, 3, "nothing to dismiss", "run", "dismiss", R)


@pytest.mark.parametrize("dialect", ["1", "3"])
def test_what_an_intent_asks_for_is_tried_once(make_repo: Callable[..., Repo], dialect: str, tmp_path: Path) -> None:
    repo = make_repo("repo")
    repo.ocuroot("init", "-q", "--dialect", dialect)
    prepare(repo, "staging")
    bad, tried = tmp_path / "bad", tmp_path / "tried"
    command = f"echo >> {tried}; test ! -e {bad}"
    first = release(repo, package([deploy("staging", up=command, down=command)]))
    work_any(repo)
    repo.git("commit", "-q", "--allow-empty", "-m", "second")
    release(repo, package([deploy("staging", down=command)]))
    work_any(repo)
    intent = "shop/-/web/+/deploy/staging"

    def tries() -> int:
        before = tried.read_text().count("\n")
        assert repo.run("work", "any").returncode == 1
        return tried.read_text().count("\n") - before

    bad.touch()
    repo.ocuroot("set", "-q", "-f=json", intent, json.dumps({"release": first}))
    assert [tries(), tries()] == [1, 0]  # a rollback
    assert "failed" in repo.ocuroot("work", "list")
    repo.ocuroot("set", "-q", "-f=json", intent, json.dumps({"release": first, "input": {"again": {"value": 1}}}))
    if dialect == "1":
        assert tries() == 1, "an intent that was changed asks anew"
    repo.ocuroot("delete", "-q", intent)
    assert [tries(), tries()] == [1, 0]  # a taking down
    bad.unlink()
    items = json.loads(f"[{','.join(repo.ocuroot('work', 'list', '--json').splitlines())}]")
    (failed,) = [one["ref"] for one in items if one["state"] == "failed"]
    repo.ocuroot("run", "retry", failed)
    work_any(repo)
    assert repo.ocuroot("match", "**/@/deploy/staging") == ""
