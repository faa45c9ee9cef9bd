"""The outline of a directory says what its trees say read one by one, in a repository and in a directory on disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support.damaged import Content, Odd, write_commit, write_tree

from ocuroot_git.backends.directory import DirectoryFiles, Entry
from ocuroot_git.git.objects import ObjectError, Oid
from ocuroot_git.git.repository import Repository

FILE = "@object.json"
NAMES = some.sampled_from((FILE, "call", "status", "1", "2", "@1"))
SHAPES: some.SearchStrategy[Any] = some.recursive(
    some.just({}), lambda below: some.dictionaries(some.sampled_from(("*", "call", "status", "1")), below, max_size=3)
)
TREES = some.recursive(
    some.dictionaries(NAMES, some.just(b"x"), min_size=1, max_size=3),
    lambda below: some.dictionaries(NAMES, some.one_of(some.just(b"x"), below), min_size=1, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outline")
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    return path


def tree(path: Path, content: Content) -> tuple[Repository, Any]:
    """A tree in a repository that is opened anew."""
    repository = Repository.open(str(path), {})
    return repository, repository.root(Oid(write_commit(path, write_tree(path, content))))


def paths(content: Content) -> Iterator[str]:
    """The paths of all files called so."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from (f"{name}/{path}" for path in paths(value))
        elif name == FILE:
            yield name


def outlined(content: Content, shape: Any) -> dict[str, Any]:
    """The oracle: nested dictionaries for what is looked into, and what else there is to see."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        inner = shape.get(name, shape.get("*"))
        if not isinstance(value, dict):
            if name == FILE:
                found[name] = "file"
        else:
            found[name] = outlined(value, inner or {}) if inner is not None or name == FILE else "directory"
    return found


def shown(files: Any, outline: dict[str, Any]) -> dict[str, Any]:
    return {
        name: shown(files, node) if isinstance(node, dict) else "directory" if files.is_tree(node) else "file"
        for name, node in outline.items()
    }


def write(place: Path, content: Content) -> None:
    place.mkdir()
    for name, value in content.items():
        if isinstance(value, dict):
            write(place / name, value)
        elif isinstance(value, bytes):
            (place / name).write_bytes(value)


def test_of_any_tree(bare: Path, tmp_path: Path) -> None:
    places = (tmp_path / str(number) for number in range(1000))

    @settings(max_examples=150, deadline=None)
    @given(TREES, SHAPES)
    def check(content: Content, shape: Any) -> None:
        expected = outlined(content, shape), len([*paths(content)])
        repository, node = tree(bare, content)
        outline, count = repository.outline(node, shape, FILE)
        assert (shown(repository, outline), count) == expected
        assert repository.count(node, FILE) == count
        place = next(places)
        write(place, content)
        files = DirectoryFiles()
        outline, count = files.outline(Entry(str(place), "", True), shape, FILE)
        assert (shown(files, outline), count) == expected

    check()


@pytest.mark.parametrize("shape", [{}, {"call": {}}])
@pytest.mark.parametrize("path", ["call", "call/build"])
def test_of_a_tree_that_is_not_there(bare: Path, path: str, shape: Any) -> None:
    gone = Odd(b"40000", is_gone=True)
    repository, node = tree(bare, {path: gone} if "/" not in path else {"call": {"build": gone}})
    with pytest.raises(ObjectError, match="cannot read tree 1212"):
        repository.outline(node, shape, FILE)


def test_of_a_name_that_leads_out(bare: Path) -> None:
    repository, node = tree(bare, {"call": {"..": {FILE: b"x"}}})
    with pytest.raises(ObjectError, match=r"there is an entry '\.\.'"):
        repository.outline(node, {"call": {}}, FILE)
