"""Deployments that ended, as the ledger has them, and how they are written down to be remembered (design 12)."""

from __future__ import annotations

from ..delivery.fields import Record
from ..git.objects import Oid, is_whole_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_END: Final = "\x1f"
"""Between fields: no ref and no line of a message holds it."""


class Event(Record):
    """A run of a deployment that ended, or was set running or paused, and the commit of the store that says so.

    `time` is when it ended, by the clock of who ran it, in seconds since the epoch; `seconds` how long it took, where
    that is known. `type` is up or down, `outcome` complete, failed or cancelled (of a run that had begun). `release` is
    the one that the run is of, `before` the one that was deployed there until then, empty for none; `source` and
    `source_before` are the commits that these are releases of, empty where that is not known. `commit` is that of the
    store; `actor`, `run` (a URL) and `reason` are what it says, empty for nothing. All refs are as the store spells
    them. Of one under way there are no more than those two, run, release and place; its `outcome` is its status.
    """

    __slots__ = (
        "actor",
        "before",
        "commit",
        "environment",
        "outcome",
        "package",
        "reason",
        "release",
        "run",
        "run_ref",
        "seconds",
        "source",
        "source_before",
        "time",
        "type",
    )

    def __init__(
        self,
        time: float,
        package: str,
        environment: str,
        type_: str,
        release: str,
        before: str,
        outcome: str,
        seconds: float | None,
        run_ref: str,
        commit: str,
        source: str,
        source_before: str,
        actor: str,
        run: str,
        reason: str,
    ) -> None:
        self.time = time
        self.package = package
        self.environment = environment
        self.type = type_
        self.release = release
        self.before = before
        self.outcome = outcome
        self.seconds = seconds
        self.run_ref = run_ref
        self.commit = commit
        self.source = source
        self.source_before = source_before
        self.actor = actor
        self.run = run
        self.reason = reason

    @property
    def cell(self) -> tuple[str, str]:
        """Where it was: the package and the environment."""
        return self.package, self.environment

    def to_line(self) -> str:
        seconds = "" if self.seconds is None else repr(self.seconds)
        fields = (
            repr(self.time),
            self.package,
            self.environment,
            self.type,
            self.release,
            self.before,
            self.outcome,
            seconds,
            self.run_ref,
            self.commit,
            self.source,
            self.source_before,
            self.actor,
            self.run,
            self.reason,
        )
        return _END.join(fields)

    @staticmethod
    def is_line(text: str) -> bool:
        """Whether a text may be a line of an event, and not a single ref."""
        return _END in text

    @classmethod
    def of_line(cls, line: str) -> Event:
        """What `to_line` wrote. Raises ValueError or TypeError for what is of another shape."""
        time, package, environment, type_, release, before, outcome, seconds, *others = line.split(_END)
        took = float(seconds) if seconds else None
        return cls(float(time), package, environment, type_, release, before, outcome, took, *others)


class Chunk(Record):
    """The events of one stretch of history, newest first, and the commit that goes on from there (None: the end).

    `begun` are the runs that it leaves running or paused, each with the last that it says of it.
    `newest` is the latest moment that a commit or an event of it names, `commits` how many there are in it.
    `is_cut` says that some of history was not here that may have more to say: the clone is a shallow one.
    """

    __slots__ = ("begun", "commits", "events", "is_cut", "newest", "next")

    def __init__(
        self,
        events: Sequence[Event],
        begun: Sequence[Event],
        next_: Oid | None,
        newest: float,
        commits: int,
        *,
        is_cut: bool = False,
    ) -> None:
        self.events = events
        self.begun = begun
        self.next = next_
        self.newest = newest
        self.commits = commits
        self.is_cut = is_cut

    def to_bytes(self) -> bytes:
        cut = "cut" if self.is_cut else ""
        head = _END.join((self.next or "", repr(self.newest), str(self.commits), str(len(self.begun)), cut))
        lines = [head, *(event.to_line() for event in (*self.begun, *self.events))]
        return "\n".join(lines).encode(errors="surrogateescape")

    @classmethod
    def of_bytes(cls, data: bytes) -> Chunk | None:
        """What `to_bytes` wrote; None for what is of another shape."""
        try:
            head, *lines = data.decode(errors="surrogateescape").split("\n")
            next_, newest, commits, begun, cut = head.split(_END)
            events = [Event.of_line(line) for line in lines]
            if next_ and not is_whole_id(next_):
                return None
            some, rest = events[: int(begun)], events[int(begun) :]
            return cls(rest, some, Oid(next_) if next_ else None, float(newest), int(commits), is_cut=bool(cut))
        except (ValueError, TypeError):
            return None
