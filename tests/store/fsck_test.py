"""`fsck` reads a store in one pass, and carries down what it knows: it must find what looking up each object finds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support import damaged
from support.repositories import Repo

from ocuroot_git.formats.layout import Damaged, Layout, StoredObject, StoredRef, object_path, split_target
from ocuroot_git.formats.refs import Ref, RefError, unsafe_name
from ocuroot_git.git.objects import ObjectError, Oid
from ocuroot_git.git.repository import Repository
from ocuroot_git.git.tree_reader import EXECUTABLE
from ocuroot_git.store import fsck
from ocuroot_git.store.fsck import Checker
from ocuroot_git.store.tree import LinkCycle, StoreTree

Found = tuple[str, str, str]


def found_by(checker: Checker) -> list[Found]:
    return [(finding.severity, finding.where, finding.what) for finding in checker.run()]


class Naive:
    """Keeps every object in memory, and looks each up from the top."""

    def __init__(self, tree: StoreTree) -> None:
        self.tree = tree
        self.objects: dict[StoredRef, StoredObject] = {}

    def run(self) -> list[Found]:
        found = [*self.read_top()]
        for stored, content in self.objects.items():
            found += self.check_object(stored, content)
        return sorted(found)

    def read_top(self) -> Iterator[Found]:
        files, root = self.tree.files, self.tree.root
        for name, why in files.oddities(root):
            if unsafe_name(name) or name in (".ocuroot-store", "refs", "dependencies"):
                yield "warning" if why == EXECUTABLE else "error", name, why
        for part in ("dependencies", "refs"):
            node = self.tree.node(part)
            if node is not None:
                yield from self.read(part, node) if files.is_tree(node) else self.no_directory(part)

    def no_directory(self, path: str) -> Iterator[Found]:
        yield "error", path, "it is a file where a directory should be"

    def read(self, path: str, directory: Any) -> Iterator[Found]:
        files, is_ref = self.tree.files, path.startswith("refs")
        try:
            entries, odd = list(files.children(directory, checked=False)), dict(files.oddities(directory))
        except ObjectError as error:
            yield "error", path, error.message
            return
        for node in entries:
            name = files.name(node)
            below = f"{path}/{name}"
            if name in odd:
                yield "warning" if odd[name] == EXECUTABLE else "error", below, odd[name]
                if odd[name] != EXECUTABLE:
                    continue
            if is_ref and name == "@object.json" and files.is_tree(node):
                yield "error", below, "it is a directory where a file should be"
            elif is_ref and name == "@object.json":
                yield from self.read_object(StoredRef(path.removeprefix("refs").removeprefix("/")), node)
            elif files.is_tree(node):
                yield from self.read(below, node)
            elif is_ref:
                yield from self.no_directory(below)

    def read_object(self, stored: StoredRef, node: Any) -> Iterator[Found]:
        path = object_path(stored)
        try:
            self.objects[stored] = StoredObject.read(self.tree.files.data(node), path)
        except Damaged as damage:
            yield "error", path, damage.why
        except ObjectError as error:
            yield "error", path, error.message

    def check_object(self, stored: StoredRef, content: StoredObject) -> Iterator[Found]:
        shown = self.tree.layout.shown
        reached = self.reached(stored)
        if isinstance(reached, RefError) and content.kind == "ref":
            yield "warning", shown(stored), f"its path is no ref: {reached.message}"
        elif isinstance(reached, LinkCycle):
            circle = "the document is unreachable: its ref leads" if content.kind == "ref" else "the link leads"
            yield "error", shown(stored), f"{circle} in a circle"
        elif isinstance(reached, str) and content.kind == "ref" and reached != stored:
            yield "error", shown(stored), f"the document is unreachable: its ref leads to '{shown(reached)}'"
        if content.target:
            end = split_target(content.target)[0]
            if end not in self.objects:
                yield "warning", shown(stored), f"dangling link: there is no '{shown(end)}'"
            elif stored not in self.objects[end].links:
                yield "warning", shown(stored), f"'{shown(end)}' does not list this link to it"
        for link in content.links:
            known = self.objects.get(link)
            if ((known.target if known else "") or "").partition("#")[0] != stored:
                yield "warning", shown(stored), f"it lists '{shown(link)}', which does not link to it"

    def reached(self, stored: StoredRef) -> StoredRef | Exception:
        try:
            return self.tree.locate(Ref.parse(self.tree.layout.shown(stored))).stored
        except (RefError, LinkCycle, Damaged, ObjectError) as error:
            return error


@pytest.fixture(scope="module")
def drawn(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    path = tmp_path_factory.mktemp("drawn")
    Repo(path).git("init", "-q")
    return Repository.open(str(path), {})


def tree_of(repository: Repository, content: damaged.Content, side: Any = None) -> StoreTree:
    git_dir = Path(repository.git_dir)
    about = content[".ocuroot-store"]
    assert isinstance(about, bytes)
    layout = Layout.read(about, "a drawn store")
    layout = layout.of_side(layout.side or "state")
    commit = damaged.write_commit(git_dir, damaged.write_tree(git_dir, content))
    return StoreTree(repository, repository.root(Oid(commit)), layout)


@pytest.mark.parametrize("few", [1, 1 << 30], ids=["two processes", "one"])
@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(content=damaged.releases_with_a_fault() | damaged.stores())
def test_finds_what_looking_up_each_object_finds(drawn: Repository, few: int, content: damaged.Content) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsck, "_FEW", few)
        patch.setattr(fsck, "_WIDE", 3)
        tree = tree_of(drawn, content)
        checker = Checker(tree)
        naive = Naive(tree)
        assert found_by(checker) == naive.run()
    assert checker.documents == sum(one.kind == "ref" for one in naive.objects.values())
    assert checker.links == sum(one.kind == "link" for one in naive.objects.values())


@pytest.fixture
def many_releases(drawn: Repository, monkeypatch: pytest.MonkeyPatch) -> StoreTree:
    monkeypatch.setattr(fsck, "_WIDE", 300)
    content: damaged.Content = {".ocuroot-store": b'{"version": 1}', "refs": {}}
    for number in range(300):
        document = {"kind": "ref", "body": number} if number % 7 else {"kind": "blob"}
        damaged.put(content, f"refs/a/-/p/@{number}/@object.json", json.dumps(document).encode())
    return tree_of(drawn, content)


def test_the_second_process_may_fail(many_releases: StoreTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have found is found by the first."""
    whole = found_by(Checker(many_releases))
    assert len(whole) == len(range(0, 300, 7))
    first, report = os.getpid(), fsck.Pass.report

    def fail(self: fsck.Pass) -> str:
        if os.getpid() != first:
            raise MemoryError
        return report(self)

    monkeypatch.setattr(fsck.Pass, "report", fail)
    assert found_by(Checker(many_releases)) == whole


def test_progress_goes_from_the_first_to_the_last(many_releases: StoreTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck, "_FEW", 1 << 30)
    told: list[tuple[int, int]] = []
    Checker(many_releases, lambda begun, total: told.append((begun, total))).run()
    assert told == [(number, 300) for number in range(0, 300, 3)]
