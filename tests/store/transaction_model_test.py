"""Transactions agree with a model made of plain dicts, on a branch and in a directory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import seldom
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.errors import Conflict, Error, Fatal, NotFound
from ocuroot_git.formats.layout import StoredRef, edge_files
from ocuroot_git.store.fsck import Checker


class Model:
    """What a store holds: documents, links and dependencies by ref, and what each operation does to them."""

    def __init__(self) -> None:
        self.documents: dict[str, object] = {}
        self.links: dict[str, str] = {}
        self.edges: set[tuple[str, str]] = set()
        self.before = self

    def copy(self) -> Model:
        made = Model()
        made.documents, made.links, made.edges = dict(self.documents), dict(self.links), set(self.edges)
        made.before = self
        return made

    def resolve(self, ref: str) -> str:
        passed = []
        while True:
            if ref in passed:
                raise Fatal("a cycle")
            passed.append(ref)
            segments = ref.split("/")
            prefixes = ["/".join(segments[:length]) for length in range(len(segments), 0, -1)]
            link = next((prefix for prefix in prefixes if prefix in self.links), None)
            if link is not None:
                ref = self.links[link] + ref[len(link) :]
                continue
            newest = self.newest(ref)
            if newest is None:
                return ref
            ref = newest

    def newest(self, ref: str) -> str | None:
        package, at, rest = ref.partition("/@")
        if not at or package == "" or (rest and not rest.startswith("/")) or f"{package}/@" in self.documents:
            return None
        if rest.startswith(("/call/", "/deploy/")):
            return None
        releases = [
            int(found[1])
            for found in (re.fullmatch(re.escape(package) + r"/@(\d+)", one) for one in self.documents)
            if found
        ]
        return f"{package}/@{max(releases)}{rest}" if releases else None

    def set(self, ref: str, value: object) -> None:
        end = self.resolve(ref)
        below = f"{end}/".partition("/@/")
        if end not in self.documents and below[1] and below[2].split("/")[0] not in ("call", "deploy"):
            raise Fatal("no release yet")
        self.documents[end] = value

    def create(self, ref: str, value: object) -> None:
        if self.resolve(ref) in self.documents:
            raise Conflict("exists")
        self.set(ref, value)

    def delete(self, ref: str) -> None:
        end = self.resolve(ref)
        if end not in self.documents:
            raise NotFound("no such document")
        del self.documents[end]
        self.forget_links_to(end)

    def forget_links_to(self, end: str) -> None:
        for link in [link for link, target in self.links.items() if target == end]:
            if link in self.links:
                del self.links[link]
                self.forget_links_to(link)

    def link(self, ref: str, target: str) -> None:
        if target not in self.documents and target not in self.links:
            target = self.resolve(target)
            if target not in self.documents:
                raise NotFound("no such document")
        if ref in self.documents:
            raise Fatal("it is a document")
        if ref not in self.links:
            for document in self.documents:
                if document.startswith(ref + "/") and self.resolve(document) == document:
                    raise Fatal("hides")
        self.links[ref] = target
        self.resolve(ref)

    def unlink(self, ref: str) -> None:
        if ref not in self.links:
            raise NotFound("no link")
        del self.links[ref]
        self.forget_links_to(ref)

    def verify_absent(self, ref: str) -> None:
        if self.before.resolve(ref) in self.before.documents:
            raise Conflict("there")

    def depend(self, ref: str, dependency: str) -> None:
        self.edges.add((ref, dependency))

    def undepend(self, ref: str, dependency: str) -> None:
        if (ref, dependency) not in self.edges:
            raise NotFound("does not depend")
        self.edges.remove((ref, dependency))


documents_ = st.sampled_from(
    [
        "a/-/p/@1",
        "a/-/p/@2",
        "a/-/p/@10",
        "a/-/p/@1/custom/x",
        "a/-/p/@2/custom/x",
        "a/-/p/@1/custom/x/y",
        "a/-/p/@1/call/b/1",
        "@/custom/one",
        "+/custom/one",
        "a/-/p/+/deploy/e",
        "a/-/q/@1",
    ]
)
through_links = st.sampled_from(
    ["a/-/p/@", "a/-/p/@/custom/x", "a/-/p/@tag", "a/-/p/@tag/custom/x", "a/-/p/@/call/b", "@/custom/link"]
)
links_ = st.sampled_from(
    ["a/-/p/@", "a/-/p/@tag", "a/-/p/@other", "a/-/p/@/call/b", "@/custom/link", "a/-/p/@1", "a/-/p/@1/custom/x"]
)
any_ref = st.one_of(documents_, documents_, through_links)
values = st.one_of(st.integers(0, 3), st.just([1, {"a": None}]))
operations = st.one_of(
    st.tuples(st.sampled_from(["set", "set", "create"]), documents_, values),
    st.tuples(st.just("set"), through_links, values),
    st.tuples(st.just("delete"), any_ref),
    st.tuples(st.just("link"), links_, any_ref),
    st.tuples(st.just("link"), links_, links_),
    st.tuples(st.just("unlink"), links_),
    st.tuples(st.just("verify_absent"), any_ref),
    st.tuples(st.sampled_from(["depend", "undepend"]), documents_, documents_),
)
histories = st.lists(st.lists(operations, min_size=1, max_size=4), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty")
    repo = Repo(path)
    repo.git("init", "-q", "--template=")
    repo.ocuroot("init", "-q")
    repo.ocuroot("export", "-q", "files")
    return path


def fresh_stores(empty: Path, where: str) -> Iterator[Any]:
    path = shutil.copytree(empty, os.path.join(where, "copy"))
    yield ocuroot_git.open(path)
    yield ocuroot_git.open(path, environ={**os.environ, "OCUROOT_STATE": os.path.join(path, "files")})


@seldom
@given(histories)
@example(
    [
        [("set", "a/-/p/@1", 0), ("link", "a/-/p/@", "a/-/p/@1")],
        [("delete", "a/-/p/@")],
        [("verify_absent", "a/-/p/@1")],
    ]
)
@example([[("set", "a/-/p/@1", 0), ("set", "a/-/p/@10", 1)], [("set", "a/-/p/@", 2)], [("delete", "a/-/p/@")]])
def test_transactions_agree_with_a_model(empty_store: Path, history: list[list[tuple[Any, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as where:
        pairs = [(stores, Model()) for stores in fresh_stores(empty_store, where)]
        for transaction in history:
            for number, (stores, model) in enumerate(pairs):
                wanted, expected = model.copy(), None
                try:
                    for verb, *arguments in transaction:
                        getattr(wanted, verb)(*arguments)
                except Error as error:
                    expected = type(error)
                carry_out(stores, transaction, expected)
                if expected is None:
                    pairs[number] = stores, wanted
                agree(stores, pairs[number][1])


def carry_out(stores: Any, transaction: list[tuple[Any, ...]], expected: type[Error] | None) -> None:
    def change(tx: ocuroot_git.Transaction) -> None:
        for verb, *arguments in transaction:
            if verb == "verify_absent":
                tx.verify(arguments[0], "0" * 40)
            else:
                getattr(tx, verb)(*arguments)

    if expected is None:
        stores.transact(change)
        return
    with pytest.raises(Error) as caught:
        stores.transact(change)
    assert caught.value.status == expected.status, (transaction, caught.value)


def agree(stores: Any, model: Model) -> None:
    """The store holds what the model holds, and nothing is wrong with it."""
    snapshot = stores.snapshot()
    assert snapshot.match("**") == sorted([*model.documents, *model.links])
    assert snapshot.match("**", links=False) == sorted(model.documents)
    for ref, value in model.documents.items():
        assert snapshot.get(ref) == value, ref
        back = sorted(link for link, target in model.links.items() if target == ref)
        assert sorted(snapshot.object(ref).links) == back, ref
    for ref, target in model.links.items():
        assert snapshot.object(ref).target == target, ref
        assert snapshot.resolve(ref) == model.resolve(ref)
        assert snapshot.get(ref) == model.documents[model.resolve(ref)]
    tree = snapshot.side("state")
    assert list(Checker(tree).run()) == []
    for ref, dependency in model.edges:
        for path, content in edge_files(StoredRef(ref), StoredRef(dependency)).items():
            assert tree.file(path) == content
    todo, edges = ["dependencies"], 0
    while todo:
        path = todo.pop()
        names_ = tree.names(path)
        edges += "@ref.txt" in names_
        todo += [f"{path}/{name}" for name in names_ if name != "@ref.txt"]
    assert edges == 2 * len(model.edges)
