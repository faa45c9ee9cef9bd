"""Pruning in stores of every kind, and with others at work."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.delivering import commits, copy_of, prepare, refused, release, work_any
from support.program import PROGRAM
from support.pruning import RECORD, WEB, one_release, prune, update
from support.repositories import Repo, begin

import ocuroot_git
from ocuroot_git.delivery.diff import differences
from ocuroot_git.delivery.prune import prune as retention_prune
from ocuroot_git.delivery.retention import Keep, plan
from ocuroot_git.formats.pruned import PrunedRecord


@pytest.fixture
def shop(five: Repo, tmp_path: Path) -> Repo:
    return copy_of(five, tmp_path / "shop")


def test_where_nothing_is_kept_nothing_is_pruned(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "ocuroot.state.path", str(tmp_path / "files"))
    repo.ocuroot("init", "-q")
    prepare(repo)
    update(repo, *(f"set {WEB}/@{number} {{}}" for number in (1, 2)))
    for options in ([], ["--dry-run"]):
        refused(repo, 128, "it keeps no history", "prune", "--keep-releases=1", *options)
    assert repo.ocuroot("match", f"{WEB}/@*") == f"{WEB}/@1\n{WEB}/@2"


def test_the_dialect_of_the_original(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--dialect=3")
    prepare(repo, "staging")
    for number in range(1, 5):
        release(repo, one_release(number))
        work_any(repo, "-q")
    repo.ocuroot("set", f"{WEB}/+r2/custom/hold", "true")
    tip = repo.git("rev-parse", "state")
    assert repo.ocuroot("prune", "--keep-releases=1").splitlines() == [f"{WEB}/@r1", f"{WEB}/@r3"]
    assert repo.ocuroot("release", "list") == f"{WEB}/@r2\n{WEB}/@r4"
    refused(repo, 1, f"git ocuroot get --at {tip[:12]} {WEB}/@r3", "get", f"{WEB}/@r3")
    refused(repo, 1, f"git ocuroot get --at {tip[:12]} {WEB}/@3", "get", f"{WEB}/@3")
    assert release(repo, one_release(5)) == f"{WEB}/@r5"
    assert repo.run("fsck").returncode == 0


def test_a_remote_store(five: Repo, tmp_path: Path) -> None:
    Repo(tmp_path).git("clone", "-q", "--bare", str(five.path), "shared.git")
    shared = Repo(tmp_path / "shared.git")
    shared.git("config", "uploadpack.allowFilter", "true")
    Repo(tmp_path).git("init", "-q", "job")
    job = Repo(tmp_path / "job")
    job.git("remote", "add", "origin", f"file://{shared.path}")
    job.git("config", "ocuroot.repoAlias", "shop")
    job.git("config", "ocuroot.state.remote", "origin")
    tip = shared.git("rev-parse", "state")
    assert prune(job) == ["1", "2", "3", "4"]
    assert shared.git("rev-parse", "state~1") == tip
    refused(job, 1, f"git ocuroot get --at {tip[:12]} {WEB}/@2", "get", f"{WEB}/@2")
    assert job.value(f"{WEB}/@2#commit", "--at", tip[:12]) == five.value(f"{WEB}/@2#commit")
    assert json.loads(job.ocuroot("log", "--json", "-1", f"{WEB}/@2"))["command"] == "prune"
    # In a shallow clone of the branch, what has it is not there.
    Repo(tmp_path).git("clone", "-q", "--depth=1", "--branch=state", f"file://{shared.path}", "shallow")
    shallow = Repo(tmp_path / "shallow")
    shallow.git("checkout", "-q", "--orphan", "main")
    refused(shallow, 1, f"it is in commit {tip}, which is not here: 'git fetch --unshallow'", "get", f"{WEB}/@2")
    shallow.git("fetch", "-q", "--unshallow", "origin", "state")
    assert shallow.value(f"{WEB}/@2#commit", "--at", tip[:12]) == five.value(f"{WEB}/@2#commit")


def two_places(repo: Repo) -> Repo:
    """Three releases with approvals, applied, where the intents lie on a branch of their own."""
    repo.ocuroot("init", "-q", "--intent-branch", "intent")
    repo.git("config", "ocuroot.intent.branch", "intent")
    prepare(repo)
    for number in range(1, 4):
        release(repo, one_release(number))
        repo.ocuroot("set", f"{WEB}/+{number}/custom/approve", "yes")
        work_any(repo, "-q")
    return repo


HOOK = """#!/bin/sh
test "$1" = prepared && grep -q ' refs/heads/intent$' && exit 1
exit 0
"""


@pytest.mark.parametrize("then", ["prune", "apply", "work"])
def test_a_crash_between_state_and_intent_is_mended(repo: Repo, then: str) -> None:
    two_places(repo)
    tips = [repo.git("rev-parse", branch) for branch in ("state", "intent")]
    hook = repo.path / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    assert repo.run("prune", "--keep-releases=1").returncode == 128
    hook.unlink()
    record: Any = repo.value(RECORD)
    assert [record["pruned"][0][key] for key in ("commit", "intent_commit")] == tips
    assert repo.ocuroot("match", "--intent", f"{WEB}/+*/custom/*").count("\n") == 2
    # Nothing is to be applied for them, whoever looks; and the next one to write takes them away.
    assert repo.ocuroot("diff") == repo.ocuroot("work", "list") == ""
    refused(repo, 1, "its release was pruned", "apply", f"{WEB}/+1/custom/approve")
    commands = {"prune": ["prune", "--keep-releases=1"], "apply": ["apply", "--all"], "work": ["work", "any"]}
    assert repo.run(*commands[then], "-q").returncode == 0
    assert repo.ocuroot("match", f"{WEB}/*/custom/*") == f"{WEB}/+3/custom/approve\n{WEB}/@3/custom/approve"
    refused(repo, 1, f"--at {tips[1][:12]} {WEB}/+1/custom/approve", "get", f"{WEB}/+1/custom/approve")
    assert repo.ocuroot("get", "--format=raw", "--at", tips[1][:12], f"{WEB}/+1/custom/approve") == "yes"
    assert repo.run("fsck", "-q").stdout == ""


def test_what_others_applied_meanwhile_goes_with_the_next(repo: Repo) -> None:
    two_places(repo)
    prune(repo)
    update(repo, f'set {WEB}/@2/custom/approve "again"')
    assert release(repo, one_release(4)) == f"{WEB}/@4"
    assert prune(repo) == []
    assert repo.ocuroot("match", f"{WEB}/@2/**") == ""
    # A release that is there again is one like any other.
    update(repo, f'set {WEB}/@2 {{"commit": "aaa"}}')
    update(repo, f'set {WEB}/+2/custom/x "y"')
    assert repo.value(f"{WEB}/@2#commit") == "aaa"
    assert repo.ocuroot("diff") == f"{WEB}/+2/custom/x"


def test_intents_in_the_same_place_go_in_the_same_commit(shop: Repo) -> None:
    update(shop, *(f'set {WEB}/{side}2/custom/approve "yes"' for side in "+@"))
    before = commits(shop)
    assert prune(shop) == ["1", "2", "3", "4"]
    assert commits(shop) == before + 1
    assert shop.ocuroot("match", f"{WEB}/*/custom/**") == ""
    assert shop.ocuroot("diff") == ""


def test_the_record_is_not_read_for_each_intent(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    prune(shop)
    update(shop, *(f"set {WEB}/+{number}/custom/x 1" for number in (1, 2, 3, 4)))
    reads: list[object] = []
    read = PrunedRecord.read

    def count(value: Any) -> PrunedRecord:
        reads.append(value)
        return read(value)

    monkeypatch.setattr(PrunedRecord, "read", count)
    assert differences(ocuroot_git.open(str(shop.path)).snapshot()) == []
    assert len(reads) <= 2  # by the summary of the package, and by who asks


# With others at work


def test_of_two_at_once_each_release_is_pruned_once(shop: Repo) -> None:
    both = [begin(shop, "prune", "-q", "--keep-releases", "1") for _ in range(4)]
    gone = []
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        gone += out.split()
    assert sorted(gone) == [f"{WEB}/@{number}" for number in (1, 2, 3, 4)]
    record: Any = shop.value(RECORD)
    assert sorted(one["releases"] for one in record["pruned"]) == ["1-4"]


def test_a_run_that_starts_meanwhile_keeps_its_release(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = ocuroot_git.open(str(shop.path))
    looked: list[object] = []

    def meddle(*arguments: Any) -> Any:
        looked.append(plan(*arguments))
        if len(looked) == 1:  # after it was seen that nothing is to be done there
            shop.ocuroot("run", "start", f"{WEB}/@2/call/build")
        return looked[-1]

    monkeypatch.setattr("ocuroot_git.delivery.prune.plan", meddle)
    result = retention_prune(stores, [], Keep(1, None))
    assert len(looked) == 2
    assert result.gone == {WEB: "1,3-4"}
    assert shop.run("fsck", "-q").stdout == ""


def test_killed_anywhere_it_did_all_or_nothing(shop: Repo) -> None:
    chance = random.Random(7)
    number = 5
    for _ in range(5):
        before = shop.ocuroot("match", f"{WEB}/@*").splitlines()
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "prune", "--keep-releases=2"],
            cwd=shop.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * 0.6)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (shop.path / ".git/refs/heads/state.lock").unlink(missing_ok=True)  # as the next writer asks for
        after = shop.ocuroot("match", f"{WEB}/@*").splitlines()
        done = process.returncode == 0 or after != before
        numbers = sorted(int(ref.rpartition("@")[2]) for ref in after if ref[-1].isdigit())
        assert numbers == ([number - 1, number] if done else numbers)
        assert len(numbers) == 2 if done else after == before
        assert shop.run("fsck", "-q").stdout == ""
        number += 1
        assert release(shop, one_release(number)) == f"{WEB}/@{number}"
        work_any(shop, "-q")
