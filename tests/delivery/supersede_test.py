"""Newer releases take the place of older ones that are still to be deployed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from support.delivering import call, deploy, diff, package, prepare, refused, release, work_any
from support.repositories import Repo, begin
from support.viewing import Browser, application

import ocuroot_git
from ocuroot_git.delivery import queue
from ocuroot_git.delivery.overview import Package
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.store.snapshot import Snapshot
from ocuroot_git.web.site_plan import shown_releases


def status(repo: Repo, run: str) -> str:
    (ref,) = repo.ocuroot("match", f"{run}/status/*").splitlines()
    return ref.rsplit("/", 1)[1]


def want(repo: Repo, wanted: str, environment: str = "staging") -> None:
    repo.ocuroot("set", "-f=json", f"//web/+/deploy/{environment}", json.dumps({"release": wanted}))


def superseded(repo: Repo, run: str) -> str:
    """By which release a run was superseded."""
    assert status(repo, run) == "cancelled"
    return str(repo.value(f"{run}/functions/1#current/ended_by")).removeprefix("superseded by ")


def test_of_several_releases_the_newest_is_deployed(store: Repo) -> None:
    prepare(store, "staging")
    made = [release(store, package([deploy("staging", "echo $OCUROOT_RELEASE >> log")])) for _ in range(3)]
    runs = [f"{one}/deploy/staging/1" for one in made]
    listed = [line.split(maxsplit=1) for line in store.ocuroot("work", "list").splitlines()]
    assert [state for state, _ in listed] == ["waiting", "waiting", "ready"]
    assert listed[0][1].endswith(f"{runs[0]}\t'{made[2]}', which is newer and ready")
    assert store.ocuroot("work", "any", "--dry-run") == f"execute\t{runs[2]}"
    assert work_any(store) == [f"complete\t{runs[2]}"]
    assert (store.path / "log").read_text() == f"{made[2]}\n"
    assert [superseded(store, run) for run in runs[:2]] == [made[2], made[2]]
    assert store.ocuroot("work", "list") == ""
    assert diff(store) == []
    assert f"superseded by {made[2]}" in store.ocuroot("release", "show", made[0])
    shown = json.loads(store.ocuroot("release", "show", "--json", made[0]))
    assert shown["phases"][0]["work"][0]["ended_by"] == f"superseded by {made[2]}"


def test_one_that_waits_for_an_approval_does_not_come_late(store: Repo) -> None:
    prepare(store, "staging")
    definition = package([deploy("staging", inputs={"approve": {"ref": "./custom/approve"}})])
    first, second, third = (release(store, definition) for _ in range(3))
    for one in (first, second):
        assert status(store, f"{one}/deploy/staging/1") == "pending"
    store.ocuroot("update", "--stdin", input=f"set {second}/custom/approve true\n")
    store.ocuroot("run", "start", f"{second}/deploy/staging")
    assert superseded(store, f"{first}/deploy/staging/1") == second
    assert status(store, f"{third}/deploy/staging/1") == "pending"
    store.ocuroot("run", "finish", f"{second}/deploy/staging", "--status=complete")
    store.ocuroot("update", "--stdin", input=f"set {first}/custom/approve true\n")
    assert work_any(store) == []
    # A job of the first release that comes late must not make another run of it.
    for work in (f"{first}/deploy/staging", f"{first}/deploy/staging/1"):
        for verb in (["start", work], ["exec", work, "--", "true"]):
            err = refused(store, 3, f"it was superseded by {second}", "run", *verb)
            assert "git ocuroot set -f json" in err
    assert store.value("//web/@/deploy/staging#release") == second


def test_what_is_superseded_is_so_in_the_commit_of_the_start(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging")])) for _ in range(2))
    before = store.git("rev-parse", "state")
    store.ocuroot("run", "start", f"{second}/deploy/staging")
    assert store.git("rev-parse", "state^") == before
    assert superseded(store, f"{first}/deploy/staging/1") == second


def test_an_intent_may_ask_for_a_run_that_is_pending_already(store: Repo) -> None:
    prepare(store, "staging")
    definition = package([deploy("staging", inputs={"approve": {"ref": "@/custom/approve"}})])
    first, second = (release(store, definition) for _ in range(2))
    want(store, first)
    store.ocuroot("apply", "--all")
    assert store.ocuroot("apply", "--all") == ""
    store.ocuroot("update", "--stdin", input="set @/custom/approve true\nset +/custom/approve true\n")
    store.ocuroot("run", "start", f"{second}/deploy/staging")
    assert status(store, f"{first}/deploy/staging/1") == "pending"
    store.ocuroot("run", "finish", f"{second}/deploy/staging", "--status=complete")
    assert store.value("//web/+/deploy/staging#release") == first
    assert work_any(store) == [f"complete\t{first}/deploy/staging/1"]


def test_what_an_intent_asked_for_gives_way_to_a_later_intent_only(store: Repo) -> None:
    prepare(store, "staging")
    first, second, third = (
        release(store, package([deploy("staging", inputs={"go": {"ref": "./custom/go"}})])) for _ in range(3)
    )
    store.ocuroot("run", "cancel", f"{first}/deploy/staging")
    want(store, first)
    store.ocuroot("apply", "--all")
    rollback = f"{first}/deploy/staging/2"
    assert status(store, rollback) == "pending"
    store.ocuroot("set", "//web/+3/custom/go", "yes")
    assert work_any(store) == [f"complete\t{third}/deploy/staging/1"]
    assert superseded(store, f"{second}/deploy/staging/1") == third
    assert status(store, rollback) == "pending"
    store.ocuroot("set", "//web/+1/custom/go", "yes")
    assert work_any(store) == [f"complete\t{rollback}"]
    assert store.value("//web/@/deploy/staging#release") == first


def test_an_intent_brings_back_what_was_superseded(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging")])) for _ in range(2))
    assert work_any(store) == [f"complete\t{second}/deploy/staging/1"]
    want(store, first)
    assert work_any(store) == [f"complete\t{first}/deploy/staging/2"]
    assert store.value("//web/@/deploy/staging#release") == first
    assert diff(store) == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_package_can_turn_it_off(store: Repo, which: int) -> None:
    prepare(store, "staging")
    made = [
        release(store, {**package([deploy("staging")]), **({"supersede": False} if number == which else {})})
        for number in range(2)
    ]
    assert work_any(store) == [f"complete\t{one}/deploy/staging/1" for one in made]


def test_supersede_is_true_or_false(store: Repo) -> None:
    prepare(store)
    text = json.dumps({**package([call("build")]), "supersede": "no"})
    words = """supersede is "no", not true or false"""
    refused(store, 128, words, "release", "new", "web", "--package", "-", input=text)
    release(store, {**package([call("build")]), "supersede": True})


def test_calls_and_other_places_and_what_runs_are_left_alone(store: Repo) -> None:
    prepare(store, "staging", "production")
    definition = package([call("build")], [deploy("staging")], [call("test"), deploy("production")])
    first, second = (release(store, definition) for _ in range(2))
    release(store, definition, "api")
    for one in (first, second):
        store.ocuroot("run", "exec", "-q", f"{one}/call/build")
    store.ocuroot("run", "start", f"{second}/deploy/staging")
    assert superseded(store, f"{first}/deploy/staging/1") == second
    for run in (f"{first}/call/test/1", f"{first}/deploy/production/1", "shop/-/api/@1/deploy/staging/1"):
        assert status(store, run) == "pending"
    lines = store.ocuroot("work", "list").splitlines()
    (line,) = [line for line in lines if f"{first}/call/test/1" in line]
    assert line.endswith(f"'{first}/deploy/staging/1', which was superseded by {second}")
    store.ocuroot("run", "finish", f"{second}/deploy/staging", "--status=complete")
    work_any(store)
    assert superseded(store, f"{first}/deploy/production/1") == second
    assert status(store, f"{first}/call/test/1") == "pending"


def test_an_older_release_that_is_running_ends_first(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging")])) for _ in range(2))
    gate = store.path / "gate"
    running = begin(
        store,
        "run",
        "exec",
        f"{first}/deploy/staging",
        "--",
        "sh",
        "-c",
        f"while ! test -e {gate}; do sleep 0.05; done",
    )
    while "status/running" not in store.ocuroot("match", f"{first}/deploy/staging/1/status/*"):
        assert running.poll() is None
    assert work_any(store) == []
    gate.touch()
    assert running.wait(60) == 0
    assert work_any(store) == [f"complete\t{second}/deploy/staging/1"]


def test_directories_of_a_package_may_have_names_that_we_use_below_releases(store: Repo) -> None:
    """`functions` is where many repositories keep what they deploy: its runs under way were not seen there."""
    prepare(store, "staging")
    path = "functions/deploy/op/commit/status"
    definition = package([deploy("staging")])
    first, second = (release(store, definition, path) for _ in range(2))
    store.ocuroot("run", "start", f"{first}/deploy/staging")
    assert work_any(store) == []
    words = f"'{second}' is a release of this commit already"
    refused(store, 3, words, "release", "new", path, "--package", "-", input=json.dumps(definition))
    store.ocuroot("run", "finish", f"{first}/deploy/staging", "--status", "complete")
    store.ocuroot("update", "--stdin", input=f"set {second}/op/check_envs {{}}\n")
    problems = Problems()
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    assert queue.commits_with_work(snapshot, problems) == [("shop", store.oid("HEAD"))]
    assert not problems
    assert work_any(store) == [f"complete\t{second}/deploy/staging/1"]
    name = first.rpartition("/@")[0]
    shown = Package(name, (1, 2), {"staging": f"{first}/deploy/staging/1"}, (), (), ())
    assert shown_releases(SimpleNamespace(unfinished_of=lambda ref: []), shown, 1) == {1, 2}  # type: ignore[arg-type]


def test_a_bad_older_release_does_not_keep_a_newer_one_back(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging")])) for _ in range(2))
    bad = json.dumps({"commit": "x", "package": {"phases": 1}})
    store.ocuroot("update", "--stdin", input=f"set {first} {bad}\n")
    assert store.run("run", "exec", f"{second}/deploy/staging").returncode == 0


def test_the_view_says_what_was_superseded(store: Repo) -> None:
    prepare(store, "staging")
    first, second = (release(store, package([deploy("staging")])) for _ in range(2))
    work_any(store)
    browser = Browser(application(store.path))
    for ref in (first, f"{first}/deploy/staging/1"):
        assert f"superseded by {second}" in browser.get(f"/ref/{ref}").replace("<wbr>", "")


def test_a_deployment_that_is_replaced_leaves_no_edges_behind(store: Repo) -> None:
    prepare(store, "staging")

    def edges(ref: str) -> list[str]:
        listed = store.git("ls-tree", "-r", "--name-only", "state", f"dependencies/dependants/{ref}/").splitlines()
        return [store.git("cat-file", "blob", f"state:{path}") for path in listed]

    for name in ("region", "zone"):
        definition = package([deploy("staging", inputs={"where": {"ref": f"@/custom/{name}", "default": "eu"}})])
        release(store, definition)
        work_any(store)
    assert edges("@/custom/region") == []
    assert len(edges("@/custom/zone")) == 1
    store.ocuroot("delete", "//web/+/deploy/staging")
    work_any(store)
    assert edges("@/custom/zone") == []


def test_deployments_that_wait_are_looked_for_once(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """All releases of the package are walked for it, and each of the runs that wait asks."""
    prepare(store, "staging")
    for _ in range(3):
        release(store, package([deploy("staging", inputs={"go": {"ref": "./custom/go"}})]))
    asked: list[tuple[str, ...]] = []
    match = Snapshot.match

    def counted(self: Snapshot, *globs: str, **options: Any) -> list[Any]:
        asked.append(globs)
        return match(self, *globs, **options)

    monkeypatch.setattr(Snapshot, "match", counted)
    items = queue.run_items(ocuroot_git.open(str(store.path)).snapshot(), Problems())
    assert [item.state for item in items] == ["waiting"] * 3
    assert len(asked) == 1 and asked[0][0].endswith("/deploy/staging/*/status/running")
