"""Stores with every kind of damage, for properties: drawn by Hypothesis, and written as git's objects without git."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

FILE, PROGRAM, SYMLINK, SUBMODULE, TREE = b"100644", b"100755", b"120000", b"160000", b"40000"
GONE = "12" * 20
"""The id of an object that is not there."""

Content = dict[str, "bytes | Content | Odd"]
"""A tree by name: a file, a tree, or something odd."""


class Odd(NamedTuple):
    """An entry of another mode, or whose object is missing (`is_gone`)."""

    mode: bytes
    content: bytes = b""
    is_gone: bool = False


def loose_path(git_dir: Path, oid: str) -> Path:
    """Where a loose object lies."""
    return git_dir / "objects" / oid[:2] / oid[2:]


def write_object(git_dir: Path, kind: str, data: bytes) -> str:
    """Write a loose object; gives its id."""
    whole = b"%s %d\0%s" % (kind.encode(), len(data), data)
    oid = hashlib.sha1(whole).hexdigest()
    path = loose_path(git_dir, oid)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole, 1))
    return oid


def write_tree(git_dir: Path, content: Content) -> str:
    """Write a tree and all that is in it; gives its id."""
    entries = []
    for name, value in content.items():
        raw = name.encode(errors="surrogateescape")
        if isinstance(value, dict):
            entries.append((raw + b"/", TREE, raw, write_tree(git_dir, value)))
        elif isinstance(value, bytes):
            entries.append((raw, FILE, raw, write_object(git_dir, "blob", value)))
        else:
            oid = GONE if value.is_gone else write_object(git_dir, "blob", value.content)
            entries.append((raw + (b"/" if value.mode == TREE else b""), value.mode, raw, oid))
    lines = [b"%s %s\0%s" % (mode, raw, bytes.fromhex(oid)) for _, mode, raw, oid in sorted(entries)]
    return write_object(git_dir, "tree", b"".join(lines))


def write_commit(git_dir: Path, tree: str) -> str:
    """Write a commit of a tree; gives its id."""
    who = "A <a@localhost> 1 +0000"
    return write_object(git_dir, "commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n".encode())


def put(content: Content, path: str, value: bytes | Content | Odd) -> None:
    """Put something at a path, in the place of what is in its way."""
    *above, name = path.split("/")
    for segment in above:
        below = content.get(segment)
        if not isinstance(below, dict):
            below = content[segment] = {}
        content = below
    content[name] = value


# What is drawn

HEADS = (*["a/-/p"] * 9, "b", "a/-/p/q", "a/-/p#q", "a@b", "")
MARKERS = (*["@1"] * 9, "@2", "@2", "@", "@", "@01", "@r1", "@v1", "+", "+1", "@.", "@²")
WORK = ("call/build", "deploy/e", "task/build")
BELOW_WORK = ("", "/1", "/1/functions/1", "/1/status/complete", "/1/status/running", "/2", "/02", "/1/status/odd")
OTHERS = (
    *("", "call", "deploy", "custom", "custom/x", "custom/x/y", "custom/x#y/z"),
    *("environment/e", "bad/x", "commit/c", "@1/custom/x"),
)

RELEASE_REF = "a/-/p/@1"
RUN_PARTS = ("", "/functions/1", "/status/complete")
RELEASE = {"commit": "abc1", "package": {"phases": [{"work": [{"call": {"name": "build"}}]}]}}
RUN = {"type": "call", "release": RELEASE_REF, "output": {}}
FUNCTION = {"current": {"fn": {}, "status": "complete"}, "history": []}

subpaths = st.one_of(
    st.builds(lambda work, below: work + below, st.sampled_from(WORK), st.sampled_from(BELOW_WORK)),
    st.sampled_from(OTHERS),
)
refs = st.builds(
    lambda *parts: "/".join(filter(None, parts)), st.sampled_from(HEADS), st.sampled_from(MARKERS), subpaths
)
documents: st.SearchStrategy[Any] = st.sampled_from(
    [RELEASE, RUN, FUNCTION, {"time": "2026-01-01T00:00:00Z"}, {"name": "e"}, {}, None, 7, {"commit": 1}]
)


def fitting(ref: str) -> Any:
    """A document such as belongs at a ref."""
    if "/functions/" in ref:
        return FUNCTION
    if "/status/" in ref:
        return {"time": "2026-01-01T00:00:00Z"}
    if "/call/" in ref or "/deploy/" in ref or "/task/" in ref:
        return RUN
    return {"name": "e", "attributes": {}} if "environment" in ref else RELEASE


@st.composite
def object_files(draw: st.DrawFn, ref: str) -> bytes:
    """The content of an `@object.json`."""
    kind = draw(st.sampled_from(["fitting"] * 6 + ["document", "link", "link", "link", "junk"]))
    if kind == "junk":
        return draw(st.sampled_from([b"", b"{", b'{"kind":"ref",', b'{"kind": "ref", "body": 1, "links": 3}', b"[]"]))
    links = draw(st.lists(refs, max_size=2)) if draw(st.integers(0, 3)) == 0 else []
    if kind == "link":
        end = draw(st.one_of(refs, st.sampled_from(ENDS))) + draw(st.sampled_from(["", "", "", "#", "#a"]))
        return json.dumps({"kind": "link", "links": links, "body": end}).encode()
    return json.dumps(
        {"kind": "ref", "links": links, "body": fitting(ref) if kind == "fitting" else draw(documents)}
    ).encode()


ENDS = ("a/-/p/@1/sub", "a/-/p/@1/@object.json", "a/-/p/@1/.git", "a/-/p/@1/call", "a//-/p/@1", "../refs/a/-/p/@1", "")
"""Where else a link may lead."""
ODD_ENTRIES: tuple[tuple[str, bytes | Content | Odd], ...] = (
    ("@object.json", {"@object.json": b'{"kind": "ref", "body": 1}'}),
    ("@object.json", Odd(PROGRAM, b'{"kind": "ref", "body": 1}')),
    ("@object.json", Odd(SYMLINK, b'{"kind": "link", "body": "a/-/p/@2"}')),
    ("@object.json", Odd(SUBMODULE, is_gone=True)),
    ("@object.json", Odd(FILE, is_gone=True)),
    ("sub", Odd(SUBMODULE, is_gone=True)),
    ("sub", Odd(TREE, is_gone=True)),
    ("1", {}),
    ("custom#y", {}),
    ("build#y", {}),
    ("build#y", {}),
    ("call", b"a file"),
    (".git", {"@object.json": b'{"kind": "ref", "body": 1}'}),
    ("\udcff", {"@object.json": b'{"kind": "ref", "body": 1}'}),
)


@st.composite
def stores(draw: st.DrawFn) -> Content:
    """The tree of a store."""
    version, side = draw(st.sampled_from([(1, ""), (1, ""), (1, ""), (2, ""), (3, "state"), (3, "intent")]))
    about = {"version": version, **({"tags": {side: {}}} if side else {})}
    content: Content = {".ocuroot-store": json.dumps(about).encode(), "refs": {}}
    if draw(st.booleans()):
        _put_good_release(content)
    for ref in draw(st.lists(refs, min_size=1, max_size=12)):
        put(content, f"refs/{ref}/@object.json", draw(object_files(ref)))
        if draw(st.integers(0, 3)) == 0:  # something above it, which may lead elsewhere
            segments = ref.split("/")
            above = "/".join(segments[: draw(st.integers(1, len(segments)))])
            put(content, f"refs/{above}/@object.json", draw(object_files(above)))
    for ref in draw(st.lists(refs, max_size=2)):
        name, odd = draw(st.sampled_from(ODD_ENTRIES))
        part = draw(st.sampled_from(["refs", "refs", "refs", "dependencies"]))
        put(content, f"{part}/{ref}/{name}".replace("//", "/"), odd)
    return content


@st.composite
def releases_with_a_fault(draw: st.DrawFn) -> Content:
    """The tree of a store with one release, in which one thing, or two, may not be as they should."""
    content: Content = {".ocuroot-store": b'{"version": 1}', "refs": {}}
    _put_good_release(content)
    for below in draw(st.lists(subpaths, min_size=1, max_size=2)):
        path = f"refs/{RELEASE_REF}/{below}".rstrip("/")
        kind = draw(st.sampled_from(["object", "object", "odd", "run"]))
        if kind == "object":
            put(content, f"{path}/@object.json", draw(object_files(f"{RELEASE_REF}/{below}")))
        elif kind == "odd":
            name, odd = draw(st.sampled_from(ODD_ENTRIES))
            put(content, f"{path}/{name}", odd)
        else:
            run = f"{draw(st.sampled_from(WORK))}/{draw(st.sampled_from(['2', '02', '2000000000']))}"
            for part in RUN_PARTS:
                _put_document(content, f"{RELEASE_REF}/{run}{part}")
    return content


def _put_good_release(content: Content) -> None:
    for below in ("", "/call/build", *(f"/call/build/1{part}" for part in RUN_PARTS)):
        _put_document(content, f"{RELEASE_REF}{below}")


def _put_document(content: Content, ref: str) -> None:
    put(content, f"refs/{ref}/@object.json", json.dumps({"kind": "ref", "body": fitting(ref)}).encode())
