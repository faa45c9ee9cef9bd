"""URLs of repositories as git reads them: what is one, where its host and its path are, and the name it gives in refs.

git knows three forms: `scheme://[user@]host[:port]/path`, scp's `[user@]host:path`, and paths of this machine; each
may stand behind the name of a helper, `helper::…`.
"""

from __future__ import annotations

from ..redaction import split_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def is_url(text: str) -> bool:
    """Whether git would take a text for a URL, or for `host:path`, and not for a path of this machine."""
    return "://" in text or _scp(text) is not None


def helper(url: str) -> str | None:
    """The program that git would run for `<helper>::<address>`; None where it is a URL or path of git's own."""
    name, separator, _ = url.partition("::")
    plain = name.replace("+", "").replace("-", "").replace(".", "")
    return name if separator and (not name or (plain.isascii() and plain.isalnum())) else None


def name_of_url(url: str) -> str:
    """The name that a repository's URL gives it in refs: without scheme, user and `.git`; empty for a relative path.

    No part of it is a secret: neither password nor query is in it.
    """
    if helper(url) is not None:
        url = url.partition("::")[2]
    _, separator, rest = url.partition("://")
    if separator:
        path = split_url(rest)[1]
    elif (found := _scp(url)) is not None:
        path = "/".join(found)
    elif url.startswith("/"):
        path = url
    else:
        return ""
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]  # as 'git clone .' writes
    return "/".join(segments).removesuffix(".git").rstrip("/")


def host_of(url: str) -> str | None:
    """The host, with the port if there is one, that an HTTP URL leads to; None for other URLs and for paths."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    return split_url(rest)[1].partition("/")[0].lower()


def is_without_accounts(url: str) -> bool:
    """Whether whoever reaches a URL may do there what all others may: a path of this machine, or git's own daemon."""
    scheme, separator, _ = url.partition("://")
    return helper(url) is None and (scheme.lower() in ("file", "git") if separator else not is_url(url))


def rewritten(url: str, rules: Iterable[tuple[str, str]]) -> str:
    """A URL after `url.<base>.insteadOf`: `rules` are pairs of a prefix and the base that replaces it.

    Of those that fit the longest counts, and of equal ones the first, as in git.
    """
    fitting = [(prefix, base) for prefix, base in rules if url.startswith(prefix)]
    if not fitting:
        return url
    prefix, base = max(fitting, key=lambda rule: len(rule[0]))
    return base + url[len(prefix) :]


def _scp(url: str) -> tuple[str, str] | None:
    """Host and path of scp's form, `[user@]host:path`, where the host may stand in brackets; None for other forms."""
    host, colon, path = url.partition(":")
    if not colon or "/" in host:
        return None
    user, _, bracketed = url.partition("[")
    inside, end, after = bracketed.partition("]:")
    if end and "/" not in inside and (not user or user.endswith("@")):
        # `[host:port]` or an IPv6 address, which keeps the brackets, for what they are there for
        return (f"[{inside}]" if inside.count(":") > 1 else inside), after
    return host.rpartition("@")[2], path
