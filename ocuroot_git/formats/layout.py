"""How a store lies on disk: file names, dialects, and what is in `@object.json` (design 4.1 and 4.2).

All of that knowledge stands in this module. The rest of the code speaks of *stored* refs, the text of a ref as
the store's dialect spells it in its paths, and of *shown* refs, as they are printed:

    dialect    state, shown    stored           intent, shown        stored
    1          p/@1/call/b     p/@1/call/b      p/+/deploy/e         p/+/deploy/e
    2, 3       p/@r1/task/b    p/@r1/task/b     p/+/deploy/e         p/@/deploy/e  (in a tree of its own)
"""

from __future__ import annotations

from ..errors import Fatal
from .documents import MOST_NESTED, Document, DocumentError, dump, parse_bytes, to_bytes
from .refs import INTENT, STATE, Ref, number_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal, NewType

    Side = Literal["state", "intent"]
    StoredRef = NewType("StoredRef", str)
    """A ref as the store's dialect spells it in its paths, without a fragment."""
    ShownRef = NewType("ShownRef", str)
    """A ref as it is printed, perhaps with a fragment."""
else:
    StoredRef = ShownRef = str

STORE_FILE: Final = ".ocuroot-store"
OBJECT_FILE: Final = "@object.json"
REFS: Final = "refs"
SIDES: Final[tuple[Side, Side]] = ("state", "intent")
DIALECTS: Final = (1, 2, 3)
_NESTED_IN_FILE: Final = MOST_NESTED + 1
"""How deep the JSON of an `@object.json` is nested: one more than the document in it."""
LONGEST_READ: Final = 1 << 14
"""Characters in the target of a link that is followed: far more than a ref that is written may have."""
_EDGE_FILE: Final = "@ref.txt"
DEPENDENCIES: Final = "dependencies"
_DEPENDENCIES: Final = f"{DEPENDENCIES}/dependencies"
_DEPENDANTS: Final = f"{DEPENDENCIES}/dependants"

# The words the original program uses for the type of a document's body.
_GO_TYPES: Final = {str: "string", bool: "bool", int: "float64", list: "[]interface {}", type(None): "<nil>"}
_GO_OBJECT: Final = "map[string]interface {}"


class StoreError(Fatal):
    """A tree is no store, or one that this version cannot read."""


