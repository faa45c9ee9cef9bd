"""The page of an environment, and the first line of the overview: whether all is well, in every case."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.delivering import copy_of, deploy, package, prepare, release
from support.repositories import Repo
from support.viewing import Browser, application

CI = {"CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://ci.example/1"}


def text_of(page: str) -> str:
    """What a reader sees of a page, in one line."""
    main = page.partition("<main")[2].partition("</main>")[0]
    main = re.sub(r"<svg.*?</svg>", "", main, flags=re.S)
    return (
        " ".join(re.sub(r"<[^>]+>", " ", main.replace("<wbr>", "")).split())
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(" :", ":")
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two packages came to production; the second release of web failed there, with a log."""
    repo = Repo(tmp_path_factory.mktemp("shop"))
    repo.git("init", "-q")
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    release(repo, package([deploy("staging")], [deploy("production")]), "web")
    release(repo, package([deploy("production")]), "api")
    repo.ocuroot("work", "any", "-q", "-m", "the <first>", env={**os.environ, **CI})
    repo.git("commit", "-q", "--allow-empty", "-m", "second")
    release(repo, package([deploy("staging")], [deploy("production", up="seq 30; echo no disk >&2; exit 1")]), "web")
    repo.run("work", "any", "-q")
    return repo


@pytest.fixture
def own(shop: Repo, tmp_path: Path) -> Repo:
    """A copy to change."""
    return copy_of(shop, tmp_path / "shop")


def put(repo: Repo, ref: str, value: str) -> None:
    """Write a document as a pipeline of any kind could."""
    repo.ocuroot("update", "--stdin", input=f"set {ref} {value}\n")


def told(repo: Repo, name: str = "production", **query: str) -> str:
    """The page of an environment, with all that takes long."""
    browser = Browser(application(repo.path))
    address = f"/ref/@/environment/{name}" + "".join(f"?{key}={value}" for key, value in query.items())
    browser.json(address)
    return browser.get(address)


def verdict(repo: Repo) -> tuple[str, str]:
    found = Browser(application(repo.path)).json("/")["verdict"]
    assert found["is_good"] == (found["level"] == "good")
    return found["level"], found["text"]


def test_it_says_in_plain_words_how_it_is(shop: Repo) -> None:
    page = told(shop)
    assert re.search(
        r"2 packages run here, 1 of them at its newest release\. The last change: (web|api) came to @1, "
        r"(just now|\d+ minutes? ago), by circleci:ann \(“the &lt;first&gt;”\)\. "
        r"1 deployment failed, and nobody has dealt with it\. Type",
        text_of(page).replace("type=prod", "Type"),
    )
    assert 'class="told-first bad"' in page
    # Its last lines stand there, and how to make it again.
    assert "no disk" in page and '<li id="L30"' in page and '<li id="L2"' not in page
    assert "git ocuroot run retry shop/-/web/@2/deploy/production/1" in text_of(page)
    staging = told(shop, "staging")
    assert "1 package runs here, at its newest release." in text_of(staging)
    assert 'class="told-first good"' in staging


def test_what_runs_since_when_and_by_whom(shop: Repo) -> None:
    page = Browser(application(shop.path)).json("/ref/@/environment/production")["environment"]
    rows = {
        row["package"]: (row["label"], row["actor"], row["actor_run"], row["reason"])
        for row in page["deployments"]["items"]
    }
    by = ("circleci:ann", "https://ci.example/1", "the <first>")
    assert rows == {"shop/-/web": ("@1", *by), "shop/-/api": ("@1", *by)}
    assert (page["latest"][0]["package"], page["latest"][0]["status"]) == ("shop/-/web", "failed")
    assert (page["last_failure"]["release"], page["newest"], page["told"]) == ("shop/-/web/@2", 1, True)


def test_who_did_it_comes_of_history_where_the_marker_does_not_say(own: Repo) -> None:
    put(own, "shop/-/api/@1/deploy/production/1/status/complete", '{"time": "2026-01-05T09:00:00Z"}')
    page = Browser(application(own.path)).json("/ref/@/environment/production")["environment"]
    assert {row["actor"] for row in page["deployments"]["items"]} == {"circleci:ann"}
    marker = {"actor": "x", "run": "javascript:alert(1)", "time": "2026-01-05T09:00:00Z"}
    put(own, "shop/-/api/@1/deploy/production/1/status/complete", json.dumps(marker))
    assert "javascript:" not in told(own)


