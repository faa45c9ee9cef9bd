"""`git ocuroot gate`: which gates there are, and whether they are closed (design 13)."""

from __future__ import annotations

from ...formats.documents import dump
from ..options import READING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.gate_list import ListedGate
    from ..context import Context


def listing(context: Context, *, json: bool) -> int:
    from ...delivery.gate_list import list_gates

    terminal = context.terminal
    found = list_gates(context.snapshot())
    terminal.start_pager()
    for listed in found:
        if json:
            terminal.json(dump(listed.to_document(), None))
        else:
            terminal.record(_line(context, listed))
    return 0


def _line(context: Context, listed: ListedGate) -> str:
    from ...formats.times import format_local

    gate, terminal = listed.gate, context.terminal
    state = terminal.paint(f"{listed.state:<6}", "red" if listed.state == "closed" else "green")
    if listed.until is None:
        when = "" if listed.state == "open" else "until it is thawed"
    else:
        when = f"until {format_local(listed.until)}"
    words = [when, gate.about, f"by {gate.by}" if gate.by else "", gate.problem or gate.reason]
    if listed.sides != ["state", "intent"]:
        words.append(f"in {listed.sides[0]} only")
    kind = gate.kind or "?"
    return f"{state} {kind:<7} {terminal.name(gate.name)}\t{'; '.join(word for word in words if word)}"


COMMAND = Group(
    "gate",
    "Show which gates there are, and whether they are closed.",
    (
        Command(
            "gate list",
            "List the gates: whether each is closed now and until when, what it concerns, who made it, and why.",
            "[--json]",
            listing,
            (Option("--json", help="print a JSON line for each"), Option("-z", help="end records with NUL")),
            common=READING,
            most=0,
            notes="A gate that cannot be understood is closed, and says why. Exit status: 0.",
        ),
    ),
)