class Damaged(Fatal):
    """One file of a store does not hold what its place says; the others stay readable. `path` names it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"damaged store: '{path}': {why}",
            hint="other documents stay readable; 'git ocuroot fsck' lists all damage, and "
            "'git log <branch> -- <path>' says who wrote it",
        )
        self.path = path
        self.why = why


class Layout:
    """The dialect of one tree of a store, and its `side` where state and intent are two trees.

    In dialect 1 the marker `+` is part of the path, so that one tree may hold both sides, and `side` is None. `dialect`
    is its number, which is shown and written; what follows from it is asked for by name, and decided here alone.
    """

    __slots__ = ("dialect", "side")

    dialect: int
    side: Side | None

    def __init__(self, dialect: int = 1, side: Side | None = None) -> None:
        self.dialect = dialect
        self.side = side if dialect > 1 else None

    @classmethod
    def read(cls, data: bytes, where: str) -> Layout:
        """The layout that the content of `.ocuroot-store` asks for. Raises StoreError; `where` names the store."""
        try:
            info = parse_bytes(data)
        except DocumentError as error:
            raise StoreError(f"{where}: cannot read '{STORE_FILE}': {error.message}") from None
        version = info.get("version") if isinstance(info, dict) else None
        if type(version) is not int or version not in DIALECTS:
            raise StoreError(
                f"{where}: the store is of version {dump(version, None)}, which this program does not know",
                hint="it knows versions 1, 2 and 3; a newer git-ocuroot may know more",
            )
        tags = info.get("tags") or info.get("Tags") or {}
        side = next((side for side in SIDES if isinstance(tags, dict) and side in tags), None)
        return cls(version, side)

    def store_file(self) -> bytes:
        """The content of `.ocuroot-store`."""
        info: dict[str, Document] = {"version": self.dialect}
        if self.dialect == 3 and self.side:
            info["tags"] = {self.side: {}}
        return to_bytes(dump(info, None) + "\n")

    def of_side(self, side: Side) -> Layout:
        """The same dialect, of a tree that holds this side: it alone, where state and intent are two trees."""
        return Layout(self.dialect, side)

    # How refs are spelled

    def spellings(self, ref: Ref) -> list[StoredRef]:
        """The stored refs that `ref` may stand for, without its fragment: the store's own word first."""
        if self.dialect == 1 and ref.type != "call":
            return [StoredRef(str(ref.without_fragment()))]
        marker = ref.marker
        releases = [ref.release]
        types = [ref.type]
        if self.dialect > 1:
            if self.side == "intent" and marker == INTENT:
                marker = STATE
            if ref.release.isdigit():
                releases.insert(0, "r" + ref.release)
        if ref.type == "call":
            types = ["call", "task"] if self.dialect == 1 else ["task", "call"]
        plain = ref.without_fragment()
        return [
            StoredRef(str(plain.replace(marker=marker, release=release, type=type_)))
            for release in releases
            for type_ in types
        ]

    def shown(self, stored: StoredRef) -> ShownRef:
        """The ref as it is printed."""
        if self.side != "intent":
            return ShownRef(stored)
        segments = stored.split("/")
        for number, segment in enumerate(segments):
            if segment.startswith(STATE):
                segments[number] = INTENT + segment[1:]
                break
        return ShownRef("/".join(segments))

    def shown_target(self, target: str) -> ShownRef:
        """The target of a link as it is printed, with its fragment."""
        stored, fragment = split_target(target)
        return ShownRef(f"{self.shown(stored)}#{fragment}") if fragment else self.shown(stored)

    def release_number(self, segment: str) -> int | None:
        """The number of the release whose directory is called `segment` (`@12`, `@r12`), or None."""
        digits = segment.removeprefix("@" if self.dialect == 1 else "@r")
        return number_in(digits) if digits != segment else None

    def release_segment(self, number: int) -> str:
        """The name of the directory of a numbered release."""
        return f"@{number}" if self.dialect == 1 else f"@r{number}"

    def release(self, package: str, number: int) -> StoredRef:
        """The stored ref of a numbered release of a package."""
        return StoredRef(f"{package}/{self.release_segment(number)}")

    @property
    def intent_marker(self) -> str:
        """The marker of intents as it is stored."""
        return STATE if self.spells_intents_as_state else INTENT

    @property
    def spells_intents_as_state(self) -> bool:
        """Whether intents lie in a tree of their own, and begin with `@` there."""
        return self.dialect > 1

    def is_of_package(self, word: str) -> bool:
        """Whether `…/@/<word>/…` is looked up just there, and not below the newest release (design 5.3).

        What is current is said by links alone, and their absence says that nothing is deployed.
        """
        return word in ("call", "task", "deploy") or (word == "custom" and self.dialect > 1)

    def leads_on(self, link: StoredRef, ref: StoredRef) -> bool:
        """Whether the link at a stored ref stands also for the beginning of a longer one (design 5.3).

        Not the global `@` and `+` of early Ocuroot, which lead to the document of the repository; it never followed
        them further, and kept environments and custom documents below them. Nor `…/@` for a deployment in dialect 1: a
        link of its own says what is deployed, and where there is none, nothing is.
        """
        if link in (STATE, INTENT):
            return False
        if self.dialect > 1 or not link.endswith(f"/{STATE}"):
            return True
        return not (ref.startswith("/deploy/", len(link)) and ref.count("/", len(link)) == 2)

    # What is kept where

    @property
    def has_function_documents(self) -> bool:
        """Whether each function of a run has a document of its own; else that of the run lists them (design 7)."""
        return self.dialect == 1

    @property
    def intents_have_types(self) -> bool:
        """Whether the intent of a deployment says `up` or `down`, as it does in the programs that make such stores."""
        return self.dialect == 2

    @property
    def work_types(self) -> tuple[str, ...]:
        """The directories of a release in which its work may lie."""
        return ("call", "deploy") if self.dialect == 1 else ("call", "deploy", "task")

    @property
    def early_op(self) -> str:
        """The directory of a release in which early Ocuroot leaves its markers of what is to be looked at, beside `op`.

        Empty where that is one of work. Refs do not tell it from work: it is for those who go by stored refs.
        """
        return "task" if self.dialect == 1 else ""

    def body_type(self, ref: Ref, body: Document, before: StoredObject | None) -> str | None:
        """The `body_type` for a new body at `ref`: the original's word in its own dialects, else only kept up."""
        word = _GO_TYPES.get(type(body), "float64" if isinstance(body, float) else _GO_OBJECT)
        known = before.body_type if before and before.kind == "ref" else None
        if known and known != _GO_OBJECT and known not in _GO_TYPES.values():
            return known
        if self.dialect == 1:
            return word if known else None
        if isinstance(body, dict):
            return self._go_type(ref) or word
        return "[]sdk.Log" if isinstance(body, list) and ref.name.endswith("/logs") else word

    def _go_type(self, ref: Ref) -> str:
        """The original's word for a document of its own; empty for what people keep."""
        if ref.type == "environment":
            return "sdk.Environment"
        if ref.type in ("commit", "op") or "/status/" in ref.name:
            return "models.Marker"
        if not ref.type and ref.path.rpartition("/")[2] == "repo.ocu.star":
            return "models.RepoConfig"
        if ref.type in ("call", "deploy"):
            if not ref.release:
                return "models.Intent"
            return "models.Run" if "/" in ref.name else "models.Task"
        return "release.ReleaseInfo" if not ref.type and self.release_number(f"@{ref.release}") is not None else ""


