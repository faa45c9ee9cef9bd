"""Names of every kind in the view: packages, work and documents called by what an address could mistake."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, urljoin, urlsplit

import pytest
from support.delivering import call, deploy, package, prepare
from support.repositories import Repo
from support.viewing import ADDRESS, Browser, application

from ocuroot_git.delivery import finish as ending
from ocuroot_git.delivery import releases, runs
from ocuroot_git.delivery.addresses import WorkRef
from ocuroot_git.opening import open_stores

PATHS = (
    *("web", "web.json", "web.json.json", ".json", "a./..b", "raw", "logs", "history", "static/view.js"),
    *("call/web", "deploy/web/status", "task/call/deploy", "with space", "100%", "%2e%2e/x%2F", "what?page=2", "a+b"),
    *("a;b=c,d&e:f", "a\\b", "x-/-", "[a-z]", "{a,b}", "**", "\"'<b>", "中文/é\U0001f680", "\u202eevil\u00a0"),
    "x" * 250 + ".json",
)
KEPT = "/@+~:!$&'()*,;=-._"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A release of a package of each path, its call complete and its deployment done."""
    path = tmp_path_factory.mktemp("names") / "shop"
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging")
    stores = open_stores(str(path))
    commit = repo.git("rev-parse", "HEAD")
    for one in PATHS:
        definition = package([call("build")], [deploy("staging")])
        release = releases.new(stores, f"shop/-/{one}", commit, definition, tags=[], force=False)
        for kind, name in (("call", "build"), ("deploy", "staging")):
            work = WorkRef(release, kind, name)
            with stores.transaction(command="run start") as tx:
                run = runs.start(tx, work, None)
            ending.finish(stores, run, "complete", outputs={"of": one}, tags=[])
    return repo


@pytest.fixture(scope="module")
def browser(named: Repo) -> Browser:
    return Browser(application(named.path))


SEEN: set[str] = set()
"""Addresses that were asked: many pages name the same ones."""


@pytest.mark.parametrize("path", PATHS)
def test_a_package_of_any_path_has_its_pages(browser: Browser, named: Repo, path: str) -> None:
    ref = f"shop/-/{path}"
    deployed = f"{ref}/@1/deploy/staging"
    for below, kind in (
        ("", "package"),
        ("/@1", "release"),
        ("/@", "release"),
        ("/@1/call/build", "work"),
        ("/@1/call/build/1", "run"),
        ("/@1/deploy/staging/1", "run"),
        ("/+/deploy/staging", "intent"),
    ):
        address = f"/ref/{quote(ref + below)}"
        page = browser.json(address)
        assert (page["kind"], page["ref"]) == (kind, ref + below)
        if path + below + ".json" not in PATHS:
            assert browser.ask(f"{address}.json").get_json()["ref"] == ref + below
        text = browser.get(address)
        for target in {html.unescape(target) for target in ADDRESS.findall(text)} - SEEN:
            SEEN.add(target)
            further = urlsplit(urljoin(f"http://view{address}", target))
            if further.netloc == "view":
                asked = f"{further.path}?{further.query}" if further.query else further.path
                assert browser.ask(asked).status_code == 200, f"{asked}, linked from {address}"
    run = browser.json(f"/ref/{quote(deployed)}/1")["run"]
    assert (run["name"], run["number"], run["release"], run["is_deployed"]) == ("staging", 1, f"{ref}/@1", True)
    assert f"/ref/{quote(ref, safe=KEPT)}/@1/deploy/staging/1" in html.unescape(browser.get(f"/ref/{quote(ref)}/@1"))
    assert browser.json(f"/raw/{quote(ref)}/@1/call/build/1")["output"] == {"of": path}
    history = browser.json(f"/history/{quote(ref)}/@1")
    assert (history["ref"], len(history["entries"])) == (f"{ref}/@1", 1)
    every = re.search(r'<a href="([^"]*)">All refs of this package', browser.get(f"/ref/{quote(ref)}"))
    assert every is not None
    found = browser.json(html.unescape(every[1]))
    assert f"{deployed}/1" in found["items"]
    assert all(one.startswith(f"{ref}/") for one in found["items"])


def test_history_of_what_is_gone_is_its_own(store: Repo) -> None:
    """The name that ends in `.json` is gone, and one that is the same without it is there."""
    store.ocuroot("set", "+/custom/a", "of a")
    store.ocuroot("set", "+/custom/a.json", "of a.json")
    store.ocuroot("delete", "+/custom/a.json")
    browser = Browser(application(store.path))
    commit = browser.get(f"/commit/{store.git('rev-parse', 'state')}")
    (address,) = re.findall(r'href="(/history/[^"]*)"', commit)
    page = browser.get(html.unescape(address))
    assert "History of +/custom/a.json" in page and "of a.json" in page
    assert browser.json("/history/+/custom/a.json?form=page")["ref"] == "+/custom/a.json"
    assert browser.ask("/history/+/custom/a.json").get_json()["ref"] == "+/custom/a"


def test_lists_lead_to_all_of_them(browser: Browser) -> None:
    linked = {}
    for page in ("/packages", "/deployments", "/ref/@/environment/staging", "/ref/shop/-"):
        for number in ("1", "2"):
            text = browser.get(f"{page}?page={number}")
            linked.update({html.unescape(target): page for target in ADDRESS.findall(text)})
    for target, page in linked.items():
        if target.startswith("/ref/"):
            assert browser.ask(target).status_code == 200, f"{target}, linked from {page}"
    cells = [row["cells"][0]["label"] for row in browser.json("/deployments")["items"]]
    assert set(cells) == {"@1"}
