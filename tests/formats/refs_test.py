"""Refs: whatever is formatted is parsed to itself, whatever text is refused or has one normal form."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.examples import often

from ocuroot_git.formats.refs import TYPES, Ref, RefError

segments = st.text(st.sampled_from("ab19.-_~ é中%:*?[]{}\\!$"), min_size=1, max_size=4).filter(
    lambda text: text not in ("-", ".", "..")
)
names = st.lists(segments, min_size=1, max_size=3).map("/".join)
fragments = st.lists(st.text(st.sampled_from("ab0#@+. "), min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@st.composite
def refs(draw: st.DrawFn) -> Ref:
    marker = draw(st.sampled_from(["", "@", "+"]))
    repo = draw(st.one_of(st.just(""), st.just("."), names))
    path = draw(st.one_of(st.just(""), names))
    release = draw(st.one_of(st.just(""), st.integers(1, 20).map(str), st.just("v1.0"))) if marker else ""
    type_ = draw(st.sampled_from(["", *sorted(TYPES)])) if marker else ""
    name = draw(names) if type_ else ""
    fragment = draw(st.one_of(st.just(""), fragments)) if marker else ""
    assume(repo or path or marker)
    assume(repo or not path.startswith(".") or path.startswith(".a"))
    return Ref(repo, path, marker, release, type_, name, fragment)


@often
@given(refs())
def test_a_formatted_ref_is_parsed_to_itself(ref: Ref) -> None:
    assert Ref.parse(str(ref)) == ref
    assert Ref.parse(str(ref.without_fragment()) + "/") == ref.without_fragment()


@settings(often, max_examples=3000)
@given(st.text(st.sampled_from("ab1@+-./#~ gitGIT\n\u200c"), max_size=14))
@example("a/-/b/@1/task/x#y/")
@example("//x/@")
@example("./@/call/b")
@example("-/a/-/-/b")
@example(".")
def test_any_text_is_refused_or_has_one_normal_form(text: str) -> None:
    try:
        ref = Ref.parse(text)
    except RefError as error:
        assert str(error).startswith("bad ref ") and "\n" not in str(error)
        return
    normal = str(ref)
    again = Ref.parse(normal)
    assert (again, str(again)) == (ref, normal)
    for segment in normal.partition("#")[0].split("/"):
        assert segment and segment.lower() not in ("..", ".git")
        assert segment.isprintable() or "\u200c" in segment


@often
@given(refs(), refs())
def test_absolute_refs_are_absolute(ref: Ref, base: Ref) -> None:
    assume(base.repo and not base.is_relative)
    absolute = ref.absolute(base)
    assert not absolute.is_relative
    assert absolute.absolute(base) == absolute
    if not ref.is_relative:
        assert absolute == ref
