"""Addresses of pages. Pure: refs and patterns in, paths out; every ref has one page, `/ref/<the ref>`."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ..formats.globs import escape

PAGE = "page"
"""The value of `form` that asks for a page, where the end of an address might ask for JSON."""
_KEPT = "/@+~:!$&'()*,;=-._"
"""What stands in a path as it is, so that a ref stays readable in the address bar."""
_LINK = re.compile(r'(href=")([/?][^"]*)"')
"""Templates write addresses so, and escape the quotes in all else."""
_MOMENTLESS = ("/static/", "/?now", "/commit/", "/commits", "/history/")
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
    return "/timeline?" + urlencode([(k, v) for k, v in (("environment", environment), ("package", package)) if v])


def of_commit(oid: str) -> str:
    """The page of a commit of the store."""
    return f"/commit/{quote(oid, safe='')}"


def at_moment(page: str, at: str | None) -> str:
    """A page whose links to other pages, and to other parts of itself, stay at a moment in the past."""
    moment = urlencode({"at": at})

    def stay(found: re.Match[str]) -> str:
        address, hash_sign, place = found[2].partition("#")
        if address.startswith(_MOMENTLESS):
            return found[0]
        return f'{found[1]}{address}{"&amp;" if "?" in address else "?"}{moment}{hash_sign}{place}"'

    return _LINK.sub(stay, page)
