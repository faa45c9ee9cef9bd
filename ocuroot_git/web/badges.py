"""Badges: which release of a package is in an environment, as a small picture for a README. Pure: words in, SVG out."""

from __future__ import annotations

from html import escape

_COLOURS = {"newest": "#17733f", "older": "#1a62b8", "failed": "#bb1f2a", "none": "#56606f"}
"""By how it stands: white text has a contrast of at least 4.5 on each."""
_LONGEST = 40
_SIZE = 11
_PADDING = 6
_WIDTHS = {**dict.fromkeys("iljtfrI.,:;|!'()[]/ -", 4.2), **dict.fromkeys("mwMW@%", 9.6)}
"""The widths of narrow and wide characters, in pixels at that size; others have the usual one."""
_USUAL = 7.0


def badge(label: str, value: str, state: str) -> str:
    """The picture: a label, and a value on the colour of a state: `newest`, `older`, `failed` or `none`."""
    label, value = _shortened(label), _shortened(value)
    left, right = _width(label), _width(value)
    words = escape(f"{label}: {value}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{words}">'
        f"<title>{words}</title>"
        f'<rect width="{left}" height="20" fill="#3a4350"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[state]}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="{_SIZE}">'
        f"{_text(label, 0, left)}{_text(value, left, right)}</g></svg>\n"
    )


def _text(text: str, start: int, width: int) -> str:
    return f'<text x="{start + _PADDING}" y="14" textLength="{width - 2 * _PADDING}">{escape(text)}</text>'


def _width(text: str) -> int:
    return round(sum(_WIDTHS.get(char, _USUAL) for char in text)) + 2 * _PADDING


def _shortened(text: str) -> str:
    """A text as a badge has room for it, of characters that can be seen."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
