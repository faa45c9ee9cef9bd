"""Directories that are the same in both stores are passed over: what is told is as if all had been compared."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from support.raw_objects import entry, plant, write_object
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import alike, diff
from ocuroot_git.delivery.compare import Difference
from ocuroot_git.delivery.problems import STRICT, Problems
from ocuroot_git.errors import Error
from ocuroot_git.git.objects import ObjectError
from ocuroot_git.git.tree_reader import TreeReader
from ocuroot_git.ledger import remembered
from ocuroot_git.store import plain
from ocuroot_git.store.memory import FILE, Memory
from ocuroot_git.store.snapshot import Snapshot

File = tuple[str, str]
"""Its mode, and its content."""
Files = dict[str, File]
"""By the directory of an object, below the marker of a side."""

LAYOUTS = ("one", "two branches", "dialect 2", "dialect 3")
TARGETS = ("@/custom/a", "@/custom/b/c", "+/custom/a", "@/custom/a/b", "@/custom/a#k", "@/custom", "r/-/p/@1/custom/x")
DOCUMENT = '{"kind": "ref", "body": %s}'
LINK = '{"kind": "link", "body": "%s"}'
CONTENTS = (
    *(DOCUMENT % body for body in ("0", "1", '{"k": 1}', "null")),
    *(LINK % target for target in TARGETS),
    *("damaged", '{"kind": "ref", "links": 1, "body": 0}', '{"kind": "ref", "links": ["@/custom/b"], "body": 0}'),
)
NAMES = ("a", "b", "c", "a/b", "a/b/c", "a/c", "b/c", "b/c/a", "a/b#c", "a/@x", "b/é", "c/.b", "a/@object.json")
PLACES = (*(f"custom/{name}" for name in NAMES), "custom", ".")
MODES = some.sampled_from(["100644"] * 12 + ["100755", "120000", "160000"])
FILES = some.dictionaries(some.sampled_from(PLACES), some.tuples(MODES, some.sampled_from(CONTENTS)), max_size=9)
OTHERS = some.dictionaries(
    some.sampled_from(PLACES), some.none() | some.tuples(some.just("100644"), some.sampled_from(CONTENTS)), max_size=2
)
CHANGES = some.dictionaries(some.sampled_from(NAMES[:8]), some.sampled_from([0, 1, None, "+/custom/c"]), max_size=3)


class Filled:
    """A repository with stores of a layout, which `fill` gives other documents, with what is said to be the same."""

    def __init__(self, path: Path, layout: str) -> None:
        self.repo = Repo(path)
        self.repo.git("init", "-q")
        self.layout = layout
        if layout == "two branches":
            self.repo.git("config", "ocuroot.intent.branch", "intent")

    def fill(self, files: Files, of_intent: Mapping[str, File | None]) -> None:
        """Write files below the custom documents of state, and those of intent where they differ from them."""
        pieces = [*self._side("state", files), *self._side("intent", {**files, **of_intent})]
        command = ["git", "fast-import", "--quiet", "--force"]
        subprocess.run(command, input="".join(pieces).encode(), cwd=self.repo.path, check=True)

    def _side(self, side: str, files: Mapping[str, File | None]) -> Iterator[str]:
        """The pieces of a stream that write a side."""
        dialect = self.layout[-1] if self.layout.startswith("dialect") else "1"
        top, release = (f"{side}/", "r1") if dialect != "1" else ("", "1")
        if side == "state" or self.layout == "two branches":
            branch = side if self.layout == "two branches" else "state"
            yield f"commit refs/heads/{branch}\ncommitter T <t@example.com> 0 +0000\ndata 0\ndeleteall\n"
        tags = f', "tags": {{"{side}": {{}}}}' if dialect == "3" else ""
        yield file(f"{top}.ocuroot-store", ("100644", f'{{"version": {dialect}{tags}}}'))
        top += "refs/"
        marker = "+" if side == "intent" and dialect == "1" else "@"
        if side == "state":
            yield file(f"{top}r/-/p/@{release}/@object.json", ("100644", DOCUMENT % '{"commit": "abcdef1"}'))
        link = LINK % ("@/custom/a" if side == "state" else "+/custom/a")
        yield file(f"{top}r/-/p/{marker}{release}/custom/x/@object.json", ("100644", link))
        for place, known in files.items():
            if known is not None:
                yield file(f"{top}{marker}/{place}/@object.json".replace("/./", "/"), known)

    def snapshot(self) -> Snapshot:
        return ocuroot_git.open(str(self.repo.path)).snapshot()


def file(path: str, known: File) -> str:
    """The piece of a stream that writes a file."""
    mode, content = known
    if mode == "160000":
        return f"M 160000 {'12' * 20} {path}\n"
    return f"M {mode} inline {path}\ndata {len(content.encode())}\n{content}\n"


def told(snapshot: Snapshot, problems: Problems) -> Any:
    """All that is told of differences, and what is wrong; or the error by which it ends."""
    try:
        found = [values_of(one) for one in diff.all_differences(snapshot, problems)]
    except Error as error:
        return type(error), error.message
    return found, problems.to_document() if problems is not STRICT else []


def values_of(one: Difference) -> list[Any]:
    return [getattr(one, name) for name in Difference.__slots__]


def in_full(snapshot: Snapshot, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As `told`, where all is compared."""
    with monkeypatch.context() as patch:
        patch.setattr(diff, "alike_globals", lambda snapshot: alike.Alike())
        return told(snapshot, problems)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_outcome_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    """The first time, and again, when it is remembered what directories hold; and within a transaction."""
    monkeypatch.setattr(plain, "_FEWEST", 1)
    filled = Filled(tmp_path, layout)

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(FILES, OTHERS, CHANGES)
    def check(files: Files, of_intent: dict[str, File | None], changes: dict[str, Any]) -> None:
        filled.fill(files, of_intent)
        expected = in_full(filled.snapshot(), Problems(), monkeypatch)
        assert told(filled.snapshot(), Problems()) == expected
        assert told(filled.snapshot(), Problems()) == expected
        assert told(filled.snapshot(), STRICT) == in_full(filled.snapshot(), STRICT, monkeypatch)
        stores = ocuroot_git.open(str(filled.repo.path))
        with pytest.raises(_Enough), stores.transaction() as tx:
            assert told(tx, Problems()) == expected
            for name, value in changes.items():
                change(tx, f"+/custom/{name}", value)
                assert told(tx, Problems()) == in_full(tx, Problems(), monkeypatch)
            raise _Enough

    check()
    memory = Memory(str(tmp_path / ".git" / "ocuroot" / FILE))
    checked = remembered.check(ocuroot_git.open(str(tmp_path)), memory, lambda done, total: None)
    assert (checked.wrong, checked.of_others) == ([], 0)
    assert memory.kinds().get(plain.KIND)


