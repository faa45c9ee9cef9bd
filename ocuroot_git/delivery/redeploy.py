"""Deployments are made again when an input changed: when a run completed whose outputs they refer to (design 7)."""

from __future__ import annotations

from ..formats.documents import same
from ..formats.refs import STATE, Ref
from . import vocabulary
from .addresses import RunRef, WorkRef
from .inputs import fill
from .problems import Problems
from .queries import dependants, records_of
from .run_queries import deployed, deployments, last_run, read_deployed, read_function
from .runs import make
from .vocabulary import DEPLOY, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .model import Inputs


def redeploy_dependants(tx: Transaction, run: RunRef) -> None:
    """After a run completed: a new run of each deployment whose inputs refer to its outputs and now differ."""
    work = run.work
    refs = {work.ref, work.current}
    release = tx.object(work.release)
    for link in release.links if release is not None else ():
        refs.add(f"{link}/{work.kind}/{work.name}")
    for other in _dependants(tx, sorted(refs)):
        if other.current != work.current:
            # A deployment that cannot be read is reported where it stands, and does not keep this run from ending.
            with Problems().leave_out(other.current), tx.all_or_nothing():
                redeploy_if_changed(tx, other.package, other.name)


def _dependants(tx: Transaction, refs: list[str]) -> Iterator[WorkRef]:
    """The deployments whose inputs refer to any of some documents."""
    if records_of(tx).records_dependants:
        for ref in refs:
            for dependant in map(Ref.parse, dependants(tx, ref)):
                if dependant.marker == STATE and not dependant.release and dependant.type == DEPLOY:
                    release = str(dependant.replace(type="", name=""))
                    yield WorkRef(release, DEPLOY, dependant.name)
        return
    wanted = {Ref.parse(ref) for ref in refs}
    for run in deployments(tx, Problems()).values():
        if run is not None:
            inputs: Inputs = {}
            with Problems().leave_out(run.ref):
                inputs = read_deployed(tx, run).inputs
            if any(given.document in wanted for given in inputs.values()):
                yield WorkRef(f"{run.work.package}/{STATE}", DEPLOY, run.work.name)


def redeploy_if_changed(tx: Transaction, package: str, name: str) -> None:
    """Make a run of what is deployed somewhere if its inputs would be filled otherwise now."""
    run = outdated(tx, package, name)
    if run is not None:
        make(tx, run.work, UP, vocabulary.BY_INPUT)


def outdated(snapshot: Snapshot, package: str, name: str) -> RunRef | None:
    """The run that is deployed somewhere, if its inputs would be filled otherwise now; None if not.

    A run that is open already will see them, or is looked at when it ends. Its own outputs do not count.
    """
    run = deployed(snapshot, package, name)
    if run is None:
        return None
    last = last_run(snapshot, run.work)
    if last is not None and read_function(snapshot, last).status in vocabulary.OPEN:
        return None
    own = (Ref.parse(run.work.ref), Ref.parse(run.work.current))
    before = {
        name: given
        for name, given in read_deployed(snapshot, run).inputs.items()
        if given.ref is not None and given.document not in own
    }
    now, missing = fill(snapshot, before)
    if missing or all(same(given.value, now[name].value) for name, given in before.items()):
        return None
    return run
