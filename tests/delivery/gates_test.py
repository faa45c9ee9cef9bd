"""Gates: what keeps deployments from starting, what is told of it, and what is made of documents that are no gates."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, commits, copy_of, deploy, package, prepare, refused, release, work_any
from support.repositories import Repo, put_file
from support.viewing import Browser, application

import ocuroot_git
from ocuroot_git.delivery import runs
from ocuroot_git.delivery.addresses import WorkRef
from ocuroot_git.delivery.gates import Gates
from ocuroot_git.store.transaction import Transaction

WEB = "shop/-/web/@1"
PRODUCTION = f"{WEB}/deploy/production"
STAGING = f"{WEB}/deploy/staging"
FREEZE = ("freeze", "-m", "incident 42")
GATES = "@/custom/gate"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A release with a call, and a deployment each to staging and production, which are all ready."""
    repo = Repo(tmp_path_factory.mktemp("gated"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    release(repo, package([call("build"), deploy("staging"), deploy("production")]))
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


def set_gate(repo: Repo, name: str, document: object, side: str = "@") -> None:
    repo.ocuroot("update", "--stdin", input=f"set {side}/custom/gate/{name} {json.dumps(document)}\n")


def states(repo: Repo) -> dict[str, str]:
    items = map(json.loads, repo.ocuroot("work", "list", "--json").splitlines())
    return {item["ref"]: item["state"] for item in items if item["kind"] == "run"}


def is_closed(repo: Repo, name: str) -> bool:
    return states(repo)[f"{WEB}/deploy/{name}/1"] != "ready"


def listed(repo: Repo) -> list[dict[str, Any]]:
    return [json.loads(line) for line in repo.ocuroot("gate", "list", "--json").splitlines()]


def test_after_a_freeze_nothing_starts_until_it_is_thawed(shop: Repo) -> None:
    before = commits(shop)
    assert shop.ocuroot(*FREEZE, "production") == f"{GATES}/production"
    assert commits(shop) == before + 1
    assert shop.git("log", "-1", "--format=%s", "state") == "freeze production"
    assert shop.value(f"{GATES}/production") == shop.value("+/custom/gate/production")
    words = f"cannot start '{PRODUCTION}/1': it waits for gate 'production', which is closed by "
    for command in ("start", "exec"):
        assert "incident 42" in refused(shop, 3, words, "run", command, PRODUCTION)
    done = shop.run("work", "any")
    assert (done.returncode, sorted(done.stdout.splitlines())) == (
        0,
        [f"complete\t{WEB}/call/build/1", f"complete\t{STAGING}/1"],
    )
    assert f"{PRODUCTION}/1: waits for gate 'production', which is closed by" in done.stderr
    assert states(shop) == {f"{PRODUCTION}/1": "waiting"}
    assert "which is closed by " in shop.ocuroot("work", "list")
    assert "incident 42" in shop.ocuroot("release", "show", WEB)
    shop.ocuroot("thaw", "production")
    assert shop.git("log", "-1", "--format=%s", "state") == "thaw production"
    assert shop.run("get", f"{GATES}/production").returncode == 1
    assert work_any(shop) == [f"complete\t{PRODUCTION}/1"]


def test_a_run_that_goes_on_is_not_touched(shop: Repo) -> None:
    shop.ocuroot("run", "start", PRODUCTION)
    done = shop.run(*FREEZE, "production", "--cancel-pending")
    assert f"{PRODUCTION}/1: goes on" in done.stderr
    shop.ocuroot("run", "finish", PRODUCTION, "--status", "complete")
    refused(shop, 3, "is closed by", "run", "start", PRODUCTION)


def test_pending_runs_are_cancelled_where_that_is_asked_for(shop: Repo) -> None:
    done = shop.run(*FREEZE, "type=prod", "--cancel-pending")
    assert f"{PRODUCTION}/1: cancelled" in done.stderr
    assert states(shop) == {f"{STAGING}/1": "ready", f"{WEB}/call/build/1": "ready"}
    assert shop.value(f"{PRODUCTION}/1/functions/1#current/ended_by") == "freeze type-prod"


def test_what_is_wanted_closes_before_it_is_applied(shop: Repo) -> None:
    shop.ocuroot("set", "-f=json", "+/custom/gate/x", '{"kind": "deny", "environments": ["production"]}')
    refused(shop, 3, "gate 'x', which is closed", "run", "start", PRODUCTION)
    shop.ocuroot("apply", "--all")
    shop.ocuroot("delete", "+/custom/gate/x")
    refused(shop, 3, "gate 'x', which is closed", "run", "start", PRODUCTION)
    shop.ocuroot("apply", "--all")
    shop.ocuroot("run", "start", PRODUCTION)


@pytest.mark.parametrize(
    ("document", "closed"),
    [
        ({"kind": "deny"}, "staging production"),
        ({"kind": "deny", "environments": ["production", "elsewhere"]}, "production"),
        ({"kind": "deny", "environments": "production"}, "production"),
        ({"kind": "deny", "environments": {"attributes": {"type": "prod"}}}, "production"),
        ({"kind": "deny", "environments": {"type": "staging"}}, "staging"),
        ({"kind": "deny", "environments": {}}, "staging production"),
        ({"kind": "deny", "packages": ["shop/**"]}, "staging production"),
        ({"kind": "deny", "packages": ["shop/-/we"]}, ""),
        ({"kind": "deny", "packages": ["other/**", "**/web"], "environments": ["staging"]}, "staging"),
        ({"kind": "deny", "start": "2020-01-01", "end": "2021-01-01"}, ""),
        ({"kind": "deny", "start": "2020-01-01", "end": "2121-01-01"}, "staging production"),
        ({"kind": "deny", "start": "2120-01-01"}, ""),
        ({"kind": "deny", "note": "fields that are not known"}, "staging production"),
        ({"kind": "allow", "environments": ["production"], "start": "2020-01-01"}, ""),
        ({"kind": "allow", "environments": ["production"], "end": "2021-01-01"}, "production"),
        ({"kind": "allow", "start": "2020-01-01", "rrule": "FREQ=DAILY", "duration": "2d"}, ""),
        ({"kind": "allow", "approvals": {"count": 2}}, "staging production"),
        # What cannot be understood
        (5, "staging production"),
        (None, "staging production"),
        ({}, "staging production"),
        ({"kind": "dney", "environments": ["staging"]}, "staging"),
        ({"kind": "deny", "environments": []}, "staging production"),
        ({"kind": "deny", "environments": ["staging", 5]}, "staging production"),
        ({"kind": "deny", "environments": {"type": 5}}, "staging production"),
        ({"kind": "deny", "environments": ["staging"], "end": "tomorrow"}, "staging"),
        ({"kind": "deny", "environments": ["staging"], "packages": ["{"]}, "staging"),
        ({"kind": "deny", "environments": ["staging"], "timezone": "Mars/Phobos"}, "staging"),
        ({"kind": "deny", "environments": ["staging"], "actors": "ann", "end": "2020-01-01"}, "staging"),
        ({"kind": "deny", "packages": ["other/**"], "end": "tomorrow"}, ""),
        ({"kind": "allow", "environments": ["staging"], "statr": "2020-01-01"}, "staging"),
        ({"kind": "allow", "environments": ["staging"], "start": "2020-01-01", "rrule": "FREQ=SECONDLY"}, "staging"),
    ],
)
def test_what_a_gate_closes(made: Repo, monkeypatch: pytest.MonkeyPatch, document: object, closed: str) -> None:
    monkeypatch.chdir(made.path)
    for marker in "@+":
        tx = Transaction(ocuroot_git.open().snapshot())
        tx.set(f"{marker}/custom/gate/x", document)
        gates = Gates(tx)
        found = {name: gates.closures(WorkRef(WEB, "deploy", name)) for name in ("staging", "production")}
        assert " ".join(name for name, closures in found.items() if closures) == closed
        assert not gates.closures(WorkRef(WEB, "call", "build"))


def test_a_rule_that_dateutil_stumbles_over_closes_and_is_named(shop: Repo) -> None:
    rule = {"rrule": "FREQ=MONTHLY;BYDAY=53FR", "start": "2026-01-01", "duration": "1h"}
    set_gate(shop, "odd", {"kind": "deny", **rule})
    assert "which cannot be followed" in shop.ocuroot("gate", "list")
    assert is_closed(shop, "production")
    assert shop.run("work", "any").returncode == 0


@pytest.mark.parametrize("document", [5, {"kind": "deny", "environments": ["production"], "end": "tomorrow"}])
def test_a_gate_that_cannot_be_understood_says_why(shop: Repo, document: object) -> None:
    set_gate(shop, "x", document)
    words = "gate 'x', which is closed because it cannot be understood: "
    assert "hint: fix '@/custom/gate/x'" in refused(shop, 3, words, "run", "start", PRODUCTION)
    assert listed(shop)[0]["problem"] and listed(shop)[0]["state"] == "closed"
    shop.ocuroot("thaw", "x")
    shop.ocuroot("run", "start", PRODUCTION)


def test_a_gate_whose_file_is_damaged_closes_and_can_be_taken_away(shop: Repo) -> None:
    shop.git("checkout", "-q", "state")
    gate = shop.path / "refs" / "@" / "custom" / "gate"
    (gate / "broken").mkdir(parents=True)
    (gate / "broken" / "@object.json").write_text("{")
    (gate / "file").write_text("no directory")
    shop.git("add", "refs")
    shop.git("commit", "-q", "-m", "by hand")
    shop.git("checkout", "-q", "-")
    refused(shop, 3, "gate 'broken', which is closed because", "run", "start", STAGING)
    shop.ocuroot("thaw", "broken")
    refused(shop, 3, "gate 'file', which is closed because", "run", "start", STAGING)


def test_gates_whose_names_go_on_after_another_s_stay_when_that_is_thawed(shop: Repo) -> None:
    for name in ("a", "a/b", "a/b/c", "ab"):
        shop.ocuroot(*FREEZE, "production", "--name", name)
    shop.ocuroot("thaw", "a")
    assert [gate["name"] for gate in listed(shop)] == ["a/b", "a/b/c", "ab"]
    assert shop.run("get", f"{GATES}/a").returncode == shop.run("get", "+/custom/gate/a").returncode == 1
    put_file(shop, "refs/@/custom/gate/a/b/@object.json", "{")
    said = refused(shop, 128, "gate 'a/b' stands above a/b/c, and ", "thaw", "a/b")
    assert "hint: they would go with it: 'git ocuroot thaw a/b/c' first" in said
    shop.ocuroot("thaw", "a/b", "a/b/c")
    assert [gate["name"] for gate in listed(shop)] == ["ab"]


def test_gates_that_are_links_and_that_lie_below_a_link_are_taken_away(shop: Repo) -> None:
    steps = [
        'set @/custom/real {"kind": "deny"}',
        "set @/custom/others {}",
        'set @/custom/others/below {"kind": "deny"}',
        "link @/custom/others/itself @/custom/real",
        "link @/custom/gate @/custom/others",
    ]
    shop.ocuroot("update", "--stdin", input="\n".join(steps) + "\n")
    assert [gate["name"] for gate in listed(shop)] == ["below", "itself"] and is_closed(shop, "production")
    shop.ocuroot("thaw", "below", "itself")
    assert listed(shop) == [] and not is_closed(shop, "production")
    assert shop.value("@/custom/real") == {"kind": "deny"} and shop.value("@/custom/others") == {}


def test_an_environment_that_is_not_there_is_named(shop: Repo) -> None:
    set_gate(shop, "x", {"kind": "deny", "environments": ["prodution", "staging"]})
    assert listed(shop)[0]["missing_environments"] == ["prodution"]
    assert "there is no environment prodution" in shop.ocuroot("gate", "list")
    assert "there is no environment prodution" in Browser(application(shop.path)).get("/")


def test_of_gates_that_allow_one_is_enough(shop: Repo) -> None:
    past = {"kind": "allow", "environments": ["production"], "end": "2021-01-01"}
    set_gate(shop, "past", past)
    assert is_closed(shop, "production")
    set_gate(shop, "always", {"kind": "allow", "environments": ["production"]})
    assert not is_closed(shop, "production")
    # In intent alone, one that closes counts by itself.
    set_gate(shop, "past", past, "+")
    assert is_closed(shop, "production")


def test_a_freeze_says_what_it_closes_and_refuses_what_would_close_nothing(shop: Repo) -> None:
    refused(shop, 1, "no such environment: 'prodution'", *FREEZE, "prodution")
    refused(shop, 1, "no environment has type=live", *FREEZE, "type=live")
    refused(shop, 129, "say why: -m <text>", "freeze", "production")
    refused(shop, 129, "name environments", *FREEZE)
    refused(shop, 129, "takes a time", *FREEZE, "production", "--until", "soon")
    rule = ("--rrule=FREQ=WEEKLY", "--duration=1h")
    never = ("--rrule=FREQ=YEARLY;BYMONTHDAY=30;BYMONTH=2", "--duration=1h")
    refused(shop, 129, "which no day matches", *FREEZE, "production", *never)
    refused(shop, 1, "there is no gate 'x'", "thaw", "x")
    for over in (("--until", "2020-01-01"), ("--from=2020-01-01", "--until=2020-02-01")):
        refused(shop, 129, "it would close nothing: its time has passed", *FREEZE, "production", *over)
    refused(shop, 129, "'ann' is no actor", *FREEZE, "production", "--allow", "github:bob,ann")
    refused(shop, 129, "not known on this machine", *FREEZE, "production", *rule, "--timezone=Mars/X")
    hints = {"prodction": "did you mean 'production'?", "type=prd": "did you mean 'type=prod'?"}
    assert all(hint in refused(shop, 1, "environment", *FREEZE, name) for name, hint in hints.items())
    done = shop.run(*FREEZE, "production", "--package", "//wbe", "--package", "//web")
    assert "warning: no package matches 'shop/-/wbe' yet\n" in done.stderr
    assert shop.ocuroot(*FREEZE, "production") == f"{GATES}/production-2"
    refused(shop, 3, "there is a gate 'production' already", *FREEZE, "production", "--name", "production")
    weekly = (*FREEZE, "--all", "--package", "//we?", "--allow", "github:ann,github:bob", "--name", "weekly")
    shop.ocuroot(*weekly, "--rrule", "FREQ=WEEKLY;BYDAY=FR;BYHOUR=17", "--duration", "63h", "--timezone=Europe/Berlin")
    document = shop.value(f"{GATES}/weekly")
    assert document["packages"] == ["shop/-/we?"] and document["actors"] == ["github:ann", "github:bob"]
    assert document["start"].endswith("T00:00:00") and document["timezone"] == "Europe/Berlin"
    assert [gate["name"] for gate in listed(shop)] == ["production", "production-2", "weekly"]
    assert "closed deny" in shop.ocuroot("gate", "list")
    shop.ocuroot("thaw", "--all")
    assert shop.git("log", "-1", "--format=%s", "state") == "thaw all that is closed"
    assert shop.ocuroot("gate", "list") == ""


def test_a_freeze_under_a_name_has_one_effect(shop: Repo) -> None:
    again = (*FREEZE, "production", "--until=3d", "--operation=op-1")
    assert shop.ocuroot(*again) == shop.ocuroot(*again) == f"{GATES}/production"
    assert len(listed(shop)) == 1


def test_where_intent_lies_elsewhere_both_are_written(shop: Repo, tmp_path: Path) -> None:
    shop.git("branch", "wanted", "state")
    shop.git("config", "ocuroot.intent.branch", "wanted")
    shop.ocuroot(*FREEZE, "production")
    assert shop.git("show", "wanted:refs/+/custom/gate/production/@object.json")
    assert shop.git("show", "state:refs/@/custom/gate/production/@object.json")
    shop.ocuroot("thaw", "production")
    work_any(shop)


def test_whom_a_gate_lets_pass_starts_a_run_with_a_reason(shop: Repo) -> None:
    environ = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}
    shop.ocuroot(*FREEZE, "production", "--allow", "github:ann")
    shop.ocuroot(*FREEZE, "production", "--allow", "github:ann,github:bob", "--name", "other")
    start = ("run", "start", "--override", PRODUCTION)
    refused(shop, 129, "say why: -m <text>", *start, env=environ)
    assert "may not override gate 'other'; github:ann, github:bob may" in refused(
        shop, 3, "closed by", *start, "-m", "x"
    )
    bob = {**environ, "GITHUB_ACTOR": "bob"}
    assert "gate 'other'" not in refused(shop, 3, "gate 'production'", *start, "-m", "x", env=bob)
    refused(shop, 3, "gate 'production'", "run", "start", PRODUCTION, env=environ)
    shop.ocuroot(*start, "-m", "security fix", env=environ)
    begun = shop.value(f"{PRODUCTION}/1/functions/1#history/1")
    assert begun["override"] == {"gates": ["other", "production"], "by": "github:ann", "reason": "security fix"}
    message = shop.git("log", "-1", "--format=%B", "state")
    assert "Ocuroot-Command: run start --override\n" in message and "Ocuroot-Reason: security fix" in message


def test_a_run_that_is_executed_overrides_as_well(shop: Repo) -> None:
    environ = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ann"}
    shop.ocuroot(*FREEZE, "production", "--allow", "github:ann")
    shop.ocuroot("run", "exec", "-q", "--override", "-m", "fix", PRODUCTION, env=environ)
    assert shop.value(f"{PRODUCTION}/1/functions/1#history/1/override/reason") == "fix"
    assert shop.value(f"{PRODUCTION}/1/functions/1#current/status") == "complete"
    shop.ocuroot("run", "exec", "-q", "--override", "-m", "fix", STAGING)  # where nothing is closed, nothing is kept
    assert "override" not in shop.value(f"{STAGING}/1/functions/1#history/1")


@pytest.mark.parametrize("command", ["any", "cascade", "continue"])
def test_what_is_ready_is_not_let_past_gates_as_a_whole(shop: Repo, command: str) -> None:
    shop.ocuroot(*FREEZE, "production", "--allow", "local:test@example.com")
    said = refused(shop, 129, f"'work {command}' takes no '--override'", "work", command, "--override", "-m", "fix")
    assert "hint: it would pass whichever gates are closed to whatever is ready; name the one run: " in said
    assert "git ocuroot run exec <run> --override -m <why>" in said


def test_a_check_says_what_keeps_a_release(shop: Repo) -> None:
    check = ("gate", "check")
    assert shop.run(*check, WEB, "--environment=production").returncode == 0
    shop.ocuroot(*FREEZE, "production", "--until", "2121-01-01T00:00:00Z")
    shop.ocuroot(*FREEZE, "--all", "--package", "elsewhere/**", "--name", "other")
    done = shop.run(*check, WEB, "--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["environment"], one["gate"], one["until"], one["actors"]) for one in found] == [
        ("production", f"{GATES}/production", "2121-01-01T00:00:00Z", [])
    ]
    assert shop.run(*check, "//web/@", "--environment", "staging").returncode == 0
    assert len(shop.run(*check).stdout.splitlines()) == 3
    shop.ocuroot("thaw", "--all")
    shop.ocuroot("hold", "-m", "broken", WEB)
    assert "held by" in shop.run(*check, WEB, "--environment", "staging").stdout
    refused(shop, 1, "no such environment: 'x'", *check, "--environment", "x")


def test_status_and_the_page_say_what_is_closed(shop: Repo) -> None:
    assert json.loads(shop.ocuroot("status", "--json"))["closed_gates"] == []
    shop.ocuroot(*FREEZE, "production", "--until", "2121-01-01T00:00:00Z")
    set_gate(shop, "eyes", {"kind": "approve"})
    assert [gate["name"] for gate in json.loads(shop.ocuroot("status", "--json"))["closed_gates"]] == ["production"]
    assert "gate        production: production closed until 2121-01-01T00:00:00Z: incident 42" in shop.ocuroot("status")
    page = Browser(application(shop.path)).get("/")
    assert "Deployments to production do not start until" in page and "incident 42" in page


def test_a_gate_that_allows_nothing_now_is_not_told_of_where_another_allows_it(shop: Repo) -> None:
    def closed() -> list[str]:
        return [gate["name"] for gate in json.loads(shop.ocuroot("status", "--json"))["closed_gates"]]

    set_gate(shop, "later", {"kind": "allow", "environments": ["production"], "start": "2121-01-01"})
    assert closed() == ["later"]
    set_gate(shop, "elsewhere", {"kind": "allow", "environments": ["staging"]})
    assert closed() == ["later"]
    set_gate(shop, "now", {"kind": "allow", "environments": ["production"]})
    assert closed() == []
    assert shop.run("gate", "check", WEB, "--environment=production").returncode == 0


@pytest.mark.parametrize(
    ("windows", "is_timed"),
    [({"start": "2121-01-01"}, True), ({"end": "2020-01-01"}, False), ({"environments": ["staging"]}, False)],
)
def test_a_verdict_holds_until_a_window_begins(
    shop: Repo, monkeypatch: pytest.MonkeyPatch, windows: dict[str, Any], is_timed: bool
) -> None:
    """A start that waits to be written by another writer is written by nobody after that."""
    set_gate(shop, "x", {"kind": "deny", **windows})
    monkeypatch.chdir(shop.path)
    tx = Transaction(ocuroot_git.open().snapshot())
    runs.start(tx, WorkRef(WEB, "deploy", "production"))
    begins = datetime(2121, 1, 1, tzinfo=timezone.utc).timestamp()
    assert tx.holds_until == (begins if is_timed else None)
    listed = [names for draft in tx.drafts() for names in draft.listed]
    assert "refs/@/custom/gate" in listed and "refs/+/custom/gate" in listed, "a gate that comes meanwhile is noticed"
