"""Claims: who executes a run and until when, and when another may take it over (design 7 and 8.9).

A claim is the document of a run's marker `status/running`. Two executors need not agree what time it is. So none goes
by the clock alone: *now* is never earlier than the newest commit, which is the latest that anybody is known to have
seen; and before a claim is taken over that ran out, it is watched for as long as a living executor leaves between two
renewals, unless its process is known to be gone. What one has watched oneself needs no clock of others.
"""

from __future__ import annotations

import os
import time

from ..errors import Conflict
from . import vocabulary
from .model import Claim, seconds_of, timestamp
from .run_queries import read_claim, read_function
from .vocabulary import WrongStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .child_command import Stop

    Result = TypeVar("Result")

DEFAULT_LEASE: Final = 600.0
LONGEST_LEASE: Final = 3600.0
"""Seconds. A lease doubles with each renewal up to this, so an hour takes three renewals (after 5, 15, 35 min)."""
_RENEWED_AFTER: Final = 1 / 2
"""The part of a lease after which a living executor renews its claim."""
_WATCHED: Final = 2 / 3
"""The part of a lease for which a claim that ran out is watched: long enough for one renewal, and some delay."""
_SLACK: Final = 5.0
"""Seconds by which a claim may reach further ahead than its lease before one of the clocks is wrong."""
_ANCIENT: Final = 2 * 24 * 3600.0
"""Seconds after the end of a claim from which on no clock is thought to be that wrong."""


_SHORTEST_LOOK: Final = 0.5
"""Seconds between two looks at a claim that is watched."""


class ClaimLost(Conflict):
    """The run is no longer ours: it was ended, or taken over after our claim ran out."""


class Held(WrongStatus):
    """A run is running already, and its claim is not the one that was to be taken over."""

    def __init__(self, run: RunRef, message: str) -> None:
        super().__init__(message)
        self.run = run


def lease_of(stores: Stores) -> float:
    """Seconds for which a run is claimed at first (`ocuroot.lease`)."""
    return stores.seconds("ocuroot.lease", DEFAULT_LEASE)


def newest_time(snapshot: Snapshot) -> float:
    """When the newest commit of the state store was made, by the clock of who made it; 0 where there is none."""
    backend, _ = snapshot.backend_of(snapshot.side("state"))
    oid = snapshot.version(backend).oid
    if backend.repository is None or oid is None:
        return 0
    return float(backend.repository.commit(oid).committer.time)


def now(snapshot: Snapshot) -> float:
    """The present moment, which is never earlier than the newest commit; of the past, when that commit was made."""
    return newest_time(snapshot) if snapshot.is_past else max(time.time(), newest_time(snapshot))


def moments(snapshot: Snapshot) -> list[float]:
    """The present moment by the clock here, and by that of the newest commit where it is known to be later; of the past
    when its newest commit was made."""
    here, newest = time.time(), newest_time(snapshot)
    if snapshot.is_past:
        return [newest]
    return [here] if newest <= here else [here, newest]


class Executor:
    """Who executes a run: this process, under a name that no other has, by a clock that does not lag behind."""

    def __init__(self, stores: Stores, operation: str = "") -> None:
        self.name = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
        self.lease = lease_of(stores)
        """Seconds for which the run is claimed now."""
        self.operation = operation
        """The name of the operation under which it executes the run, if the user gave one."""
        self._ahead = 0.0

    def claim(self, snapshot: Snapshot) -> Claim:
        """A new claim of this executor."""
        moment = self._now(snapshot)
        claim = Claim(timestamp(moment), self.name, process=process_id(os.getpid()), operation=self.operation)
        return _extended(claim, moment, self.lease)

    @property
    def renew_after(self) -> float:
        """Seconds after a claim was made or renewed at which it is to be renewed."""
        return self.lease * _RENEWED_AFTER

    def renew(self, tx: Transaction, run: RunRef) -> Claim:
        """Hold on to a claim, for twice as long; gives it. Raises ClaimLost where it is no longer this executor's."""
        claim = _extended(require_claim(tx, run, self.name), self._now(tx), self._next_lease())
        tx.set(run.status(vocabulary.RUNNING), claim.to_document())
        return claim

    def renewed(self) -> None:
        """Take note that a renewal is written."""
        self.lease = self._next_lease()

    def _next_lease(self) -> float:
        return max(self.lease, min(2 * self.lease, LONGEST_LEASE))

    def _now(self, snapshot: Snapshot) -> float:
        # A clock that was seen to be late is corrected by as much from then on, also when others write no more.
        self._ahead = max(self._ahead, newest_time(snapshot) - time.time())
        return time.time() + self._ahead


def _extended(claim: Claim, moment: float, lease: float) -> Claim:
    claim.renewed, claim.until = timestamp(moment), timestamp(moment + lease)
    return claim


