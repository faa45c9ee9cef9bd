"""`run exec`: what a CI step calls. Real commands, real signals."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from support.delivering import commits, deploy, package, prepare, refused, release
from support.program import PROGRAM
from support.repositories import Repo, begin
from support.waiting import wait_for_file, wait_until_gone

pytestmark = pytest.mark.new_interpreter

BUILD = "shop/-/web/@1/call/build"


def status(repo: Repo, run: str = f"{BUILD}/1") -> str:
    """The one status of a run, from its marker, which must agree with its function."""
    (ref,) = repo.ocuroot("match", f"{run}/status/*").splitlines()
    found = ref.rsplit("/", 1)[1]
    assert repo.value(f"{run}/functions/1#current/status") == found
    return found


def messages(repo: Repo, run: str = f"{BUILD}/1") -> list[tuple[int, str]]:
    return [(entry["stream"], entry["message"]) for entry in repo.value(f"{run}/logs")]


def test_output_goes_through_and_is_recorded(shop: Repo) -> None:
    script = r"printf 'one\ntwo \033[1m[abc] :x:\n'; printf 'three' >&2; printf 'no newline'"
    done = shop.run("run", "exec", "-q", BUILD, "--", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\ntwo \033[1m[abc] :x:\nno newline", "three")
    assert status(shop) == "complete"
    assert sorted(messages(shop)) == [(1, "no newline"), (1, "one"), (1, "two \033[1m[abc] :x:"), (2, "three")]
    entry = shop.value(f"{BUILD}/1/logs")[0]
    assert set(entry) == {"timestamp", "message", "stream", "attributes"}


def test_the_command_of_the_release_is_the_default(shop: Repo) -> None:
    assert shop.run("run", "exec", BUILD).stdout == "default\n"


def test_output_appears_while_the_command_runs(shop: Repo) -> None:
    gate = shop.path / "gate"
    running = begin(
        shop, "run", "exec", BUILD, "--", "sh", "-c", f"echo first; while ! test -e {gate}; do sleep 0.05; done"
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "first\n"
    assert status(shop) == "running"
    gate.touch()
    assert running.wait(60) == 0


@pytest.mark.parametrize("code", [1, 42, 255])
def test_the_exit_status_is_that_of_the_command(shop: Repo, code: int) -> None:
    done = shop.run("run", "exec", BUILD, "--", "sh", "-c", f"exit {code}")
    assert done.returncode == code
    assert status(shop) == "failed"
    assert (2, f"[git-ocuroot: it ended with status {code}]") in messages(shop)


def test_a_command_that_is_not_there(shop: Repo) -> None:
    assert shop.run("run", "exec", BUILD, "--", "no-such-program").returncode == 127
    assert status(shop) == "failed"


def test_a_command_that_is_killed(shop: Repo) -> None:
    done = shop.run("run", "exec", BUILD, "--", "sh", "-c", "kill -SEGV $$")
    assert done.returncode == 128 + signal.SIGSEGV
    assert status(shop) == "failed"
    assert (2, "[git-ocuroot: it was killed by SIGSEGV]") in messages(shop)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(shop: Repo, number: signal.Signals) -> None:
    trapped, ready = shop.path / "trapped", shop.path / "ready"
    script = f"trap 'touch {trapped}; exit 7' INT TERM; touch {ready}; while :; do sleep 0.05; done"
    running = begin(shop, "run", "exec", BUILD, "--", "sh", "-c", script)
    wait_for_file(ready)
    running.send_signal(number)
    assert running.wait(60) == 7
    assert trapped.exists()
    assert status(shop) == "failed"
    assert (2, f"[git-ocuroot: it was ended by {number.name}]") in messages(shop)


def test_a_command_that_ends_well_after_a_signal_has_failed(shop: Repo) -> None:
    ready = shop.path / "ready"
    running = begin(
        shop, "run", "exec", BUILD, "--", "sh", "-c", f"trap 'exit 0' TERM; touch {ready}; while :; do sleep 0.05; done"
    )
    wait_for_file(ready)
    running.terminate()
    assert running.wait(60) == 128 + signal.SIGTERM
    assert status(shop) == "failed"


def test_a_time_out_ends_the_command_and_all_it_started(shop: Repo) -> None:
    children = shop.path / "children"
    script = f"sleep 600 & echo $! > {children}; sleep 600"
    done = shop.run("run", "exec", BUILD, "--timeout", "1", "--", "sh", "-c", script)
    assert done.returncode == 124
    assert status(shop) == "failed"
    assert (2, "[git-ocuroot: it took longer than 1 s]") in messages(shop)
    wait_until_gone(int(children.read_text()))


def test_what_is_left_in_the_background_is_not_waited_for(shop: Repo) -> None:
    pid = shop.path / "pid"
    done = shop.run("run", "exec", BUILD, "--", "sh", "-c", f"sleep 600 & echo $! > {pid}")
    assert (done.returncode, status(shop)) == (0, "complete")
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it was left alone, and so it is ours to end


def test_a_killed_executor_takes_its_command_along(shop: Repo) -> None:
    pid = shop.path / "pid"
    running = begin(
        shop, "run", "exec", BUILD, "--", "sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600"
    )
    wait_for_file(pid)
    running.kill()
    wait_until_gone(int(pid.read_text()))
    assert status(shop) == "running"


def test_inputs_and_outputs(store: Repo) -> None:
    prepare(store, "staging")
    inputs = {
        "version": {"value": "1.2 beta"},
        "count": {"value": 3},
        "build-flags": {"value": {"a": [True, None]}},
        "late": {"ref": "./custom/late", "default": "none"},
        "env": {"ref": "@/environment/staging#attributes/type"},
    }
    web = release(store, package([deploy("staging", inputs=inputs)]))
    script = r"""
        env | grep ^OCUROOT_ | grep -v OUTPUT | sort
        printf 'url=https://x.example.com?a=b\n\nempty=\nnotes<<EOF\none\n\ntwo=2\nEOF\n' >> $OCUROOT_OUTPUT
    """
    environ = {**os.environ, "OCUROOT_INPUT_STALE": "1", "OCUROOT_OPERATION": "job-1"}
    done = store.run(
        "run", "exec", "./deploy/staging", "--package=web", "--release=1", "--", "sh", "-c", script, env=environ
    )
    assert done.stdout.splitlines() == [
        "OCUROOT_ENVIRONMENT=staging",
        'OCUROOT_INPUT_BUILD_FLAGS={"a": [true, null]}',
        "OCUROOT_INPUT_COUNT=3",
        "OCUROOT_INPUT_ENV=staging",
        "OCUROOT_INPUT_LATE=none",
        "OCUROOT_INPUT_VERSION=1.2 beta",
        f"OCUROOT_RELEASE={web}",
        f"OCUROOT_RUN={web}/deploy/staging/1",
    ]
    outputs = {"url": "https://x.example.com?a=b", "empty": "", "notes": "one\n\ntwo=2"}
    assert store.value(f"{web}/deploy/staging/1#output") == outputs
    assert store.value("//web/@/deploy/staging#output") == outputs
    assert store.value(f"{web}/deploy/staging/1/functions/1#current/outputs") == outputs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no equals sign", "line 1: neither 'key=value' nor 'key<<END': 'no equals sign'"),
        ("a=1\n=2", "line 2: the key is empty"),
        ("a=1\nb<<EOF\nx", "line 2: the value that begins here has no end 'EOF'"),
        ("a=\\377", "not UTF-8"),
    ],
)
def test_outputs_that_do_not_parse_fail_the_run(shop: Repo, text: str, words: str) -> None:
    done = shop.run("run", "exec", BUILD, "--", "sh", "-c", 'printf "$1" > $OCUROOT_OUTPUT', "sh", text)
    assert done.returncode == 128
    assert words in done.stderr
    assert status(shop) == "failed"


def test_the_name_of_an_operation_has_one_effect(shop: Repo) -> None:
    count = shop.path / "count"
    for _ in range(2):
        done = shop.run("run", "exec", "--operation=job-7", BUILD, "--", "sh", "-c", f"echo x >> {count}")
        assert done.returncode == 0, done.stderr
    assert count.read_text() == "x\n"
    assert shop.ocuroot("match", f"{BUILD}/*/status/*") == f"{BUILD}/1/status/complete"


def test_a_run_that_was_ended_by_others_ends_its_command(shop: Repo) -> None:
    shop.git("config", "ocuroot.lease", "1")
    pid = shop.path / "pid"
    running = begin(
        shop, "run", "exec", BUILD, "--", "sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600"
    )
    wait_for_file(pid)
    shop.ocuroot("run", "finish", f"{BUILD}/1", "--status", "cancelled")
    _, err = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "is cancelled: someone else ended it" in err
    wait_until_gone(int(pid.read_text()))
    assert status(shop) == "cancelled"


def test_a_claim_is_renewed_while_the_command_runs(shop: Repo) -> None:
    shop.git("config", "ocuroot.lease", "0.6")
    began = time.monotonic()
    done = shop.run("run", "exec", BUILD, "--", "sh", "-c", "sleep 2")
    assert (done.returncode, status(shop)) == (0, "complete")
    # After 0.3, 0.9, 2.1 s and so on, as the lease doubles.
    most = int(math.log2((time.monotonic() - began) / 0.3 + 1))
    assert 1 <= int(shop.git("rev-list", "--count", "--grep=^renew ", "state")) <= most


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""
"""Runs a command and prints the most memory that a process of it took, in KiB."""


def test_fifty_megabytes_of_output(shop: Repo) -> None:
    before = commits(shop)
    line = "a line of output, as a build prints it by the hundred thousand"
    script = f"echo the beginning; yes '{line}' | head -c 50000000; echo; echo the end"
    program = [sys.executable, "-c", PEAK, sys.executable, str(PROGRAM), "run", "exec", "-q", BUILD]
    done = subprocess.run([*program, "--", "sh", "-c", script], cwd=shop.path, capture_output=True, check=True)
    assert len(done.stdout) == 50_000_000 + len("the beginning\n\nthe end\n")
    assert int(done.stderr.split()[-1]) < 150_000
    assert commits(shop) - before <= 12

    logs = shop.ocuroot("get", f"{BUILD}/1/logs", "--format=compact")
    assert len(logs) < 3 << 20
    entries = json.loads(logs)
    assert (entries[0]["message"], entries[-1]["message"]) == ("the beginning", "the end")
    (marker,) = [entry for entry in entries if entry["attributes"]]
    assert "left out here" in marker["message"]
    kept = len(entries) - 1
    assert int(marker["attributes"]["omitted_lines"]) + kept == 50_000_000 // (len(line) + 1) + 3


def test_run_log_appends_stdin(shop: Repo) -> None:
    shop.ocuroot("run", "start", BUILD)
    shop.ocuroot("run", "log", f"{BUILD}/1", input="one\ntwo\n")
    shop.ocuroot("run", "log", BUILD, input="three")
    assert messages(shop) == [(1, "one"), (1, "two"), (1, "three")]
    long = "x" * 100_000 + "\n"
    shop.ocuroot("run", "log", BUILD, input=long * 60)
    entries = shop.value(f"{BUILD}/1/logs")
    assert len(json.dumps(entries)) < 3 << 20
    (marker,) = [entry for entry in entries if entry["attributes"]]
    # Appending to what was cut keeps the count.
    shop.ocuroot("run", "log", BUILD, input=long * 60)
    (again,) = [entry for entry in shop.value(f"{BUILD}/1/logs") if entry["attributes"]]
    kept = sum(len(entry["message"]) for entry in shop.value(f"{BUILD}/1/logs") if not entry["attributes"])
    assert int(again["attributes"]["omitted_bytes"]) > int(marker["attributes"]["omitted_bytes"])
    assert int(again["attributes"]["omitted_bytes"]) + kept >= 12_000_000


def test_a_run_without_a_command(store: Repo) -> None:
    prepare(store)
    release(store, package([{"call": {"name": "build", "fn": {"name": "build", "pos": "web:1:1"}}}]))
    refused(store, 128, "has no command", "run", "exec", BUILD)
    assert status(store) == "pending"
    done = store.run("work", "any")
    assert done.returncode == 0
    assert "left for others" in done.stderr


def test_logs_are_bounded_in_memory_by_their_size() -> None:
    from ocuroot_git.delivery.logs import HEAD, TAIL, Log

    log = Log()
    for number in range(100_000):
        log.add(str(number), 1, "t")
    entries = log.to_document()
    marker = next(entry for entry in entries if entry["attributes"])
    at = entries.index(marker)
    assert int(entries[at - 1]["message"]) + 1 + int(marker["attributes"]["omitted_lines"]) == int(
        entries[at + 1]["message"]
    )
    assert len(json.dumps(entries)) < HEAD + TAIL
    assert Log.read(entries).to_document() == entries


def stored_size(repo: Repo, ref: str) -> int:
    """Bytes that a document takes on the branch."""
    return int(repo.git("cat-file", "-s", f"state:refs/{ref}/@object.json"))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"\033[1;31m\001\002\003\n", id="escapes take six bytes each in JSON"),
        pytest.param(r"\n", id="empty lines take as much as an entry does"),
        pytest.param(r"\360\237\232\200\360\237\232\200\n", id="characters of four bytes"),
        pytest.param(r"\377\377\377\377\377\377\377\377\n", id="bytes that are no text"),
        pytest.param(r"\001\001\001\001\001\001\001\001", id="no newlines at all"),
    ],
)
def test_logs_are_bounded_in_bytes_as_stored(shop: Repo, line: str) -> None:
    from ocuroot_git.delivery.logs import HEAD, TAIL

    shop.ocuroot("run", "start", BUILD)
    data = line.encode().decode("unicode_escape").encode("latin-1") * 60_000
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "run", "log", f"{BUILD}/1"], cwd=shop.path, input=data, check=False
    )
    assert done.returncode == 0
    assert HEAD < stored_size(shop, f"{BUILD}/1/logs") <= HEAD + TAIL + 1024


def test_long_lines_are_cut_between_characters() -> None:
    from ocuroot_git.delivery.logs import LONGEST_LINE, Lines, Log

    text = "x" + "é🚀" * LONGEST_LINE
    for end in ("\n", ""):
        log = Log()
        lines = Lines(log, 1)
        lines.feed((text + end).encode())
        lines.finish()
        messages = [entry["message"] for entry in log.to_document()]
        assert "".join(messages) == text
        assert max(len(message.encode()) for message in messages) <= LONGEST_LINE


def test_what_a_function_prints_takes_what_it_was_counted_for_and_is_cut() -> None:
    from ocuroot_git.delivery.logs import LONGEST_LINE, Log

    about = {"thread": "build", "filename": "web.ocu.star", "line": "12", "col": "5"}
    text = 'x"\\\n\033é' * LONGEST_LINE
    log = Log()
    log.add_all(["", text], 1, "2026-11-26T12:00:00Z", about)
    counted = sum(size for _, size in log._head)
    entries = log.to_document()
    assert "".join(entry["message"] for entry in entries) == text
    assert all(entry["attributes"] == about and len(entry["message"]) <= LONGEST_LINE for entry in entries)
    taken = len(json.dumps({"body": entries}, indent=2, ensure_ascii=False).encode())
    assert taken - 200 <= counted <= taken + 200


def test_what_was_told_is_not_said_to_be_left_out() -> None:
    """A reader who comes back to a log, while more and more of it is left out, counts each line once."""
    from ocuroot_git.delivery.logs import Log, number_of
    from ocuroot_git.delivery.printed import entries_from

    log, told, numbers, left_out = Log(), 0, [], []
    for number in range(1, 60_001):
        log.add(f"line {number}", 1, "2026-11-26T12:00:00Z")
        if number % 12_000 == 0:
            entries, told = entries_from(log.to_document(), told)
            words = [entry["message"].split() for entry in entries if isinstance(entry, dict)]
            numbers += [int(word) for first, word, *_ in words if first == "line"]
            left_out += [int(word) for first, word, *_ in words if first == "[git-ocuroot:"]
            assert told == number and len(numbers) + sum(left_out) == number
    assert numbers == sorted(set(numbers)) and len(left_out) > 1
    assert sum(map(number_of, log.to_document())) == 60_000


def test_logs_of_other_programs_are_kept_as_they_are(shop: Repo) -> None:
    foreign = ["a line", None, {"message": 1, "attributes": {"omitted_lines": "many", "omitted_bytes": "-1"}}]
    shop.ocuroot("run", "start", BUILD)
    shop.ocuroot("update", "--stdin", input=f"set {BUILD}/1/logs {json.dumps(foreign)}\n")
    shop.ocuroot("run", "log", BUILD, input="ours\n")
    entries = shop.value(f"{BUILD}/1/logs")
    assert entries[:3] == foreign
    assert entries[3]["message"] == "ours"
