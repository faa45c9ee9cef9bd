"""Addresses of pages. Pure: refs and patterns in, paths out; every ref has one page, `/ref/<the ref>`.

The functions say which page is meant; `Served` says how another page leads there.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from ..formats.globs import escape

PAGE = "page"
"""The value of `form` that asks for a page, where the end of an address might ask for JSON."""
_KEPT = "/@+~:!$&'()*,;=-._"
"""What stands in a path as it is, so that a ref stays readable in the address bar."""
_MOMENTLESS = ("/?now", "/?at=", "/do", "/commit/", "/commits", "/history/")
"""What is the same at every moment, or tells of all of them."""


def of_ref(ref: str, kind: str = "ref", **query: str | int) -> str:
    """The page of a ref, or its raw form (`raw`), its logs as text (`log`), its history (`history`)."""
    plain, hash_sign, fragment = ref.partition("#")
    path = of_path(f"/{kind}/{plain}")
    if hash_sign and fragment:
        query["part"] = fragment
    if kind == "history" and plain.endswith(".json"):
        query["form"] = PAGE  # what is gone does not say any more that `.json` is a part of its name
    return f"{path}?{urlencode(query)}" if query else path


def of_path(path: str) -> str:
    """A path as it stands in an address."""
    return quote(path, safe=_KEPT)


def query_of(values: dict[str, str]) -> str:
    """Parameters as they stand in an address, in the order of their names."""
    return urlencode(sorted(values.items()))


def is_addressable(ref: str) -> bool:
    """Whether a ref can stand in an address: not where a name in the store is no UTF-8."""
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return "/../" not in f"/{ref}/" and "/./" not in f"/{ref}/"


def is_web_address(text: str) -> bool:
    """Whether a text is an address that may become a link out."""
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


def of_search(glob: str) -> str:
    """The page of what matches a pattern."""
    return "/search?" + urlencode({"q": glob})


def of_below(ref: str) -> str:
    """The page of all refs below a ref, whatever characters it holds."""
    return of_search(f"{escape(ref)}/**")


def of_timeline(environment: str, package: str) -> str:
    """The page of what was deployed in an environment, of a package; an empty name is that of all."""
    query = urlencode([(k, v) for k, v in (("environment", environment), ("package", package)) if v])
    return f"/timeline?{query}" if query else "/timeline"


def of_work(environment: str, status: str) -> str:
    """The page of what is to be done, for an environment and with a status; empty ones are those of all."""
    query = urlencode([(k, v) for k, v in (("environment", environment), ("status", status)) if v])
    return f"/work?{query}" if query else "/work"


def of_commit(oid: str) -> str:
    """The page of a commit of the store."""
    return f"/commit/{quote(oid, safe='')}"


def of_commits(side: str, start: str | None = None, *, is_whole: bool = False) -> str:
    """The page of the commits of a store, from one on, with those that only record logs if `is_whole`."""
    query = [("side", side), *([("from", start)] if start else []), *([("logs", "1")] if is_whole else [])]
    return "/commits?" + urlencode(query)


class Served:
    """How pages lead to each other that are served. Those of a moment in the past (`at`) lead on within it."""

    def __init__(self, at: str | None = None) -> None:
        self._moment = urlencode({"at": at}) if at is not None else ""

    def link(self, address: str) -> str:
        """What leads to an address, or to another form of the same page where it begins with `?`; never empty."""
        if not self._moment or address[:1] not in ("/", "?") or address.startswith(_MOMENTLESS):
            return address
        address, hash_sign, place = address.partition("#")
        return f"{address}{'&' if '?' in address else '?'}{self._moment}{hash_sign}{place}"

    def static(self, name: str) -> str:
        """What leads to a style sheet, a script or a picture of ours."""
        return f"/static/{name}"
