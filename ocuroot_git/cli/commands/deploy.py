"""`git ocuroot deploy`: take down what is deployed (design 7)."""

from __future__ import annotations

from ..options import RELATIVE, WRITING, Command, Group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def down(context: Context, reference: str) -> int:
    from ...delivery import apply
    from ...delivery.worker import Scope
    from .work import carry_out

    work = apply.take_down(context.stores, reference, context.operation("deploy down"))
    return carry_out(context, Scope(lambda snapshot, run: run.work == work, intents=False, ops=False))


COMMAND = Group(
    "deploy",
    "Take down what is deployed.",
    (
        Command(
            "deploy down",
            "Take down a deployment: delete its intent, and make and execute the run that takes it down.",
            "[<options>] <deployment>",
            down,
            common=(*RELATIVE, *WRITING),
            least=1,
            most=1,
            notes="<deployment> is <package>/@/deploy/<environment>, or with the number of the release that must be "
            "there.\nExit status: 0, also where it waits for a run there; 1 where its run failed; 3 where that is not "
            "deployed.",
        ),
    ),
)
