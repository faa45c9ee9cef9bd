"""Where a login may write the intent and not the state: what is asked for counts, and the state follows later."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delivering import copy_of, deploy, package, prepare, release, work_any
from support.repositories import Repo

ONE, TWO = "shop/-/web/@1", "shop/-/web/@2"
TO_PRODUCTION = f"{TWO}/deploy/production"
LEFT = "the intent is written, and the state could not be: "
FOLLOWS = "the state follows with the next 'git ocuroot apply --all' or 'work any'; "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two releases, of which the first is deployed; the second waits. State and intent lie on two branches."""
    repo = Repo(tmp_path_factory.mktemp("alone"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q", "--intent-branch=intent")
    repo.git("config", "ocuroot.intent.branch", "intent")
    prepare(repo)
    repo.ocuroot("set", "-f=json", "+/environment/production", '{"name": "production", "attributes": {}}')
    release(repo, package([deploy("production")]))
    work_any(repo)
    release(repo, package([deploy("production")]))
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> tuple[Repo, Path]:
    """A copy with both branches at a remote, and the hook that keeps the state there from being pushed to."""
    repo, server = copy_of(made, tmp_path / "shop"), tmp_path / "server.git"
    repo.git("init", "-q", "--bare", str(server))
    repo.git("push", "-q", str(server), "state", "intent")
    hook = server / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/state) echo "not you" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    for side, branch in (("state", "state"), ("intent", "intent")):
        repo.git("config", f"ocuroot.{side}.remote", str(server))
        repo.git("config", f"ocuroot.{side}.branch", branch)
    return repo, hook


def left(repo: Repo, *command: str, ends: str = "starts look at the intent as well") -> str:
    done = repo.run(*command)
    assert done.returncode == 0, done.stderr
    assert LEFT in done.stderr and f"hint: {FOLLOWS}{ends}" in done.stderr, done.stderr
    return str(done.stdout)


def start(repo: Repo) -> tuple[int, str]:
    done = repo.run("run", "start", TO_PRODUCTION)
    return done.returncode, done.stderr


def test_a_freeze_counts_at_once_and_a_thaw_with_the_state(shop: tuple[Repo, Path]) -> None:
    repo, hook = shop
    assert left(repo, "freeze", "production", "-m", "incident 42") == "@/custom/gate/production\n"
    text = hook.read_text()
    hook.unlink()
    status, said = start(repo)
    assert status == 3 and "incident 42" in said
    repo.ocuroot("apply", "--all")
    assert repo.value("@/custom/gate/production#reason") == "incident 42"
    hook.write_text(text)
    hook.chmod(0o755)
    left(repo, "thaw", "production", ends="until then it holds as before")
    hook.unlink()
    assert start(repo)[0] == 3
    repo.ocuroot("apply", "--all")
    assert start(repo) == (0, "")


def test_a_hold_counts_at_once_and_ends_with_the_state(shop: tuple[Repo, Path]) -> None:
    repo, hook = shop
    assert left(repo, "hold", TWO, "-m", "wrong totals") == f"held\t{TWO}\n"
    text = hook.read_text()
    hook.unlink()
    status, said = start(repo)
    assert status == 3 and "is held by test@example.com: wrong totals" in said
    repo.ocuroot("apply", "--all")
    assert repo.value(f"{TWO}/custom/hold#reason") == "wrong totals"
    hook.write_text(text)
    hook.chmod(0o755)
    assert left(repo, "hold", "--lift", TWO, ends="until then it holds as before") == f"lifted\t{TWO}\n"
    hook.unlink()
    assert start(repo)[0] == 3
    repo.ocuroot("apply", "--all")
    assert start(repo) == (0, "")


def test_a_rollback_is_wanted_and_holds_what_is_left(shop: tuple[Repo, Path]) -> None:
    repo, hook = shop
    text = hook.read_text()
    hook.unlink()
    work_any(repo)
    hook.write_text(text)
    hook.chmod(0o755)
    shown = left(repo, "rollback", "production", "--to", ONE, "-m", "wrong totals")
    assert shown == "M\tshop/-/web\tproduction\t@2\t@1\theld: @2\n"
    hook.unlink()
    assert repo.run("get", f"{TWO}/custom/hold").returncode == 1
    assert [line.split("\t")[0] for line in repo.ocuroot("hold").splitlines()] == [TWO]
    assert work_any(repo) == [f"complete\t{ONE}/deploy/production/2"]
    assert repo.value(f"{TWO}/custom/hold#reason") == "wrong totals" and repo.ocuroot("diff") == ""


def test_an_approval_and_a_rejection_count_at_once(shop: tuple[Repo, Path]) -> None:
    repo, hook = shop
    text = hook.read_text()
    hook.unlink()
    repo.ocuroot("set", "-f=json", "+/custom/gate/eyes", '{"kind": "approve"}')
    repo.ocuroot("apply", "--all")
    hook.write_text(text)
    hook.chmod(0o755)
    left(repo, "approve", TWO, "--environment", "production")
    assert repo.run("gate", "check", TWO).returncode == 0
    left(repo, "approve", "--reject", TWO, "--environment", "production")
    assert repo.run("gate", "check", TWO).returncode == 1
