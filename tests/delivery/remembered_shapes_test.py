"""What is remembered of packages is read where it has the shape of what was written, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.delivery import left_runs, overview
from ocuroot_git.delivery.compare import Heads
from ocuroot_git.delivery.index import Facts
from ocuroot_git.delivery.overview import Package
from ocuroot_git.delivery.release_facts import ReleaseFacts
from ocuroot_git.delivery.summary import Summary
from ocuroot_git.formats.layout import StoredRef
from ocuroot_git.store.plain import Contents

FACTS = Facts((1, 2), (2,), frozenset(["@/deploy"]))
PACKAGE = Package("r/-/a", (1, 2), {"e": "r/-/a/@1/deploy/e/1"}, (), ("e",), (2,))
LEFT = [["r/-/a/@1/call/c/1", "pending", "", ""]]
SUMMARY = Summary(
    (3, 4),
    {"r/-/a": [1]},
    {"r/-/a": [2]},
    {"r/-/a": Heads([StoredRef("r/-/a/@")], [StoredRef("r/-/a/+")], [("r/-/a", "e")])},
    ["r/-/b"],
    True,
)
RELEASE = ReleaseFacts(True, False, True, 5, ("deploy",), "ab" * 20)


def written_package(data: bytes) -> bytes | None:
    found = overview._package_of_bytes(PACKAGE.ref, data)
    return found.to_bytes() if found is not None else None


def written_facts(data: bytes) -> bytes | None:
    found = Facts.of_bytes(data)
    return found.to_bytes() if found is not None else None


def written_left(data: bytes) -> bytes | None:
    found = left_runs.left_of_bytes(data)
    return json.dumps(found).encode() if found is not None else None


def written_summary(data: bytes) -> bytes | None:
    found = Summary.of_text(f"3 4 {data.decode()}")
    return found.to_bytes().partition(b" ")[2].partition(b" ")[2] if found is not None else None


def written_contents(data: bytes) -> bytes | None:
    found = Contents.of_bytes(data)
    return found.to_bytes() if found is not None else None


_, _, summary_rest = SUMMARY.to_bytes().split(b" ", 2)
WRITTEN: list[tuple[bytes, Callable[[bytes], bytes | None]]] = [
    (FACTS.to_bytes(), written_facts),
    (PACKAGE.to_bytes(), written_package),
    (json.dumps(LEFT).encode(), written_left),
    (summary_rest, written_summary),
    (Contents(True, ["a"]).to_bytes(), written_contents),
]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 7, 1.5, "", "x", [], [1], ["x"], [[]], {}, {"x": 1}, {"x": []}, {"x": "y"}]
)


@pytest.mark.parametrize(("data", "again"), WRITTEN)
def test_what_was_written_is_read(data: bytes, again: Callable[[bytes], bytes | None]) -> None:
    assert again(data) == data


@pytest.mark.parametrize(("data", "again"), WRITTEN)
@given(drawn=st.data())
def test_of_what_has_another_shape_nothing_is_read(
    data: bytes, again: Callable[[bytes], bytes | None], drawn: st.DataObject
) -> None:
    """One value somewhere in an entry is another: it is refused, unless that could have been written as well."""
    document = json.loads(data)
    before = json.dumps(document)
    paths = list(ways(document))
    path = drawn.draw(st.sampled_from(paths))
    changed = put(document, path, drawn.draw(VALUES))
    read = again(json.dumps(changed).encode())
    if read is not None:
        assert json.loads(read) == changed
        assert shape(json.loads(read)) == shape(json.loads(before)) or is_emptier(changed, json.loads(before))


def ways(value: Any) -> Any:
    """The ways to all values within one, and to itself."""
    yield ()
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for way in ways(inner):
            yield (key, *way)


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value[path[0]] = put(value[path[0]], path[1:], new)
    return value


def shape(value: Any) -> Any:
    """The types of all values."""
    if isinstance(value, dict):
        return {"*": [shape(inner) for inner in value.values()]}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


def is_emptier(value: Any, before: Any) -> bool:
    """Whether lists and objects have the types they had, or nothing in them, or fewer or more of the same."""
    if type(value) is not type(before):
        return False
    if isinstance(value, dict):
        return all(any(is_emptier(inner, other) for other in before.values()) for inner in value.values())
    if isinstance(value, list):
        return all(any(is_emptier(inner, other) for other in before) for inner in value)
    return True


@pytest.mark.parametrize("text", ["", "111", "1 1", "11 5  ", "1-1 5  ", "111 x  ", "1111 5  ", "111 5   ", "２11 5  "])
def test_of_a_release_too(text: str) -> None:
    assert ReleaseFacts.of_text(RELEASE.to_text()) == RELEASE
    assert ReleaseFacts.of_text(text) is None
