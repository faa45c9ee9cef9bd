"""The story of the README, with the real commands: see fixtures/story.sh, which checks `diff` at every step."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.delivering import call, deploy, diff, package, prepare, release, want_environment, work_any
from support.program import FIXTURES
from support.repositories import Repo


@pytest.fixture(params=["1", "3"], ids=lambda dialect: f"dialect{dialect}")
def either(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    """A store of our own dialect, and of the original's last."""
    repo.ocuroot("init", "-q", "--dialect", request.param)
    return repo


def test_the_story(tmp_path: Path) -> None:
    shown = tell((FIXTURES / "story.sh").read_text(encoding="utf-8"), tmp_path)
    assert "waits for input 'approve' (shop/-/web.json/@1/custom/approve)" in shown
    assert "complete\tshop/-/web.json/@1/deploy/production2/2" in shown  # the down command
    rollback = shown[shown.index("a rollback by intent") :]
    assert rollback.index("\nshop/-/web.json/@2\n$ git ocuroot set") < rollback.index("\nshop/-/web.json/@1\n")
    assert shown.index("shop/-/web.json/@1 config=1") < shown.index("shop/-/web.json/@1 config=2")
    assert "$ git ocuroot work list\n$ git ocuroot status\n" in shown


def test_the_story_in_the_dialect_of_the_original(tmp_path: Path) -> None:
    story = (FIXTURES / "story.sh").read_text(encoding="utf-8")
    story = story.replace("git ocuroot init", "git ocuroot init --dialect 3")
    story = re.sub(r"([@+])([12])(/custom|\")", r"\1r\2\3", story)
    # There an environment goes at once, before what is deployed there is down.
    story = story.replace("remains +/environment/production2 shop", "remains shop")
    story = story.replace("production2\nrun git ocuroot get @/environment/production2", "production2")
    shown = tell(story, tmp_path)
    rollback = shown[shown.index("a rollback by intent") :]
    assert rollback.index("\nshop/-/web.json/@r2\n$ git ocuroot set") < rollback.index("\nshop/-/web.json/@r1\n")
    assert shown.index("shop/-/web.json/@r1 config=1") < shown.index("shop/-/web.json/@r1 config=2")
    assert "$ git ocuroot work list\n$ git ocuroot status\n" in shown


