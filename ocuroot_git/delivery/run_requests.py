"""What people ask of runs that are there already: that they are made again, or cancelled (design 7)."""

from __future__ import annotations

from ..formats.refs import Ref
from . import finish, runs
from .queries import find_release
from .run_queries import find_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.operation import Operation
    from ..store.stores import Stores
    from ..store.transaction import Transaction


def retry(stores: Stores, reference: str, operation: Operation | None = None) -> list[str]:
    """Make a new pending run in the place of one that failed, or of all of a release that failed; gives their refs.

    Raises NotFound where there is no such run or release, WrongStatus where nothing failed.
    """
    snapshot = stores.snapshot()
    if Ref.parse(reference).type:
        run = find_run(snapshot, reference)
        message = f"retry {run}"

        def change(tx: Transaction) -> list[str]:
            return [runs.retry(tx, run).ref]
    else:
        release = find_release(snapshot, reference)
        message = None

        def change(tx: Transaction) -> list[str]:
            return [made.ref for made in runs.retry_release(tx, release)]

    return stores.transact(change, command="run retry", message=message, operation=operation)


def cancel(
    stores: Stores, references: Sequence[str], *, force: bool = False, operation: Operation | None = None
) -> dict[str, str]:
    """Cancel runs that have not ended; gives what became of each, by its ref, as `finish.cancel_run` does.

    Raises NotFound where there is no such run, WrongStatus where one has ended: then none is cancelled.
    """
    snapshot = stores.snapshot()
    chosen = list(dict.fromkeys(find_run(snapshot, reference) for reference in references))
    results = stores.transact(
        lambda tx: [finish.cancel_run(tx, run, force=force) for run in chosen],
        command="run cancel",
        message=f"cancel {chosen[0]}" if len(chosen) == 1 else None,
        operation=operation,
    )
    return {run.ref: result for run, result in zip(chosen, results, strict=True)}
