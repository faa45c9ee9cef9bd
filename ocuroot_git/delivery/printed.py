"""What runs have printed: what is recorded, and of a run that goes on what is in its live log (design 8.8, 12).

Of every dialect, and of whatever shape: logs of other programs are shown as far as they can be.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.escape_sequences import plain
from ..formats.layout import REFS, StoredRef
from ..formats.refs import STATE, Ref, run_number
from ..redaction import redact_certain
from . import lenient, vocabulary
from .addresses import RunRef, WorkRef
from .live import LiveLog
from .logs import number_of, rest_of
from .queries import directory_names, find_release, state_tree
from .run_queries import find_work
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..formats.documents import Document
    from ..git.objects import Oid
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores

_LOOK_NEAR: Final = 0.5
_LOOK_FAR: Final = 2.0
"""Seconds between looks at the live log of a run: in a file here, and at a remote."""
_FAILED: Final = (vocabulary.FAILED, vocabulary.FAILED_RETRIED)


# Which runs


def runs_named(snapshot: Snapshot, text: str, *, failed: bool = False) -> list[RunRef]:
    """The runs whose logs a ref asks for: a run; the last of a piece of work; of a release the last of all its work.

    `failed`: only those that failed; of a piece of work the last that did. Raises NotFound where there is none,
    ModelError for a ref that can be none of these.
    """
    named = snapshot.named(text)
    if not named.type:
        if named.marker != STATE or named.is_global or named.fragment:
            raise ModelError(
                f"'{text}' is neither a run nor work nor a release",
                hint="a run is …/@1/call/build/1, work …/@1/call/build, a release …/@1, or //path/@ for the newest",
            )
        release = find_release(snapshot, text)
        runs = [run for work in _work_of(snapshot, release) if (run := _last(snapshot, work)) is not None]
        found = [run for run in runs if not failed or status_of(snapshot, run) == vocabulary.FAILED]
        if not found:
            raise NotFound(f"no work of '{release}' has {'failed' if failed else 'a run'}")
        return found
    work, number = find_work(snapshot, text)
    last = work.run(number) if number is not None else _last(snapshot, work, _FAILED if failed else ())
    if last is None or not _exists(snapshot, last.ref):
        raise NotFound(f"no run of '{work}' has failed" if failed and number is None else f"no such run: '{text}'")
    if failed and (status := status_of(snapshot, last)) not in _FAILED:
        raise NotFound(f"'{last}' has not failed: it is {status or 'of no status'}")
    return [last]


def status_of(snapshot: Snapshot, run: RunRef) -> str:
    """The status of a run, as the page has it; empty where it has none."""
    return lenient.status_of(state_tree(snapshot), _stored(snapshot, run.ref))


def _work_of(snapshot: Snapshot, release: str) -> list[WorkRef]:
    words = ((vocabulary.CALL, "call"), (vocabulary.CALL, "task"), (vocabulary.DEPLOY, "deploy"))
    stored = _stored(snapshot, release)
    return [
        WorkRef(release, kind, name) for kind, word in words for name in directory_names(snapshot, f"{stored}/{word}")
    ]


def _last(snapshot: Snapshot, work: WorkRef, statuses: tuple[str, ...] = ()) -> RunRef | None:
    """The last run of a piece of work, or the last that has one of some statuses."""
    numbers = map(run_number, directory_names(snapshot, _stored(snapshot, work.ref)))
    for run in map(work.run, sorted((number for number in numbers if number is not None), reverse=True)):
        if _exists(snapshot, run.ref) and (not statuses or status_of(snapshot, run) in statuses):
            return run
    return None


def _exists(snapshot: Snapshot, ref: str) -> bool:
    return state_tree(snapshot).oid(_stored(snapshot, ref)) is not None


def _stored(snapshot: Snapshot, ref: str) -> StoredRef:
    """The spelling of a ref that is there, whether there is a document or only what is below it."""
    tree = state_tree(snapshot)
    spellings = tree.layout.spellings(Ref.parse(ref))
    return next((stored for stored in spellings if tree.node(f"{REFS}/{stored}") is not None), spellings[0])


# What they have printed


class Printed:
    """What a run has printed, in pieces as it comes."""

    def __init__(self, stores: Stores, run: RunRef) -> None:
        self._stores = stores
        self._run = run
        self._live = LiveLog()
        self._recorded: list[Document] = []
        self._version: Oid | None = None
        self._told = 0
        self.ref: str = run.ref
        """The run, as the store spells it once `new` was asked."""
        self.status = ""
        """That of the run when `new` was asked last."""

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return self.status in vocabulary.OPEN

    @property
    def pause(self) -> float:
        """Seconds after which it pays to ask again."""
        return _LOOK_FAR if self._live.is_far else _LOOK_NEAR

    def new(self) -> list[Document]:
        """The entries that were not told yet, in order. Raises RemoteError, BadDocument, Damaged."""
        snapshot = self._stores.snapshot()
        self.ref = state_tree(snapshot).layout.shown(_stored(snapshot, self._run.ref))
        self.status = status_of(snapshot, self._run)
        recorded, at = entries_from(self._read_recorded(snapshot), self._told)
        added: list[Document] = []
        if self.status == vocabulary.RUNNING:
            owner = self._live.owner
            self._live.refresh(snapshot, self._run)
            if owner and owner != self._live.owner:
                self._told = min(self._told, at)  # what was told of the one before, and is not recorded, is lost
            added, further = entries_from(self._live.log.to_document(), self._told - at)
            at += further
        # What is recorded takes the place of what was told of the live log, in the same order.
        self._told = max(self._told, at)
        return [*recorded, *added]

    def _read_recorded(self, snapshot: Snapshot) -> list[Document]:
        """The entries in the store, read where they are others than before."""
        version = state_tree(snapshot).oid(_stored(snapshot, self._run.logs))
        if version != self._version:
            self._version, self._recorded = version, recorded_entries(snapshot.get(self._run.logs, None))
        return self._recorded


def recorded_entries(value: Document) -> list[Document]:
    """The entries of a log, from its document of whatever shape; None where there is none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def entries_from(entries: list[Document], told: int) -> tuple[list[Document], int]:
    """The entries after so many, and how many there are: one that stands for others counts as many."""
    at = 0
    for index, entry in enumerate(entries):
        if at >= told:
            return entries[index:], at + sum(map(number_of, entries[index:]))
        at += number_of(entry)
        if at > told:
            # Lines that were told meanwhile, before they were left out, are not said to be missing.
            rest = [rest_of(entry, at - told), *entries[index + 1 :]]
            return rest, at + sum(map(number_of, entries[index + 1 :]))
    return [], at


class Line:
    """A line that was printed: when the entry says it was (as it says so), to which stream (2: of errors), and what."""

    __slots__ = ("is_first", "stream", "text", "time")

    def __init__(self, time: str, stream: int, text: str, *, is_first: bool) -> None:
        self.time = time
        self.stream = stream
        self.text = text
        self.is_first = is_first
        """Whether the entry begins with it."""


def lines_of(entries: Iterable[Document]) -> Iterator[Line]:
    """The lines of a log's entries, with the escape sequences in them."""
    for entry in lenient.log_entries(list(entries)):
        for at, text in enumerate(entry["message"].removesuffix("\n").split("\n")):
            yield Line(entry["time"], entry["stream"], text, is_first=at == 0)


def without_secrets(text: str) -> str:
    """A line without passwords; of one that holds some the colours go as well, which may stand in their midst."""
    shown = plain(text)
    masked = redact_certain(shown)
    return text if masked == shown else masked
