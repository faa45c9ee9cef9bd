"""`undo`: what one commit did to intents and custom documents is taken back by another, or nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delivering import LAYOUTS, deploy, package, prepare, prepare_at, refused, release, work_any
from support.fleets import fill
from support.original_stores import v3_branches
from support.remote_stores import World
from support.repositories import Repo, put_file

import ocuroot_git
from ocuroot_git.delivery.undo import undo
from ocuroot_git.errors import Conflict, Fatal
from ocuroot_git.formats.layout import StoredObject
from ocuroot_git.store.stores import Stores
from ocuroot_git.store.transaction import Transaction


def tree(repo: Repo, branch: str = "state") -> str:
    return repo.git("rev-parse", f"{branch}^{{tree}}")


@pytest.fixture
def shop(store: Repo) -> tuple[Repo, Stores]:
    stores = ocuroot_git.open(str(store.path))
    stores.set("+/custom/a", {"n": 1, "s": "1.0"})
    stores.set("+/custom/b", 2)
    return store, stores


CHANGES: dict[str, list[tuple[object, ...]]] = {
    "new": [("set", "+/custom/new", {"n": 1})],
    "changed": [("set", "+/custom/a", {"n": 1.0, "s": "1.0"})],
    "deleted": [("delete", "+/custom/a")],
    "several": [("set", "+/custom/new", 1), ("set", "+/custom/a", 3), ("delete", "+/custom/b")],
    "state": [("set", "@/custom/a", 1), ("set", "@/environment/x", {"name": "x", "attributes": {}})],
    "link": [("link", "+/custom/c", "+/custom/a")],
    "new and link": [("set", "+/custom/new", 1), ("link", "+/custom/c", "+/custom/new")],
    "link for document": [("delete", "+/custom/b"), ("link", "+/custom/b", "+/custom/a")],
}


@pytest.mark.parametrize("name", CHANGES)
def test_undone_and_done_again(shop: tuple[Repo, Stores], name: str) -> None:
    repo, stores = shop
    trees = [tree(repo)]
    with stores.transaction() as tx:
        for verb, *arguments in CHANGES[name]:
            getattr(tx, str(verb))(*arguments)
    trees.append(tree(repo))
    for number in range(4):
        undo(stores, None)
        assert tree(repo) == trees[number % 2], number
    assert repo.run("fsck", "-q").returncode == 0


def test_what_is_kept_about_a_document_comes_back(shop: tuple[Repo, Stores]) -> None:
    repo, stores = shop
    odd = '{"links": ["+/custom/l"], "kind": "ref", "extra": [1], "body_type": "mine", "body": {"b": 1, "a": 2.50}}'
    put_file(repo, "refs/+/custom/odd/@object.json", odd)
    put_file(repo, "refs/+/custom/l/@object.json", '{"kind": "link", "body": "+/custom/odd"}')
    stores.delete("+/custom/odd")
    undo(stores, None)
    kept = json.loads(repo.git("show", "state:refs/+/custom/odd/@object.json"))
    assert kept == json.loads(odd)
    assert repo.ocuroot("resolve", "+/custom/l") == "+/custom/odd"


def test_what_was_changed_again_is_not_undone(shop: tuple[Repo, Stores]) -> None:
    repo, stores = shop
    stores.set("+/custom/a", 2)
    first = repo.git("rev-parse", "--short=12", "state")
    stores.set("+/custom/other", 1)
    stores.set("+/custom/a", 3)
    later = repo.git("rev-parse", "--short=12", "state")
    stores.set("+/custom/more", 1)
    said = refused(repo, 3, f"'+/custom/a' was changed again by commit {later}", "undo", first)
    assert said.endswith("hint: undo that first\n")
    repo.ocuroot("undo", later)
    assert repo.ocuroot("undo", first, "--dry-run", "--json") == (
        f'{{"status": "M", "ref": "+/custom/a", "undone": "{repo.git("rev-parse", first)}"}}'
    )
    assert repo.ocuroot("undo", first, "-m", "a mistake") == "M\t+/custom/a"
    assert (stores.get("+/custom/a#n"), stores.get("+/custom/more")) == (1, 1)
    assert repo.git("log", "-1", "--format=%s", "state") == f"undo {first}: set +/custom/a"
    assert "Ocuroot-Reason: a mistake" in repo.git("log", "-1", "state")
    # A later link to what would be deleted goes with it: that is no undoing of this commit alone.
    stores.set("+/custom/z", 1)
    made = repo.git("rev-parse", "state")
    stores.transact(lambda tx: tx.link("+/custom/y", "+/custom/z"))
    with pytest.raises(Conflict, match="'\\+/custom/z' was changed again"):
        undo(stores, made)


def test_which_commits_are_not_undone(store: Repo) -> None:
    prepare(store, "staging")
    web = release(store, package([deploy("staging")]))
    work_any(store)
    words = "which is no intent and no custom document"
    for commit in store.git("rev-list", "--first-parent", "-3", "state").split():
        said = refused(store, 128, words, "undo", commit)
        assert "hint: what has happened stays recorded" in said and "it changed 'shop/-/web/@" in said
    store.ocuroot("set", "+/custom/a", "1")
    root = store.git("rev-list", "--max-parents=0", "state")
    refused(store, 128, "it is the first of the store", "undo", root)
    other = store.git("commit-tree", "-p", "state^", "-m", "aside", "state^^{tree}")
    merge = store.git("commit-tree", "-p", "state", "-p", other, "-m", "merged", "state^{tree}")
    store.git("update-ref", "refs/heads/state", merge)
    refused(store, 128, "it is a merge", "undo")
    refused(store, 1, "is none of branch 'state'", "undo", "HEAD")
    refused(store, 1, "bad revision 'nowhere'", "undo", "nowhere")
    refused(store, 129, "too many arguments", "undo", "state", "state")
    put_file(store, "README.md", "hello")
    refused(store, 128, f"it changed 'README.md', {words}", "undo")
    assert store.value("//web/@/deploy/staging#release") == web


def test_a_race_is_settled_by_what_was_looked_at(shop: tuple[Repo, Stores], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another commit comes between: the one that was the newest is undone, unless what it changed was changed."""
    repo, stores = shop
    others, restore = ocuroot_git.open(str(repo.path)), Transaction.restore
    for ref, is_lost in (("+/custom/other", False), ("+/custom/b", True)):
        stores.set("+/custom/b", 5)
        moves = [ref]

        def interrupted(tx: Transaction, ref: str, content: StoredObject, moves: list[str] = moves) -> None:
            if moves:
                others.set(moves.pop(), 7)
            restore(tx, ref, content)

        monkeypatch.setattr(Transaction, "restore", interrupted)
        if is_lost:
            with pytest.raises(Conflict, match="was changed again"):
                undo(stores, None)
        else:
            undo(stores, None)
            assert stores.get("+/custom/b") == 2
        monkeypatch.undo()
    assert (stores.get("+/custom/b"), stores.get("+/custom/other")) == (7, 7)