def work_type(type_: str, release: str) -> str:
    """The word for a type of work below a release, `P/@1` or `P/@r1`, in the dialect that spells that release so."""
    digits = release.rpartition("/@r")[2]
    return "task" if type_ == "call" and digits != release and digits.isascii() and digits.isdigit() else type_


class StoredObject:
    """What an `@object.json` holds: a document (`kind` is `ref`) or a link, whose body is the target's stored ref."""

    __slots__ = ("body", "body_type", "kind", "links", "others")

    def __init__(
        self,
        kind: str,
        body: Document,
        links: tuple[StoredRef, ...] = (),
        body_type: str | None = None,
        others: dict[str, Document] | None = None,
    ) -> None:
        self.kind = kind
        self.body = body
        self.links = links
        self.body_type = body_type
        self.others = others or {}

    @property
    def target(self) -> str | None:
        """The stored ref, perhaps with a fragment, that a link leads to; None for a document."""
        return str(self.body) if self.kind == "link" else None

    @classmethod
    def read(cls, data: bytes, path: str) -> StoredObject:
        """Read the content of the `@object.json` at `path`, in any form. Raises Damaged."""
        try:
            content = parse_bytes(data, nested=_NESTED_IN_FILE)
        except DocumentError as error:
            raise Damaged(path, error.message) from None
        if not isinstance(content, dict):
            raise Damaged(path, "it is not a JSON object")
        kind = content.pop("kind", None)
        links = content.pop("links", None) or []
        body_type = content.pop("body_type", None)
        if kind not in ("ref", "link"):
            raise Damaged(path, f'its kind is {dump(kind, None)}, neither "ref" nor "link"')
        if "body" not in content:
            raise Damaged(path, "it has no body")
        body = content.pop("body")
        if kind == "link" and not (isinstance(body, str) and body):
            raise Damaged(path, "it is a link to nothing")
        if kind == "link" and len(body) > LONGEST_READ:
            raise Damaged(path, f"it is a link to a ref of {len(body)} characters, which no ref has")
        if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
            raise Damaged(path, "its links are not a list of refs")
        if not (body_type is None or isinstance(body_type, str)):
            raise Damaged(path, "its body_type is not a string")
        return cls(kind, body, tuple(map(StoredRef, links)), body_type, content)

    def to_bytes(self) -> bytes:
        """The content of the file: indented by two, keys in the design's order, unknown ones last, a final newline."""
        content: dict[str, Document] = {"kind": self.kind}
        if self.body_type is not None:
            content["body_type"] = self.body_type
        if self.links:
            content["links"] = sorted(set(self.links))
        return to_bytes(dump({**content, "body": self.body, **self.others}, nested=_NESTED_IN_FILE) + "\n")

    def with_links(self, links: set[StoredRef]) -> StoredObject:
        """The same object with another set of refs that link to it."""
        return StoredObject(self.kind, self.body, tuple(sorted(links)), self.body_type, self.others)


