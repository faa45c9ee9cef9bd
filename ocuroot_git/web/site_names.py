"""How the pages of a site are called as files: each address has a name of its own, on every file system. Pure.

A name has lower-case letters, digits and `-@.=_` alone, so that it says the same with and without case, as a file and
in an address. `=` stands before a letter that is upper case, `_` before the two digits of any other byte; two `_` begin
the digest that takes the place of what is too long.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qsl, unquote

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-@")
_DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(10))))
"""Names that Windows keeps for itself, whatever comes after a dot."""
_LONGEST_NAME = 100
_LONGEST_PATH = 180
_DIGEST = 40
_PAGE = "index"
"""The name of the files of a page, in the directory of the page; no directory's name begins with it and a dot."""


@lru_cache(1 << 14)
def name_of(segment: str) -> str:
    """The name of a directory for a segment of an address. No two segments have the same name."""
    plain = "".join(_written(segment, at) for at in range(len(segment)))
    head = plain.partition(".")[0]
    if head in _DEVICES or plain.startswith(f"{_PAGE}."):
        plain = f"_{ord(plain[0]):02x}{plain[1:]}"
    return _shortened(plain, segment, _LONGEST_NAME) if plain else "_"


def _written(segment: str, at: int) -> str:
    char = segment[at]
    if char in _PLAIN or (char == "." and 0 < at < len(segment) - 1):
        return char
    if char.isascii() and char.isupper():
        return f"={char.lower()}"
    return "".join(f"_{byte:02x}" for byte in char.encode(errors="surrogateescape"))


def _shortened(name: str, of: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    digest = sha256(of.encode(errors="surrogateescape")).hexdigest()[:_DIGEST]
    return f"{name[: longest - _DIGEST - 2]}__{digest}"


def directory_of(*segments: str) -> str:
    """The directory of a page, from the top of the site and with a `/` at its end, by the segments of its address."""
    path = "/".join(map(name_of, segments))
    if len(path) > _LONGEST_PATH:
        path = f"{name_of(segments[0])}/{_shortened('', '/'.join(segments), -1)}"
    return f"{path}/" if path else ""


def page_file(address: str, ending: str = "html") -> str:
    """The file of the page at an address (`/work?status=failed`): HTML, or another form of it (`json`, `txt`)."""
    path, _, query = address.partition("?")
    asked = parse_qsl(query)
    segments = [unquote(segment, errors="surrogateescape") for segment in path.strip("/").split("/") if path != "/"]
    if path == "/timeline":
        given = dict(asked)
        places = [given.get("environment", ""), *given.get("package", "").split("/")]
        segments += places if places[1:] != [""] else places[:1] if places[0] else []
        asked = [(name, value) for name, value in asked if name not in ("environment", "package")]
    words = "".join(f".{name}-{name_of(value).replace('.', '_2e')}" for name, value in sorted(asked))
    return f"{directory_of(*segments)}{_PAGE}{words}.{ending}"


def file_beside(directory: str, name: str) -> str:
    """A file that belongs to the page of a directory, by a name of ours."""
    return f"{directory}{_PAGE}.{name}"


def badge_file(package: str, environment: str) -> str:
    """The badge of a package in an environment."""
    directory = directory_of("badge", *package.split("/"))
    return f"{directory.replace('.svg/', '_2esvg/')}{name_of(environment)}.svg"


def relative(file: str, target: str) -> str:
    """What leads from a file of a site to another."""
    here, there = file.split("/")[:-1], target.split("/")
    common = 0
    while common < min(len(here), len(there) - 1) and here[common] == there[common]:
        common += 1
    return "../" * (len(here) - common) + "/".join(there[common:])
