"""`git ocuroot parse`: show the parts of a ref."""

from __future__ import annotations

from ...formats.documents import dump
from ...formats.refs import Ref
from ..options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context

PARTS = ("repo", "path", "marker", "release", "type", "name", "fragment")


def run(context: Context, *refs: str, json: bool) -> int:
    for text in refs:
        ref = Ref.parse(text)
        parts = {"ref": str(ref), **{part: getattr(ref, part) for part in PARTS}, "is_global": ref.is_global}
        if json:
            context.terminal.json(dump(parts, None))
        else:
            for part, value in parts.items():
                if value:
                    shown = "yes" if value is True else str(value)
                    context.terminal.record(f"{part + ':':<10} {shown}")
    return 0


COMMAND = Command(
    "parse",
    "Show the normal form and the parts of each ref. No repository is needed.",
    "[--json] <ref>...",
    run,
    (Option("--json", help="print a JSON line for each ref"),),
    least=1,
)
