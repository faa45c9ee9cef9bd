"""Longer outputs, compared with files in `tests/golden/`."""

from __future__ import annotations

import difflib
import os
import re

from .program import TOP

GOLDEN = TOP / "tests" / "golden"


def check_golden(name: str, text: str) -> None:
    """Compare a longer output with the file of that name in `golden/`; `GOLDEN=write make test` writes it anew."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != wanted:
        difference = difflib.unified_diff(
            wanted.splitlines(keepends=True), text.splitlines(keepends=True), f"tests/golden/{name}", "what was printed"
        )
        raise AssertionError("".join(difference) + "\nif that is meant to be: GOLDEN=write make test")


def plain(text: str) -> str:
    """Text without what differs from run to run: ids become `<id 1>`, `<id 2>`, … in the order of their coming."""
    known: dict[str, str] = {}
    return re.sub(
        r"\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b|(?<= at )[0-9a-f]{12}\b",
        lambda found: known.setdefault(found[0], f"<id {len(known) + 1}>"),
        text,
    )
