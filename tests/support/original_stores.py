"""The original program's stores in every form: each function makes one in a repository, and configures it there."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from .program import CONFORMANCE
from .repositories import Repo, unpack


def v1_directory(repo: Repo) -> None:
    unpack("v1", repo.path)
    repo.git("config", "ocuroot.state.path", "state")


def v1_branch(repo: Repo) -> None:
    unpack("v1", repo.path)
    repo.ocuroot("import", "-q", "state")


def v1_again(repo: Repo) -> None:
    v1_branch(repo)
    repo.ocuroot("export", "-q", "exported")
    repo.git("config", "ocuroot.state.branch", "again")
    repo.ocuroot("import", "-q", "exported")


def v3_directory(repo: Repo) -> None:
    unpack("v3", repo.path)
    repo.git("config", "ocuroot.state.path", "state")
    repo.git("config", "ocuroot.intent.path", "intent")


def v3_combined_directory(repo: Repo) -> None:
    unpack("v3", repo.path / "both")
    repo.git("config", "ocuroot.state.path", "both")


def v3_bundle(repo: Repo) -> None:
    repo.git("fetch", "-q", str(CONFORMANCE / "stores" / "v3.bundle"), "refs/heads/*:refs/heads/*")


def v3_branches(repo: Repo) -> None:
    v3_bundle(repo)
    repo.git("config", "ocuroot.intent.branch", "intent")


def v3_combined(repo: Repo) -> None:
    v3_bundle(repo)
    repo.git("config", "ocuroot.state.branch", "combined")


def v3_prefixes(repo: Repo) -> None:
    v3_bundle(repo)
    for side in ("state", "intent"):
        repo.git("config", f"ocuroot.{side}.branch", "combined")
        repo.git("config", f"ocuroot.{side}.prefix", f"{side}/")


def v3_again(repo: Repo) -> None:
    v3_branches(repo)
    repo.ocuroot("export", "-q", "exported")
    repo.git("config", "ocuroot.state.branch", "state2")
    repo.git("config", "ocuroot.intent.branch", "intent2")
    repo.ocuroot("import", "-q", "exported")


def v3_imported(repo: Repo) -> None:
    repo.git("config", "ocuroot.intent.branch", "wanted")
    v3_imported_combined(repo)


def v3_imported_combined(repo: Repo) -> None:
    unpack("v3", repo.path / "files")
    repo.git("config", "ocuroot.state.branch", "one")
    repo.ocuroot("import", "-q", "files")


FORMS = {
    "v1.json": [v1_directory, v1_branch, v1_again],
    "v3.json": [
        v3_directory,
        v3_combined_directory,
        v3_branches,
        v3_combined,
        v3_prefixes,
        v3_again,
        v3_imported,
        v3_imported_combined,
    ],
}


def repository(archive: str, stores: str, path: Path) -> Repo:
    """A repository as the original left it, with its stores in `.store`: what was released there is its one commit."""
    path.mkdir()
    with tarfile.open(CONFORMANCE / archive) as file:
        file.extractall(path)
    (path / stores).rename(path / ".store")
    repo = Repo(path)
    repo.git("init", "-q")
    repo.git("remote", "add", "origin", "https://example.com/x/shop.git")
    repo.git("add", "-A")
    dates = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    made_by = ("-c", "user.name=T", "-c", "user.email=t@e.x")
    repo.git(*made_by, "commit", "-q", "-m", "first", env={**os.environ, **dates})
    return repo
