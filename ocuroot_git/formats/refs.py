"""References: the addresses of documents (design 3). Pure: text in, parts out.

    [repo]/-/[path]/@[release]/[type]/[name]#[fragment]     state
    [repo]/-/[path]/+[release]/[type]/[name]#[fragment]     intent
    @/environment/[name]   +/custom/[name]                  global

The grammar, as it is read from left to right:

* the *head* is all before the first segment that starts with `@` or `+` (the *marker*); it is `repo/-/path`,
  where the repo ends at the first `-` that is not the first segment, or a path alone;
* the marker's rest is the release; after it come a type and one or more names;
* `./call/build` (this release), `./@/…` (this package), `./-/path/…` and `//path/…` (this repo) are relative.
"""

from __future__ import annotations

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

STATE: Final = "@"
INTENT: Final = "+"
TYPES: Final = frozenset(("call", "deploy", "custom", "environment", "commit", "op", "push"))
LONGEST_SEGMENT: Final = 255
"""Bytes in a segment: what file systems allow in a name, so that every store can be a directory."""
LONGEST: Final = 4000
"""Bytes in a ref that is written: a path that programs can open. Longer ones that are there already are read."""
RESERVED: Final = frozenset(("@object.json", "@ref.txt"))
"""The store's own file names, which no segment may bear."""

_CHECKED: Final[set[str]] = set()
_MOST_CHECKED: Final = 4096
"""Segments found valid, and how many are remembered: a bulk write checks the same few again and again."""

# What HFS+ drops from a file name; git's fsck, and so many a server, takes `.g\u200cit` for `.git`.
_IGNORED_BY_HFS: Final = frozenset(
    chr(code)
    for first, last in ((0x200C, 0x200F), (0x202A, 0x202E), (0x206A, 0x206F), (0xFEFF, 0xFEFF))
    for code in range(first, last + 1)
)


class RefError(Fatal, ValueError):
    """A text is no ref; the message names the segment and says why."""


