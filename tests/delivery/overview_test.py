"""What a page over a whole store shows is remembered by the trees it comes from, and is the same without that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.raw_objects import plant, write_object
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import index, overview, summary, survey
from ocuroot_git.delivery.overview import Package
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.store.memory import FILE, Memory

RUN = {"type": "up", "release": "", "entrypoint": "", "output": {}}


@pytest.fixture
def filled(store: Repo) -> Repo:
    """Two packages, each deployed in one environment."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for name in ("r/-/a", "r/-/b"):
            tx.set(f"{name}/@1", {"commit": "abcdef1", "package": {"phases": []}})
            tx.set(f"{name}/@1/deploy/e/1", RUN)
            tx.set(f"{name}/@1/deploy/e/1/status/complete", {})
            tx.set(f"{name}/@1/custom/x", 1)
            tx.link(f"{name}/@/deploy/e", f"{name}/@1/deploy/e/1")
            tx.set(f"{name}/+/deploy/f", {"release": f"{name}/@1"})
    return store


def packages(repo: Repo) -> dict[str, Package]:
    """All packages, as a new process finds them."""
    snapshot = ocuroot_git.open(str(repo.path)).snapshot()
    return overview.packages(snapshot, overview.package_names(snapshot), Problems())


def without(repo: Repo) -> dict[str, Package]:
    """The same where nothing is remembered."""
    snapshot = ocuroot_git.open(str(repo.path)).snapshot()
    state = snapshot.side("state")
    found = {}
    for name in overview.package_names(snapshot):
        facts = index.read(state.files, state.layout, state.node(f"refs/{name}"))
        found[name] = overview._package(snapshot, name, facts, facts, Problems())
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages whose trees were read, or that were looked at."""
    read: list[str] = []
    of_survey, of_overview, of_index = summary.read_package, overview._package, index.read

    def noted(trees: Any, package: str, *rest: Any, **options: Any) -> Any:
        read.append(f"survey {package}")
        return of_survey(trees, package, *rest, **options)

    def noted_here(snapshot: Any, name: str, *rest: Any) -> Any:
        read.append(f"overview {name}")
        return of_overview(snapshot, name, *rest)

    def noted_index(*arguments: Any) -> Any:
        read.append("index")
        return of_index(*arguments)

    monkeypatch.setattr(survey, "read_package", noted)
    monkeypatch.setattr(overview, "_package", noted_here)
    monkeypatch.setattr(index, "read", noted_index)
    return read


def test_one_pass_is_all_that_is_read(filled: Repo, reads: list[str]) -> None:
    first = packages(filled)
    assert first["r/-/a"] == Package("r/-/a", (1,), {"e": "r/-/a/@1/deploy/e/1"}, (), ("f",), (1,))
    assert sorted(reads) == [
        *("index", "index"),
        *("overview r/-/a", "overview r/-/b"),
        *("survey r/-/a", "survey r/-/b"),
    ]
    reads.clear()
    assert packages(filled) == first
    assert reads == []
    ocuroot_git.open(str(filled.path)).set("r/-/a/@2", {"commit": "abcdef2", "package": {"phases": []}})
    assert packages(filled)["r/-/a"].numbers == (1, 2)
    assert sorted(reads) == ["index", "overview r/-/a", "survey r/-/a"]


def test_what_leads_out_of_a_package_is_looked_at_each_time(filled: Repo) -> None:
    """A deployment by way of another package: that one changes, and the trees of this one stay as they are."""
    stores = ocuroot_git.open(str(filled.path))
    with stores.transaction() as tx:
        tx.link("r/-/a/@there", "r/-/b/@1")
        tx.link("r/-/a/@/deploy/e", "r/-/a/@there/deploy/e/1")
    assert packages(filled)["r/-/a"].deployed == {"e": "r/-/b/@1/deploy/e/1"}
    with stores.transaction() as tx:
        tx.set("r/-/b/@1/deploy/e/1", {**RUN, "type": "down"})
    assert packages(filled)["r/-/a"].deployed == {}
    assert packages(filled) == without(filled)


def test_a_link_above_packages_counts(filled: Repo) -> None:
    """No command makes one that hides what is there; another program, or a merge by hand, may."""
    before = packages(filled)
    link = write_object(filled, "blob", b'{"kind": "link", "body": "r/-/b"}')
    for above in ("refs/r", "refs/r/-", "refs/r/-/a"):
        plant(filled, above, "100644", "@object.json", link)
        assert packages(filled) == without(filled) != before
        filled.git("update-ref", "refs/heads/state", "state~1")
    assert packages(filled) == before


def test_what_is_bad_is_told_each_time(filled: Repo) -> None:
    filled.ocuroot("update", "--stdin", input="unlink r/-/a/@/deploy/e\nset r/-/a/@/deploy/e {}\n")
    for _ in range(2):
        problems = Problems()
        snapshot = ocuroot_git.open(str(filled.path)).snapshot()
        found = overview.packages(snapshot, ["r/-/a"], problems)["r/-/a"]
        assert (found.deployed, found.unreadable) == ({}, ("e",))
        assert [problem.ref for problem in problems] == ["r/-/a/@/deploy/e"]


@pytest.mark.parametrize("data", [b"", b"[]", b"[1,2,3,4]", b'[[1],{},["x"],["y"]]', b'[["1"],{},[],[]]'])
def test_an_entry_of_another_shape_is_worked_out_again(filled: Repo, data: bytes) -> None:
    before = packages(filled)
    memory = Memory(str(filled.path / ".git" / "ocuroot" / FILE))
    (kind,) = [kind for kind in memory.kinds() if kind.startswith(overview.KIND)]
    memory.put(kind, dict.fromkeys(memory.ids(kind), data))
    memory.close()
    assert packages(filled) == before


def test_what_is_remembered_is_checked(filled: Repo) -> None:
    packages(filled)
    kinds = json.loads(filled.ocuroot("cache", "--stat", "--json"))["kinds"]
    assert {kind.partition("/")[0] for kind in kinds} == {"package", "standing", "summary"}
    assert filled.run("cache", "--verify").stderr == f"{sum(kinds.values())} right, 0 wrong\n"
    memory = Memory(str(filled.path / ".git" / "ocuroot" / FILE))
    wrong = memory.ids("standing/2/1/1")[0]
    memory.put("standing/2/1/1", {wrong: b"[[1], {}, [], []]"})
    memory.close()
    assert filled.run("cache", "--verify").stdout == f"standing/2/1/1\t{wrong}\n"


def test_without_a_memory(filled: Repo) -> None:
    before = packages(filled)
    filled.git("config", "ocuroot.cacheSize", "0")
    assert packages(filled) == before
