"""Chromium for tests, driven by playwright; they are skipped where either is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support.waiting import LONG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page

    OpenPage = Callable[..., Page]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'browser')")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")

ARGUMENTS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_ENDED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
"""Complaints about a server that has ended, also while it was asked: tests end it under open pages."""
_EXPECTED = ("404 (", "ERR_INTERNET_DISCONNECTED", *_ENDED)
"""Complaints about pages that are not there, a network that was cut, and a server that has ended."""


@contextmanager
def launched() -> Iterator[Chromium]:
    """The browser, while the block runs."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=1000 * LONG)
        yield browser
        browser.close()


def settle(page: Page) -> None:
    """Load a page again once it is whole: how much of it there is at first depends on how busy the machine is."""
    if "~" in (page.get_attribute("body", "data-tip") or ""):
        wait_until(lambda: re.search(r'<body data-tip="[^"]*~', page.request.get(page.url).text()) is None)
        page.reload()


def go(page: Page, address: str) -> None:
    """Go to a page, and have all of it."""
    page.goto(address)
    settle(page)


@contextmanager
def windows(chromium: Chromium, address: str = "") -> Iterator[OpenPage]:
    """Opens pages in windows of their own, at an address or with `at` at another. At the end none may have complained,
    or asked another host for anything."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(path: str, *, at: str = "", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        options.setdefault("reduced_motion", "reduce")
        context = chromium.new_context(**options)
        context.set_default_timeout(1000 * LONG)
        contexts.append(context)
        page = context.new_page()
        home = urlsplit(at or address).netloc
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda one: complaints.append(one.url) if urlsplit(one.url).netloc != home else None)
        go(page, (at or address) + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    unexpected = [one for one in complaints if not any(words in one for words in _EXPECTED)]
    assert not unexpected, unexpected
