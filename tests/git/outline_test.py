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
from ocuroot_git.git import objects
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
    """The oracle: nested dictionaries for what is looked into, and None for what else there is to see."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        inner = shape.get(name, shape.get("*"))
        if isinstance(value, dict):
            found[name] = outlined(value, inner) if inner is not None else None
        elif name == FILE:
            found[objects.FILE] = None
    return found


def write(place: Path, content: Content) -> None:
    place.mkdir()
    for name, value in content.items():
        if isinstance(value, dict):
            write(place / name, value)
        elif isinstance(value, bytes):
            (place / name).write_bytes(value)


def test_of_any_tree(bare: Path, tmp_path: Path) -> None:
    places = (tmp_path / str(number) for number in range(1000))

    @settings(max_examples=150)
    @given(TREES, SHAPES)
    def check(content: Content, shape: Any) -> None:
        expected = outlined(content, shape), len([*paths(content)])
        top = {name for name, value in content.items() if isinstance(value, dict)} if "*" not in shape else set()
        repository, node = tree(bare, content)
        outline, nodes, below = repository.outline(node, shape, FILE)
        count = outline.count(objects.FILE) + repository.count([*nodes.values(), *below], FILE)
        assert (objects.nested(outline, shape), count) == expected
        assert {name: repository.name(one) for name, one in nodes.items()} == {
            name: name for name in top - shape.keys()
        }
        assert repository.count([node], FILE) == count
        place = next(places)
        write(place, content)
        files = DirectoryFiles()
        outline, entries, others = files.outline(Entry(str(place), "", True), shape, FILE)
        count = outline.count(objects.FILE) + files.count([*entries.values(), *others], FILE)
        assert (objects.nested(outline, shape), count) == expected
        assert entries.keys() == nodes.keys()

    check()


def test_what_is_named_otherwise_has_another_outline(bare: Path) -> None:
    shape: Any = {"call": {"*": {}}}
    one: Content = {"call": {"a": {}, "b": {FILE: b"x"}}}
    other: Content = {"call": {"a": {FILE: b"x"}, "b": {}}}
    third: Content = {"call": {"a": {FILE: {"y": b""}}, "b": {}}}
    outlines = set()
    fourth: Content = {"call": {}, "a": {FILE: b"x"}}
    for content in (one, other, third, fourth):
        repository, node = tree(bare, content)
        outlines.add(repository.outline(node, shape, FILE)[0])
    assert len(outlines) == 4


@pytest.mark.parametrize("shape", [{}, {"call": {}}, {"call": {"*": {}}}])
@pytest.mark.parametrize("path", ["call", "call/build"])
def test_of_a_tree_that_is_not_there(bare: Path, path: str, shape: Any) -> None:
    gone = Odd(b"40000", is_gone=True)
    repository, node = tree(bare, {path: gone} if "/" not in path else {"call": {"build": gone}})
    with pytest.raises(ObjectError, match="cannot read tree 1212"):
        repository.count([node], FILE)
    if path.count("/") < depth(shape):
        with pytest.raises(ObjectError, match="cannot read tree 1212"):
            repository.outline(node, shape, FILE)
    else:
        outline, *_ = repository.outline(node, shape, FILE)
        assert outline[0] == "call", "what is not looked into is not read"


def depth(shape: Any) -> int:
    """How many directories deep a shape looks."""
    return 1 + max(map(depth, shape.values())) if shape else 0


def test_of_a_name_that_leads_out(bare: Path) -> None:
    repository, node = tree(bare, {"call": {"..": {FILE: b"x"}}})
    with pytest.raises(ObjectError, match=r"there is an entry '\.\.'"):
        repository.outline(node, {"call": {}}, FILE)
