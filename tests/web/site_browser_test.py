"""A site in a real browser, opened from the disk: Chromium, driven by playwright; skipped where either is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browsing import launched, needs_chromium
from support.sites import write_site
from support.story import BACKEND, FRONTEND
from support.viewing import tell_story

from ocuroot_git.web.site_names import page_file

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra 'browser')")
pytestmark = needs_chromium

PAGES = (
    "/",
    "/deployments",
    "/environments",
    "/work",
    "/metrics",
    "/commits",
    "/search",
    f"/ref/{FRONTEND}",
    f"/ref/{FRONTEND}/@12",
    f"/ref/{BACKEND}/@3/call/smoke/2",
    f"/ref/{BACKEND}/@3/call/smoke/2/logs",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site")
    write_site(tell_story(path / "shop"), path / "out")
    return path / "out"


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[BrowserContext]:
    """A window in which no page may complain, or ask for anything but files."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith("file:") else None)
    # The icon is asked for when a page is whole: going on to the next page may abort that.
    context.on("requestfailed", lambda it: said.append(it.url) if it.failure != "net::ERR_ABORTED" else None)
    yield context
    context.close()
    assert said == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_of_page_from_the_disk(chromium: Chromium, out: Path, theme: str) -> None:
    """No horizontal scrolling at 390 px, the style sheet is there, and axe finds nothing serious."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for address in PAGES:
        page.goto((out / page_file(address)).as_uri())
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(14, 19, 26)" if theme == "dark" else "rgb(245, 246, 249)"), address
        found = [one for one in axe.Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert not found, (address, [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found])
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        page.set_viewport_size({"width": 1280, "height": 800})
    page.close()


def test_no_page_complains_or_asks_for_more_than_files(browser: BrowserContext, out: Path) -> None:
    page = browser.new_page()
    for address in PAGES:
        page.goto((out / page_file(address)).as_uri())
        assert page.locator("h1").count() == 1, address


def test_ages_are_made_of_times_as_they_are_read(browser: BrowserContext, out: Path) -> None:
    page = browser.new_page()
    page.goto((out / page_file(f"/ref/{BACKEND}/@3/call/smoke/2")).as_uri())
    assert re.fullmatch(r"\d+ minutes ago", page.locator("dl.facts time").first.inner_text())


def test_the_search_works_from_the_disk(browser: BrowserContext, out: Path) -> None:
    page = browser.new_page()
    page.goto((out / page_file(f"/ref/{FRONTEND}/@12")).as_uri())
    page.keyboard.press("/")
    page.keyboard.type("backend")
    page.keyboard.press("Enter")
    page.wait_for_selector("#found .row")
    assert page.url.endswith("search/index.html?q=backend")
    rows = page.locator("#found .row-main").all_inner_texts()
    assert rows[0] == BACKEND and f"{BACKEND}/@3" in rows
    page.fill("#q", "v1.9 FRONTEND")
    assert page.locator("#found .row-main").all_inner_texts() == [f"{FRONTEND}/@9"]
    page.locator("#found .row").click()
    assert page.locator("h1").inner_text().startswith("@9")
    page.locator(".node").first.click()
    assert page.locator("#log-title").is_visible()


def test_without_scripts(chromium: Chromium, out: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((out / "index.html").as_uri())
    page.click("text=Deployments")
    page.locator(".matrix a.package").first.click()
    page.locator("#releases a.chip").first.click()
    assert page.locator(".node").count() > 1
    page.fill("#q", "web")
    page.click("button >> text=Find")
    assert "takes JavaScript" in page.locator("#told").inner_text()
    page.click("#told >> text=packages")
    assert page.locator("h1").inner_text() == "Packages"
    context.close()
