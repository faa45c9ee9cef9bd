"""The text of a change that waits for another writer: what is written is read, and nothing else (design 8.10)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.formats.documents import dump
from ocuroot_git.formats.operation import Operation, Origin
from ocuroot_git.formats.waiting_change import MOST_BYTES, BadChange, WaitingChange

PATH = "refs/+/custom/a/@object.json"
DOCUMENT = b'{"kind": "ref", "body": 1}'


def change(**others: object) -> WaitingChange:
    fields: dict[str, object] = {
        "base": "1" * 40,
        "expires": 1800000000,
        "author": ("Zoë", "zoe@example.org", 1795000000, -330),
        "command": "set",
        "subject": None,
        "touched": ["+/custom/a"],
        "operation": Operation("job 1/é"),
        "objects": {PATH: None, ".ocuroot-store": "2" * 40},
        "names": {"refs/shop": "3" * 40},
        "files": {PATH: DOCUMENT},
    }
    return WaitingChange(**{**fields, **others})  # type: ignore[arg-type]


def test_what_is_written_is_read() -> None:
    result = dump({"a": "line\nline"}, None)
    files: dict[str, bytes | None] = {PATH: b"\xff\0", "refs/x": None}
    made = change(
        operation=Operation("job", "abc", result=result), files=files, objects={PATH: None, "refs/x": "4" * 40}
    )
    read = WaitingChange.read(made.to_bytes())
    for name in ("base", "expires", "author", "command", "subject", "touched", "objects", "names", "files"):
        assert getattr(read, name) == getattr(made, name), name
    assert (read.operation.name, read.operation.request, read.operation.result) == ("job", "abc", result)
    assert read.message() == made.message()


def test_where_a_change_comes_from_goes_with_it() -> None:
    operation = Operation("job")
    operation.origin = Origin.of("github:zoë", "https://ci.example/1", "why")
    read = WaitingChange.read(change(operation=operation).to_bytes())
    assert read.operation.origin == operation.origin
    content = json.loads(change(operation=operation).to_bytes())
    del content["operation"]["origin"]  # as the first version writes it
    assert WaitingChange.read(json.dumps(content).encode()).operation.origin == Origin()
    for bad in (
        [],
        ["a"],
        "abc",
        None,
        [1, None, None],
        ["a\nOcuroot-Operation: x", None, None],
        [None, None, "x" * 1001],
    ):
        content["operation"]["origin"] = bad
        with pytest.raises(BadChange):
            WaitingChange.read(json.dumps(content).encode())


@given(st.binary(max_size=300))
def test_anything_else_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(BadChange):
        WaitingChange.read(data)


_KEYS = sorted(json.loads(change().to_bytes()))
_TEXT = st.text(st.characters())  # surrogates too, which JSON can hold and a commit cannot
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(_KEYS), _JSON)
def test_a_field_of_any_other_shape_is_refused_or_read(key: str, value: object) -> None:
    """Never anything but BadChange; and what is read carries one operation, and writes only what it has read."""
    text = {**json.loads(change().to_bytes()), key: value}
    try:
        read = WaitingChange.read(json.dumps(text).encode())
    except BadChange:
        return
    assert set(read.files) <= set(read.objects)
    assert read.message().count("\nOcuroot-Operation: ") == 1


@pytest.mark.parametrize(
    "path",
    ["", "/", "refs//x", "refs/./x", "refs/../x", "refs/.git/x", "refs/.GIT/x", "/refs/x", "refs/x/", "refs/a\0b"],
)
def test_paths_that_lead_elsewhere(path: str) -> None:
    with pytest.raises(BadChange):
        WaitingChange.read(change(objects={path: None}, files={path: DOCUMENT}).to_bytes())
    with pytest.raises(BadChange):
        WaitingChange.read(change(names={path: "1" * 40}).to_bytes())


def test_large_ones_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(BadChange, match="more than"):
        WaitingChange.read(b" " * (MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("path", "data", "is_good"),
    [
        (PATH, DOCUMENT, True),
        (PATH, None, True),
        ("refs/shop/-/web/@1/task/b/@object.json", DOCUMENT, True),
        ("dependencies/dependants/a/@ref.txt", b"@/custom/b", True),
        ("dependencies/dependants/a/@ref.txt", b"../x", False),
        ("dependencies/dependants/a/x", b"@/custom/b", False),
        (".ocuroot-store", b'{"version": 1}', False),
        ("README.md", b"", False),
        ("refs/+/custom/a/x", DOCUMENT, False),
        ("refs/+/custom/a#b/@object.json", DOCUMENT, False),
        ("refs/@object.json", DOCUMENT, False),
        (PATH, b"[]", False),
    ],
)
def test_which_files_a_store_has(path: str, data: bytes | None, is_good: bool) -> None:
    made = change(objects={path: None}, files={path: data})
    below = change(objects={f"state/{path}": None}, files={f"state/{path}": data})
    for one, directories in ((made, [""]), (below, ["intent/", "state/"])):
        if is_good:
            one.check_files(directories)
        else:
            with pytest.raises(BadChange):
                one.check_files(directories)
    with pytest.raises(BadChange):
        made.check_files(["state/"])


@pytest.mark.parametrize("subject", ["", " ", "\ud800", 1])
def test_subjects_that_no_commit_has(subject: object) -> None:
    text = {**json.loads(change().to_bytes()), "subject": subject}
    with pytest.raises(BadChange):
        WaitingChange.read(json.dumps(text).encode())
