"""The view in a real browser: Chromium, driven by playwright. Skipped where either is missing.

Writes pictures of the main pages, in both themes and two widths, to `build/screenshots/`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from support.browsing import go, launched, needs_chromium, settle, windows
from support.delivering import call, deploy, package, prepare, release, want_environment
from support.program import TOP
from support.repositories import Repo, begin
from support.story import BACKEND, FRONTEND
from support.viewing import tell_story, viewed

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page
    from support.browsing import OpenPage

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra 'browser')")
pytestmark = needs_chromium
SCREENSHOTS = TOP / "build" / "screenshots"
PAGES = {
    "overview": "/",
    "deployments": "/deployments",
    "environments": "/environments",
    "environment": "/ref/@/environment/production-eu",
    "packages": "/packages",
    "package": f"/ref/{FRONTEND}",
    "release": f"/ref/{FRONTEND}/@12",
    "run": f"/ref/{BACKEND}/@3/call/smoke/2",
    "log": f"/ref/{BACKEND}/@3/call/smoke/2/logs",
    "log-line": f"/ref/{BACKEND}/@3/call/smoke/2/logs?line=4",
    "log-find": f"/ref/{BACKEND}/@3/call/smoke/2/logs?find=e",
    "waiting": f"/ref/{FRONTEND}/@12/deploy/production-eu/1",
    "timeline": "/timeline",
    "timeline-environment": "/timeline?environment=production-eu",
    "work": "/work",
    "work-environment": "/work?environment=production-eu",
    "custom": "/custom",
    "diff": "/diff",
    "metrics": "/metrics?days=365",
    "search": "/search?q=**/@/deploy/*",
    "search-words": "/search?q=prod",
    "find": "/search",
    "past": "/?at=state~1",
    "history": "/history/+/custom/freeze",
    "commits": "/commits",
    "problem": "/ref/nothing/-/here/@1",
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = tell_story(tmp_path_factory.mktemp("browser") / "shop", author="Grace Example")
    repo.ocuroot("set", "+/custom/banner", "Scheduled maintenance on Sunday, 8:00 to 9:00")
    return repo


@pytest.fixture(scope="module")
def address(told: Repo) -> Iterator[str]:
    with viewed(told) as (address, _):
        yield address.rstrip("/")


@pytest.fixture
def open_page(chromium: Chromium, address: str) -> Iterator[OpenPage]:
    with windows(chromium, address) as open_:
        yield open_


def unfolded(page: Page, name: str) -> bool:
    return bool(page.locator(f"details#{name}").evaluate("one => one.open"))


def test_open_page_follows_the_branch_and_stays_where_the_reader_is(open_page: OpenPage, tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    with viewed(told) as (base, _):
        page = open_page(f"/ref/{FRONTEND}/@12", at=base.rstrip("/"), viewport={"width": 900, "height": 300})
        page.locator("#body-details summary").click()
        page.locator("#below-details summary").click()
        page.evaluate("document.getElementById('body').scrollTop = 60")
        page.locator(".node >> nth=1").focus()
        page.evaluate("window.scrollTo(0, 250)")
        page.wait_for_selector("#live:text-is('follows the branch')")
        run = f"{FRONTEND}/@12/call/smoke/1"
        lines = [f"delete {run}/status/running", f'set {run}/status/complete {{"time": "2026-01-05T09:00:00Z"}}']
        told.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
        page.wait_for_selector(f'a.node.is-complete[href="/ref/{run}"]')
        assert page.evaluate("window.scrollY") == 250
        assert unfolded(page, "body-details") and unfolded(page, "below-details")
        assert page.evaluate("document.getElementById('body').scrollTop") == 60
        assert "/call/test/1" in page.evaluate("document.activeElement.getAttribute('href')")
        # What changed is marked, and only that.
        # The run, and two deployments that waited for it and are ready now; those are known a moment later.
        page.locator(".pipeline .changed").nth(2).wait_for()
        marked = page.locator(".pipeline .changed .node-name").all_inner_texts()
        assert sorted(map(str.strip, marked)) == ["production-eu", "production-us", "smoke"]
        # And again, after what was unfolded was folded.
        page.locator("#below-details summary").click()
        told.ocuroot("update", "--stdin", input=f'set {FRONTEND}/@12/custom/approval {{"by": "ada"}}\n')
        page.wait_for_selector("text=Said of it")
        assert unfolded(page, "body-details") and not unfolded(page, "below-details")


WATCH_THE_SCRIPT = """
    const [ask, later] = [window.fetch, window.setTimeout];
    [window.asked, window.pauses] = [[], new Set()];
    window.fetch = (address, ...more) => { window.asked.push(address); return ask(address, ...more); };
    window.setTimeout = (act, pause) => {
        if (act.name === "follow") window.pauses.add(pause);
        return later(act, pause);
    };
