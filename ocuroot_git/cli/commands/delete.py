"""`git ocuroot delete`: take back what was wanted."""

from __future__ import annotations

from ...errors import UsageError
from ..arguments import checked_oid, intent_ref
from ..options import RELATIVE, WRITING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...store.transaction import Transaction
    from ..context import Context


def run(context: Context, *refs: str, if_match: str | None) -> int:
    expected = checked_oid(if_match)
    if expected is not None and len(refs) > 1:
        raise UsageError("--if-match goes with one ref")
    intents = dict.fromkeys(intent_ref(context, text) for text in refs)  # one that is named twice is deleted once

    def change(transaction: Transaction) -> None:
        for ref in intents:
            if expected is not None:
                transaction.verify(ref, expected)
            transaction.delete(ref)

    operation = context.operation("delete")
    context.stores.transact(change, command="delete", message=context.options.message, operation=operation)
    return 0


COMMAND = Command(
    "delete",
    "Delete intents, and the links to them: all of them, or none where one is not there.",
    "[<options>] <intent-ref>...",
    run,
    (Option("--if-match", metavar="<oid>", help="only where the document is this blob"),),
    common=(*RELATIVE, *WRITING),
    least=1,
    notes="What -m says is also the subject of the commit.\n"
    "Exit status: 0; 1 where one is not there; 3 where --if-match does not hold, or the race was lost.",
)