def tell(story: str, directory: Path) -> str:
    """Run the commands of a story, which must come to their end; gives what they print."""
    environ = {**os.environ, "TMPDIR": str(directory)}
    done = subprocess.run(["sh", "-c", story], cwd=directory, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


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


def test_an_environment_that_comes_back_gets_its_deployments_back(either: Repo) -> None:
    prepare(either, "staging", "production")
    web = release(either, package([deploy(environments={})]))
    work_any(either)
    either.ocuroot("delete", "+/environment/production")
    work_any(either)
    want_environment(either, "production")
    assert work_any(either) == [f"complete\t{web}/deploy/production/3"]
    # And so does one that is set again while its deployments are still to be taken down.
    either.ocuroot("delete", "+/environment/production")
    either.ocuroot("apply", "--all")
    want_environment(either, "production")
    assert work_any(either) == [f"complete\t{web}/deploy/production/4", f"complete\t{web}/deploy/production/5"]
    assert diff(either) == []


def test_what_a_person_took_down_stays_down(either: Repo) -> None:
    prepare(either, "staging", "production")
    web = release(either, package([deploy(environments={})]))
    work_any(either)
    either.ocuroot("delete", "//web/+/deploy/production")
    assert diff(either) == ["D\tshop/-/web/+/deploy/production"]
    assert work_any(either) == [f"complete\t{web}/deploy/production/2"]
    want_environment(either, "production2")
    assert work_any(either) == [f"complete\t{web}/deploy/production2/1"]
    assert diff(either) == []


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
    # The newest release was deployed there once; nothing must say that it still is.
    assert store.run("get", "//web/@/deploy/production").returncode == 1
    assert store.value(f"{second}/deploy/production#type") == "down"
    assert store.ocuroot("match", "**/@/deploy/production") == ""
    for one in (first, second, third):
        assert " deployed" not in store.ocuroot("release", "show", one)
    assert diff(store) == []
    assert store.ocuroot("work", "list") == ""


def test_an_intent_set_during_a_run_is_not_overwritten(either: Repo) -> None:
    prepare(either, "production")
    definition = package([deploy("production")])
    first = release(either, definition)
    work_any(either)
    second = release(either, definition)
    either.ocuroot("run", "start", f"{second}/deploy/production")
    wanted = {"release": first, "input": {"replicas": {"value": 3}}}
    either.ocuroot("set", "-f=json", "//web/+/deploy/production", str(wanted).replace("'", '"'))
    either.ocuroot("run", "finish", f"{second}/deploy/production/1", "--status", "complete")
    assert either.value("//web/+/deploy/production") == wanted
    assert diff(either) == ["M\tshop/-/web/+/deploy/production"]
    assert work_any(either) == [f"complete\t{first}/deploy/production/2"]
    assert diff(either) == []


def test_inputs_of_an_intent_override_the_release(either: Repo) -> None:
    prepare(either, "production")
    seen = either.path / "seen"
    definition = package(
        [
            deploy(
                "production",
                up=f"echo $OCUROOT_INPUT_A $OCUROOT_INPUT_B > {seen}",
                inputs={"a": {"value": 1}, "b": {"value": "x y"}},
            )
        ]
    )
    web = release(either, definition)
    work_any(either)
    assert seen.read_text() == "1 x y\n"
    assert either.value("//web/+/deploy/production#release") == web
    either.ocuroot(
        "set", "-f=json", "//web/+/deploy/production", f'{{"release": "{web}", "input": {{"a": {{"value": 2}}}}}}'
    )
    assert diff(either) == ["M\tshop/-/web/+/deploy/production"]
    work_any(either)
    assert (seen.read_text(), diff(either)) == ("2 x y\n", [])
    # Left out again, it is the release's.
    either.ocuroot("set", "-f=json", "//web/+/deploy/production", f'{{"release": "{web}"}}')
    assert diff(either) == ["M\tshop/-/web/+/deploy/production"]
    work_any(either)
    assert (seen.read_text(), diff(either)) == ("1 x y\n", [])


def test_a_deployment_is_made_again_when_its_input_changed(either: Repo) -> None:
    prepare(either, "staging")
    base = package([call("build", "echo version=$(cat version) >> $OCUROOT_OUTPUT")])
    (either.path / "version").write_text("1")
    first = release(either, base, "base")
    build = "task/build" if first.endswith("r1") else "call/build"
    web = release(either, package([deploy("staging", inputs={"base": {"ref": "//base/@/call/build#output/version"}})]))
    work_any(either)
    # The same output again changes nothing.
    second = release(either, base, "base")
    assert work_any(either) == [f"complete\t{second}/{build}/1"]
    (either.path / "version").write_text("2")
    third = release(either, base, "base")
    assert work_any(either) == [f"complete\t{third}/{build}/1", f"complete\t{web}/deploy/staging/2"]
    inputs = "/functions/1#current/inputs" if build.startswith("call") else "#functions/0/inputs"
    assert either.value(f"{web}/deploy/staging/2{inputs}/base/value") == "2"
    # A slow build of an older release is not the newest output, and re-deploys nothing.
    (either.path / "version").write_text("0")
    either.ocuroot(
        "run", "exec", "-q", "shop/-/base/@1/call/build", "--", "sh", "-c", "echo version=0 >> $OCUROOT_OUTPUT"
    )
    assert either.value("//base/@/call/build#output/version") == "2"
    assert either.ocuroot("work", "list") == ""


def test_an_input_that_changes_while_a_run_is_on_is_seen_afterwards(either: Repo) -> None:
    prepare(either, "staging")
    release(either, package([call("build")]), "base")
    either.ocuroot("run", "start", "//base/@/call/build")
    either.ocuroot("run", "finish", "//base/@1/call/build", "--status", "complete", "--output", "v=1")
    web = release(either, package([deploy("staging", inputs={"v": {"ref": "//base/@/call/build#output/v"}})]))
    either.ocuroot("run", "start", f"{web}/deploy/staging")
    either.ocuroot("run", "start", "//base/@/call/build")
    either.ocuroot("run", "finish", "//base/@1/call/build", "--status", "complete", "--output", "v=2")
    assert either.ocuroot("work", "list").split()[-4:] == ["running", "run", "up", f"{web}/deploy/staging/1"]
    either.ocuroot("run", "finish", f"{web}/deploy/staging", "--status", "complete")
    assert work_any(either) == [f"complete\t{web}/deploy/staging/2"]


def test_endless_redeployment_is_stopped(store: Repo) -> None:
    prepare(store, "staging")
    up = "echo n=$(date +%s%N) >> $OCUROOT_OUTPUT"
    for one, other in (("a", "b"), ("b", "a")):
        inputs = {"n": {"ref": f"//{other}/@/deploy/staging#output/n", "default": 0}}
        release(store, package([deploy("staging", up=up, inputs=inputs)]), one)
    done = store.run("work", "any", "-q")
    assert done.returncode == 1
    assert "own outputs" in done.stderr