"""


def test_a_change_is_seen_with_the_next_answer_and_each_second_one_is_asked_for(
    open_page: OpenPage, tmp_path: Path
) -> None:
    told = tell_story(tmp_path / "shop")
    with viewed(told) as (base, _):
        page = open_page("/environments", at=base.rstrip("/"))
        page.add_init_script(WATCH_THE_SCRIPT)
        page.reload()
        page.wait_for_selector("#live:text-is('follows the branch')")
        for name in ("one", "two", "three"):
            document = f'{{"name": "{name}", "attributes": {{}}}}'
            before = page.evaluate("asked.length")
            told.ocuroot("update", "--stdin", input=f"set @/environment/{name} {document}\n")
            after = page.evaluate("asked.length")
            page.locator(f'a[href="/ref/@/environment/{name}"]').first.wait_for()
            asked = page.evaluate("asked")
            shown = next(at for at in range(before, len(asked)) if asked[at] != "/tip")
            assert asked[after:shown] in ([], ["/tip"]), (asked, before, after)
        assert page.evaluate("[...pauses]") == [1000]


def test_page_says_when_the_server_is_gone(open_page: OpenPage, tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    with viewed(told) as (base, _):
        page = open_page("/", at=base.rstrip("/"))
        page.wait_for_selector("#live:text('follows the branch')")
        before = page.locator("#main").inner_text()
        page.context.set_offline(True)
        page.wait_for_selector("#live:text('the server does not answer')")
        assert page.locator("#main").inner_text() == before
        page.context.set_offline(False)
        page.wait_for_selector("#live:text('follows the branch')")


def test_without_javascript_every_page_and_form_works(open_page: OpenPage, address: str) -> None:
    page = open_page("/", java_script_enabled=False)
    for path in PAGES.values():
        go(page, address + path)
        assert page.locator("h1").count() == 1
    go(page, address + "/")
    page.locator("nav.tabs >> text=Deployments").click()
    page.wait_for_url("**/deployments")
    settle(page)
    page.locator('.matrix td >> a:text("@11")').click()
    page.wait_for_url(f"**/{FRONTEND}/@11/deploy/production-eu/1")
    page.locator("summary >> text=Show the JSON").click()
    assert page.locator("pre#body").is_visible()
    page.locator("#q").fill("**/custom/approval")
    page.locator("#q").press("Enter")
    page.wait_for_url("**/search?q=*")
    settle(page)
    page.locator("ul.refs a").click()
    assert "looks good, no open incidents" in page.locator("pre#body").inner_text()


def test_keyboard_alone_reaches_and_shows_everything(open_page: OpenPage) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("**/@12")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('ul.refs a')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is to be seen"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ref/{FRONTEND}/@12")
    # Every link and every region that scrolls is in the order of the keyboard.
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("(document.activeElement.getAttribute('href') || '') + '#' + document.activeElement.id")
        )
    visible = "all => all.filter(a => a.checkVisibility()).map(a => a.getAttribute('href') + '#')"
    wanted = page.eval_on_selector_all("main a", visible)
    assert set(wanted) <= reached
    assert "#pipeline" in reached


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1600, 390])
def test_pages_are_accessible_fit_their_width_and_are_pictured(
    open_page: OpenPage, address: str, theme: str, width: int
) -> None:
    """No finding of axe, nothing that sticks out sideways, on a screen and on paper; writes the screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = open_page("/", color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    checker = axe.Axe()
    for name, path in PAGES.items():
        go(page, address + path)
        # Colours and structure are the same at any width: the narrow pages are checked for what sticks out.
        if width > 1000:
            assert findings(checker, page) == [], f"{name}, {theme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is too wide for {width}"
        page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{width}.png", full_page=True)


def test_long_names_are_broken_and_no_page_sticks_out(chromium: Chromium, store: Repo) -> None:
    """Names, reasons and attributes of one long word; what is our own word stays whole."""
    word, place = "w" * 150, "e" * 100
    prepare(store)
    want_environment(store, place, of=word)
    store.ocuroot("apply", "--all")
    work = [[call(word)], [deploy(place, inputs={"approve": {"ref": "./custom/approve"}})]]
    release(store, package(*work), f"{word}/{word}.json")
    store.ocuroot("freeze", place, "--name", word, "-m", word)
    of_package = f"/ref/shop/-/{word}/{word}.json/@1"
    pages = ["/", *(f"/{name}" for name in ("deployments", "environments", "packages", "work", "commits"))]
    pages += [f"/ref/@/environment/{place}", f"/history/@/custom/gate/{word}", of_package]
    with viewed(store) as (first, _), windows(chromium, first.rstrip("/")) as open_page:
        page = open_page("/")
        for path in pages:
            go(page, first.rstrip("/") + path)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}"
                find = page.locator(".search button")
                assert find.evaluate("(one) => one.scrollWidth <= one.clientWidth && one.offsetHeight < 40")


