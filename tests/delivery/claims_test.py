"""Claims on runs: who may end and renew them, when they are taken over, and what cancels them. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, commits, deploy, package, prepare, refused, release
from support.repositories import Repo, begin
from support.waiting import wait_for_file

import ocuroot_git
from ocuroot_git.delivery import claims, runs
from ocuroot_git.delivery import finish as ending
from ocuroot_git.delivery.addresses import RunRef

BUILD = "shop/-/web/@1/call/build"
RUN = f"{BUILD}/1"


def statuses(repo: Repo, work: str = BUILD) -> list[str]:
    """The runs of a piece of work with their statuses, `1 complete`."""
    found = [ref.removeprefix(f"{work}/").split("/") for ref in repo.ocuroot("match", f"{work}/*/status/*").split()]
    return [f"{number} {status}" for number, _, status in found]


def begin_slow(repo: Repo, *options: str, work: str = BUILD, **more: Any) -> subprocess.Popen[str]:
    """Start `run exec` of a command that goes on until it is ended; comes back when it is on."""
    ready = repo.path / "ready"
    ready.unlink(missing_ok=True)
    (repo.path / "script").write_text(f"echo x >> count; touch {ready}; exec sleep 60")
    running = begin(repo, "run", "exec", *options, work, "--", "sh", "script", **more)
    wait_for_file(ready)
    return running


def execute_again(repo: Repo, script: str) -> subprocess.CompletedProcess[str]:
    """Ask for the same once more under the name of an operation, with another content of the script."""
    (repo.path / "script").write_text(script)
    return repo.run("run", "exec", "--operation=job-7", BUILD, "--", "sh", "script")


def set_claim(repo: Repo, **fields: str) -> None:
    """Change the claim on the run; a field that is empty is taken away."""
    claim = {**repo.value(f"{RUN}/status/running"), **fields}
    claim = {key: value for key, value in claim.items() if value}
    repo.ocuroot("update", "--stdin", input=f"set {RUN}/status/running {json.dumps(claim)}\n")


def moment(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


# The name of an operation


def test_a_killed_run_is_taken_up_again_under_its_name(shop: Repo) -> None:
    victim = begin_slow(shop, "--operation=job-7")
    victim.kill()
    victim.wait()
    assert statuses(shop) == ["1 running"]
    done = execute_again(shop, "echo x >> count; echo again")
    assert (done.returncode, done.stdout) == (0, "again\n"), done.stderr
    assert statuses(shop) == ["1 complete"]
    assert [entry["message"] for entry in shop.value(f"{RUN}/logs")] == ["again"]
    assert (shop.path / "count").read_text() == "x\nx\n"
    assert execute_again(shop, "echo x >> count").returncode == 0  # once more: it is done, and not done again
    assert (shop.path / "count").read_text() == "x\nx\n"
    assert statuses(shop) == ["1 complete"]


def test_what_is_written_later_is_not_taken_for_done(shop: Repo) -> None:
    """A first process that had flushed its log must not swallow what the second one writes."""
    shop.git("config", "ocuroot.lease", "0.6")
    victim = begin_slow(shop, "--operation=job-7")
    before = commits(shop)
    while commits(shop) < before + 2:  # it renews its claim
        time.sleep(0.05)
    victim.kill()
    victim.wait()
    done = execute_again(shop, "echo one; sleep 1; echo two; exit 4")
    assert done.returncode == 4
    assert statuses(shop) == ["1 failed"]
    messages = [entry["message"] for entry in shop.value(f"{RUN}/logs")]
    assert messages == ["one", "two", "[git-ocuroot: it ended with status 4]"]


def test_a_run_on_another_machine_is_waited_for_under_its_name(shop: Repo) -> None:
    shop.git("config", "ocuroot.lease", "3")
    victim = begin_slow(shop, "--operation=job-7")
    # Alive, so that its process is not gone; and renewing, so that its claim holds.
    done = execute_again(shop, "true")
    assert done.returncode == 3
    assert "is still run by" in done.stderr
    set_claim(shop, process="another machine/1/1/1")
    victim.kill()
    victim.wait()
    set_claim(shop, process="another machine/1/1/1")
    started = time.monotonic()
    assert execute_again(shop, "true").returncode == 0
    assert 1 < time.monotonic() - started < 30
    assert statuses(shop) == ["1 complete"]


def test_a_log_under_a_name_is_written_once_however_it_comes(shop: Repo) -> None:
    shop.ocuroot("run", "start", BUILD)
    environ = {**os.environ, "OCUROOT_OPERATION": "job-7"}
    for _ in range(2):
        slow = f"(echo one; sleep 2.5; echo two) | git ocuroot run log {BUILD}"
        subprocess.run(["sh", "-c", slow], cwd=shop.path, env=environ, check=True)
    assert [entry["message"] for entry in shop.value(f"{RUN}/logs")] == ["one", "two"]


# Owners


def test_only_the_owner_renews_and_ends(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.path)
    stores = ocuroot_git.open()
    run = RunRef.parse(RUN)
    one, other = claims.Executor(stores), claims.Executor(stores)
    stores.transact(lambda tx: runs.start(tx, run.work, executor=one))
    before = commits(shop)
    with pytest.raises(claims.ClaimLost, match="is run by"):
        stores.transact(lambda tx: other.renew(tx, run))
    for status in ("complete", "failed", "cancelled"):
        with pytest.raises(claims.ClaimLost, match="is run by"):
            ending.finish(stores, run, status, owner=other.name)
    assert commits(shop) == before
    stores.transact(lambda tx: one.renew(tx, run))
    ending.finish(stores, run, "complete", owner=one.name)
    assert statuses(shop) == ["1 complete"]
    with pytest.raises(claims.ClaimLost, match="someone else ended it"):
        stores.transact(lambda tx: one.renew(tx, run))
    with pytest.raises(claims.ClaimLost, match="someone else ended it"):
        ending.finish(stores, run, "failed", owner=one.name)
    assert statuses(shop) == ["1 complete"]


def test_an_executor_that_lost_its_claim_ends_its_command_and_says_nothing(shop: Repo) -> None:
    shop.git("config", "ocuroot.lease", "1")
    victim = begin_slow(shop)
    set_claim(shop, owner="another", until=moment(60), process="")
    _, err = victim.communicate(timeout=60)
    assert victim.returncode == 3
    assert "is run by 'another' now" in err
    assert statuses(shop) == ["1 running"]
    assert shop.value(f"{RUN}/status/running#owner") == "another"


def test_others_do_not_say_how_a_run_went_while_it_is_executed(shop: Repo) -> None:
    running = begin_slow(shop)
    for status in ("complete", "failed"):
        err = refused(shop, 3, "it is executed by", "run", "finish", RUN, f"--status={status}")
        assert "run cancel" in err
    shop.ocuroot("run", "finish", RUN, "--status=failed", "--force")
    assert running.wait(60) == 3
    assert statuses(shop) == ["1 failed"]


def test_a_run_whose_executor_is_gone_can_be_finished(shop: Repo) -> None:
    victim = begin_slow(shop)
    victim.kill()
    victim.wait()
    shop.ocuroot("run", "finish", RUN, "--status=complete", "--output", "v=1")
    assert statuses(shop) == ["1 complete"]


def test_two_releases_never_run_at_one_place(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging", "sleep 0.1")])) for _ in range(2))
    store.git("config", "ocuroot.lease", "1")
    running = begin_slow(store, work=f"{first}/deploy/staging")
    words = f"waits for '{first}/deploy/staging/1', which is running"
    for verb in ("start", "exec"):
        done = store.run("run", verb, f"{second}/deploy/staging")
        assert (done.returncode, words in done.stderr) == (3, True), done.stderr
    assert store.run("work", "any").stdout == ""
    running.kill()
    running.wait()
    time.sleep(1.1)
    refused(store, 3, words, "run", "start", f"{second}/deploy/staging")  # also while nobody took it over
    done = store.run("work", "any")
    assert done.stdout.splitlines() == [f"complete\t{one}/deploy/staging/1" for one in (first, second)]


# Clocks


def wrong_clock(hours: int, directory: Path) -> dict[str, str]:
    """An environment in which the program's clock and git's are off by some hours, but for the monotonic one.

    The interpreter imports `sitecustomize` before anything else; git takes its dates from the environment.
    """
    directory.mkdir(exist_ok=True)
    seconds = hours * 3600
    (directory / "sitecustomize.py").write_text(
        f"import time\nright = time.time\ntime.time = lambda: right() + {seconds}\n"
    )
    date = f"@{int(time.time()) + seconds} +0000"
    return {**os.environ, "PYTHONPATH": str(directory), "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


@pytest.mark.parametrize(("theirs", "ours"), [(-1, 0), (0, 1), (1, 0), (0, -1)])
def test_clocks_that_differ_do_not_execute_a_run_twice(shop: Repo, tmp_path: Path, theirs: int, ours: int) -> None:
    shop.git("config", "ocuroot.lease", "3")
    gate = shop.path / "gate"
    script = f"echo x >> count; while ! test -e {gate}; do sleep 0.05; done"
    release(shop, package([call("slow", script)]), "slow")
    running = begin(shop, "run", "exec", "shop/-/slow/@1/call/slow", env=wrong_clock(theirs, tmp_path / "theirs"))
    wait_for_file(shop.path / "count")
    shop.ocuroot("run", "exec", BUILD)  # a commit by a clock that is right
    # It looks at a claim that seems to have run out, or to hold for an hour, sees it renewed, and leaves it alone.
    other = shop.run("work", "any", env=wrong_clock(ours, tmp_path / "ours"))
    assert (other.returncode, other.stdout) == (0, ""), other.stderr
    gate.touch()
    assert running.wait(60) == 0
    assert (shop.path / "count").read_text() == "x\n"
    assert statuses(shop, "shop/-/slow/@1/call/slow") == ["1 complete"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_run_by_a_wrong_clock_does_not_stay_running(shop: Repo, tmp_path: Path, hours: int) -> None:
    shop.git("config", "ocuroot.lease", "2")
    victim = begin_slow(shop, env=wrong_clock(hours, tmp_path / "clock"))
    victim.kill()
    victim.wait()
    set_claim(shop, process="another machine/1/1/1")
    done = shop.run("work", "any")
    assert (done.returncode, done.stdout) == (0, f"complete\t{RUN}\n"), done.stderr
    assert "watching" in done.stderr


def test_now_is_never_earlier_than_the_newest_commit(shop: Repo) -> None:
    ahead = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    dated = {**os.environ, "GIT_COMMITTER_DATE": ahead}
    shop.ocuroot("set", "+/custom/x", "y", env=dated)
    running = begin_slow(shop)
    claim: Any = shop.value(f"{RUN}/status/running")
    assert claim["until"][:16] >= ahead[:16]
    running.kill()
    running.wait()
    set_claim(shop, until=moment(-10), renewed=moment(-20))
    assert f"ready    run call  {RUN}\twhose claim ran out" in shop.ocuroot("work", "list")


# Cancelling, and what comes after the end


def test_a_pending_run_is_cancelled_at_once(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([call("build")], [deploy("staging")]))
    runs_of = [f"{web}/call/build/1", f"{web}/deploy/staging/1"]
    assert store.ocuroot("run", "cancel", *runs_of).splitlines() == [f"cancelled\t{run}" for run in runs_of]
    assert statuses(store, f"{web}/call/build") == ["1 cancelled"]
    assert store.value(f"{runs_of[0]}/functions/1#current/ended_by") == "run cancel"
    refused(store, 3, "it is cancelled", "run", "cancel", runs_of[0])
    assert store.run("run", "cancel", f"{web}/call/none").returncode == 1


def test_cancelling_is_all_or_nothing(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("a"), call("b")]))
    store.ocuroot("run", "exec", f"{web}/call/a")
    refused(store, 3, "it is complete", "run", "cancel", f"{web}/call/b", f"{web}/call/a")


def test_a_running_command_is_asked_to_stop(shop: Repo) -> None:
    trapped, ready = shop.path / "trapped", shop.path / "ready"
    script = f"trap 'echo bye; touch {trapped}; exit 0' TERM; touch {ready}; while :; do sleep 0.05; done"
    running = begin(shop, "run", "exec", BUILD, "--", "sh", "-c", script)
    wait_for_file(ready)
    asked = shop.run("run", "cancel", BUILD)
    assert (asked.returncode, asked.stdout) == (0, f"stopping\t{RUN}\n")
    assert running.wait(60) == 128 + signal.SIGTERM
    assert trapped.exists()
    assert statuses(shop) == ["1 cancelled"]
    assert shop.value(f"{RUN}/functions/1#current/ended_by") == "run cancel"
    messages = [entry["message"] for entry in shop.value(f"{RUN}/logs")]
    assert messages[-2:] == ["bye", "[git-ocuroot: it was cancelled]"]


def test_a_running_command_on_a_remote_store_is_asked_to_stop(shop: Repo, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    shop.git("clone", "-q", "--bare", ".", str(remote))
    job = Repo(tmp_path / "job")
    job.path.mkdir()
    job.git("init", "-q")
    job.git("config", "ocuroot.repoAlias", "shop")
    job.git("config", "ocuroot.state.remote", str(remote))
    job.git("config", "ocuroot.lease", "2")
    running = begin_slow(job)
    assert job.ocuroot("run", "cancel", "-q", RUN) == f"stopping\t{RUN}"
    assert "which was asked to stop" in job.ocuroot("work", "list") or running.poll() is not None
    assert running.wait(60) == 128 + signal.SIGTERM
    assert statuses(job) == ["1 cancelled"]


def test_force_cancels_at_once(shop: Repo) -> None:
    running = begin_slow(shop)
    assert shop.ocuroot("run", "cancel", "--force", RUN) == f"cancelled\t{RUN}"
    assert statuses(shop) == ["1 cancelled"]
    _, err = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "is cancelled: someone else ended it" in err
    assert statuses(shop) == ["1 cancelled"]


def test_a_run_without_an_executor_is_cancelled_at_once(shop: Repo) -> None:
    shop.ocuroot("run", "start", BUILD)
    assert shop.ocuroot("run", "cancel", RUN) == f"cancelled\t{RUN}"
    assert statuses(shop) == ["1 cancelled"]


def test_what_completes_before_it_is_stopped_is_complete(shop: Repo) -> None:
    gate, ready = shop.path / "gate", shop.path / "ready"
    script = f"trap '' TERM; touch {ready}; while ! test -e {gate}; do sleep 0.02; done"
    running = begin(shop, "run", "exec", BUILD, "--", "sh", "-c", script)
    wait_for_file(ready)
    set_claim(shop, cancel=moment(0))
    gate.touch()
    assert running.wait(60) in (0, 128 + signal.SIGTERM)
    assert statuses(shop) == ["1 complete" if running.returncode == 0 else "1 cancelled"]


@pytest.mark.parametrize("status", ["complete", "failed", "cancelled"])
def test_the_log_of_a_run_that_has_ended_is_closed(shop: Repo, status: str) -> None:
    shop.ocuroot("run", "start", BUILD)
    shop.ocuroot("run", "log", RUN, input="in time\n")
    shop.ocuroot("run", "finish", RUN, f"--status={status}")
    refused(shop, 3, f"it is {status}", "run", "log", RUN, input="too late\n")


def test_a_log_is_closed_while_it_is_written(shop: Repo) -> None:
    shop.ocuroot("run", "start", BUILD)
    writer = begin(shop, "run", "log", RUN, stdin=subprocess.PIPE)
    assert writer.stdin is not None
    time.sleep(1)
    shop.ocuroot("run", "finish", RUN, "--status=complete")
    _, err = writer.communicate("too late\n", timeout=60)
    assert writer.returncode == 3
    assert "it is complete" in err
