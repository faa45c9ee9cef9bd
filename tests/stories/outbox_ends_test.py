"""What a writer whose change waits is told, where a server refuses or breaks off: that is so, or it is not known."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from support.contended import POST_RECEIVE, UPDATE, Contended, value
from support.program import PROGRAM
from support.repositories import Repo, begin
from support.waiting import wait_until

REFUSE_ONE = 'case $1 in refs/heads/*) if [ -f refuse ]; then echo "not by this login"; exit 1; fi ;; esac\n'


def refuse_once_it_waits(contended: Contended, more: str = "") -> None:
    """Let the server refuse the branch from the moment on at which something waits, as by a rule for one login."""
    contended.hook("update", UPDATE + REFUSE_ONE + more)
    waits = POST_RECEIVE.replace('echo "$name" >> waited', 'echo "$name" >> waited; touch refuse')
    contended.hook("post-receive", waits)


def made_by_the_next(contended: Contended, clone: Repo) -> object:
    """What the next writer, whom the server lets in, makes of `+/custom/a`."""
    (contended.bare.path / "refuse").unlink(missing_ok=True)
    contended.hook("update", UPDATE)
    clone.ocuroot("set", "+/custom/b", "2")
    return value(clone, "+/custom/a")


def test_whose_push_is_refused_while_its_change_waits_takes_it_back(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    refuse_once_it_waits(contended)
    contended.lose(1)
    done = one.run("set", "+/custom/a", "1")
    assert (done.returncode, "refuses the push by its own rules" in done.stderr) == (128, True), done.stderr
    assert contended.waited() == 1
    assert contended.waiting() == []
    assert made_by_the_next(contended, two) is None


def test_whose_change_cannot_be_taken_back_is_told_that_it_is_not_known(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    refuse_once_it_waits(contended, 'case $1,$3 in refs/ocuroot/*,00000*) echo "nothing goes"; exit 1;; esac\n')
    contended.lose(1)
    done = one.run("set", "+/custom/a", "1")
    assert (done.returncode, "is not known" in done.stderr) == (128, True), done.stderr
    assert len(contended.waiting()) == 1
    assert made_by_the_next(contended, two) == "1"


def test_a_name_that_went_to_another_change_while_ours_waited_is_a_conflict(contended: Contended) -> None:
    """Who waits under it has lost for good, and can know it."""
    one, two = contended.clone("one"), contended.clone("two")
    write = f"cd {two.path} && env -u GIT_DIR {sys.executable} {PROGRAM} set --operation job +/custom/b 2 -q"
    waits = POST_RECEIVE.replace('echo "$name" >> waited', f"rm -f hooks/post-receive; ({write})")
    contended.hook("post-receive", waits)
    # Whoever makes what waits must not find this one fit to be made.
    two.ocuroot("set", "+/custom/b", "1")
    contended.lose(1)
    done = one.run("set", "--operation", "job", "+/custom/a", "1")
    assert (done.returncode, "operation 'job' is another change already" in done.stderr) == (3, True), done.stderr
    assert contended.waiting() == []


def test_a_push_to_the_outbox_that_ends_in_unknown_words_may_have_arrived(contended: Contended, tmp_path: Path) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    refuse_once_it_waits(contended)
    contended.lose(1)
    git = shutil.which("git")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(
        f"""#!/bin/sh
case "$*" in *push*refs/ocuroot/*) if mkdir {tmp_path}/broken 2> /dev/null; then
    {git} "$@" > /dev/null 2>&1
    echo "fatal: nobody knows" >&2
    exit 128
fi ;; esac
exec {git} "$@"
"""
    )
    (tmp_path / "bin" / "git").chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = one.run("set", "+/custom/a", "1", env=environ)
    assert (done.returncode, "refuses the push by its own rules" in done.stderr) == (128, True), done.stderr
    assert contended.waited() == 1 and (tmp_path / "broken").is_dir()
    assert contended.waiting() == []
    assert made_by_the_next(contended, two) is None


KILL_THE_PUSH = """\
case $1 in refs/heads/*) if [ -f killing ]; then
    rm killing
    pid=$PPID
    until tr '\\0' ' ' < /proc/$pid/cmdline | grep -q ' push '; do pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done
    kill -9 $pid
    sleep 2
fi ;; esac
"""


def test_a_push_whose_git_is_killed_may_arrive_later(contended: Contended) -> None:
    """The server goes on with what it was sent, whoever waits for the answer."""
    clone = contended.clone("one", "ocuroot.timeout=1")
    contended.hook("update", UPDATE + KILL_THE_PUSH)
    (contended.bare.path / "killing").touch()
    done = clone.run("set", "+/custom/a", "1")
    assert done.returncode == 0 or "is not known" in done.stderr, done.stderr
    assert not (contended.bare.path / "killing").exists()
    wait_until(lambda: value(clone, "+/custom/a") == "1")
    assert len(contended.subjects()) == 1


@pytest.mark.parametrize(("times", "status"), [(1, 3), (1000, 128)])
def test_a_server_that_lets_go_of_nothing_for_a_while(contended: Contended, times: int, status: int) -> None:
    """So it is while another push holds what is to be taken back, or where the disk is full: no word says which."""
    one, two = contended.clone("one", "ocuroot.timeout=2"), contended.clone("two")
    (contended.bare.path / "times").write_text(str(times))
    contended.hook(
        "reference-transaction",
        """\
        [ "$1" = prepared ] || exit 0
        while read old new name; do
            case $new,$name in 00000*,refs/ocuroot/*)
                left=$(cat times)
                if [ "$left" -gt 0 ]; then echo $((left - 1)) > times; exit 1; fi ;;
            esac
        done
        """,
    )
    contended.lose(1000)
    done = one.run("set", "+/custom/a", "1")
    assert (done.returncode, "nothing changed" in done.stderr) == (status, status == 3), done.stderr
    assert len(contended.waiting()) == (status != 3)
    if status == 3:
        contended.lose(0)
        two.ocuroot("set", "+/custom/b", "2")
        assert value(two, "+/custom/a") is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_interrupted_takes_its_change_back(contended: Contended, number: int) -> None:
    """Ctrl-C, or a job that is cancelled, means that the change is not wanted: nobody is to make it minutes later."""
    one, two = contended.clone("one"), contended.clone("two")
    contended.lose(1)
    # The tests may run under nohup(1).
    running = begin(one, "set", "+/custom/a", "1", preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    while contended.waited() == 0:
        assert running.poll() is None, running.communicate()
    os.kill(running.pid, signal.SIGSTOP)  # so that it cannot make the change itself before it is interrupted
    os.kill(running.pid, number)
    os.kill(running.pid, signal.SIGCONT)
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == -number
    assert contended.waiting() == []
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") is None


def test_what_nohup_lets_live_goes_on(contended: Contended) -> None:
    one = contended.clone("one")
    contended.lose(1)
    running = begin(one, "set", "+/custom/a", "1", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    while contended.waited() == 0:
        assert running.poll() is None, running.communicate()
    os.kill(running.pid, signal.SIGHUP)
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == 0
    assert value(one, "+/custom/a") == "1"
