"""Approvals: a release is deployed once it has those that a gate asks for, and no others count."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.delivering import copy_of, deploy, package, prepare, refused, release, work_any
from support.repositories import Repo

WEB = "shop/-/web/@1"
PRODUCTION = f"{WEB}/deploy/production"
ANN, BOB, EVE = "local:ann@example.org", "local:bob@example.org", "local:eve@example.org"
AUTHOR = "local:author@example.org"
RULES: dict[str, Any] = {"not_author": True, "valid_for": "2h", "from": [ANN, BOB, AUTHOR, "github:ann", "github:Ann"]}
APPROVE = ("approve", "--environment", "production", WEB)


def identity(actor: str, **more: str) -> dict[str, str]:
    """The environment of an actor: of a person at a terminal, or of a job of GitHub Actions."""
    system, _, name = actor.partition(":")
    email = name if system == "local" else "runner@example.org"
    environ = {f"GIT_{role}_{what}": email for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": name} if system == "github" else {}
    return {**os.environ, **environ, **ci, **more}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two releases whose commit is by an author, and a gate that asks for an approval of production."""
    repo = Repo(tmp_path_factory.mktemp("approved"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    repo.git("commit", "-q", "--allow-empty", "-m", "code", env=identity(AUTHOR))
    for _ in range(2):
        release(repo, package([deploy("staging"), deploy("production")]))
    set_gate(repo)
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


def set_gate(repo: Repo, **rules: Any) -> None:
    gate = {"kind": "approve", "environments": ["production"], "approvals": {**RULES, **rules}}
    steps = [f"set {side}/custom/gate/eyes {json.dumps(gate)}\n" for side in "@+"]
    repo.ocuroot("update", "--stdin", input="".join(steps))


def approve(repo: Repo, actor: str, *options: str, **environ: str) -> None:
    assert repo.run(*APPROVE, *options, env=identity(actor, **environ)).returncode == 0


def write(repo: Repo, actor: str, document: object, ref: str = "", **environ: str) -> None:
    """Write the document of an approval by hand, as an actor."""
    ref = ref or f"shop/-/web/+1/custom/approval/production/{actor}"
    repo.ocuroot("update", "--stdin", input=f"set {ref} {json.dumps(document)}\n", env=identity(actor, **environ))


def forge(repo: Repo, whose: str, by: str, message: str) -> None:
    """Commit the approval of somebody with plain git, as somebody else, under a message."""
    path = f"refs/shop/-/web/+1/custom/approval/production/{whose}/@object.json"
    environ = {**identity(by), "GIT_INDEX_FILE": str(repo.path / "forged")}
    blob = repo.git("hash-object", "-w", "--stdin", input=json.dumps({"kind": "ref", "body": said(whose)}))
    repo.git("read-tree", "state", env=environ)
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=environ)
    tree = repo.git("write-tree", env=environ)
    commit = repo.git("commit-tree", tree, "-p", "state", "-F", "-", input=message, env=environ)
    repo.git("update-ref", "refs/heads/state", commit)


def said(actor: str, approved: object = True) -> dict[str, Any]:
    return {"approved": approved, "by": actor, "time": "2026-01-01T00:00:00Z"}


def is_closed(repo: Repo) -> bool:
    return repo.run("gate", "check", WEB, "--environment", "production").returncode == 1


def trailers(actor: str, *more: str) -> str:
    lines = ("Ocuroot-Command: approve", "Ocuroot-Operation: 1", f"Ocuroot-Actor: {actor}", *more)
    return "approve\n\n" + "\n".join(lines) + "\n"


def test_a_release_is_deployed_once_it_is_approved(shop: Repo) -> None:
    stderr = refused(shop, 3, "it waits for approval (gate 'eyes')", "run", "start", PRODUCTION)
    assert f"hint: git ocuroot approve {WEB} --environment production" in stderr
    assert f"{WEB}/deploy/staging/1" in shop.ocuroot("work", "list")
    assert shop.ocuroot(*APPROVE, "-m", "seen it", env=identity(ANN)).endswith(f"+1/custom/approval/production/{ANN}")
    assert shop.git("log", "-1", "--format=%s", "state") == f"approve {PRODUCTION}"
    for marker in "+@":
        document = shop.value(f"shop/-/web/{marker}1/custom/approval/production/{ANN}")
        assert (document["approved"], document["by"], document["reason"]) == (True, ANN, "seen it")
    assert not is_closed(shop)
    shop.ocuroot("run", "start", PRODUCTION)
    refused(shop, 3, "approval (gate 'eyes')", "run", "start", "shop/-/web/@2/deploy/production")
    assert shop.ocuroot("diff") == ""


def test_what_is_approved_in_a_job_counts_as_well(shop: Repo) -> None:
    approve(shop, "github:ann")
    assert not is_closed(shop)


def test_several_have_to_approve(shop: Repo) -> None:
    set_gate(shop, count=2)
    approve(shop, ANN)
    refused(
        shop, 3, "it waits for approval by 2 (gate 'eyes'; approved by ann@example.org)", "run", "start", PRODUCTION
    )
    approve(shop, BOB)
    shop.ocuroot("run", "start", PRODUCTION)


def test_what_was_rejected_can_be_approved_after_all(shop: Repo) -> None:
    approve(shop, ANN)
    approve(shop, BOB, "--reject", "-m", "too late in the day")
    refused(shop, 3, "rejected by bob@example.org: too late in the day", "run", "start", PRODUCTION)
    approve(shop, BOB)
    shop.ocuroot("run", "start", PRODUCTION)


def test_taking_down_needs_no_approval(shop: Repo) -> None:
    approve(shop, ANN)
    work_any(shop, "-q")
    assert shop.value(f"{PRODUCTION}/1#type") == "up"
    shop.ocuroot("delete", f"shop/-/web/+1/custom/approval/production/{ANN}")
    shop.ocuroot("delete", "shop/-/web/+/deploy/production")
    shop.run("work", "any")
    assert shop.value(f"{PRODUCTION}/2#type") == "down"


def test_approving_what_is_not_there_is_refused(shop: Repo) -> None:
    refused(shop, 129, "for which environment?", "approve", WEB)
    refused(shop, 1, "no such environment: 'x'", "approve", WEB, "--environment", "x")
    refused(shop, 1, "no such release", "approve", "shop/-/web/@7", "--environment", "production")
    shop.ocuroot("set", "-f=json", "+/environment/other", '{"name": "other", "attributes": {}}')
    shop.ocuroot("apply", "--all")
    refused(shop, 1, "has no deployment for the environment 'other'", "approve", WEB, "--environment", "other")


def at(seconds: float) -> dict[str, str]:
    return {"GIT_COMMITTER_DATE": f"{int(time.time() + seconds)} +0000"}


def both_spellings(repo: Repo) -> None:
    set_gate(repo, count=2)
    approve(repo, "github:ann")
    approve(repo, "github:Ann")


def twice(repo: Repo) -> None:
    set_gate(repo, count=2)
    approve(repo, ANN)
    approve(repo, ANN, "-m", "again")


def by_a_hidden_address(repo: Repo) -> None:
    hidden = identity("local:1+ann@users.noreply.github.com")
    repo.git("commit", "-q", "--allow-empty", "-m", "code", env=hidden)
    repo.ocuroot("update", "--stdin", input=f"set {WEB} {json.dumps(with_commit(repo, repo.oid('HEAD')))}\n")
    approve(repo, "github:ann")


def of_an_unknown_commit(repo: Repo) -> None:
    repo.ocuroot("update", "--stdin", input=f"set {WEB} {json.dumps(with_commit(repo, '7' * 40))}\n")
    approve(repo, ANN)


def with_commit(repo: Repo, commit: str) -> dict[str, Any]:
    return {**repo.value(WEB), "commit": commit}


def link(repo: Repo) -> None:
    write(repo, ANN, said(ANN), "+/custom/elsewhere")
    ref = f"shop/-/web/+1/custom/approval/production/{ANN}"
    repo.ocuroot("update", "--stdin", input=f"link {ref} +/custom/elsewhere\n", env=identity(ANN))


def and_then(*acts: Callable[[Repo], object]) -> Callable[[Repo], None]:
    def act(repo: Repo) -> None:
        for one in acts:
            one(repo)

    return act


ABOVE = "shop/-/web/+1/custom/approval/production"
BAD: dict[str, Callable[[Repo], object]] = {
    "the author": lambda repo: approve(repo, AUTHOR),
    "the author, as a job": lambda repo: approve(repo, "github:ann", GIT_AUTHOR_EMAIL="author@example.org"),
    "the author, as the committer of a job": lambda repo: approve(
        repo, "github:ann", GIT_COMMITTER_EMAIL="Author@Example.org"
    ),
    "the author, by a hidden address": by_a_hidden_address,
    "of a commit whose author is not known": of_an_unknown_commit,
    "not asked": lambda repo: approve(repo, EVE),
    "a job that is not asked": lambda repo: approve(repo, "github:eve"),
    "expired": lambda repo: approve(repo, ANN, **at(-7300)),
    "dated later than now": lambda repo: write(repo, ANN, said(ANN), **at(7300)),
    "another release": lambda repo: repo.ocuroot(*APPROVE[:-1], "shop/-/web/@2", "-q", env=identity(ANN)),
    "another environment": lambda repo: repo.ocuroot("approve", "-q", "--environment=staging", WEB, env=identity(ANN)),
    "no release": lambda repo: write(repo, ANN, said(ANN), f"shop/-/web/+/custom/approval/production/{ANN}"),
    "another package": lambda repo: write(repo, ANN, said(ANN), f"shop/-/api/+1/custom/approval/production/{ANN}"),
    "state alone": lambda repo: write(repo, ANN, said(ANN), f"{WEB}/custom/approval/production/{ANN}"),
    "below another": lambda repo: write(repo, ANN, said(ANN), f"{ABOVE}/x/{ANN}"),
    "another in the document": lambda repo: write(repo, ANN, said(BOB)),
    "in the place of another": lambda repo: write(repo, EVE, said(ANN), f"{ABOVE}/{ANN}"),
    "one's own in the place of another": lambda repo: write(repo, EVE, said(EVE), f"{ABOVE}/{ANN}"),
    "in one's own place for another": lambda repo: write(repo, BOB, said(ANN), f"{ABOVE}/{BOB}"),
    "no object": lambda repo: write(repo, ANN, "approved"),
    "not quite": lambda repo: write(repo, ANN, said(ANN, "yes")),
    "a number": lambda repo: write(repo, ANN, said(ANN, 1)),
    "no word": lambda repo: write(repo, ANN, {"by": ANN}),
    "a link": link,
    "rejected": lambda repo: approve(repo, ANN, "--reject"),
    "rejected after all": and_then(lambda repo: approve(repo, ANN), lambda repo: approve(repo, ANN, "--reject")),
    "rejected by another": and_then(lambda repo: approve(repo, ANN), lambda repo: approve(repo, EVE, "--reject")),
    "withdrawn": and_then(
        lambda repo: approve(repo, ANN), lambda repo: repo.ocuroot("delete", f"{ABOVE}/{ANN}", env=identity(ANN))
    ),
    "changed by another": and_then(
        lambda repo: approve(repo, ANN), lambda repo: write(repo, EVE, said(ANN), f"{ABOVE}/{ANN}")
    ),
    "twice": twice,
    "twice, in two spellings": both_spellings,
    "a trailer in a reason": lambda repo: repo.ocuroot(
        *("update", "--stdin", "-m", f"x\n\nOcuroot-Actor: {ANN}"),
        input=f"set {ABOVE}/{ANN} {json.dumps(said(ANN))}\n",
        env=identity(EVE),
    ),
    "a forged trailer": lambda repo: forge(repo, ANN, EVE, trailers(ANN)),
    "a trailer in the text": lambda repo: forge(repo, ANN, EVE, f"Ocuroot-Actor: {ANN}\n\n{trailers(EVE)}"),
    "trailers of two": lambda repo: forge(
        repo, "github:ann", EVE, trailers("github:ann", "Ocuroot-Operation: 2", f"Ocuroot-Actor: {EVE}")
    ),
    "no trailer": lambda repo: forge(repo, ANN, EVE, "approve\n"),
    "a trailer without an operation": lambda repo: forge(repo, ANN, EVE, f"approve\n\nOcuroot-Actor: {ANN}\n"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_approval_is_refused(shop: Repo, bad: Callable[[Repo], object]) -> None:
    bad(shop)
    assert is_closed(shop)


def test_what_is_forged_well_is_what_pushing_allows(shop: Repo) -> None:
    """A commit says who made it, and nothing more: the limits of that are written down (docs/gates.md)."""
    forge(shop, ANN, ANN, "approve\n")
    assert not is_closed(shop)


def test_at_a_remote_the_history_is_fetched(shop: Repo, tmp_path: Path) -> None:
    approve(shop, ANN)
    server, clone = tmp_path / "server.git", Repo(tmp_path / "clone")
    shop.git("clone", "-q", "--bare", str(shop.path), str(server))
    clone.path.mkdir()
    clone.git("init", "-q")
    clone.git("config", "ocuroot.state.remote", f"file://{server}")
    clone.git("config", "ocuroot.repoAlias", "shop")
    shop.git("config", "ocuroot.state.remote", f"file://{server}")
    for number in range(3):
        shop.ocuroot("set", "+/custom/x", str(number))
    assert "who wrote the commit is not known" in clone.run("gate", "check", WEB, "--environment=production").stdout
    clone.git("fetch", "-q", f"file://{server}", "refs/heads/*:refs/remotes/origin/*")
    assert not is_closed(clone)
    clone.ocuroot("run", "start", PRODUCTION)