def require_claim(snapshot: Snapshot, run: RunRef, owner: str) -> Claim:
    """The claim on a run, if it is the owner's. Raises ClaimLost."""
    function = read_function(snapshot, run)
    if function.status != vocabulary.RUNNING:
        raise ClaimLost(f"'{run}' is {function.status}: someone else ended it")
    claim = read_claim(snapshot, run)
    if claim.owner != owner:
        raise ClaimLost(f"'{run}' is run by '{claim.owner}' now, who took it over when our claim had run out")
    return claim


# Taking over


def ran_out(claim: Claim, moment: float) -> bool:
    """Whether an executor held the run and did not renew its claim; one without an end never runs out."""
    return bool(claim.until) and seconds_of(claim.until) < moment


def is_orphaned(claim: Claim) -> bool:
    """Whether the process that executed the run is gone for certain: it was on this machine, and is there no more."""
    return bool(claim.process) and _is_gone(claim.process)


def is_held(claim: Claim, moment: float) -> bool:
    """Whether an executor is thought to be at work."""
    return bool(claim.owner) and not ran_out(claim, moment) and not is_orphaned(claim)


class Watch:
    """Watches claims of others, lest a difference between clocks makes one take over what is being executed."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[RunRef, tuple[Claim, float]] = {}
        self._renewed: set[RunRef] = set()

    def remaining(self, snapshot: Snapshot, run: RunRef, claim: Claim, *, patient: bool = False) -> float | None:
        """Seconds for which a claim has still to be watched; 0: it may be taken over; None: it holds.

        0 at once where its process is known to be gone. With `patient` also for one that holds: until it has run out.
        """
        if not claim.until:
            return None
        until = seconds_of(claim.until)
        left = until - now(snapshot)
        if is_orphaned(claim):
            return 0
        lease = until - seconds_of(claim.renewed) if claim.renewed else self._lease
        if left < 0:
            period = 0 if until < time.time() - _ANCIENT else lease * _WATCHED
        elif until > time.time() + lease + _SLACK:
            period, left = lease, 0  # it was made by a clock ahead of ours, and would hold for too long
        elif patient:
            period = lease * _WATCHED
        else:
            return None
        before, since = self._seen.get(run, (None, 0.0))
        if before != claim:
            if before is not None:
                self._renewed.add(run)
            since = time.monotonic()
            self._seen[run] = claim, since
        return max(since + period - time.monotonic(), left, 0)

    def saw_renewal(self, run: RunRef) -> bool:
        """Whether a claim was renewed while it was watched: its executor is alive, whatever the clocks say."""
        return run in self._renewed


def taking_over(
    stores: Stores,
    start: Callable[[Claim | None], Result],
    stop: Stop,
    tell: Callable[[str], None],
    over: Claim | None = None,
) -> Result:
    """What `start` gives, which is called with the claim to be taken over, once there is one. Raises Held."""
    while True:
        try:
            return start(over)
        except Held as held:
            found = await_end(stores, held.run, stop, tell)
            if found is None or found == over:
                raise
            over = found


def await_end(
    stores: Stores, run: RunRef, stop: Stop, tell: Callable[[str], None], *, patient: bool = False
) -> Claim | None:
    """Watch the claim on a run that is running until it may be taken over, and give it; None where it holds.

    With `patient`, one that holds is waited for, unless it is renewed meanwhile.
    """
    watch = Watch(lease_of(stores))
    told = False
    while not stop.count:
        snapshot = stores.snapshot()
        if read_function(snapshot, run).status != vocabulary.RUNNING:
            return None
        claim = read_claim(snapshot, run)
        remaining = watch.remaining(snapshot, run, claim, patient=patient)
        if remaining is None or watch.saw_renewal(run):
            return None
        if not remaining:
            return claim
        if not told:
            told = True
            tell(f"'{run}' is held by '{claim.owner}' until {claim.until}: watching for {remaining:.0f} s")
        stop.wait(min(remaining, max(remaining / 8, _SHORTEST_LOOK)))
    return None


def process_id(number: int) -> str:
    """What no other process has had since this machine was started; empty where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}/{number}/{_started(number)}"
    except OSError:
        return ""


def _is_gone(process: str) -> bool:
    where, _, rest = process.rpartition("/")[0].rpartition("/")
    ours = process_id(os.getpid())
    if not ours or ours.rsplit("/", 2)[0] != where or not (rest.isascii() and rest.isdigit()):
        return False  # of another machine or container, where we cannot look
    number = int(rest)
    try:
        return _started(number) != process.rpartition("/")[2]
    except ProcessLookupError:
        return True
    except OSError:
        return not _exists(number)


def _exists(number: int) -> bool:
    """Whether there is a process, also one that the system shows to its own user alone (`hidepid`)."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(number: int) -> str:
    """When a process was started, in ticks since the machine was. Raises OSError where there is none, or a dead one."""
    with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(number)
    return fields[19]
