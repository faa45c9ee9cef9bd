"""The one place that takes secrets out of what people read, and out of names that are kept (design 8).

Passwords and tokens stand in URLs (before the host, in the query), in headers and in options, and git and curl repeat
them in words of their own. So what looks like a secret is taken out of every text, and besides what is known to be
one: `learn` is told the texts (values of the configuration, URLs) that may hold some.

Every error redacts its message as it is made (`errors.Error`), and the terminal what it says on stderr.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from typing import Final

HIDDEN: Final = "***"

_SECRET: Final = r"key|tok[ei]n|secret|passw|passphrase|pwd|sig|auth(?!or\b)|cred|sess|jwt|bearer|private|access|sas"
"""What the name of a parameter holds whose value is a secret: `access_key`, `private_token`, `X-Amz-Signature`."""
_HEADERS: Final = ("token", "secret", "passwd", "password", "api-key", "apikey", "cookie", "authorization")
_URL: Final = r"([A-Za-z][A-Za-z\d+.-]{0,40})://((?:(?![A-Za-z][A-Za-z\d+.-]{0,40}://)"
"""A scheme, whatever is written before it without a space, and what comes up to the next one."""
_KEEPS_USER: Final = ("ssh", "git", "git+ssh", "ssh+git", "file")
"""Schemes whose user is a name, and decides which repository is meant (`~`). Of others it may be a token."""
_QUOTES: Final = "'\".,:;)]"
"""What may follow a URL in a sentence."""
_SHORTEST: Final = 4
"""Characters from which on a known secret is taken out wherever it stands: fewer are found by chance."""

_unread: set[str] = set()
"""What `learn` was told, and nobody has needed yet."""
_known: dict[str, str] = {}
"""Secrets, and URLs that hold some, with what is shown instead."""


def redact(text: str) -> str:
    """A text for people, without the passwords and tokens in it."""
    text = _without_known(text)
    if not _may_hold_one(text):
        return text
    import re

    # A text may be megabytes of one word: every repetition that could begin anywhere is bounded, or begins at a word.
    text = re.sub(_URL + r"\S)+)", _redacted_url, text)
    text = re.sub(r"(?<![\w/:.*-])([\w.+-]{1,80}):([^\s/:@][^\s/@]{0,80})@(?=[\w.-]{1,80}[:/])", rf"\1:{HIDDEN}@", text)
    text = re.sub(
        r"(?i)(authorization: *(?:(?:basic|bearer|token|digest|negotiate) +)?)[^\s'\"]+", rf"\1{HIDDEN}", text
    )
    text = re.sub(r"(?<![\w-])([\w-]+)(: *)([^\s'\"]+)", _redacted_header, text)
    value = r"[^&;#\s]+?(?=['\")\],.:]{0,8}(?:[&;#\s]|$))"
    return re.sub(rf"(?<![\w.%\[\]-])([\w.%\[\]-]+)(=)({value})", _redacted_parameter, text)


def redact_certain(text: str) -> str:
    """A text of others without the secrets that are certain to be some: known ones, and passwords in URLs.

    For what commands print, in which `design=…` and `signal=…` are no secrets, though `redact` cannot tell.
    """
    text = _without_known(text)
    if "://" not in text:
        return text
    import re

    return re.sub(_URL + r"\S)+)", _redacted_url, text)


def learn(text: str) -> None:
    """Take note of the secrets in a URL, or in the name or value of a configuration, so that `redact` knows them.

    Cheap: it is looked into when there is first something to redact.
    """
    scheme, separator, rest = text.partition("://")
    user, at, _ = rest.partition("@")
    is_login = bool(at) and (":" in user or not scheme.lower().endswith(_KEEPS_USER))
    if is_login or (separator and "?" in rest) or (": " in text and any(word in text.lower() for word in _HEADERS)):
        _unread.add(text)


def without_secrets(url: str) -> str:
    """A URL without user, password and the parameters that are secrets: the same whichever token it is used with.

    The user stays where it is part of what is named (ssh). For names and comparisons; `redact` is for people.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    import re

    userinfo, host, query = split_url(rest)
    user = userinfo.partition(":")[0] if scheme.lower() in _KEEPS_USER else ""
    kept = [part for part in re.split(r"[?&;#]", query)[1:] if not re.search(_SECRET, part.partition("=")[0], re.I)]
    return f"{scheme}://{user and user + '@'}{host}" + ("?" + "&".join(kept) if kept else "")


