"""A repository one has just cloned runs nothing and sends nothing: what its `repo.ocu.star` may do (design 4.3)."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.formats.ci_systems import variables_of_runs

READ = ("get", "@/custom/x")


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Where whatever was made to run leaves a mark."""
    path = tmp_path / "marks"
    path.mkdir()
    return path


def hostile(repo: Repo, text: str) -> None:
    (repo.path / "repo.ocu.star").write_text(text)
    for key in ("ocuroot.state.branch", "ocuroot.repoAlias"):  # as a clone has it that nobody has called `init` in
        repo.git("config", "--unset", key, check=False)


def bare_with_hooks(path: Path, marks: Path) -> None:
    """A bare repository as a clone could bring it along, with every hook that would tell of itself."""
    path.mkdir(parents=True)
    Repo(path).git("init", "-q", "--bare")
    for name in ("pre-receive", "update", "post-receive", "reference-transaction", "post-update", "pre-push"):
        hook = path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{marks}/{name}'\n")
        hook.chmod(0o755)
    Repo(path).git("config", "uploadpack.packObjectsHook", f"touch '{marks}/pack'; :")


def refused(repo: Repo, words: tuple[str, ...], message: str, **options: object) -> str:
    done = repo.run(*words, **options)
    assert (done.returncode, done.stdout) == (128, ""), (done.stdout, done.stderr)
    assert done.stderr.startswith("fatal: ") and message in done.stderr, done.stderr
    return str(done.stderr)


LOCATIONS = [
    ("./x.git", "lies in a work tree"),
    ("x", "lies in a work tree"),
    ("x.git/../x.git", "lies in a work tree"),
    ("file://{top}/x.git", "lies in a work tree"),
    ("file://{top}/%78.git", "lies in a work tree"),
    ("{top}/x.git", "lies in a work tree"),
    ("../link/x.git", "lies in a work tree"),
    ("../beside/x.git", "lies in a work tree"),
    (".git", "lies in a work tree"),
    ("file://localhost{top}/x.git", "not of this machine"),
    ("fd::17", "would run a program"),
    ("::x", "would run a program"),
    ("ext::sh -c 'touch {marks}/ext'", "would run a program"),
    ("ext::sh -c touch% {marks}/ext", "would run a program"),
    ("http::https://example.com/", "would run a program"),
    ("ext://x", "'ext' is none of https, http, ssh, git and file"),
    ("ftp://127.0.0.1:1/x", "'ftp' is none of"),
    ("HTTPS://127.0.0.1:1/x", "'HTTPS' is none of"),
    ("persistent-https://127.0.0.1:1/x", "'persistent-https' is none of"),
]


@pytest.mark.parametrize(("location", "message"), LOCATIONS)
def test_no_program_and_no_repository_that_came_along(repo: Repo, marks: Path, location: str, message: str) -> None:
    bare_with_hooks(repo.path / "x.git", marks)
    (repo.path.parent / "link").symlink_to(repo.path)
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.git("worktree", "add", "-q", "../beside")
    bare_with_hooks(repo.path.parent / "beside" / "x.git", marks)
    said = location.format(top=repo.path, marks=marks)
    hostile(repo, f"store.set(store.git({json.dumps(said)}))\n")
    for words in (READ, ("init",)):
        assert "git config ocuroot.state.remote <url>" in refused(repo, words, message)
    assert os.listdir(marks) == []
    assert not (repo.path / ".git" / "ocuroot").exists()


def test_of_a_submodule_neither_what_is_around_it(make_repo: Callable[..., Repo], marks: Path) -> None:
    outer, inner = make_repo("outer"), make_repo("outer/inner")
    bare_with_hooks(outer.path / "x.git", marks)
    hostile(inner, 'store.set(store.git("../x.git"))\n')
    refused(inner, ("init",), "lies in a work tree")


def test_a_repository_of_one_s_own(repo: Repo, make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch) -> None:
    own = make_repo("own.git", "--bare")
    for location in ("../own.git", "../own", str(own.path), f"file://{own.path}"):
        hostile(repo, f'store.set(store.git("{location}"))\n')
        repo.ocuroot("init", "-q")
        assert repo.run(*READ).returncode == 1
    assert own.git("for-each-ref", "--format=%(refname)") == own.git("symbolic-ref", "HEAD")
    # What a second user owns cannot be made here, but who one is can be told otherwise.
    from ocuroot_git.errors import Fatal
    from ocuroot_git.opening import open_stores

    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(Fatal, match="belongs to another user"):
        open_stores(str(repo.path)).backend("state")


