"""Taking away a document with all that is below it, in one go: what leads there goes too, what it led to forgets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import SHOP, SHOP_INSTRUCTIONS, Repo

import ocuroot_git
from ocuroot_git import Conflict, Fatal, Stores
from ocuroot_git.formats.layout import Damaged, StoredRef

MORE = f"""\
set other/-/api/@1 {{"commit": "fff"}}
set other/-/api/@1/call/build {{"type": "call"}}
link other/-/api/@1/custom/base {SHOP}/@1/call/build
link {SHOP}/@1/custom/other other/-/api/@1/call/build
depend other/-/api/@1/call/build {SHOP}/@1/call/build
depend {SHOP}/@1/call/build other/-/api/@1
depend {SHOP}/@10/call/build {SHOP}/@2
"""


@pytest.fixture(params=["branch", "many", "directory"])
def stores(store: Repo, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """A store in each kind of place; `many`: written as one pack, as many changes at once are."""
    if request.param == "many":
        monkeypatch.setattr("ocuroot_git.backends.branch.MANY", 1)
    if request.param == "directory":
        (tmp_path / "files").mkdir()
        store.git("config", "--unset", "ocuroot.state.branch")
        store.git("config", "ocuroot.state.path", str(tmp_path / "files"))
        store.ocuroot("init", "-q")
    store.ocuroot("update", "--stdin", input=SHOP_INSTRUCTIONS + MORE)
    return ocuroot_git.open(str(store.path))


def edges(stores: Stores) -> list[tuple[str, str]]:
    tree = stores.snapshot().side("state")
    found = [{*tree.edges_below(f"dependencies/{part}")} for part in ("dependencies", "dependants")]
    assert found[0] == found[1]
    return sorted(found[0])


def is_clean(store: Repo) -> bool:
    done = store.run("fsck")
    # The documents here are not all of a shape; what is tied to what is.
    return not any(word in done.stdout for word in ("dangling", "list", "unreachable"))


def test_a_tree_goes_with_all_ties(stores: Stores, store: Repo) -> None:
    with stores.transaction() as tx:
        tx.remove(f"{SHOP}/@1")
        assert not tx.exists(f"{SHOP}/@1/call/build")
        assert tx.object(f"{SHOP}/@1/call/build/1/status/complete") is None
    assert stores.match(f"{SHOP}/@1/**", f"{SHOP}/@1") == []
    # The tag, what was deployed, and the link of another package lead nowhere any more.
    assert stores.match(f"{SHOP}/@{{v1.0,/deploy/**}}", "other/-/**/custom/*") == []
    assert "other/-/api/@1/custom/base" not in stores.match("**")
    build = stores.snapshot().object("other/-/api/@1/call/build")
    assert build is not None and build.links == ()
    assert edges(stores) == [(f"{SHOP}/@10/call/build", f"{SHOP}/@2")]
    assert stores.get(f"{SHOP}/@10/call/build#type") == "call"
    assert is_clean(store)


def test_what_is_put_there_afterwards_is_new(stores: Stores, store: Repo) -> None:
    with stores.transaction() as tx:
        tx.set(f"{SHOP}/@1/custom/note", "before")
        tx.remove(f"{SHOP}/@1")
        assert tx.get(f"{SHOP}/@1/custom/note", None) is None
        tx.set(f"{SHOP}/@1/call/build", stores.get(f"{SHOP}/@1/call/build"))
        assert tx.match(f"{SHOP}/@2/**")
    assert stores.match(f"{SHOP}/@1/**") == [f"{SHOP}/@1/call/build"]
    assert is_clean(store)


def test_it_is_taken_back_with_the_rest(stores: Stores) -> None:
    before = stores.match("**"), edges(stores)
    with stores.transaction() as tx:
        with pytest.raises(Fatal, match="enough"), tx.all_or_nothing():
            tx.set(f"{SHOP}/@1/custom/note", "before")
            tx.remove(f"{SHOP}/@1")
            raise Fatal("enough")
        assert tx.get(f"{SHOP}/@v1.0/call/build#type") == "call"
        assert tx.get(f"{SHOP}/@1/custom/note", None) is None
    assert (stores.match("**"), edges(stores)) == before


def test_nothing_is_removed_that_others_changed_meanwhile(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input=SHOP_INSTRUCTIONS + MORE)
    stores = ocuroot_git.open(str(store.path))
    with pytest.raises(Conflict, match="changed meanwhile"), stores.transaction() as tx:
        tx.remove(f"{SHOP}/@2")
        store.ocuroot("update", "--stdin", input=f'set {SHOP}/@2/custom/late "here"\n')
    assert stores.get(f"{SHOP}/@2/custom/late") == "here"
    with stores.transaction() as tx:  # elsewhere they may
        tx.remove(f"{SHOP}/@2")
        store.ocuroot("update", "--stdin", input=f'set {SHOP}/@1/custom/late "here"\n')
    assert stores.match(f"{SHOP}/@2/**", f"{SHOP}/@2") == []
    assert stores.get(f"{SHOP}/@1/custom/late") == "here"


def test_a_list_of_links_is_found_however_it_is_written(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input=SHOP_INSTRUCTIONS)
    stores = ocuroot_git.open(str(store.path))
    tree = stores.snapshot().side("state")
    ties = tree.ties(StoredRef(f"{SHOP}/@1"))
    assert ties.listed == {f"{SHOP}/@v1.0", f"{SHOP}/@/deploy/production"}
    ties.take(StoredRef(f"{SHOP}/@1"), rb'{"kind": "ref", "body": "\u001b", "l\u0069nks": ["elsewhere"]}')
    assert "elsewhere" in ties.listed
    with pytest.raises(Damaged):
        ties.take(StoredRef(f"{SHOP}/@1"), b'{"kind": "ref", "links": 3')
