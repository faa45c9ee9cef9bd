"""Who may change something by the page: whoever was shown the key of this process, and then has its cookie (design 10).

The key stands in the first address, which is printed; it is exchanged for a cookie at once, so that it stays in no
history and no `Referer`. What a form is to do is sealed, so that it does what its page showed, and nothing else.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from hashlib import sha256
from typing import TYPE_CHECKING

from werkzeug.http import parse_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BYTES = 32


class Keys:
    """The secrets of one process. Nothing of them is kept anywhere but in its memory."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(_BYTES)
        self._once = secrets.token_urlsafe(_BYTES)
        self._cookie = secrets.token_urlsafe(_BYTES)
        self._seal = secrets.token_bytes(_BYTES)
        self._lock = threading.Lock()

    def address(self, first: str) -> str:
        """The address that people are told: `first` with the key."""
        return f"{first}?key={self._key}"

    def address_for_program(self, first: str) -> str:
        """One that is handed to the program that opens a browser: others can read that program's arguments.

        So it serves once. Who comes second is refused, and a reader whose browser is refused knows that it was used.
        """
        return f"{first}?key={self._once}"

    def accept(self, key: str) -> bool:
        """Whether a key is one of ours, that may still be used. It counts as used then."""
        if _equal(key, self._key):
            return True
        with self._lock:
            if not self._once or not _equal(key, self._once):
                return False
            self._once = ""
            return True

    def cookie(self, environ: WSGIEnvironment) -> str:
        """The header that gives a browser the cookie. It goes with requests of our own pages alone, never of others."""
        return f"{_cookie_name(environ)}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def has_cookie(self, environ: WSGIEnvironment) -> bool:
        """Whether a request has the cookie."""
        # Ours is ASCII; beside it are those of other servers on this machine, which may hold any bytes.
        sent = environ.get("HTTP_COOKIE", "").encode("ascii", "ignore").decode()
        return _equal(parse_cookie(sent).get(_cookie_name(environ)) or "", self._cookie)

    def seal(self, text: str) -> str:
        """A token that says that a text was made by this process."""
        return hmac.new(self._seal, text.encode(errors="surrogatepass"), sha256).hexdigest()

    def is_sealed(self, text: str, token: str) -> bool:
        """Whether a token is the one of a text."""
        return _equal(token, self.seal(text))


def _cookie_name(environ: WSGIEnvironment) -> str:
    """Cookies know no ports: two views of one machine must not take each other's."""
    return f"ocuroot-{environ.get('SERVER_PORT', '')}"


def _equal(one: str, other: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
