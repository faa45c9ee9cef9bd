"""`git ocuroot thaw`: take gates away (design 13)."""

from __future__ import annotations

from ...errors import UsageError
from ..options import WRITING, Command, Option
from ..reports import report_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, *names: str, all: bool) -> int:
    from ...delivery import freezing
    from ...delivery.addresses import gate_ref
    from ...formats.refs import STATE

    if bool(names) == all:
        raise UsageError("name gates, or give --all")
    chosen = None if all else [name.removeprefix("@/custom/gate/").removeprefix("+/custom/gate/") for name in names]
    done = freezing.thaw(context.stores, chosen, context.operation("thaw"))
    for name in done.result["names"]:
        context.terminal.result(gate_ref(STATE, name))
    if all and not done.result["names"]:
        context.terminal.remark("nothing is frozen")
    report_left(context.terminal, done, takes_away=True)
    return 0


COMMAND = Command(
    "thaw",
    "Take gates away, whatever they say, so that deployments may start again; they are named as 'gate list' does.",
    "[<options>] (--all | <gate>...)",
    run,
    (Option("--all", help="all that deny; those that allow or ask for approvals stay"),),
    common=WRITING,
    notes="Prints the refs of the gates. Exit status: 0; 1 where there is no gate of that name.",
)
