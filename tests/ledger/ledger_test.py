"""The reader of the ledger: which deployments ended, as the history of the store tells it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.delivering import deploy, package, prepare, release
from support.program import TOP
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.backends.base import node_at
from ocuroot_git.git.objects import Oid
from ocuroot_git.ledger import chunks, event_reader, remembered, stretches
from ocuroot_git.ledger.attempt_pages import Pages
from ocuroot_git.ledger.chunks import Ledger
from ocuroot_git.ledger.events import Chunk, Event
from ocuroot_git.ledger.files_in_time import FilesInTime
from ocuroot_git.ledger.stretches import Stretch, stretch_from
from ocuroot_git.store.memory import Memory


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


def _pages(repo: Repo) -> list[bytes]:
    with _within(repo.path):
        ledger = Ledger(ocuroot_git.open().snapshot())
        return [page.to_bytes() for page in ledger.parts(Pages(ledger))]


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


def test_what_was_taken_away_and_put_back_is_told_by_the_commit_that_ended_it(store: Repo) -> None:
    _three_releases(store)
    before = _events(store)
    marker = "shop/-/web/@1/deploy/staging/1/status/complete"
    value = store.ocuroot("get", "--format", "compact", marker)
    for number in range(2):
        store.ocuroot("update", "--stdin", input=f"delete {marker}\n")
        store.ocuroot("update", "--stdin", input=f"set {marker} {value if number else '{}'}\n")
    assert _events(store) == before
    # So does a merge that brings it.
    tip, base = store.git("rev-parse", "state"), store.git("rev-parse", "state~8")
    merge = store.git("commit-tree", f"{tip}^{{tree}}", "-p", base, "-p", tip, "-m", "merge")
    store.git("update-ref", "refs/heads/state", merge)
    assert _events(store) == before


def test_a_program_that_writes_each_document_in_a_commit_of_its_own(store: Repo) -> None:
    """The run, what it executed, and that it ended: no commit takes away a status."""
    prepare(store, "staging")
    store.git("commit", "-q", "--allow-empty", "-m", "second")
    release(store, package([deploy("staging")]))
    work = "shop/-/web/@1/deploy/staging"
    body = {"type": "up", "release": "shop/-/web/@1", "entrypoint": f"{work}/7/functions/1", "output": {}}
    done = '{"current": {"status": "complete"}, "history": [{"status": "complete", "time": "2026-01-01T00:00:00Z"}]}'
    for line in (
        f"set {work}/7 {json.dumps(body)}",
        f"set {work}/7/functions/1 {done}",
        f'set {work}/7/status/complete {{"time": "2026-01-01T00:00:00Z"}}',
    ):
        store.ocuroot("update", "--stdin", input=f"{line}\n")
    (event,) = _events(store)
    assert (event.run_ref, event.commit) == (f"{work}/7", store.git("rev-parse", "state"))


def test_dialect_3_and_stores_that_share_a_branch(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--dialect=3")
    _three_releases(repo)
    events = _events(repo)
    assert _told(events) == [
        ("up", "failed", "r3", "r2"),
        ("up", "complete", "r2", "r1"),
        ("up", "complete", "r1", ""),
    ]
    assert [event.source for event in events] == [repo.git("rev-parse", f"HEAD~{n}") for n in range(3)]
    assert all(event.seconds is not None for event in events)
    repo.ocuroot("cache", "--verify")


def test_a_shallow_clone_tells_what_it_has_and_that_there_is_more(store: Repo, tmp_path: Path) -> None:
    _three_releases(store)
    every = _events(store)
    other = Repo(tmp_path / "other")
    store.git("clone", "-q", "--depth", "3", "--no-single-branch", f"file://{store.path}", str(other.path))
    other.git("branch", "state", "origin/state")
    other.git("config", "ocuroot.repoAlias", "shop")

    def read() -> tuple[list[Event], bool]:
        with _within(other.path):
            ledger = Ledger(ocuroot_git.open().snapshot())
            return list(ledger.events()), ledger.is_cut

    few, is_cut = read()
    assert is_cut and 0 < len(few) < len(every) and few == every[: len(few)]
    assert read() == (few, True)  # again: nothing of it was remembered as if it were all
    other.git("fetch", "-q", "--unshallow")
    assert read() == (every, False)
    assert read() == (every, False)
    # What was remembered is told still where history was cut again since.
    other.git("fetch", "-q", "--depth", "1")
    assert read()[0] == every


def test_pruned_releases_stay_in_the_ledger(store: Repo) -> None:
    _three_releases(store)
    for number in range(4, 7):
        store.git("commit", "-q", "--allow-empty", "-m", f"number {number}")
        release(store, package([deploy("staging")]))
        store.run("work", "any", "-q")
    before = _events(store)
    store.ocuroot("prune", "--keep-releases=1", "-q")
    assert store.run("get", "shop/-/web/@1").returncode == 1
    assert _events(store) == before and len(before) == 6
    lines = store.ocuroot("deployments", "--history", "--json").splitlines()
    assert [json.loads(line)["tags"] for line in lines][-1] is None


def test_of_several_changes_in_one_commit_only_what_they_agree_on_is_told(store: Repo) -> None:
    """As where one writer makes the changes of others, or `sync` replays several commits as one."""
    prepare(store, "staging", "production")
    store.git("commit", "-q", "--allow-empty", "-m", "second")
    made = release(store, package([deploy("staging"), deploy("production")]))
    start = store.git("rev-parse", "state")
    store.ocuroot("work", "any", "-q")
    tree, message = store.git("rev-parse", "state^{tree}"), "both\n\nOcuroot-Command: run exec\n"
    for name in ("ann", "bob"):
        message += f"Ocuroot-Operation: {name}\nOcuroot-Actor: github:{name}\nOcuroot-Reason: one\n"
    store.git("update-ref", "refs/heads/state", store.git("commit-tree", tree, "-p", start, "-m", message))
    events = _events(store)
    assert sorted(event.run_ref for event in events) == [
        f"{made}/deploy/{name}/1" for name in ("production", "staging")
    ]
    assert {(event.actor, event.run, event.reason, event.before) for event in events} == {("", "", "one", "")}
    assert {event.commit for event in events} == {store.git("rev-parse", "state")}
    lines = [json.loads(line) for line in store.ocuroot("deployments", "--json").splitlines()]
    assert [(line["status"], line["actor"], line["reason"]) for line in lines] == [("complete", None, "one")] * 2
    # Where the marker of a run names one of them, that change is this one's.
    message = message.replace("github:bob", "local:test@example.com").replace("Reason: one\n", "Reason: two\n", 1)
    store.git("update-ref", "refs/heads/state", store.git("commit-tree", tree, "-p", start, "-m", message))
    assert {(event.actor, event.reason) for event in _events(store)} == {("local:test@example.com", "one")}


def test_a_chunk_says_who_began_what_it_leaves_under_way(store: Repo) -> None:
    prepare(store, "staging", "production")
    store.git("commit", "-q", "--allow-empty", "-m", "second")
    made = release(store, package([deploy("staging"), deploy("production")]))
    ci = {**os.environ, "CIRCLECI": "true", "CIRCLE_USERNAME": "ann"}
    store.ocuroot("run", "start", f"{made}/deploy/staging", "-m", "look", env=ci)
    store.ocuroot("run", "start", f"{made}/deploy/production")
    with _within(store.path):
        (chunk,) = Ledger(ocuroot_git.open().snapshot()).chunks()
    assert [(begun.run_ref, begun.outcome, begun.actor, begun.reason) for begun in chunk.begun] == [
        (f"{made}/deploy/production/1", "running", "local:test@example.com", ""),
        (f"{made}/deploy/staging/1", "running", "circleci:ann", "look"),
    ]
    store.ocuroot("run", "finish", f"{made}/deploy/staging", "--status=complete")
    with _within(store.path):
        ledger = Ledger(ocuroot_git.open().snapshot())
        found = ledger.last_events_of([f"{made}/deploy/staging/1"])
        assert [event.outcome for event in found.values()] == ["complete"]  # though an older chunk leaves it running
    (store.path / ".git" / "ocuroot" / "derived-1.sqlite").unlink()
    with _within(store.path):
        ledger = Ledger(ocuroot_git.open().snapshot())
        (chunk,) = ledger.chunks()
        assert [begun.run_ref for begun in chunk.begun] == [f"{made}/deploy/production/1"]
        assert [event.run_ref for event in ledger.events()] == [f"{made}/deploy/staging/1"]
        found = ledger.last_events_of([f"{made}/deploy/{name}/1" for name in ("staging", "production")])
    assert {run.split("/")[-2]: event.outcome for run, event in found.items()} == {
        "staging": "complete",
        "production": "running",
    }


def test_files_told_by_changes_hold_what_is_found_from_the_top(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = gzip.decompress((TOP / "fixtures" / "example.gz").read_bytes())
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True)
    events = _events(repo)
    assert len(events) > 1000 and {event.type for event in events} == {"up", "down"}
    pages = _pages(repo)
    (repo.path / ".git" / "ocuroot" / "derived-1.sqlite").unlink()
    assert _pages(repo) == pages  # without by whom and why, which they do not have
    (repo.path / ".git" / "ocuroot" / "derived-1.sqlite").unlink()
    monkeypatch.setattr(event_reader, "FilesInTime", _FilesFromTheTop)
    assert _events(repo) == events


class _FilesFromTheTop(FilesInTime):
    """Looks for each file in the tree of the commit."""

    def blob(self, path: str, at: int) -> Oid | None:
        repository, commits = self._repository, self._commits
        commit = commits[at] if at < len(commits) else next(iter(repository.parents(commits[-1])), None)
        node = node_at(repository, repository.root(commit), path) if commit is not None else None
        return None if node is None or repository.is_tree(node) else repository.oid(node)


def test_of_a_stretch_that_goes_on_only_the_new_commits_are_read(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "_BOUNDARY", "none")  # else where stretches begin is chance
    _three_releases(store)
    first = _events(store)
    read: list[int] = []
    whole = event_reader.EventReader.chunks

    def noted(reader: event_reader.EventReader, stretches: list[Stretch], **options: Any) -> Iterator[Chunk]:
        read.extend(len(stretch.commits) for stretch in stretches)
        return whole(reader, stretches, **options)

    monkeypatch.setattr(event_reader.EventReader, "chunks", noted)
    assert _events(store) == first and not read
    store.ocuroot("delete", "shop/-/web/+/deploy/staging")
    store.run("work", "any", "-q")
    after = _events(store)
    assert after[1:] == first and after[0].type == "down" and len(read) == 1 and 0 < read[0] < 6
    # Few as they are, they are read again; when they are many, so is the whole stretch, and remembered.
    assert _events(store) == after and read == 2 * read[:1]
    monkeypatch.setattr(chunks, "_FEW", 1)
    assert _events(store) == after and read[2] > 10
    assert _events(store) == after and len(read) == 3
    stores = ocuroot_git.open(str(store.path))
    assert stores.surroundings.memory is not None
    checked = remembered.check(stores, stores.surroundings.memory, lambda done, total: None)
    assert checked.right > 2 and checked.wrong == []
    (store.path / ".git" / "ocuroot" / "derived-1.sqlite").unlink()
    assert _events(store) == after


def test_what_is_too_old_is_not_read_ahead(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = gzip.decompress((TOP / "fixtures" / "example.gz").read_bytes())
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True)
    times = [int(time) for time in repo.git("log", "--first-parent", "--format=%ct", "state").split()]
    read: list[Stretch] = []

    def noted(*arguments: Any, **options: Any) -> Stretch:
        read.append(stretch_from(*arguments, **options))
        return read[-1]

    monkeypatch.setattr(event_reader, "stretch_from", noted)
    since = times[len(times) // 2]
    with _within(repo.path):
        events = [event for event in Ledger(ocuroot_git.open().snapshot()).events(since) if event.time >= since]
    older = sum(len(stretch.commits) for stretch in read if stretch.newest < since)
    assert chunks.SLACK <= older < chunks.SLACK + len(read[-1].commits) and len(read[-1].commits) < 1500
    assert events == [event for event in _events(repo) if event.time >= since]


def test_what_is_remembered_can_be_checked(store: Repo) -> None:
    _three_releases(store)
    _events(store)
    kind = f"{chunks.KIND}/1/"
    kinds = json.loads(store.ocuroot("cache", "--stat", "--json"))["kinds"]
    assert kinds[kind] >= 1
    done = store.run("cache", "--verify")
    assert (done.returncode, done.stderr) == (0, f"{sum(kinds.values())} right, 0 wrong\n")
    start = store.git("rev-parse", "state")
    memory = Memory(str(store.path / ".git" / "ocuroot" / "derived-1.sqlite"))
    memory.put(kind, {start: memory.get(kind, [start])[start].replace(b"@example", b"@another")})
    memory.close()
    assert store.run("cache", "--verify").stdout == f"{kind}\t{start}\n"


def test_a_chunk_is_read_as_it_was_written_and_nothing_else_is() -> None:
    event = Event(1.5, "a/-/b", "e", "up", "a/-/b/@1", "", "complete", None, "r", "c", "s", "", "ann", "", "why — so")
    begun = Event(1.5, "a/-/b", "e", "", "a/-/b/@2", "", "running", None, "s", "c", "", "", "ann", "", "")
    chunk = Chunk([event], [begun], None, 1.5, 3)
    assert Chunk.of_bytes(chunk.to_bytes()) == chunk
    data = chunk.to_bytes()
    assert data.startswith(b"\x1f1.5\x1f3\x1f1\x1f\n")
    for head in (
        b"x\x1f1.5\x1f3\x1f1\x1f",
        b"\x1fsoon\x1f3\x1f1\x1f",
        b"\x1f1.5\x1f3\x1fone\x1f",
        b"\x1f1.5\x1f3\x1f1",
    ):
        assert Chunk.of_bytes(head + data[data.index(b"\n") :]) is None
    for damaged in (b"", b"x", data[:-30], data.replace(b"1.5", b"late"), data + b"\n", data.replace(b"\x1fann", b"")):
        assert Chunk.of_bytes(damaged) is None
