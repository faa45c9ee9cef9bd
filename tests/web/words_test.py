"""What pages are made of: times, colours of terminals, lines of JSON, pictures. Pure."""

from __future__ import annotations

import json
import re

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
        ("\x1b[38;5;1mr\x1b[38;2;1;2;3mt\x1b[39m.", [("r", "ansi-red"), ("t", "fg-16"), (".", "")]),
        ("\x1b[38;5;208;48;2;255;255;254mx\x1b[49my", [("x", "fg-208 bg-231"), ("y", "fg-208")]),
        ("\x1b[38;5;300ma\x1b[38;2;1mb", [("ab", "")]),  # no colour at all
        (
            "\x1b[3;4mx\x1b[24my\x1b[7;23mz",
            [("x", "ansi-italic ansi-underline"), ("y", "ansi-italic"), ("z", "ansi-inverse")],
        ),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", [("click", "")]),
        ("\x1b]0;title\x07text\x1b[1A\r\x08", [("text", "")]),
        (" 10%\r 20%\r100% done", [("100% done", "")]),  # as a terminal shows progress
        ("downloading\rdone\x1b[K", [("done", "")]),
        ("abc\x1b[2K\rd\b\b\be", [("e  ", "")]),
        ("\x1b[31mred\rg\x1b[0mr", [("g", "ansi-red"), ("r", ""), ("d", "ansi-red")]),
        ("ends with\r", [("ends with", "")]),
        ("\x1b[31", []),
        ("tab\tkept", [("tab\tkept", "")]),
    ],
)
def test_escape_sequences_become_classes_or_nothing(line: str, pieces: list[tuple[str, str]]) -> None:
    assert [(piece.text, piece.classes) for piece in ansi.pieces(line)] == pieces
    assert not any(piece.address for piece in ansi.pieces(line))


def test_addresses_in_logs_become_links() -> None:
    line = "see \x1b[1mhttps://ci.example/a\x1b[0m?x=(1). and http://b/, not javascript:alert(1) or https:// alone"
    assert [(piece.text, piece.address) for piece in ansi.pieces(line) if piece.address] == [
        ("https://ci.example/a", "https://ci.example/a?x=(1"),
        ("?x=(1", "https://ci.example/a?x=(1"),
        ("http://b/", "http://b/"),
    ]
    assert "".join(piece.text for piece in ansi.pieces(line)) == plain(line)
    many = "http://a/ \x1b[31m" * 5000
    assert len(ansi.pieces(many)) == 10_000


def test_colours_of_logs_can_be_read_on_both_grounds() -> None:
    light, dark = ansi.style_sheet().split("@media")
    for sheet, ground in ((light, "#ffffff"), (dark, "#161d27")):
        rules = re.findall(r"\.fg-\d+\{color:(#[0-9a-f]{6})\}", sheet)
        assert len(rules) == 240
        assert min(_contrast(colour, ground) for colour in rules) >= 4.5
    for ground, text in re.findall(r"\.bg-\d+\{background:(#[0-9a-f]{6});color:(#[0-9a-f]{3})\}", light):
        assert _contrast(text[0] + text[1] * 6, ground) >= 4.5


def _contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines 2.1 define it."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
