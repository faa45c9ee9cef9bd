"""Addresses that people cut short, mistype or make up: each gets its page, or is told that there is none."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.repositories import Repo
from support.viewing import Browser, application, tell_story, viewed


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return tell_story(tmp_path_factory.mktemp("view") / "shop")


@pytest.fixture(scope="module")
def browser(told: Repo) -> Browser:
    return Browser(application(told.path))


def test_a_commit_is_found_by_the_beginning_of_its_id(browser: Browser, told: Repo) -> None:
    oid = told.git("rev-parse", "state").strip()
    for text in (oid, oid[:7], f"{oid[:10]}.json"):  # of four digits there may be two
        assert browser.json(f"/commit/{text}")["commit"] == oid


@pytest.mark.parametrize(
    "address",
    [
        "/commit/" + "0" * 40,
        "/commit/state",  # the name of a branch is no id
        "/commit/abc",
        "/commits?from=" + "1" * 40,
        "/history/@/environment/staging?from=" + "1" * 40,
        *(f"/{page}/@/custom/{'b' * 6000}" for page in ("ref", "raw", "log")),
        *(f"/{page}/github.com/x/-/{'b/' * 3000}@1" for page in ("ref", "raw", "log")),
    ],
    ids=lambda address: address[:40],
)
def test_what_is_not_there_is_not_found(browser: Browser, address: str) -> None:
    assert browser.ask(address).status_code == 404


def test_a_store_in_a_directory_is_asked_for_names_no_file_can_have(tmp_path: Path, told: Repo) -> None:
    exported = str(tmp_path / "store")
    told.ocuroot("export", "-q", exported)
    browser = Browser(application(told.path, OCUROOT_STATE=exported, OCUROOT_INTENT=exported))
    browser.get("/ref/@/environment/staging")
    for page in ("ref", "raw", "log"):
        assert browser.ask(f"/{page}/@/custom/{'b' * 6000}").status_code == 404


def test_a_pattern_of_nothing_but_wildcards_is_answered(browser: Browser) -> None:
    assert browser.ask("/search?q=" + "*" * 30_000).status_code == 200


def test_connections_that_say_nothing_keep_nobody_out(told: Repo) -> None:
    with viewed(told) as (address, _):
        parts = urlsplit(address)
        assert parts.hostname is not None
        silent = [socket.create_connection((parts.hostname, parts.port or 80), timeout=10) for _ in range(300)]
        try:
            for one in silent:
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")  # and no more
            with socket.create_connection((parts.hostname, parts.port or 80), timeout=60) as mine:
                mine.sendall(b"GET /tip HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                assert mine.recv(100).startswith(b"HTTP/1.0 200 OK")
        finally:
            for one in silent:
                one.close()
