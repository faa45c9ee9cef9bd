"""A release that is held is not deployed, by any command, until it is let go."""

from __future__ import annotations

import json

import pytest
from support.delivering import LAYOUTS, call, deploy, diff, package, prepare, prepare_at, refused, release, work_any
from support.repositories import Repo, put_file
from support.terminals import on_terminal

import ocuroot_git
from ocuroot_git.delivery.addresses import WorkRef
from ocuroot_git.delivery.holding import lift
from ocuroot_git.delivery.holds import all_holds, hold_on
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.runs import Waits
from ocuroot_git.delivery.starting import start_run

BY = "test@example.com"


@pytest.fixture(params=LAYOUTS)
def held(repo: Repo, request: pytest.FixtureRequest) -> tuple[Repo, str, str]:
    """A repository with two releases for staging, of which the second is held."""
    prepare_at(repo, request.param, "staging")
    first, second = (release(repo, package([call("build")], [deploy("staging")])) for _ in range(2))
    assert repo.run("hold", second, "-m", "broken totals").stdout == f"held\t{second}\n"
    return repo, first, second


def test_no_command_deploys_what_is_held(held: tuple[Repo, str, str]) -> None:
    repo, first, second = held
    work = f"{second}/deploy/staging"
    # The older one is deployed meanwhile: it does not wait for the newer one that is held.
    assert f"complete\t{first}/deploy/staging/1" in work_any(repo)
    words = f"'{second}', which is held by {BY}: broken totals"
    (listed,) = repo.ocuroot("work", "list").splitlines()
    assert listed.split("\t") == [f"blocked  run up    {work}/1", words]
    assert words in repo.ocuroot("release", "show", second)
    for command in (["run", "start", work], ["run", "exec", work], ["run", "exec", f"{work}/1", "--", "true"]):
        said = refused(repo, 3, words, *command)
        assert said.endswith(f"hint: 'git ocuroot hold --lift {second}' lets it go\n")
    repo.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps({"release": second}))
    for _ in range(2):
        assert work_any(repo) == []
    assert diff(repo) == ["M\tshop/-/web/+/deploy/staging"]
    assert repo.run("release", "continue", second).returncode == 0
    assert repo.value("//web/@/deploy/staging#release") == first
    assert repo.ocuroot("hold", "--lift", second) == f"lifted\t{second}"
    assert work_any(repo)[-1].startswith(f"complete\t{work}/")
    assert diff(repo) == []
    assert repo.ocuroot("match", "**/custom/hold") == ""


def test_a_retry_and_a_change_of_inputs_deploy_nothing_that_is_held(store: Repo) -> None:
    prepare(store, "staging", "production")
    inputs = {"v": {"ref": "@/custom/v"}}
    web = release(store, package([deploy("staging", inputs=inputs), deploy("production", up="exit 1")]))
    store.ocuroot("set", "+/custom/v", "1")
    assert store.run("work", "any", "-q").returncode == 1
    said = store.run("hold", "//web/@", "-m", "no").stderr
    assert said == f"{web}: it stays deployed in staging\n"
    store.ocuroot("run", "retry", web)
    store.ocuroot("set", "+/custom/v", "2")
    done = store.run("work", "cascade")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "runs: 2 blocked\n")
    # It may be taken down.
    store.ocuroot("delete", "//web/+/deploy/staging")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/3"]
    assert store.ocuroot("match", "**/@/deploy/*") == ""


def test_a_run_that_goes_on_is_not_touched_and_not_taken_up_again(store: Repo) -> None:
    prepare(store, "staging")
    store.git("config", "ocuroot.lease", "1")
    web = release(store, package([deploy("staging")]))
    run = f"{web}/deploy/staging/1"
    store.run("run", "exec", run, "--", "sh", "-c", "kill -9 $PPID")  # the executor
    assert store.ocuroot("match", f"{run}/status/*") == f"{run}/status/running"
    assert store.run("hold", web, "-m", "no").stderr == (
        f"{run}: it goes on; 'git ocuroot run cancel {run}' stops it\n"
    )
    reasons = store.ocuroot("work", "list").split("\t")[1].partition(", ")
    assert reasons[0] in ("whose executor is gone", "whose claim ran out")  # as fast as this machine is
    assert reasons[2] == f"'{web}', which is held by {BY}: no"
    done = store.run("work", "any")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "runs: 1 blocked\n")
    refused(store, 3, "is held by", "run", "exec", run)
    store.ocuroot("hold", "--lift", web)
    assert work_any(store) == [f"complete\t{run}"]


