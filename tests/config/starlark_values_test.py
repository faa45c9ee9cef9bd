"""Starlark values: what has a form in JSON, and where what has none stands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.starlark import LONG, read

from ocuroot_git.config.repo_file import evaluate_value
from ocuroot_git.config.sandbox import StarlarkError

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ('"é\\n\\u2603<&>"', '"é\\n☃<&>"'),
        ("None", "null"),
        ("not True", "false"),
        ('{"b": 1, "a": {"z": [], "y": ()}}', '{"b":1,"a":{"z":[],"y":[]}}'),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-(1 << 70)", "-1180591620717411303424"),
        ("[1.0, 0.1, 1e300, -0.0]", "[1.0,0.1,1e300,-0.0]"),
        ('struct(b = 1, a = "x")', '{"b":1,"a":"x"}'),
        ("[x * 2 for x in range(3) if x != 1]", "[0,4]"),
        ('  {"a":\n      1}  # one\n\n', '{"a":1}'),
        (
            'json.decode(\'{"b": [1.0, null], "a": 123456789012345678901}\')',
            '{"b":[1.0,null],"a":123456789012345678901}',
        ),
        ('json.decode(json.encode({"b": "é\\n", "a": [True]}))', '{"b":"é\\n","a":[true]}'),
        ('"-".join(["a", "b"]).upper()', '"A-B"'),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert evaluate_value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: one expression is wanted, here are 0"),
        ("# nothing", "1:1: one expression is wanted, here are 0"),
        ("1, 2", "1:1: one expression is wanted, here are 2"),
        ("x = 3", "1:3: parse error: unexpected symbol '=' here"),
        ("x=3", "1:2: parse error: unexpected symbol '=' here"),
        ("1\n2", "2:1: parse error: unexpected integer literal '2' here"),
        ("1) + (2", "1:2: parse error: unexpected symbol ')' here"),
        ('{"a": 1}}', "1:9: parse error: unexpected symbol '}' here"),
        ('{"a":\n  1', "2:4: parse error: unexpected end"),
        ("1 +\n", "1:4: parse error: unexpected end"),
        ("[1,\n  2 + 'a']", "2:3: operation `+` not supported for types `int` and `string`"),
        ("{'a':\n  zz}", "2:3: variable `zz` not found"),
        ("host.env()", "1:1: variable `host` not found"),
        ('{"a": 1, "a": 2}', '1:10: dictionary key repeated for `"a"`'),
        ("{1: 2}", "1:1: the keys of a JSON object are strings, and 1 is of type int"),
        ("lambda: 1", "1:1: a value of type function has no JSON form"),
        ("[\n    len]", "1:1: a value of type function has no JSON form"),
        ("[[len]]", "1:1: a value of type function has no JSON form"),
        ("struct(a=[range(3)])", "1:1: a value of type range has no JSON form"),
        ('float("nan")', "1:1: nan has no JSON form"),
        ('{"a": float("-inf")}', "1:1: -inf has no JSON form"),
        ("fail('no')", "1:1: fail: no"),
    ],
)
def test_what_is_no_value(text: str, expected: str) -> None:
    with pytest.raises(StarlarkError) as caught:
        evaluate_value(text)
    assert caught.value.message.startswith(f"value:{expected}"), caught.value.message


def test_a_large_value() -> None:
    value = {f"key{number}": list(range(20)) for number in range(5000)}
    assert json.loads(evaluate_value(json.dumps(value), seconds=LONG)) == value


def test_a_value_that_is_too_large() -> None:
    with pytest.raises(StarlarkError, match="memory"):
        evaluate_value('"a" * 70000000', seconds=LONG)


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)


@settings(max_examples=60)
@given(VALUES)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    got = evaluate_value(repr(value), seconds=LONG)
    assert json.dumps(json.loads(got)) == json.dumps(value)


@settings(max_examples=60)
@given(TEXTS)
def test_any_text_is_a_file_or_an_error(text: str) -> None:
    for call in (lambda: read(text), lambda: evaluate_value(text, seconds=LONG)):
        try:
            call()
        except StarlarkError as caught:
            assert "\n" not in caught.message
            assert "PanicException" not in caught.message
