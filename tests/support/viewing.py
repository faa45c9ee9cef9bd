"""What the tests of the view share: stores to show, the application over them, and a walk over all pages."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from support.program import PROGRAM
from support.repositories import Repo
from support.story import story
from support.waiting import LONG
from werkzeug.test import TestResponse

from ocuroot_git.opening import open_stores
from ocuroot_git.web.app import create_app

ADDRESS = re.compile(r'(?:href|src|action)="([^"]*)"')


def tell_story(path: Path, *more: str, author: str = "Test") -> Repo:
    """A repository with the story in its store, and more lines for `update --stdin` after it."""
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q")
    repo.git("config", "user.name", author)
    repo.git("remote", "add", "origin", "https://github.com/example/shop.git")
    repo.ocuroot("init", "-q", "--offline")
    repo.ocuroot("update", "--stdin", input="\n".join([*story(), *more]) + "\n")
    return repo


def application(
    path: Path, patience: float = LONG, /, *, bound: str = "127.0.0.1", at: str | None = None, **environ: str
) -> Flask:
    """The view of the stores in a directory, whose pages wait until they are whole, however busy the machine is."""
    opened = {**os.environ, **environ}
    return create_app(lambda: open_stores(str(path), environ=opened), bound=bound, at=at, patience=patience)


def text_of(page: str) -> str:
    """What a reader sees of a page, in one line."""
    page = re.sub(r"<title>.*?</title>|<svg.*?</svg>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page.replace("<wbr>", "")).split())


@contextmanager
def viewed(repo: Repo, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The view of a repository while the block runs; gives its address and its process."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "view", "--no-browser", *arguments],
        cwd=repo.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        yield address, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


class Browser:
    """Asks as a browser does that was sent to the right host. `get` gives text, and insists on a page."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def ask(self, address: str, **headers: str) -> TestResponse:
        named = {"Host": "127.0.0.1:3000", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.get(address, headers=named, buffered=True)

    def get(self, address: str, **headers: str) -> str:
        answer = self.ask(address, **headers)
        assert answer.status_code == 200, (address, answer.status_code, answer.get_data(as_text=True)[-400:])
        return answer.get_data(as_text=True)

    def json(self, address: str) -> dict[str, Any]:
        answer = self.ask(address, Accept="application/json")
        assert answer.status_code == 200, (address, answer.status_code)
        assert answer.content_type == "application/json"
        found: dict[str, Any] = answer.get_json()
        return found

    def walk(self, start: str = "/", most: int = 4000) -> Iterator[tuple[str, str]]:
        """Follow every link from a page; gives the address and text of each page. Fails on a dead link."""
        todo, seen = [(start, "")], {start}
        while todo:
            address, source = todo.pop()
            answer = self.ask(address)
            assert answer.status_code == 200, f"{address}, linked from {source}: {answer.status_code}"
            text = answer.get_data(as_text=True)
            yield address, text
            if "html" not in answer.content_type:
                continue
            for target in map(html.unescape, ADDRESS.findall(text)):
                parts = urlsplit(urljoin(f"http://view{address}", target))
                if parts.netloc != "view":
                    continue
                further = parts.path + (f"?{parts.query}" if parts.query else "")
                if further not in seen and len(seen) < most:
                    seen.add(further)
                    todo.append((further, address))
