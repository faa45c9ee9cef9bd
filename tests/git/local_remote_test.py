"""References of a remote on this machine: read without git where git would read the same, and nowhere else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.damaged import loose_path
from support.repositories import Repo

from ocuroot_git.errors import Error
from ocuroot_git.git.config import Config, start_config
from ocuroot_git.git.local_remote import LocalRemote, local_remote
from ocuroot_git.git.objects import Oid
from ocuroot_git.git.remote_access import RemoteLocation

BELOW = "refs/ocuroot/outbox/state/"


def opened(repo: Repo, url: str, *, name: str | None = None, is_trusted: bool = True) -> LocalRemote | None:
    location = RemoteLocation(url, "state", name=name, support_files={}, is_trusted=is_trusted)
    return local_remote(location, Config.read(start_config(str(repo.path / ".git"), os.environ)))


def asked(url: str) -> tuple[str | None, list[str]]:
    """What git says of the same."""
    lines = Repo(Path("/")).git("ls-remote", url, "refs/heads/state", f"{BELOW}*").splitlines()
    found = {name: oid for oid, _, name in (line.partition("\t") for line in lines)}
    return found.pop("refs/heads/state", None), sorted(found)


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/", "{}/.git"])
@pytest.mark.parametrize("is_bare", [False, True])
def test_what_git_would_say(repo: Repo, make_repo: Callable[..., Repo], form: str, is_bare: bool) -> None:
    if is_bare and form.endswith(".git"):
        return
    remote = make_repo("remote", *(["--bare"] if is_bare else []))
    url = form.format(remote.path)
    found = opened(repo, url)
    assert found is not None
    assert found.look("refs/heads/state", BELOW) == asked(url) == (None, [])
    tree = remote.git("mktree", input="")
    for number in range(3):
        commit = remote.git("commit-tree", "-m", f"{number}", tree)
        remote.git("update-ref", "refs/heads/state", commit)
        remote.git("update-ref", f"{BELOW}{number}", commit)
        assert found.look("refs/heads/state", BELOW) == asked(url)
        remote.git("pack-refs", "--all")
        assert found.look("refs/heads/state", BELOW) == asked(url)
    remote.git("update-ref", "-d", f"{BELOW}1")
    assert found.look("refs/heads/state", BELOW) == asked(url)
    assert found.look("refs/heads/state", BELOW)[1] == [f"{BELOW}0", f"{BELOW}2"]


def test_what_is_left_to_git(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    remote = make_repo("remote", "--bare")
    path = str(remote.path)
    assert opened(repo, path) is not None
    others = ["ssh://host/x", "git://host/x", "https://host/x", "host:x", f"ext::sh -c {path}", f"file://host{path}"]
    others += [f"file://{path}".replace("remote", "%72emote"), f"{path}-that-is-not-there", "../remote", f"{path}/refs"]
    assert [url for url in others if opened(repo, url) is not None] == []
    assert opened(repo, path, is_trusted=False) is None
    repo.git("config", "remote.origin.uploadpack", "ssh elsewhere git-upload-pack")
    assert opened(repo, path, name="origin") is None
    repo.git("config", "url.ssh://host/.insteadOf", path)
    assert opened(repo, path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_the_repository_of_another_user(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    remote = make_repo("remote", "--bare")
    os.chown(remote.path, 12345, 12345)
    assert opened(repo, str(remote.path)) is None


# What a branch has gained


def grown(remote: Repo, *, parent: str | None = None, **files: str | None) -> str:
    """Commit files (`a_b` is `a/b`; None: it goes) on the branch; gives the id."""
    for name, text in files.items():
        path = name.replace("_", "/")
        if text is None:
            remote.git("update-index", "--force-remove", path)
        else:
            blob = remote.git("hash-object", "-w", "--stdin", input=text)
            remote.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    parents = ["-p", parent] if parent is not None else []
    commit = remote.git("commit-tree", "-m", "x", *parents, remote.git("write-tree"))
    remote.git("update-ref", "refs/heads/state", commit)
    return commit


@pytest.fixture
def remote(make_repo: Callable[..., Repo]) -> Repo:
    return make_repo("remote")


def test_what_a_branch_has_gained_is_all_that_git_would_fetch(repo: Repo, remote: Repo) -> None:
    first = grown(remote, a_b_c="1", a_d="2", e="3")
    found = opened(repo, str(remote.path))
    assert found is not None
    unchanged = found.news("refs/heads/state", Oid(first))
    assert unchanged is not None
    assert (unchanged.tip, unchanged.objects) == (first, [])
    tip = grown(remote, parent=first, a_b_c="4", f_g_h="5")
    tip = grown(remote, parent=tip, a_d=None, e=None, e_f="2" * 5000)
    remote.git("gc", "--quiet")
    tip = grown(remote, parent=tip, a_b_c="1")
    news = found.news("refs/heads/state", Oid(first))
    assert news is not None and news.tip == tip
    repo.git("fetch", "--quiet", str(remote.path), first)
    wanted = {line.split()[0] for line in remote.git("rev-list", "--objects", f"{first}..{tip}").splitlines()}
    assert not wanted <= objects(repo)
    subprocess.run(["git", "index-pack", "--stdin"], input=news.pack(), cwd=repo.path, check=True, capture_output=True)
    assert wanted <= objects(repo)
    assert repo.git("fsck", "--strict", "--no-dangling", tip) == ""


def objects(repo: Repo) -> set[str]:
    return set(repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


def test_what_git_is_to_fetch(repo: Repo, remote: Repo) -> None:
    """Histories that are no line on from what is known, or long, and objects that are not what they should be."""
    first = grown(remote, a="1")
    found = opened(repo, str(remote.path))
    assert found is not None

    def is_left_to_git(known: str) -> bool:
        try:
            return found.news("refs/heads/state", Oid(known)) is None
        except Error:
            return True

    second = grown(remote, parent=first, a="2")
    assert not is_left_to_git(first)
    other = grown(remote, a="3")
    assert is_left_to_git(second)  # another history
    merge = remote.git("commit-tree", "-m", "x", "-p", second, "-p", other, f"{other}^{{tree}}")
    remote.git("update-ref", "refs/heads/state", merge)
    assert is_left_to_git(first)
    assert is_left_to_git("1" * 40)
    tip = grown(remote, parent=first, b="4")
    path, another = (loose_path(remote.path / ".git", remote.oid(one)) for one in (f"{tip}:b", f"{second}:a"))
    path.chmod(0o644)
    path.write_bytes(another.read_bytes())
    assert is_left_to_git(first)
    remote.git("update-ref", "-d", "refs/heads/state")
    assert is_left_to_git(first)


@pytest.mark.parametrize("what", ["", "^{tree}", ":a"])
def test_what_is_gone_since_it_was_read_last(repo: Repo, remote: Repo, what: str) -> None:
    """A `git gc --prune=now` at the remote may delete what has just come there."""
    first = grown(remote, a="1")
    tip = grown(remote, parent=first, a="2")
    found = opened(repo, str(remote.path))
    assert found is not None and found.news("refs/heads/state", Oid(first)) is not None
    loose_path(remote.path / ".git", remote.oid(f"{tip}{what}")).unlink()
    with pytest.raises(Error, match="cannot read"):
        found.news("refs/heads/state", Oid(first))
