"""Environments that expire are taken down by `work any` after that, and by nothing else."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from support.delivering import PLACES, deploy, diff, package, prepare_at, refused, release, work_any
from support.repositories import Repo
from support.viewing import Browser, application

import ocuroot_git
from ocuroot_git.delivery.apply import apply
from ocuroot_git.delivery.overdue import expired


def moment(hours: float) -> str:
    """A moment so many hours from now."""
    return (datetime.now(timezone.utc) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def preview(expires: object) -> str:
    return json.dumps({"name": "preview", "attributes": {"type": "preview"}, "expires": expires})


@pytest.mark.parametrize("place", PLACES)
def test_it_is_taken_down_after_its_time(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "staging")
    later, over = moment(49), moment(-1)
    repo.ocuroot("set", "-f=json", "+/environment/preview", preview(later))
    repo.ocuroot("apply", "--all")
    web = release(repo, package([deploy(environments={})]))
    assert len(work_any(repo)) == 2
    assert f"expires     preview in 2 days ({later})" in repo.ocuroot("status").splitlines()
    assert json.loads(repo.ocuroot("status", "--json"))["expires"] == {"preview": later}
    assert work_any(repo) == []
    repo.ocuroot("set", "-f=json", "+/environment/preview", preview(over))
    repo.ocuroot("apply", "--all")
    assert f"expires     preview ({over}): 'work any' takes it down" in repo.ocuroot("status").splitlines()
    assert repo.ocuroot("apply", "--all") == ""
    line = f"ready    intent D  +/environment/preview\tit expired at {over}"
    assert line in repo.ocuroot("work", "list").splitlines()
    assert "apply\t+/environment/preview" in repo.ocuroot("work", "any", "--dry-run").splitlines()
    ended = work_any(repo)
    assert ended == [f"complete\t{web}/deploy/preview/2"]
    for ref in ("+/environment/preview", "@/environment/preview"):
        assert repo.run("get", ref).returncode == 1
    assert "+/environment/preview" in repo.git("log", "--format=%B", "intent" if place == "two branches" else "state")
    assert (diff(repo), repo.ocuroot("work", "list"), "expires" in repo.ocuroot("status")) == ([], "", False)


@pytest.mark.parametrize("bad", [5, True, "", "soon", "2026-12-01", "2020-01-01T00:00:00", "2020-02-31T00:00:00Z", {}])
def test_what_is_no_time_takes_nothing_down(store: Repo, bad: object) -> None:
    stores = ocuroot_git.open(str(store.path))
    document = json.loads(preview(bad))
    with stores.transaction() as tx:
        tx.set("@/environment/preview", json.loads(preview(moment(-1))))
        tx.set("+/environment/preview", document)
    applied = apply(stores, None, expires=True)
    (problem,) = applied.problems
    assert problem.ref == "+/environment/preview" and "expires is" in problem.what
    assert expired(stores.snapshot()) == {}
    assert stores.look_up("@/environment/preview").found


def test_a_bad_time_is_an_error_where_it_is_written_and_named_where_it_is_read(store: Repo) -> None:
    words = "'+/environment/preview': expires is \"2020-01-01T00:00:00\", which is no time"
    said = refused(store, 128, words, "set", "-f=json", "+/environment/preview", preview("2020-01-01T00:00:00"))
    assert said.endswith("hint: such as 2026-12-01T18:00:00Z or 2026-12-01T18:00:00+01:00\n")
    store.ocuroot("update", "--stdin", input=f"set +/environment/preview {preview('soon')}\n")
    for command in (["diff"], ["work", "any"], ["apply", "--all"], ["fsck"]):
        done = store.run(*command)
        assert done.returncode == 1, command
        assert 'expires is "soon", which is no time' in done.stdout + done.stderr, command
    assert store.ocuroot("get", "+/environment/preview#expires") == '"soon"'
    # In state, where apply lets none come, it stands in no deployment's way.
    store.ocuroot("delete", "+/environment/preview")
    both = "".join(f"set {marker}/environment/x {json.dumps({'name': 'x', 'attributes': {}})}\n" for marker in "+@")
    store.ocuroot("update", "--stdin", input=both + f"set @/environment/x {preview('soon').replace('preview', 'x')}\n")
    assert store.run("status").returncode == 0


def test_the_page_shows_when(store: Repo) -> None:
    later = moment(49)
    store.ocuroot("set", "-f=json", "+/environment/preview", preview(later))
    store.ocuroot("apply", "--all")
    browser = Browser(application(store.path))
    for address in ("/", "/environments"):
        assert f"expires {later}" in browser.get(address), address
    page = browser.get("/ref/@/environment/preview")
    assert "It expires <time" in page and later in page
