"""`watch` of a store at a remote: what is fetched, and what happens when the remote goes away."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.remote_stores import World, fails
from support.repositories import Repo, begin
from support.waiting import wait_for_file, wait_until
from support.watching import ZEROS, brief, replay, same_as, watch_once

import ocuroot_git
from ocuroot_git.ledger import watch
from ocuroot_git.store.change_stream import ChangeStream


@pytest.fixture
def filled(files: World) -> World:
    """A store with some history at a `file://` remote."""
    files.bare()
    writer = files.clone("writer")
    writer.ocuroot("init", "-q")
    for number in range(12):
        writer.ocuroot("set", f"+/custom/x{number % 5}", str(number))
    return files


def served(world: World) -> Repo:
    return Repo(world.top / "served" / "store.git")


def test_a_fresh_clone_fetches_what_is_needed(filled: World) -> None:
    reader = filled.clone("reader")
    assert watch_once(reader, "--cursor", "cursor") == []
    bare = served(filled)
    known = bare.oid("state~7")
    for since in (known, ZEROS):
        found = watch_once(filled.clone(f"reader-{since[:5]}"), "--since", since)
        same_as(found, replay(bare, since="" if since == ZEROS else since))
    assert watch_once(reader, "--since", "state~2") == found[-2:]
    (reader.path / "cursor").write_text(f"{known} state\n")
    assert watch_once(reader, "--cursor", "cursor") == found[-7:]
    assert not (reader.path / ".git" / "shallow").exists()


def test_a_server_without_filters(files: World) -> None:
    bare = files.bare(filters=False)
    writer = files.clone("writer")
    writer.ocuroot("init", "-q")
    for number in range(3):
        writer.ocuroot("set", "+/custom/x", str(number))
    same_as(watch_once(files.clone("reader"), "--since", ZEROS), replay(bare))


def test_offline_tells_what_was_fetched(filled: World) -> None:
    reader = filled.clone("reader")
    assert "nothing was fetched" in fails(reader, "watch", "--once", "--offline")
    watch_once(reader)
    assert "does not reach back to its first commit" in fails(
        reader, "watch", "--once", "--offline", f"--since={ZEROS}"
    )
    found = watch_once(reader, "--since", ZEROS)
    Repo(filled.top / "writer").ocuroot("set", "+/custom/late", "1")
    assert watch_once(reader, "--offline", "--since", ZEROS) == found


def test_a_look_is_one_round_trip(filled: World) -> None:
    reader = filled.clone("reader")
    reader.git("config", "ocuroot.watchInterval", "1")
    watch_once(reader)
    trace = filled.top / "trace"
    environ = {**os.environ, "GIT_TRACE_OCUROOT": str(trace)}
    process = begin(reader, "watch", env=environ)
    wait_until(lambda: trace.exists() and trace.read_text().count("git fetch ended") >= 4)
    process.kill()
    runs = [line for line in trace.read_text().splitlines() if "run: git" in line]
    assert all(" fetch " in line for line in runs)


def test_what_many_looks_fetched_is_put_together(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the process goes on, which may be for years."""
    monkeypatch.setattr(watch, "_BETWEEN_TIDYING", 0.0)
    reader = filled.clone("reader")
    watch_once(reader)
    writer = Repo(filled.top / "writer")
    stores = ocuroot_git.open(str(reader.path))
    stream = ChangeStream(stores)
    stream.begin()
    (cache,) = (reader.path / ".git" / "ocuroot").glob("*.git")
    Repo(cache).git("config", "gc.autoPackLimit", "3")
    Repo(cache).git("config", "gc.auto", "100")
    Repo(cache).git("config", "maintenance.auto", "true")
    told: list[str] = []

    class Taker:
        is_slow = False

        def take(self, text: str, event: dict[str, Any]) -> None:
            told.append(event["ref"])

        def finish_commit(self) -> None:
            pass

    def pause(seconds: float) -> None:
        if len(told) == 6:
            raise TimeoutError
        writer.ocuroot("set", f"+/custom/late{len(told)}", "1")
        stores.backend("state")[0].ask_again()  # type: ignore[attr-defined]

    follower = watch.Watch(
        stream,
        lambda commit: (change.to_document() for change in commit.changes()),
        Taker(),
        None,
        pause=pause,
        warn=pytest.fail,
    )
    with pytest.raises(TimeoutError):
        follower.run(once=False, seconds=0)
    assert told == [f"+/custom/late{number}" for number in range(6)]
    assert len(list((cache / "objects" / "pack").glob("*.pack"))) <= 5


def test_a_remote_that_goes_away_for_a_while(filled: World) -> None:
    reader = filled.clone("reader")
    reader.git("config", "ocuroot.watchInterval", "1")
    process = begin(reader, "watch", "--cursor", "cursor")
    writer = Repo(filled.top / "writer")
    wait_for_file(reader.path / "cursor")
    served(filled).path.rename(filled.top / "away")
    assert process.stderr is not None and process.stdout is not None
    first, second = process.stderr.readline(), process.stderr.readline()
    assert first.startswith("warning: ") and first.endswith("; trying again in 1 s\n"), first
    assert second.endswith("; trying again in 2 s\n")
    (filled.top / "away").rename(served(filled).path)
    writer.ocuroot("set", "+/custom/back", "1")
    assert json.loads(process.stdout.readline())["ref"] == "+/custom/back"
    process.terminate()
    process.wait()
    served(filled).path.rename(filled.top / "away")
    assert "does not appear to be a git repository" in fails(reader, "watch", "--once", "--cursor", "cursor")


def test_a_remote_that_was_rewritten(filled: World) -> None:
    reader = filled.clone("reader")
    watch_once(reader, "--cursor", "cursor")
    bare = served(filled)
    known = bare.oid("state")
    bare.git("update-ref", "refs/heads/state", bare.oid("state~3"))
    assert "was rewritten" in fails(reader, "watch", "--once", "--cursor", "cursor")
    other = filled.clone("other")
    (other.path / "cursor").write_text(f"{known} state\n")
    assert f"branch 'state' of '{filled.url()}' was rewritten: {known[:12]}" in fails(
        other, "watch", "--once", "--cursor", "cursor"
    )


def test_state_and_intent_at_two_remotes(files: World, tmp_path: Path) -> None:
    files.bare()
    files.bare("wanted")
    writer, reader = files.clone("writer"), files.clone("reader")
    for one in (writer, reader):
        one.git("config", "ocuroot.intent.remote", files.url("wanted"))
    writer.ocuroot("init", "-q")
    assert watch_once(reader, "--cursor", "cursor") == []
    tips = {name: Repo(tmp_path / "served" / f"{name}.git").oid("state") for name in ("store", "wanted")}
    assert (reader.path / "cursor").read_text() == f"{tips['store']} state\n{tips['wanted']} intent\n"
    writer.ocuroot("set", "+/custom/x", "1")
    writer.ocuroot("update", "--stdin", input="set @/custom/x 1\n")
    found = brief(watch_once(reader, "--cursor", "cursor"))
    assert sorted(found) == [("created", "+/custom/x"), ("created", "@/custom/x")]
    assert watch_once(reader, "--cursor", "cursor") == []
    bare = (reader.path / "cursor").read_text().splitlines()[0]
    (reader.path / "cursor").write_text(f"{bare}\n")
    assert "the cursor says nothing of branch 'state' of" in fails(reader, "watch", "--once", "--cursor", "cursor")
    assert len(watch_once(reader, "--cursor", "cursor", "--since", tips["wanted"])) == 1
