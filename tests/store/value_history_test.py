"""Which commit gave a value: as a naive replay of the history says, through links and rewrites (design 12)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.errors import Error
from ocuroot_git.formats.documents import MISSING, dump
from ocuroot_git.git.objects import Oid
from ocuroot_git.git.path_filters import PathFilters
from ocuroot_git.store import history, rare_changes, value_history
from ocuroot_git.store.memory import Memory
from ocuroot_git.store.stores import Stores
from ocuroot_git.store.transaction import Transaction

DOCUMENTS = ("@/custom/a", "@/custom/b/c", "r/-/p/@1", "r/-/p/@2", "r/-/p/@2/custom/x")
LINKS = ("@/custom/l", "r/-/p/@v", "r/-/p/@")
ASKED = (*DOCUMENTS, *LINKS, "r/-/p/@v/custom/x", "r/-/p/@/custom/x", "@/custom/l#k/n", "r/-/p/@#k")
_VALUES = st.recursive(
    st.sampled_from([0, 1, True, None, "x", 1.5]),
    lambda below: (
        st.dictionaries(st.sampled_from(["k", "n", "a/b", ""]), below, max_size=3) | st.lists(below, max_size=2)
    ),
    max_leaves=5,
)
_STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(DOCUMENTS), _VALUES),
    st.tuples(st.just("delete"), st.sampled_from((*DOCUMENTS, *LINKS)), st.none()),
    st.tuples(st.just("link"), st.sampled_from(LINKS), st.sampled_from((*DOCUMENTS, *LINKS))),
    st.tuples(st.just("unlink"), st.sampled_from(LINKS), st.none()),
)


def leaves(value: Any, at: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """The naive way: every end of the document by its keys, as JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: dict[tuple[str, ...], str] = {}
    for key, item in inside:
        found |= leaves(item, (*at, str(key)))
    return found or {at: dump(value, None)}


def naive(stores: Stores, repo: Repo, ref: str) -> tuple[list[str], dict[tuple[str, ...], str]]:
    """The commits that changed the value, newest first, and the one that gave each end of it: by looking at all."""
    changed: list[str] = []
    blamed: dict[tuple[str, ...], str] = {}
    before: dict[tuple[str, ...], str] = {}
    text = ""
    for oid in repo.git("rev-list", "--reverse", "--first-parent", "state").split():
        try:
            found = stores.snapshot(oid).look_up(ref)
            value = found.value if found.found else MISSING
        except Error:
            value = MISSING
        now = {} if value is MISSING else leaves(value)
        now_text = "" if value is MISSING else dump(value, None)
        if now_text != text:
            changed.insert(0, oid)
        blamed = {at: blamed[at] if before.get(at) == end else oid for at, end in now.items()}
        before, text = now, now_text
    return changed, blamed


def act(transaction: Transaction, verb: str, ref: str, value: Any) -> None:
    try:
        with transaction.all_or_nothing():
            getattr(transaction, verb)(ref, *(() if verb in ("delete", "unlink") else (value,)))
    except Error:
        pass  # a link to nothing, or a deletion of it


