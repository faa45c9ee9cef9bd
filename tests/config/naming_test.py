"""A repository has one name in refs: where it comes from, and what keeps it (design 7)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.program import run_program
from support.repositories import Repo

from ocuroot_git.formats.urls import helper, host_of, is_url, name_of_url, rewritten


def name(repo: Repo, *options: str, **more: Any) -> str:
    """What `git ocuroot` calls a repository in refs."""
    return repo.git(*options, "ocuroot", "resolve", "//x/@1", **more).removesuffix("/-/x/@1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a/b.git", "example.com/a/b"),
        ("https://ann:p@ss'word@example.com:8443//a/b.git/?token=x#y", "example.com:8443/a/b"),
        ("https://example.com/a/b/.git", "example.com/a/b"),
        ("/srv/a/b/.", "srv/a/b"),
        ("/srv/./a//b/./.git", "srv/a/b"),
        ("git@example.com:a/b.git", "example.com/a/b"),
        ("git@example.com:/abs/b.git", "example.com/abs/b"),
        ("example.com:/abs//b.git/", "example.com/abs/b"),
        ("git@example.com:~ann/b", "example.com/~ann/b"),
        ("git@[::1]:a/b", "[::1]/a/b"),
        ("[example.com:22]:a/b", "example.com:22/a/b"),
        ("git@[example.com:22]:/a/b", "example.com:22/a/b"),
        ("ssh://git@[::1]:22/a/b", "[::1]:22/a/b"),
        ("ssh://git@example.com/~/b.git", "example.com/~/b"),
        ("file:///srv/b.git", "srv/b"),
        ("/srv//b.git/", "srv/b"),
        ("foo::https://example.com/a.git", "example.com/a"),
        ("../b.git", ""),
        ("b", ""),
        ("./a:b", ""),
        ("", ""),
    ],
)
def test_the_name_that_a_url_gives(url: str, expected: str) -> None:
    assert name_of_url(url) == expected


def test_urls_are_told_apart_as_git_does() -> None:
    assert [is_url(url) for url in ("a:b", "https://x", "./a:b", "/a", "a/b:c", "[::1]:a")] == [
        True,
        True,
        *[False] * 3,
        True,
    ]
    assert [helper(url) for url in ("ext::x", "a+b::", "::x", "host:a::b", "/a::b", "https://x")] == [
        *("ext", "a+b", ""),
        *(None, None, None),
    ]
    assert host_of("https://ann@Example.com:8443/a") == "example.com:8443"
    assert host_of("ssh://example.com/a") is None


def test_rules_are_applied_as_git_does(repo: Repo) -> None:
    rules = [
        ("gh:", "https://github.com/"),
        ("gh:a/", "https://other.example/"),
        ("gh:a/", "https://late.example/"),
        ("b", "c:"),
    ]
    for prefix, base in rules:
        repo.git("config", "--add", f"url.{base}.insteadOf", prefix)
    for url in ("gh:x/y", "gh:a/y", "gh:", "b", "https://github.com/x", "x/gh:y"):
        assert rewritten(url, rules) == repo.git("ls-remote", "--get-url", url), url


def test_origin_as_git_reads_it(store: Repo) -> None:
    store.git("config", "--unset", "ocuroot.repoAlias")
    store.git("config", "url.git@example.com:.insteadOf", "e:")
    store.git("config", "remote.origin.url", "e:/team/shop.git")
    assert name(store) == "example.com/team/shop"
    store.git("config", "--add", "remote.origin.url", "https://second.example/shop")  # pushed to, but not fetched from
    assert name(store) == "example.com/team/shop"
    assert json.loads(store.ocuroot("status", "--json"))["named_by"] == "the URL of 'origin'"


def test_a_url_that_gives_no_name_makes_none_up(repo: Repo) -> None:
    repo.git("remote", "add", "origin", "https://example.com/a/-/b@c")
    done = repo.run("init")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: no name can be made of the URL of 'origin': bad ref 'example.com/a/-/b@c/-'")
    assert "hint: give it one: git config ocuroot.repoAlias <name>" in done.stderr
    assert repo.git("for-each-ref") == ""
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.ocuroot("init", "-q", "--offline")
    assert name(repo) == "shop"
    repo.git("config", "--unset", "ocuroot.repoAlias")
    report = json.loads(repo.ocuroot("status", "--json"))
    assert report["repo"] is None and "no name can be made" in report["name_problem"]
    assert report["state"]["exists"]
    assert "unknown" in repo.ocuroot("status")


def test_a_remote_added_later_changes_nothing(repo: Repo) -> None:
    repo.ocuroot("init", "-q")
    assert repo.git("config", "ocuroot.repoAlias") == "repo"
    repo.git("remote", "add", "origin", "https://example.com/shop")
    assert name(repo) == "repo"
    moved = Repo(repo.path.rename(repo.path.parent / "elsewhere"))
    assert name(moved) == "repo"
    assert "repository  repo (by ocuroot.repoAlias)" in moved.ocuroot("status")


def test_init_writes_what_does_not_come_from_a_url(make_repo: Callable[..., Repo]) -> None:
    cloned = make_repo("cloned")
    cloned.git("remote", "add", "origin", "https://example.com/shop.git")
    cloned.ocuroot("init", "-q", "--offline")
    assert cloned.git("config", "ocuroot.repoAlias", check=False) == ""
    said = make_repo("said")
    (said.path / "repo.ocu.star").write_text('repo_alias("starred")\n')
    said.ocuroot("init", "-q")
    assert said.git("config", "ocuroot.repoAlias") == "starred"
    passed = make_repo("passed")
    passed.git("-c", "ocuroot.repoAlias=once", "ocuroot", "init", "-q")
    assert name(passed) == "once"
    assert passed.git("config", "--local", "ocuroot.repoAlias") == "once"


def test_linked_worktrees_have_the_name_of_the_main_one(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    main, bare = make_repo("main"), make_repo("bare.git", "--bare")
    main.git("commit", "-q", "--allow-empty", "-m", "start")
    bare.git("fetch", "-q", "../main", "HEAD:main")
    for repo, expected in ((main, "main"), (bare, "bare")):
        repo.ocuroot("init", "-q")
        repo.git("config", "--unset", "ocuroot.repoAlias")  # as in stores of the first version
        repo.git("worktree", "add", "-q", "--detach", f"{tmp_path}/linked-{expected}", "main")
        assert name(Repo(tmp_path / f"linked-{expected}")) == name(repo) == expected
    kept = make_repo("kept", f"--separate-git-dir={tmp_path}/inside.git")
    kept.ocuroot("init", "-q")
    kept.git("config", "--unset", "ocuroot.repoAlias")
    assert name(kept) == "kept"
    hidden = tmp_path / "project"
    shutil.copytree(bare.path, hidden / ".git")
    assert name(Repo(hidden / ".git")) == "project"


def test_another_name_than_at_the_last_write_is_a_warning(repo: Repo) -> None:
    repo.ocuroot("init", "-q")
    repo.git("config", "--unset", "ocuroot.repoAlias")
    repo.ocuroot("update", "--stdin", input='set //x/@1 {"a": 1}\n')
    quiet = (("get", "//x/@1"), ("get", "repo/-/x/@1"), ("match", "//**"))
    assert [repo.run(*words).stderr for words in quiet] == [""] * 3
    repo.git("remote", "add", "origin", "https://job:s3cr3t@example.com/shop.git")
    warning = (
        "warning: in refs this repository is called 'example.com/shop' now (by the URL of 'origin'); when it last "
        "wrote it was 'repo', which 'git config ocuroot.repoAlias repo' would keep\n"
    )
    assert warning in repo.run("get", "//x/@1").stderr
    assert warning in repo.run("status").stderr
    assert warning in repo.run("match", "//**").stderr
    assert repo.run("get", "repo/-/x/@1").stderr == ""  # an absolute ref needs no name
    assert repo.run("set", "+/custom/x", "1").stderr == ""
    assert warning in repo.run("update", "--stdin", input="verify //x/@1 absent\n").stderr  # it wrote nothing
    assert warning in repo.run("update", "--stdin", input='set //x/@1 {"a": 2}\n').stderr
    assert repo.run("get", "//x/@1").stderr == ""  # since it was written to under the new name
    assert (repo.path / ".git" / "ocuroot" / "name").read_text() == "example.com/shop\n"
    repo.git("config", "ocuroot.repoAlias", "repo")
    assert "'example.com/shop'" in repo.run("get", "//x/@1").stderr


@pytest.mark.parametrize("damage", [b"\xff", b"a\nb", b"x" * 100_000, b""])
def test_a_damaged_memory_is_none(store: Repo, damage: bytes) -> None:
    memory = store.path / ".git" / "ocuroot" / "name"
    memory.write_bytes(damage)
    done = store.run("resolve", "//x/@1")
    assert (done.returncode, done.stderr) == (0, "")
    memory.unlink()
    memory.symlink_to("name")
    assert store.run("resolve", "//x/@1").stderr == ""


def test_outside_a_repository_the_directory_names(store: Repo, tmp_path: Path) -> None:
    store.ocuroot("export", "-q", str(tmp_path / "files"))
    outside = tmp_path / "outside"
    outside.mkdir()
    environ = {**os.environ, "OCUROOT_STATE": "../files", "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    assert run_program("resolve", "//x/@1", cwd=outside, env=environ).stdout == "outside/-/x/@1\n"
    done = run_program("update", "--stdin", cwd=outside, env=environ, input="set //x/@1 1\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_init_warns_of_a_password_that_it_writes(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    make_repo("own.git", "--bare")
    repo.git("config", "url.../.insteadOf", "https://job:s3cr3t@example.com/")
    done = repo.run("init", "--remote", "https://job:s3cr3t@example.com/own.git")
    assert done.returncode == 0, done.stderr
    assert "warning: the password or token in the URL of the state store" in done.stderr and "s3cr3t" not in done.stderr
