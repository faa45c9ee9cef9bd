"""The timelines of environments, and of packages in them (design 12), asked of the application itself."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.delivering import deploy, package, prepare, release
from support.repositories import Repo
from support.viewing import Browser, application, text_of

from ocuroot_git.web import timelines

CI = {"CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://ci.example/1"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Of two packages web came to staging and production, and failed there later; api was taken down."""
    repo = Repo(tmp_path_factory.mktemp("shop"))
    repo.git("init", "-q")
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    both = package([deploy("staging")], [deploy("production")])
    release(repo, both, "web", "--tag=v1")
    release(repo, package([deploy("staging")]), "api")
    repo.ocuroot("work", "any", "-q", "-m", "the <first>", env={**os.environ, **CI})
    repo.git("commit", "-q", "--allow-empty", "-m", "second")
    release(repo, package([deploy("staging")], [deploy("production", up="exit 1")]), "web")
    repo.run("work", "any", "-q")
    repo.ocuroot("delete", "//api/+/deploy/staging")
    repo.run("work", "any", "-q")
    return repo


@pytest.fixture
def browser(shop: Repo) -> Browser:
    return Browser(application(shop.path))


def short(page: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (one["package"].rpartition("/")[2], one["environment"], one["type"], one["status"]) for one in page["items"]
    ]


def shown(browser: Browser, address: str) -> str:
    """The page once its slow part is there, as it is after JSON was asked for."""
    browser.json(address)
    return browser.get(address)


def refused(browser: Browser, address: str) -> str:
    answer = browser.ask(address, Accept="application/json")
    assert answer.status_code == 404
    return str(answer.get_json()["error"])


def test_an_environment_and_a_package_there_have_what_history_has(shop: Repo, browser: Browser) -> None:
    lines = shop.ocuroot("deployments", "--history", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    every = browser.json("/timeline")
    assert [{key: one[key] for key in events[0]} for one in every["items"]] == events
    staging = browser.json("/timeline?environment=staging")
    assert short(staging)[:2] == [("api", "staging", "down", "complete"), ("web", "staging", "up", "complete")]
    assert sorted(short(staging)[2:]) == [(name, "staging", "up", "complete") for name in ("api", "web")]
    cell = browser.json("/timeline?environment=production&package=shop/-/web")
    assert short(cell) == [("web", "production", "up", "failed"), ("web", "production", "up", "complete")]
    assert (cell["page"], cell["more"], cell["done"], cell["is_cut"]) == (1, False, True, False)
    assert len(browser.json("/timeline?package=shop/-/web")["items"]) == 4


def test_a_page_says_who_why_and_from_which_to_which(shop: Repo, browser: Browser) -> None:
    page = shown(browser, "/timeline?environment=production&package=shop/-/web")
    text = text_of(page)
    assert "web failed to come to @2" in text and "from @1, 1 commit on" in text
    assert "web came to @1 v1" in text and "by circleci:ann · the &lt;first&gt;" in text
    assert 'href="https://ci.example/1" rel="noreferrer noopener nofollow"' in page
    assert 'href="/ref/shop/-/web/@2/deploy/production/1"' in page
    assert "taken down" in shown(browser, "/timeline?environment=staging")


def test_the_matrix_and_the_environment_lead_there(browser: Browser) -> None:
    matrix = browser.get("/deployments")
    assert 'href="/timeline?environment=production&amp;package=shop%2F-%2Fweb"' in matrix
    assert 'href="/timeline?environment=production"' in browser.get("/ref/@/environment/production")


def test_pages_follow_each_other(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "PER_PAGE", 2)
    pages = [browser.json(f"/timeline?environment=staging&page={number}") for number in (1, 2, 3)]
    assert [(len(page["items"]), page["more"]) for page in pages] == [(2, True), (2, False), (0, False)]
    first, second = (browser.get(f"/timeline?environment=staging&page={number}") for number in (1, 2))
    assert 'rel="next" href="/timeline?environment=staging&amp;page=2"' in first and 'rel="prev"' not in first
    assert 'rel="prev" href="/timeline?environment=staging&amp;page=1"' in second and 'rel="next"' not in second
    assert "There are no older deployments" in browser.get("/timeline?environment=staging&page=3")


def test_what_is_not_there_is_not_found(browser: Browser) -> None:
    assert "no such environment" in refused(browser, "/timeline?environment=prod")
    assert "no such package" in refused(browser, "/timeline?package=shop/-/wbe")
    assert "no such package" in refused(browser, "/timeline?package=shop/-/w*"), "a name, and no pattern"


def test_a_directory_has_no_timeline(tmp_path: Path, shop: Repo) -> None:
    shop.ocuroot("export", "-q", str(tmp_path / "exported"))
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("config", "ocuroot.state.path", str(tmp_path / "exported"))
    browser = Browser(application(other.path))
    assert "has no history" in refused(browser, "/timeline")
    for page in ("/deployments", "/ref/@/environment/production"):
        assert 'href="/timeline' not in browser.get(page)


def test_as_of_a_moment(shop: Repo) -> None:
    (end,) = [
        one["store_commit"]
        for one in Browser(application(shop.path)).json("/timeline?environment=production")["items"]
        if one["status"] == "complete"
    ]
    then = Browser(application(shop.path, at=end)).json("/timeline?environment=production")
    assert [one["status"] for one in then["items"]] == ["complete"]


def test_the_answer_comes_when_it_is_there(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long history is read in the background: the page does not wait, and says so."""
    may_go_on = threading.Event()
    read = timelines._read

    def slow(*arguments: Any) -> Any:
        may_go_on.wait(60)
        return read(*arguments)

    monkeypatch.setattr(timelines, "_read", slow)
    browser = Browser(application(shop.path, 0.0))
    try:
        assert "History is being read" in browser.get("/timeline")
    finally:
        may_go_on.set()
    assert len(browser.json("/timeline")["items"]) == 6
