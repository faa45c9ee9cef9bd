"""Text as a terminal may show it: whatever controls one is shown by its number. Pure."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Text without what controls a terminal, reverses the direction or ends the line: that is shown by its number."""
    if text.isprintable() or text.replace("\t", "").isprintable():
        return text
    return "".join(char if char == "\t" or is_harmless(char) else ascii(char)[1:-1] for char in text)


def is_harmless(char: str) -> bool:
    """Whether a terminal only draws the character: it is printable, or one of the wider and narrower spaces."""
    return char.isprintable() or (char > "\x9f" and char.isspace() and char not in "\u2028\u2029")
