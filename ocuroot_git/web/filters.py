"""What templates need to show values: addresses, times, documents as lines, pictures. Nothing here makes HTML.

Templates escape all that they print; there is no way around it in them, and no test should ever find one.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import g, request

from ..delivery.addresses import release_number
from ..delivery.vocabulary import shown_actor
from ..errors import Error
from ..formats.documents import MISSING, dump
from ..formats.layout import REFS
from ..formats.refs import Ref, RefError
from ..formats.times import lasted, parse_time
from . import addresses, ansi, compiled, pictures, times
from .json_text import difference, lines
from .lists import PER_PAGE
from .masking import masked

if TYPE_CHECKING:
    from flask import Flask

    from ..formats.documents import Document
    from .facts import Facts

MOST_LINES = 400
"""Lines of a document that a page shows unless it is asked for all."""
_LONGEST_REF = 2000
_QUOTED = re.compile(r"'([^']*)'|\(([^ ()]*/[^ ()]*)\)")
"""A ref in a sentence."""

STATUS_NAMES = {
    "failed_retried": "failed, retried",
    "pending": "waiting",
    "approval": "waiting for approval",
    "input": "waiting for an input",
    "": "not started",
}


def install(app: Flask) -> None:
    """Give the templates of an application what they use."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    compiled.use(app.jinja_env)
    app.jinja_env.filters.update(
        segments=segments,
        release_number=release_number,
        parsed_time=parse_time,
        exact=times.exact,
        in_short=times.in_short,
        relative=times.relative,
        lasted=lasted,
        lasted_or_unknown=lambda seconds: "unknown" if seconds is None else lasted(seconds),
        share=lambda rate: "unknown" if rate is None else f"{100 * rate:.1f} %",
        status_name=lambda status: STATUS_NAMES.get(status, status),
        ansi=ansi.pieces,
        after_package=after_package,
        actor=lambda name: shown_actor(name or ""),
        shell=shlex.quote,
        compact=lambda value: dump(value, None),
        difference=_difference,
        masked=masked,
    )
    app.jinja_env.globals.update(
        address=address,
        link_to=link_to,
        here_with=here_with,
        line_address=line_address,
        search_address=lambda glob: link_to(addresses.of_search(glob)),
        below_address=lambda ref: link_to(addresses.of_below(ref)),
        commit_address=lambda oid: link_to(addresses.of_commit(oid)),
        commits_address=lambda *page, **form: link_to(addresses.of_commits(*page, **form)),
        timeline_address=lambda environment, package: link_to(addresses.of_timeline(environment, package)),
        work_address=lambda environment, status: link_to(addresses.of_work(environment, status)),
        static=lambda name: _pages().static(name),
        document=document,
        duration=times.duration,
        address_if_there=address_if_there,
        is_there=is_there,
        linked=linked,
        pictures=pictures,
        parts=parts,
        page_address=page_address,
        per_page=PER_PAGE,
        is_site=False,
    )


def _pages() -> addresses.Served:
    """How the page that is being made leads to others."""
    if "pages" not in g:
        g.pages = addresses.Served(request.args.get("at", "").strip() or None)
    pages: addresses.Served = g.pages
    return pages


def link_to(address: str) -> str:
    """What leads to an address of `addresses` from the page that is shown; empty where there is no such page."""
    return _pages().link(address)


def here_with(**query: str | int | None) -> str:
    """What leads to another form of the page that is shown; what is None is left out."""
    return link_to("?" + urlencode({key: value for key, value in query.items() if value is not None}))


def address(ref: str, kind: str = "ref", **query: str | int) -> str:
    """What leads to a ref's page; empty where no address can name it, or there is no such page."""
    named = addresses.is_addressable(ref.partition("#")[0])
    return link_to(addresses.of_ref(ref, kind, **query)) if named else ""


def line_address(log: str, number: int) -> str:
    """What leads to a line on the page of a log."""
    place = f"?line={number}#L{number}"
    return link_to(place if request.path == f"/ref/{log}" else f"{addresses.of_ref(log)}{place}")


def page_address(number: int) -> str:
    """What leads to another page of the list that is shown, its other parameters kept."""
    given = {key: value for key, value in request.args.items() if key not in ("page", "at")}
    return link_to(f"{addresses.of_path(request.path)}?{urlencode({**given, 'page': number})}")


