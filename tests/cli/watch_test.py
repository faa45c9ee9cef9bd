"""`watch`: what it prints, what it hands to a command, up to where its cursor says, and how it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.faults import refused
from support.repositories import Repo, begin
from support.terminals import on_terminal
from support.waiting import wait_for_file
from support.watching import ZEROS, brief, events, replay, same_as, watch_once

pytestmark = pytest.mark.new_interpreter


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def cursor_of(repo: Repo, name: str = "cursor") -> str:
    return (repo.path / name).read_text()


def test_an_event(store: Repo) -> None:
    store.ocuroot("set", "-f=json", "+/custom/x", '{"ä": 1.50}', "--operation", "named")
    store.ocuroot("set", "+/custom/x", "b")
    first, second = store.ocuroot("watch", "--once", "--since", ZEROS).splitlines()
    commits = store.git("rev-list", "--reverse", "state").split()
    event = {
        "id": f"{commits[1]}:+/custom/x",
        "commit": commits[1],
        "time": json.loads(first)["time"],
        "ref": "+/custom/x",
        "change": "created",
        "old": None,
        "new": {"ä": 1.5},
        "actor": json.loads(first)["actor"],
        "command": "set",
        "operation": "named",
    }
    assert list(json.loads(first).items()) == list(event.items())
    assert '{"ä": 1.50}' in first
    assert event["time"] == store.git(
        "log",
        "-1",
        "--format=%ad",
        "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
        commits[1],
        env={**os.environ, "TZ": "UTC"},
    )
    assert (json.loads(second)["change"], json.loads(second)["old"]) == ("updated", {"ä": 1.5})


def test_the_actor_where_no_trailer_says_it(shop: Repo) -> None:
    shop.git("commit", "--allow-empty", "-q", "-m", "x")
    tree = shop.git("rev-parse", "state^{tree}")
    commit = shop.git("commit-tree", tree, "-p", "state~1", "-m", "by hand")
    shop.git("branch", "-f", "state", commit)
    found = watch_once(shop, "--since", "state~1", "@/custom/*")
    assert [(event["actor"], event["command"], event["operation"]) for event in found] == [("Test", None, None)]


def test_patterns(shop: Repo) -> None:
    deployed = watch_once(shop, "--since=0000000", "**/@/deploy/production", "@/custom/*")
    assert brief(deployed) == [
        ("created", "@/custom/freeze"),
        ("linked", "github.com/example/shop/-/api/release.ocu.star/@/deploy/production"),
    ]
    assert watch_once(shop, "--since=0000000", "//api/**/@") == watch_once(shop, "--since=0000000", "**/@")
    done = shop.run("watch", "--once", "--since=0000000", "[")
    assert done.returncode == 128 and "bad pattern" in done.stderr


def test_it_begins_now_and_follows(store: Repo) -> None:
    store.ocuroot("set", "+/custom/before", "1")
    process = begin(store, "watch")
    assert process.stdout is not None
    made = 0
    while not select.select([process.stdout], [], [], 0.1)[0]:
        store.ocuroot("set", "+/custom/x", str(made))
        made += 1
    first = int(line_of(process)["new"])
    for number in range(made, made + 3):
        store.ocuroot("set", "+/custom/x", str(number))
    assert [line_of(process)["new"] for _ in range(first + 1, made + 3)] == list(map(str, range(first + 1, made + 3)))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    assert process.stderr is not None and process.stderr.read() == ""


def test_a_store_that_is_made_later(repo: Repo) -> None:
    assert watch_once(repo, "-q", "--cursor", "once") == []
    assert cursor_of(repo, "once") == f"{ZEROS} state\n"
    process = begin(repo, "watch", "--cursor", "cursor")
    assert process.stderr is not None
    assert process.stderr.readline() == "there is no branch 'state' yet\n"
    repo.ocuroot("init", "-q")
    repo.ocuroot("set", "+/custom/x", "1")
    assert line_of(process)["ref"] == "+/custom/x"
    assert brief(watch_once(repo, "--cursor", "once")) == [("created", "+/custom/x")]


def test_the_cursor(shop: Repo) -> None:
    tip = shop.oid("state")
    assert watch_once(shop, "--cursor", "cursor") == []
    assert cursor_of(shop) == f"{tip} state\n"
    shop.ocuroot("set", "+/custom/x", "1")
    shop.ocuroot("set", "+/custom/y", "1")
    assert watch_once(shop, "--cursor", "cursor", "+/custom/x") == replayed(shop, tip)[:1]
    assert cursor_of(shop) == f"{shop.oid('state')} state\n"  # also past what nobody asked for
    assert watch_once(shop, "--cursor", "cursor", "--since", ZEROS) == []
    # By hand: a commit id alone.
    (shop.path / "cursor").write_text(f"{tip}\n")
    assert watch_once(shop, "--cursor", "cursor") == replayed(shop, tip)
    (shop.path / "linked").symlink_to("cursor")
    shop.ocuroot("set", "+/custom/z", "1")
    assert len(watch_once(shop, "--cursor", "linked")) == 1
    assert (shop.path / "linked").is_symlink() and cursor_of(shop) == f"{shop.oid('state')} state\n"
    assert not list(shop.path.glob("*.tmp"))


def replayed(repo: Repo, since: str) -> list[dict[str, object]]:
    found = watch_once(repo, "--since", since)
    same_as(found, replay(repo, since=since))
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad cursor 'cursor': it is empty"),
        ("abc state\n", "bad cursor 'cursor': line 1 is no '<commit id> <store>'"),
        (f"{ZEROS} other\n", "bad cursor 'cursor': line 1 is no '<commit id> <store>'"),
        (f"{ZEROS} state\n{ZEROS} state\n", "bad cursor 'cursor': line 2 is no '<commit id> <store>'"),
        (f"{ZEROS} intent\n", "the cursor says nothing of branch 'state'"),
    ],
)
def test_a_bad_cursor(shop: Repo, text: str, message: str) -> None:
    (shop.path / "cursor").write_text(text)
    done = shop.run("watch", "--once", "--cursor", "cursor")
    assert (done.returncode, done.stderr.splitlines()[0]) == (128, f"fatal: {message}")
    assert cursor_of(shop) == text


def test_a_cursor_that_cannot_be_kept(shop: Repo) -> None:
    refused(shop.run("watch", "--once", "--cursor", "."), "cannot read the cursor '.': Is a directory")
    missing = shop.run("watch", "--once", "--cursor", "no/cursor")
    refused(missing, "cannot write the cursor 'no/cursor': No such file or directory")
    process = begin(shop, "watch", "--cursor", "cursor")
    wait_for_file(shop.path / "cursor")
    hint = "each that watches has a cursor of its own"
    done = shop.run("watch", "--once", "--cursor", "cursor")
    refused(done, "another process uses the cursor 'cursor'", hint, status=3)
    process.kill()
    process.wait()
    assert watch_once(shop, "--cursor", "cursor") == []


def test_rewritten_history_says_how_to_go_on(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    watch_once(store, "--cursor", "cursor")
    known = store.oid("state")
    store.git("branch", "-f", "state", "state~1")
    base = store.oid("state")
    store.ocuroot("set", "+/custom/x", "2")
    refused(
        store.run("watch", "--once", "--cursor", "cursor"),
        f"branch 'state' was rewritten: {known[:12]}, up to which its changes were told, is no longer in it",
        f"if that is meant, go on after another commit: sed -i s/{known}/{base}/ 'cursor'",
    )
    assert cursor_of(store) == f"{known} state\n"
    subprocess.run(["sed", "-i", f"s/{known}/{base}/", "cursor"], cwd=store.path, check=True)
    assert [event["new"] for event in watch_once(store, "--cursor", "cursor")] == ["2"]


def test_a_command_for_each_event(shop: Repo) -> None:
    whole = watch_once(shop, "--since", ZEROS)
    command = 'cat >> got; test "$(wc -l < got)" -ne 5 || exit 9'
    done = shop.run("watch", "--since", ZEROS, "--cursor", "cursor", "--exec", command)
    got = shop.path / "got"
    assert (done.returncode, done.stdout) == (9, "")
    assert (
        done.stderr.splitlines()[0] == f"fatal: the command failed for event '{whole[4]['id']}': it ended with status 9"
    )
    assert events(got.read_text()) == whole[:5]
    assert cursor_of(shop) == f"{shop.oid('state~1')} state\n"  # all of these were of one commit
    got.unlink()
    done = shop.run("watch", "--once", "--cursor", "cursor", "--exec", "cat | tee -a got; echo err >&2")
    assert done.returncode == 0 and done.stderr == "err\n" * len(whole)
    assert events(done.stdout) == events(got.read_text()) == whole
    assert cursor_of(shop) == f"{shop.oid('state')} state\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_command_runs(shop: Repo, number: int) -> None:
    """The command is asked to end; one that takes its event all the same has taken it."""
    process = begin(shop, "watch", "--since", ZEROS, "--cursor", "cursor", "--exec", "echo begun; exec sleep 60")
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert process.stdout.read() == ""
    assert cursor_of(shop) == f"{shop.oid('state~1')} state\n"

    steadfast = "trap '' INT TERM; echo begun; sleep 0.5"
    process = begin(shop, "watch", "--cursor", "cursor", "@/custom/freeze", "--exec", steadfast)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert process.wait(60) == 128 + number


def test_a_reader_that_has_enough(shop: Repo) -> None:
    """Also one that leaves while nothing comes."""
    process = begin(shop, "watch", "--since", ZEROS)
    assert process.stdout is not None
    line_of(process)
    process.stdout.close()
    assert process.wait(60) == 141
    process = begin(shop, "watch")
    time.sleep(0.5)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None and process.stderr.read() == ""


def test_a_terminal_shows_escapes(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "a\x1b[31mb")
    assert "a\\u001b[31mb" in on_terminal(store, "watch", "--once", "--since", ZEROS)


def test_several_operations_in_one_commit(make_repo: object, tmp_path: Path) -> None:
    """As `sync` replays them: which of them changed what is not known, and not said."""
    assert callable(make_repo)
    shared = make_repo("shared", "--bare")
    ann, ben = (Repo(tmp_path / name) for name in ("ann", "ben"))
    for one in (ann, ben):
        shared.git("clone", "-q", str(shared.path), str(one.path))
        one.ocuroot("init", "-q")
        if one is ann:
            one.ocuroot("push", "-q")
    since = ben.oid("state")
    for number in range(2):
        ann.ocuroot("set", f"+/custom/ann{number}", "1", "--operation", f"ann{number}")
    ben.ocuroot("set", "+/custom/ben", "1", "--operation", "ben")
    ben.ocuroot("push", "-q")
    ann.ocuroot("sync", "-q")
    found = watch_once(ann, "--since", since)
    assert [(event["ref"], event["command"], event["operation"]) for event in found] == [
        ("+/custom/ben", "set", "ben"),
        ("+/custom/ann0", "sync", None),
        ("+/custom/ann1", "sync", None),
    ]
    assert watch_once(ann, "--since", since) == found
    same_as(found, replay(ann, since=since))
