"""What the tests of `site` share: writing one, what is in it, and a walk over all its pages as a browser reads them."""

from __future__ import annotations

import gzip
import os
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from support.program import FIXTURES
from support.repositories import Repo

EMPTY = frozenset(("meta", "link", "input", "br", "wbr", "img", "hr"))
"""Elements of HTML that have no end."""


def example(path: Path) -> Repo:
    """The store of twelve packages and five environments."""
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q", "-b", "main")
    stream = gzip.decompress((FIXTURES / "example.gz").read_bytes())
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input=stream, check=True)
    return repo


def write_site(repo: Repo, out: Path, *options: str) -> str:
    """Write a site; gives what was remarked."""
    done = repo.run("site", "--out", str(out), *options)
    assert done.returncode == 0, done.stderr
    return str(done.stderr)


def files_of(out: Path) -> dict[str, bytes]:
    """All files of a site with their content."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


class Page(HTMLParser):
    """A page of HTML, read strictly: each element is closed in its turn, each id is there once, nothing is inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.out: list[str] = []
        """Where elements lead that are no links, as scripts, style sheets and pictures."""
        self.ids: set[str] = set()
        self._open: list[str] = []
        assert text.startswith("<!doctype html>\n"), text[:100]
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self._open.append(tag)
        self._take(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._take(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, (tag, self._open, self.getpos())

    def _take(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), attrs
        assert not any(name == "style" or name.startswith("on") for name in found), attrs
        if "id" in found:
            assert found["id"] not in self.ids, found["id"]
            self.ids.add(str(found["id"]))
        for name in ("href", "src", "action"):
            if name in found:
                (self.links if tag == "a" else self.out).append(str(found[name]))


@cache
def _read(text: str) -> Page:
    """A page of this text. Sites of one store have most of their pages in common."""
    return Page(text)


def walk(out: Path) -> int:
    """Look at all pages of a site: no dead link, no foreign request, each fragment is there, each page is reached.

    Gives the number of links.
    """
    files = files_of(out)
    pages = {}
    for file, data in files.items():
        if file.endswith(".html"):
            try:
                pages[file] = _read(data.decode())
            except AssertionError as error:
                raise AssertionError(f"{file}: {error}") from error
    reached, count = {"index.html"}, 0
    for file, page in pages.items():
        above = os.path.dirname(file)
        for link in page.links + page.out:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                assert link in page.links, (file, link)  # for people to follow, and for nothing else
                continue
            assert not parts.scheme and not parts.netloc and not parts.query and not link.startswith("/"), (file, link)
            target = os.path.normpath(os.path.join(above, unquote(parts.path))) if parts.path else file
            assert target in files, f"{link}, linked from {file}"
            assert not parts.fragment or parts.fragment in pages[target].ids, f"{link}, linked from {file}"
            reached.add(target)
            count += 1
    assert reached >= pages.keys(), sorted(pages.keys() - reached)[:10]
    return count