def segments(ref: str) -> list[str]:
    """The pieces of a ref between which a line may break: after a slash, and before a dot."""
    return ref.replace("/", "/\0").replace(".", "\0.").replace("\0\0", "\0").split("\0")


def parts(ref: str) -> tuple[str, str, str]:
    """A ref as repository, path and the rest from the marker on; what is no ref is all rest."""
    try:
        parsed = Ref.parse(ref)
    except RefError:
        return "", "", ref
    rest = str(parsed.replace(repo="", path=""))
    return parsed.repo, parsed.path, rest


def after_package(ref: str) -> str:
    """A ref without its repository and path, which the page names elsewhere."""
    return parts(ref)[2] or ref


def linked(facts: Facts, text: str, release: str) -> list[tuple[str, str]]:
    """A sentence of a command as pieces, each with the address of the ref or the pattern that it is, or an empty text.

    They stand in quotes or parentheses; those of the package of `release` are shown without it.
    """
    made: list[tuple[str, str]] = []
    at = 0
    for found in _QUOTED.finditer(text):
        ref = found[1] or found[2]
        if not ("@" in ref or "+" in ref):
            continue
        to = (
            link_to(addresses.of_search(ref))
            if set(ref) & set("*?[{")
            else address_if_there(facts, ref.partition("#")[0])
        )
        start, end = found.span(1 if found[1] else 2)
        shown = after_package(ref) if parts(ref)[:2] == parts(release)[:2] else ref
        made += [(text[at:start], ""), (shown, to)]
        at = end
    return [piece for piece in (*made, (text[at:], "")) if piece[0]]


def address_if_there(facts: Facts, ref: str) -> str:
    """The address of a ref's page where there is something at the ref or below it, else an empty text."""
    try:
        parsed = facts.snapshot.absolute(ref)
        tree = facts.snapshot.tree(parsed)
        node = tree.node(f"{REFS}/{tree.locate(parsed).stored}")
    except Error:
        return ""
    return "" if node is None else address(ref)


def is_there(facts: Facts, ref: str) -> bool:
    """Whether there is a document or a link at just this ref."""
    try:
        return facts.snapshot.object(ref) is not None
    except Error:
        return False


def document(facts: Facts, value: Document, base: str = "") -> dict[str, Any]:
    """A document as lines for a template, refs in it as links; the first 400 unless the address asks for all."""
    known: dict[str, str] = {}

    def address_of(text: str) -> str:
        if text not in known:
            known[text] = _address_in(facts, text, base)
        return known[text]

    everything = request.args.get("all") == "1"
    shown: Document = value if everything else _cut(value)
    made = lines(shown, address_of)
    more = len(made) > MOST_LINES or shown is not value
    return {"lines": made if everything else made[:MOST_LINES], "more": more and not everything}


def _difference(one: dict[str, Any]) -> list[tuple[str, str]] | None:
    """The difference between state and intent, as marked lines."""
    is_ = MISSING if one["status"] == "A" else one["is"]
    return difference(is_, MISSING if one["status"] == "D" else one["wanted"])


def _cut(value: Document) -> Document:
    """A long list or object as far as it can be shown, so that a log of a million lines is not laid out for 400."""
    if isinstance(value, list) and len(value) > MOST_LINES:
        return value[:MOST_LINES]
    if isinstance(value, dict) and len(value) > MOST_LINES:
        return dict(list(value.items())[:MOST_LINES])
    return value


def _address_in(facts: Facts, text: str, base: str) -> str:
    """The address that a string in a document leads to: of a document that exists, of a search, or out to the web."""
    if len(text) > _LONGEST_REF:
        return ""
    if addresses.is_web_address(text):
        return text
    if not any(mark in text for mark in ("@", "+")) and not text.startswith("./"):
        return ""
    if "*" in text and "/" in text:
        return link_to(addresses.of_search(text))
    try:
        ref = Ref.parse(text)
        if ref.is_relative:
            ref = ref.absolute(Ref.parse(base))
        if not (ref.marker or ref.type) or not facts.snapshot.exists(ref.without_fragment()):
            return ""
    except Error:
        return ""
    return address(str(ref))