def test_what_never_was_above_a_package_is_found_out_once(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        store.ocuroot("update", "--stdin", input=f"set r/-/p/@1/custom/x {number}\n")
    store.git("commit-graph", "write", "--reachable", "--changed-paths")
    monkeypatch.setattr(history, "_MEETING_POINT", store.git("rev-parse", "state~1"))
    asked: list[str] = []

    along = PathFilters.along

    def noted(filters: PathFilters, start: Oid, paths: Sequence[str]) -> Iterator[tuple[Oid, list[str]]]:
        asked.extend(paths)
        return along(filters, start, paths)

    monkeypatch.setattr(PathFilters, "along", noted)

    def values() -> list[Any]:
        snapshot = ocuroot_git.open(str(store.path)).snapshot()
        return [
            change.after for change in value_history.value_changes(snapshot, snapshot.absolute("r/-/p/@1/custom/x"))
        ]

    assert values() == [3, 2, 1]
    above = [".ocuroot-store", "refs/r/-/@object.json", "refs/r/-/p/@object.json", "refs/r/@object.json"]
    assert sorted(asked) == sorted([*above, "refs/r/-/p/@1"])
    asked.clear()
    store.ocuroot("update", "--stdin", input="set r/-/p/@1/custom/x 4\n")
    assert (values(), asked) == ([4, 3, 2, 1], [])
    store.ocuroot("cache", "--verify")
    memory = Memory(str(store.path / ".git" / "ocuroot" / "derived-1.sqlite"))
    assert len(memory.ids(rare_changes.KIND)) == 5
    wrong = rare_changes.id_of(store.oid("state~1"), "refs/r/@object.json")
    memory.put(rare_changes.KIND, {wrong: bytes(20)})
    memory.close()
    done = store.run("cache", "--verify")
    assert (done.returncode, done.stdout) == (1, f"{rare_changes.KIND}\t{wrong}\n")


@pytest.mark.parametrize("ask_after", [3, 500])
@settings(max_examples=int(os.environ.get("EXAMPLES", 6)))
@given(steps=st.lists(st.lists(_STEPS, min_size=1, max_size=3), min_size=3, max_size=14))
def test_it_is_what_a_replay_says(
    store_template: Path, ask_after: int, steps: list[list[tuple[str, str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_ASK_EVERY", ask_after)
    monkeypatch.setattr(value_history, "WRITE_AFTER", ask_after)
    if ask_after == 3:
        monkeypatch.setattr(history, "_MEETING_POINT", "")
    with tempfile.TemporaryDirectory() as top:
        repo = Repo(Path(shutil.copytree(store_template, Path(top) / "repo")))
        stores = ocuroot_git.open(str(repo.path))
        for batch in steps:
            with stores.transaction() as transaction:
                for step in batch:
                    act(transaction, *step)
        snapshot = stores.snapshot()
        for ref in ASKED:
            changed, blamed = naive(stores, repo, ref)
            named = snapshot.absolute(ref)
            assert [change.commit.oid for change in value_history.value_changes(snapshot, named)] == changed, ref
            got = [(commit.oid, dump(value, None)) for _, value, commit in value_history.blame(snapshot, named)]
            now = snapshot.look_up(ref)
            ends = leaves(now.value) if now.found else {}
            assert got == [(blamed[at], end) for at, end in ends.items()], ref


def test_fields_have_names_of_their_own() -> None:
    value = {"": {"a": 1}, "a": 2, "b/c": {}, "d": [[], None], "~": "x"}
    paths = [("", "a"), ("a",), ("b/c",), ("d", "0"), ("d", "1"), ("~",)]
    assert list(value_history.fields_of(value)) == paths
    assert value_history.fields_of("x") == {(): "x"} and value_history.fields_of({"": "x"}) == {("",): "x"}


def test_a_link_that_moved_is_followed_to_where_it_led_before(store: Repo) -> None:
    steps = ("set @/custom/a 1", "link @/custom/l @/custom/a", "set @/custom/a 2", "set @/custom/b 9")
    for step in (*steps, "link @/custom/l @/custom/b", "set @/custom/a 3"):
        store.ocuroot("update", "--stdin", input=f"{step}\n")
    stores = ocuroot_git.open(str(store.path))
    snapshot = stores.snapshot()
    changes = list(value_history.value_changes(snapshot, snapshot.absolute("@/custom/l")))
    assert [(change.before, change.after) for change in changes] == [(2, 9), (1, 2), (MISSING, 1)]
    assert [change.commit.oid for change in changes] == naive(stores, store, "@/custom/l")[0]


def test_the_history_of_a_package_is_gone_through_once_however_often_its_link_moves(
    store: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 7):
        lines = f'set r/-/p/@{number} {{"k":1,"n":{number}}}\nlink r/-/p/@v r/-/p/@{number}\n'
        store.ocuroot("update", "--stdin", input=lines)
    asked: list[Any] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments[2])
        return history.changing_commits(*arguments, **options)

    monkeypatch.setattr(value_history, "changing_commits", counted)
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    changed = list(value_history.value_changes(snapshot, snapshot.absolute("r/-/p/@v")))
    assert [change.resolved for change in changed] == [f"r/-/p/@{number}" for number in range(6, 0, -1)]
    assert len(asked) == 1 and "refs/r/-/p" in asked[0]
