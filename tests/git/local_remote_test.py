"""References of a remote on this machine: read without git where git would read the same, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.git.config import Config, start_config
from ocuroot_git.git.local_remote import LocalRemote, local_remote
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
