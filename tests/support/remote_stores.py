"""Repositories that are served, and clones that keep their stores there."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .repositories import Repo
from .servers import PASSWORD, USER, HttpServer, git_daemon, http_server

HEADER = "Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class World:
    """A directory of bare repositories that are served, and clones that keep their stores there."""

    def __init__(self, top: Path, kind: str) -> None:
        self.top = top
        self.kind = kind
        self.port = 0
        self.server: HttpServer | None = None

    def bare(self, name: str = "store", *, filters: bool = True) -> Repo:
        path = self.top / "served" / f"{name}.git"
        path.mkdir(parents=True)
        made = Repo(path)
        made.git("init", "-q", "--bare")
        made.git("config", "uploadpack.allowFilter", str(filters).lower())
        made.git("config", "http.receivepack", "true")
        return made

    def url(self, name: str = "store", port: int | None = None) -> str:
        port = port or self.port
        if self.kind == "file":
            return f"file://{self.top}/served/{name}.git"
        return f"{'git' if self.kind == 'daemon' else 'http'}://127.0.0.1:{port}/{name}.git"

    def clone(self, name: str, url: str | None = None) -> Repo:
        """A repository whose stores are remote; its credentials stand in its own configuration."""
        path = self.top / name
        path.mkdir()
        made = Repo(path)
        made.git("init", "-q")
        made.git("config", "ocuroot.state.remote", url or self.url())
        if self.kind == "http":
            made.git("config", "http.extraheader", HEADER)
        return made


@contextlib.contextmanager
def serving(top: Path, kind: str) -> Iterator[World]:
    world = World(top, kind)
    (top / "served").mkdir()
    with contextlib.ExitStack() as stack:
        if kind == "daemon":
            world.port = stack.enter_context(git_daemon(top / "served"))
        elif kind == "http":
            world.server = stack.enter_context(http_server(top / "served"))
            world.port = world.server.port
        yield world


def hook(bare: Repo, name: str, text: str) -> Path:
    path = bare.path / "hooks" / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def fails(repo: Repo, *arguments: str, **options: Any) -> str:
    """Run a command that must end with 128; gives what it said."""
    done = repo.run(*arguments, **options)
    assert done.returncode == 128, (arguments, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return str(done.stderr)


def operations(bare: Repo, branch: str = "state") -> list[str]:
    return bare.git("log", "--format=%(trailers:key=Ocuroot-Operation,valueonly)", branch).split()
