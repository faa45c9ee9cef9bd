"""`fsck` reads a store in one pass, and carries down what it knows: it must find what looking up each object finds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from support import damaged
from support.raw_objects import plant, write_object
from support.repositories import Repo

from ocuroot_git.formats.layout import Damaged, Layout, StoredObject, StoredRef, object_path, split_target
from ocuroot_git.formats.refs import Ref, RefError, unsafe_name
from ocuroot_git.git.objects import ObjectError, Oid
from ocuroot_git.git.repository import Repository
from ocuroot_git.git.tree_reader import EXECUTABLE
from ocuroot_git.store import fsck, fsck_pass
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
@settings(max_examples=150)
@given(content=damaged.releases_with_a_fault() | damaged.stores())
def test_finds_what_looking_up_each_object_finds(drawn: Repository, few: int, content: damaged.Content) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsck, "_FEW", few)
        patch.setattr(fsck_pass, "_WIDE", 3)
        tree = tree_of(drawn, content)
        checker = Checker(tree)
        naive = Naive(tree)
        assert found_by(checker) == naive.run()
    assert checker.documents == sum(one.kind == "ref" for one in naive.objects.values())
    assert checker.links == sum(one.kind == "link" for one in naive.objects.values())


@pytest.fixture
def many_releases(drawn: Repository, monkeypatch: pytest.MonkeyPatch) -> StoreTree:
    monkeypatch.setattr(fsck_pass, "_WIDE", 300)
    content: damaged.Content = {".ocuroot-store": b'{"version": 1}', "refs": {}}
    for number in range(300):
        document = {"kind": "ref", "body": number} if number % 7 else {"kind": "blob"}
        damaged.put(content, f"refs/a/-/p/@{number}/@object.json", json.dumps(document).encode())
    return tree_of(drawn, content)


def test_the_second_process_may_fail(many_releases: StoreTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have found is found by the first."""
    whole = found_by(Checker(many_releases))
    assert len(whole) == len(range(0, 300, 7))
    first, report = os.getpid(), fsck_pass.Pass.report

    def fail(self: fsck_pass.Pass) -> str:
        if os.getpid() != first:
            raise MemoryError
        return report(self)

    monkeypatch.setattr(fsck_pass.Pass, "report", fail)
    assert found_by(Checker(many_releases)) == whole


def test_progress_goes_from_the_first_to_the_last(many_releases: StoreTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck, "_FEW", 1 << 30)
    told: list[tuple[int, int]] = []
    Checker(many_releases, lambda begun, total: told.append((begun, total))).run()
    assert told == [(number, 300) for number in range(0, 300, 3)]


# What has changed since a commit


@pytest.fixture
def team(store: Repo) -> Repo:
    lines = [f"set r/-/p/@{number}/custom/x {number}\nset r/-/p/@{number} 1\n" for number in range(1, 4)]
    store.ocuroot("update", "--stdin", input="".join(lines) + "link @/custom/link r/-/p/@1/custom/x\n")
    store.git("tag", "before", "state")
    return store


def since(repo: Repo) -> tuple[list[str], str]:
    done = repo.run("fsck", "--since", "before")
    assert done.stderr.endswith("what did not change was not read: 'git ocuroot fsck' checks it all\n")
    return done.stdout.splitlines(), done.stderr


def test_since_reads_what_changed(team: Repo) -> None:
    assert since(team)[0] == []
    assert "checked 0 documents and 0 links among what changed since 'before'" in since(team)[1]
    plant(team, "refs/r/-/p/@2/custom/x", "100644", "@object.json", write_object(team, "blob", b"{"))
    plant(team, "refs/r/-/p/@3", "120000", "sub", write_object(team, "blob", b"elsewhere"))
    found, said = since(team)
    assert [line for line in found if "refs/" in line] == [
        "error: refs/r/-/p/@2/custom/x/@object.json: bad JSON: line 1, column 2: expecting property name enclosed in "
        "double quotes",
        "error: refs/r/-/p/@3/sub: it is a symbolic link",
    ]
    assert not [line for line in found if "@1" in line] and "checked 3 documents" in said


def test_since_sees_links_of_what_did_not_change(team: Repo) -> None:
    """A link dangles that was not touched; a list still names a link that is gone; documents hide below a new link."""
    link = write_object(team, "blob", b'{"kind": "link", "body": "r/-/p/@1"}')
    plant(team, "refs/r/-/p/@2", "100644", "@object.json", link)
    assert (
        "error: r/-/p/@2/custom/x: the document is unreachable: its ref leads to 'r/-/p/@1/custom/x'" in since(team)[0]
    )
    team.git("update-ref", "refs/heads/state", "before")
    plant(team, "refs/r/-/p/@1", "100644", "custom", write_object(team, "blob", b"in the way"))
    assert "warning: @/custom/link: dangling link: there is no 'r/-/p/@1/custom/x'" in since(team)[0]
    team.git("update-ref", "refs/heads/state", "before")
    plant(team, "refs/@", "100644", "custom", write_object(team, "blob", b"in the way"))
    gone = "warning: r/-/p/@1/custom/x: it lists '@/custom/link', which does not link to it"
    assert gone in since(team)[0]


def test_since_knows_what_new_links_lead_to(team: Repo) -> None:
    team.ocuroot("update", "--stdin", input="link @/custom/other r/-/p/@2/custom/x\nset r/-/p/@1/custom/y 1\n")
    assert since(team)[0] == [line for line in since(team)[0] if "commit is" in line or "a JSON object" in line]
    team.git("tag", "-f", "before", "state")
    content = json.dumps({"kind": "ref", "links": ["@/custom/other"], "body": 1}).encode()
    plant(team, "refs/r/-/p/@3/custom/x", "100644", "@object.json", write_object(team, "blob", content))
    listed = "warning: r/-/p/@3/custom/x: it lists '@/custom/other', which does not link to it"
    assert listed in since(team)[0]


@settings(max_examples=150)
@given(before=damaged.releases_with_a_fault(), now=damaged.releases_with_a_fault())
def test_since_finds_what_was_not_to_be_found_before(
    drawn: Repository, before: damaged.Content, now: damaged.Content
) -> None:
    """But for documents and links that did not change, and whose refs lead elsewhere because of another path's."""
    tree_before, tree = tree_of(drawn, before), tree_of(drawn, now)
    seen = set(found_by(Checker(tree, before=tree_before)))
    whole, known = set(found_by(Checker(tree))), set(found_by(Checker(tree_before)))
    assert seen <= whole
    new = {found for found in whole - known - seen if "leads" not in found[2]}
    assert not new


def test_since_an_unknown_revision(team: Repo) -> None:
    assert team.run("fsck", "--since", "nowhere").stderr == "fatal: bad revision 'nowhere'\n"
