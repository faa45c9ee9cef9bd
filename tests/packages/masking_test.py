"""Secrets are taken out, however they come."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode, urlsafe_b64encode
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.packages.masking import MASK, Secrets, Stream


def known(*values: str) -> Secrets:
    secrets = Secrets()
    for value in values:
        secrets.add(value)
    return secrets


def test_text() -> None:
    assert known("").mask("abc") == "abc"
    assert known("b").mask("abc") == f"a{MASK}c"
    assert known("abcd", "cdef").mask("xabcdefx") == f"x{MASK}x", "two that overlap"
    assert known("e", "secret").mask("the secret") == f"th{MASK} {MASK}", "one that is in the mask itself"
    assert known('a"b\n').mask(r"a\"b\n") == MASK, "as JSON spells it"
    assert known("a b/c").mask("x=a%20b%2Fc") == f"x={MASK}", "as URLs spell it"
    assert MASK in known("-----BEGIN\nabcdefgh\nijklmnop\n-----END").mask("line: ijklmnop"), "a line of several"


def test_as_the_language_prints_it() -> None:
    assert known('pä"ss').mask(r'["p\xe4\"ss"]') == f'["{MASK}"]'


@given(
    st.text("pa'\"&</+ä\n", min_size=6, max_size=12),
    st.text("pqé", max_size=4),
    st.text("pqé", max_size=4),
)
def test_as_others_spell_it(value: str, before: str, after: str) -> None:
    secrets = known(value)
    for text in value, json.dumps(value), quote(value), escape(value):
        assert value not in secrets.mask(text) and MASK in secrets.mask(text), text
    # What is left tells at most of the characters at the ends.
    whole = (before + value + after).encode()
    for encode in b64encode, urlsafe_b64encode:
        around = len(before.encode()) + len(after.encode())
        shown = secrets.mask(encode(whole).decode())
        assert MASK in shown and len(shown) - len(MASK) <= around * 8 / 6 + 6, (value, before, after)
    assert MASK in secrets.mask(whole.hex()) and MASK in secrets.mask(whole.hex().upper())


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_as_shells_show_what_they_run(shell: str) -> None:
    value = "it's pa\"ss"
    shown = subprocess.run([shell, "-xc", ': "$0"', value], capture_output=True, text=True, check=True).stderr
    assert "it" in shown and "it" not in known(value).mask(shown), shown


def test_encodings_of_short_secrets_are_met_by_chance() -> None:
    assert known("ab").mask("YWI= 6162") == "YWI= 6162"


def test_values() -> None:
    secrets = known("hunter2", "123456")
    value = {"hunter2": ["a hunter2", 123456, 1.5, True, None], "b": {"c": "x"}}
    assert secrets.mask_value(value) == {MASK: [f"a {MASK}", MASK, 1.5, True, None], "b": {"c": "x"}}
    assert secrets.holds(value) and not secrets.holds({"b": 1})


@given(
    st.lists(st.text("ab\n", min_size=1, max_size=5), min_size=1, max_size=3), st.lists(st.text("abc\n", max_size=6))
)
def test_pieces_come_to_the_same_as_the_whole(values: list[str], pieces: list[str]) -> None:
    secrets = known(*values)
    stream = Stream(secrets)
    lines = [line for piece in pieces for line in stream.feed(piece)] + stream.finish()
    whole = secrets.mask("".join(pieces))
    assert "\n".join(lines).rstrip("\n") == whole.rstrip("\n")


def test_a_long_line_is_cut_but_no_secret_in_it() -> None:
    secrets = known("s3cr3t" * 10)
    stream = Stream(secrets)
    text = "x" * (Stream.LONGEST - 20) + "s3cr3t" * 10 + "y" * Stream.LONGEST
    lines = [line for at in range(0, len(text), 7) for line in stream.feed(text[at : at + 7])] + stream.finish()
    assert "".join(lines) == secrets.mask(text)
    assert max(map(len, lines)) <= Stream.LONGEST
