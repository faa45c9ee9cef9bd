"""What a job writes: its claim, its end, and renewals; the log meanwhile lies in a file (design 8.8)."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
from support.delivering import call, commits, package
from support.repositories import Repo, begin
from support.waiting import wait_until

from ocuroot_git.delivery import claims
from ocuroot_git.delivery.model import seconds_of

BUILD = "shop/-/web/@1/call/build"
RUN = f"{BUILD}/1"


@pytest.fixture
def job(shop: Repo, tmp_path: Path) -> Repo:
    """A repository whose store is a branch of a remote, where a hook tells of each push, in a line, what it brought."""
    remote = tmp_path / "remote.git"
    shop.git("clone", "-q", "--bare", ".", str(remote))
    hook = remote / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\nwhile read old new name; do said="$said$(git log --format=%s $old..$new 2>/dev/null)"; done\n'
        f"echo $said >> {tmp_path}/pushes\n"
    )
    hook.chmod(0o755)
    job = Repo(tmp_path / "job")
    job.path.mkdir()
    job.git("init", "-q")
    job.git("config", "ocuroot.repoAlias", "shop")
    job.git("config", "ocuroot.state.remote", str(remote))
    return job


def pushes(job: Repo) -> int:
    counted = job.path.parent / "pushes"
    return len(counted.read_text().splitlines()) if counted.exists() else 0


def messages(repo: Repo) -> list[str]:
    return [entry["message"] for entry in repo.value(f"{RUN}/logs")]


def live_files(repo: Repo) -> list[Path]:
    return sorted((repo.path / ".git" / "ocuroot" / "live").glob("*"))


def wait_for_line(repo: Repo, line: str) -> None:
    wait_until(lambda: any(line in path.read_text() for path in live_files(repo)))


def test_a_job_pushes_twice(job: Repo) -> None:
    done = job.run("run", "exec", BUILD, "--", "sh", "-c", "echo one; sleep 3; echo two")
    assert done.returncode == 0, done.stderr
    assert pushes(job) == 2
    assert messages(job) == ["one", "two"]
    assert live_files(job) == []


def test_a_lease_doubles(job: Repo) -> None:
    job.git("config", "ocuroot.lease", "1")
    began = time.monotonic()
    assert job.run("run", "exec", BUILD, "--", "sh", "-c", "echo one; sleep 4").returncode == 0
    # The claim, renewals after 0.5, 1.5, 3.5 s and so on, and the end.
    assert 3 <= pushes(job) <= 2 + int(math.log2(2 * (time.monotonic() - began) + 1))


def test_an_hour_takes_three_renewals() -> None:
    lease, at, renewals = claims.DEFAULT_LEASE, 0.0, []
    while at < 3600:
        at += lease / 2
        renewals.append(at)
        lease = min(2 * lease, claims.LONGEST_LEASE)
    assert [one for one in renewals if one < 3600] == [300, 900, 2100]


def test_a_local_run_makes_two_commits(shop: Repo) -> None:
    before = commits(shop)
    assert shop.run("run", "exec", BUILD, "--", "sh", "-c", "echo one; sleep 3; echo two").returncode == 0
    assert commits(shop) == before + 2
    assert messages(shop) == ["one", "two"]
    assert live_files(shop) == []


@pytest.mark.parametrize("how", ["taken over", "finished", "cancelled"])
def test_a_killed_executor_leaves_its_log(shop: Repo, how: str) -> None:
    victim = begin(shop, "run", "exec", BUILD, "--", "sh", "-c", "echo first; sleep 60")
    wait_for_line(shop, "first")
    victim.kill()
    victim.wait()
    with live_files(shop)[0].open("a") as file:
        file.write('{"timestamp": "cut of')
    if how == "taken over":
        began = time.monotonic()
        assert shop.run("work", "any").stdout == f"complete\t{RUN}\n"
        assert time.monotonic() - began < 30  # its process is gone for certain: no lease is waited for
    elif how == "finished":
        shop.ocuroot("run", "finish", RUN, "--status=failed")
    else:
        shop.ocuroot("run", "cancel", RUN)
    assert messages(shop) == (["first", "default"] if how == "taken over" else ["first"])


def test_an_end_that_cannot_be_written_keeps_the_log(job: Repo) -> None:
    job.git("config", "ocuroot.timeout", "1")
    remote = job.path.parent / "remote.git"
    script = f"echo precious; mv {remote} {remote}.away"
    done = job.run("run", "exec", BUILD, "--", "sh", "-c", script)
    assert done.returncode == 128
    (kept,) = live_files(job)
    assert str(kept.name) in done.stderr
    Path(f"{remote}.away").rename(remote)
    job.ocuroot("run", "finish", RUN, "--status=complete")
    assert messages(job) == ["precious"]


@pytest.mark.parametrize("combine", ["true", "false"])
def test_what_ends_within_a_second_is_one_push(job: Repo, tmp_path: Path, combine: str) -> None:
    """Eight runs end at once; each end has its own commit, and one of them fails as it would by itself."""
    bad = "bad"
    names = [*(f"b{number}" for number in range(7)), bad]
    wait = f"touch {tmp_path}/begun-$OCUROOT_NAME; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo done"
    calls = [call(name, run=f"OCUROOT_NAME={name}; {wait}; [ {name} != {bad} ]") for name in names]
    job.git("config", "ocuroot.combine", combine)
    job.git("commit", "-q", "--allow-empty", "-m", "code")
    job.ocuroot("release", "new", "many", "--package", "-", input=json.dumps(package(calls)))
    running = begin(job, "work", "any", "--jobs", "9")  # there is one more, which ends at once
    wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == len(names))
    wait_until(lambda: f"complete {RUN}" in (tmp_path / "pushes").read_text())
    before, written = pushes(job), len(subjects(tmp_path))
    (tmp_path / "go").touch()
    assert running.wait(timeout=120) == 1
    pushed = pushes(job) - before
    ends = subjects(tmp_path)[: len(subjects(tmp_path)) - written]
    states = {name: "failed" if name == bad else "complete" for name in names}
    assert sorted(ends) == sorted(f"{state} shop/-/many/@1/call/{name}/1" for name, state in states.items())
    ended = []
    for name, state in states.items():
        run = f"shop/-/many/@1/call/{name}/1"
        ended.append(seconds_of(job.value(f"{run}/status/{state}")["time"]))
        assert job.value(f"{run}/logs")[0]["message"] == "done"
    # One, unless the machine is so busy that they do not end within a second.
    assert 1 <= pushed <= 1 + int(max(ended) - min(ended))
    assert job.run("fsck", "-q").returncode == 0


@pytest.fixture
def reader(job: Repo, tmp_path: Path) -> Repo:
    """Another repository with the same remote store. Both follow what runs print."""
    reader = Repo(tmp_path / "reader")
    reader.path.mkdir()
    reader.git("init", "-q")
    reader.git("commit", "-q", "--allow-empty", "-m", "code")
    for repo in (job, reader):
        repo.git("config", "ocuroot.repoAlias", "shop")
        repo.git("config", "ocuroot.state.remote", str(tmp_path / "remote.git"))
        repo.git("config", "ocuroot.liveLogs", "true")
    return reader


def live_references(top: Path) -> list[str]:
    return Repo(top / "remote.git").git("for-each-ref", "--format=%(refname)", "refs/ocuroot/live/").split()


def wait_for_reference(top: Path) -> str:
    wait_until(lambda: live_references(top))
    return live_references(top)[0]


def test_others_follow_a_run_that_goes_on(job: Repo, reader: Repo, tmp_path: Path) -> None:
    script = f"echo one; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo two"
    running = begin(job, "run", "exec", BUILD, "--", "sh", "-c", script)
    wait_for_reference(tmp_path)
    assert reader.ocuroot("run", "logs", RUN) == "one"
    following = begin(reader, "run", "logs", "--follow", RUN)
    assert following.stdout is not None
    (tmp_path / "go").touch()
    assert running.wait(timeout=60) == 0
    out, err = following.communicate(timeout=60)
    assert (out, err, following.returncode) == ("one\ntwo\n", "", 0)
    assert live_references(tmp_path) == []
    assert messages(job) == ["one", "two"]
    assert reader.ocuroot("run", "logs", BUILD) == "one\ntwo"


def test_the_live_log_of_a_killed_run_is_taken_over(job: Repo, reader: Repo, tmp_path: Path) -> None:
    job.git("config", "ocuroot.lease", "2")
    reader.git("config", "ocuroot.lease", "2")
    victim = begin(job, "run", "exec", BUILD, "--", "sh", "-c", "echo first; sleep 60")
    wait_for_reference(tmp_path)
    victim.kill()
    victim.wait()
    done = reader.run("run", "exec", BUILD, "--", "echo", "second")
    assert done.returncode == 0, done.stderr
    assert messages(reader) == ["first", "second"]
    assert live_references(tmp_path) == []


def test_a_live_log_that_was_left_is_named(job: Repo, reader: Repo, tmp_path: Path) -> None:
    victim = begin(job, "run", "exec", BUILD, "--", "sh", "-c", "echo first; sleep 60")
    left = wait_for_reference(tmp_path)
    assert left not in reader.run("fsck").stdout
    victim.kill()
    victim.wait()
    reader.ocuroot("run", "cancel", "--force", RUN)
    assert messages(reader) == ["first"]
    done = reader.run("fsck")
    assert done.returncode == 0
    assert f"warning: {left}: the log of '{RUN}', which has ended" in done.stdout


def test_a_local_run_is_followed_in_its_file(shop: Repo, tmp_path: Path) -> None:
    script = f"echo one; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo two"
    running = begin(shop, "run", "exec", BUILD, "--", "sh", "-c", script)
    wait_for_line(shop, "one")
    assert shop.ocuroot("run", "logs", RUN) == "one"
    following = begin(shop, "run", "logs", "-f", RUN)
    (tmp_path / "go").touch()
    assert running.wait(timeout=60) == 0
    assert following.communicate(timeout=60)[0] == "one\ntwo\n"


def subjects(top: Path) -> list[str]:
    return Repo(top / "remote.git").git("log", "--format=%s", "state").splitlines()
