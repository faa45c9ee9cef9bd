"""What pages are made of: times, colours of terminals, lines of JSON, pictures. Pure."""

from __future__ import annotations

import json

import pytest

from ocuroot_git.formats.escape_sequences import plain
from ocuroot_git.formats.times import parse_time
from ocuroot_git.web import ansi, json_text, pictures, times


def test_relative_times_name_the_largest_unit() -> None:
    now = parse_time("2026-01-05T09:00:00Z")
    assert now is not None
    for text, wanted in (
        ("2026-01-05T08:59:31Z", "just now"),
        ("2026-01-05T08:58:59Z", "1 minute ago"),
        ("2026-01-05T11:00:00Z", "in 2 hours"),
        ("2025-12-05T09:00:00Z", "1 month ago"),
    ):
        moment = parse_time(text)
        assert moment is not None and times.relative(moment, now) == wanted


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("plain", [("plain", "")]),
        ("\x1b[31mred\x1b[0m not", [("red", "ansi-red"), (" not", "")]),
        ("\x1b[1;92mok\x1b[22m!", [("ok", "ansi-green ansi-bold"), ("!", "ansi-green")]),
        ("\x1b[38;5;1mr\x1b[38;2;1;2;3mt\x1b[39m.", [("r", "ansi-red"), ("t", ""), (".", "")]),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", [("click", "")]),
        ("\x1b]0;title\x07text\x1b[2K\x1b[1A\r\x08", [("text", "")]),
        ("\x1b[31", []),
        ("tab\tkept", [("tab\tkept", "")]),
    ],
)
def test_escape_sequences_become_classes_or_nothing(line: str, pieces: list[tuple[str, str]]) -> None:
    assert ansi.pieces(line) == pieces
    assert plain(line) == "".join(text for text, _ in pieces)


def test_document_lines_are_those_of_get() -> None:
    document = {"a": [1, {"b": None}, []], "c": {}, "d": "x\ny"}
    shown = json_text.lines(document, lambda text: "")
    assert "\n".join("".join(piece.text for piece in line) for line in shown) == json.dumps(document, indent=2)


def test_pipeline_lines_start_and_end_at_the_middles_of_cards() -> None:
    total = pictures.height([2, 1])
    assert total == 2 * pictures.CARD + pictures.GAP
    assert pictures.connections(2, 1, total) == [
        "M0 44C14 44 14 96 28 96",
        "M0 148C14 148 14 96 28 96",
        "M28 96C42 96 42 96 56 96",
    ]
