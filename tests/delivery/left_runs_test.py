"""The runs that are left of packages are remembered for their trees, and are the same without that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delivering import call, deploy, forgetful_copy_of, package, prepare, release, with_store
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import left_runs, queue
from ocuroot_git.delivery.problems import Problems

UP = "test -e good"


@pytest.fixture(params=["1", "3"], scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Three packages: of web a deployment has failed and a later one too, of api one waits for another, of job all is
    well."""
    repo = with_store(tmp_path_factory.mktemp("made"), request.param)
    prepare(repo, "staging", "production")
    for _ in range(2):
        release(repo, package([deploy("staging", UP)], [deploy("production", UP)]), "web")
        repo.run("work", "any", "-q")
    release(repo, package([call("build", UP)], [deploy("staging", UP)]), "api")
    repo.run("work", "any", "-q")
    release(repo, package([call("build", "true")]), "job")
    repo.run("work", "any", "-q")
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return forgetful_copy_of(made, tmp_path / "copy")


def items(repo: Repo) -> tuple[list[str], list[str]]:
    """What a new process lists, and what it warns of."""
    problems = Problems()
    found = queue.run_items(ocuroot_git.open(str(repo.path)).snapshot(), problems)
    return [json.dumps([item.to_document(), item.made]) for item in found], sorted(problems.asked)


def agreed(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The same, which must not depend on what is remembered."""
    found = items(repo)
    with monkeypatch.context() as patch:
        patch.setattr(left_runs, "left_runs", lambda snapshot: {})
        assert items(repo) == found
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages whose runs were read."""
    read: list[str] = []
    alone = left_runs.left_alone

    def noted(files: object, layout: object, name: str, *rest: object) -> bytes | None:
        read.append(name)
        return alone(files, layout, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(left_runs, "left_alone", noted)
    return read


def test_each_package_is_read_once(shop: Repo, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first, problems = agreed(shop, monkeypatch)
    # The older failure of web was dealt with by the newer release; what waits for the failures is left.
    assert [json.loads(item)[0]["state"] for item in first].count("failed") == 2 and len(first) == 5 and not problems
    assert sorted(reads) == ["shop/-/api", "shop/-/web"]
    reads.clear()
    assert items(shop) == (first, [])
    assert reads == []
    shop.ocuroot("set", "-q", "//api/+/custom/x", "1")
    shop.ocuroot("apply", "--all")
    assert items(shop) == (first, [])
    assert reads == ["shop/-/api"]


def test_what_becomes_of_failures_is_seen(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(agreed(shop, monkeypatch)[0])
    failed = [item for item in map(json.loads, agreed(shop, monkeypatch)[0]) if item[0]["state"] == "failed"]
    run = next(item[0]["ref"] for item in failed if "/web/" in item[0]["ref"])
    shop.ocuroot("run", "dismiss", run)
    assert len(agreed(shop, monkeypatch)[0]) == before - 1
    shop.ocuroot("run", "retry", next(item[0]["ref"] for item in failed if "/api/" in item[0]["ref"]))
    assert len(agreed(shop, monkeypatch)[0]) == before - 1
    (shop.path / "good").touch()
    shop.run("work", "any", "-q")
    left = [json.loads(item)[0] for item in agreed(shop, monkeypatch)[0]]
    assert [one["state"] for one in left] == ["blocked"] * 2 and all("/web/" in one["ref"] for one in left)


def test_what_is_bad_is_named_each_time(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [json.loads(item)[0] for item in items(shop)[0]]
    (run,) = [one["ref"] for one in listed if "/web/" in one["ref"] and one["state"] == "failed"]
    shop.ocuroot("update", "--stdin", input=f"set {run} []\n")
    for _ in range(2):
        found, problems = agreed(shop, monkeypatch)
        assert problems and not any(json.loads(item)[0]["ref"] == run for item in found)


def test_a_package_that_is_linked_with_another_is_read_each_time(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.ocuroot("update", "--stdin", input="link shop/-/web/@/deploy/staging shop/-/api/@1/deploy/staging/1\n")
    assert agreed(shop, monkeypatch) == agreed(shop, monkeypatch)


def test_what_is_remembered_can_be_checked(shop: Repo) -> None:
    items(shop)
    kinds = json.loads(shop.ocuroot("cache", "--stat", "--json"))["kinds"]
    assert [number for kind, number in kinds.items() if kind.startswith(f"{left_runs.KIND}/")] == [2]
    done = shop.run("cache", "--verify")
    assert done.returncode == 0 and " 0 wrong" in done.stderr and "not checked" not in done.stderr
