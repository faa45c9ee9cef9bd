"""`git ocuroot fetch`: get what others wrote."""

from __future__ import annotations

from ...sync.remotes import each_backend
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(context: Context, remote: str | None = None) -> int:
    for where, sharing in each_backend(context.stores, context.settings, remote):
        if sharing is None:
            context.terminal.remark(f"{where}: up to date with the remote")
            continue
        result = sharing.fetch()
        if result.made:
            context.terminal.remark(f"{where}: made from '{sharing.remote}'")
        elif result.ahead and result.behind:
            context.terminal.remark(
                f"{where}: has diverged from '{sharing.remote}', "
                f"{result.ahead} ahead and {result.behind} behind; 'git ocuroot sync' brings them together"
            )
        else:
            context.terminal.remark(f"{where}: {result.moved} new from '{sharing.remote}', {result.ahead} to push")
    return 0


COMMAND = Command(
    "fetch",
    "Fetch the branches of the stores from a remote, and fast-forward the local ones that have nothing of their own.",
    "[<remote>]",
    run,
    most=1,
    notes="A remote store is asked for its tip; it needs no fetch otherwise.",
)
