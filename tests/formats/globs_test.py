"""Globs agree with regular expressions, whatever the pattern and the text."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import often
from support.globs import oracle, patterns

import ocuroot_git

texts = st.text(st.sampled_from("ab1/@-*]}z,"), max_size=8)


@settings(often, max_examples=1200)
@given(patterns, st.lists(texts, min_size=1, max_size=12))
@example("a/**/b", ["a/b", "a//b", "a/x/b", "a/b/b", "ab"])
@example("/**/**/", ["/", "//", "///", "/a/", "/a/b/"])
@example("{a,b{1,**}}*", ["a", "b", "b1", "b//a", "ba/1"])
@example("**/[@a]{/**/,@}b@", ["a/ab@", "/a/@/b@"])
def test_globs_agree_with_regular_expressions(pattern: str, those: list[str]) -> None:
    expected = oracle(pattern)
    glob = ocuroot_git.Glob(pattern)
    for text in those:
        assert glob.matches(text) == bool(expected.fullmatch(text)), (pattern, text, expected.pattern)
        if glob.matches(text) and not any(segment[:1] in ("@", "+") for segment in text.split("/")):
            assert glob.start.ends_unmarked(), (pattern, text)


def test_a_pattern_may_need_a_marker() -> None:
    for pattern in ("@", "**/@/deploy/*", "a/{@,+}*", "a/**/+1/x"):
        assert not ocuroot_git.Glob(pattern).start.ends_unmarked(), pattern
    for pattern in ("", "**@/x", "{**/@,a}/b", "*", "a/[@b]"):
        assert ocuroot_git.Glob(pattern).start.ends_unmarked(), pattern


@often
@given(st.lists(patterns, min_size=1, max_size=3), texts)
def test_several_globs_are_alternatives(several: list[str], text: str) -> None:
    assert ocuroot_git.Glob(*several).matches(text) == any(oracle(one).fullmatch(text) for one in several)
