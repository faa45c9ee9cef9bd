"""Large walks, remembered: the same refs with what is remembered and without, whatever was changed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.formats.globs import Glob
from ocuroot_git.ledger import remembered
from ocuroot_git.store import remembered_walk, walk
from ocuroot_git.store.memory import FILE, Memory

if TYPE_CHECKING:
    from ocuroot_git.backends.base import Files
    from ocuroot_git.formats.layout import Side

PACKAGES = [f"r/-/p{number}" for number in range(12)] + ["r/-/p1/nested", "s/-/q/deep/er"]
PATTERNS = [
    *(["**"], ["**/deploy/*"], ["**/@1/**"], ["r/-/*/@*/custom/x"], ["r/-/p[1-5]/**"], ["**/+*/**"], ["**/@{1,2}"]),
    *(["**/custom/*", "**/nested/**"], ["@/**"], ["**/p1*"], ["**/nothing"]),
]
SIDES: tuple[Side | None, ...] = (None, "state", "intent")


@pytest.fixture
def stores(store: Repo, monkeypatch: pytest.MonkeyPatch) -> ocuroot_git.Stores:
    monkeypatch.setattr(walk, "_WIDE", 10)
    filled = ocuroot_git.open(str(store.path))
    with filled.transaction() as tx:
        for package in PACKAGES:
            for number in (1, 2, 3):
                for below in ("", "/deploy/production", "/deploy/staging", "/custom/x"):
                    tx.set(f"{package}/@{number}{below}", number)
            tx.set(f"{package}/+/deploy/production", 1)
            tx.link(f"{package}/@", f"{package}/@3")
        tx.set("@/custom/x", 1)
    return filled


def every(stores: ocuroot_git.Stores) -> Iterable[tuple[list[str], Side | None, list[str], list[str]]]:
    """What matches, with what is remembered, and from all refs; for each pattern and side."""
    plain = stores.snapshot()
    for side in SIDES:
        refs = sorted(str(entry.ref) for _, entry in plain.entries(["**"], side=side))
        for patterns in PATTERNS:
            glob = Glob(*patterns)
            found = [str(ref) for ref in stores.match(*patterns, side=side)]
            yield patterns, side, found, [ref for ref in refs if glob.matches(ref)]


def test_the_same_after_each_change(stores: ocuroot_git.Stores, store: Repo) -> None:
    rng = random.Random(1)
    for _ in range(6):
        again = ocuroot_git.open(str(store.path))
        for patterns, side, found, wanted in [*every(stores), *every(again)]:
            assert found == wanted, (patterns, side)
        package, number = rng.choice(PACKAGES), rng.randint(1, 5)
        with stores.transaction() as tx:
            ref = f"{package}/@{number}/custom/{rng.choice('xyz')}"
            if tx.object(ref) is None:
                tx.set(ref, number)
            else:
                tx.delete(ref)
    memory = Memory(str(store.path / ".git" / "ocuroot" / FILE))
    assert memory.kinds()["match/1/1/-"] > 100
    checked = remembered.check(stores, memory, lambda done, total: None)
    assert (checked.wrong, checked.of_others) == ([], 0)
    assert checked.right > 100


def test_only_what_changed_is_walked(stores: ocuroot_git.Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.match("**/deploy/*")
    walked: list[str] = []
    whole = remembered_walk._suffixes

    def noted(unit: remembered_walk.Unit, files: Files) -> Iterable[str]:
        walked.append(unit.path)
        return whole(unit, files)

    monkeypatch.setattr(remembered_walk, "_suffixes", noted)
    monkeypatch.setattr("ocuroot_git.store.forked_walk._may_fork", lambda: False)
    stores.match("**/deploy/*")
    assert walked == []
    stores.set("r/-/p7/@2/deploy/production", 7)
    assert len(stores.match("**/deploy/*")) == 14 * 7
    assert walked == ["r/-/p7"]


def test_how_far_it_is_is_told_from_one_start_to_one_end(stores: ocuroot_git.Stores, store: Repo) -> None:
    """Also where only a part of what is to be walked is remembered package by package."""
    both = 0
    for patterns in PATTERNS:
        (store.path / ".git" / "ocuroot" / FILE).unlink(missing_ok=True)
        again = ocuroot_git.open(str(store.path))
        told: list[tuple[int, int]] = []
        again.surroundings.progress = lambda done, total, told=told: told.append((done, total))
        again.match(*patterns)
        if told:
            total = told[0][1]
            assert told[0] == (0, total) and told.index((total, total)) == len(told) - 1, patterns
            both += total > len(PACKAGES)
    assert both, "both kinds in one"


@pytest.mark.parametrize("data", [b"=/@9/deploy/never", b"", b"="])
def test_verify_finds_what_was_planted(stores: ocuroot_git.Stores, store: Repo, data: bytes) -> None:
    stores.match("**/deploy/*")
    memory = Memory(str(store.path / ".git" / "ocuroot" / FILE))
    ids = memory.ids("match/1/1/-")
    memory.put("match/1/1/-", {ids[0]: data, "12" * 20: b"="})
    checked = remembered.check(stores, memory, lambda done, total: None)
    assert checked.wrong == [("match/1/1/-", ids[0])]
    assert (checked.right, checked.gone) == (len(ids) - 1, 1)
