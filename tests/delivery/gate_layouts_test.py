"""Gates and approvals in every way in which state and intent may lie, also as Ocuroot's versions lay them."""

from __future__ import annotations

import json
import os

import pytest
from support.delivering import LAYOUTS, deploy, package, prepare_at, refused, release, work_any
from support.repositories import Repo

ANN = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}
EVE = {**ANN, "GITHUB_ACTOR": "eve"}


@pytest.fixture(params=LAYOUTS)
def shop(repo: Repo, request: pytest.FixtureRequest) -> tuple[Repo, str]:
    """A repository with a release that waits to be deployed to staging and production; the ref of the release."""
    prepare_at(repo, request.param, "staging", "production")
    return repo, release(repo, package([deploy("staging"), deploy("production")]))


def job_of(actor: str) -> dict[str, str]:
    """The environment of a job that somebody started, whose commits are theirs."""
    return {**ANN, "GITHUB_ACTOR": actor, "GIT_AUTHOR_EMAIL": actor, "GIT_COMMITTER_EMAIL": actor}


def waiting(repo: Repo) -> list[str]:
    items = map(json.loads, repo.ocuroot("work", "list", "--json").splitlines())
    return [item["ref"] for item in items if item["state"] == "waiting"]


def test_freeze_check_override_and_thaw(shop: tuple[Repo, str]) -> None:
    repo, web = shop
    production = f"{web}/deploy/production"
    repo.ocuroot("freeze", "type=prod", "--package", "//we?", "--allow", "github:ann", "-m", "incident 42")
    assert repo.value("@/custom/gate/type-prod") == repo.value("+/custom/gate/type-prod")
    for command in ("start", "exec"):
        assert "incident 42" in refused(repo, 3, "gate 'type-prod', which is closed by", "run", command, production)
    done = repo.run("gate", "check", web, "--json")
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, line["environment"], line["actors"]) == (1, "production", ["github:ann"])
    assert repo.run("gate", "check", web, "--environment=staging").returncode == 0
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/1"] and waiting(repo) == [f"{production}/1"]
    refused(repo, 3, "may not override", "run", "start", "--override", "-m", "fix", production, env=EVE)
    repo.ocuroot("run", "exec", "-q", "--override", "-m", "fix", production, env=ANN)
    begun = repo.git("log", "--format=%B", "state").count("Ocuroot-Command: run start --override\n")
    assert begun == 1 and repo.value(f"{web.rpartition('/')[0]}/@/deploy/production#release") == web
    second = release(repo, package([deploy("staging"), deploy("production")]))
    done = repo.run("freeze", "--all", "-m", "all of it", "--cancel-pending")
    assert f"{second}/deploy/staging/1: cancelled" in done.stderr
    assert f"{second}/deploy/production/1: cancelled" in done.stderr
    repo.ocuroot("thaw", "--all")
    assert repo.ocuroot("gate", "list") == "" and repo.ocuroot("match", "**/custom/gate/*") == ""
    assert repo.run("fsck", "-q").returncode == 0


def test_approve_and_reject(shop: tuple[Repo, str]) -> None:
    repo, web = shop
    gate = {"kind": "approve", "environments": ["production"], "approvals": {"count": 2, "not_author": True}}
    repo.ocuroot("set", "-f=json", "+/custom/gate/eyes", json.dumps(gate))
    repo.ocuroot("apply", "--all")
    approve = ("approve", "--environment", "production", web)
    for actor in ("ann", "bob"):
        assert repo.run("gate", "check", web, "--environment=production").returncode == 1
        repo.ocuroot(
            *approve, env={**ANN, "GITHUB_ACTOR": actor, "GIT_AUTHOR_EMAIL": actor, "GIT_COMMITTER_EMAIL": actor}
        )
    assert repo.run("gate", "check", web).returncode == 0
    repo.ocuroot(*approve, "--reject", "-m", "no", env=EVE)
    refused(repo, 3, "rejected by github:eve: no", "run", "start", f"{web}/deploy/production")
    repo.ocuroot(*approve, env=job_of("eve"))
    work_any(repo)
    assert repo.value(f"{web.rpartition('/')[0]}/@/deploy/production#release") == web
    # Written by another, the approval of one of them does not count for the next release.
    second = release(repo, package([deploy("staging"), deploy("production")]))
    number = second.rpartition("@")[2].removeprefix("r")
    for actor in ("ann", "bob"):
        document = {"approved": True, "by": f"github:{actor}", "time": "2026-11-20T12:00:00Z"}
        ref = f"shop/-/web/+{number}/custom/approval/production/github:{actor}"
        repo.ocuroot("set", "-f=json", ref, json.dumps(document), env=EVE)
    done = repo.run("gate", "check", second)
    assert done.returncode == 1 and "that of github:ann does not count: github:eve wrote it" in done.stdout
