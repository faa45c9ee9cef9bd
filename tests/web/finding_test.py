"""What plain words find, beside the patterns of `match`."""

from __future__ import annotations

import pytest
from support.repositories import Repo
from support.story import BACKEND, FRONTEND, SEARCH
from support.viewing import Browser, application, tell_story


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return tell_story(tmp_path_factory.mktemp("view") / "shop", author="Ann Example")


@pytest.fixture(scope="module")
def browser(told: Repo) -> Browser:
    return Browser(application(told.path))


def found(browser: Browser, query: str) -> dict[str, list[str]]:
    page = browser.json(f"/search?q={query}")
    for group in page["groups"]:
        for item in group["items"]:
            assert browser.ask(item["address"]).status_code == 200, item
    return {group["name"]: [item["text"] for item in group["items"]] for group in page["groups"]}


def test_words_find_packages_environments_tags_commits_and_actors(browser: Browser, told: Repo) -> None:
    assert found(browser, "FRONT")["Packages"] == [FRONTEND]
    assert found(browser, "release+shop")["Packages"] == [BACKEND, FRONTEND, SEARCH]
    assert found(browser, "us-east-1") == {"Environments": ["production-us"]}
    assert found(browser, "production")["Environments"] == ["production-eu", "production-us"]
    assert found(browser, "v1.9")["Releases by tag or commit"] == [f"{FRONTEND}/@v1.9"]
    source = browser.json(f"/ref/{FRONTEND}/@12")["release"]["commit"]
    assert found(browser, source[:9])["Releases by tag or commit"] == [f"{FRONTEND}/@12"]
    oid = told.git("rev-parse", "state").strip()
    assert len(found(browser, oid[:8])["Commits of the store"]) == 1
    assert found(browser, "ann")["Commits of the store"]
    assert found(browser, "nobody") == {} and "Nothing has that name" in browser.get("/search?q=nobody")


def test_patterns_and_whole_refs_find_refs(browser: Browser) -> None:
    assert found(browser, "**/@12") == {}
    assert browser.json("/search?q=**/@12")["items"] == [f"{FRONTEND}/@12"]
    page = browser.json(f"/search?q={FRONTEND}/@12")
    assert page["items"] == [f"{FRONTEND}/@12"]
    for odd in ("%00", "+", "%FF", "'\"<x>", "a" * 5000, "abcd"):
        assert browser.ask(f"/search?q={odd}").status_code == 200