def test_the_user_may_say_what_the_file_may_not(repo: Repo, marks: Path) -> None:
    bare_with_hooks(repo.path / "x.git", marks)
    hostile(repo, 'store.set(store.git("./x.git"))\n')
    repo.ocuroot("init", "-q", env={**os.environ, "OCUROOT_STATE": f"{repo.path}/x.git#state"})
    repo.git("config", "ocuroot.state.remote", "./x.git")
    assert repo.run(*READ).returncode == 1
    hostile(repo, 'store.set(store.git("origin"))\n')
    repo.git("config", "--unset", "ocuroot.state.remote")
    repo.git("remote", "add", "origin", f"{repo.path}/x.git")
    assert repo.run(*READ).returncode == 1


def test_a_rewritten_url_keeps_to_the_transports(repo: Repo, marks: Path) -> None:
    """The user's `insteadOf` may lead to a path, but the file chooses what is behind it."""
    bare_with_hooks(repo.path / "x.git", marks)
    repo.git("config", f"url.{repo.path.parent}/mirror/.insteadOf", "https://example.com/")
    hostile(repo, f'store.set(store.git("https://example.com/../{repo.path.name}/x.git"))\n')
    refused(repo, ("init",), "transport 'file' not allowed")
    assert os.listdir(marks) == []


# What is sent


