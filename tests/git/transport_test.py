"""What a remote that does not do what it is asked to comes to: git's deciding line, told in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.program import run_program
from support.repositories import Repo
from support.servers import PASSWORD, USER, git_daemon, http_server

from ocuroot_git.git.transport import Transport


@pytest.fixture
def served(tmp_path: Path) -> Repo:
    """A bare repository with a store on its branch `state`."""
    path = tmp_path / "served" / "store.git"
    path.mkdir(parents=True)
    bare = Repo(path)
    bare.git("init", "-q", "--bare")
    bare.git("config", "uploadpack.allowFilter", "true")
    maker = tmp_path / "maker"
    maker.mkdir()
    Repo(maker).git("init", "-q")
    Repo(maker).git("config", "ocuroot.state.remote", str(path))
    Repo(maker).ocuroot("init", "-q")
    return bare


def told(repo: Repo, *arguments: str, status: int = 128, **options: object) -> str:
    done = repo.run(*arguments, **options)
    assert done.returncode == status, done.stderr
    for chatter in ("protocol.version", "ls-remote --exit-code", "Please make sure", "Counting"):
        assert chatter not in done.stderr
    return str(done.stderr)


def test_a_server_that_takes_no_pushes_lets_read(served: Repo, repo: Repo) -> None:
    for options in (["--disable=receive-pack"], ["--disable=receive-pack", "--informative-errors"]):
        with git_daemon(served.path.parent, *options) as port:
            repo.git("config", "ocuroot.state.remote", f"git://127.0.0.1:{port}/store.git")
            said = told(repo, "set", "+/custom/a", "1")
            assert "this login may read 'git://" in said
            assert "but not write to it" in said
            assert repo.run("get", "+/custom/a").returncode == 1
            missing = f"git://127.0.0.1:{port}/nowhere.git"
            repo.git("config", "ocuroot.state.remote", missing)
            assert f"there is no repository at '{missing}'" in told(repo, "set", "+/custom/a", "1")


def test_a_login_that_may_read_only(served: Repo, repo: Repo) -> None:
    served.git("config", "http.receivepack", "false")
    with http_server(served.path.parent) as server:
        url = f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}/store.git"
        repo.git("config", "ocuroot.state.remote", url)
        said = told(repo, "set", "+/custom/a", "1")
        assert "this login may read" in said
        assert "403" in said
        assert PASSWORD not in said
        # The local branch that is shared by hand meets the same.
        repo.git("config", "--unset", "ocuroot.state.remote")
        repo.git("remote", "add", "origin", url)
        repo.ocuroot("fetch", "-q")
        repo.ocuroot("set", "+/custom/a", "1")
        assert "this login may read 'origin', but not write to it" in told(repo, "push")


def test_a_busy_server_is_no_cut_connection_and_v_says_what_is_tried_again(served: Repo, repo: Repo) -> None:
    with http_server(served.path.parent) as server:
        url = f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}/store.git"
        repo.git("config", "ocuroot.state.remote", url)
        server.unavailable = 1
        done = repo.run("match", "-v", "**")
        assert done.returncode == 0
        assert "trying again: 'http://" in done.stderr
        assert "is busy: " in done.stderr
        assert "returned error: 503" in done.stderr
        assert PASSWORD not in done.stderr
        server.unavailable = 1
        assert repo.run("match", "**").stderr == ""
        repo.git("config", "ocuroot.timeout", "5")
        server.unavailable = 1000
        assert "is busy: unable to access" in told(repo, "get", "+/custom/a")
        server.unavailable, server.delay = 1, 60
        assert "is busy: unable to access" in told(repo, "get", "+/custom/a"), "its answer counts, not the try cut off"


@pytest.mark.parametrize(
    ("words", "told_as"),
    [
        ("git@example.com: Permission denied (publickey).", "refused the login: git@example.com: Permission denied (p"),
        ("Host key verification failed.", "ssh does not trust the host of 'git@example.com:a/b.git': Host key verif"),
    ],
)
def test_what_ssh_says_is_kept(repo: Repo, tmp_path: Path, words: str, told_as: str) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 255\n")
    ssh.chmod(0o755)
    repo.git("config", "ocuroot.state.remote", "git@example.com:a/b.git")
    environ = {**os.environ, "GIT_SSH_COMMAND": str(ssh)}
    assert told_as in told(repo, "get", "+/custom/a", env=environ)


def test_a_missing_ssh_program(repo: Repo) -> None:
    repo.git("config", "ocuroot.state.remote", "git@example.com:a/b.git")
    for variable, program in (("GIT_SSH", "no-ssh-here"), ("GIT_SSH_COMMAND", "no-ssh-here -q 2>&2")):
        said = told(repo, "get", "+/custom/a", env={**os.environ, variable: program})
        assert "git cannot start the program that connects to 'git@example.com:a/b.git'" in said
        assert "no-ssh-here" in said


def test_the_command_line_goes_to_the_trace(served: Repo, repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "ocuroot.state.remote", str(served.path))
    trace = tmp_path / "trace"
    done = run_program("match", "**", cwd=repo.path, env={**os.environ, "GIT_TRACE_OCUROOT": str(trace)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "ocuroot: run: git -c protocol.version=2 fetch --progress" in trace.read_text()
    done = run_program("match", "**", cwd=repo.path, env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert "ocuroot: git fetch ended with 0 after" in done.stderr


def test_a_failure_has_git_s_own_words_and_the_command_is_for_the_trace(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "GIT_TRACE_OCUROOT": str(tmp_path / "trace")}
    transport = Transport("/", environ, "file:///no/such:pw@repository", "the remote", 20)
    with pytest.raises(Exception) as caught:
        transport.tip("refs/heads/state")
    assert str(caught.value).startswith("there is no repository at 'the remote': '/no/such:pw@repository' does not")
    assert "ls-remote" not in str(caught.value)
    assert "Please make sure" not in str(caught.value)
    assert "git -c protocol.version=2 ls-remote --exit-code" in (tmp_path / "trace").read_text()
    assert "ended with 128 after" in (tmp_path / "trace").read_text()