class Ref:
    """A parsed ref in normal form. Immutable; `str()` formats it and `Ref.parse` reads that back to an equal ref.

    `repo` is `.` for "this repo" and empty where the ref has none; `path` is `.` for "this package" or "this
    release"; `marker` is `@`, `+` or empty; `type` and `name` are the two parts of the subpath; `fragment` is
    kept as it was written, without the `#`.
    """

    __slots__ = ("fragment", "marker", "name", "path", "release", "repo", "type")

    repo: str
    path: str
    marker: str
    release: str
    type: str
    name: str
    fragment: str

    def __init__(
        self,
        repo: str = "",
        path: str = "",
        marker: str = "",
        release: str = "",
        type: str = "",
        name: str = "",
        fragment: str = "",
    ) -> None:
        put = object.__setattr__
        put(self, "repo", repo)
        put(self, "path", path)
        put(self, "marker", marker)
        put(self, "release", release)
        put(self, "type", type)
        put(self, "name", name)
        put(self, "fragment", fragment)

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"a Ref is immutable; make another with replace({attribute}=…)")

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read a ref in any of its spellings. Raises RefError, which names the segment at fault."""
        ref = _PARSED.get(text)
        if ref is None:
            ref = _parse(text)
            if len(_PARSED) >= _MOST_PARSED:
                _PARSED.clear()
            _PARSED[text] = ref
        return ref

    @property
    def is_global(self) -> bool:
        """Whether the ref belongs to the store as a whole, as `@/environment/production` does."""
        return bool(self.marker) and not self.repo and not self.path

    @property
    def is_intent(self) -> bool:
        """Whether the ref says what is wanted (`+`), not what is."""
        return self.marker == INTENT

    @property
    def is_relative(self) -> bool:
        """Whether the ref needs a base to mean something: `absolute` gives it one."""
        return self.repo == "." or (self.path == "." and not self.repo)

    def absolute(self, base: Ref) -> Ref:
        """This ref as seen from `base`: of the same repo, package or release, as far as it is relative.

        Raises RefError where the base has no such thing, as a global ref has no repo.
        """
        if not self.is_relative:
            return self
        if base.is_relative or not base.repo:
            raise RefError(f"'{self}' is relative to nothing: '{base}' names no repository")
        if self.repo == ".":
            return self.replace(repo=base.repo)
        if self.marker:
            return self.replace(repo=base.repo, path=base.path)
        return self.replace(repo=base.repo, path=base.path, marker=base.marker, release=base.release)

    def replace(self, **parts: str) -> Ref:
        """The same ref but for these parts."""
        for part, value in parts.items():
            if getattr(self, part) != value:
                return Ref(**{**{slot: getattr(self, slot) for slot in Ref.__slots__}, **parts})
        return self

    def without_fragment(self) -> Ref:
        """The ref of the whole document."""
        return self.replace(fragment="") if self.fragment else self

    def __str__(self) -> str:
        parts = []
        if self.repo:
            parts.append(f"{self.repo}/-")
        if self.path:
            parts.append(self.path)
        if self.marker:
            parts.append(self.marker + self.release)
        if self.type:
            parts.append(f"{self.type}/{self.name}")
        text = "/".join(parts)
        return f"{text}#{self.fragment}" if self.fragment else text

    def __repr__(self) -> str:
        return f"Ref.parse({str(self)!r})"

    def _key(self) -> tuple[str, ...]:
        return (self.repo, self.path, self.marker, self.release, self.type, self.name, self.fragment)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Ref) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


_PARSED: Final[dict[str, Ref]] = {}
_MOST_PARSED: Final = 1024
"""Refs by their texts, and how many are remembered: what looks at one document parses its ref again and again."""


def _parse(text: str) -> Ref:
    body, hash_sign, fragment = text.partition("#")
    if body.startswith("//"):
        body = "./-/" + body[2:]
    if body.endswith("/"):
        body = body[:-1]
    if not body:
        raise RefError(f"bad ref {quoted(text)}: it is empty")
    segments = body.split("/")
    for number, segment in enumerate(segments, 1):
        if not segment:
            raise RefError(f"bad ref {quoted(text)}: segment {number} of {len(segments)} is empty")
        _check_segment(text, segment, leading=number == 1)

    if segments[0] == "." and len(segments) > 1 and segments[1] != "-" and segments[1][0] not in "@+":
        head, marker, release, subpath = segments[:1], "", "", segments[1:]
    else:
        at = next((i for i, segment in enumerate(segments) if segment[0] in "@+"), len(segments))
        marker_segment = segments[at] if at < len(segments) else ""
        head, marker, release, subpath = segments[:at], marker_segment[:1], marker_segment[1:], segments[at + 1 :]
    repo, path = _parse_head(text, head)
    if release in (".", ".."):
        raise _bad(text, marker + release, f"'{release}' is no release")
    type_, name = _parse_subpath(text, subpath)
    if hash_sign:
        fragment = _parse_fragment(text, fragment, is_document=bool(marker or type_))
    return Ref(repo, path, marker, release, type_, name, fragment)


def _parse_head(text: str, head: list[str]) -> tuple[str, str]:
    """The repo and the path in the segments before the marker."""
    for segment in head:
        if "@" in segment:
            raise _bad(text, segment, "'@' cannot stand inside a segment of a repo or path")
    if "-" in head[1:]:
        dash = head.index("-", 1)
        return "/".join(head[:dash]), "/".join(head[dash + 1 :])
    return "", "/".join(head)


def _parse_subpath(text: str, subpath: list[str]) -> tuple[str, str]:
    if not subpath:
        return "", ""
    for segment in subpath:
        if segment[0] in "@+":
            raise _bad(text, segment, "a ref has one marker ('@' or '+')")
    type_ = "call" if subpath[0] == "task" else subpath[0]
    if type_ not in TYPES:
        raise _bad(text, subpath[0], "it is not a type", hint=f"the types are {', '.join(sorted(TYPES))}")
    if len(subpath) == 1:
        raise _bad(text, subpath[0], "a type needs a name after it")
    return type_, "/".join(subpath[1:])


def _parse_fragment(text: str, fragment: str, *, is_document: bool) -> str:
    if fragment.endswith("/"):
        fragment = fragment[:-1]
    if not is_document:
        raise RefError(f"bad ref {quoted(text)}: it has a fragment, but names neither a release nor a part of one")
    if fragment:
        split_fragment(fragment, ref=text)
    return fragment


def split_fragment(fragment: str, *, ref: str = "") -> list[str]:
    """The keys that a fragment names, unescaped: `a~1b/c` gives `['a/b', 'c']`. Raises RefError."""
    keys = []
    for key in fragment.split("/"):
        if not key:
            raise RefError(f"bad ref {quoted(ref or '#' + fragment)}: a key of the fragment is empty")
        if "~" in key:
            if any(part[:1] not in ("0", "1") for part in key.split("~")[1:]):
                raise RefError(
                    f"bad ref {quoted(ref or '#' + fragment)}: in the key {quoted(key)}, '~' has no 0 or 1 after it",
                    hint="write '~1' for '/' and '~0' for '~' within a key",
                )
            key = key.replace("~1", "/").replace("~0", "~")
        keys.append(key)
    return keys


def _check_segment(text: str, segment: str, *, leading: bool) -> None:
    """Raise RefError unless `segment` can be a directory of a store, wherever it is checked out or pushed to."""
    if segment in _CHECKED or (segment == "." and leading):
        return
    if segment in (".", ".."):
        raise _bad(text, segment, "'.' stands only at the start, and '..' nowhere")
    if segment in RESERVED:
        raise _bad(text, segment, "it is a file name of the store's own")
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in segment):
        raise _bad(text, segment, "it holds a control character")
    try:
        length = len(segment.encode())
    except UnicodeEncodeError:
        raise _bad(text, segment, "it is not valid UTF-8") from None
    if length > LONGEST_SEGMENT:
        raise _bad(text, segment, f"it is longer than {LONGEST_SEGMENT} bytes")
    if is_dot_git(segment):
        raise _bad(text, segment, "git keeps that name for itself")
    if len(_CHECKED) < _MOST_CHECKED:
        _CHECKED.add(segment)


def is_dot_git(segment: str) -> bool:
    """Whether some file system would take the name for `.git`, which is what git's own fsck asks of a tree."""
    if segment.isascii() and "git" not in segment.lower():
        return False
    name = "".join(char for char in segment if char not in _IGNORED_BY_HFS).lower()
    return name.split(":")[0].rstrip(" .") in (".git", "git~1")


