"""What early Ocuroot finds in stores of dialect 1 that we work in: its markers of functions; and our first version."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.delivering import call, deploy, diff, package, prepare, prepare_at, release, work_any
from support.first_version import first_version, run_first
from support.raw_objects import plant, write_object
from support.repositories import Repo


def markers(repo: Repo, run: str) -> dict[str, str]:
    """The status of a run, and of its functions, by their markers: each has one."""
    found = {}
    for ref in repo.ocuroot("match", f"{run}/status/*", f"{run}/functions/*/status/*").splitlines():
        what, _, status = ref.removeprefix(f"{run}/").rpartition("/")
        assert what not in found, ref
        found[what] = status
    return found


def test_functions_have_the_marker_of_their_status(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("build"), call("test")]))
    build = f"{web}/call/build/1"
    assert markers(store, build) == {"status": "pending", "functions/1/status": "pending"}
    pending = store.ocuroot("match", "**/functions/*/status/pending")
    assert pending.splitlines() == [f"{web}/call/{name}/1/functions/1/status/pending" for name in ("build", "test")]
    store.ocuroot("run", "start", build)
    assert markers(store, build) == {"status": "running", "functions/1/status": "running"}
    store.ocuroot("run", "finish", build, "--status=failed")
    assert markers(store, build) == {"status": "failed", "functions/1/status": "failed"}
    store.ocuroot("run", "retry", build)
    assert markers(store, build) == {"status": "failed_retried", "functions/1/status": "failed_retried"}
    store.ocuroot("run", "cancel", f"{web}/call/test/1")
    assert markers(store, f"{web}/call/test/1") == {"status": "cancelled", "functions/1/status": "cancelled"}
    work_any(store)
    marker = store.value(f"{web}/call/build/2/functions/1/status/complete")
    assert marker == {"time": store.value(f"{web}/call/build/2/status/complete#time")}
    assert store.run("fsck").returncode == 0


def test_runs_without_these_markers_go_on(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("build")]))
    store.ocuroot("update", "--stdin", input=f"delete {web}/call/build/1/functions/1/status/pending\n")
    assert work_any(store) == [f"complete\t{web}/call/build/1"]
    assert markers(store, f"{web}/call/build/1") == {"status": "complete", "functions/1/status": "complete"}


def test_the_first_version_takes_turns_with_us(store: Repo, tmp_path: Path) -> None:
    first = first_version(tmp_path / "first")
    prepare(store, "staging")
    web = release(store, package([call("build")], [deploy("staging")]))
    run_first(first, store, "run", "start", f"{web}/call/build")
    # It knows nothing of the marker of the function; who changes the run next puts that right.
    assert markers(store, f"{web}/call/build/1") == {"status": "running", "functions/1/status": "pending"}
    store.ocuroot("run", "finish", f"{web}/call/build", "--status=complete")
    assert markers(store, f"{web}/call/build/1") == {"status": "complete", "functions/1/status": "complete"}
    run_first(first, store, "work", "any", "-q")
    assert diff(store) == []
    assert store.value("//web/@/deploy/staging#release") == web
    run_first(first, store, "fsck", "-q")
    assert store.run("fsck").returncode == 0


def deployed_with_note(repo: Repo, *instructions: str) -> str:
    """A release that was deployed with the input `note`, which it has by default; gives its ref."""
    prepare(repo, "staging")
    repo.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in instructions))
    note = {"ref": "@/custom/note", "default": "none"}
    web = release(repo, package([deploy("staging", inputs={"note": note})]))
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/1"]
    return web


ORIGINAL_WORKS = ('set shop/-/repo.ocu.star/@c1 {"source": ""}', "link shop/-/repo.ocu.star/@ shop/-/repo.ocu.star/@c1")
"""What early Ocuroot leaves in a store with its first command."""


def test_an_input_that_early_ocuroot_filled_by_default_is_compared(store: Repo) -> None:
    web = deployed_with_note(store)
    function = store.value(f"{web}/deploy/staging/1/functions/1")
    del function["current"]["inputs"]["note"]["value"]
    store.ocuroot("update", "--stdin", input=f"set {web}/deploy/staging/1/functions/1 {json.dumps(function)}\n")
    assert store.ocuroot("work", "cascade") == ""
    store.ocuroot("set", "+/custom/note", "new")
    store.ocuroot("apply", "--all")
    assert store.ocuroot("work", "cascade") == f"complete\t{web}/deploy/staging/2"
    assert store.value(f"{web}/deploy/staging/2/functions/1#current/inputs/note/value") == "new"


def test_the_link_to_the_newest_release_is_not_made_where_early_ocuroot_works(store: Repo) -> None:
    web = deployed_with_note(store, *ORIGINAL_WORKS)
    assert store.ocuroot("match", "//web/@") == ""
    assert store.ocuroot("resolve", "//web/@") == web
    store.ocuroot("delete", "//web/+/deploy/staging")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    assert store.run("get", "//web/@/deploy/staging").returncode == 1
    assert store.run("fsck").returncode == 0


def test_the_link_to_the_newest_release_goes_when_early_ocuroot_comes(store: Repo, tmp_path: Path) -> None:
    web = deployed_with_note(store)
    assert store.ocuroot("match", "//web/@") == "shop/-/web/@"
    store.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in ORIGINAL_WORKS))
    store.ocuroot("delete", "//web/+/deploy/staging")
    store.ocuroot("apply", "--all")
    assert store.ocuroot("match", "//web/@") == ""
    assert store.ocuroot("resolve", "//web/@") == web
    assert run_first(first_version(tmp_path / "first"), store, "resolve", "//web/@") == f"{web}\n"
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    newer = release(store, package([call("build")]))
    assert store.ocuroot("match", "//web/@") == "" and store.ocuroot("resolve", "//web/@") == newer


def test_a_global_command_of_early_ocuroot_tells_that_it_works_there(store: Repo) -> None:
    deployed_with_note(store, 'set @c1 {"source": ""}')
    link = write_object(store, "blob", b'{"kind": "link", "body": "@c1"}')
    plant(store, "refs/@", "100644", "@object.json", link)
    store.ocuroot("delete", "//web/+/deploy/staging")
    store.ocuroot("apply", "--all")
    assert store.ocuroot("match", "//web/@") == ""


def test_the_intent_that_early_ocuroot_writes_when_it_takes_down_asks_for_nothing(store: Repo) -> None:
    web = deployed_with_note(store)
    store.ocuroot("delete", "//web/+/deploy/staging")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    inputs = store.value(f"{web}/deploy/staging/2/functions/1#current/inputs")
    left = {"type": "", "release": web, "input": inputs}
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps(left))
    assert diff(store) == []
    assert work_any(store) == []
    assert store.run("get", "//web/+/deploy/staging").returncode == 1, "it goes when intents are applied"
    # What a person asks for names the release, and inputs of its own if any: that is done.
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps({"release": web}))
    assert diff(store) == ["A\tshop/-/web/+/deploy/staging"]
    assert work_any(store) == [f"complete\t{web}/deploy/staging/3"]
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps(left))
    assert "A\t" not in "".join(diff(store)), "what is deployed stays"


def test_the_first_version_goes_on_with_runs_whose_markers_say_by_whom(store: Repo, tmp_path: Path) -> None:
    first = first_version(tmp_path / "first")
    prepare(store, "staging")
    web = release(store, package([call("build")], [deploy("staging", up="exit 1")]))
    build, staging = f"{web}/call/build/1", f"{web}/deploy/staging/1"
    store.ocuroot("run", "start", build, "-m", "a first look")
    begun = store.value(f"{build}/status/running")
    assert (begun["actor"], begun["reason"]) == ("local:test@example.com", "a first look")
    assert build in run_first(first, store, "work", "list", "--json")
    assert run_first(first, store, "fsck", "-q") == ""
    run_first(first, store, "run", "finish", build, "--status=complete")
    assert set(store.value(f"{build}/status/complete")) == {"time"}
    assert store.run("work", "any", "-q").returncode == 1
    assert set(store.value(f"{staging}/status/failed")) == {"time", "actor"}
    assert "failed" in run_first(first, store, "status", "--json") + run_first(first, store, "release", "show", web)
    run_first(first, store, "run", "retry", staging)
    store.ocuroot("run", "cancel", f"{web}/deploy/staging/2", "-m", "not today")
    assert store.value(f"{web}/deploy/staging/2/status/cancelled")["reason"] == "not today"
    run_first(first, store, "run", "start", f"{web}/deploy/staging")
    run_first(first, store, "run", "finish", f"{web}/deploy/staging/3", "--status=complete")
    assert store.value("//web/@/deploy/staging#release") == web
    run_first(first, store, "fsck", "-q")
    assert store.run("fsck").returncode == 0


def test_what_was_taken_down_is_not_found_behind_the_newest_release(store: Repo) -> None:
    web = deployed_with_note(store)
    assert store.ocuroot("match", "//web/@") == "shop/-/web/@"
    store.ocuroot("delete", "//web/+/deploy/staging")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    assert store.run("get", "//web/@/deploy/staging").returncode == 1
    assert store.ocuroot("resolve", "//web/@/deploy/staging") == "shop/-/web/@/deploy/staging"
    assert store.value("//web/@/deploy/staging/2#type") == "down", "of the newest release"


def test_runs_whose_numbers_are_spelled_otherwise_are_named(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("build")]))
    odd = f"{web}/call/build/007"
    store.ocuroot("update", "--stdin", input=f"set {odd} {{}}\nset {odd}/status/pending {{}}\n")
    for command in (["work", "list"], ["release", "list"], ["work", "any"]):
        done = store.run(*command)
        assert done.returncode == 1 and f"warning: '{odd}' is left out: '007' is no number of a run" in done.stderr, (
            done
        )
    assert store.value(f"{web}/call/build#type") == "call"  # the others go on
    done = store.run("fsck")
    assert done.returncode == 1 and f"{odd}: '007' is no number of a run" in done.stdout + done.stderr, done


INTENT = "//web/+/deploy/staging"


def set_json(repo: Repo, ref: str, value: object) -> None:
    repo.ocuroot("set", "-f=json", ref, json.dumps(value))


def test_intents_name_all_inputs_where_early_ocuroot_works(store: Repo) -> None:
    web = deployed_with_note(store, *ORIGINAL_WORKS)
    inputs = store.value(f"{web}/deploy/staging/1/functions/1#current/inputs")
    assert store.value(INTENT) == {"release": web, "input": inputs}
    # Whatever follows leaves what was deployed and its intent the same, value for value.
    store.ocuroot("set", "+/custom/note", "new")
    store.ocuroot("apply", "--all")
    assert store.ocuroot("work", "cascade") == f"complete\t{web}/deploy/staging/2"
    inputs = store.value(f"{web}/deploy/staging/2/functions/1#current/inputs")
    assert inputs["note"]["value"] == "new"
    assert store.value(INTENT) == {"release": web, "input": inputs}
    assert diff(store) == [] and work_any(store) == []
    # None of them is an override: to ask for the release is to ask for the same, and the intent stays as it is given.
    set_json(store, INTENT, {"release": web})
    assert diff(store) == [] and work_any(store) == []


def test_inputs_that_are_not_the_releases_own_override(store: Repo) -> None:
    web = deployed_with_note(store, *ORIGINAL_WORKS)
    set_json(store, INTENT, {"release": web, "input": {"note": {"value": "mine"}}})
    assert diff(store) == ["M\tshop/-/web/+/deploy/staging"]
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    assert store.value(f"{web}/deploy/staging/2/functions/1#current/overrides") == {"note": {"value": "mine"}}
    assert store.value(INTENT)["input"] == store.value(f"{web}/deploy/staging/2/functions/1#current/inputs")
    assert diff(store) == [] and work_any(store) == []
    # What early Ocuroot executed does not say what was overridden.
    function = store.value(f"{web}/deploy/staging/2/functions/1")
    for name in ("cause", "intent", "overrides"):
        function["current"].pop(name, None)
    store.ocuroot("update", "--stdin", input=f"set {web}/deploy/staging/2/functions/1 {json.dumps(function)}\n")
    assert diff(store) == []
    set_json(store, INTENT, {"release": web})
    assert diff(store) == ["M\tshop/-/web/+/deploy/staging"]
    assert work_any(store) == [f"complete\t{web}/deploy/staging/3"]
    assert store.value(f"{web}/deploy/staging/3/functions/1#current/inputs/note/value") == "none"
    assert diff(store) == [] and work_any(store) == []


def test_intents_of_early_ocuroot_stay_as_they_are_where_it_works_no_more(store: Repo) -> None:
    web = deployed_with_note(store)
    assert store.value(INTENT) == {"release": web}
    note = {"ref": "@/custom/note", "default": "none", "value": "none"}
    left = {"type": "", "release": web, "input": {"note": note}}
    set_json(store, INTENT, left)
    assert diff(store) == [] and work_any(store) == []
    store.ocuroot("run", "exec", f"{web}/deploy/staging", "--", "true")
    assert "overrides" not in store.value(f"{web}/deploy/staging/2/functions/1#current")
    assert store.value(INTENT) == left
    assert diff(store) == [] and work_any(store) == []


def test_a_promotion_names_inputs_where_early_ocuroot_works(store: Repo) -> None:
    prepare(store, "staging", "production")
    store.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in ORIGINAL_WORKS))
    inputs = {"note": {"ref": "@/custom/note", "default": "none"}}
    old = release(store, package([deploy("staging", inputs=inputs), deploy("production", inputs=inputs)]))
    work_any(store)
    new = release(store, package([deploy("staging", inputs=inputs)], [deploy("production", inputs=inputs)]))
    store.ocuroot("run", "exec", f"{new}/deploy/staging", "--", "true")
    done = store.run("promote", "staging", "production")
    assert done.returncode == 0 and "do not go over" not in done.stderr, done.stderr
    assert store.value("//web/+/deploy/production") == {"release": new, "input": inputs}
    assert f"complete\t{new}/deploy/production/1" in work_any(store)
    assert store.value("//web/+/deploy/production#input/note/value") == "none"
    assert old != new and diff(store) == []


def test_the_marker_that_early_ocuroot_leaves_when_environments_change_is_looked_at(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([deploy(environments={"tier": "web"})]))
    work_any(store)
    environment = {"name": "green", "attributes": {"tier": "web"}}
    store.ocuroot(
        "update",
        "--stdin",
        input=f"set +/environment/green {json.dumps(environment)}\nset @/environment/green {json.dumps(environment)}\n",
    )
    marker = write_object(store, "blob", b'{"kind": "ref", "body": {"time": "2026-01-02T03:04:05Z"}}')
    directory = store.git("mktree", input=f"100644 blob {marker}\t@object.json\n")
    directory = store.git("mktree", input=f"040000 tree {directory}\tcheck_envs\n")
    plant(store, f"refs/{web}", "40000", "task", directory)
    assert store.ocuroot("work", "list").split() == ["ready", "op", f"{web}/op/check_envs"]
    assert work_any(store) == [f"complete\t{web}/deploy/green/1"]
    assert store.ocuroot("match", f"{web}/{{op,task,call}}/**") == ""
    assert work_any(store) == [] and store.run("fsck").returncode == 0


def test_a_marker_is_left_for_early_ocuroot_where_it_can_evaluate_the_package(store: Repo) -> None:
    prepare(store, "staging")
    store.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in ORIGINAL_WORKS))
    wanted = package([deploy(environments={"attributes": {"tier": "web"}})])
    code = release(store, wanted, "web.ocu.star")
    json_ = release(store, wanted, "other")
    store.ocuroot("set", "-f=json", "+/environment/green", '{"name": "green", "attributes": {"tier": "web"}}')
    store.ocuroot("apply", "--all")
    assert sorted(store.ocuroot("match", "**/{op,task}/*").splitlines()) == sorted(
        [f"{json_}/op/check_envs", f"{code}/op/check_envs", f"{code}/task/check_envs"]
    )
    assert store.ocuroot("work", "list").count("check_envs") == 2
    assert sorted(work_any(store)) == [f"complete\t{one}/deploy/green/1" for one in (json_, code)]
    assert store.ocuroot("match", "**/{op,task}/*") == "" and store.run("fsck").returncode == 0


def test_an_intent_of_early_ocuroot_that_comes_back_asks_for_its_deployment(store: Repo) -> None:
    web = deployed_with_note(store)
    inputs = store.value(f"{web}/deploy/staging/1/functions/1#current/inputs")
    theirs = json.dumps({"type": "", "release": web, "input": inputs})  # as it writes it when it deploys
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", theirs)
    store.ocuroot("delete", "//web/+/deploy/staging")
    deleted = store.oid("state")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    store.ocuroot("undo", deleted)
    assert diff(store) == ["A\tshop/-/web/+/deploy/staging"]
    assert work_any(store) == [f"complete\t{web}/deploy/staging/3"]
    assert store.ocuroot("resolve", "//web/@/deploy/staging") == f"{web}/deploy/staging/3"


def test_the_same_where_state_lies_in_another_branch(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commit that is undone was about is told by the state of then, not of now."""
    prepare_at(repo, "two branches", "staging")
    web = release(repo, package([deploy("staging", inputs={"note": {"ref": "@/custom/note", "default": "none"}})]))
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/1"]
    inputs = repo.value(f"{web}/deploy/staging/1/functions/1#current/inputs")
    theirs = json.dumps({"type": "", "release": web, "input": inputs})
    repo.ocuroot("set", "-f=json", "//web/+/deploy/staging", theirs)
    repo.ocuroot("delete", "//web/+/deploy/staging")
    deleted = repo.oid("intent")
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/2"]
    repo.ocuroot("undo", deleted)
    assert diff(repo) == ["A\tshop/-/web/+/deploy/staging"]
    repo.ocuroot("undo")
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"@{int(time.time()) + 10} +0000")
    repo.ocuroot("set", "-f=json", "//web/+/deploy/staging", theirs)
    repo.ocuroot("delete", "//web/+/deploy/staging")
    repo.ocuroot("undo")
    assert repo.value("//web/+/deploy/staging")["type"] == "" and diff(repo) == [], "it was a trace"


def test_the_trace_of_early_ocuroot_that_comes_back_asks_for_nothing(store: Repo) -> None:
    web = deployed_with_note(store)
    store.ocuroot("delete", "//web/+/deploy/staging")
    assert work_any(store) == [f"complete\t{web}/deploy/staging/2"]
    inputs = store.value(f"{web}/deploy/staging/2/functions/1#current/inputs")
    left = json.dumps({"type": "", "release": web, "input": inputs})
    store.ocuroot("set", "-f=json", "//web/+/deploy/staging", left)
    store.ocuroot("delete", "//web/+/deploy/staging")
    store.ocuroot("undo")
    assert store.value("//web/+/deploy/staging")["type"] == ""
    assert diff(store) == [] and work_any(store) == []
