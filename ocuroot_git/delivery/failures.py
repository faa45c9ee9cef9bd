"""Failures stay visible until they are dealt with (design 7).

The last run of a piece of work that failed is shown until a newer release or deployment of the same thing, a retry, or
a dismissal. A dismissed run has failed as before, also for other programs; that somebody has seen to it is kept in the
document of its marker: `status/failed` is then `{"time", "dismissed": {"time", "reason"?}}`.
"""

from __future__ import annotations

from . import addresses, claims, model, vocabulary
from .problems import BAD
from .run_queries import deployed, last_run, last_runs_of, read_function, read_run, runs_marked
from .vocabulary import CALL, UP, ModelError, WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef

_BY_ITS_RELEASE: Final = ("", vocabulary.BY_RELEASE, vocabulary.BY_ENVIRONMENT)
"""Causes of a deployment that is to bring a release out, and has lost its purpose when there is a newer one."""
_BEGUN: Final = (vocabulary.RUNNING, vocabulary.PAUSED, vocabulary.FAILED)


def is_dealt_with(snapshot: Snapshot, run: RunRef, newest: int) -> bool:
    """Whether the failure of the last run of a piece of work needs no one's attention any more.

    `newest` is the number of the package's newest release. Raises ModelError where the run cannot be read.
    """
    marker = snapshot.get(run.status(vocabulary.FAILED), None)
    if isinstance(marker, dict) and marker.get("dismissed"):
        return True
    is_old = newest > addresses.release_number(run.work.release)
    if run.work.kind == CALL:
        return is_old
    if is_old and read_run(snapshot, run).type == UP and read_function(snapshot, run).cause in _BY_ITS_RELEASE:
        return True
    return is_followed(snapshot, run)


def is_followed(snapshot: Snapshot, run: RunRef, status: str = vocabulary.FAILED) -> bool:
    """Whether a deployment of whatever release came to the same place after one had failed, or was begun at least.

    `status` is the one by which that ended. One that is pending may wait for an approval for ever, and then the failure
    is all there is.
    """
    ended = _time(snapshot, run, status)
    package, name = run.work.package, run.work.name
    if ended is None:
        return False
    try:
        current = deployed(snapshot, package, name)
    except BAD:
        current = None  # reported where deployments are read
    others = [(current, vocabulary.COMPLETE)] if current is not None else []
    # Where nothing is deployed, what was taken down there is found among all that ever completed.
    others += runs_marked(snapshot, package, name, (*_BEGUN, *(() if current is not None else (vocabulary.COMPLETE,))))
    for other, to in others:
        if other != run:
            time = _time(snapshot, other, to)
            if time is not None and time > ended:
                return True
    return False


def _time(snapshot: Snapshot, run: RunRef, status: str) -> float | None:
    """When a run came to a status, by its marker; None where that does not say."""
    try:
        marker = snapshot.get(run.status(status), None)
        return model.seconds_of(str(marker["time"])) if isinstance(marker, dict) and "time" in marker else None
    except BAD:
        return None


def dismiss(tx: Transaction, run: RunRef, reason: str = "") -> None:
    """Say that the failure of a run has been seen to. Doing so again changes nothing. Raises WrongStatus."""
    status = read_function(tx, run).status
    if status != vocabulary.FAILED:
        raise WrongStatus(f"cannot dismiss '{run}': it is {status}")
    if last_run(tx, run.work) != run:
        raise WrongStatus(f"cannot dismiss '{run}': a later run has followed it")
    ref = run.status(vocabulary.FAILED)
    marker = tx.get(ref, None)
    if not isinstance(marker, dict):
        raise ModelError(f"'{ref}': it is not a JSON object")
    if not marker.get("dismissed"):
        seen = {"time": model.timestamp(claims.now(tx)), **({"reason": reason} if reason else {})}
        tx.set(ref, {**marker, "dismissed": seen})


def dismiss_release(tx: Transaction, release: str, reason: str = "") -> list[RunRef]:
    """Dismiss every run of a release that failed. Raises WrongStatus where none did."""
    failed = [run for run, status in last_runs_of(tx, release) if status == vocabulary.FAILED]
    if not failed:
        raise WrongStatus(f"nothing to dismiss: no work of '{release}' has failed")
    for run in failed:
        dismiss(tx, run, reason)
    return failed