def unsafe_name(name: str) -> str | None:
    """Why no file or directory of a store may have a name, whatever wrote it there; None where it may.

    Git's objects can hold names that lead elsewhere where a tree is written to disk: `..`, `.git`, `a/b`.
    """
    if name in ("", ".", ".."):
        return "it names no file"
    if "/" in name or "\0" in name:
        return "it is a path, not a name"
    return "git keeps that name for itself" if is_dot_git(name) else None


def unwritable_name(name: str) -> str | None:
    """As `unsafe_name`, of a name that is to be written: it must be UTF-8 as well."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    return unsafe_name(name)


def shared_segments(one: list[str], other: list[str]) -> int:
    """How many segments two paths have in common at their beginning."""
    count = 0
    for segment, its in zip(one, other):
        if segment != its:
            break
        count += 1
    return count


def _bad(text: str, segment: str, why: str, *, hint: str | None = None) -> RefError:
    return RefError(f"bad ref {quoted(text)}: segment {quoted(segment)}: {why}", hint=hint)


def quoted(text: str) -> str:
    """The text in quotes on one line, whatever is in it."""
    shown = text if len(text) <= 300 else text[:300] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "'"


def number_in(name: str) -> int | None:
    """The number that a name consists of, as those of runs; None for every other name.

    Nor is it one where it has more digits than a segment of a ref: git's trees can hold such names, and Python refuses
    to read thousands of digits.
    """
    return int(name) if name.isascii() and name.isdigit() and len(name) <= LONGEST_SEGMENT else None


def run_number(name: str) -> int | None:
    """The number of the run, or the function of one, that lies in a directory of a name; None for every other name."""
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None


def version_key(ref: str) -> list[tuple[int, int, str]]:
    """A sort key by which runs of digits count as numbers: `@9` comes before `@10`."""
    key: list[tuple[int, int, str]] = []
    run = ""
    for char in ref + "\0":
        digit = "0" <= char <= "9"
        if run and digit != (run[-1] in "0123456789"):
            number = number_in(run)
            key.append((1, 0, run) if number is None else (0, number, run))
            run = ""
        run += char
    key.append((1, 0, run))
    return key
