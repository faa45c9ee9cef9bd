"""A feed of deployments, by RFC 4287 (Atom). Pure: what the timeline has in, XML out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from ..delivery.vocabulary import CANCELLED, DOWN, FAILED
from ..formats.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Deployment = dict[str, Any]

_KIND = "git-ocuroot site"
"""What ids are made from, beside what they are of."""
FILE = "feed.xml"


def feed(
    name: str, updated: str, deployments: Iterable[Deployment], link: Callable[[Deployment], str], base: str | None
) -> str:
    """The feed of a site about `name`, from rows of a timeline, the newest first.

    `updated` is the moment of the site; `link` gives the page of a row, relative to the feed. Links are whole addresses
    where the site will be at `base`, and relative to the feed's own address elsewhere. Ids never change: they are made
    of the run, how it ended, and the commit that says so.
    """
    entries = [_entry(one, link(one), base) for one in deployments]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{_id('feed', name)}</id>",
        f"<title>{_text(f'Deployments of {name}' if name else 'Deployments')}</title>",
        f"<updated>{_time(updated)}</updated>",
        "<generator>git ocuroot site</generator>",
        f"<author><name>{_text(name or 'ocuroot')}</name></author>",
        f'<link rel="alternate" type="text/html" href="{_text((base or "") + "index.html")}"/>',
        *([f'<link rel="self" type="application/atom+xml" href="{_text(base + FILE)}"/>'] if base else []),
        *entries,
        "</feed>",
    ]
    return "\n".join(lines) + "\n"


def _entry(one: Deployment, link: str, base: str | None) -> str:
    told = [f"from {_release(one['from'])}" if one["from"] else "", one["reason"] or ""]
    lines = [
        "<entry>",
        f"<id>{_id(one['run_ref'], one['status'], one['store_commit'])}</id>",
        f"<title>{_text(_title(one))}</title>",
        f"<updated>{_time(one['time'])}</updated>",
        f"<author><name>{_text((one['actor'] or 'unknown').removeprefix('local:'))}</name></author>",
        f'<category term="{_text(one["environment"])}"/>',
        f'<link rel="alternate" type="text/html" href="{_text((base or "") + link)}"/>',
        f'<content type="text">{_text(": ".join(filter(None, told)) or one["status"])}</content>',
        "</entry>",
    ]
    return "\n".join(lines)


def _title(one: Deployment) -> str:
    package = one["package"].partition("/-/")[2] or one["package"]
    tags = f" ({', '.join(one['tags'])})" if one["tags"] else ""
    if one["type"] == DOWN:
        what, where = package, "taken down from"
    else:
        what, where = f"{package} {_release(one['release'] or one['run_ref'])}{tags}", "deployed to"
    ended = {FAILED: ": failed", CANCELLED: ": cancelled"}.get(one["status"], "")
    return f"{what} {where} {one['environment']}{ended}"


def _release(ref: str) -> str:
    """The release of a ref, as people call it: `@12`."""
    return "@" + ref.partition("/@")[2].partition("/")[0]


def _id(*parts: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, ascii([_KIND, *parts]))}"


def _time(text: str) -> str:
    """A moment as Atom has it; of one that no calendar reaches, the epoch."""
    return text if parse_time(text) is not None else "1970-01-01T00:00:00Z"


def _text(text: str) -> str:
    """A text as XML holds it: without the characters that it cannot hold at all."""
    return escape("".join(char if _may_stand(char) else "\ufffd" for char in text), quote=True)


def _may_stand(char: str) -> bool:
    return char in "\t\n" or " " <= char < "\ud800" or (char >= "\ue000" and char not in "\ufffe\uffff")