_LINK_HEAD: Final = b'{\n  "kind": "link",\n  "body": "'
_LINK_TAIL: Final = b'"\n}\n'

# How the writers of stores begin the file of a document: then it is no link, and the rest need not be parsed.
_DOCUMENT_STARTS: Final = (b'{\n  "kind": "ref",', b'{"kind":"ref",', b'{"kind": "ref",')


def link_target(data: bytes, path: str) -> str | None:
    """The target of the link that a file holds, or None where it holds a document. Raises Damaged."""
    if data.startswith(_DOCUMENT_STARTS):
        return None
    # As `to_bytes` writes one: it is nearly always so.
    if data.startswith(_LINK_HEAD) and data.endswith(_LINK_TAIL):
        body = data[len(_LINK_HEAD) : -len(_LINK_TAIL)]
        if 0 < len(body) <= LONGEST_READ and b"\\" not in body and b'"' not in body and body.isascii():
            target = body.decode()
            if target.isprintable():
                return target
    return StoredObject.read(data, path).target


def split_target(target: str) -> tuple[StoredRef, str]:
    """The stored ref that the target of a link names, and the fragment (empty: the whole document)."""
    stored, _, fragment = target.partition("#")
    return StoredRef(stored), fragment


def object_path(stored: StoredRef) -> str:
    """The path, from the top of the store, of the file that holds the object at a stored ref."""
    return f"{REFS}/{stored}/{OBJECT_FILE}"


def stored_ref(path: str) -> StoredRef | None:
    """The stored ref whose object the file at `path` holds; None for other files."""
    head, tail = REFS + "/", "/" + OBJECT_FILE
    return StoredRef(path[len(head) : -len(tail)]) if path.startswith(head) and path.endswith(tail) else None


def edge_files(stored: StoredRef, dependency: StoredRef) -> dict[str, bytes]:
    """The two files that say that the document at `stored` depends on another, by path."""
    return {
        f"{_DEPENDENCIES}/{stored}/{dependency}/{_EDGE_FILE}": to_bytes(stored),
        f"{_DEPENDANTS}/{dependency}/{stored}/{_EDGE_FILE}": to_bytes(dependency),
    }


def edge_directories(stored: StoredRef) -> tuple[str, str]:
    """The directories below which lie the dependencies of a document, and what depends on it."""
    return f"{_DEPENDENCIES}/{stored}", f"{_DEPENDANTS}/{stored}"


def edge_end(path_below: str) -> StoredRef | None:
    """The other end of an edge, from the path of its file below an `edge_directories` directory."""
    end = path_below.removesuffix("/" + _EDGE_FILE)
    return StoredRef(end) if end != path_below else None


def edge_of(path: str, content: bytes) -> tuple[StoredRef, StoredRef] | None:
    """The document that depends on another, and that other, which a file of `edge_files` says; None for other files."""
    end = StoredRef(content.decode(errors="surrogateescape"))
    for head in (_DEPENDENCIES, _DEPENDANTS):
        if path.startswith(f"{head}/{end}/"):
            other = edge_end(path[len(f"{head}/{end}/") :])
            if other is not None:
                return (end, other) if head == _DEPENDENCIES else (other, end)
    return None
