"""Documents: whatever JSON text comes in goes out as it was, or is refused with a place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import often

from ocuroot_git.formats.documents import Document, DocumentError, dump, parse, parse_bytes, position, same, to_bytes

numbers = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
strings = st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False))
scalars = st.one_of(numbers, strings, st.sampled_from(["null", "true", "false"]))


def _object(items: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in dict(items).items()) + "}"


canonical = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(strings, inner), max_size=4).map(_object),
    ),
    max_leaves=12,
)
spaces = st.text(st.sampled_from(" \n\t\r"), max_size=3)


@often
@given(canonical, spaces, spaces)
def test_documents_keep_what_they_were_given(text: str, before: str, after: str) -> None:
    value = parse(before + text + after)
    assert dump(value, None) == text
    indented = dump(value)
    assert dump(parse(indented), None) == text
    assert dump(parse_bytes(to_bytes(indented)), None) == text
    assert same(value, parse(indented))
    # What Python's own module makes of it, apart from the digits that it drops.
    own = json.loads(text)
    assert json.loads(dump(value, None)) == own or "e" in text.lower()
    if not re.search(r"[0-9][.eE][0-9+-]|-0", text):
        assert indented == json.dumps(own, indent=2, ensure_ascii=False)


@often
@given(canonical, canonical)
def test_documents_are_the_same_when_their_text_is(one: str, other: str) -> None:
    assert same(parse(one), parse(one))
    assert same(parse(one), parse(other)) == (one == other)


def _reversed(value: Document) -> Document:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@often
@given(canonical)
def test_the_order_of_keys_says_nothing(text: str) -> None:
    value = parse(text)
    assert same(value, _reversed(value)) and same(_reversed(value), value)


@often
@given(st.lists(st.tuples(strings, canonical), min_size=1, max_size=4, unique_by=lambda item: item[0]), st.data())
def test_duplicate_keys_are_refused_where_they_stand(items: list[tuple[str, str]], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(items))[0]
    lines = [f"{key}: {value}," for key, value in items]
    at = len(items)
    text = "[1, {\n" + "\n".join([*lines, f"  {twice}: 0"]) + "}]"
    with pytest.raises(DocumentError) as caught:
        parse(text)
    line = text[: text.rindex(f"  {twice}: 0")].count("\n") + 1
    assert line == at + 2 + sum(value.count("\n") for _, value in items)
    assert str(caught.value).startswith(f"bad JSON: line {line}, column 3: "), (text, str(caught.value))


@settings(often, max_examples=1500)
@given(st.text(st.sampled_from('[]{},:"\\ntrue10.eE-+NaIfiy \n'), max_size=12))
def test_any_text_is_a_document_or_an_error_with_a_place(text: str) -> None:
    try:
        value = parse(text)
    except DocumentError as error:
        assert re.match(r"bad JSON: line \d+, column \d+: ", str(error)), str(error)
        with pytest.raises(ValueError):
            json.loads(text, parse_constant=_refuse, object_pairs_hook=_refuse_duplicates)
        return
    assert same(parse(dump(value)), value)
    json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_a_byte_order_mark_is_passed_over_and_counts_for_nothing(mark: bytes) -> None:
    assert parse_bytes(mark + b'{"a": "\xc3\xa9"}') == {"a": "é"}
    with pytest.raises(DocumentError, match="line 2, column 4: not valid UTF-8"):
        parse_bytes(mark + b'[\n "a\xff"]')


def _paths(value: Document) -> Iterator[tuple[tuple[str | int, ...], Document]]:
    """Every value within a document, with the keys and indexes that lead to it."""
    yield (), value
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            for path, inner in _paths(item):
                yield (key, *path), inner


@often
@given(canonical, st.sampled_from([None, 0, 2]))
def test_the_position_of_a_part_is_where_it_stands(text: str, indent: int | None) -> None:
    document = parse(text)
    written = f" \n{dump(document, indent)}"
    lines = written.split("\n")
    for path, value in _paths(document):
        line, column = position(written, path)
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        assert rest.startswith(dump(value, indent).split("\n")[0]), (path, rest)
        assert position(written, (*path, "none", 7)) == (line, column) or (isinstance(value, dict) and "none" in value)