def findings(checker: Any, page: Page) -> list[tuple[str, str]]:
    """What axe finds wrong with a page."""
    return [(one["id"], one["nodes"][0]["html"]) for one in checker.run(page).response["violations"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_actions_are_accessible_and_fit_their_width(chromium: Chromium, told: Repo, theme: str) -> None:
    checker = axe.Axe()
    with viewed(told, "--write") as (first, _), windows(chromium, first) as open_page:
        page = open_page("", at=first, color_scheme=theme, viewport={"width": 1600, "height": 900})
        base = first.partition("/?key=")[0]
        chosen = "/do/freeze?environment=production-eu&until=2121-01-01+12:00"
        for path in ("/do", "/do/freeze", "/do/promote", chosen, f"/ref/{FRONTEND}/@12", "/ref/@/environment/staging"):
            page.set_viewport_size({"width": 1600, "height": 900})
            go(page, base + path)
            assert findings(checker, page) == [], f"{path}, {theme}"
            page.set_viewport_size({"width": 390, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        go(page, base + "/")
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible() and findings(checker, page) == []


def test_every_page_is_printed_whole(open_page: OpenPage, address: str) -> None:
    """On paper nothing is cut off that a screen would scroll, and what only leads on is left out."""
    page = open_page("/", viewport={"width": 1000, "height": 1400})  # of A4, at its usual scale
    page.emulate_media(media="print")
    for name, path in PAGES.items():
        go(page, address + path)
        assert not page.locator("header.top, footer").first.is_visible()
        cut = page.evaluate(
            "[...document.querySelectorAll('main *')].filter((one) => one.scrollHeight > one.clientHeight + 1"
            " && /auto|scroll/.test(getComputedStyle(one).overflowY)).map((one) => one.outerHTML.slice(0, 80))"
        )
        assert cut == [], name


def test_environment_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/ref/@/environment/production-eu")
    page.wait_for_selector(".events li")
    wanted = set(page.eval_on_selector_all("main a", "all => all.filter(a => a.checkVisibility()).map(a => a.href)"))
    reached = set()
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.href || ''"))
    assert len(wanted) > 10 and wanted <= reached
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/timeline")


def test_reader_of_large_text_and_of_paper_loses_nothing(open_page: OpenPage) -> None:
    page = open_page(f"/ref/{FRONTEND}/@12", viewport={"width": 1280, "height": 800})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    card = page.locator(".node").first.bounding_box()
    wire = page.locator(".join svg").first.bounding_box()
    assert card is not None and wire is not None
    assert card["height"] == 2 * 88 and wire["width"] == 2 * 56  # the picture grows with its text
    page.emulate_media(media="print")
    assert not page.locator("header.top").is_visible()
    assert page.locator(".node").first.is_visible()


def test_times_are_relative_with_the_exact_time_on_hover(open_page: OpenPage) -> None:
    page = open_page(f"/ref/{BACKEND}/@3/call/smoke/2")
    time = page.locator("dl.facts time").first
    assert re.fullmatch(r"(4[4-9]|5\d) minutes ago|1 hour ago", time.inner_text())
    assert re.search(r" · \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000$", time.get_attribute("title") or "")


def test_readme_story_in_the_browser(open_page: OpenPage, store: Repo) -> None:
    """What the README's first example writes, followed by hand from the overview to the document and its history."""
    lines = [
        'create @/environment/production {"name": "production", "attributes": {"type": "prod"}}',
        'create //release.ocu.star/@1 {"commit": "fa56a235"}',
        'create //release.ocu.star/@1/commit/fa56a235 {"time": "2026-01-05T09:00:00Z"}',
        'create //release.ocu.star/@1/call/build/1 {"type": "call", "output": {"image": "shop:1"}}',
        'create //release.ocu.star/@1/deploy/production/1 {"type": "up", "output": {"url": "https://shop.example.com"}}',
        "link //release.ocu.star/@ //release.ocu.star/@1",
        "link //release.ocu.star/@/deploy/production //release.ocu.star/@1/deploy/production/1",
    ]
    store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
    with viewed(store) as (base, _):
        page = open_page("/", at=base.rstrip("/"))
        page.locator("h3 >> text=production").click()
        page.locator('td a:text("@1")').click()
        assert page.locator(".node").count() == 2
        page.locator(".node >> text=production").click()
        assert '"https://shop.example.com"' in page.locator("#output-value").inner_text()
        page.locator("a >> text=history").first.click()
        assert page.locator(".story strong").inner_text().startswith("update 7 refs")


def test_every_link_of_the_story_opens_in_the_browser(open_page: OpenPage, address: str) -> None:
    """A walk over the links of all main pages, one level deep; the whole is walked without a browser (view_test)."""
    page = open_page("/")
    links = set()
    for path in PAGES.values():
        go(page, address + path)
        for href in page.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))"):
            full = urljoin(address + path, href)
            if full.startswith(address) and "#" not in full:
                links.add(full)
    assert len(links) > 100
    dead = [link for link in sorted(links) if page.request.get(link).status != 200]
    assert [link for link in dead if "/nothing/" not in link] == []


def test_open_page_follows_the_log_of_a_run_that_goes_on(open_page: OpenPage, store: Repo, tmp_path: Path) -> None:
    prepare(store)
    work = f"{release(store, package([call('build')]))}/call/build"
    wait = "do sleep 0.05; done"
    script = f"seq 200; while [ ! -e {tmp_path}/go ]; {wait}; echo more; while [ -e {tmp_path}/go ]; {wait}"
    running = begin(store, "run", "exec", "-q", work, "--", "sh", "-c", script, stdout=subprocess.DEVNULL)
    with viewed(store) as (base, _):
        page = open_page(f"/ref/{work}/1", at=base.rstrip("/"))
        page.wait_for_selector("#log >> text=200")
        log = page.locator("#log")
        assert log.evaluate("one => [one.scrollTop, one.scrollHeight > one.clientHeight]") == [0, True]  # at its end
        (tmp_path / "go").touch()
        page.wait_for_selector("#log >> text=more")
        # Who reads the end of the log goes on to read its end.
        assert abs(log.evaluate("one => one.scrollTop")) < 5
        page.click(".follow")
        assert page.get_attribute(".follow", "aria-pressed") == "false"
        (tmp_path / "go").unlink()
        page.wait_for_selector("text=The run goes on", state="detached")
        assert running.wait(timeout=60) == 0
        assert page.evaluate("document.body.dataset.run") == ""
