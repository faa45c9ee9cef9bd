"""`git ocuroot approve`: let a release be deployed where a gate asks for that, or not (design 13)."""

from __future__ import annotations

from ...errors import UsageError
from ..options import RELATIVE, WRITING, Command, Option
from ..reports import report_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, release: str, *, environment: str | None, reject: bool) -> int:
    from ...delivery import freezing
    from ...delivery.gates import Gates

    if not environment:
        raise UsageError("for which environment? name it by --environment")
    work = freezing.deployment_to(context.snapshot(), release, environment)
    operation, reason = context.operation("approve"), context.options.message
    done = freezing.approve(context.stores, work, reason, approves=not reject, operation=operation)
    context.terminal.result(done.result["ref"])
    for closure in Gates(context.snapshot()).closures(work):
        context.terminal.remark(f"{environment} still waits for {closure.what}")
    report_left(context.terminal, done)
    return 0


COMMAND = Command(
    "approve",
    "Approve a release for an environment, or reject it: where gates ask for approvals, it is deployed there once it "
    "has enough of them.",
    "[<options>] --environment <name> <release>",
    run,
    (
        Option("--environment", metavar="<name>", help="where it may be deployed"),
        Option("--reject", help="say that it may not, until you approve it"),
    ),
    common=(*RELATIVE, *WRITING),
    least=1,
    most=1,
    notes="""
Prints the ref of the intent, and says what the environment still waits for. Who you are is what the CI system says,
else the email of the committer. Who may approve, how many have to, and for how long that holds, the gates say.
Exit status: 0; 1 where there is no such release, or it is not deployed to that environment.
""",
)