class _Enough(Exception):
    """Ends a transaction that is not to be written."""


def change(tx: ocuroot_git.Transaction, ref: str, value: Any) -> None:
    """Change an intent, or what it leads to; what cannot be changed stays."""
    with contextlib.suppress(Error), tx.all_or_nothing():
        if isinstance(value, str):
            tx.link(ref, value)
        elif value is not None:
            tx.set(ref, value)
        elif tx.object(ref) is not None:
            tx.delete(ref)


def test_what_is_the_same_is_read_once(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_FEWEST", 2)
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for side in "@+":
            for name in ("a", "b/c", "b/d", "e/f", "e/g"):
                tx.set(f"{side}/custom/{name}", name)
    read: list[bytes] = []
    whole = TreeReader.data

    def noted(self: TreeReader, blob: Any) -> bytes:
        read.append(whole(self, blob))
        return read[-1]

    def documents() -> list[str]:
        read.clear()
        with monkeypatch.context() as patch:
            patch.setattr(TreeReader, "data", noted)
            found = [one.ref for one in diff.differences(ocuroot_git.open(str(store.path)).snapshot())]
        return [*found, *sorted(str(json.loads(data)["body"]) for data in read if b"body" in data)]

    assert documents() == ["a", "b/c", "b/d", "e/f", "e/g"]
    assert documents() == []
    stores.set("+/custom/b/c", "new")
    assert documents() == ["+/custom/b/c", "b/c", "new"]
    stores.set("@/custom/b/c", "new")
    assert documents() == ["a", "b/d", "new"], "what lies beside it is small, or has changed"
    assert documents() == []
    with stores.transaction() as tx:
        for side in "@+":
            tx.link(f"{side}/custom/e/link", f"{side}/custom/b/c")
    assert "+/custom/e/link" in documents()
    store.ocuroot("cache", "--verify")


@pytest.mark.parametrize("order", [("a", "b", "b", "c"), ("c", "b", "a"), ("a", "@object.json", "c"), ("a", "..", "b")])
def test_trees_that_git_would_not_write(store: Repo, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]) -> None:
    """Names twice, or in another order: what is found by its name is not what is met on the way through all."""
    documents = [write_object(store, "blob", content.encode()) for content in (CONTENTS[0], LINK % "@/custom/c")]
    trees = [write_object(store, "tree", entry("100644", b"@object.json", oid)) for oid in documents]
    places = [entry("40000", name.encode(), trees[number % 2]) for number, name in enumerate(order)]
    custom = write_object(store, "tree", b"".join(places))
    for side in "@+":
        store.ocuroot("update", "--stdin", input=f"set {side}/custom/a 1\n")
        plant(store, f"refs/{side}", "40000", "custom", custom)
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    with contextlib.suppress(ObjectError):
        assert not alike.alike_globals(snapshot).state
    assert told(snapshot, Problems()) == in_full(snapshot, Problems(), monkeypatch)


