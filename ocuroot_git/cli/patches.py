"""How a document has changed, as people read it: lines of JSON that go and come (design 6)."""

from __future__ import annotations

from ..formats.documents import MISSING, dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.documents import Document
    from .terminal import Terminal


def show_patch(
    terminal: Terminal, ref: str, before: Document, after: Document, *, was: str | None = None, now: str | None = None
) -> None:
    """Print how two documents differ, either of which may be MISSING. They are called `was` and `now`, or `ref`."""
    from difflib import unified_diff

    old = [] if before is MISSING else dump(before).splitlines()
    new = [] if after is MISSING else dump(after).splitlines()
    from_name = "/dev/null" if before is MISSING else was or ref
    to_name = "/dev/null" if after is MISSING else now or ref
    terminal.record(terminal.paint(f"diff {ref}", "bold"))
    for line in unified_diff(old, new, from_name, to_name, lineterm=""):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        terminal.record(terminal.paint(line, style) if style else line)
