"""`logs`: what runs have printed, recorded and while they go on, for people and for programs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.delivering import call, copy_of, package, prepare, refused, release
from support.original_stores import v3_branches
from support.repositories import Repo, begin
from support.terminals import on_terminal
from support.waiting import LONG, wait_until, wait_until_it_catches

WEB = "shop/-/web"
BUILD = f"{WEB}/@1/call/build"
THREE = "[git-ocuroot: it ended with status 3]"
KILLED = "[git-ocuroot: it was killed by SIGTERM]"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A release with three calls that have run: two of them failed, one of these was retried and failed again."""
    repo = Repo(tmp_path_factory.mktemp("made"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo)
    calls = [call(name) for name in ("build", "lint", "test", "unstarted")]
    release(repo, package(calls))
    printing = "printf 'one\\ntwo\\nthree\\n'; echo wrong >&2"
    assert repo.run("run", "exec", BUILD, "--", "sh", "-c", printing).returncode == 0
    assert repo.run("run", "exec", f"{WEB}/@1/call/lint", "--", "sh", "-c", "echo untidy; kill $$").returncode == 143
    for number in (1, 2):
        done = repo.run("run", "exec", f"{WEB}/@1/call/test", "--", "sh", "-c", f"echo try {number}; exit 3")
        assert done.returncode == 3
        if number == 1:
            repo.ocuroot("run", "retry", f"{WEB}/@1/call/test/1")
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


def test_of_a_run_of_work_and_of_a_release(made: Repo) -> None:
    assert made.ocuroot("logs", f"{BUILD}/1") == made.ocuroot("logs", BUILD) == "one\ntwo\nthree\nwrong"
    assert made.ocuroot("run", "logs", "//web/@/call/build") == "one\ntwo\nthree\nwrong"
    assert made.ocuroot("logs", f"{WEB}/@1/call/test/1") == f"try 1\n{THREE}"
    assert made.ocuroot("logs", f"{WEB}/@1/call/test") == f"try 2\n{THREE}"
    assert made.ocuroot("logs", f"{WEB}/@1/call/unstarted") == ""
    said = on_terminal(made, "logs", f"{WEB}/@1/call/unstarted", GIT_PAGER="cat")
    assert said == f"{WEB}/@1/call/unstarted/1: pending; it has printed nothing\n"
    assert made.ocuroot("logs", f"{WEB}/@").split("\n") == [
        f"==> {BUILD}/1 (complete) <==", "one", "two", "three", "wrong", "",
        f"==> {WEB}/@1/call/lint/1 (failed) <==", "untidy", KILLED, "",
        f"==> {WEB}/@1/call/test/2 (failed) <==", "try 2", THREE, "",
        f"==> {WEB}/@1/call/unstarted/1 (pending) <==",
    ]  # fmt: skip


def test_only_what_failed(made: Repo, shop: Repo) -> None:
    assert made.ocuroot("logs", "--failed", "-n", "1", f"{WEB}/@1").split("\n") == [
        f"==> {WEB}/@1/call/lint/1 (failed) <==", KILLED, "",
        f"==> {WEB}/@1/call/test/2 (failed) <==", THREE,
    ]  # fmt: skip
    assert made.ocuroot("logs", "--failed", f"{WEB}/@1/call/test/1") == f"try 1\n{THREE}"
    refused(made, 1, f"'{BUILD}/1' has not failed: it is complete", "logs", "--failed", f"{BUILD}/1")
    refused(made, 1, f"no run of '{BUILD}' has failed", "logs", "--failed", BUILD)
    # Of work whose last run goes well the one before it is meant; of a release only what is left of its failures.
    shop.ocuroot("run", "retry", f"{WEB}/@1/call/test/2")
    assert shop.run("run", "exec", f"{WEB}/@1/call/test", "--", "true").returncode == 0
    assert shop.ocuroot("logs", "--failed", f"{WEB}/@1/call/test") == f"try 2\n{THREE}"
    assert f"{WEB}/@1/call/test" not in shop.ocuroot("logs", "--failed", f"{WEB}/@1")
    other = release(shop, package([call("build")]))
    refused(shop, 1, f"no work of '{other}' has failed", "logs", "--failed", other)


def test_what_is_not_there(made: Repo) -> None:
    refused(made, 1, f"no such run: '{BUILD}/7'", "logs", f"{BUILD}/7")
    refused(made, 1, f"no such run: '{WEB}/@1/call/none'", "logs", f"{WEB}/@1/call/none")
    refused(made, 1, "no such release", "logs", f"{WEB}/@7")
    refused(made, 128, "is neither work nor a run", "logs", "@/environment/staging")
    for nothing in ("nonsense", "//web", "+/", "@"):
        refused(made, 128, f"'{nothing}' is neither a run nor work nor a release", "logs", nothing)
    for whole in (BUILD, f"{BUILD}/1"):  # no part of a run has a log of its own
        message = f"'{whole}#output' is a part of a document"
        error = refused(made, 128, message, "logs", f"{whole}#output")
        assert f"hint: did you mean '{whole}'?" in error
    refused(made, 129, "'--follow' takes a run", "logs", "-f", f"{WEB}/@1")
    refused(made, 129, "takes a number", "logs", "-n", "-1", BUILD)


def test_the_last_lines_and_their_times(made: Repo) -> None:
    assert made.ocuroot("logs", "-2", BUILD) == "three\nwrong"
    assert made.ocuroot("logs", "-n", "0", BUILD) == ""
    assert made.ocuroot("logs", "--lines=99", BUILD) == "one\ntwo\nthree\nwrong"
    entries = made.value(f"{BUILD}/1/logs")
    stamped = [f"{entry['timestamp']} {entry['message']}" for entry in entries]
    assert made.ocuroot("logs", "--timestamps", BUILD).split("\n") == stamped
    shown = [json.loads(line) for line in made.ocuroot("logs", "--json", "-n2", BUILD).splitlines()]
    assert shown == [{"run": f"{BUILD}/1", **entry} for entry in entries[-2:]]
    assert made.run("logs", "-z", BUILD).stdout == "one\0two\0three\0wrong\0"


def test_times_in_the_zone_of_who_reads_them(shop: Repo) -> None:
    entries = [
        {"timestamp": "2026-03-29T00:59:59.5Z", "message": "before\nsummer", "stream": 1},
        {"timestamp": "2026-03-29T03:00:00+02:00", "message": "in summer", "stream": 1},
        {"timestamp": "yesterday", "message": "when?", "stream": 1},
        "of no shape",
    ]
    shop.ocuroot("update", "--stdin", input=f"set {BUILD}/1/logs {json.dumps(entries)}\n")
    assert shop.ocuroot("logs", "--timestamps", BUILD).split("\n") == [
        "2026-03-29T00:59:59.500000Z before",
        "2026-03-29T00:59:59.500000Z summer",
        "2026-03-29T01:00:00.000000Z in summer",
        "- when?",
        "- of no shape",
    ]
    assert on_terminal(shop, "logs", "--timestamps", BUILD, TZ="Europe/Berlin", NO_COLOR="1", GIT_PAGER="cat").split(
        "\n"
    ) == [
        "2026-03-29T01:59:59+01:00 before",
        "2026-03-29T01:59:59+01:00 summer",
        "2026-03-29T03:00:00+02:00 in summer",
        "- when?",
        "- of no shape",
        "",
    ]


HOSTILE = [
    ("\x1b[1;31mred\x1b[0m", "red", "\x1b[1;31mred\x1b[0m\x1b[m"),
    ("\x1b[38:5:9mnine\x1b[38;5;8meight", "nineeight", "\x1b[38:5:9mnine\x1b[38;5;8meight\x1b[m"),
    ("\x1b[8mhidden", "hidden", "hidden"),
    ("\x1b[2J\x1b[1A\x1b[Kgone", "gone", "gone"),
    ("\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x1b\\clip", "clip", "clip"),
    ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
    ("\x9b31mc1\x9d0;t\x9c\x90q\x9c", "c1", "c1"),
    ("\x1bcreset\x0e\x7f\x00", "reset", "reset"),
    ("safe\rfalse", "safefalse", "safefalse"),
    ("\u202eesrever", "\\u202eesrever", "\\u202eesrever"),
    ("tab\there", "tab\there", None),
    ("\x1b[31", "", ""),
]


def test_a_hostile_log_controls_no_terminal(shop: Repo) -> None:
    entries = [{"timestamp": "2026-01-05T09:00:00Z", "message": message, "stream": 1} for message, *_ in HOSTILE]
    shop.ocuroot("update", "--stdin", input=f"set {BUILD}/1/logs {json.dumps(entries)}\n")
    assert shop.run("logs", BUILD).stdout.split("\n")[:-1] == [piped for _, piped, _ in HOSTILE]
    shown = on_terminal(shop, "logs", BUILD, GIT_PAGER="cat").split("\n")[:-1]
    assert [line for line in shown if "tab" not in line] == [line for _, _, line in HOSTILE if line is not None]
    assert not re.search(r"\x1b(?!\[[0-9;:]*m)|[\x80-\x9f\x00-\x08\x0b-\x1a]", "".join(shown))
    assert on_terminal(shop, "logs", BUILD, NO_COLOR="1", GIT_PAGER="cat").split("\n")[0] == "red"
    shop.git("config", "color.ui", "always")
    assert shop.ocuroot("logs", BUILD).split("\n")[0] == "\x1b[1;31mred\x1b[0m\x1b[m"
    assert [json.loads(line)["message"] for line in shop.ocuroot("logs", "--json", BUILD).splitlines()] == [
        message for message, *_ in HOSTILE
    ]


def test_passwords_are_not_shown(shop: Repo) -> None:
    shop.git("config", "http.extraHeader", "Authorization: Bearer very-secret-token")
    shop.git("remote", "add", "origin", "https://ann:hunter22@git.example.com/shop.git")
    lines = [
        "fatal: cannot push to https://ann:pa55word@elsewhere.example.com/x.git",
        "\x1b[31mhttps://ann:pa\x1b[1m55word@elsewhere.example.com/x.git",
        "curl: very-secret-token",
        "design=modern, killed by signal=9",
    ]
    entries = [{"timestamp": "2026-01-05T09:00:00Z", "message": message, "stream": 1} for message in lines]
    shop.ocuroot("update", "--stdin", input=f"set {BUILD}/1/logs {json.dumps(entries)}\n")
    for shown in (shop.ocuroot("logs", BUILD), on_terminal(shop, "logs", BUILD, GIT_PAGER="cat")):
        assert "pa55word" not in shown and "secret" not in shown
        assert "https://***@elsewhere.example.com/x.git" in shown
        assert "design=modern, killed by signal=9" in shown


# While a run goes on


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


@pytest.mark.parametrize(("end", "status"), [("exit 0", 0), ("exit 7", 1)])
def test_following_ends_with_the_run_and_as_it_does(shop: Repo, tmp_path: Path, end: str, status: int) -> None:
    work = f"{release(shop, package([call('build')]))}/call/build"
    following = begin(shop, "logs", "--follow", work)
    assert following.stderr is not None
    assert following.stderr.readline() == f"{work}/1: pending; waiting for it to go on\n"
    waits = f"while [ ! -e {tmp_path}/go ]; do echo tick; sleep 0.05; done"
    script = f"echo one; {waits}; printf 'two\\nthree'; {end}"
    running = begin(shop, "run", "exec", work, "--", "sh", "-c", script)
    assert next_line(following) == "one"  # as it comes, not when the run has ended
    second = begin(shop, "logs", "-f", "-n0", "--json", f"{work}/1")
    assert json.loads(next_line(second))["message"] == "tick"
    assert following.poll() is second.poll() is None
    (tmp_path / "go").touch()
    assert following.stdout is not None and second.stdout is not None
    out, err = following.stdout.read(), following.stderr.read()
    after = [line for line in out.splitlines() if line != "tick"]
    assert (after[:2], following.wait(timeout=60)) == (["two", "three"], status), err
    assert running.wait(timeout=60) == (7 if status else 0)
    assert err.splitlines() == ([f"{work}/1: failed"] if status else [])
    messages = [json.loads(line)["message"] for line in second.stdout.read().splitlines()]
    assert [one for one in messages if one != "tick"][:2] == ["two", "three"] and second.wait(timeout=60) == status
    done = shop.run("logs", "-qf", work)  # it has ended: nothing to wait for
    assert (done.returncode, done.stdout, done.stderr) == (status, f"one\n{out}", "")


def test_following_a_run_that_is_cancelled(shop: Repo) -> None:
    work = f"{release(shop, package([call('build')]))}/call/build"
    following = begin(shop, "logs", "--follow", work)
    assert following.stderr is not None
    assert following.stderr.readline() == f"{work}/1: pending; waiting for it to go on\n"
    shop.ocuroot("run", "cancel", work)
    out, err = following.communicate(timeout=60)
    assert (out, following.returncode) == ("", 1)
    assert err.splitlines()[-1] == f"{work}/1: cancelled"


def test_a_follower_that_is_interrupted_says_so(shop: Repo) -> None:
    work = f"{release(shop, package([call('build')]))}/call/build"
    following = begin(shop, "logs", "--follow", "-q", work)
    wait_until_it_catches(following, signal.SIGTERM)
    following.terminate()
    assert following.wait(timeout=60) == 128 + 15


def test_a_run_that_prints_more_than_a_log_holds_is_followed_to_its_end(shop: Repo, tmp_path: Path) -> None:
    """What was left out is said; nothing that comes after it is missed, and no line is shown twice."""
    work = f"{release(shop, package([call('build')]))}/call/build"
    script = f"seq -f 'line %.0f' 60000; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; seq -f 'more %.0f' 3000"
    running = begin(shop, "run", "exec", "-q", work, "--", "sh", "-c", script, stdout=subprocess.DEVNULL)
    with (tmp_path / "followed").open("wb") as followed:
        following = begin(shop, "logs", "--follow", f"{work}/1", stdout=followed)
    wait_until(lambda: "line 60000\n" in (tmp_path / "followed").read_text())
    (tmp_path / "go").touch()
    assert following.wait(timeout=120) == running.wait(timeout=120) == 0
    shown = (tmp_path / "followed").read_text().splitlines()
    numbers = [int(line.split()[1]) for line in shown if line.startswith("line ")]
    left_out = sum(int(line.split()[1]) for line in shown if line.startswith("[git-ocuroot: "))
    assert numbers == sorted(set(numbers)) and len(numbers) + left_out == 60000
    assert [line for line in shown if line.startswith("more ")] == [f"more {number}" for number in range(1, 3001)]
    assert left_out, "the run should print more than a log holds"


# Of other programs


def test_runs_of_the_original(repo: Repo) -> None:
    v3_branches(repo)
    backend = "github.com/example/shop.git/-/backend.ocu.star"
    for ref in (f"{backend}/@r1/task/build/1", f"{backend}/@1/call/build", f"{backend}/@/task/build"):
        lines = repo.ocuroot("logs", ref).splitlines()
        messages = [entry["message"] for entry in repo.value(f"{backend}/@r1/task/build/1/logs")]
        assert lines == [message.replace("\u2028", "\\u2028") for message in messages] != []
    shown = repo.ocuroot("logs", f"{backend}/@1").splitlines()
    assert [line for line in shown if line.startswith("==> ")] == [
        f"==> {backend}/@r1/task/build/1 (complete) <==",
        f"==> {backend}/@r1/deploy/staging/2 (complete) <==",
    ]
    assert repo.run("logs", "-f", f"{backend}/@1/task/build").returncode == 0
    refused(repo, 1, "has failed", "logs", "--failed", f"{backend}/@1")


def test_a_log_of_many_lines(shop: Repo) -> None:
    """Another program may have written more than we would: all of it is there, in the time that it takes to read."""
    entries = [
        {"timestamp": "2026-01-05T09:00:00Z", "message": f"\x1b[32mline\x1b[0m {number} a=b", "stream": 1}
        for number in range(100_000)
    ]
    shop.ocuroot("update", "--stdin", input=f"set {BUILD}/1/logs {json.dumps(entries)}\n")
    began = time.monotonic()
    lines = shop.ocuroot("logs", "--timestamps", BUILD).splitlines()
    assert time.monotonic() - began < LONG  # about 2 s where nothing else runs
    assert lines[-1] == "2026-01-05T09:00:00.000000Z line 99999 a=b" and len(lines) == 100_000
    assert shop.ocuroot("logs", "-n1", BUILD) == "line 99999 a=b"
