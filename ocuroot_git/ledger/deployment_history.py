"""Which deployments there have been, newest first, chosen from the events of the ledger (design 12)."""

from __future__ import annotations

from itertools import islice

from ..delivery import lenient
from ..delivery.queries import state_tree
from ..delivery.tags import tags_of
from ..delivery.vocabulary import DOWN, FAILED
from ..git.objects import Oid
from .chunks import Ledger
from .gate_passes import GatePasses
from .held import HeldReleases
from .places import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from re import Pattern
    from typing import Final

    from ..delivery.fields import Fields
    from ..delivery.problems import Problems
    from ..git.repository import Repository
    from ..store.snapshot import Snapshot
    from .events import Event
    from .held import Held

_BATCH: Final = 256
"""Events of which it is fetched together what will be told of them."""


class Choice:
    """Which events are asked for: of packages that match patterns (all for none), of an environment, of a time (in
    seconds since the epoch), by whom, and whether only those that failed. None: of any."""

    def __init__(
        self,
        globs: Sequence[str] = (),
        environment: str | None = None,
        since: float | None = None,
        until: float | None = None,
        by: Pattern[str] | None = None,
        *,
        only_failed: bool = False,
    ) -> None:
        self._places = Places(globs, environment)
        self._since = since
        self._until = until
        self._by = by
        self._only_failed = only_failed

    def of(self, ledger: Ledger) -> Iterator[Event]:
        """The events that are asked for, newest first, by history, whatever clocks say."""
        for event in ledger.events(self._since):
            is_wanted = self._places.has(event.cell)
            when = int(event.time)  # as it is shown: dates have whole seconds
            if (self._since is not None and when < self._since) or (self._until is not None and when > self._until):
                continue
            if self._by is not None and not self._by.search(event.actor):
                continue
            if is_wanted and not (self._only_failed and event.outcome != FAILED):
                yield event

    def require_found(self, snapshot: Snapshot, problems: Problems) -> None:
        """Raise NotFound for a pattern that matches no package, and for an environment that there is not: neither now,
        nor in what was read of history."""
        self._places.require_found(snapshot, problems)


class Teller:
    """Tells events in full: with the tags of releases, and how many commits lie between two of them in a repository."""

    def __init__(self, snapshot: Snapshot, code: Repository | None, problems: Problems) -> None:
        self._snapshot = snapshot
        self._code = code
        self._held = HeldReleases(snapshot, problems)
        self._passes = GatePasses(snapshot)
        self._tags: dict[str, list[str] | None] = {}
        self._between: dict[tuple[str, str], tuple[int, int] | None] = {}

    def document(self, event: Event, time: str) -> Fields:
        """An event as JSON has it (design 12); `time` is its moment as text."""
        release = "" if event.type == DOWN else event.release
        ahead, behind = self.between(event) or (None, None)
        return {
            "package": event.package,
            "environment": event.environment,
            "release": release or None,
            "tags": self.tags(release) if release else [],
            "commit": (event.source if release else "") or None,
            "since": time,
            "status": event.outcome,
            "run_ref": event.run_ref,
            "actor": event.actor or None,
            "run": event.run or None,
            "reason": event.reason or None,
            "past_gates": self.past_gates(event),
            "hold": held.to_document() if (held := self.held(event)) is not None else None,
            "time": time,
            "type": event.type,
            "from": event.before or None,
            "seconds": event.seconds,
            "ahead": ahead,
            "behind": behind,
        }

    def past_gates(self, event: Event) -> list[str] | None:
        """The names of the gates that its run was started past; None where history does not tell."""
        return self._passes.of_run(event.run_ref)

    def in_batches(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, of which it was fetched together what will be told of them, where a store is partial."""
        waiting = iter(events)
        while batch := list(islice(waiting, _BATCH if state_tree(self._snapshot).files.is_partial else 1)):
            self._held.prefetch(event.release for event in batch)
            yield from batch

    def held(self, event: Event) -> Held | None:
        """That the release is held now that came with it."""
        return None if event.type == DOWN else self._held.held(event.release, event.run_ref)

    def tags(self, release: str) -> list[str] | None:
        """The tags of a release as they are now; None where the release is no longer there."""
        if release not in self._tags:
            is_there = lenient.body(state_tree(self._snapshot), release) is not None
            self._tags[release] = tags_of(self._snapshot, release) if is_there else None
        return self._tags[release]

    def between(self, event: Event) -> tuple[int, int] | None:
        """How many commits the release has that the one before it has not, and the other way round.

        None where it replaced none or was none itself, and where the commits or their history are not here.
        """
        if event.type == DOWN or not event.source or not event.source_before or self._code is None:
            return None
        ends = event.source, event.source_before
        if ends not in self._between:
            are_ids = all(len(end) == 40 for end in ends)
            self._between[ends] = self._code.ahead_and_behind(Oid(ends[0]), Oid(ends[1])) if are_ids else None
        return self._between[ends]