def has_secret(url: str) -> bool:
    """Whether a URL holds a password, a token or the like."""
    scheme, separator, rest = url.partition("://")
    userinfo = split_url(rest)[0] if separator else ""
    return ":" in userinfo or (bool(userinfo) and scheme.lower() not in _KEEPS_USER) or redact(rest) != rest


def split_url(rest: str) -> tuple[str, str, str]:
    """User and password, host and path, and the query, of what stands behind `://`.

    A password may hold a raw `@`, and a raw `/`, `?` or `#` too, though git takes that for the end of the host: the
    port that it then finds is none.
    """
    end = min([at for at in map(rest.find, "/?#") if at >= 0], default=len(rest))
    at = rest.rfind("@", 0, end)
    host, colon, port = rest[at + 1 : end].rpartition(":")
    if at < 0 and colon and not host.startswith("[") and not port.rstrip(_QUOTES).isdecimal() and port.strip(_QUOTES):
        at = rest.rfind("@")
    userinfo, where = (rest[:at], rest[at + 1 :]) if at >= 0 else ("", rest)
    query = min([found for found in map(where.find, "?#") if found >= 0], default=len(where))
    return userinfo, where[:query], where[query:]


def _may_hold_one(text: str) -> bool:
    """Whether a text needs a closer look. Most do not, and are spared the time to load regular expressions."""
    if "=" in text or "://" in text:
        return True
    behind_colons = text.split(":")[1:]
    if any("@" in piece.split(None, 1)[0] for piece in behind_colons if piece.strip() and not piece[0].isspace()):
        return True
    return bool(behind_colons) and any(word in text.lower() for word in _HEADERS)


def _redacted_url(match: Match[str]) -> str:
    scheme, rest = match[1], match[2]
    userinfo, where, query = split_url(rest)
    if not userinfo:
        return match[0]
    user, colon, _ = userinfo.partition(":")
    shown = HIDDEN
    if scheme.lower() in _KEEPS_USER:
        shown = f"{user}:{HIDDEN}" if colon else user
    return f"{scheme}://{shown}@{where}{query}"


def _redacted_header(match: Match[str]) -> str:
    return f"{match[1]}{match[2]}{HIDDEN}" if match[1].lower().endswith(_HEADERS[:-1]) else match[0]


def _redacted_parameter(match: Match[str]) -> str:
    """A parameter named just `key` is a secret in a query alone: elsewhere people speak of keys and values."""
    import re

    before = match.string[: match.start()][-1:]
    if match[1].lower() == "key" and before not in ("?", "&", ";"):
        return match[0]
    return f"{match[1]}={HIDDEN}" if re.search(_SECRET, match[1], re.I) else match[0]


def _learn_url(scheme: str, rest: str) -> None:
    import re

    userinfo, where, query = split_url(rest)
    user, colon, password = userinfo.partition(":")
    if colon:
        _know(password)
    elif userinfo and scheme.lower() not in _KEEPS_USER and len(user) >= 16:
        _know(user)  # a token: a name would be shorter
    parts = re.split(r"([?&;#])", query)
    shown = ""
    for separator, part in zip(parts[1::2], parts[2::2]):
        name, equals, value = part.partition("=")
        if re.search(_SECRET, name, re.I):
            _know(value if equals else "")
        shown += f"{separator}{name}{equals}{HIDDEN if value else ''}"
    if query:
        _known[where + query] = where + shown


def _know(secret: str) -> None:
    """Take note of a secret, as it stands and as git and curl read it."""
    if len(secret) < _SHORTEST:
        return
    from urllib.parse import quote, unquote

    for form in {secret, unquote(secret), quote(secret, safe=""), quote(unquote(secret), safe="")}:
        if len(form) >= _SHORTEST:
            _known[form] = HIDDEN


def _read(text: str) -> None:
    """Find the secrets in what `learn` was told."""
    import re

    for scheme, rest in re.findall(_URL + ".)+)", text):
        _learn_url(scheme, rest)
    header = re.fullmatch(r"(?i)([\w-]+): *(?:(?:basic|bearer|token) +)?(\S+)", text)
    if header and re.search(_SECRET, header[1], re.I):
        _know(header[2])


def _without_known(text: str) -> str:
    while _unread:
        _read(_unread.pop())
    for known in sorted(_known, key=len, reverse=True):
        text = text.replace(known, _known[known])
    return text
