"""The page and the commands say the same of every store: both ask the same queries (design 7 and 10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support import original_stores
from support.agreement import require_agreement
from support.delivering import call, deploy, package, prepare, release, want_environment, work_any
from support.raw_objects import plant, write_object
from support.repositories import Repo
from support.story import BACKEND, SEARCH
from support.viewing import Browser, application, tell_story

import ocuroot_git


def set_all(repo: Repo, documents: dict[str, object]) -> None:
    repo.ocuroot("update", "--stdin", input="".join(f"set {ref} {json.dumps(one)}\n" for ref, one in documents.items()))


def put_file(repo: Repo, ref: str, content: str) -> None:
    """Write a file into the branch as it is, whatever that makes of the store."""
    plant(repo, f"refs/{ref}", "100644", "@object.json", write_object(repo, "blob", content.encode()))


def test_the_story_and_what_follows(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    browser = Browser(application(told.path))
    counts = require_agreement(told, browser)
    assert (counts["deployments"], counts["unfinished"], counts["failed"], counts["differences"]) == (7, 4, 1, 4)
    told.ocuroot("run", "dismiss", f"{BACKEND}/@3/call/smoke/2")
    assert require_agreement(told, browser)["failed"] == 0
    lines = f'delete {SEARCH}/@/deploy/staging\nset @/custom/banner "Scheduled maintenance on Sunday"\n'
    told.ocuroot("update", "--stdin", input=lines)
    assert require_agreement(told, browser)["deployments"] == 6


def test_a_shop_made_with_commands(store: Repo) -> None:
    prepare(store, "staging", "production")
    browser = Browser(application(store.path))
    approved = {"approved": {"ref": "./custom/approved"}}
    definition = package([call("build")], [deploy("staging")], [deploy("production", inputs=approved)])
    first = release(store, definition)
    require_agreement(store, browser)
    work_any(store)
    counts = require_agreement(store, browser)
    assert (counts["deployments"], counts["unfinished"]) == (1, 1)
    (waiting,) = browser.json("/work")["items"]
    assert waiting["standing"] == "approval"
    assert browser.json("/")["waiting_for_people"] == [waiting]
    assert "waiting for approval" in browser.get(f"/ref/{waiting['release']}")
    assert waiting["waits_for"] == [f"input 'approved' ({first}/custom/approved)"]
    assert f"input &#39;approved&#39; ({first.rpartition('/')[2]}/custom/approved)" in browser.get("/work")
    assert "custom/approved" in browser.get(f"/ref/{first}/deploy/production/1")
    store.ocuroot("set", "//web/+1/custom/approved", "by ann")
    work_any(store)
    assert require_agreement(store, browser)["deployments"] == 2
    release(store, package([call("build", "false")], [deploy("staging")]))
    assert store.run("work", "any").returncode == 1
    assert require_agreement(store, browser)["failed"] == 1
    # What was taken down is deployed no more, though its link leads to the run that did it.
    store.ocuroot("delete", "+/environment/staging")
    store.run("work", "any")
    assert require_agreement(store, browser)["deployments"] == 1
    want_environment(store, "later")
    assert require_agreement(store, browser)["differences"] == 1


@pytest.mark.parametrize(
    "form",
    [original_stores.v1_branch, original_stores.v3_branches, original_stores.v3_combined],
    ids=lambda form: str(form.__name__),
)
def test_stores_of_the_original(repo: Repo, form: object) -> None:
    form(repo)  # type: ignore[operator]
    assert require_agreement(repo)["packages"] > 2


def test_damage(store: Repo) -> None:
    prepare(store, "staging")
    good = release(store, package([call("build")], [deploy("staging")]), "good")
    bad = [release(store, package([call("build")], [deploy("staging")]), f"bad{number}") for number in range(6)]
    work_any(store)
    again = [release(store, package([call("build")], [deploy("staging")]), f"bad{number}") for number in range(6)]
    browser = Browser(application(store.path))
    before = require_agreement(store, browser)
    put_file(store, again[0], "{")
    put_file(store, f"{again[1]}/call/build/1", '{"kind": "ref", "body": {"type": "sideways"}}')
    put_file(store, f"{again[2]}/call/build/1/functions/1", "[]")
    set_all(store, {f"{again[3]}/call/build/1/status/running": {}, f"{again[4]}/call/build/1/status/dancing": {}})
    put_file(store, f"{bad[0].rpartition('/')[0]}/@/deploy/staging", "no link")
    put_file(store, f"{bad[5].rpartition('/')[0]}/@/deploy/staging", "{}")
    put_file(store, f"{bad[1].rpartition('/')[0]}/+/deploy/staging", '{"kind": "ref", "body": 3}')
    set_all(store, {"+/environment/odd": {"name": "even"}, "shop/-/bad9/@1": {}, "shop/-/bad9/@2/call/x/1": {}})
    counts = require_agreement(store, browser)
    assert counts == require_agreement(store)
    assert counts["deployments"] == before["deployments"] - 2
    assert "cannot be read" in browser.get("/deployments")
    for page in ("/", "/work", "/deployments", "/packages"):
        assert "is left out" in browser.get(page)
    assert browser.json(f"/ref/{good}")["release"]["deployed"] == ["staging"]


changes = some.lists(
    some.tuples(
        some.sampled_from(("r/-/p", "r/-/p/q")),
        some.integers(1, 2),
        some.sampled_from(("pending", "running", "failed", "complete", "cancelled", "deployed", "wanted", "release")),
        some.booleans(),
    ),
    min_size=4,
    max_size=10,
)


def change(tx: ocuroot_git.Transaction, package: str, number: int, what: str, is_there: bool) -> None:
    """Make something of a package, or take it away."""
    work = f"{package}/@{number}/{'deploy/e' if what == 'deployed' else 'call/build'}"
    run, kind = f"{work}/1", "up" if what == "deployed" else "call"
    status = "complete" if what == "deployed" else what
    documents: dict[str, object] = {
        run: {"type": kind, "release": f"{package}/@{number}", "entrypoint": f"{run}/functions/1", "output": {}},
        f"{run}/functions/1": {"current": {"id": "1", "fn": {}, "status": status}, "history": []},
        f"{run}/status/{status}": {"time": f"2026-01-01T00:00:0{number}Z"},
    }
    if what == "wanted":
        documents = {f"{package}/+/deploy/e": {"release": f"{package}/@{number}"}}
    if what == "release":
        documents = {f"{package}/@{number}": {"commit": "abcdef1", "package": {"phases": []}}}
    for ref, document in documents.items():
        if is_there:
            tx.set(ref, document)
        elif tx.object(ref) is not None:
            tx.delete(ref)
    link = f"{package}/@/deploy/e"
    if what == "deployed" and is_there:
        tx.link(link, run)
    elif what == "deployed" and tx.object(link) is not None:
        tx.unlink(link)


def test_random_histories(store: Repo) -> None:
    """Whatever was there before, and whatever the page remembers of it."""
    browser = Browser(application(store.path))
    stores = ocuroot_git.open(str(store.path))

    @settings(max_examples=6)
    @given(changes)
    def check(history: list[tuple[str, int, str, bool]]) -> None:
        for one in history:
            with stores.transaction() as tx:
                change(tx, *one)
        require_agreement(store, browser)

    check()


def test_a_rollback_shows_while_it_waits_and_when_it_failed(store: Repo, tmp_path: Path) -> None:
    prepare(store, "staging")
    bad = tmp_path / "bad"
    first = release(store, package([deploy("staging", up=f"test ! -e {bad}")]))
    work_any(store)
    store.git("commit", "-q", "--allow-empty", "-m", "second")
    release(store, package([deploy("staging")]))
    work_any(store)
    browser = Browser(application(store.path))

    def coming() -> tuple[str, list[tuple[str, str, bool]]]:
        (row,) = browser.json("/deployments")["items"]
        (there,) = browser.json("/ref/@/environment/staging")["environment"]["deployments"]["items"]
        assert there["coming"] == row["cells"][0]["coming"]
        return there["label"], [(one["release"], one["standing"], one["is_back"]) for one in there["coming"]]

    assert coming() == ("@2", [])
    store.ocuroot("set", "-f=json", "shop/-/web/+/deploy/staging", json.dumps({"release": first}))
    store.ocuroot("apply", "-q", "--all")
    assert coming() == ("@2", [(first, "ready", True)])
    assert "back to" in browser.get("/deployments")
    bad.touch()
    assert store.run("work", "any").returncode == 1
    assert coming() == ("@2", [(first, "failed", True)])


def test_cells_say_that_what_is_deployed_is_held(store: Repo) -> None:
    prepare(store, "staging", "production")
    release(store, package([deploy("staging")], [deploy("production", up="exit 1")]))
    store.run("work", "any", "-q")
    store.ocuroot("hold", "shop/-/web/@1", "-m", "it <leaks>", "-q")
    browser = Browser(application(store.path))
    (row,) = browser.json("/deployments")["items"]
    held = "held by test@example.com: it <leaks>"
    assert {cell["environment"]: cell["held"] for cell in row["cells"]} == {"staging": held, "production": ""}
    assert "it &lt;leaks&gt;" in browser.get("/deployments")
    store.ocuroot("hold", "--lift", "shop/-/web/@1", "-q")
    (row,) = browser.json("/deployments")["items"]
    assert {cell["held"] for cell in row["cells"]} == {""}


def test_cells_say_that_a_gate_keeps_them_closed(store: Repo) -> None:
    prepare(store, "staging", "production")
    release(store, package([deploy("staging"), deploy("production")]))
    browser = Browser(application(store.path))
    store.ocuroot("freeze", "-q", "production", "-m", "an audit <today>")
    (row,) = browser.json("/deployments")["items"]
    closed = {cell["environment"]: cell["closed"] for cell in row["cells"]}
    assert closed["staging"] == []
    assert "an audit <today>" in closed["production"][0]
    assert "an audit &lt;today&gt;" in browser.get("/deployments")
    assert "an audit &lt;today&gt;" in browser.get("/ref/@/environment/production")
    store.ocuroot("thaw", "-q", "--all")
    (row,) = browser.json("/deployments")["items"]
    assert [cell["closed"] for cell in row["cells"]] == [[], []]