@pytest.mark.parametrize("place", LAYOUTS)
def test_a_rollback_and_a_hold_are_undone_in_every_place(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "production")
    one, two = (release(repo, package([deploy("production")])) for _ in range(2))
    work_any(repo)
    before = repo.git("for-each-ref", "--format=%(tree)", "refs/heads")
    repo.run("rollback", "production", "--to", one, "-m", "no")
    if place == "two branches":
        assert repo.ocuroot("undo", "state") == f"D\t{two}/custom/hold"
    refs = repo.ocuroot("undo").splitlines()
    assert refs[:2] == ["M\tshop/-/web/+/deploy/production", f"D\t{two.replace('@', '+')}/custom/hold"]
    assert repo.git("for-each-ref", "--format=%(tree)", "refs/heads") == before


def test_a_store_of_the_original(repo: Repo) -> None:
    v3_branches(repo)
    before = tree(repo, "intent")
    repo.ocuroot("set", "-f=json", "+/environment/canary", '{"name": "canary", "attributes": {}}')
    state = repo.git("rev-parse", "state")
    assert repo.ocuroot("undo") == "D\t+/environment/canary"
    assert (tree(repo, "intent"), repo.git("rev-parse", "state")) == (before, state)
    repo.ocuroot("set", "-f=json", "+/environment/canary", '{"name": "canary", "attributes": {}}')
    repo.ocuroot("apply", "+/environment/canary")
    assert repo.run("undo", "state").returncode in (0, 128)


def test_a_remote_store_in_a_clone_that_has_not_its_history(tmp_path: Path) -> None:
    world = World(tmp_path, "file")
    (tmp_path / "served").mkdir()
    bare = world.bare()
    maker = world.clone("maker")
    maker.ocuroot("init", "-q")
    fill(maker, ["web"])
    maker.ocuroot("set", "+/custom/a", "1")
    wanted = bare.git("rev-parse", "state")
    for number in range(3):
        maker.ocuroot("set", "+/custom/b", str(number))
    other = world.clone("other")
    assert other.ocuroot("get", "+/custom/a") == '"1"'
    assert other.ocuroot("undo", wanted) == "D\t+/custom/a"
    assert other.ocuroot("undo") == "A\t+/custom/a"
    assert bare.git("rev-list", "--count", f"{wanted}..state") == "5"


def test_an_operation_is_undone_once(shop: tuple[Repo, Stores]) -> None:
    repo, stores = shop
    stores.set("+/custom/a", 2)
    for _ in range(2):
        assert repo.run("undo", "--operation", "job 1").stdout == "M\t+/custom/a\n"
    assert stores.get("+/custom/a#n") == 1
    with pytest.raises(Fatal):
        undo(stores, repo.git("rev-list", "--max-parents=0", "state"))


def test_in_a_shallow_clone_the_first_commit_that_is_here_is_not_taken_for_the_first(
    shop: tuple[Repo, Stores], tmp_path: Path
) -> None:
    repo, _ = shop
    clone = Repo(tmp_path / "shallow")
    clone.path.mkdir()
    clone.git("init", "-q")
    clone.git("fetch", "-q", "--depth=2", f"file://{repo.path}", "state:state")
    unshallow = "'git fetch --unshallow' gets all of"
    for arguments, words in (
        (("undo", "state~1"), "the one before is not here"),
        (("get", "--at", "1999-01-01", "@/environment/staging"), "the history that is here does not go back to"),
    ):
        done = clone.run(*arguments)
        assert words in done.stderr and unshallow in done.stderr, done.stderr
