"""The library: `ocuroot_git.open()`, snapshots, transactions, links, and what a write costs."""

from __future__ import annotations

import doctest
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.raw_objects import plant, write_object
from support.repositories import Repo

import ocuroot_git
import ocuroot_git.store.snapshot
import ocuroot_git.store.stores
import ocuroot_git.store.transaction
from ocuroot_git import Conflict, Fatal, NotFound, Ref, RefError, Stores, Transaction
from ocuroot_git.store.tree import MOST_STEPS


@pytest.fixture
def stores(store: Repo) -> Stores:
    return ocuroot_git.open(str(store.path))


def commits(repo: Repo) -> int:
    return int(repo.git("rev-list", "--count", "state", "--"))


# The examples of the documentation


@pytest.mark.parametrize(
    "module",
    [ocuroot_git, ocuroot_git.store.stores, ocuroot_git.store.snapshot, ocuroot_git.store.transaction],
    ids=lambda m: m.__name__,
)
def test_the_examples_in_docstrings(store: Repo, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    monkeypatch.chdir(store.path)
    with ocuroot_git.open().transaction("as the examples want it") as tx:
        tx.set("@/environment/production", {"name": "production", "attributes": {"type": "prod"}})
        tx.set("@/environment/staging", {"name": "staging", "attributes": {"type": "staging"}})
    names = {"open": ocuroot_git.open, "ocuroot_git": ocuroot_git}
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    examples = 0
    for example in doctest.DocTestFinder().find(module, extraglobs=names):
        example.globs["open"] = ocuroot_git.open
        examples += len(example.examples)
        runner.run(example, out=report.append)
    assert "".join(report) == ""
    assert examples > 0 or module in (ocuroot_git.store.snapshot, ocuroot_git.store.transaction)


def test_every_public_name_is_there() -> None:
    for name in ocuroot_git.__all__:
        assert getattr(ocuroot_git, name) is not None
    assert not hasattr(ocuroot_git, "nonsense")


def test_one_class_of_errors_per_exit_status(stores: Stores) -> None:
    cases: list[tuple[Callable[[], object], type[ocuroot_git.Error], int]] = [
        (lambda: stores.get("@/custom/none"), NotFound, 1),
        (lambda: stores.transact(lambda tx: tx.verify("@/custom/none", "1" * 40)), Conflict, 3),
        (lambda: stores.get("@/nonsense"), RefError, 128),
        (lambda: stores.match("{"), ocuroot_git.GlobError, 128),
        (lambda: stores.set("+/custom/x", {1: 2}), Fatal, 128),
        (lambda: stores.set("+/custom/x", float("nan")), Fatal, 128),
        (lambda: stores.set("+/custom/x", object()), Fatal, 128),
    ]
    for wrong, kind, status in cases:
        with pytest.raises(kind) as caught:
            wrong()
        assert isinstance(caught.value, ocuroot_git.Error)
        assert caught.value.status == status


# Reading


def test_get(stores: Stores) -> None:
    stores.set("+/custom/x", {"a": [1, {"b/c": 1.50}]})
    assert stores.get("+/custom/x#a/1/b~1c") == 1.5
    assert stores.get(Ref.parse("+/custom/x#a/0")) == 1
    assert stores.get("+/custom/x#a/2", default=None) is None
    with pytest.raises(NotFound, match="no such part"):
        stores.get("+/custom/x#a/2")


def test_look_up_and_resolve(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", {"n": 1})
        tx.link("a/-/b/@tag", "a/-/b/@1")
    found = stores.look_up("a/-/b/@tag#n")
    assert (found.ref, found.resolved, found.found, found.value) == ("a/-/b/@tag#n", "a/-/b/@1#n", True, 1)
    found = stores.look_up("a/-/b/@tag/call/none")
    assert (found.resolved, found.found, found.value) == ("a/-/b/@1/call/none", False, None)
    assert stores.resolve("a/-/b/@tag/call/none") == "a/-/b/@1/call/none"


def test_a_snapshot_stays_as_it_is(store: Repo, stores: Stores) -> None:
    stores.set("+/custom/x", 1)
    snapshot = stores.snapshot()
    assert snapshot.get("+/custom/x") == 1
    unread = stores.snapshot()
    unread.exists("+/custom/x")
    stores.set("+/custom/x", 2)
    store.ocuroot("set", "+/custom/y", "3")
    for old in (snapshot, unread):
        assert (old.get("+/custom/x"), old.match("**")) == (1, ["+/custom/x"])
    assert (stores.get("+/custom/x"), stores.match("**")) == (2, ["+/custom/x", "+/custom/y"])
    assert stores.snapshot(at="state~1").get("+/custom/x") == 2
    assert stores.snapshot(at="state~2").get("+/custom/x") == 1


# Transactions


def test_a_transaction_sees_what_it_did(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", 1)
        assert (tx.get("a/-/b/@1"), tx.exists("a/-/b/@")) == (1, True)
        tx.link("a/-/b/@", "a/-/b/@1")
        tx.set("a/-/b/@/custom/x", 2)
        assert tx.get("a/-/b/@1/custom/x") == 2
        tx.delete("a/-/b/@/custom/x")
        assert not tx.exists("a/-/b/@1/custom/x")
        stored = tx.object("a/-/b/@1")
        assert stored is not None and stored.links == ("a/-/b/@",)
    assert stores.match("**") == ["a/-/b/@", "a/-/b/@1"]


def test_nothing_is_written_where_nothing_changes(store: Repo, stores: Stores) -> None:
    stores.set("+/custom/x", {"a": 1})
    before = commits(store)
    stores.set("+/custom/x", {"a": 1})
    with stores.transaction() as tx:
        tx.set("+/custom/x", 2)
        tx.set("+/custom/y", 2)
        tx.delete("+/custom/y")
        tx.set("+/custom/x", {"a": 1})
    with pytest.raises(ZeroDivisionError), stores.transaction() as tx:
        tx.set("+/custom/x", 3)
        tx.set("+/custom/y", 1 / 0)
    assert (commits(store), stores.get("+/custom/x")) == (before, {"a": 1})


def test_state_and_intent_of_one_branch_make_one_commit(store: Repo, stores: Stores) -> None:
    with stores.transaction("both at once") as tx:
        tx.set("+/custom/x", 1)
        tx.set("@/custom/x", 1)
    assert commits(store) == 2
    assert store.git("log", "-1", "--format=%B", "state").split("\n")[:4] == [
        "both at once",
        "",
        "+/custom/x",
        "@/custom/x",
    ]


def test_a_change_that_lost_the_race_is_made_again(store: Repo, stores: Stores) -> None:
    stores.set("+/custom/n", 0)
    tries = []

    def add(tx: Transaction) -> int:
        number = int(tx.get("+/custom/n")) + 1
        tries.append(number)
        if len(tries) < 4:  # another writer is faster three times
            store.ocuroot("set", "-f", "json", "+/custom/n", str(number * 10))
        tx.set("+/custom/n", number)
        return number

    assert stores.transact(add, command="add", message="one more") == 1111
    assert tries == [1, 11, 111, 1111]
    assert stores.get("+/custom/n") == 1111
    assert store.git("log", "-1", "--format=%s %(trailers:key=Ocuroot-Command,valueonly)", "state").split() == [
        "one",
        "more",
        "add",
    ]


def test_a_change_that_always_loses_gives_up(store: Repo) -> None:
    store.git("config", "ocuroot.timeout", "0")
    stores = ocuroot_git.open(str(store.path))

    def lose(tx: Transaction) -> None:
        assert not tx.exists("+/custom/x")
        store.ocuroot("set", "+/custom/other", os.urandom(8).hex())
        tx.set("+/custom/x", 1)

    with pytest.raises(Conflict, match="lost the race for 'refs/heads/state'"):
        stores.transact(lose)
    assert not stores.snapshot().exists("+/custom/x")


RELEASE = '{"n": 1, "commit": "a", "package": {"phases": [{}]}}'
MEANWHILE = [
    ("a document that was read", "set @/custom/read 2", lambda tx: tx.get("@/custom/read")),
    ("a document that was not there", "set @/custom/new 2", lambda tx: tx.exists("@/custom/new")),
    ("a document that is changed", "set @/custom/mine 7", lambda tx: None),
    ("a link that was followed", "link a/-/b/@tag a/-/b/@2", lambda tx: tx.get("a/-/b/@tag#n")),
    ("the newest release", f"set a/-/b/@3 {RELEASE}", lambda tx: tx.resolve("a/-/b/@")),
    ("what was verified", "set @/custom/new 2", lambda tx: tx.verify("@/custom/new", "0" * 40)),
    ("what was matched", "set @/custom/new 2", lambda tx: tx.match("@/custom/*")),
    ("the content of what was matched", "set @/custom/read 2", lambda tx: tx.match("@/custom/*")),
    ("a link that is made above what is changed", "link c/-/d/@t a/-/b/@1", lambda tx: tx.set("c/-/d/@t/custom/x", 1)),
]  # fmt: skip


@pytest.fixture
def filled(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input=(
        "set @/custom/read 1\nset @/custom/mine 1\nset @/custom/other 1\n"
        f"set a/-/b/@1 {RELEASE}\nset a/-/b/@2 {RELEASE}\nlink a/-/b/@tag a/-/b/@1\n"
    ))  # fmt: skip
    return store


@pytest.mark.parametrize(("what", "instruction", "read"), MEANWHILE, ids=[case[0] for case in MEANWHILE])
def test_a_block_whose_grounds_changed_meanwhile_is_refused(
    filled: Repo, what: str, instruction: str, read: Any
) -> None:
    stores = ocuroot_git.open(str(filled.path))
    with pytest.raises(Conflict) as refused, stores.transaction() as tx:
        read(tx)
        tx.set("@/custom/mine", 5)
        filled.ocuroot("update", "--stdin", input=instruction + "\n")
    assert "@object.json" not in str(refused.value) and "refs/" not in str(refused.value)
    assert stores.get("@/custom/mine") != 5
    assert filled.ocuroot("fsck", "-q") == ""


def test_a_block_beside_other_changes_is_written(filled: Repo) -> None:
    stores = ocuroot_git.open(str(filled.path))
    with stores.transaction() as tx:
        assert tx.get("a/-/b/@tag#n") == tx.get("@/custom/read") == 1
        assert tx.match("@/custom/r*") == ["@/custom/read"]
        tx.verify("@/custom/new", "0" * 40)
        tx.set("@/custom/mine", 5)
        tx.set("c/-/d/@1/custom/x", 1)
        filled.ocuroot("update", "--stdin", input="set @/custom/other 2\nset c/-/d/@1/custom/y 1\nset c/-/e/@1 1\n")
    assert [stores.get(f"@/custom/{name}") for name in ("mine", "other")] == [5, 2]
    assert stores.match("c/**") == ["c/-/d/@1/custom/x", "c/-/d/@1/custom/y", "c/-/e/@1"]


# Links (design 5.3)


def links_of(stores: Stores, ref: str) -> tuple[str, ...]:
    found = stores.snapshot().object(ref)
    assert found is not None
    return found.links


def test_back_links_are_kept_in_step(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", 1)
        tx.set("a/-/b/@2", 2)
        tx.link("a/-/b/@", "a/-/b/@1")
        tx.link("a/-/b/@v1", "a/-/b/@1")
    assert links_of(stores, "a/-/b/@1") == ("a/-/b/@", "a/-/b/@v1")
    stores.transact(lambda tx: tx.link("a/-/b/@", "a/-/b/@2"))
    assert (links_of(stores, "a/-/b/@1"), links_of(stores, "a/-/b/@2")) == (("a/-/b/@v1",), ("a/-/b/@",))
    stores.transact(lambda tx: tx.unlink("a/-/b/@v1"))
    assert links_of(stores, "a/-/b/@1") == ()
    stores.set("a/-/b/@", 3)
    assert (stores.get("a/-/b/@2"), links_of(stores, "a/-/b/@2")) == (3, ("a/-/b/@",))


def test_deleting_a_document_deletes_the_links_to_it(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", 1)
        tx.link("a/-/b/@", "a/-/b/@1")
        tx.link("a/-/b/@v1", "a/-/b/@")
        tx.link("c/-/d/@x", "a/-/b/@v1")
    assert stores.match("**") == ["a/-/b/@", "a/-/b/@1", "a/-/b/@v1", "c/-/d/@x"]
    stores.delete("c/-/d/@x")
    assert stores.match("**") == []


@pytest.mark.parametrize("verb", ["delete", "unlink", "remove"])
def test_links_to_a_part_of_what_goes_go_as_well(store: Repo, stores: Stores, verb: str) -> None:
    """We make no such links, but other programs do; whatever takes away their end takes them away."""
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", {"output": {"x": 1}})
        tx.set("a/-/b/@2", 2)
        tx.link("a/-/b/@", "a/-/b/@1")
        tx.link("c/-/d/@part", "a/-/b/@1" if verb == "delete" else "a/-/b/@")
        tx.link("c/-/d/@behind", "c/-/d/@part")
    links: dict[str, dict[str, Any]] = {
        "part": {"body": "a/-/b/@1#output/x" if verb == "delete" else "a/-/b/@#output/x", "links": ["c/-/d/@behind"]},
        "behind": {"body": "c/-/d/@part#y"},
    }
    for name, content in links.items():
        file = write_object(store, "blob", json.dumps({"kind": "link", **content}).encode())
        plant(store, f"refs/c/-/d/@{name}", "100644", "@object.json", file)
    assert stores.get("c/-/d/@part") == 1
    with stores.transaction() as tx:
        if verb == "unlink":
            tx.unlink("a/-/b/@")
        else:
            getattr(tx, verb)("a/-/b/@1")
    assert stores.match("**") == [*(["a/-/b/@1"] if verb == "unlink" else []), "a/-/b/@2"]
    assert "link" not in store.run("fsck").stdout


def test_links_that_are_refused(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", {"n": 1})
        tx.set("a/-/b/@1/custom/x", 1)
        tx.set("+/custom/x", 1)
        tx.link("a/-/b/@t", "a/-/b/@1")
    for ref, target, words in (
        ("a/-/b/@1", "+/custom/x", "it is a document"),
        ("a/-/b/@1/custom", "+/custom/x", "a type needs a name"),
        ("a/-/b/@t", "a/-/b/@t", "a cycle"),
        ("a/-/b/@u", "a/-/b/@1#n", "documents are changed as a whole"),
        ("a/-/b/@u", "a/-/b/@3", "there is no such document"),
    ):
        with pytest.raises(ocuroot_git.Error, match=words), stores.transaction() as tx:
            tx.link(ref, target)
    stores.set("a/-/c/@9/custom/deep/below", 1)
    with pytest.raises(Fatal, match="would hide 'a/-/c/@9/custom/deep/below'"):
        stores.transact(lambda tx: tx.link("a/-/c/@9", "a/-/b/@1"))


def test_the_longest_prefix_that_is_a_link_counts(stores: Stores) -> None:
    with stores.transaction() as tx:
        tx.set("a/-/b/@1", 1)
        tx.set("a/-/b/@2/call/build", 2)
        tx.link("a/-/b/@", "a/-/b/@1")
        tx.link("a/-/b/@/call/build", "a/-/b/@2/call/build")
    assert stores.resolve("a/-/b/@/call/build/log") == "a/-/b/@2/call/build/log"
    assert stores.resolve("a/-/b/@/call/test") == "a/-/b/@1/call/test"


def test_nothing_is_written_below_the_newest_release_before_there_is_one(store: Repo, stores: Stores) -> None:
    """The first release would hide it."""
    for ref in ("a/-/b/@/custom/x", "a/-/b/@"):
        with pytest.raises(Fatal, match="'a/-/b' has no release yet"):
            stores.set(ref, 1)
    stores.set("a/-/b/@/deploy/production", "what is deployed is current in no release")
    stores.set("a/-/b/@1", {})
    stores.set("a/-/b/@/custom/x", 1)
    assert stores.get("a/-/b/@1/custom/x") == 1
    assert "unreachable" not in store.run("fsck", "-q").stdout


def test_without_a_link_the_highest_release_is_meant(stores: Stores) -> None:
    with stores.transaction() as tx:
        for number in (1, 2, 10):
            tx.set(f"a/-/b/@{number}", number)
        tx.set("a/-/b/@11/custom/x", "a release without its document")
    assert (stores.get("a/-/b/@"), stores.resolve("a/-/b/@/custom/x")) == (10, "a/-/b/@10/custom/x")
    assert stores.resolve("a/-/b/@/deploy/production") == "a/-/b/@/deploy/production", "nothing is deployed"
    assert stores.resolve("a/-/none/@") == "a/-/none/@"


@pytest.mark.parametrize(("length", "fine"), [(MOST_STEPS, True), (MOST_STEPS + 1, False)])
def test_links_are_followed_for_so_many_steps(stores: Stores, length: int, fine: bool) -> None:
    assert MOST_STEPS == 32

    def chain(tx: Transaction) -> None:
        tx.set("@/custom/0", "end")
        for number in range(1, length + 1):
            tx.link(f"@/custom/{number}", f"@/custom/{number - 1}")

    if fine:
        stores.transact(chain)
        assert stores.get(f"@/custom/{length}") == "end"
    else:
        with pytest.raises(Fatal, match="too many links"):
            stores.transact(chain)


def test_a_link_whose_target_comes_later_is_listed_by_it(store: Repo, stores: Stores, tmp_path: Path) -> None:
    """Links of the original may dangle; a document that is made at their end knows of them."""
    store.ocuroot("export", "-q", "files")
    path = store.path / "files/refs/a/-/b/@/deploy/x"
    path.mkdir(parents=True)
    (path / "@object.json").write_text('{"kind":"link","body":"a/-/b/@1/deploy/x"}')
    store.git("config", "ocuroot.state.branch", "other")
    store.ocuroot("import", "-q", "files")
    stores = ocuroot_git.open(str(store.path))
    stores.set("a/-/b/@/deploy/x", 1)
    assert stores.match("**", links=False) == ["a/-/b/@1/deploy/x"]
    assert links_of(stores, "a/-/b/@1/deploy/x") == ("a/-/b/@/deploy/x",)


# What a write costs


def count_objects(repo: Repo) -> int:
    """The objects of the repository, loose or in packs."""
    counts = dict(line.split(": ") for line in repo.git("count-objects", "-v").split("\n"))
    assert counts["garbage"] == "0"
    return int(counts["count"]) + int(counts["in-pack"]) - int(counts["prune-packable"])


def test_a_set_writes_the_trees_on_its_path_only(store: Repo) -> None:
    wide = "".join(f"set a/-/p{n // 50}/@{n % 50}/call/build/{n}/logs {n}\n" for n in range(1500))
    store.ocuroot("update", "--stdin", input=wide)
    before = count_objects(store)
    stores = ocuroot_git.open(str(store.path))
    ref = "a/-/p7/@7/call/build/357/logs"
    stores.set(ref, "changed")
    # A blob, a commit, and the trees: the root, `refs`, and one for each segment.
    assert count_objects(store) - before == 2 + 2 + len(ref.split("/"))
    before, ref = count_objects(store), "a/-/p7/@7/custom/new"
    stores.set(ref, "as many, and none for what was there")
    assert count_objects(store) - before == 2 + 2 + len(ref.split("/"))


def test_many_documents_in_one_transaction_write_each_tree_once(store: Repo) -> None:
    before = count_objects(store)
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number in range(200):
            tx.set(f"a/-/b/@1/custom/{number}", number)
    # Blobs, as many trees that hold one of them each, the seven from `custom` up to the root, the commit, and a
    # second one where many objects are written as a pack.
    assert count_objects(store) - before - (200 + 200 + 7) in (1, 2)


def test_what_others_keep_beside_a_document_is_kept(store: Repo) -> None:
    """Fields of `@object.json` that this program does not know, of a document that is set and of one that is linked."""
    path = "refs/@/custom/x/@object.json"
    content = '{"kind": "ref", "owner": {"team": "a"}, "body_type": "mine", "body": 1, "version": 1.50}'
    index = {**os.environ, "GIT_INDEX_FILE": str(store.path / ".git" / "by-hand")}
    store.git("read-tree", "state", env=index)
    blob = store.git("hash-object", "-w", "--stdin", input=content)
    store.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    commit = store.git("commit-tree", "-p", "state", "-m", "by hand", store.git("write-tree", env=index))
    store.git("update-ref", "refs/heads/state", commit)
    for instruction, links in (("set @/custom/x 2", []), ("link @/custom/l @/custom/x", ["@/custom/l"])):
        store.ocuroot("update", "--stdin", input=f"{instruction}\n")
        text = store.git("show", f"state:{path}")
        kept = {"kind": "ref", "body_type": "mine", **({"links": links} if links else {}), "body": 2}
        assert list(json.loads(text).items()) == [*kept.items(), ("owner", {"team": "a"}), ("version", 1.5)]
        assert "1.50" in text
