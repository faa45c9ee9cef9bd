"""The incident of docs/promotion.md by clicks in a real browser: roll back, freeze, hold, fix, promote, thaw.

Chromium, driven by playwright; skipped where either is missing. What pipelines and programmers do (release, deploy) is
done by commands; what people decide, by the buttons and forms of the page. Then the commands are asked how it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support.browsing import go, launched, needs_chromium, settle, windows
from support.delivering import deploy, package, work_any
from support.repositories import Repo
from support.viewing import viewed

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

pytestmark = needs_chromium
WEB = "bank/-/web.json"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched() as browser:
        yield browser


@pytest.fixture
def bank(repo: Repo) -> Repo:
    """A package that goes to staging, and to production once somebody says so; two releases of it are in both."""
    repo.git("config", "ocuroot.repoAlias", "bank")
    repo.ocuroot("init", "-q")
    definition = package([deploy("staging")], [deploy("production", inputs={"go": {"ref": "./custom/go"}})])
    (repo.path / "web.json").write_text(json.dumps(definition))
    repo.git("add", "web.json")
    repo.git("commit", "-qm", "How web is released")
    for name in ("staging", "production"):
        repo.ocuroot("set", "-f=json", f"+/environment/{name}", json.dumps({"name": name, "attributes": {}}))
    for number in (1, 2):
        repo.git("commit", "-q", "--allow-empty", "-m", f"Change {number}")
        repo.ocuroot("release", "new", "web.json")
        repo.ocuroot("set", f"//web.json/+{number}/custom/go", "yes")
        work_any(repo)
    return repo


class Clicks:
    """Somebody at the page."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address

    def see(self, path: str) -> None:
        go(self.page, self.address + path)

    def follow(self, *words: str) -> None:
        """Click on links, one on each page."""
        for word in words:
            with self.page.expect_navigation(wait_until="domcontentloaded"):
                self.page.locator(f'main a:text-is("{word}")').first.click()
            settle(self.page)

    def press(self, button: str) -> None:
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.page.locator(f'main form button:text-is("{button}")').click()

    def say(self, **fields: str) -> None:
        for name, text in fields.items():
            self.page.locator(f'main [name="{name}"]').fill(text)

    def confirm(self, button: str, why: str = "", *, shows: str) -> str:
        """Do what a page shows after it was asked once, which is the command that it stands for; gives what it says."""
        command = self.page.locator("main code").first.inner_text().replace("\u200b", "")
        assert re.fullmatch(shows, command), command
        self.say(reason=why)
        self.press(button)
        heading = self.page.locator("h1").inner_text()
        assert heading == f"{button}: done", self.page.locator("main").inner_text()
        return self.page.locator("main").inner_text()


def deployed(repo: Repo) -> dict[str, str]:
    lines = map(json.loads, repo.ocuroot("deployments", "--json").splitlines())
    return {one["environment"]: one["release"].rpartition("/")[2] for one in lines if one["status"] == "complete"}


def held(repo: Repo) -> list[tuple[str, str]]:
    lines = map(json.loads, repo.ocuroot("hold", "--json").splitlines())
    return [(one["release"].rpartition("/")[2], one["reason"]) for one in lines]


def trailers(repo: Repo, name: str) -> list[str]:
    """The values of a trailer of the commits of the store, the oldest first."""
    shown = f"--format=%(trailers:key=Ocuroot-{name},valueonly,separator=%x2c)"
    return repo.git("log", "--reverse", shown, "state").splitlines()


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False}], ids=["JavaScript", "plain forms"])
def test_the_incident_by_clicks(chromium: Chromium, bank: Repo, options: dict[str, Any]) -> None:
    with viewed(bank, "--write") as (first, _), windows(chromium) as open_page:
        address = first.partition("/?")[0]
        clicks = Clicks(open_page(first.removeprefix(address), at=address, **options), address)
        assert "key=" not in clicks.page.url

        # The totals are wrong: what ran before is wanted again, and the bad release is held.
        clicks.follow("production", "Roll back")
        clicks.say(to=f"{WEB}/@1")
        clicks.press("Go on")
        said = clicks.confirm("Roll back", "wrong totals", shows=f"git ocuroot rollback --to {WEB}/@1 production")
        assert "@2 → @1" in said and "'git ocuroot work any' makes it so" in said
        assert work_any(bank) == [f"complete\t{WEB}/@1/deploy/production/2"]
        assert held(bank) == [("@2", "wrong totals")]
        clicks.see(f"/ref/{WEB}/@2")
        clicks.follow("Let go")
        clicks.confirm("Let go", shows=f"git ocuroot hold --lift {WEB}/@2")
        clicks.see(f"/ref/{WEB}/@2")
        clicks.follow("Hold")
        clicks.confirm("Hold", "wrong totals, to the cent", shows=f"git ocuroot hold {WEB}/@2")
        assert held(bank) == [("@2", "wrong totals, to the cent")]

        # Production is frozen, for everybody who does not know yet.
        clicks.see("/")
        clicks.follow("production", "Freeze")
        clicks.press("Go on")
        clicks.confirm("Freeze", "wrong totals: incident 7", shows="git ocuroot freeze production")
        clicks.see("/")
        banner = clicks.page.locator("main .notice.warn").inner_text()
        assert "Deployments to production do not start" in banner and "incident 7" in banner
        refused = bank.run("run", "exec", "//web.json/@1/deploy/production")
        assert refused.returncode == 3 and "incident 7" in refused.stderr

        # The fix is released, tested in staging, and somebody says that it may go.
        bank.git("commit", "-q", "--allow-empty", "-m", "Round totals by the rules of the bank")
        bank.ocuroot("release", "new", "web.json")
        work_any(bank)
        assert deployed(bank) == {"staging": "@3", "production": "@1"}
        clicks.see(f"/ref/{WEB}/@3/deploy/production/1")
        clicks.follow(f"Give {WEB}/+3/custom/go")
        clicks.say(value="yes")
        clicks.press("Go on")
        clicks.confirm("Give", "the bank agrees", shows=rf"git ocuroot set {WEB}/\+3/custom/go yes")
        assert work_any(bank) == []

        # Production gets what was tested, once it is thawed.
        clicks.see("/")
        clicks.follow("staging", "Promote what is deployed here")
        clicks.say(target="production")
        clicks.press("Go on")
        said = clicks.confirm("Promote", "the fix for incident 7", shows="git ocuroot promote staging production")
        assert "@1 → @3" in said
        assert work_any(bank) == []
        clicks.page.locator('nav.tabs a:text-is("Actions")').click()
        clicks.follow("Thaw")
        clicks.confirm("Thaw", "fixed", shows="git ocuroot thaw production")
        assert work_any(bank) == [f"complete\t{WEB}/@3/deploy/production/1"]

    assert deployed(bank) == {"staging": "@3", "production": "@3"}
    assert bank.ocuroot("diff") == "" and bank.ocuroot("gate", "list") == "" and bank.run("fsck", "-q").returncode == 0
    assert held(bank) == [("@2", "wrong totals, to the cent")]
    done = trailers(bank, "Command")
    clicked = ("rollback", "hold", "hold --lift", "freeze", "promote", "thaw")
    assert [one for one in done if one in clicked] == ["rollback", "hold --lift", "hold", "freeze", "promote", "thaw"]
    reasons = {"wrong totals", "wrong totals: incident 7", "the bank agrees", "fixed"}
    assert reasons <= set(trailers(bank, "Reason"))