class Listener(http.server.ThreadingHTTPServer):
    """Keeps the address and headers of each request, and has nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _NotFound)
        self.seen: list[str] = []


class _NotFound(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.path}\n{self.headers}")
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_no_token_is_sent(repo: Repo, listener: Listener) -> None:
    address = f"http://127.0.0.1:{listener.server_port}"
    environ = {**os.environ, "CI_TOKEN": "s3cr3t", "CI_COMMIT_BRANCH": "main", "ocuroot.timeout": "1"}
    hostile(repo, f'store.set(store.git("{address}/" + host.env().get("CI_TOKEN", "none")))\n')
    assert repo.run(*READ, env=environ).returncode == 128
    assert listener.seen and "/none/" in listener.seen[0]
    hostile(repo, f'store.set(store.git("{address}/" + host.env()["CI_TOKEN"]))\n')
    said = refused(repo, READ, "repo.ocu.star:1:", env=environ)
    assert "git config --global --add ocuroot.allowEnv CI_TOKEN" in said
    hostile(repo, f'store.set(store.git("{address}/header"))\n')
    before = len(listener.seen)
    for where in ({"GIT_CONFIG_GLOBAL": str(repo.path / "mine")}, {}):
        repo.git("config", "http.extraHeader", "Authorization: Basic czNjcjN0", env={**environ, **where})
        refused(repo, READ, "'http.extraHeader' would be sent there", env={**environ, **where})
        repo.git("config", "--unset", "http.extraHeader", env={**environ, **where})
    assert len(listener.seen) == before
    repo.git("config", "http.extraHeader", "X-Mine: 1")
    repo.git("remote", "add", "origin", f"{address}/origin")
    assert repo.run(*READ, env=environ).returncode == 128
    assert len(listener.seen) > before


# The environment


def shown(repo: Repo, *options: str, **environ: str) -> set[str]:
    """The names that `host.env()` holds, of those given."""
    hostile(repo, "repo_alias('n/' + '/'.join(sorted(host.env().keys()) + ['end']))\n")
    said = repo.git(*options, "ocuroot", "resolve", "//x/@1", env={**os.environ, **environ})
    return set(said.partition("/-/")[0].removeprefix("n/").removesuffix("/end").split("/")) - {"end"}


def test_the_environment_holds_what_ci_systems_say_and_no_token(store: Repo, tmp_path: Path) -> None:
    usual = dict.fromkeys(variables_of_runs(), "1")
    unusual = dict.fromkeys(
        (
            *("CI_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL", "CI_DEPLOY_PASSWORD", "GITHUB_TOKEN", "MY_STAGE"),
            *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "AWS_SECRET"),
            *("SSH_AUTH_SOCK", "GITHUB_PATH", "GITHUB_ENV", "CI_JOB_JWT", "CI_REGISTRY_PASSWORD"),
        ),
        "1",
    )
    assert shown(store, **usual, **unusual) == set(usual)
    assert "HOME" not in shown(store)
    assert not [name for name in usual if any(word in name for word in ("TOKEN", "SECRET", "PASSW", "KEY"))]
    # In the repository's own configuration it does not count, however it gets there.
    store.git("config", "ocuroot.allowEnv", "*")
    (store.path / ".git" / "more").write_text("[ocuroot]\n\tallowEnv = MY_*\n")
    store.git("config", "include.path", "more")
    store.git("config", "extensions.worktreeConfig", "true")
    store.git("config", "--worktree", "ocuroot.allowEnv", "MY_*")
    assert shown(store, **unusual) == set()
    assert shown(store, "-c", "ocuroot.allowEnv=MY_*", **unusual, CI="1") == {"MY_STAGE", "CI"}
    mine = tmp_path / "mine"
    mine.write_text("[ocuroot]\n\tallowEnv = MY_* GITHUB_T*\n\tallowEnv = AWS_?ECRET\n")
    found = shown(store, **unusual, CI="1", GIT_CONFIG_GLOBAL=str(mine))
    assert found == {"MY_STAGE", "GITHUB_TOKEN", "AWS_SECRET", "CI"}
    mine.write_text("[ocuroot]\n\tallowEnv =\n\tallowEnv = MY_*\n")
    assert shown(store, **unusual, CI="1", GIT_CONFIG_GLOBAL=str(mine)) == {"MY_STAGE"}
    refused(
        store,
        READ,
        "bad pattern",
        env={**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "ocuroot.allowEnv", "GIT_CONFIG_VALUE_0": "[a"},
    )


def test_a_url_in_the_environment_shows_no_token(store: Repo) -> None:
    hostile(store, "repo_alias(host.env()['GIT_URL'].replace('://', '/'))\n")
    environ = {**os.environ, "GIT_URL": "https://job:s3cr3t@example.com/x?token=s3cr3t"}
    assert store.ocuroot("resolve", "//x/@1", env=environ) == "https/example.com/x/-/x/@1"


def test_the_repository_s_own_configuration_opens_no_shell(store: Repo, marks: Path, tmp_path: Path) -> None:
    hostile(store, f"host.shell('touch {marks}/ran')\nrepo_alias('ran')\n")
    store.git("config", "ocuroot.allowShell", "true")
    store.git("config", "extensions.worktreeConfig", "true")
    store.git("config", "--worktree", "ocuroot.allowShell", "true")
    (store.path / ".git" / "more").write_text("[ocuroot]\n\tallowShell = true\n")
    store.git("config", "include.path", "more")
    refused(store, ("resolve", "//x/@1"), "host.shell is closed")
    assert os.listdir(marks) == []
    mine = tmp_path / "mine"
    mine.write_text("[ocuroot]\n\tallowShell = true\n")
    assert store.ocuroot("resolve", "//x/@1", env={**os.environ, "GIT_CONFIG_GLOBAL": str(mine)}) == "ran/-/x/@1"
    assert os.listdir(marks) == ["ran"]


# The file itself, and directories


def test_the_file_must_be_one(repo: Repo, tmp_path: Path) -> None:
    file, target = repo.path / "repo.ocu.star", tmp_path / "target"
    target.write_text("t0ps3cret\n")
    for points_to in (target, Path("/etc/passwd"), tmp_path / "nowhere", file, Path("/dev/zero")):
        file.symlink_to(points_to)
        said = refused(repo, READ, "'repo.ocu.star' is a symbolic link, which is not followed")
        assert "t0ps3cret" not in said and str(points_to) not in said
        file.unlink()
    os.mkfifo(file)
    refused(repo, READ, "'repo.ocu.star' is no regular file")
    file.unlink()
    file.mkdir()
    refused(repo, READ, "'repo.ocu.star' is no regular file")
    file.rmdir()
    file.write_bytes(b"#" * (1 << 20) + b"\n")
    refused(repo, READ, "'repo.ocu.star' is over 1 MiB")
    with open(file, "wb") as sparse:
        sparse.truncate(1 << 40)
    refused(repo, READ, "'repo.ocu.star' is over 1 MiB")
    file.write_bytes(b"# \xff\n")
    refused(repo, READ, "'repo.ocu.star' is not UTF-8: byte 3 begins no character")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("link", "outside the work tree"),
        ("link/deeper", "outside the work tree"),
        ("..", "outside the work tree"),
        ("../repo2", "outside the work tree"),
        ("/", "outside the work tree"),
        ("{outside}", "outside the work tree"),
        (".git", "lies in a repository"),
        (".git/refs", "lies in a repository"),
        ("a/.GIT/x", "lies in a repository"),
        ("git-link/x", "lies in a repository"),
    ],
)
def test_a_directory_store_lies_in_the_work_tree(repo: Repo, tmp_path: Path, location: str, message: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo.path / "link").symlink_to(outside)
    (repo.path / "git-link").symlink_to(".git")
    hostile(repo, f'store.set(store.fs("{location.format(outside=outside)}"))\n')
    for words in (READ, ("init",)):
        refused(repo, words, message)
    assert os.listdir(outside) == []
