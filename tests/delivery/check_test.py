"""`fsck` of the delivery model judges releases while the store is read: what it vouches for must be without fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from support import damaged
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery.check import check_model, inspect_releases
from ocuroot_git.store.fsck import Checker
from ocuroot_git.store.snapshot import Snapshot
from ocuroot_git.store.stores import Stores


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawn")
    Repo(path).git("init", "-q")
    return path


@pytest.fixture(scope="module")
def opened(drawn: Path) -> Stores:
    return ocuroot_git.open(str(drawn))


def found(snapshot: Snapshot, certain: dict[str, set[int]] | None = None) -> list[tuple[str, str]]:
    findings = check_model(snapshot) if certain is None else check_model(snapshot, certain)
    return [(finding.where, finding.what) for finding in findings]


def vouched(snapshot: Snapshot) -> dict[str, set[int]]:
    tree = snapshot.side("state")
    checker = Checker(tree, inspect=inspect_releases(tree, "state"))
    checker.run()
    return checker.certain


@settings(max_examples=300)
@given(content=damaged.releases_with_a_fault() | damaged.stores())
def test_finds_what_looking_at_each_release_finds(drawn: Path, opened: Stores, content: damaged.Content) -> None:
    about = content[".ocuroot-store"]
    if isinstance(about, bytes) and b"intent" in about:
        return
    git_dir = drawn / ".git"
    snapshot = opened.snapshot(damaged.write_commit(git_dir, damaged.write_tree(git_dir, content)))
    assert found(snapshot, vouched(snapshot)) == found(snapshot)
