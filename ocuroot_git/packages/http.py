"""The one door to the network for packages: what `http.*` calls (design 14)."""

from __future__ import annotations

from ..redaction import redact
from .files import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from http.client import HTTPMessage
    from typing import IO, Any, Final
    from urllib.request import OpenerDirector, Request

_SECONDS: Final = 60.0
_LARGEST: Final = 16 << 20
_FOR_ONE_SERVER: Final = ("Authorization", "Cookie", "Cookie2", "Proxy-authorization", "Www-authenticate")
"""Headers that are not sent to another server: who is redirected there did not mean to log in there."""


def request(method: str, url: str, headers: dict[str, Any], body: str) -> dict[str, Any]:
    """Send a request; gives `status_code`, `status_text`, `headers` (lists of strings) and `body`, of any status.

    Raises HostError where there is no answer, or one that is too large.
    """
    import http.client
    import urllib.error

    what = f"http.{method.lower()}: '{redact(url)}'"
    if not url.startswith(("http://", "https://")):
        raise HostError(f"{what} is no http or https URL")
    try:
        asked = _request(method, url, headers, body, what)
        try:
            answer = _opener().open(asked, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            answer = error  # it is an answer, whatever its status
        with answer:
            data = answer.read(_LARGEST + 1)
    except http.client.InvalidURL:  # its text has parts of the URL, which may be those of a password
        raise HostError(f"{what} is no valid URL") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise HostError(f"{what}: {getattr(error, 'reason', None) or error}") from None
    if len(data) > _LARGEST:
        raise HostError(f"{what}: the answer is over {_LARGEST >> 20} MiB")
    found: dict[str, list[str]] = {}
    for name, value in answer.headers.items():
        found.setdefault(name.title(), []).append(value)
    status = int(answer.status or 0)
    text = f"{status} {answer.reason}".strip()
    return {"status_code": status, "status_text": text, "headers": found, "body": data.decode(errors="replace")}


def _request(method: str, url: str, headers: dict[str, Any], body: str, what: str) -> Request:
    """The request; a user and a password in the URL are sent as a header, as browsers do."""
    from base64 import b64encode
    from urllib.parse import unquote, urlsplit
    from urllib.request import Request

    try:
        parts = urlsplit(url)
    except ValueError:
        raise HostError(f"{what} is no valid URL") from None
    userinfo, at, host = parts.netloc.rpartition("@")
    # A body of none, not an empty one: else a GET would say how long it is.
    asked = Request(parts._replace(netloc=host).geturl(), method=method, data=body.encode() or None)
    if at:
        user, _, password = userinfo.partition(":")
        login = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        asked.add_header("Authorization", f"Basic {login}")
    for name, values in headers.items():
        all_values = [str(value) for value in (values if isinstance(values, list) else [values])]
        if any("\n" in value or "\r" in value for value in all_values):
            raise HostError(f"{what}: the header '{name}' holds the end of a line")
        asked.add_header(str(name), ("; " if str(name).lower() == "cookie" else ", ").join(all_values))
    return asked


def _opener() -> OpenerDirector:
    """What sends requests, and follows redirections as Ocuroot does."""
    from urllib.error import HTTPError
    from urllib.parse import urlsplit
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Redirections(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> Request:
            old, new = urlsplit(req.full_url), urlsplit(newurl)
            if new.scheme not in ("http", "https"):
                raise HTTPError(req.full_url, code, msg, headers, fp)
            method, data = req.get_method(), req.data
            if code in (301, 302, 303) and method not in ("GET", "HEAD"):
                method, data = "GET", None
            kept = {name: value for name, value in req.headers.items() if data is not None or name != "Content-type"}
            if (old.scheme, old.netloc) != (new.scheme, new.netloc):
                kept = {name: value for name, value in kept.items() if name not in _FOR_ONE_SERVER}
            return Request(newurl, data, kept, unverifiable=True, method=method)

        http_error_308 = HTTPRedirectHandler.http_error_302  # before Python 3.11 it was not known

    opener = build_opener(Redirections)
    opener.addheaders = [("User-Agent", "git-ocuroot")]
    return opener
