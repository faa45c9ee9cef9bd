"""What `deployments` remembers: it says the same with it and without it, after any history, and reads what is new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.delivering import deploy, forgetful_copy_of, package, prepare, release, with_store
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.ledger import event_reader, known_deployments, last_events, stretches
from ocuroot_git.ledger.deployments import deployments, tell_history
from ocuroot_git.ledger.remembered import check
from ocuroot_git.store.memory import FILE, Memory

UP = "test -e good"


@pytest.fixture(params=["1", "3"], scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Three packages: of web the newest release has failed in production, of api it waits for that, job is well."""
    repo = with_store(tmp_path_factory.mktemp("made"), request.param)
    prepare(repo, "staging", "production")
    release(repo, package([deploy("staging")], [deploy("production")]), "web", "--tag=v1")
    release(repo, package([deploy("staging")]), "job")
    repo.run("work", "any", "-q")
    for path in ("web", "api"):
        release(repo, package([deploy("staging")], [deploy("production", UP)]), path)
        repo.run("work", "any", "-q")
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return forgetful_copy_of(made, tmp_path / "copy")


def shown(repo: Repo, *arguments: str) -> tuple[int, str, str]:
    done = repo.run("deployments", "--json", *arguments)
    return done.returncode, done.stdout, done.stderr


def agreed(repo: Repo) -> list[dict[str, Any]]:
    """What is listed, which must not depend on what is remembered; which in turn must be right."""
    ways: tuple[list[str], ...] = ([], ["**/web"], ["--environment=staging"], ["--deployed"], ["--at=state~2"])
    found = [shown(repo, *arguments) for arguments in ways]
    assert [shown(repo, *arguments) for arguments in ways] == found
    repo.git("config", "ocuroot.cacheSize", "0")
    assert [shown(repo, *arguments) for arguments in ways] == found
    repo.git("config", "--unset", "ocuroot.cacheSize")
    stores = ocuroot_git.open(str(repo.path))
    checked = check(stores, memory_of(repo), lambda done, total: None)
    assert (checked.wrong, checked.of_others) == ([], 0)
    return [json.loads(line) for line in found[0][1].splitlines()]


def memory_of(repo: Repo) -> Memory:
    return Memory(str(repo.path / ".git" / "ocuroot" / FILE))


def listed(repo: Repo) -> list[str]:
    """The same in this process, in short."""
    snapshot = ocuroot_git.open(str(repo.path)).snapshot()
    found = deployments(snapshot, [], None, Problems())
    tell_history(snapshot, found, are_all=True)
    return [f"{one.release} {one.environment} {one.status} {one.actor} {one.since}" for one in found]


def test_a_history_is_told_alike(shop: Repo) -> None:
    first = agreed(shop)
    assert {(line["package"][7:], line["environment"], line["status"]) for line in first} >= {
        ("web", "production", "complete"),
        ("web", "production", "failed"),
        ("api", "production", "failed"),
        ("job", "staging", "complete"),
    }
    (failed,) = [line["run_ref"] for line in first if line["status"] == "failed" and line["package"].endswith("api")]
    shop.ocuroot("run", "retry", failed)
    pending = agreed(shop)
    assert [line["status"] for line in pending].count("pending") == 1
    (shop.path / "good").touch()
    shop.run("work", "any", "-q", "-m", "now it is good")
    after = agreed(shop)
    assert "now it is good" in [line["reason"] for line in after]
    # By hand: a marker is taken away and put back, a deployment loses its intent, a package is linked with another.
    run = next(line["run_ref"] for line in after if line["package"].endswith("job"))
    marker = f"{run}/status/complete"
    value = shop.ocuroot("get", "--format=compact", marker).strip()
    shop.ocuroot("update", "--stdin", input=f"delete {marker}\n")
    agreed(shop)
    shop.ocuroot("update", "--stdin", input=f"set {marker} {value}\n")
    assert agreed(shop) == after
    shop.ocuroot("delete", "//job/+/deploy/staging")
    assert [line["status"] for line in agreed(shop)].count("unwanted") == 1
    web = next(line["run_ref"] for line in after if line["package"].endswith("web") and line["status"] == "complete")
    shop.ocuroot("update", "--stdin", input=f"link shop/-/job/@/deploy/staging {web}\n")
    agreed(shop)
    shop.ocuroot("update", "--stdin", input=f"set {web} []\n")
    assert shown(shop)[0] == 1
    agreed(shop)
    shop.git("update-ref", "refs/heads/state", "state~2")
    agreed(shop)


