"""What is particular to stores of dialect 3, which late Ocuroot works in beside us."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.delivering import call, deploy, diff, package, prepare, refused, release, work_any
from support.repositories import Repo

import ocuroot_git

WEB = "shop/-/web"


@pytest.fixture
def late(repo: Repo) -> Repo:
    repo.ocuroot("init", "-q", "--dialect=3")
    return prepare(repo, "staging", "production")


def change(repo: Repo, ref: str, edit: Any) -> None:
    """Change a document as another program does: all of it is written anew."""
    with ocuroot_git.open(str(repo.path)).transaction() as tx:
        tx.set(ref, edit(tx.get(ref)))


def forget_what_is_ours(document: dict[str, Any]) -> dict[str, Any]:
    """A run as the original writes it after it has read it."""
    return {name: document[name] for name in ("type", "release", "functions", "output", "watch_files")}


def test_work_goes_on_without_the_fields_that_are_ours(late: Repo) -> None:
    release(late, package([call("build", "echo v=1 >> $OCUROOT_OUTPUT")]), "base")
    definition = package([deploy("staging", inputs={"v": {"ref": "//base/@/call/build#output/v"}})], [call("after")])
    first = release(late, definition)
    for run in (f"{first}/deploy/staging/1", f"{first}/task/after/1"):
        change(late, run, forget_what_is_ours)
    assert "waits for" in late.ocuroot("release", "show", first)
    work_any(late)
    assert late.value(f"{first}/deploy/staging#input/v/value") == "1"
    change(late, f"{first}/deploy/staging/1", forget_what_is_ours)
    assert diff(late) == []
    # A new output is noticed without a record of what depends on it, and what is deployed can be taken down.
    release(late, package([call("build", "echo v=2 >> $OCUROOT_OUTPUT")]), "base")
    work_any(late)
    assert late.value(f"{first}/deploy/staging#input/v/value") == "2"
    late.ocuroot("delete", "//web/+/deploy/staging")
    work_any(late)
    assert late.ocuroot("match", "**/@/deploy/*") == ""
    assert (diff(late), late.ocuroot("work", "list"), late.run("fsck").returncode) == ([], "", 0)


def test_a_second_completion_leaves_no_run_that_the_original_cannot_start(late: Repo) -> None:
    """It takes a dependency for met by as many completed runs as there are dependencies."""
    later = deploy("production", inputs={"go": {"ref": "./custom/go"}})
    web = release(late, package([deploy("staging")], [later]))
    work_any(late)
    run = f"{web}/deploy/production/1"
    assert late.value(f"{run}#functions/0/dependencies") == [f"{web}/deploy/staging/*/status/complete"]
    late.ocuroot("run", "start", f"{web}/deploy/staging")
    late.ocuroot("run", "finish", f"{web}/deploy/staging", "--status=complete")
    assert "dependencies" not in late.value(f"{run}#functions/0")
    # Nor is one made that would wait for both.
    late.ocuroot("run", "cancel", run)
    late.ocuroot("set", "-f=json", f"{WEB}/+r1/custom/go", "true")
    assert work_any(late) == []
    late.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps({"release": web}))
    assert work_any(late) == [f"complete\t{web}/deploy/production/2"]
    assert "dependencies" not in late.value(f"{web}/deploy/production/2#functions/0")
    assert late.value("//web/+/deploy/production#input/go/value") is True


def test_what_failed_is_not_tried_again_because_its_start_left_an_intent(late: Repo) -> None:
    flag = late.path / "fails"
    flag.touch()
    web = release(late, package([deploy("staging", up=f"test ! -e {flag}")]))
    for _ in range(2):
        assert late.run("work", "any", "-q").returncode == 1
    assert late.ocuroot("match", f"{web}/deploy/staging/*/status/*") == f"{web}/deploy/staging/1/status/failed"
    assert late.value("//web/+/deploy/staging") == {"release": web, "input": {}}
    assert diff(late) == [f"A\t{WEB}/+/deploy/staging"]
    flag.unlink()
    late.ocuroot("run", "retry", web)
    assert work_any(late) == [f"complete\t{web}/deploy/staging/2"]
    assert diff(late) == []


def test_a_wish_that_says_less_is_completed(late: Repo) -> None:
    inputs = {"a": {"value": 1}, "b": {"ref": "@/custom/b", "default": 2}}
    web = release(late, package([deploy("staging", inputs=inputs)]))
    work_any(late)
    full = {"release": web, "input": {"a": {"value": 1}, "b": {"ref": "@/custom/b", "default": 2}}}
    assert late.value("//web/+/deploy/staging") == full
    for less in ({"release": web}, {"input": {"a": {"value": 1}}, "release": web}):
        late.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps(less))
        assert diff(late) == []
    late.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps({**full, "input": {"a": {"value": 5}}}))
    assert diff(late) == [f"M\t{WEB}/+/deploy/staging"]
    assert work_any(late) == [f"complete\t{web}/deploy/staging/2"]
    full["input"]["a"]["value"] = 5  # type: ignore[index]
    assert late.value("//web/+/deploy/staging") == full
    assert diff(late) == []


def test_no_document_stands_where_the_original_puts_a_link(late: Repo) -> None:
    web = release(late, package([call("build")], [deploy("staging")]), "web", "--tag=v1")
    work_any(late)
    late.ocuroot("delete", "//web/+/deploy/staging")
    work_any(late)
    links = {ref: late.ocuroot("resolve", ref) for ref in late.ocuroot("match", f"{WEB}/@*").splitlines()}
    assert links == {f"{WEB}/@r1": web, f"{WEB}/@v1": web}
    assert late.ocuroot("match", f"{WEB}/@/**") == f"{WEB}/@/task/build"
    assert late.value(f"{web}/deploy/staging#type") == "down"
    refused(late, 1, "no such document", "get", f"{WEB}/@/deploy/staging")
    refused(late, 128, "looks like the number of a release", "release", "new", "web", "--package=-", "--tag=r7",
            "--force", input=json.dumps(package([call("a")])))  # fmt: skip


def test_a_package_of_selectors_names_each_environment(late: Repo) -> None:
    web = release(late, package([deploy(environments={"attributes": {"type": "prod"}})]))
    names = [task["deploy"]["environment"] for task in late.value(f"{web}#package/phases/0/tasks")]
    assert names == ["production"]
    late.ocuroot("set", "-f=json", "+/environment/canary", '{"name": "canary", "attributes": {"type": "prod"}}')
    assert len(work_any(late)) == 2
    names = [task["deploy"]["environment"] for task in late.value(f"{web}#package/phases/0/tasks")]
    assert names == ["canary", "production"]
    late.ocuroot("delete", "+/environment/canary")
    assert work_any(late) == [f"complete\t{web}/deploy/canary/2"]
    assert diff(late) == []


def test_answers_are_the_same_without_a_memory(late: Repo) -> None:
    late.git("config", "ocuroot.cacheSize", "64m")
    web = release(late, package([call("build")], [deploy(environments={})]))
    work_any(late, "-q")
    second = release(late, package([call("build", "false")], [deploy(environments={})]))
    late.run("work", "any", "-q")
    late.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps({"release": second}))
    late.ocuroot("set", f"{WEB}/+r2/custom/x", "1")
    questions = (["diff"], ["work", "list"], ["release", "list", "--json"], ["status", "--json"], ["match", "**"])
    said = [[late.run(*question).stdout for question in questions] for _ in range(2)]
    assert late.run("cache", "--verify").returncode == 0
    late.git("config", "ocuroot.cacheSize", "0")
    said.append([late.run(*question).stdout for question in questions])
    assert said[0] == said[1] == said[2]
    assert web in said[0][2]


@pytest.mark.parametrize("ref", ["//web/+/custom/note", "//web/@/custom/note"])
def test_a_custom_intent_of_a_package_is_applied_to_the_package(late: Repo, ref: str) -> None:
    note = {"ref": "./@/custom/note", "default": "none"}
    web = release(late, package([deploy("staging", inputs={"note": note})]))
    work_any(late)
    late.ocuroot("set", ref, "new")
    assert diff(late) == [f"A\t{WEB}/+/custom/note"]
    late.ocuroot("apply", ref)
    assert late.value(f"{WEB}/@/custom/note") == "new"
    assert late.run("get", f"{web}/custom/note").returncode == 1, "it is not one of the release"
    assert work_any(late) == [] and late.ocuroot("work", "cascade") == f"complete\t{web}/deploy/staging/2"
    assert late.value(f"{web}/deploy/staging#input/note/value") == "new"
    late.ocuroot("delete", ref)
    late.ocuroot("apply", "--all")
    assert late.run("get", f"{WEB}/@/custom/note").returncode == 1 and diff(late) == []