def test_what_is_coming_waits_is_wanted_held_closed_and_expires(own: Repo) -> None:
    gate = {"kind": "approve", "environments": ["production"], "reason": "money", "approvals": {"count": 2}}
    own.ocuroot("set", "-f=json", "+/custom/gate/eyes", json.dumps(gate))
    own.ocuroot("apply", "--all")
    own.git("commit", "-q", "--allow-empty", "-m", "third")
    release(own, package([deploy("production")]), "api")
    own.run("work", "any", "-q")
    page = told(own)
    assert "1 deployment waits for somebody" in text_of(page)
    assert "waits for approval by 2 (gate &#39;eyes&#39;)" in text_of(page)
    assert "eyes asks for 2 approvals of each release: money" in text_of(page)
    own.ocuroot("hold", "//api/@", "-m", "it is too slow")
    own.ocuroot("freeze", "production", "--until", "3d", "-m", "the sale")
    page = told(own)
    assert "No deployment starts now. 1 release is held." in text_of(page)
    assert "api @2: it is too slow" in text_of(page)
    assert re.search(
        r"no deployment starts until \d{4}-\d\d-\d\d \d\d:\d\d UTC \( in 2 days \): the sale", text_of(page)
    )
    own.ocuroot("freeze", "production", "--package", "**/web", "--name", "web", "-m", "web alone")
    own.ocuroot("thaw", own.ocuroot("match", "@/custom/gate/production").strip().rpartition("/")[2])
    assert "Some deployments do not start now" in text_of(told(own))
    own.ocuroot("set", "-f=json", "//api/+/deploy/staging", json.dumps({"release": "shop/-/api/@1"}))
    assert "1 intent is not followed yet" in text_of(told(own, "staging"))
    assert "api is wanted at @1" in text_of(told(own, "staging"))
    put(
        own,
        "@/environment/staging",
        '{"name": "staging", "attributes": {}, "expires": "2020-01-01T00:00:00Z"}',
    )
    assert "It has expired: git ocuroot work any takes it down" in text_of(told(own, "staging"))
    assert "staging expired" in verdict(own)[1]
    put(
        own,
        "@/environment/staging",
        '{"name": "staging", "attributes": {}, "expires": "2999-01-01T00:00:00Z"}',
    )
    assert "It expires in 97" in text_of(told(own, "staging"))


def test_work_of_one_environment(shop: Repo) -> None:
    browser = Browser(application(shop.path))
    assert [one["run"] for one in browser.json("/work?environment=production")["items"]] == [
        "shop/-/web/@2/deploy/production/1"
    ]
    assert browser.json("/work?environment=staging")["items"] == []
    assert 'href="/work?environment=production&amp;status=failed"' in browser.get("/work?environment=production")


def test_it_went_back_and_was_taken_down(own: Repo) -> None:
    own.git("commit", "-q", "--allow-empty", "-m", "third")
    release(own, package([deploy("production")]), "api")
    own.run("work", "any", "-q")
    own.ocuroot("rollback", "production", "--to", "//api/@1", "-m", "too slow")
    own.run("work", "any", "-q")
    page = text_of(told(own))
    assert "The last change: api went back to @1" in page and "from @2, 2 commits back" in page
    assert "1 release is held" in page
    own.ocuroot("deploy", "down", "//api/@/deploy/production", "-m", "not wanted")
    own.run("work", "any", "-q")
    assert "The last change: api was taken down" in text_of(told(own))


def test_a_moment_in_the_past(own: Repo) -> None:
    then = own.git("rev-parse", "state").strip()
    own.ocuroot("run", "retry", "//web/@/deploy/production")
    own.ocuroot("run", "cancel", "//web/@/deploy/production")
    assert "No failure is left" in text_of(told(own))
    assert "1 deployment failed, and nobody has dealt with it" in text_of(told(own, at=then))


def test_an_environment_of_which_a_document_is_damaged_says_so(own: Repo) -> None:
    put(own, "//api/@1/deploy/production/1/status/complete", "[1]")
    put(own, "//web/@2/deploy/production/1", '"no run"')
    page = told(own)
    assert 'class="told-first bad"' in page and "is left out" in text_of(page)
    level, text = verdict(own)
    assert level == "bad" and "cannot be read" in text


def test_history_that_cannot_be_read_leaves_the_rest(own: Repo) -> None:
    tip = own.git("rev-parse", "state").strip()
    parent = own.git("rev-parse", "state~1").strip()
    data = own.git("cat-file", "commit", tip).replace(parent, "1" * 40)
    own.git(
        "update-ref",
        "refs/heads/state",
        own.git("hash-object", "-t", "commit", "-w", "--stdin", input=data + "\n").strip(),
    )
    page = text_of(told(own))
    assert "2 packages run here" in page and "1" * 12 in page
    answer = Browser(application(own.path)).ask("/timeline", Accept="application/json")
    assert answer.status_code == 502 and "1" * 12 in answer.get_json()["error"]
    browser = Browser(application(own.path))
    assert browser.ask("/").status_code == 200


def test_verdict_where_all_is_well_or_nothing_is_there(own: Repo, store: Repo) -> None:
    assert verdict(store) == ("good", "Nothing is here yet.")
    prepare(store, "staging")
    assert verdict(store) == ("good", "All is well: nothing is deployed yet.")
    own.ocuroot("run", "retry", "//web/@/deploy/production")
    own.ocuroot("run", "cancel", "//web/@/deploy/production")
    assert verdict(own) == ("good", "All is well: 3 deployments are in their places.")
    own.ocuroot("freeze", "production", "-m", "the sale")
    level, text = verdict(own)
    assert level == "mind" and text.startswith(
        "Nothing has failed: deployments to production do not start (gate 'production"
    )


def test_verdict_of_failures_and_differences(own: Repo) -> None:
    assert verdict(own) == ("bad", "Not all is well: 1 run has failed, and nobody has dealt with it.")
    own.ocuroot("set", "-f=json", "//api/+/deploy/staging", json.dumps({"release": "shop/-/api/@1"}))
    assert verdict(own)[1].endswith("; 1 intent is not followed yet.")


def test_verdict_is_open_until_all_is_known(shop: Repo) -> None:
    page = Browser(application(shop.path, 0.0)).get("/")
    assert 'class="told-first unknown"' in page and "Being looked at" in page
