"""What git says of trees that differ, however it is cut up."""

from __future__ import annotations

import itertools
import os

import pytest
from support.repositories import Repo

from ocuroot_git.git import tree_changes
from ocuroot_git.git.objects import Oid
from ocuroot_git.git.repository import Repository
from ocuroot_git.git.tree_changes import NONE, TreeChanges


@pytest.mark.parametrize("part", [1, 7, 64, 1 << 18])
def test_changes_are_told_alike_in_parts_of_any_size(repo: Repo, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(tree_changes, "_PART", part)
    trees: list[Oid] = []
    for content in ({"a": "1", "d/b": "2"}, {"a": "1", "d/b": "3", "d/ä": "4"}, {"a": "1", "d/b": "3", "d/ä": "4"}, {}):
        repo.git("rm", "-rfq", "--ignore-unmatch", ".")
        for name, text in content.items():
            (repo.path / name).parent.mkdir(exist_ok=True)
            (repo.path / name).write_text(text)
        repo.git("add", "-A")
        trees.append(Oid(repo.git("write-tree")))
    steps = [(None, trees[0]), *itertools.pairwise(trees)]
    found = [
        [(letter, path.decode(), old == NONE, new == NONE) for letter, old, new, path in changes]
        for changes in TreeChanges(Repository.open(str(repo.path), os.environ), os.environ).of(steps)
    ]
    assert found == [
        [(b"A", "a", True, False), (b"A", "d/b", True, False)],
        [(b"M", "d/b", False, False), (b"A", "d/ä", True, False)],
        [],
        [(b"D", "a", False, True), (b"D", "d/b", False, True), (b"D", "d/ä", False, True)],
    ]
