"""The stores as they were at a moment that is chosen in the page (`?at=`), or for all pages (`--at`)."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path

import pytest
from support.delivering import call, package, prepare, release
from support.repositories import Repo
from support.viewing import ADDRESS, Browser, application


@pytest.fixture
def shop(store: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A store that was made long ago; a run went on when the second release was made, and has ended since."""
    for name in ("GIT_COMMITTER_DATE", "GIT_AUTHOR_DATE"):
        monkeypatch.setenv(name, "2020-01-05T09:00:00Z")
    prepare(store, "staging")
    work = f"{release(store, package([call('build')]))}/call/build"
    claim = {"time": "2020-01-05T09:59:00Z", "owner": "far:1:2", "until": "2020-01-05T10:20:00Z"}
    moment = {"GIT_COMMITTER_DATE": "2020-01-05T10:00:00Z", "GIT_AUTHOR_DATE": "2020-01-05T10:00:00Z"}
    lines = [f"delete {work}/1/status/pending", f"set {work}/1/status/running {json.dumps(claim)}"]
    function = json.loads(store.ocuroot("get", f"{work}/1/functions/1"))
    function["current"]["status"] = "running"
    lines.append(f"set {work}/1/functions/1 {json.dumps(function)}")
    store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n", env={**os.environ, **moment})
    store.git("tag", "then", "state")
    monkeypatch.undo()
    store.ocuroot("run", "finish", f"{work}/1", "--status", "complete", "--force")
    return store


def test_a_moment_is_a_commit_a_revision_or_a_date(shop: Repo) -> None:
    browser = Browser(application(shop.path))
    oid = shop.git("rev-parse", "then").strip()
    assert browser.json("/")["counts"]["unfinished"] == 0
    for at in (oid, oid[:10], "then", "state~1", "2020-01-05T12:00:00Z"):
        page = browser.json(f"/?at={at}")
        assert (page["tip"], page["counts"]["unfinished"]) == (oid, 1), at
    for at in ("nonsense", "0" * 40, "2001-01-01", "\x00", "-x", "@{upstream}"):
        assert browser.ask(f"/?at={at}").status_code == 404, at


def test_what_ran_then_runs_there_and_ages_count_from_then(shop: Repo) -> None:
    browser = Browser(application(shop.path))
    (row,) = browser.json("/work?at=then")["items"]
    assert row["standing"] == "running"  # whatever became of its claim since
    page = browser.get("/work?at=then")
    assert "1 minute ago" in page and "year" not in re.sub(r"<time [^>]*>", "", page)
    assert 'data-fixed="then"' in page and "2020-01-05 10:00:00" in page
    assert Browser(application(shop.path, at="then")).json("/work")["items"] == [row]


def test_gates_are_judged_then(shop: Repo) -> None:
    """One was closed for ten days, in which the store was last written to; nothing waits for it now."""
    then = {**os.environ, "GIT_COMMITTER_DATE": "2020-01-06T10:00:00Z", "GIT_AUTHOR_DATE": "2020-01-06T10:00:00Z"}
    span = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-11T00:00:00Z"}
    closed = json.dumps({"kind": "deny", "environments": ["staging"], **span, "reason": "the holidays"})
    shop.ocuroot("update", "--stdin", input=f"set @/custom/gate/freeze-1 {closed}\n", env=then)
    shop.git("tag", "frozen", "state")
    browser = Browser(application(shop.path))
    assert browser.json("/")["closed_gates"] == []
    (gate,) = browser.json("/?at=frozen")["closed_gates"]
    assert (gate["until"], gate["reason"]) == ("2020-01-11T00:00:00Z", "the holidays")
    assert "closed" in browser.get("/deployments?at=frozen") and "closed" not in browser.get("/deployments")


def test_links_stay_in_the_moment(shop: Repo) -> None:
    browser = Browser(application(shop.path))
    seen = 0
    for page in ("/", "/work", "/packages", f"/ref/{browser.json('/packages')['items'][0]['package']}", "/deployments"):
        text = browser.get(f"{page}?at=then")
        for address in map(html.unescape, ADDRESS.findall(text)):
            if address.startswith(("#", "/static", "/colours", "/commit", "/history", "/?now")):
                continue
            if f'action="{address}"' in text:
                assert 'name="at" value="then"' in text
                continue
            assert "at=then" in address, (page, address)
            assert browser.ask(address.partition("#")[0]).status_code == 200
            seen += 1
    assert seen > 40
    commit = shop.git("rev-parse", "then").strip()
    assert f'href="/?at={commit}"' in browser.get(f"/commit/{commit}")


def test_a_moment_before_the_store_and_in_a_directory(shop: Repo, tmp_path: Path) -> None:
    exported = str(tmp_path / "store")
    shop.ocuroot("export", "-q", exported)
    directory = Browser(application(shop.path, OCUROOT_STATE=exported, OCUROOT_INTENT=exported))
    assert directory.ask("/?at=then").status_code == 404  # it has no history
    page = directory.get("/")
    assert "Show how it was" not in page and "follows the directory" in page
    keys = re.findall(r"<kbd>g</kbd> <kbd>(\w)</kbd>", page)
    assert keys == re.findall(r'data-goes="(\w)"', page) and "d" in keys and "m" not in keys
