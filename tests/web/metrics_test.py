"""The page of metrics says what `git ocuroot metrics` says."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.delivering import deploy, package, prepare, release
from support.repositories import Repo
from support.viewing import Browser, application
from support.waiting import wait_until

from ocuroot_git.web import pictures


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Releases in two environments, of which one failed and was made again."""
    repo = Repo(tmp_path_factory.mktemp("metrics"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    up = "test $OCUROOT_ENVIRONMENT != production -o -e ready"
    for number in (1, 2):
        repo.git("commit", "-q", "--allow-empty", "-m", str(number))
        release(repo, package([deploy("staging", up=up)], [deploy("production", up=up)]))
        if number == 2:
            (repo.path / "ready").unlink()
            assert repo.run("work", "any", "-q").returncode == 1
            repo.ocuroot("run", "retry", "shop/-/web/@2/deploy/production/1")
        (repo.path / "ready").touch()
        repo.ocuroot("work", "any", "-q")
    return repo


def browser_of(repo: Repo, at: str | None = None) -> Browser:
    return Browser(application(repo.path, at=at))


def whole(browser: Browser, address: str) -> str:
    """A page, once it says all that it will say."""
    wait_until(lambda: "is being read" not in browser.get(address))
    return browser.get(address)


def test_the_page_says_what_the_command_says(shop: Repo) -> None:
    browser = browser_of(shop)
    page = browser.json("/metrics")
    commanded = [
        json.loads(line)
        for line in shop.ocuroot("metrics", "--json", "--since=90d", "--by=package,environment").splitlines()
    ]
    assert [{key: one[key] for key in commanded[0]} for one in page["items"]] == commanded
    assert page["total"] == json.loads(shop.ocuroot("metrics", "--json", "--since=90d"))
    assert (page["days"], page["by"], len(page["parts"])) == (90, "package,environment", 13)
    assert sum(page["items"][0]["parts"]) == commanded[0]["deployments"] == 2
    assert [one["deployments"] for one in page["parts"][-2:]] == [None, 4]  # before, nothing was recorded
    text = whole(browser, "/metrics")
    assert "33.3 %" in text and "50.0 %" not in text and "unknown" in text
    assert browser.json("/metrics?by=environment&days=7")["items"][1]["environment"] == "staging"
    assert browser.json("/metrics?by=nothing&days=x")["days"] == 90
    assert '<a href="/metrics" data-goes="m" aria-current="page">Metrics</a>' in text


def test_metrics_of_a_moment_end_there(store: Repo) -> None:
    prepare(store, "staging")
    long_ago = {"GIT_COMMITTER_DATE": "2020-01-05T10:00:00Z", "GIT_AUTHOR_DATE": "2020-01-05T10:00:00Z"}
    release(store, package([deploy("staging")]))
    store.ocuroot("work", "any", "-q")
    store.ocuroot("set", "-q", "+/custom/later", "1", env={**os.environ, **long_ago})
    assert store.git("log", "-1", "--format=%cs", "state") == "2020-01-05"
    page = browser_of(store).json("/metrics?at=state")
    assert page["parts"][0]["start"].startswith("2019-10-07")  # 90 days before
    assert not browser_of(store).json("/metrics")["parts"][0]["start"].startswith("2019")


class _Charts(HTMLParser):
    """Collects the charts of a page, with what is said of each, and its bars."""

    def __init__(self) -> None:
        super().__init__()
        self.charts: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert "style" not in found and not any(name.startswith("on") for name in found)
        if tag == "svg" and "chart" in (found.get("class") or "").split():
            self.charts.append({**found, "bars": 0})
        if tag == "rect":
            self.charts[-1]["bars"] += 1
            x, y, width, height = (float(found[name] or "") for name in ("x", "y", "width", "height"))
            right = float((self.charts[-1]["viewbox"] or "").split()[2])
            assert 0 <= x <= x + width <= right and 0 <= y < y + height <= 48


def test_charts_need_no_script_and_have_words_and_a_table(shop: Repo) -> None:
    text = whole(browser_of(shop), "/metrics")
    charts = _Charts()
    charts.feed(text)
    assert len(charts.charts) == 5 + 2
    assert all(one["role"] == "img" and one["aria-label"] for one in charts.charts)
    assert [one["bars"] for one in charts.charts] == [1, 1, 1, 1, 1, 13, 13]
    table = text[text.index('id="figures"') :]
    assert len(re.findall(r"<tr><th scope=\"row\"><time", table)) == 13 and "unknown" in table


def test_nothing_to_show(repo: Repo, tmp_path: Path) -> None:
    repo.ocuroot("init", "-q")
    assert "Nothing was deployed in this time." in whole(browser_of(repo), "/metrics")
    repo.ocuroot("export", "-q", "exported")
    other = Repo(repo.path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("config", "ocuroot.state.path", str(repo.path / "exported"))
    browser = browser_of(other)
    assert browser.ask("/metrics").status_code == 404
    assert 'href="/metrics"' not in browser.get("/")


def test_a_shallow_clone_and_a_bad_incident_are_said(shop: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    shop.git("clone", "-q", "--depth", "2", "--no-single-branch", f"file://{shop.path}", str(other.path))
    other.git("branch", "state", "origin/state")
    other.ocuroot("update", "--stdin", input="set @/custom/incident/x 1\n")
    browser = browser_of(other)
    page = browser.json("/metrics")
    assert page["is_cut"] and page["left_out"]["items"][0]["ref"] == "@/custom/incident/x"
    text = whole(browser, "/metrics")
    assert "History begins later here" in text and "is left out" in text


def test_bars_reach_from_the_bottom_as_high_as_their_values() -> None:
    assert pictures.bars([2, None, 0, 4], 48) == [(1, 24, 24), (21, 47, 1), (31, 0, 48)]
    assert pictures.bars([0, 0], 48) == [(1, 47, 1), (11, 47, 1)]
    assert pictures.bars([None], 48) == []
