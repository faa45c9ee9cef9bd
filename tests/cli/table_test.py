"""Tables for people: they fit, and what differs looks different (design 12)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.cli.table import SENTENCE, Column, cut, laid_out, width_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocuroot_git.cli.table import Cell

COLUMNS = [Column("package", may_cut=True), Column("release", is_number=True), Column("by", may_cut=True)]
REFS = [f"github.com/example/shop/-/services/{name}/release.ocu.star" for name in ("api", "web", "worker")]


def plain(text: str, colour: str) -> str:
    return text


def test_a_table_that_fits_is_aligned() -> None:
    rows: list[list[Cell]] = [["a", "9", "Zoë"], ["b", "10", ("日本", "red")]]
    lines = list(laid_out(COLUMNS, rows, 80, lambda text, colour: f"<{text}>"))
    assert lines == ["<package>  <release>  <by  >", "a              9  Zoë", "b             10  <日本>"]


def test_one_that_is_too_wide_loses_what_is_alike() -> None:
    rows = [[ref, "1", "github:ann"] for ref in REFS]
    lines = list(laid_out(COLUMNS, rows, 60, plain))
    assert all(width_of(line) <= 60 for line in lines) and len(set(lines)) == 4
    assert all(line.endswith("github:ann") for line in lines[1:]), "the widest gives way first"


def test_what_is_read_is_shown_in_full_before_it_is_cut_to_a_few_characters() -> None:
    why = "it answers every second request with an error"
    columns = [Column("package", may_cut=True), Column("why", may_cut=True, shortest=SENTENCE)]
    assert list(laid_out(columns, [[REFS[0], why]], 30, plain))[1].endswith("it answer…h an error")
    assert list(laid_out(columns, [[REFS[0], why]], 28, plain)) == [f"package  {REFS[0]}", f"why      {why}"]


def test_what_cannot_be_made_to_fit_is_shown_in_full() -> None:
    lines = list(laid_out(COLUMNS, [[ref, "1", ""] for ref in REFS], 30, plain))
    assert lines[:3] == [f"package  {REFS[0]}", "release  1", ""] and f"package  {REFS[2]}" in lines


_TEXTS = st.text(st.sampled_from("ab/@日é"), max_size=40)


@given(st.lists(st.tuples(_TEXTS, _TEXTS, _TEXTS), max_size=8), st.integers(10, 90))
def test_different_rows_never_look_alike(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = list(laid_out(COLUMNS, rows, width, plain))
    if lines and lines[0].startswith("package") and "release" in lines[0]:
        assert all(width_of(line) <= width for line in lines)
        assert len(set(lines[1:])) == len({tuple(text for text in row) for row in rows})
    else:
        assert {text for row in rows for text in row if text} == {line[9:] for line in lines if line}


@given(st.text(), st.integers(6, 40))
def test_a_text_is_cut_to_the_width(text: str, width: int) -> None:
    assert width_of(cut(text, width)) <= width
