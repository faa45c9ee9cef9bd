"""`git ocuroot init`: what it makes, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.remote_stores import World
from support.repositories import Repo

pytestmark = [pytest.mark.new_interpreter, pytest.mark.usefixtures("fixed_dates")]


def test_init(repo: Repo) -> None:
    done = repo.run("init")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Made a store on branch 'state'\n")
    assert repo.git("config", "--local", "ocuroot.state.branch") == "state"
    assert repo.git("cat-file", "commit", "state") == (
        "tree fe82b594325f6617e5fdf128ecc2fd4a052ce6e6\n"
        "author Ocuroot <ocuroot@localhost> 1767225600 +0000\n"
        "committer Ocuroot <ocuroot@localhost> 1767225600 +0000\n\nCreate the store"
    )
    assert repo.git("ls-tree", "-r", "--name-only", "state") == ".ocuroot-store"
    assert repo.git("show", "state:.ocuroot-store") == '{"version": 1}'
    before = repo.git("rev-parse", "state"), (repo.path / ".git" / "config").read_text()
    done = repo.run("init")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There is a store already on branch 'state'\n")
    assert (repo.git("rev-parse", "state"), (repo.path / ".git" / "config").read_text()) == before
    assert repo.git("status", "--porcelain") == ""


def test_init_of_directories_needs_no_repository(tmp_path: Path) -> None:
    here, store = tmp_path / "here", tmp_path / "store"
    here.mkdir()
    outside = Repo(here)
    variables = {**os.environ, "OCUROOT_STATE": str(store)}
    done = outside.run("init", env=variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Made a store on directory '{store}'\n")
    done = outside.run("init", env=variables)
    assert (done.returncode, done.stderr) == (0, f"There is a store already on directory '{store}'\n")
    outside.ocuroot("set", "+/custom/x", "1", env=variables)
    assert outside.ocuroot("get", "+/custom/x", env=variables) == '"1"'
    # A branch needs one, and then nothing is made.
    variables["OCUROOT_STATE"] = str(tmp_path / "other")
    for words in (["init", "--intent-branch", "intent"], ["init", "--intent-remote", "https://example.com/x"]):
        done = outside.run(*words, env=variables)
        assert done.returncode == 128 and done.stderr.startswith("fatal: not a git repository"), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "store"] and not list(here.iterdir())


def test_the_intent_store_is_configured_beside_a_state_store_of_the_environment(repo: Repo) -> None:
    variables = {**os.environ, "OCUROOT_STATE": "./state-files"}
    done = repo.run("init", "--intent-branch", "intent", env=variables)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stderr.splitlines()) == [
        "Made a store on branch 'intent'",
        f"Made a store on directory '{repo.path / 'state-files'}'",
    ]
    repo.ocuroot("set", "+/custom/x", "1", env=variables)
    assert repo.git("rev-list", "--count", "intent", "--") == "2"
    done = repo.run("init", "--branch", "state", env=variables)
    message = "the environment names the state store (OCUROOT_STATE), and would win over the configuration"
    assert (done.returncode, done.stderr) == (128, f"fatal: {message}\nhint: unset OCUROOT_STATE\n")


def test_init_of_two_branches(repo: Repo) -> None:
    done = repo.run("init", "--branch", "delivery/state", "--intent-branch=delivery/intent")
    assert done.stderr == "Made a store on branch 'delivery/state'\nMade a store on branch 'delivery/intent'\n"
    assert repo.git("config", "ocuroot.state.branch") == "delivery/state"
    assert repo.git("config", "ocuroot.intent.branch") == "delivery/intent"
    assert repo.git("rev-parse", "delivery/state") == repo.git("rev-parse", "delivery/intent")
    repo.ocuroot("set", "+/custom/x", "1")
    assert repo.git("rev-list", "--count", "delivery/state", "--") == "1"
    assert repo.git("rev-list", "--count", "delivery/intent", "--") == "2"


def test_init_in_the_dialect_of_the_original(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--dialect", "3")
    files = repo.git("ls-tree", "-r", "--name-only", "state").split()
    assert files == ["intent/.ocuroot-store", "state/.ocuroot-store"]
    assert repo.git("show", "state:state/.ocuroot-store") == '{"version": 3, "tags": {"state": {}}}'
    assert repo.git("show", "state:intent/.ocuroot-store") == '{"version": 3, "tags": {"intent": {}}}'
    repo.ocuroot("set", "-f", "json", "+/environment/a", '{"name": "a", "attributes": {}}')
    assert repo.ocuroot("match", "**") == "+/environment/a"
    assert repo.ocuroot("fsck", "-q") == ""


def test_init_on_a_branch_without_files(repo: Repo, files: World) -> None:
    """As Ocuroot has it, whose remote needs a branch with a commit to be cloned."""
    bare = files.bare()
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    repo.git("push", "-q", str(bare.path), "HEAD:main")
    repo.git("branch", "state")
    assert repo.run("init").stderr == "Made a store on branch 'state'\n"
    assert repo.git("log", "--format=%s", "state") == "Create the store\nnothing"
    repo.ocuroot("set", "+/custom/a", "1")
    clone = files.clone("clone")
    stores = f'store.set(store.git("{files.url()}", support_files={{"README": "state"}}))'
    clone.git("config", "--unset", "ocuroot.state.remote")
    (clone.path / "repo.ocu.star").write_text(f'ocuroot("0.3.0")\n{stores}\n')
    clone.ocuroot("init", "-q", "--dialect=3")
    names = bare.git("ls-tree", "-r", "--name-only", "main").split()
    assert names == ["README", "intent/.ocuroot-store", "state/.ocuroot-store"]
    clone.ocuroot("set", "+/custom/a", "1")
    assert clone.run("init").stderr.startswith("There is a store already on")


def test_init_on_a_branch_without_files_that_is_checked_out(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    done = repo.run("init", "--branch=main")
    assert done.returncode == 128 and "checked out" in done.stderr, done.stderr
    assert repo.git("log", "--format=%s", "main") == "nothing"
