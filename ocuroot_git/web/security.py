"""What may ask, and what every answer says about itself: a WSGI application around the view's own.

The view shows what a repository holds to whoever reaches its port, so nothing but the user's own browser may. Being
bound to loopback is not enough: any web site can make a browser send requests there, and with a name of its own that
leads to 127.0.0.1 it can read the answers (DNS rebinding). Hence the check of `Host`, and of what a browser says
about who asked (`Sec-Fetch-*`). Nothing here trusts the application inside: its headers are replaced.

Where the view may write (`view --write`), one kind of request may change something: POST to an action, with the cookie
that was given for the key, from a page of ours. The application looks, besides, whether what is asked was sealed by it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .keys import Keys

    Answer = tuple[str, str, list[tuple[str, str]]]
    """Status, text and more headers."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
ACTIONS = "/do/"
"""Where the addresses begin at which something is done."""
MAY_WRITE = "ocuroot.may_write"
"""Set in the environment of a request that has the cookie."""
MOST_BYTES = 1 << 15
"""Bytes that a form may have."""
_FORM = "application/x-www-form-urlencoded"
_UNWANTED = frozenset(("set-cookie", "server", "vary", *(name.lower() for name in HEADERS)))
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)


class Guard:
    """Answers what must not be asked by itself, and lets the rest through to `application`.

    `bound` is the host that the server listens at: besides the names of loopback it is the one that is answered to.
    Where that is every address of the machine (`0.0.0.0`, `::`), any IP address will do: rebinding needs a name.
    Without `keys` nothing but reading is let through.
    """

    def __init__(self, application: WSGIApplication, bound: str, keys: Keys | None = None) -> None:
        self._application = application
        self._keys = keys
        self._hosts = _LOOPBACK | {bound.strip("[]").lower()}
        self._any_address = bound.strip("[]") in ("0.0.0.0", "::", "")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._refuse(environ) or self._exchange_key(environ)
        if answer is not None:
            status, text, more = answer
            body = f"{text}\n".encode()
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *more]
            start_response(status, [*headers, *HEADERS.items()])
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
        environ[MAY_WRITE] = self._keys is not None and self._keys.has_cookie(environ)
        return self._application(environ, _with_headers(start_response))

    def _refuse(self, environ: WSGIEnvironment) -> Answer | None:
        if not self.is_known(environ.get("HTTP_HOST", "")):
            return "400 Bad Request", "this is not the host you asked for", []
        if not _is_text(environ.get("QUERY_STRING", "")):
            return "400 Bad Request", "this address is no UTF-8", []
        method = environ.get("REQUEST_METHOD")
        if method == "POST" and self._keys is not None and environ.get("PATH_INFO", "").startswith(ACTIONS):
            return _refuse_form(environ, self._keys)
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "this page is read-only", [("Allow", "GET, HEAD")]
        if not _asked_by_us(environ):
            return "403 Forbidden", "another site asked for this", []
        return None

    def _exchange_key(self, environ: WSGIEnvironment) -> Answer | None:
        """Give the cookie for a key, and lead to the same address without it."""
        asked = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        keys = [value for name, value in asked if name == "key"]
        if self._keys is None or not keys or environ.get("PATH_INFO") != "/" or environ["REQUEST_METHOD"] != "GET":
            return None
        if not self._keys.accept(keys[0]):
            return "403 Forbidden", "this key is not, or no more, that of this view: see the terminal it runs in", []
        rest = urlencode([(name, value) for name, value in asked if name != "key"])
        target = f"/?{rest}" if rest else "/"
        return "303 See Other", "", [("Location", target), ("Set-Cookie", self._keys.cookie(environ))]

    def is_known(self, host: str) -> bool:
        """Whether a `Host` header names this server: one of its names, in any case, with any port or none."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        return name in self._hosts or (self._any_address and _is_address(name))


def _is_text(query: str) -> bool:
    """Whether the bytes of an address that are not escaped are text."""
    try:
        query.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def _asked_by_us(environ: WSGIEnvironment) -> bool:
    """Whether our own page asked, or the user: by typing an address, or by following a link from anywhere.

    Browsers say so; what says nothing is no browser, and no web site can send requests by it. Another port of this
    machine is `same-site`, and as foreign as any.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    if site in ("none", "same-origin"):
        return True
    return environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and environ.get("HTTP_SEC_FETCH_DEST") == "document"


def _refuse_form(environ: WSGIEnvironment, keys: Keys) -> Answer | None:
    """What is wrong with a request to do something: it must come from a page of ours, and with the cookie."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    # Under our own policy for referrers browsers say `null` for a form of ours as well; then the other header counts.
    is_ours = origin == f"http://{environ['HTTP_HOST']}" or (origin in (None, "null") and site == "same-origin")
    if not is_ours or site not in (None, "same-origin"):
        return "403 Forbidden", "another site asked for this", []
    if not keys.has_cookie(environ):
        return "403 Forbidden", "only who started the view may do this: open the address that it printed", []
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != _FORM:
        return "415 Unsupported Media Type", "this is no form", []
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        return "411 Length Required", "how long is the form?", []
    if len(length) > 10 or int(length) > MOST_BYTES:
        return "413 Content Too Large", "the form is too large", []
    return None


def _with_headers(start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        kept = [(name, value) for name, value in headers if name.lower() not in _UNWANTED]
        return start_response(status, [*kept, *HEADERS.items(), ("Vary", "Accept, Cookie")], exc_info)  # type: ignore[arg-type]

    return start


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
