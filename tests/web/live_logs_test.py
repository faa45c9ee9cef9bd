"""Runs that go on: what they print shows on their pages as it comes, and moves what an open page asks for."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest
from support.delivering import call, package, prepare, release
from support.repositories import Repo, begin
from support.viewing import Browser, application
from support.waiting import wait_until

BUILD = "shop/-/web/@1/call/build"
RUN = f"{BUILD}/1"
HOSTILE = (
    r"printf '\033[31mred\033[0m\033]0;title\007 <script>alert(1)</script>\n'; echo https://ann:pa55word@x.example/y"
)


@pytest.fixture
def shop(store: Repo) -> Repo:
    prepare(store)
    release(store, package([call("build")]))
    return store


def start(repo: Repo, top: Path) -> subprocess.Popen[str]:
    """Start a run that prints a line for each file `go-<n>` that is made, and ends with `end`."""
    looking = f"[ -e {top}/go-$n ] && echo line $n && n=$((n+1)); sleep 0.05"
    script = f"{HOSTILE}; n=1; while [ ! -e {top}/end ]; do {looking}; done"
    return begin(repo, "run", "exec", "-q", BUILD, "--", "sh", "-c", script)


def tip_asked_for(page: str) -> tuple[str, str]:
    """What an open page compares the tip with, and how it asks for it."""
    known = re.search(r'<body data-tip="([^"]*)"(?: data-run="([^"]*)")?', page)
    assert known is not None
    return known[1], f"/tip?run={html.unescape(known[2])}" if known[2] else "/tip"


def test_the_page_shows_and_follows_what_a_run_prints(shop: Repo, tmp_path: Path) -> None:
    browser = Browser(application(shop.path))
    before = browser.ask(f"/ref/{RUN}")
    assert tip_asked_for(before.get_data(as_text=True)) == (shop.git("rev-parse", "state"), "/tip")
    running = start(shop, tmp_path)
    wait_until(lambda: "pa55word" in "".join(path.read_text() for path in (shop.path / ".git/ocuroot/live").glob("*")))
    page = browser.get(f"/ref/{RUN}")
    assert '<span class="ansi-red">red</span> &lt;script&gt;alert(1)&lt;/script&gt;' in page
    assert "pa55word" not in page and "title" not in re.sub("<[^>]*>", "", page).split("Log")[-1]
    assert "The run goes on" in page
    tip, address = tip_asked_for(page)
    tip = tip.replace("~", "")  # where what takes long is not known yet
    assert tip.startswith(shop.git("rev-parse", "state") + ".")
    assert browser.get(address) == tip == browser.get(address)
    # It grows without any commit, and the poll says so; no browser is told that its page is still good.
    (tmp_path / "go-1").touch()
    wait_until(lambda: browser.get(address) != tip)
    asked = browser.ask(f"/ref/{RUN}", If_None_Match=before.headers["ETag"])
    assert asked.status_code == 200 and "ETag" not in asked.headers and "line 1" in asked.get_data(as_text=True)
    assert tip_asked_for(asked.get_data(as_text=True))[0] == browser.get(address) != tip
    # The log has a page, a text and JSON before it is recorded.
    assert "line 1" in browser.get(f"/ref/{RUN}/logs")
    text = browser.get(f"/log/{RUN}/logs").splitlines()
    assert [line.split(" ", 1)[1] for line in text] == [
        "out red <script>alert(1)</script>", "out https://***@x.example/y", "out line 1"
    ]  # fmt: skip
    log = browser.json(f"/ref/{RUN}")["run"]["log"]
    assert (log["is_running"], log["total"], log["problem"]) == (True, 3, "")
    assert browser.get("/tip") == shop.git("rev-parse", "state"), "other pages follow the branch alone"
    tip = browser.get(address)
    (tmp_path / "end").touch()
    assert running.wait(timeout=60) == 0
    assert browser.get(address) == shop.git("rev-parse", "state") != tip
    after = browser.ask(f"/ref/{RUN}")
    assert tip_asked_for(after.get_data(as_text=True)) == (browser.get("/tip"), "/tip")
    assert "line 1" in after.get_data(as_text=True) and "ETag" in after.headers
    assert "The run goes on" not in after.get_data(as_text=True)
    assert browser.get(f"/log/{RUN}/logs").splitlines() == text


def test_the_page_follows_a_run_at_the_remote(shop: Repo, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    shop.git("clone", "-q", "--bare", ".", str(remote))
    reader, job = Repo(tmp_path / "reader"), Repo(tmp_path / "job")
    for repo in (reader, job):
        repo.path.mkdir()
        repo.git("init", "-q")
        repo.git("config", "ocuroot.repoAlias", "shop")
        repo.git("config", "ocuroot.state.remote", str(remote))
        repo.git("config", "ocuroot.liveLogs", "true")
    running = start(job, tmp_path)
    browser = Browser(application(reader.path))
    wait_until(lambda: "ansi-red" in browser.get(f"/ref/{RUN}"))
    tip, address = tip_asked_for(browser.get(f"/ref/{RUN}"))
    (tmp_path / "go-1").touch()
    wait_until(lambda: browser.get(address) != tip)
    assert "line 1" in browser.get(f"/ref/{RUN}")
    (tmp_path / "end").touch()
    assert running.wait(timeout=60) == 0
    wait_until(lambda: "." not in browser.get(address))
    assert browser.json(f"/ref/{RUN}")["run"]["log"]["total"] == 3


OTHERS = ("../../../etc", "x", f"{BUILD}/7", f"{RUN}/logs", "@/environment/x", "\x00", "r/-/p/@1")


@pytest.mark.parametrize("run", OTHERS)
def test_other_texts_in_the_place_of_a_run_change_nothing(shop: Repo, run: str) -> None:
    browser = Browser(application(shop.path))
    answer = browser.client.get("/tip", query_string={"run": run}, headers={"Host": "localhost"})
    assert answer.text == browser.get("/tip")


def test_a_claim_that_cannot_be_read_spoils_nothing_else(shop: Repo) -> None:
    steps = (
        f"delete {RUN}/status/pending",
        f'set {RUN}/status/running {{"time": "2026-01-05T09:00:00Z", "owner": 3}}',
        f'set {RUN}/logs [{{"message": "recorded"}}]',
    )
    shop.ocuroot("update", "--stdin", input="\n".join(steps) + "\n")
    page = Browser(application(shop.path)).get(f"/ref/{RUN}")
    assert "recorded" in page
    assert "What it prints cannot be read: " in page and "owner is 3, not a string" in page


def test_a_file_that_cannot_be_read_is_named(shop: Repo, tmp_path: Path) -> None:
    running = start(shop, tmp_path)
    wait_until(lambda: any((shop.path / ".git/ocuroot/live").glob("*")))
    (file,) = (shop.path / ".git/ocuroot/live").glob("*")
    file.unlink()
    file.mkdir()
    why = f"cannot read '{file}': Is a directory"
    assert html.escape(why).replace("&#x27;", "&#39;") in Browser(application(shop.path)).get(f"/ref/{RUN}")
    done = shop.run("logs", RUN)
    assert (done.returncode, done.stderr) == (128, f"fatal: {why}\n")
    (tmp_path / "end").touch()
    assert running.wait(timeout=60) == 0
    assert "red" in shop.ocuroot("logs", RUN), "the executor has it all the same"


def test_an_old_revision_has_no_run_that_goes_on(shop: Repo, tmp_path: Path) -> None:
    running = start(shop, tmp_path)
    wait_until(lambda: any((shop.path / ".git/ocuroot/live").glob("*")))
    page = Browser(application(shop.path, at=shop.git("rev-parse", "state"))).get(f"/ref/{RUN}")
    assert "ansi-red" not in page and "data-run" not in page
    (tmp_path / "end").touch()
    assert running.wait(timeout=60) == 0