def test_only_what_is_new_is_read(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    alone, chunks = known_deployments.package_alone, event_reader.EventReader.chunks

    def noted(files: Any, layout: Any, name: str, *rest: Any) -> str:
        read.append(name)
        return alone(files, layout, name, *rest)

    def read_commits(reader: Any, stretches: Any, **options: Any) -> Any:
        read.extend(str(len(stretch.commits)) for stretch in stretches)
        return chunks(reader, stretches, **options)

    monkeypatch.setattr(stretches, "_BOUNDARY", "none")  # else where stretches begin is chance
    monkeypatch.setattr(known_deployments, "package_alone", noted)
    monkeypatch.setattr(event_reader.EventReader, "chunks", read_commits)
    first = listed(shop)
    assert read[:3] == ["shop/-/api", "shop/-/job", "shop/-/web"] and len(read) == 4
    read.clear()
    assert listed(shop) == first and not read
    shop.ocuroot("set", "-q", "//web/+/custom/x", "1")
    # Where intents lie in a directory of their own, no package of state has changed.
    assert listed(shop) == first and read in (["shop/-/web", "1"], ["1"])
    read.clear()
    assert listed(shop) == first and not read
    # Those who look at the past leave what is remembered of the present alone.
    shown(shop, "--at=state~4")
    assert listed(shop) == first and not read
    # Where the branch went back, what is remembered of its chunk is found again.
    shop.git("update-ref", "refs/heads/state", "state~1")
    assert listed(shop) == first and read in (["shop/-/web"], [])


def test_many_commits_later_history_is_read_anew(shop: Repo) -> None:
    first = listed(shop)
    stores = ocuroot_git.open(str(shop.path))
    for number in range(70):
        stores.set("+/custom/x", number)
        if number in (3, 65):
            assert listed(shop) == first
    assert listed(shop) == first
    agreed(shop)


OF_ANOTHER_SHAPE = [
    *(
        b"",
        b"x",
        b"\0",
        b"\0\0",
        b"\xff\0",
        b"\0{oid}",
        b"\0{oid}!",
        b"{oid}\0{oid}/",
        b"a/-/b\0{oid}=",
        b"a\0{oid}=[1]",
    ),
    *(b"a\0{oid}=[[]]", b'a\0{oid}=[["x"]]', b"a\0{oid}=],[", b'a\0{oid}=[["","","","","","","","soon","","",""]]'),
    *(b"{oid}\n", b"{oid}\nrun\n\x1f", b"{oid}\nlate\x1fp", b"nothing\nrun"),
]


@pytest.mark.parametrize("data", OF_ANOTHER_SHAPE)
def test_what_has_another_shape_is_not_read(shop: Repo, data: bytes) -> None:
    first = listed(shop)
    memory = memory_of(shop)
    for kind in memory.kinds():
        if kind.startswith((f"{known_deployments.KIND}/", f"{last_events.KIND}/")):
            memory.put(kind, {id_: data.replace(b"{oid}", b"ab" * 20) for id_ in memory.ids(kind)})
    memory.close()
    assert listed(shop) == first


def test_what_is_wrong_is_found_by_verifying(shop: Repo) -> None:
    listed(shop)
    memory = memory_of(shop)
    for begin, old, new in ((known_deployments.KIND, b"staging", b"stating"), (last_events.KIND, b"test@", b"best@")):
        (kind,) = [kind for kind in memory.kinds() if kind.startswith(f"{begin}/")]
        (id_,) = memory.ids(kind)
        (data,) = memory.get(kind, [id_]).values()
        assert old in data
        memory.put(kind, {id_: data.replace(old, new)})
        checked = check(ocuroot_git.open(str(shop.path)), memory, lambda done, total: None)
        assert checked.wrong == [(kind, id_)]
        memory.put(kind, {id_: data})
    memory.close()
