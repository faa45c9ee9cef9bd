"""The story of the README, with the real commands: see fixtures/story.sh, which checks `diff` at every step."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.delivering import call, deploy, diff, package, prepare, release, want_environment, work_any
from support.program import FIXTURES
from support.repositories import Repo


def test_the_story(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["sh", str(FIXTURES / "story.sh")], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    shown = done.stdout
    assert "waits for input 'approve' (shop/-/web.json/@1/custom/approve)" in shown
    assert "complete\tshop/-/web.json/@1/deploy/production2/2" in shown  # the down command
    rollback = shown[shown.index("a rollback by intent") :]
    assert rollback.index("\nshop/-/web.json/@2\n$ git ocuroot set") < rollback.index("\nshop/-/web.json/@1\n")
    assert shown.index("shop/-/web.json/@1 config=1") < shown.index("shop/-/web.json/@1 config=2")
    assert "$ git ocuroot work list\n$ git ocuroot status\n" in shown


def in_directory(repo: Repo) -> None:
    repo.git("config", "ocuroot.state.path", "store")


def in_two_directories(repo: Repo) -> None:
    in_directory(repo)
    repo.git("config", "ocuroot.intent.path", "wishes")


def on_a_remote(repo: Repo) -> None:
    remote = repo.path.parent / "remote.git"
    repo.git("init", "-q", "--bare", str(remote))
    repo.git("config", "ocuroot.state.remote", str(remote))


def on_a_remote_with_intents_here(repo: Repo) -> None:
    on_a_remote(repo)
    repo.git("config", "ocuroot.intent.branch", "intent")


@pytest.mark.parametrize(
    "place", [in_directory, in_two_directories, on_a_remote, on_a_remote_with_intents_here], ids=lambda f: f.__name__
)
def test_every_kind_of_store(repo: Repo, place: Callable[[Repo], None]) -> None:
    place(repo)
    repo.ocuroot("init", "-q")
    prepare(repo)
    want_environment(repo, "staging")
    web = release(repo, package([call("build")], [deploy(environments={})]))
    assert work_any(repo) == [f"complete\t{web}/call/build/1", f"complete\t{web}/deploy/staging/1"]
    assert diff(repo) == []
    assert repo.value("//web/+/deploy/staging") == {"release": web}
    repo.ocuroot("delete", "+/environment/staging")
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/2"]
    assert diff(repo) == []
    assert repo.ocuroot("match", "+/**", "@/**") == ""


def test_the_end_of_an_environment_in_detail(store: Repo) -> None:
    prepare(store, "staging")
    log = store.path / "log"
    definition = package(
        [
            deploy(
                environments={},
                up=f"echo up $OCUROOT_ENVIRONMENT >> {log}",
                down=f"echo down $OCUROOT_ENVIRONMENT >> {log}",
            )
        ]
    )
    for path in ("web", "api"):
        release(store, definition, path)
    work_any(store)
    want_environment(store, "production")
    work_any(store)
    store.ocuroot("delete", "+/environment/production")
    log.unlink()

    # The first of the two is down: the environment is still there, since the second is not.
    store.ocuroot("apply", "--all")
    store.ocuroot("run", "start", "//api/@/deploy/production")
    store.ocuroot("run", "finish", "//api/@1/deploy/production", "--status", "complete")
    assert diff(store) == ["D\t+/environment/production", "D\tshop/-/web/+/deploy/production"]
    assert store.value("@/environment/production#name") == "production"
    assert store.ocuroot("match", "**/@/deploy/production") == "shop/-/web/@/deploy/production"

    work_any(store)
    assert log.read_text() == "down production\n"
    assert store.run("get", "@/environment/production").returncode == 1
    assert store.ocuroot("match", "**/@/deploy/production") == ""
    assert diff(store) == []


def test_an_environment_that_comes_back_gets_its_deployments_back(store: Repo) -> None:
    prepare(store, "staging", "production")
    web = release(store, package([deploy(environments={})]))
    work_any(store)
    store.ocuroot("delete", "+/environment/production")
    work_any(store)
    want_environment(store, "production")
    assert work_any(store) == [f"complete\t{web}/deploy/production/3"]
    # And so does one that is set again while its deployments are still to be taken down.
    store.ocuroot("delete", "+/environment/production")
    store.ocuroot("apply", "--all")
    want_environment(store, "production")
    assert work_any(store) == [f"complete\t{web}/deploy/production/4", f"complete\t{web}/deploy/production/5"]
    assert diff(store) == []


def test_what_a_person_took_down_stays_down(store: Repo) -> None:
    prepare(store, "staging", "production")
    web = release(store, package([deploy(environments={})]))
    work_any(store)
    store.ocuroot("delete", "//web/+/deploy/production")
    assert diff(store) == ["D\tshop/-/web/+/deploy/production"]
    assert work_any(store) == [f"complete\t{web}/deploy/production/2"]
    want_environment(store, "production2")
    assert work_any(store) == [f"complete\t{web}/deploy/production2/1"]
    assert diff(store) == []


def test_after_a_down_nothing_says_that_it_is_deployed(store: Repo) -> None:
    prepare(store, "production")
    definition = package([deploy("production")])
    first, second, third = (release(store, definition) for _ in range(3))
    work_any(store)  # all three, in order
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", f'{{"release": "{second}"}}')
    work_any(store)
    assert store.value("//web/@/deploy/production#release") == second
    shown = store.ocuroot("release", "show", third)
    assert f"replaced by {second}" in shown
    assert "deployed" in store.ocuroot("release", "show", second)

    store.ocuroot("delete", "//web/+/deploy/production")
    work_any(store)
    # The newest release was deployed there once; its document must not say that it still is.
    assert store.value("//web/@/deploy/production#type") == "down"
    assert store.value(f"{second}/deploy/production#type") == "down"
    assert store.ocuroot("match", "**/@/deploy/production") == ""
    for one in (first, second, third):
        assert " deployed" not in store.ocuroot("release", "show", one)
    assert diff(store) == []
    assert store.ocuroot("work", "list") == ""


def test_an_intent_set_during_a_run_is_not_overwritten(store: Repo) -> None:
    prepare(store, "production")
    definition = package([deploy("production")])
    first = release(store, definition)
    work_any(store)
    second = release(store, definition)
    store.ocuroot("run", "start", f"{second}/deploy/production")
    wanted = {"release": first, "input": {"replicas": {"value": 3}}}
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", str(wanted).replace("'", '"'))
    store.ocuroot("run", "finish", f"{second}/deploy/production/1", "--status", "complete")
    assert store.value("//web/+/deploy/production") == wanted
    assert diff(store) == ["M\tshop/-/web/+/deploy/production"]
    assert work_any(store) == [f"complete\t{first}/deploy/production/2"]
    assert diff(store) == []


def test_inputs_of_an_intent_override_the_release(store: Repo) -> None:
    prepare(store, "production")
    seen = store.path / "seen"
    definition = package(
        [
            deploy(
                "production",
                up=f"echo $OCUROOT_INPUT_A $OCUROOT_INPUT_B > {seen}",
                inputs={"a": {"value": 1}, "b": {"value": "x y"}},
            )
        ]
    )
    web = release(store, definition)
    work_any(store)
    assert seen.read_text() == "1 x y\n"
    assert store.value("//web/+/deploy/production") == {"release": web}
    store.ocuroot(
        "set", "-f=json", "//web/+/deploy/production", f'{{"release": "{web}", "input": {{"a": {{"value": 2}}}}}}'
    )
    assert diff(store) == ["M\tshop/-/web/+/deploy/production"]
    work_any(store)
    assert (seen.read_text(), diff(store)) == ("2 x y\n", [])
    # Left out again, it is the release's.
    store.ocuroot("set", "-f=json", "//web/+/deploy/production", f'{{"release": "{web}"}}')
    assert diff(store) == ["M\tshop/-/web/+/deploy/production"]
    work_any(store)
    assert (seen.read_text(), diff(store)) == ("1 x y\n", [])


def test_a_deployment_is_made_again_when_its_input_changed(store: Repo) -> None:
    prepare(store, "staging")
    base = package([call("build", "echo version=$(cat version) >> $OCUROOT_OUTPUT")])
    (store.path / "version").write_text("1")
    release(store, base, "base")
    web = release(store, package([deploy("staging", inputs={"base": {"ref": "//base/@/call/build#output/version"}})]))
    work_any(store)
    # The same output again changes nothing.
    release(store, base, "base")
    assert work_any(store) == ["complete\tshop/-/base/@2/call/build/1"]
    (store.path / "version").write_text("2")
    release(store, base, "base")
    assert work_any(store) == ["complete\tshop/-/base/@3/call/build/1", f"complete\t{web}/deploy/staging/2"]
    assert store.value(f"{web}/deploy/staging/2/functions/1#current/inputs/base/value") == "2"
    # A slow build of an older release is not the newest output, and re-deploys nothing.
    (store.path / "version").write_text("0")
    store.ocuroot(
        "run", "exec", "-q", "shop/-/base/@1/call/build", "--", "sh", "-c", "echo version=0 >> $OCUROOT_OUTPUT"
    )
    assert store.value("//base/@/call/build#output/version") == "2"
    assert store.ocuroot("work", "list") == ""


def test_an_input_that_changes_while_a_run_is_on_is_seen_afterwards(store: Repo) -> None:
    prepare(store, "staging")
    release(store, package([call("build")]), "base")
    store.ocuroot("run", "start", "//base/@/call/build")
    store.ocuroot("run", "finish", "//base/@1/call/build", "--status", "complete", "--output", "v=1")
    web = release(store, package([deploy("staging", inputs={"v": {"ref": "//base/@/call/build#output/v"}})]))
    store.ocuroot("run", "start", f"{web}/deploy/staging")
    store.ocuroot("run", "start", "//base/@/call/build")
    store.ocuroot("run", "finish", "//base/@1/call/build", "--status", "complete", "--output", "v=2")
    assert store.ocuroot("work", "list").split() == ["running", "run", "up", f"{web}/deploy/staging/1"]
    store.ocuroot("run", "finish", f"{web}/deploy/staging", "--status", "complete")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]


def test_endless_redeployment_is_stopped(store: Repo) -> None:
    prepare(store, "staging")
    up = "echo n=$(date +%s%N) >> $OCUROOT_OUTPUT"
    for one, other in (("a", "b"), ("b", "a")):
        inputs = {"n": {"ref": f"//{other}/@/deploy/staging#output/n", "default": 0}}
        release(store, package([deploy("staging", up=up, inputs=inputs)]), one)
    done = store.run("work", "any", "-q")
    assert done.returncode == 1
    assert "own outputs" in done.stderr
