"""The way down a path is the same through every backend."""

from __future__ import annotations

import os
from typing import Any

import pytest
from support.repositories import Repo

from ocuroot_git.backends.base import file_at, node_at, nodes_on_the_way
from ocuroot_git.backends.directory import Directory
from ocuroot_git.git.repository import Repository


@pytest.fixture(params=["branch", "directory"])
def place(request: pytest.FixtureRequest, repo: Repo) -> tuple[Any, Any]:
    """Files as a backend reads them, and their top: `a/b/file`, which holds `x`."""
    path = repo.path / "a" / "b" / "file"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    if request.param == "directory":
        files = Directory(str(repo.path)).files
        return files, Directory(str(repo.path)).read().root
    repo.git("add", "a")
    repo.git("commit", "-qm", "x")
    repository = Repository.open(str(repo.path), os.environ)
    return repository, repository.root(repo.oid("HEAD"))


def test_paths(place: tuple[Any, Any]) -> None:
    files, top = place
    assert node_at(files, top, "") is top
    assert files.is_tree(node_at(files, top, "a/b"))
    assert files.name(node_at(files, top, "a/b/file")) == "file"
    assert file_at(files, top, "a/b/file") == b"x"
    for nothing in ("a/c", "a/b/file/below", "a/b/file/b/file", "none", "a/../a/b/file", "a//b", ".git/config"):
        assert node_at(files, top, nothing) is None and file_at(files, top, nothing) is None, nothing
    assert file_at(files, top, "a/b") is None
    assert node_at(files, None, "a") is None and node_at(files, None, "") is None


def test_what_is_met_on_the_way(place: tuple[Any, Any]) -> None:
    files, top = place
    met = list(nodes_on_the_way(files, top, "a/none/b"))
    assert [node and files.name(node) for node in met] == ["a", None, None]
