"""`apply`, `work`, and many processes at once: real processes, side effects counted."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from support.delivering import (
    Silent,
    call,
    commits,
    deploy,
    diff,
    package,
    prepare,
    refused,
    release,
    want_environment,
    work_any,
)
from support.repositories import Repo, begin
from support.waiting import wait_for_file, wait_until, wait_until_gone

import ocuroot_git
from ocuroot_git.delivery.child_command import Signals, Stop
from ocuroot_git.delivery.executor import ExecutionOptions
from ocuroot_git.delivery.worker import Worker


def test_applying_twice_changes_nothing_the_second_time(store: Repo) -> None:
    prepare(store, "staging", "production")
    first = release(store, package([deploy(environments={})]))
    work_any(store)
    release(store, package([deploy(environments={})]))
    work_any(store)
    store.ocuroot("set", "+/custom/freeze", "yes")
    store.ocuroot("set", "-f=json", "//web/+2/custom/note", "null")
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps({"release": first}))
    store.ocuroot("delete", "//web/+/deploy/staging")
    store.ocuroot("delete", "+/environment/production")
    want_environment(store, "production2")
    before = commits(store)
    dry = store.ocuroot("apply", "--all", "--dry-run")
    assert commits(store) == before
    assert store.ocuroot("apply", "--all") == dry
    assert dry.splitlines()[0] == "D\t+/environment/production"
    assert commits(store) == before + 1
    remaining = diff(store)
    assert store.ocuroot("apply", "--all") == ""
    assert commits(store) == before + 1
    assert diff(store) == remaining
    assert remaining == [
        "D\t+/environment/production",
        "D\tshop/-/web/+/deploy/production",
        "D\tshop/-/web/+/deploy/staging",
    ]
    assert store.value("//web/@2/custom/note") is None


def test_a_link_that_is_not_wanted_goes_alone(store: Repo) -> None:
    """What it leads to has an intent of its own."""
    lines = ('set @/custom/kept "1"', 'set +/custom/kept "1"', "link @/custom/other @/custom/kept")
    store.ocuroot("update", "-q", "--stdin", input="\n".join(lines) + "\n")
    assert store.ocuroot("diff", "--name-status") == "D\t+/custom/other"
    store.ocuroot("apply", "-q", "--all")
    assert store.ocuroot("get", "@/custom/kept") == '"1"'
    assert store.run("get", "@/custom/other").returncode == 1 and store.ocuroot("diff") == ""


def test_custom_intents_of_a_release_and_of_the_newest(store: Repo) -> None:
    prepare(store)
    refused(store, 1, "no such intent", "apply", "+/custom/none")
    store.ocuroot("set", "//web/+/custom/x", "early")
    refused(store, 1, "'shop/-/web/@' has no release yet", "apply", "//web/+/custom/x")
    release(store, package([call("build")]))
    store.ocuroot("apply", "//web/+/custom/x")
    assert store.value("shop/-/web/@1/custom/x") == "early"
    # The one that names the release wins; for the next release the other counts again.
    store.ocuroot("set", "//web/+1/custom/x", "just this one")
    store.ocuroot("apply", "--all")
    assert store.value("shop/-/web/@1/custom/x") == "just this one"
    release(store, package([call("build")]))
    assert diff(store) == ["A\tshop/-/web/+/custom/x"]
    store.ocuroot("delete", "//web/+/custom/x")
    store.ocuroot("delete", "//web/+1/custom/x")
    assert diff(store) == ["D\tshop/-/web/+1/custom/x"]
    store.ocuroot("apply", "//web/+1/custom/x")
    assert store.run("get", "shop/-/web/@1/custom/x").returncode == 1


def test_diff_shows_what_differs(store: Repo) -> None:
    prepare(store)
    store.ocuroot("set", "-f=json", "+/custom/a", '{"x": 1}')
    store.ocuroot("apply", "--all")
    store.ocuroot("set", "-f=json", "+/custom/a", '{"x": 1.0}')
    store.ocuroot("set", "-f=json", "+/custom/null", "null")
    assert store.ocuroot("diff") == "+/custom/a\n+/custom/null"
    assert store.ocuroot("diff", "-z") == "+/custom/a\0+/custom/null\0"
    assert diff(store) == ["M\t+/custom/a", "A\t+/custom/null"]
    assert [json.loads(line) for line in store.ocuroot("diff", "--json").splitlines()] == [
        {"status": "M", "ref": "+/custom/a", "state": "@/custom/a", "wanted": {"x": 1.0}, "actual": {"x": 1}},
        {"status": "A", "ref": "+/custom/null", "state": "@/custom/null", "wanted": None, "actual": None},
    ]
    assert store.ocuroot("diff", "-p").splitlines() == [
        "diff +/custom/a", "--- @/custom/a", "+++ +/custom/a",
        "@@ -1,3 +1,3 @@", " {", '-  "x": 1', '+  "x": 1.0', " }",
        "diff +/custom/null", "--- /dev/null", "+++ +/custom/null", "@@ -0,0 +1 @@", "+null",
    ]  # fmt: skip
    assert store.run("diff", "--exit-code").returncode == 1
    store.ocuroot("apply", "--all")
    assert store.run("diff", "--exit-code").returncode == 0


def test_work_list_says_what_waits_for_what(store: Repo) -> None:
    prepare(store, "staging")
    production = deploy("production", inputs={"approve": {"ref": "./custom/approve"}})
    web = release(store, package([call("build", "false"), call("lint")], [deploy("staging")], [production]))
    store.ocuroot("run", "start", f"{web}/call/lint")
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", '{"release": "shop/-/web/@7"}')
    listed = [json.loads(line) for line in store.ocuroot("work", "list", "--json").splitlines()]
    assert [(item["state"], item["kind"], item["ref"]) for item in listed] == [
        ("blocked", "intent", "shop/-/web/+/deploy/staging"),
        ("ready", "run", f"{web}/call/build/1"),
        ("running", "run", f"{web}/call/lint/1"),
        ("waiting", "run", f"{web}/deploy/staging/1"),
        ("waiting", "run", f"{web}/deploy/production/1"),
    ]
    assert listed[3]["waits_for"] == [f"'{web}/call/build'", f"'{web}/call/lint'"]
    assert listed[4]["waits_for"] == [
        f"'{web}/deploy/staging'", f"input 'approve' ({web}/custom/approve)", "environment '@/environment/production'",
    ]  # fmt: skip
    report = json.loads(store.ocuroot("status", "--json"))["work"]
    assert report == {"pending intents": 1, "ready runs": 1, "running runs": 1, "waiting runs": 2}
    assert store.ocuroot("work", "any", "--dry-run") == f"execute\t{web}/call/build/1"
    # A bad intent stops nothing else, and is an error all the same.
    done = store.run("work", "any")
    assert (done.returncode, done.stdout) == (1, f"failed\t{web}/call/build/1\n")
    assert "error: cannot apply 'shop/-/web/+/deploy/staging'" in done.stderr
    listed = [json.loads(line) for line in store.ocuroot("work", "list", "--json").splitlines()]
    assert [item["state"] for item in listed] == ["blocked", "failed", "running", "blocked", "waiting"]
    assert listed[1]["retry"] == f"git ocuroot run retry {web}/call/build/1"
    assert listed[3]["waits_for"][0] == f"'{web}/call/build/1', which failed"


def test_exec_gets_the_description_of_each_run(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([deploy("staging", inputs={"a": {"value": [1]}})]), "web", "--tag", "v1")
    work_any(store, "--exec", "cat > description; echo host=h >> $OCUROOT_OUTPUT")
    assert json.loads((store.path / "description").read_text()) == {
        "run": f"{web}/deploy/staging/1",
        "work": f"{web}/deploy/staging",
        "release": web,
        "package": "shop/-/web",
        "commit": store.git("rev-parse", "HEAD"),
        "type": "up",
        "name": "staging",
        "environment": {"name": "staging", "attributes": {"type": "staging"}},
        "fn": {"name": "up", "run": "true"},
        "inputs": {"a": [1]},
    }
    assert store.value("//web/@v1/deploy/staging#output/host") == "h"


def test_one_place_gets_one_release_at_a_time_and_keeps_the_last(store: Repo) -> None:
    prepare(store, "staging")
    log = store.path / "log"
    up = f"echo begin $OCUROOT_RELEASE >> {log}; sleep 0.2; echo end $OCUROOT_RELEASE >> {log}"
    definition = {**package([deploy("staging", up=up)]), "supersede": False}
    made = [release(store, definition) for _ in range(3)]
    work_any(store, "--jobs", "4")
    assert log.read_text().splitlines() == [f"{what} {one}" for one in made for what in ("begin", "end")]
    assert store.value("//web/@/deploy/staging#release") == made[-1]


def test_jobs_run_at_the_same_time(store: Repo) -> None:
    prepare(store)
    # Each waits for the other, so one after the other they would never end.
    meet = "touch $OCUROOT_INPUT_ME; while ! test -e $OCUROOT_INPUT_OTHER; do sleep 0.02; done"
    both = [call(me, meet, inputs={"me": {"value": me}, "other": {"value": other}}) for me, other in ("ab", "ba")]
    release(store, package(both))
    assert sorted(work_any(store, "--jobs", "2")) == [f"complete\tshop/-/web/@1/call/{name}/1" for name in "ab"]


def test_four_at_once_execute_every_run_once(store: Repo) -> None:
    prepare(store, "staging", "production")
    effects = store.path / "effects"
    effects.mkdir()
    count = f"mktemp -p {effects} $(echo $OCUROOT_RUN | tr / _).XXXXXX > /dev/null"
    definition = package(
        [call(f"call{number}", count) for number in range(4)], [deploy(environments={}, up=count, down=count)]
    )
    for path in ("a", "b"):
        release(store, definition, path)
    workers = [begin(store, "work", "any", "--jobs", "2") for _ in range(4)]
    ended = [line for worker in workers for line in worker.communicate(timeout=120)[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    work_any(store)  # what became ready when the last of them had looked
    runs = [ref.removesuffix("/status/complete") for ref in store.ocuroot("match", "**/@*/*/*/*/status/*").splitlines()]
    assert len(runs) == 12
    assert Counter(path.name.rpartition(".")[0] for path in effects.iterdir()) == Counter(
        run.replace("/", "_") for run in runs
    )
    assert len(ended) == len(set(ended)) <= 12


def test_a_run_whose_executor_was_killed_is_taken_over(store: Repo) -> None:
    prepare(store)
    store.git("config", "ocuroot.lease", "2")
    log, gate = store.path / "log", store.path / "gate"
    script = f"echo begin $$ >> {log}; while ! test -e {gate}; do sleep 0.02; done; echo end >> {log}"
    web = release(store, package([call("slow", script)], [call("after", f"echo after >> {log}")]))
    victim = begin(store, "work", "any")
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    others = [begin(store, "work", "any") for _ in range(3)]
    for other in others:  # the claim holds: there is nothing for them to do
        assert other.communicate(timeout=60)[0] == ""
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    wait_until_gone(int(log.read_text().split()[1]))  # its command goes a moment later
    gate.touch()
    wait_until_ready(store, f"{web}/call/slow/1")
    others = [begin(store, "work", "any") for _ in range(3)]
    ended = [line for other in others for line in other.communicate(timeout=60)[0].splitlines()]
    assert sorted(ended) == [f"complete\t{web}/call/after/1", f"complete\t{web}/call/slow/1"]
    lines = [line.split()[0] for line in log.read_text().splitlines()]
    assert lines == ["begin", "begin", "end", "after"]  # the first was killed with its executor, before its end
    history = store.value(f"{web}/call/slow/1/functions/1#history")
    assert [step["status"] for step in history] == ["pending", "running", "running", "complete"]


def wait_until_ready(repo: Repo, run: str) -> None:
    wait_until(lambda: f"{run}\twhose claim ran out" in repo.ocuroot("work", "list"))


def test_work_any_passes_a_signal_on_and_stops(store: Repo) -> None:
    prepare(store)
    ready = store.path / "ready"
    release(store, package([call("slow", f"touch {ready}; sleep 600"), call("zzz")]))
    worker = begin(store, "work", "any")
    wait_for_file(ready)
    worker.terminate()
    assert worker.wait(60) == 128 + signal.SIGTERM
    assert store.ocuroot("match", "**/call/*/*/status/*").splitlines() == [
        "shop/-/web/@1/call/slow/1/status/failed",
        "shop/-/web/@1/call/zzz/1/status/pending",
    ]


def worker_of(repo: Repo, display: Silent, stop: Stop, jobs: int) -> Worker:
    options = ExecutionOptions(
        environ=dict(os.environ),
        directory=str(repo.path),
        top=str(repo.path),
        stop=stop,
        output=display.output,
        warn=display.note,
    )
    return Worker(lambda: ocuroot_git.open(str(repo.path)), options, display, jobs)


def test_a_signal_that_does_not_wake_who_waits_is_passed_on_too(store: Repo) -> None:
    """It may come just before the main thread waits; here another thread is given it."""
    prepare(store)
    ready = store.path / "ready"
    release(store, package([call("slow", f"touch {ready}; exec sleep 60")]))

    def signal_this_thread() -> None:
        wait_for_file(ready)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with Signals() as stop:
        thread = threading.Thread(target=signal_this_thread)
        thread.start()
        summary = worker_of(store, Silent(), stop, 1).run()
        thread.join()
    assert [result.status for result in summary.results] == ["failed"]


def release_at_once(jobs: list[Repo]) -> None:
    """Jobs release one package at once: numbers without gap or twin, `@` on the highest."""
    definition = json.dumps(package([call("build")]))
    (jobs[0].path / "package.json").write_text(definition)
    arguments = ["release", "new", "web", "--package", str(jobs[0].path / "package.json"), "--force"]
    running = [begin(job, *arguments) for job in jobs]
    printed = [job.communicate(timeout=240) for job in running]
    assert [err for job, (_, err) in zip(running, printed, strict=True) if job.returncode] == []
    expected = [f"shop/-/web/@{number}" for number in range(1, len(jobs) + 1)]
    assert sorted(out.strip() for out, _ in printed) == sorted(expected)
    assert jobs[0].ocuroot("release", "list", "web").splitlines() == expected
    assert jobs[0].ocuroot("resolve", "//web/@") == expected[-1]


def test_twenty_releases_at_once_on_a_branch(store: Repo) -> None:
    prepare(store)
    before = commits(store)
    release_at_once([store] * 20)
    assert commits(store) == before + 20


def test_twenty_releases_at_once_on_a_remote(make_repo: Callable[..., Repo]) -> None:
    remote = make_repo("remote.git", "--bare")
    jobs = [make_repo(f"job{number}") for number in range(20)]
    for job in jobs:
        job.git("config", "ocuroot.state.remote", str(remote.path))
        job.git("config", "ocuroot.timeout", "200")
        prepare(job)
    jobs[0].ocuroot("init", "-q")
    before = commits(remote)
    release_at_once(jobs)
    assert commits(remote) == before + 20


@pytest.mark.parametrize("name", ["production", "a-b_c.d"])
def test_names_of_environments(store: Repo, name: str) -> None:
    prepare(store, name)
    web = release(store, package([deploy(environments={})]))
    assert work_any(store) == [f"complete\t{web}/deploy/{name}/1"]


class Faulty(Silent):
    """Breaks when it is told of the first two runs."""

    def __init__(self) -> None:
        self.told = 0
        self.results: list[object] = []

    def begun(self, run: object) -> None:
        self.told += 1
        if self.told < 3:
            raise RuntimeError("a fault of the program")

    def ended(self, result: object) -> None:
        self.results.append(result)


def test_faults_in_some_runs_leave_none_of_the_others_unheard(store: Repo) -> None:
    prepare(store)
    for number in range(3):
        release(store, package([call("build", "sleep 1")]), f"p{number}")
    display = Faulty()
    with Signals() as stop:
        worker = worker_of(store, display, stop, 3)
        with pytest.raises(RuntimeError, match="a fault of the program"):
            worker.run()
    assert len(display.results) == len(worker.summary.results) == 1
