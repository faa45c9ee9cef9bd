"""Sharing a local branch by hand: fetch it from a remote, push it, and bring the two together (design 8.3).

All git commands run in the user's own repository. Nothing is moved before the remote has taken it, and what others
rewrote is not followed.
"""

from __future__ import annotations

import time

from ..errors import Conflict, Error, Fatal
from ..git.failures import LOCKED, MAY_HAVE_ARRIVED, REFUSED, RETRY, TransportError
from ..git.objects import RefMoved
from .remote_branch import RemoteBranch
from .replay import Replay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends.base import Version
    from ..backends.branch import Branch
    from ..git.objects import Oid
    from .merge import Choice, Layouts
    from .remote_branch import SharingSettings


class SyncResult:
    """What was done: the branch `moved` or `made` here, and how many commits were `pushed`."""

    __slots__ = ("ahead", "behind", "made", "moved", "pushed", "replayed")

    def __init__(self) -> None:
        self.made = False
        self.moved = 0
        self.pushed = 0
        self.replayed = 0
        self.ahead = 0
        self.behind = 0


class Sharing:
    """One local branch and one remote. `layouts` are those of the stores on the branch, asked for where they count."""

    def __init__(self, settings: SharingSettings, branch: Branch, remote: str, layouts: Callable[[], Layouts]) -> None:
        self.branch = branch
        self._layouts = layouts
        self.remote = remote
        self.repository = branch.repository
        self.remote_branch = RemoteBranch(settings, branch, remote)
        self._timeout = settings.timeout
        self._failure: TransportError | None = None
        """Why the last push is to be tried again; None for a write of another process here."""
        self._sent: tuple[Oid, Oid] | None = None
        """The local tip that was pushed last, and the commit that it was pushed as, which may have arrived."""

    # The three commands

    def fetch(self) -> SyncResult:
        """Fetch the remote's branch; take over what is new in it where there is nothing of our own. Raises Fatal."""
        deadline = time.monotonic() + self._timeout
        tries = 0
        while True:
            try:
                return self._fetch_once()
            except RefMoved:
                # Another process here has written meanwhile, or is about to and holds the lock of the branch.
                tries += 1
                if time.monotonic() > deadline:
                    raise self._given_up(tries) from None
            time.sleep(self.branch.pause(tries))

    def _fetch_once(self) -> SyncResult:
        result = SyncResult()
        theirs = self.remote_branch.fetch()
        ours = self.branch.read().oid
        if ours is None:
            self.remote_branch.check_store(theirs)
            self.branch.adopt(theirs, f"ocuroot: branch from {self.remote}/{self.branch.name}")
            result.made = True
            return result
        theirs, result.ahead, result.behind = self.remote_branch.standing(ours, theirs)
        if result.behind and not result.ahead:
            self.remote_branch.check_store(theirs)
            self.branch.move(ours, theirs, f"ocuroot: fast-forward to {self.remote}")
            result.moved, result.behind = result.behind, 0
        return result

    def push(self, choice: Choice, *, fetch_first: bool = False) -> SyncResult:
        """Push the branch; where the remote's has moved, replay on it what was changed here.

        Raises Conflict, with nothing moved, where both sides changed a document and `choice` does not decide.
        """
        result = SyncResult()
        deadline = time.monotonic() + self._timeout
        tries = 0
        failed: Exception | None = None
        while True:
            ours = self.branch.read()
            known = self.remote_branch.known()
            if fetch_first or tries or known is None or not self._is_ahead(ours.oid, known):
                try:
                    known = self.remote_branch.fetch_if_any()
                except TransportError as error:
                    raise failed or error from None
            if failed is not None and not self._has_arrived(ours.oid, known):
                raise failed
            if ours.oid is None:
                if known is None:
                    raise Fatal(f"there is no {self.branch.where}, neither here nor on '{self.remote}'")
                self.branch.adopt(known, f"ocuroot: branch from {self.remote}/{self.branch.name}")
                result.made = True
                return result
            tries += 1
            try:
                if self._push_once(ours, known, choice, result):
                    return result
            except TransportError as error:
                failed = error  # which may be the answer to a request that was carried out, and sent again on the way
            if failed is None and time.monotonic() > deadline:
                failed = self._given_up(tries)
            time.sleep(self.branch.pause(tries) * 10)

    # Pushing

    def _is_ahead(self, ours: Oid | None, known: Oid) -> bool:
        """Whether there is something to push. Where there is not, only the remote can say that it has it all still."""
        return ours is not None and ours != known and self.remote_branch.distance(ours, known)[0] > 0

    def _push_once(self, ours: Version, known: Oid | None, choice: Choice, result: SyncResult) -> bool:
        """Push once; whether that was it. Raises what cannot be tried again."""
        assert ours.oid is not None
        self._failure = None
        target = ours.oid
        replay: Replay | None = None
        ahead, behind = 1, 0
        if known is not None:
            known, ahead, behind = self.remote_branch.standing(ours.oid, known)
        if known is not None and behind:
            self.remote_branch.check_store(known)
            if ahead and self._has_arrived(ours.oid, known):
                target = known
            elif ahead:
                self.remote_branch.check_not_rewritten(ours.oid, known)
                replay = Replay(self.remote_branch, ours, known, choice, self._layouts())
                target = replay.commit
                result.replayed = len(replay.changes)
            else:
                target = known
        if target != known:
            self._sent = ours.oid, target
            failure = self.remote_branch.transport.push(target, self.branch.reference)
            if failure is not None:
                if self._may_try_again(failure, known):
                    self.remote_branch.transport.retry(failure)
                    self._failure = failure
                    return False
                raise failure
        if self._sent is not None:
            result.pushed = max(1, ahead)
            self.repository.written = True
        self.remote_branch.contact.note()
        try:
            if target != ours.oid:
                self.branch.move(ours.oid, target, f"ocuroot: sync with {self.remote}")
                if replay is not None:
                    replay.keep(self.remote_branch)
                result.moved = behind
        except RefMoved:
            return False  # another process here has written meanwhile: that is to be pushed too
        self.remote_branch.track(target)
        return True

    def _given_up(self, tries: int) -> Error:
        """The error after the last try: a race that was lost, or what else kept the push from arriving."""
        failure = self._failure
        if failure is not None and failure.kind in MAY_HAVE_ARRIVED:
            return Fatal(
                f"whether the push arrived is not known: {failure.message}",
                hint="'git ocuroot sync' finds out; what has arrived is not pushed twice",
            )
        if failure is not None and failure.kind == LOCKED:
            return Conflict(f"{failure.message} ({tries} tries in {self._timeout:g} s)")
        return Conflict(f"lost the race for '{self.remote}' {tries} times in {self._timeout:g} s")

    def _has_arrived(self, ours: Oid | None, known: Oid | None) -> bool:
        """Whether all that is here was pushed and is on the remote, whatever that answered."""
        if self._sent is None or known is None or self._sent[0] != ours:
            return False
        return self.remote_branch.is_ancestor(self._sent[1], known)

    def _may_try_again(self, failure: TransportError, known: Oid | None) -> bool:
        if failure.kind == REFUSED:
            return self.remote_branch.transport.tip(self.branch.reference) != known
        return failure.handling == RETRY
