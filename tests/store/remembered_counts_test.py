"""How many documents lie below a directory: as `git ls-tree` counts them, whatever is remembered."""

from __future__ import annotations

import pytest
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.store.remembered_counts import KIND, counted
from ocuroot_git.store.snapshot import Snapshot

STEPS = "".join(f"set @/custom/g{number % 3}/n{number} {number}\n" for number in range(300))


@pytest.fixture
def snapshot(store: Repo) -> Snapshot:
    store.ocuroot("update", "--stdin", input=f"{STEPS}set @/custom/g0 1\nlink @/custom/other @/custom/g1/n1\n")
    return ocuroot_git.open(str(store.path)).snapshot()


def count(snapshot: Snapshot) -> int:
    tree, memory = snapshot.side("state"), snapshot.surroundings.memory
    assert memory is not None
    return counted(tree.files, memory, [tree.node("refs/@/custom")])


def test_documents_and_links_are_counted(store: Repo, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    there = len(store.git("ls-tree", "-r", "--name-only", "state", "refs/@/custom/").splitlines())
    assert count(snapshot) == there == 302

    def read(*arguments: object) -> None:
        raise AssertionError("it is remembered")

    files = type(snapshot.side("state").files)
    for name in ("count", "children"):
        monkeypatch.setattr(files, name, read)
    assert count(snapshot) == 302


@pytest.mark.parametrize("junk", [b"", b"x", b"-1", b"9" * 5000, "٣".encode()])
def test_what_is_no_number_is_counted_anew(store: Repo, snapshot: Snapshot, junk: bytes) -> None:
    memory = snapshot.surroundings.memory
    assert memory is not None
    id_ = store.git("rev-parse", "state:refs/@/custom")
    memory.put(KIND, {id_: junk})
    assert count(snapshot) == 302
    assert memory.get(KIND, [id_]) == {id_: b"302"}
