"""What follows from a change: `work cascade`, and `--cascade` of commands that change something (design 7).

What a run puts out is followed at once when it completes (`redeploy`). This also finds what was changed otherwise,
custom documents and attributes of environments, and tells what follows from what one command did.
"""

from __future__ import annotations

from ..formats.documents import MISSING, dump
from . import vocabulary
from .inputs import fill
from .problems import BAD, Problems
from .redeploy import redeploy_if_changed
from .run_queries import deployments, read_deployed, status_of
from .steps import last_step
from .survey import ops, unsettled_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef

    Seen = tuple[dict[str, str | None], list[int]]
    """What a run finds: the inputs that are looked up, as JSON, and how much there is of each thing it waits for."""


def redeploy_changed(tx: Transaction, problems: Problems, wanted: Callable[[Snapshot, RunRef], bool]) -> None:
    """Make a run of each deployment, of those `wanted`, whose inputs would be filled otherwise now."""
    for run in list(deployments(tx, problems).values()):
        if run is not None and wanted(tx, run):
            with problems.leave_out(run.work.current), tx.all_or_nothing():
                redeploy_if_changed(tx, run.work.package, run.work.name)


class Followed:
    """How things stand before a command changes something, to tell later what follows from that: runs that are new,
    those whose inputs or conditions are met otherwise, and ops that are new. All else is left as it is."""

    def __init__(self, snapshot: Snapshot) -> None:
        problems = Problems()  # which are told of by those who act
        runs = [run for run, status in unsettled_runs(snapshot, problems) if status in vocabulary.OPEN]
        runs += [run for run in deployments(snapshot, problems).values() if run is not None]
        self._runs = {run.ref: _seen(snapshot, run) for run in runs}
        self._ops = set(ops(snapshot, problems))

    def has_run(self, snapshot: Snapshot, run: RunRef) -> bool:
        """Whether a run, or its being made again, follows from what was changed since."""
        return run.ref not in self._runs or self._runs[run.ref] != _seen(snapshot, run)

    def has_op(self, release: str, name: str) -> bool:
        """Whether an op does."""
        return (release, name) not in self._ops


def _seen(snapshot: Snapshot, run: RunRef) -> Seen | None:
    """What a run that is open would find now, or a new run of what is deployed; None where it cannot be read."""
    try:
        is_open = run.number > 0 and status_of(snapshot, run) in vocabulary.OPEN
        function = last_step(snapshot, run)[1] if is_open else read_deployed(snapshot, run)
        unfilled = {name: given.unfilled() for name, given in function.inputs.items() if given.ref is not None}
        filled, _ = fill(snapshot, unfilled)
        met = [len(snapshot.match(glob, side="state")) for glob in function.dependencies] if is_open else []
    except BAD:
        return None
    return {name: None if given.value is MISSING else dump(given.value) for name, given in filled.items()}, met
