"""`git ocuroot blame`, and dates in `--at` (design 12)."""

from __future__ import annotations

import json
import os

import pytest
from support.repositories import SHOP, Repo


def at(seconds: int, **others: str) -> dict[str, str]:
    return {**os.environ, "GIT_AUTHOR_DATE": f"{seconds} +0000", "GIT_COMMITTER_DATE": f"{seconds} +0000", **others}


@pytest.fixture
def told(shop: Repo) -> Repo:
    """A document that was rewritten in CI, and a link that was moved."""
    ci = {"CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://ci.example/1"}
    shop.ocuroot("update", "--stdin", input='set @/custom/x {"a": 1, "b": {"c": "old"}}\n', env=at(1_800_000_000))
    lines = f'set @/custom/x {{"b": {{"c": "new"}}, "a": 1}}\nlink {SHOP}/@v1.0 {SHOP}/@2\n'
    shop.ocuroot("update", "--stdin", input=lines, env=at(1_800_100_000, **ci))
    return shop


def test_each_field_has_the_commit_that_gave_it_its_value(told: Repo) -> None:
    first, second = told.oid("state~1"), told.oid("state")
    lines = [json.loads(line) for line in told.ocuroot("blame", "--json", "@/custom/x").splitlines()]
    assert lines == [
        {
            "field": "b/c",
            "value": "new",
            "commit": second,
            "time": "2027-01-16T11:46:40Z",
            "actor": "circleci:ann",
            "run": "https://ci.example/1",
        },
        {
            "field": "a",
            "value": 1,
            "commit": first,
            "time": "2027-01-15T08:00:00Z",
            "actor": "local:test@example.com",
            "run": None,
        },
    ]
    rows = [line.split("\t") for line in told.ocuroot("blame", "@/custom/x#b").splitlines()]
    assert rows == [[second[:12], "circleci:ann", "2027-01-16T11:46:40Z", "https://ci.example/1", "b/c", '"new"']]
    (moved,) = [json.loads(line) for line in told.ocuroot("blame", "--json", f"{SHOP}/@v1.0").splitlines()]
    assert (moved["field"], moved["value"], moved["commit"]) == ("commit", "bbb2", second)
    assert [json.loads(line)["commit"] for line in told.ocuroot("blame", "--json", f"{SHOP}/@2").splitlines()] == [
        told.oid("state~2")
    ]


def test_nothing_there(told: Repo) -> None:
    done = told.run("blame", "@/custom/never")
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("fatal: no such document")
    assert told.run("blame", "@/custom/x#no").returncode == 1


def test_a_date_names_what_the_branch_held_then(told: Repo) -> None:
    for date in ("2027-01-15 12:00:00 +0000", "@1800099999", "2027-01-16T11:46:39Z"):
        assert told.value("@/custom/x#b/c", "--at", date) == "old", date
    assert told.value("@/custom/x#b/c", "--at", "2027-01-16T11:46:40Z") == "new"
    lines = told.ocuroot("blame", "--json", "--at", "2027-01-15 12:00:00 +0000", "@/custom/x").splitlines()
    assert {json.loads(line)["commit"] for line in lines} == {told.oid("state~1")}
    assert "@/custom/x" not in told.ocuroot("match", "--at", "2027-01-15 07:59:59 +0000", "@/custom/*").split()
    for date, words in (
        ("1990-01-01", "there was no commit yet"),
        ("foo", "bad revision"),
        ("never mind", "bad revision"),
    ):
        done = told.run("get", "--at", date, "@/custom/x")
        assert done.returncode == 1 and words in done.stderr


def test_a_cold_remote_is_asked_for_its_history(told: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Repo(tmp_path_factory.mktemp("other"))
    other.git("init", "-q")
    other.git("config", "ocuroot.state.remote", f"file://{told.path}")
    assert other.ocuroot("blame", "--json", "@/custom/x") == told.ocuroot("blame", "--json", "@/custom/x")