def test_a_document_of_any_shape_holds(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([deploy("staging")]))
    stores = ocuroot_git.open(str(store.path))
    for ref in (f"{web}/custom/hold", "shop/-/web/+1/custom/hold", "shop/-/web/+/custom/hold"):
        shapes: list[object] = [{"reason": 1, "by": []}, None, "in words", []]
        for value in shapes:
            with stores.transaction() as tx:
                tx.set(ref, value)
            with pytest.raises(Waits, match=f"'{web}', which is held"):
                start_run(stores, WorkRef(web, "deploy", "staging"))
            assert [hold.release for hold in all_holds(stores.snapshot(), Problems())] == [web]
            lift(stores, [web])
            assert hold_on(stores.snapshot(), web) is None
    store.ocuroot("run", "start", f"{web}/deploy/staging")


def test_what_cannot_be_read_does_not_pass_for_no_hold(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([deploy("staging")]))
    for below, words in (("custom/hold/@object.json", "which is held"), ("custom", "it cannot be read if it is held")):
        before = store.git("rev-parse", "state")
        put_file(store, f"refs/{web}/{below}", "{")
        refused(store, 3, words, "run", "start", f"{web}/deploy/staging")
        assert store.run("work", "list").stdout.startswith("blocked ")
        store.git("update-ref", "refs/heads/state", before)


def test_holding_and_letting_go(store: Repo) -> None:
    prepare(store, "staging")
    web = [release(store, package([deploy("staging")]), "web", f"--tag=v{number}") for number in (1, 2)]
    before = store.git("rev-parse", "state")
    assert store.ocuroot("hold", "//web/@v1", "//web/@", "-m", "no", "--dry-run") == f"held\t{web[0]}\nheld\t{web[1]}"
    assert store.git("rev-parse", "state") == before
    said = store.ocuroot("hold", "//web/@v1", "//web/@", "-m", "two lines\nof it", "--json")
    assert [json.loads(line) for line in said.splitlines()] == [
        {"release": one, "held": True, "deployed": [], "running": []} for one in web
    ]
    assert store.git("rev-parse", "state^") == before
    assert "Ocuroot-Reason: two lines of it" in store.git("log", "-1", "state")
    # Held once more for the same reason, it stays held as it is.
    after = store.git("rev-parse", "state")
    store.ocuroot("hold", *web, "-m", "two lines\nof it")
    assert store.git("rev-parse", "state") == after
    listed = [json.loads(line) for line in store.ocuroot("hold", "--json").splitlines()]
    assert [(one["release"], one["reason"], one["by"]) for one in listed] == [
        (one, "two lines\nof it", f"local:{BY}") for one in web
    ]
    table = [line.split("\t") for line in store.ocuroot("hold").splitlines()]
    assert [row[0] for row in table] == web
    assert [row[1] for row in table] == [one["time"] for one in listed]
    assert "+05:30" in on_terminal(store, "hold", TZ="XXX-5:30"), "the zone of whoever sits there"
    assert store.ocuroot("hold", "--lift", "//web/@", "--dry-run", "--json") == (
        f'{{"release": "{web[1]}", "held": false}}'
    )
    store.ocuroot("hold", "--lift", "//web/@")
    refused(store, 1, f"'{web[1]}' is not held", "hold", "--lift", *web)
    assert store.ocuroot("match", "**/custom/hold").splitlines() == [
        "shop/-/web/+1/custom/hold",
        "shop/-/web/@1/custom/hold",
    ]
    refused(store, 129, "say why: -m <text>", "hold", "//web/@")
    refused(store, 129, "name the releases", "hold", "--lift")
    refused(store, 1, "no such release", "hold", "//web/@7", "-m", "no")
    refused(store, 128, "is no release", "hold", "//web/@1/deploy/staging", "-m", "no")
