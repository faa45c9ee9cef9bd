"""Addresses of pages. Pure: refs and patterns in, paths out; every ref has one page, `/ref/<the ref>`."""

from __future__ import annotations

from urllib.parse import quote, urlencode

_KEPT = "/@+~:!$&'()*,;=-._"
"""What stands in a path as it is, so that a ref stays readable in the address bar."""


def of_ref(ref: str, kind: str = "ref") -> str:
    """The page of a ref, or its raw form (`raw`), its logs as text (`log`), its history (`history`)."""
    plain, hash_sign, fragment = ref.partition("#")
    path = f"/{kind}/{quote(plain, safe=_KEPT)}"
    return f"{path}?{urlencode({'part': fragment})}" if hash_sign and fragment else path


def is_addressable(ref: str) -> bool:
    """Whether a ref can stand in an address: not where a name in the store is no UTF-8."""
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return "/../" not in f"/{ref}/" and "/./" not in f"/{ref}/"


def of_search(glob: str) -> str:
    """The page of what matches a pattern."""
    return "/search?" + urlencode({"q": glob})


def of_commit(oid: str) -> str:
    """The page of a commit of the store."""
    return f"/commit/{quote(oid, safe='')}"
