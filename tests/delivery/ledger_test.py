"""The reader of the ledger: which deployments ended, as the history of the store tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.delivering import deploy, package, prepare, release
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery.events import Chunk, Event
from ocuroot_git.delivery.ledger import Ledger


@contextmanager
def _within(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def _events(repo: Repo) -> list[Event]:
    with _within(repo.path):
        return list(Ledger(ocuroot_git.open().snapshot()).events())


def _told(events: list[Event]) -> list[tuple[str, str, str, str]]:
    return [(event.type, event.outcome, event.release[-2:], event.before[-2:]) for event in events]


def _three_releases(repo: Repo) -> None:
    prepare(repo, "staging")
    for number in (1, 2):
        repo.git("commit", "-q", "--allow-empty", "-m", f"number {number}")
        release(repo, package([deploy("staging")]))
        repo.ocuroot("work", "any", "-q")
    repo.git("commit", "-q", "--allow-empty", "-m", "bad")
    release(repo, package([deploy("staging", up="exit 1")]))
    repo.run("work", "any", "-q")


def test_each_end_is_told_once_newest_first_with_what_was_there_before(store: Repo) -> None:
    _three_releases(store)
    store.ocuroot("delete", "shop/-/web/+/deploy/staging")
    store.run("work", "any", "-q")
    events = _events(store)
    assert _told(events) == [
        ("down", "complete", "@2", "@2"),
        ("up", "failed", "@3", "@2"),
        ("up", "complete", "@2", "@1"),
        ("up", "complete", "@1", ""),
    ]
    assert [event.source for event in events[2:]] == [store.git("rev-parse", f"HEAD~{n}") for n in (1, 2)]
    assert events[2].source_before == events[3].source
    assert {event.actor for event in events} == {"local:test@example.com"}
    assert all(event.seconds is not None and event.seconds >= 0 for event in events)
    # What is remembered says the same, and so does what was worked out anew.
    assert _events(store) == events
    (store.path / ".git" / "ocuroot" / "derived-1.sqlite").unlink()
    assert _events(store) == events


def test_what_a_merge_brings_is_told_by_the_commit_that_made_it(store: Repo) -> None:
    _three_releases(store)
    before = _events(store)
    tip, base = store.git("rev-parse", "state"), store.git("rev-parse", "state~4")
    tree = store.git("rev-parse", "state^{tree}")
    merge = store.git("commit-tree", tree, "-p", base, "-p", tip, "-m", "merge")
    store.git("update-ref", "refs/heads/state", merge)
    assert _events(store) == before


def test_what_was_taken_away_and_put_back_ended_once(store: Repo) -> None:
    _three_releases(store)
    before = sorted(event.run_ref for event in _events(store))
    marker = "shop/-/web/@1/deploy/staging/1/status/complete"
    value = store.ocuroot("get", "--format", "compact", marker)
    store.ocuroot("update", "--stdin", input=f"delete {marker}\n")
    store.ocuroot("update", "--stdin", input=f"set {marker} {value}\n")
    assert sorted(event.run_ref for event in _events(store)) == before


def test_a_chunk_is_read_as_it_was_written_and_nothing_else_is() -> None:
    event = Event(1.5, "a/-/b", "e", "up", "a/-/b/@1", "", "complete", None, "r", "c", "s", "", "ann", "", "why — so")
    chunk = Chunk([event], None, 1.5, 3)
    assert Chunk.of_bytes(chunk.to_text().encode()) == chunk
    for damaged in (b"", b"x", chunk.to_text().encode()[:-30]):
        assert Chunk.of_bytes(damaged) is None
