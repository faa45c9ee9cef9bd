"""The last event of each of some runs, remembered: who brought what is deployed to where it is (design 12).

A run that is deployed today may have ended any time ago. What history says of the runs that were asked for last is kept
in one entry for a store, with the commit from which on it was looked for; so only the commits after it are read.
"""

from __future__ import annotations

from ..delivery.queries import state_tree
from ..delivery.survey import key_of
from ..git.objects import Oid, is_whole_id
from .events import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

    from ..formats.layout import Layout
    from ..store.snapshot import Snapshot
    from .chunks import Ledger
    from .event_reader import EventReader

    Found = dict[str, Event | None]
    """The last event of runs (stored refs) as far as history goes back; None where it has none."""

KIND: Final = "last-events/1"
"""Its number is raised whenever the meaning of what is remembered changes; dialect and directory are added to it."""


def last_events(snapshot: Snapshot, runs: Collection[str], *, are_all: bool) -> dict[str, Event]:
    """As `Ledger.last_events_of`. What is known of other runs is kept, unless these `are_all` that will be asked for.

    Raises Fatal where the store has no history.
    """
    tree = state_tree(snapshot)
    backend, directory = snapshot.backend_of(tree)
    memory = snapshot.surroundings.memory
    repository, start = backend.repository, snapshot.version(backend).oid
    if memory is None or repository is None or start is None or repository.history_ends():
        return _ledger(snapshot).last_events_of(runs)
    kind = kind_of(tree.layout, directory)
    id_ = key_of((), f"{backend.where}/{directory}")
    asked_from, known = _read_entry(memory.get(kind, [id_]).get(id_, b""))
    is_as_it_was = asked_from == start
    if not is_as_it_was:
        newer = _ledger(snapshot).few_until(asked_from) if asked_from is not None else None
        if newer is None:
            known = {}
        else:
            known.update((event.run_ref, event) for event in reversed((*newer.begun, *newer.events)))
    unknown = [run for run in runs if run not in known]
    if unknown:
        found = _ledger(snapshot).last_events_of(unknown)
        known.update((run, found.get(run)) for run in unknown)
    if (unknown or not is_as_it_was) and not snapshot.is_past:
        kept = {run: known[run] for run in runs} if are_all else known
        memory.put(kind, {id_: _entry(start, kept)})
    return {run: event for run in runs if (event := known[run]) is not None}


def _ledger(snapshot: Snapshot) -> Ledger:
    from .chunks import Ledger  # late: mostly no commit has to be read

    return Ledger(snapshot)


def kind_of(layout: Layout, directory: str) -> str:
    """Under which kind the events of runs are remembered of a store that lies at a directory of its branch."""
    return f"{KIND}/{layout.dialect}/{directory}"


def asked_from(data: bytes) -> Oid | None:
    """The commit from which on the events of an entry were looked for; None for what is none."""
    return _read_entry(data)[0]


def work_out(reader: EventReader, data: bytes) -> bytes | None:
    """What should be remembered instead of an entry; None where history is not all here. Raises ObjectError, GitError.

    `reader` reads the store that has the commit of the entry.
    """
    start, known = _read_entry(data)
    found: Found = dict.fromkeys(known)
    missing = set(known)
    at = start
    while at is not None and missing:
        chunk = reader.chunk(reader.stretch(at))
        if chunk.is_cut:
            return None
        for event in (*chunk.begun, *chunk.events):
            if event.run_ref in missing:
                found[event.run_ref] = event
                missing.remove(event.run_ref)
        at = chunk.next
    return _entry(start, found) if start is not None else b""


def _entry(start: Oid, events: Found) -> bytes:
    lines = [event.to_line() if event is not None else run for run, event in events.items()]
    return "\n".join([start, *lines]).encode(errors="surrogateescape")


def _read_entry(data: bytes) -> tuple[Oid | None, Found]:
    """What `_entry` wrote; nothing of what has another shape."""
    start, *lines = data.decode(errors="surrogateescape").split("\n")
    if not is_whole_id(start):
        return None, {}
    found: Found = {}
    try:
        for line in lines:
            event = Event.of_line(line) if Event.is_line(line) else None
            found[event.run_ref if event is not None else line] = event
    except (ValueError, TypeError):
        return None, {}
    return Oid(start), found
