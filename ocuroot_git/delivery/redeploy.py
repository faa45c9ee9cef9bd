"""Deployments are made again when an input changed: when a run completed whose outputs they refer to (design 7)."""

from __future__ import annotations

from ..formats.documents import same
from ..formats.refs import STATE, Ref
from . import vocabulary
from .addresses import RunRef
from .inputs import fill
from .problems import Problems
from .queries import dependants, deployed, last_run, read_function
from .runs import make
from .vocabulary import DEPLOY, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..store.transaction import Transaction


def redeploy_dependants(tx: Transaction, run: RunRef) -> None:
    """After a run completed: a new run of each deployment whose inputs refer to its outputs and now differ."""
    work = run.work
    refs = {work.ref, work.current}
    release = tx.object(work.release)
    for link in release.links if release is not None else ():
        refs.add(f"{link}/{work.kind}/{work.name}")
    for ref in sorted(refs):
        for dependant in dependants(tx, ref):
            parsed = Ref.parse(dependant)
            is_current = parsed.marker == STATE and not parsed.release and parsed.type == DEPLOY
            if is_current and dependant != work.current:
                package = str(parsed.replace(marker="", type="", name=""))
                # A deployment that cannot be read is reported where it stands, and does not keep this run from ending.
                with Problems().leave_out(dependant), tx.all_or_nothing():
                    redeploy_if_changed(tx, package, parsed.name)


def redeploy_if_changed(tx: Transaction, package: str, name: str) -> None:
    """Make a run of what is deployed somewhere if its inputs would be filled otherwise now.

    A run that is open already will see them, or is looked at when it ends. Its own outputs do not count.
    """
    run = deployed(tx, package, name)
    if run is None:
        return
    last = last_run(tx, run.work)
    if last is not None and read_function(tx, last).status in vocabulary.OPEN:
        return
    own = (run.work.ref, run.work.current)
    before = {
        name: given
        for name, given in read_function(tx, run).inputs.items()
        if given.ref is not None and given.ref.partition("#")[0] not in own
    }
    now, missing = fill(tx, before)
    if missing or all(same(given.value, now[name].value) for name, given in before.items()):
        return
    make(tx, run.work, UP, vocabulary.BY_INPUT)
