"""How pages lead to others: by one function, so that what is true of a page is true of all its links."""

from __future__ import annotations

import re

from support.program import TOP

from ocuroot_git.web.addresses import Served

TEMPLATES = sorted((TOP / "ocuroot_git" / "web" / "templates").glob("*.html"))
OUT = (
    "action_address(",
    "documents",
    "twin",
    "page.run",
    "one.run",
    "one.address",
    "piece.address",
    "to",
    "again",
    "otherwise",
)
"""What leads out to the web, to an action, or was made by that function before."""


def test_templates_write_no_address_by_hand() -> None:
    for template in TEMPLATES:
        text = template.read_text(encoding="utf-8")
        assert not re.search(r'(?:href|src)="[/?]', text), template.name
        for written in re.findall(r'href="\{\{ ?(.*?) ?\}\}"', text):
            assert written.startswith(OUT) or written.startswith("static("), (template.name, written)


def test_links_of_a_moment_stay_in_it() -> None:
    now, then = Served(), Served("state~3")
    assert now.link("/work?status=failed#x") == "/work?status=failed#x"
    assert then.link("/work?status=failed#x") == "/work?status=failed&at=state~3#x"
    assert then.link("?line=3#L3") == "?line=3&at=state~3#L3"
    for everywhere in (
        "/commits?side=state",
        "/commit/12ab",
        "/history/@/custom/x",
        "/?now",
        "/?at=yesterday",
        "#main",
    ):
        assert then.link(everywhere) == everywhere
    assert then.link("https://example.com/") == "https://example.com/"
