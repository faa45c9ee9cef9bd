"""What happens to deliveries when something breaks in between: crashes between two writes, readers that leave, ttys."""

from __future__ import annotations

import subprocess

import pytest
from support.delivering import call, deploy, diff, package, prepare, release, work_any
from support.repositories import Repo
from support.terminals import ended_on_terminal

pytestmark = pytest.mark.new_interpreter

HOOK = """#!/bin/sh
test "$1" = prepared && grep -q ' refs/heads/state$' && { touch "$0.asked"; exit 1; }
exit 0
"""
"""Refuses every change of the branch `state`, and of no other; the first is seen by a file."""


def prepare_break(repo: Repo) -> str:
    """Make ready to break the branch `state`; gives the shell command that does."""
    (repo.path / ".git" / "hooks").mkdir(exist_ok=True)
    hook = repo.path / "hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    return f"ln -s {hook} {repo.path}/.git/hooks/reference-transaction"


def break_state(repo: Repo) -> None:
    subprocess.run(prepare_break(repo), shell=True, check=True)


def mend_state(repo: Repo) -> None:
    (repo.path / ".git" / "hooks" / "reference-transaction").unlink()


def test_a_crash_between_intent_and_state_takes_nothing_down(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--intent-branch", "intent")
    repo.git("config", "ocuroot.intent.branch", "intent")
    prepare(repo)
    for side in "+@":
        step = f'set {side}/environment/staging {{"name": "staging", "attributes": {{}}}}\n'
        repo.ocuroot("update", "--stdin", input=step)
    web = release(repo, package([deploy("staging")]))
    repo.ocuroot("run", "start", f"{web}/deploy/staging")
    break_state(repo)
    assert repo.run("run", "finish", f"{web}/deploy/staging", "--status=complete").returncode == 128
    # The intent was written and the state was not: what is asked for is what was being done.
    assert diff(repo) == ["A\tshop/-/web/+/deploy/staging"]
    mend_state(repo)
    assert repo.ocuroot("apply", "--all") == ""
    repo.ocuroot("run", "finish", f"{web}/deploy/staging", "--status=complete")
    assert diff(repo) == []

    # The other way: the environment is to go, its deploy intents are gone, and its state is not.
    repo.ocuroot("delete", "+/environment/staging")
    break_state(repo)
    assert repo.run("apply", "--all").returncode == 128
    assert diff(repo) == ["D\t+/environment/staging", "D\tshop/-/web/+/deploy/staging"]
    mend_state(repo)
    assert work_any(repo) == [f"complete\t{web}/deploy/staging/2"]
    assert diff(repo) == []
    assert repo.run("get", "@/environment/staging").returncode == 1


def test_a_store_that_cannot_be_written_does_not_end_the_command(store: Repo) -> None:
    prepare(store)
    store.git("config", "ocuroot.lease", "0.9")
    store.git("config", "ocuroot.timeout", "1")
    web = release(store, package([call("build")]))
    hook = ".git/hooks/reference-transaction"
    wait = f"while ! test -e {hook}.asked; do sleep 0.05; done"
    script = f"echo before; {prepare_break(store)}; echo in; {wait}; rm {hook}; echo done"
    done = store.run("run", "exec", f"{web}/call/build", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "before\nin\ndone\n"), done.stderr
    assert "cannot write to the store, and will try again" in done.stderr
    assert store.ocuroot("match", f"{web}/call/build/1/status/*") == f"{web}/call/build/1/status/complete"
    messages = [entry["message"] for entry in store.value(f"{web}/call/build/1/logs")]
    assert messages == ["before", "in", "done"]


def test_a_run_that_cannot_be_finished_says_how(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("build")]))
    script = f"{prepare_break(store)}; echo v=1 >> $OCUROOT_OUTPUT"
    done = store.run("run", "exec", f"{web}/call/build", "--", "sh", "-c", script)
    assert done.returncode == 128
    assert "ended with status 0, but that is not recorded" in done.stderr
    assert f"git ocuroot run finish {web}/call/build/1 --status complete --output v=…" in done.stderr


def test_a_reader_that_leaves_does_not_end_the_run(store: Repo) -> None:
    prepare(store)
    web = release(store, package([call("build")]))
    script = "echo first; i=0; while test $i -lt 20000; do echo line $i; i=$((i + 1)); done; echo last"
    line = f"git ocuroot run exec {web}/call/build -- sh -c '{script}' | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=store.path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "first\n"), done.stderr
    assert store.value(f"{web}/call/build/1/logs")[-1]["message"] == "last"


def test_work_any_on_a_terminal(store: Repo) -> None:
    prepare(store)
    wait = "while ! test -e seen; do sleep 0.05; done"
    release(store, package([call("build", f"echo '[bold]:x: a line'; {wait}"), call("bad", "exit 3")]))

    def look(shown: bytes) -> None:
        if b"[bold]:x: a line" in shown:
            (store.path / "seen").touch()

    status, text = ended_on_terminal(store, ["work", "any"], {"COLUMNS": "120"}, look)
    assert status == 1
    assert "web @1 call/build" in text
    assert "[bold]:x: a line" in text
    assert "shop/-/web/@1/call/bad/1  it ended with status 3" in text
    assert "runs: 1 complete, 1 failed" in text or "runs: 1 failed, 1 complete" in text
