"""`work trigger`: the function that a `repo.ocu.star` gives to `trigger` is called, with the commits that have work."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, deploy, package, prepare, release
from support.repositories import Repo

THEIR = "their/repo"
THEIR_COMMIT = "ab" * 20


def repo_file(body: str) -> str:
    return f'ocuroot("0.3.0")\n\ndef start(commit):\n    {body}\n\ntrigger(start)\n'


def keep(repo: Repo, name: str, commit: str, source: str) -> None:
    """Let the store know the `repo.ocu.star` of a repository, as late Ocuroot does with every command."""
    document = {"Remotes": [], "source": base64.b64encode(source.encode()).decode()}
    ref = f"{name}/-/repo.ocu.star/@"
    steps = f"set {ref}{commit} {json.dumps(document)}\nlink {ref} {ref}{commit}\n"
    repo.ocuroot("update", "--stdin", input=steps)


def theirs(repo: Repo, definition: Any, *options: str) -> str:
    return release(repo, definition, "theirs", f"--repo={THEIR}", f"--commit={THEIR_COMMIT}", *options)


def test_the_trigger_of_the_commit_is_called(store: Repo) -> None:
    (store.path / "repo.ocu.star").write_text(repo_file('host.shell("echo %s >> started" % commit)'))
    store.git("add", "repo.ocu.star")
    prepare(store)
    first = store.oid("HEAD")
    release(store, package([call("build")]))
    (store.path / "repo.ocu.star").write_text(repo_file('fail("not of the commit")'))
    done = store.run("work", "trigger", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"repo": "shop", "commit": first, "trigger": "called"}
    assert (store.path / "started").read_text() == f"{first}\n"
    store.ocuroot("work", "trigger", "--dry-run")
    assert (store.path / "started").read_text() == f"{first}\n"


def test_what_would_be_deployed_otherwise_is_work(store: Repo) -> None:
    prepare(store, "staging")
    note = {"note": {"ref": "@/custom/note", "default": ""}}
    release(store, package([deploy("staging", inputs=note)]))
    store.ocuroot("work", "any")
    assert store.ocuroot("work", "trigger", "--dry-run") == ""
    store.ocuroot("set", "+/custom/note", "x")
    store.ocuroot("apply", "+/custom/note")
    assert store.ocuroot("work", "trigger", "--dry-run") == f"shop\t{store.oid('HEAD')}"
    store.ocuroot("work", "cascade")
    assert store.ocuroot("work", "trigger", "--dry-run") == ""


@pytest.mark.parametrize("dialect", [1, 3])
def test_the_trigger_of_another_repository_comes_from_the_store(repo: Repo, dialect: int) -> None:
    repo.ocuroot("init", "-q", f"--dialect={dialect}")
    prepare(repo)
    keep(repo, THEIR, THEIR_COMMIT, repo_file('print("starts", commit); write("started", commit)'))
    assert repo.ocuroot("work", "trigger") == ""
    done = repo.run("work", "trigger", "--intent")  # ready or not
    assert (done.returncode, done.stdout) == (0, f"{THEIR}\t{THEIR_COMMIT}\tcalled\n"), done
    assert f"{THEIR}: starts {THEIR_COMMIT}" in done.stderr
    assert (repo.path / "started").read_text() == THEIR_COMMIT
    (repo.path / "started").unlink()
    theirs(repo, {"phases": [{"name": "a", "work": [{"call": {"name": "b", "fn": {"name": "b", "pos": "b:1:1"}}}]}]})
    done = repo.run("work", "any")
    assert done.returncode == 0 and "left for others" in done.stderr, done
    assert (repo.path / "started").read_text() == THEIR_COMMIT
    (repo.path / "started").unlink()
    repo.ocuroot("work", "any", "--exec", "true")
    assert not (repo.path / "started").exists()  # there was nothing left for them


@pytest.mark.parametrize(
    ("source", "how", "why"),
    [
        (
            repo_file('fail("no server for", commit)'),
            "failed",
            f"repo.ocu.star:4:5: fail: no server for {THEIR_COMMIT}",
        ),
        ('ocuroot("0.3.0")\n', "none", ""),
        (repo_file("host.shell('exit 3')"), "failed", "exit status 3"),
        ('x = host.shell("touch ran")\n' + repo_file("pass"), "failed", "host.shell is closed at the top level"),
        ('load("other.star", "x")\n' + repo_file("pass"), "failed", "nothing but 'repo.ocu.star' is known here"),
        (repo_file("read('../../etc/passwd')"), "failed", "leads out of the repository"),
        ("trigger(lambda commit: print('by lambda', commit))\n", "called", f"by lambda {THEIR_COMMIT}"),
        ("def f(", "failed", "repo.ocu.star:1:7: parse error: unexpected end"),
    ],
)
def test_what_goes_wrong_in_one_concerns_it_alone(store: Repo, source: str, how: str, why: str) -> None:
    prepare(store)
    keep(store, "a/first", "34" * 20, repo_file('write("first", commit)'))
    keep(store, THEIR, THEIR_COMMIT, source)
    keep(store, "z/last", "56" * 20, repo_file('write("last", commit)'))
    done = store.run("work", "trigger", "--intent")
    assert done.returncode == (1 if how == "failed" else 0)
    assert done.stdout.splitlines()[1] == f"{THEIR}\t{THEIR_COMMIT}\t{how}" and why in done.stderr, done
    assert (store.path / "first").exists() and (store.path / "last").exists()
    assert not (store.path / "ran").exists()


def test_a_document_that_is_no_repository_is_named(store: Repo, tmp_path: Path) -> None:
    prepare(store)
    keep(store, THEIR, THEIR_COMMIT, repo_file("pass"))
    store.ocuroot("update", "--stdin", input=f'set {THEIR}/-/repo.ocu.star/@{THEIR_COMMIT} {{"source": "?"}}\n')
    done = store.run("work", "trigger", "--intent")
    assert done.returncode == 1 and "its source is no text in base 64" in done.stderr, done


def test_secrets_of_a_trigger_are_masked(store: Repo) -> None:
    prepare(store)
    keep(store, THEIR, THEIR_COMMIT, repo_file('host.shell("echo " + secret("hunter2!") + "; exit 1")'))
    done = store.run("work", "trigger", "--intent")
    assert done.returncode == 1 and "<secret>" in done.stderr and "hunter2!" not in done.stderr, done
