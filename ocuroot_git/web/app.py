"""The pages and their addresses: a Flask application. What each page shows comes from a module of its own.

Every page has two forms under one address, a page for people and JSON for programs (`Accept: application/json`, or
`.json` after the address). Both carry an ETag made of the tips of the branches, so that a page that did not change
is not made twice. libgit2's objects must not cross threads: each thread opens the stores for itself.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, render_template, request
from werkzeug.exceptions import HTTPException

from .. import __version__
from ..delivery.claims import newest_time
from ..errors import Error, Fatal, NotFound
from ..formats.documents import dump, to_bytes
from ..formats.globs import GlobError
from ..formats.layout import SIDES, StoreError
from ..formats.printable import escaped
from ..formats.times import format_seconds, parse_time
from ..git.objects import Oid, is_whole_id
from . import (
    ansi,
    changes,
    commands,
    details,
    environments,
    finding,
    lists,
    metrics,
    overview,
    timelines,
    writing,
)
from .addresses import PAGE
from .background import PATIENCE
from .differences import compared
from .facts import Facts, Memory
from .filters import install
from .logs import Part, log_text
from .masking import masked, masked_page
from .security import MAY_WRITE, Guard
from .statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.layout import Side
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from .keys import Keys

Page = dict[str, Any]

_ID = re.compile("[0-9a-f]{4,40}", re.ASCII)
"""The id of a commit, or its beginning, as git takes it."""
_MOST_DERIVED = 20_000
"""Packages, of whatever version, of which is kept what was derived from them."""
_LONGEST_TEXT = 2_000
"""Characters of a pattern that a search takes: any ref that people make, escaped. A longer one is made of wildcards."""


class View:
    """Opens a snapshot for each request. `at` fixes the revision that is shown; a page waits for what takes long for
    `patience` seconds."""

    def __init__(self, open_stores: Callable[[], Stores], at: str | None = None, patience: float = PATIENCE) -> None:
        self._open_stores = open_stores
        self._patience = patience
        self._local = threading.local()
        self.at = at
        self.memory = Memory()
        self._derived: dict[str, dict[str, Any]] = {}
        """What is derived from trees, by all threads: see `store.memory`."""

    def snapshot(self, at: str | None = None) -> Snapshot:
        """The stores as they are now, or were at the revision `at`, through this thread's own repository.

        What libgit2 reads it would keep, hundreds of MiB of a large store; `prepare_walk` says not to.
        """
        stores: Stores | None = getattr(self._local, "stores", None)
        if stores is None:
            stores = self._local.stores = self._open_stores()
            stores.surroundings.derived = self._derived
            for side in SIDES:
                stores.backend(side)[0].files.prepare_walk()
        for known in list(self._derived.values()):  # other threads add to it
            if len(known) > _MOST_DERIVED:
                known.clear()  # what is still wanted comes back from the memory of the repository
        return stores.snapshot(at or self.at)

    def was_there(self, at: str) -> bool:
        """Whether there were stores at a moment."""
        try:
            self.facts(at=at)
        except (StoreError, NotFound):
            return False
        return True

    def begin(self) -> None:
        """Begin with what takes long, before the first page asks for it."""
        facts = self.facts(0)
        facts.unfinished()
        compared(facts)

    def facts(self, patience: float | None = None, at: str | None = None) -> Facts:
        """The stores of this request, which waits so many seconds for what takes long (None: to its end).

        Raises StoreError where there are none, and NotFound where `at` names no moment.
        """
        return Facts(self.snapshot(at), self.memory, lambda: self.snapshot(at), patience)

    def answer(self, template: str, read: Callable[[Facts], Page]) -> Response:
        """The page in the form asked for, or 304 where the browser has it."""
        try:
            facts = self.facts(None if _wants_json() else self._patience, _at())
        except StoreError as error:
            if _at() is None:
                raise
            raise NotFound(error.message) from None  # there was none then
        tip = tip_of(facts.snapshot)
        # A page is another one every minute: it says how long ago things were, and claims run out without a commit.
        minute = f"{time.time() // 60:.0f}"
        right = "writes" if request.environ.get(MAY_WRITE) else ""
        words = "\0".join(
            (__version__, right, tip, self.at or "", request.full_path, request.headers.get("Accept", ""), minute)
        )
        tag = sha256(words.encode(errors="replace")).hexdigest()[:32]
        if tag in request.if_none_match:
            response = Response(status=304)
        else:
            page = masked_page(read(facts))
            if not facts.is_whole:
                # Not the whole page yet: no browser keeps it, and its script asks again.
                return Response(render(template, facts, self.at, f"{tip}~", page))
            if _wants_json():
                body = to_bytes(dump({"tip": tip, **page}) + "\n")
                response = Response(body, content_type="application/json")
            else:
                response = Response(render(template, facts, self.at, tip, page))
            if facts.running[0]:
                return response  # a log that goes on is another without any commit
        response.set_etag(tag)
        return response


def tip_of(snapshot: Snapshot) -> str:
    """What changes with every change of the stores: their commits. A directory has none, and changes by the clock."""
    parts = []
    for side in SIDES:
        backend, _ = snapshot.surroundings.backend(side)
        oid = snapshot.version(backend).oid
        parts.append(oid or ("-" if backend.repository is not None else f"{time.time() // 2:.0f}"))
    return parts[0] if parts[0] == parts[1] else "+".join(parts)


def create_app(
    open_stores: Callable[[], Stores],
    *,
    bound: str = "127.0.0.1",
    at: str | None = None,
    keys: Keys | None = None,
    patience: float = PATIENCE,
) -> Flask:
    """The application, guarded, for the stores that `open_stores` opens, once in each thread.

    With `keys` whoever has them can change something, too: what `actions` has.
    """
    app = pages_of(View(open_stores, at, patience))
    app.context_processor(lambda: {"may_write": keys is not None and writing.may_write()})
    if keys is not None:
        writing.install(app, open_stores, keys)
    app.register_error_handler(writing.Refused, lambda error: _problem(error, 403))
    app.wsgi_app = Guard(app.wsgi_app, bound, keys)  # type: ignore[method-assign]
    return app


def pages_of(view: View) -> Flask:
    """The application without its guard, and without anything that writes: the pages and what belongs to them."""
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.extensions["view"] = view
    install(app)
    _add_pages(app, view)
    _add_raw(app, view)
    app.register_error_handler(404, lambda error: _problem(NotFound("there is no such page"), 404))
    app.register_error_handler(Exception, _fault)
    app.register_error_handler(Error, lambda error: _problem(error, status_of(error)))
    return app


def _add_pages(app: Flask, view: View) -> None:
    """The pages: for each an address, its template, and the function that says what it shows."""

    def page(rule: str, template: str, read: Callable[..., Page]) -> None:
        def answer(**parts: str) -> Response:
            return view.answer(template, lambda facts: read(facts, **parts))

        app.add_url_rule(rule, f"page {rule}", answer)
        if not rule.endswith((">", "/")):
            app.add_url_rule(f"{rule}.json", f"json {rule}", answer)

    page("/", "overview.html", lambda facts: {**overview.overview(facts), **_latest(facts)})
    app.add_url_rule("/overview.json", "json /", lambda: view.answer("", overview.overview))
    page("/environments", "environments.html", lambda facts: environments.environments(facts, _number()))
    page("/deployments", "deployments.html", lambda facts: environments.deployments(facts, _number(), _text("q")))
    page("/packages", "packages.html", lambda facts: lists.packages(facts, _number(), _text("q")))
    page("/work", "work.html", lambda facts: lists.work(facts, _number(), _text("status"), _text("environment")))
    page("/custom", "custom.html", lambda facts: lists.custom(facts, _number()))
    page("/diff", "diff.html", lambda facts: lists.difference_page(facts, _number()))
    page(
        "/timeline",
        "timeline.html",
        lambda facts: timelines.timeline(facts, _text("environment"), _text("package"), _number()),
    )
    page("/metrics", "metrics.html", lambda facts: metrics.page(facts, _text("days"), _text("by"), _number()))
    page("/search", "search.html", _search)
    page("/commits", "commits.html", _commits)
    page("/commit/<text>", "commit.html", lambda facts, text: _commit(view, facts, text))
    page("/ref/<path:ref>", "ref.html", lambda facts, ref: details.page(facts, _ref(facts, ref), _number(0), _part()))
    page("/history/<path:ref>", "history.html", lambda facts, ref: details.history(facts, _ref(facts, ref), _start()))


def _add_raw(app: Flask, view: View) -> None:
    """What is no page: documents and logs as they are, and what the page asks to find out whether it is out of date."""

    @app.get("/raw/<path:ref>")
    def raw(ref: str) -> Response:
        subject = details.Subject(view.facts(at=_at()), ref)
        subject.require_readable()
        if subject.object is None or subject.object.kind != "ref":
            raise NotFound(f"no such document: '{ref}'")
        return Response(to_bytes(dump(masked(subject.object.body)) + "\n"), content_type="application/json")

    @app.get("/log/<path:ref>")
    def log(ref: str) -> Response:
        facts = view.facts(at=_at())
        text = log_text(facts, details.Subject(facts, ref).stored)
        return Response(to_bytes(text), content_type="text/plain; charset=utf-8")

    @app.get("/static/colours.css")
    def colours_of_logs() -> Response:
        response = Response(ansi.style_sheet(), content_type="text/css; charset=utf-8")
        response.set_etag(__version__)
        response.make_conditional(request)
        return response

    @app.get("/tip")
    def tip() -> Response:
        """The tip, and a text that changes with the log of the run that the page shows, while it goes on."""
        snapshot, run = view.snapshot(), _text("run")
        log = view.memory.running_log(snapshot.side("state"), run) if run else None
        now = tip_of(snapshot) + (f".{log.look(snapshot, run)[1]}" if log is not None else "")
        return Response(now, content_type="text/plain; charset=utf-8")


def _latest(facts: Facts) -> Page:
    backend, _ = facts.snapshot.backend_of(facts.state)
    oid = facts.snapshot.version(backend).oid
    if backend.repository is None or oid is None or not facts.tells_commits:
        return {"changes": []}
    return {"changes": changes.commit_page(facts.snapshot, backend, oid, 5)["commits"]}


def _search(facts: Facts) -> Page:
    query = _text("q")
    try:
        refs, groups = lists.search(facts, query, _number()), finding.found_by_words(facts, query)
        return {**refs, "groups": groups or [], "done": refs["done"] and groups is not None, "problem": ""}
    except GlobError as error:
        return {
            **lists.paged([], 1),
            "query": query,
            "glob": query,
            "suggestion": "",
            "groups": [],
            "done": True,
            "problem": error.message,
        }


def _commits(facts: Facts) -> Page:
    side: Side = "intent" if _text("side") == "intent" and facts.intent is not None else "state"
    tree = facts.side(side)
    assert tree is not None
    backend, _ = facts.snapshot.backend_of(tree)
    _, tip = facts.history_of(tree)
    changes.fetch_history(backend)
    oid = changes.commit_to_start_from(backend, _start()) or tip
    other = (
        facts.intent is not None
        and facts.snapshot.backend_of(facts.intent)[0] != facts.snapshot.backend_of(facts.state)[0]
    )
    folds = _text("logs") != "1"
    page = changes.commit_page(facts.snapshot, backend, oid, folds=folds)
    return {
        **page,
        "folds": folds,
        "side": side,
        "sides": ["state", "intent"] if other else [],
        "is_start": _start() is None,
    }


def _commit(view: View, facts: Facts, text: str) -> Page:
    text = text.removesuffix(".json")
    if _ID.fullmatch(text) is None:
        raise NotFound(f"'{text}' is no id of a commit")
    trees = [facts.state] if facts.intent is None else [facts.state, facts.intent]
    for tree in trees:
        backend, _ = facts.snapshot.backend_of(tree)
        oid = changes.commit_of_id(backend, text)
        if oid is not None:
            found = changes.one_commit(facts.snapshot, backend, oid)
            if found["changes"] or tree is trees[-1]:
                # Where the stores lie in two places, only a date is a moment of both.
                then = oid if len({facts.snapshot.backend_of(one)[0] for one in trees}) == 1 else found["committed"]
                then = then if view.was_there(then) else None
                return {**found, "then": then, "page": lists.paged(found["changes"], _number(), 100)}
    raise NotFound(f"there is no commit '{text}'")


# Requests


def _ref(facts: Facts, text: str) -> str:
    """The ref that an address names: without the `.json` that asks for the other form, unless that is its name.

    A package is called `web.json` as often as not, and has no document of its own: whatever there is counts.
    """
    if text.endswith(".json") and request.args.get("form") != PAGE and not details.leads_somewhere(facts, text):
        request.environ["view.json"] = True
        return text.removesuffix(".json")
    return text


def _text(name: str) -> str:
    return request.args.get(name, "")[:_LONGEST_TEXT]


def _number(default: int = 1, name: str = "page") -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _part() -> Part:
    """Which part of a log an address asks for."""
    return Part(_number(0, "start"), _number(0, "line"), _text("find"))


def _start() -> Oid | None:
    """The commit to go on from, where the address names one."""
    return _oid(request.args.get("from", ""))


def _oid(text: str) -> Oid | None:
    """The id that a text is; None for a text that is none."""
    return Oid(text) if is_whole_id(text) else None


def _wants_json() -> bool:
    if request.path.rstrip("/").endswith(".json") and not request.path.startswith(("/ref/", "/history/")):
        return True
    if request.environ.get("view.json"):
        return True
    accepted = request.accept_mimetypes
    return accepted.best_match(["text/html", "application/json"]) == "application/json"


def render(template: str, facts: Facts, fixed: str | None, tip: str, page: Page) -> str:
    """A page, of the present, the moment that its address names, or that which is `fixed`."""
    at = _at() or fixed
    return render_template(
        template,
        page=page,
        facts=facts,
        tip=tip,
        running=facts.running,
        at=at,
        command=commands.command_of(request.path, page, at),
        # Ages in the past count from then.
        now=_present(newest_time(facts.snapshot) if at else None),
        repository=facts.snapshot.base.repo,
        where=facts.snapshot.backend_of(facts.state)[0].where,
        has_history=facts.snapshot.backend_of(facts.state)[0].repository is not None,
    )


def _present(seconds: float | None) -> datetime:
    """The moment from which ages count: the one given, if a calendar has it, or now."""
    moment = parse_time(format_seconds(seconds)) if seconds is not None else None
    return moment or datetime.now(timezone.utc)


def _at() -> str | None:
    """The moment that the address asks for, as people write one: a commit, a revision, a date."""
    return _text("at").strip() or None


def _fault(error: Exception) -> Response:
    """A fault of ours: the reader gets one line, and so does the terminal."""
    if isinstance(error, HTTPException):
        return _problem(Fatal(error.name.lower()), error.code or 500)
    told = escaped(f"unexpected {type(error).__name__} on {request.path}: {error}")
    current_app.logger.error("%s", told)
    current_app.logger.debug("where it happened:", exc_info=error)
    return _problem(Fatal(f"unexpected {type(error).__name__}: {error}", hint="please report it"), 500)


def _problem(error: Error, status: int) -> Response:
    if _wants_json():
        body = to_bytes(dump({"error": error.message, "hint": error.hint}) + "\n")
        return Response(body, status=status, content_type="application/json")
    return Response(
        render_template(
            "problem.html", error=error, status=status, tip="", at=None, repository="", where="", has_history=True
        ),
        status=status,
    )
