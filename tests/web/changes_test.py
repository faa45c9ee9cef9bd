"""The history of a document, as its page tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.repositories import Repo
from support.story import FRONTEND
from support.viewing import Browser, application, tell_story

from ocuroot_git.opening import open_stores
from ocuroot_git.store import history
from ocuroot_git.web import changes


def test_history_tells_who_changed_what_and_what_it_was(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    for value in ('{"open": false}', '{"open": true}'):
        told.ocuroot("set", "--format", "json", "+/custom/gate", value)
    told.ocuroot("delete", "+/custom/gate")
    browser = Browser(application(told.path))
    entries = browser.json("/history/+/custom/gate")["entries"]
    assert [(one["status"], one["command"], one["author"]) for one in entries] == [
        ("D", "delete", "Test"),
        ("M", "set", "Test"),
        ("A", "set", "Test"),
    ]
    assert entries[1]["difference"][1:3] == [["-", '  "open": false'], ["+", '  "open": true']]
    commits = browser.json("/commits")["commits"]
    assert [one["subject"] for one in commits][:3] == ["delete +/custom/gate"] + ["set +/custom/gate"] * 2
    commit = browser.json(f"/commit/{commits[0]['commit']}")
    assert commit["page"]["items"] == [{"status": "D", "ref": "+/custom/gate"}]
    # Nothing of it is left, and every link to it still leads somewhere.
    assert browser.ask("/ref/+/custom/gate").status_code == 404
    assert "There is no such document now" in browser.get("/history/+/custom/gate")


def test_long_history_goes_on_from_page_to_page(store: Repo) -> None:
    for number in range(23):
        store.ocuroot("set", "+/custom/counter", str(number))
    browser = Browser(application(store.path))
    first = browser.json("/history/+/custom/counter")
    assert len(first["entries"]) == 20
    second = browser.json(f"/history/+/custom/counter?from={first['next']}")
    assert (len(second["entries"]), second["next"]) == (3, None)


def test_what_git_knows_of_older_commits_is_found_at_once(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MEETING_POINT", "")
    monkeypatch.setattr(changes, "MOST_COMMITS", 20)
    stores = open_stores(str(store.path))
    for number in range(40):
        stores.set("+/custom/old" if number in (3, 9) else "+/custom/new", number)
    browser = Browser(application(store.path))
    first = browser.json("/history/+/custom/old")
    assert (first["entries"], first["next"]) == ([], store.git("rev-parse", "state~20"))
    repository = stores.backend("state")[0].repository
    assert repository is not None
    graph = stores.surroundings.commit_graph(repository)
    tip = store.oid("state")
    assert graph.changed(tip, ["refs"], write=tip)
    found = browser.json("/history/+/custom/old")
    assert [(one["status"], one["commit"]) for one in found["entries"]] == [
        ("M", store.git("rev-parse", "state~30")),
        ("A", store.git("rev-parse", "state~36")),
    ]
    assert (found["next"], found["problem"]) == (None, "")


def test_commits_that_only_record_logs_are_folded(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    run = f"{FRONTEND}/@12/call/smoke/1"
    for line in ("one", "two", "three"):
        told.ocuroot("run", "log", run, input=f"{line}\n")
    told.ocuroot("set", "+/custom/after", "1")
    browser = Browser(application(told.path))
    assert [one["command"] for one in browser.json("/")["changes"][:2]] == ["set", "update"]
    page = browser.json("/commits")
    assert [one["folded"] for one in page["commits"][:2]] == [0, 3]
    text = browser.get("/commits")
    assert "3 commits of logs of runs" in text
    assert "&amp;logs=1" in text
    assert [one["command"] for one in browser.json("/commits?logs=1")["commits"][1:4]] == ["run log"] * 3


def test_long_documents_are_compared_quickly(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    for count in range(12):
        value = [f"line {number % 7} of {count}" for number in range(900)]
        told.ocuroot("set", "--format", "json", "+/custom/long", json.dumps(value))
    page = Browser(application(told.path)).json("/history/+/custom/long")
    assert len(page["entries"]) == 12
    lines = page["entries"][0]["difference"]
    assert lines[0] == [" ", "["] and lines[-1] == [" ", "]"]
    assert [mark for mark, _ in lines[1:-1]] == ["-"] * 900 + ["+"] * 900
