"""Deployments whose inputs changed, whatever changed them, are made again: `work cascade` (design 7).

What a run puts out is followed at once when it completes (`redeploy`); this also finds what was changed otherwise:
custom documents, and attributes of environments.
"""

from __future__ import annotations

from .queries import deployments
from .redeploy import redeploy_if_changed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .problems import Problems


def redeploy_changed(tx: Transaction, problems: Problems, wanted: Callable[[RunRef], bool]) -> None:
    """Make a run of each deployment, of those `wanted`, whose inputs would be filled otherwise now."""
    for run in list(deployments(tx, problems).values()):
        if run is not None and wanted(run):
            with problems.leave_out(run.work.current), tx.all_or_nothing():
                redeploy_if_changed(tx, run.work.package, run.work.name)