def test_what_is_missing_is_not_remembered(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_FEWEST", 1)
    store.ocuroot("update", "--stdin", input="set @/custom/a/b 1\nset +/custom/a/b 1\nset @/custom/c 1\n")
    blob = store.git("rev-parse", "state:refs/@/custom/a/b/@object.json")
    loose = store.path / ".git" / "objects" / blob[:2] / blob[2:]
    loose.rename(store.path / "aside")

    def found() -> Any:
        return told(ocuroot_git.open(str(store.path)).snapshot(), Problems())

    assert found() == in_full(ocuroot_git.open(str(store.path)).snapshot(), Problems(), monkeypatch)
    assert found()[0] is ObjectError
    (store.path / "aside").rename(loose)
    assert found() == ([[1, False, "+/custom/c", "@/custom/c", "D", None]], [])
    store.ocuroot("cache", "--verify")


def test_changes_within_a_transaction_are_compared(store: Repo) -> None:
    """Also where the directory was the same in both stores before it, of a release too."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        tx.set("r/-/a/@1", {"commit": "abcdef1", "package": {"phases": []}})
        for head in ("r/-/a/@1", "r/-/a/+1", "@", "+"):
            tx.set(f"{head}/custom/x/y", 1)
    with pytest.raises(_Enough), stores.transaction() as tx:
        tx.set("r/-/a/+1/custom/x/y", 2)
        tx.set("+/custom/x/z", 2)
        tx.delete("@/custom/x/y")
        found = [(one.status, one.ref) for one in diff.differences(tx)]
        assert found == [("A", "+/custom/x/y"), ("A", "+/custom/x/z"), ("M", "r/-/a/+1/custom/x/y")]
        tx.remove("r/-/a/+1")
        assert ("D", "r/-/a/+1/custom/x/y") in [(one.status, one.ref) for one in diff.differences(tx)]
        raise _Enough


def test_the_order_of_intents_is_that_of_their_names(store: Repo) -> None:
    """Of those that are about one document by way of links the first counts, within a transaction as without one."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        tx.set("@/custom/x", 0)
        for name in ("c", "a-b", "a", "f", "b", "d"):
            tx.link(f"@/custom/{name}", "@/custom/x")
            tx.set(f"+/custom/{name}", name)
    found = [(one.status, one.ref) for one in diff.differences(stores.snapshot())]
    assert ("M", "+/custom/a") in found and [status for status, _ in found].count("M") == 1
    with pytest.raises(_Enough), stores.transaction() as tx:
        assert [(one.status, one.ref) for one in diff.differences(tx)] == found
        raise _Enough
