"""`git ocuroot gate`: which gates there are, and whether they are closed (design 13)."""

from __future__ import annotations

from ...formats.documents import dump
from ..options import READING, RELATIVE, Command, Group, Option

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


def check(context: Context, release: str | None = None, *, environment: str | None, json: bool) -> int:
    from ...delivery.addresses import WorkRef
    from ...delivery.gates import Gates
    from ...delivery.problems import Problems
    from ...delivery.queries import environments, find_release, no_environment
    from ...delivery.runs import closures_for
    from ...delivery.vocabulary import DEPLOY
    from ..reports import report_problems

    snapshot, problems = context.snapshot(), Problems()
    known = environments(snapshot, problems)
    if environment is not None and environment not in known:
        raise no_environment(snapshot, environment)
    gates = Gates(snapshot)
    found = find_release(snapshot, release) if release is not None else None
    is_closed = False
    for name in [environment] if environment is not None else sorted(known):
        if found is None:
            closures = gates.closures_at(name)
        else:
            closures = closures_for(snapshot, WorkRef(found, DEPLOY, name), gates)
        is_closed = is_closed or bool(closures)
        for closure in closures:
            if json:
                context.terminal.json(dump({"environment": name, **closure.to_document()}, None))
            else:
                context.terminal.record(f"{context.terminal.name(name)}\t{closure.what}")
    return report_problems(context.terminal, problems) or int(is_closed)


def _line(context: Context, listed: ListedGate) -> str:
    from ...formats.times import format_local

    gate, terminal = listed.gate, context.terminal
    state = terminal.paint(f"{listed.state:<6}", "red" if listed.state == "closed" else "green")
    if listed.until is None:
        when = "" if listed.state == "open" else "until it is thawed"
        if listed.is_over:
            when = "its time has passed"
    else:
        when = f"until {format_local(listed.until)}"
    words = [when, gate.about, f"by {gate.by}" if gate.by else "", gate.problem or gate.reason]
    if listed.sides != ["state", "intent"]:
        words.append(f"in {listed.sides[0]} only")
    if listed.missing:
        words.append(f"there is no environment {', '.join(map(terminal.name, listed.missing))}")
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
        Command(
            "gate check",
            "Say what keeps deployments from starting now: of a release, to an environment or to each; or of any.",
            "[<options>] [<release>]",
            check,
            (
                Option("--environment", metavar="<name>", help="to that environment (default: each)"),
                Option("--json", help="print a JSON line for each reason"),
                Option("-z", help="end records with NUL"),
            ),
            common=(*RELATIVE, *READING),
            most=1,
            notes="Prints the environment and the reason: which gate is closed, by whom, until when and why, or that\n"
            "the release is held. Exit status: 0 where nothing keeps it; 1 where something does.",
        ),
    ),
)
