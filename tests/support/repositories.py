"""Real repositories with git and `git ocuroot` run in them, and what they are filled with."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from ocuroot_git.git.objects import Oid

from .program import CONFORMANCE, PROGRAM, run_program


class Repo:
    """A repository in a directory, with git and `git ocuroot` run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, check: bool = True, **options: Any) -> str:
        """Run git; gives its stdout without the last newline."""
        options = {"cwd": self.path, "text": True, **options}
        done = subprocess.run(["git", *arguments], capture_output=True, check=False, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return str(done.stdout).removesuffix("\n")

    def oid(self, revision: str) -> Oid:
        """The id of what a revision names."""
        return Oid(self.git("rev-parse", revision))

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run `git ocuroot` as a process; see `ocuroot` for the short way to its stdout."""
        return run_program(*arguments, cwd=self.path, **options)

    def ocuroot(self, *arguments: str, **options: Any) -> str:
        """Run `git ocuroot`, which must succeed without a word on stderr; gives stdout without the last newline."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return str(done.stdout).removesuffix("\n")

    def value(self, ref: str, *arguments: str) -> Any:
        """The document at a ref, through the command line."""
        return json.loads(self.ocuroot("get", *arguments, ref))


_begun: list[subprocess.Popen[str]] = []


def begin(repo: Repo, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the program, and do not wait for it; it ends with the test at the latest."""
    command = [sys.executable, str(PROGRAM), *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    _begun.append(subprocess.Popen(command, cwd=repo.path, text=True, **{**pipes, **options}))
    return _begun[-1]


def end_what_was_begun() -> None:
    """End the programs that `begin` started and that still run, and close the pipes to all of them."""
    while _begun:
        process = _begun.pop()
        process.kill()
        with contextlib.suppress(BrokenPipeError), process:
            pass


def oid_of(repo: Repo, ref: str) -> str:
    """The id of a document, as `match --json` says it."""
    return str(json.loads(repo.ocuroot("match", "--json", ref))["oid"])


def state_of(repo: Repo) -> tuple[str, str, str, str]:
    """All that a failed command must leave as it was: references, HEAD, configuration, index and work tree."""
    return (
        repo.git("for-each-ref"),
        (repo.path / ".git" / "HEAD").read_text(),
        (repo.path / ".git" / "config").read_text(),
        repo.git("status", "--porcelain", "--ignored"),
    )


def put_file(repo: Repo, path: str, content: str, branch: str = "state") -> None:
    """Commit a file to a branch that is not checked out, by git alone."""
    environ = {**os.environ, "GIT_INDEX_FILE": str(repo.path / ".git" / "index-of-put-file")}
    blob = repo.git("hash-object", "-w", "--stdin", input=content)
    repo.git("read-tree", branch, env=environ)
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=environ)
    commit = repo.git("commit-tree", "-p", branch, "-m", "by hand", repo.git("write-tree", env=environ))
    repo.git("update-ref", f"refs/heads/{branch}", commit)


def unpack(name: str, where: Path) -> Path:
    """Unpack one of the original's stores (`v1`, `v3`); gives the directory that holds `state` and perhaps `intent`."""
    with tarfile.open(CONFORMANCE / "stores" / f"{name}.tar") as archive:
        archive.extractall(where)
    return where


SHOP = "github.com/example/shop/-/api/release.ocu.star"
SHOP_INSTRUCTIONS = f"""\
set @/environment/production {{"name": "production", "attributes": {{"type": "prod", "region": "eu"}}}}
set @/environment/staging {{"name": "staging", "attributes": {{"type": "staging"}}}}
set @/custom/freeze {{"until": "2027-01-04", "by": "Zoë"}}
set {SHOP}/@1 {{"commit": "aaa1"}}
set {SHOP}/@1/commit/aaa1 {{"time": "2026-10-01T12:00:00Z"}}
set {SHOP}/@1/call/build {{"type": "call", "output": {{"download_url": "https://example.com/1", "sizes": [10, 1.50]}}}}
set {SHOP}/@1/call/build/1/status/complete {{"time": "2026-10-01T12:01:00Z"}}
set {SHOP}/@1/deploy/production {{"type": "up"}}
set {SHOP}/@2 {{"commit": "bbb2"}}
set {SHOP}/@2/commit/bbb2 {{"time": "2026-10-02T12:00:00Z"}}
set {SHOP}/@10 {{"commit": "ccc3"}}
set {SHOP}/@10/call/build {{"type": "call", "output": {{"download_url": "https://example.com/10", "sizes": []}}}}
set {SHOP}/+/deploy/production {{"release": "{SHOP}/@10"}}
set +/environment/production {{"name": "production", "attributes": {{"type": "prod", "region": "eu"}}}}
link {SHOP}/@ {SHOP}/@10
link {SHOP}/@v1.0 {SHOP}/@1
link {SHOP}/@/call/build {SHOP}/@10/call/build
link {SHOP}/@/deploy/production {SHOP}/@1/deploy/production
depend {SHOP}/@1/deploy/production {SHOP}/@1/call/build
"""
