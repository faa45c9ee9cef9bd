"""Stores that the original program wrote in real runs, as it left them: ours must answer as it did.

`fixtures/conformance/originals` holds the stores, and what the original answered. In dialect 3 it spells intents with
`@`, which is compared with our `+`.
"""

from __future__ import annotations

import json
import re
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from support.program import CONFORMANCE
from support.repositories import Repo

import ocuroot_git

if TYPE_CHECKING:
    from ocuroot_git.formats.layout import Side

ORIGINALS = CONFORMANCE / "originals"
STORES: dict[str, dict[str, Any]] = {
    name: store
    for version in ("v1", "v3")
    for name, store in json.loads((ORIGINALS / f"questions-{version}.json").read_text(encoding="utf-8")).items()
}


@pytest.fixture(params=STORES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def original(name: str, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository in the state in which the original left it; its stores are named by `repo.ocu.star`."""
    with tarfile.open(ORIGINALS / STORES[name]["tar"]) as archive:
        archive.extractall(repo.path)
    repo.git("remote", "add", "origin", STORES[name]["url"])
    for variable, value in STORES[name]["env"].items():
        monkeypatch.setenv(variable, value)
    return repo


def questions(name: str, op: str) -> list[dict[str, Any]]:
    found = [question for question in STORES[name]["questions"] if question["op"] == op]
    assert found or op in ("intent", "diff"), op
    return found


def has_two_stores(name: str) -> bool:
    """Whether the original looked into the state store alone; else one tree holds both sides."""
    return not name.startswith("v1") and STORES[name]["where"]["state"] != STORES[name]["where"]["intent"]


def as_state(ref: str) -> str:
    return re.sub(r"(^|/)\+", r"\1@", ref)


def without_globals(refs: set[str]) -> set[str]:
    """Without `@` and `+`: the original lists them as documents, because it never follows these links."""
    return refs - {"@", "+"}


def test_documents_and_parts_of_them(name: str, original: Repo) -> None:
    snapshot = ocuroot_git.open(str(original.path)).snapshot()
    for question in questions(name, "get"):
        if question["cat"] == "relative" and question.get("missing"):
            continue
        found = snapshot.look_up(snapshot.named(question["ref"]))
        assert found.found is not question.get("missing", False), question
        if found.found:
            assert found.value == question["value"], question


def test_refs_by_pattern(name: str, original: Repo) -> None:
    snapshot = ocuroot_git.open(str(original.path)).snapshot()
    side: Side | None = "state" if has_two_stores(name) else None
    for question in questions(name, "match"):
        links = not question["flags"]
        found: set[str] = set(snapshot.match(question["glob"], side=side, links=links))
        assert without_globals(found) == without_globals(set(question["refs"])), question
        if links:
            assert found == set(question["refs"]), question


def test_intents(name: str, original: Repo) -> None:
    snapshot = ocuroot_git.open(str(original.path)).snapshot()
    for question in questions(name, "intent"):
        assert snapshot.get(re.sub(r"(^|/)@", r"\1+", question["ref"])) == question["value"]


def test_what_differs(name: str, original: Repo) -> None:
    (question,) = questions(name, "diff")
    found = {as_state(line.partition("\t")[2] or line) for line in original.ocuroot("state", "diff").splitlines()}
    wanted = {as_state(ref) for ref in question["refs"]}
    if name.startswith("v1"):  # early Ocuroot called every deployment different
        found = {ref for ref in found if "/deploy/" not in ref}
        wanted = {ref for ref in wanted if "/deploy/" not in ref}
    assert found == wanted


def test_nothing_is_called_damaged(original: Repo) -> None:
    assert "error:" not in original.run("fsck").stdout
    assert original.run("fsck").returncode == 0
    for command in (("status",), ("diff",)):
        done = original.run(*command)
        assert done.returncode in (0, 1) and "fatal" not in done.stderr, done.stderr


def test_refs_are_relative_to_the_directory_one_is_in(original: Repo, name: str) -> None:
    asked = [question for question in questions(name, "get") if question["cat"] == "cwd-relative"]
    assert asked
    for question in asked:
        head, _, rest = question["ref"].partition("/")
        if rest[0] in "@+":
            continue  # a package at the top
        (original.path / head).mkdir(exist_ok=True)
        done = Repo(original.path / head).run("get", rest)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == question["value"]


def test_what_is_written_lies_where_it_was_named(name: str, original: Repo) -> None:
    ref = "+/custom/window" if name.startswith("v1") else "@/custom/window"
    original.ocuroot("set", "--format=json", ref, '{"open": true}')
    assert json.loads(original.ocuroot("get", "+/custom/window")) == {"open": True}
    files = [path for path in original.path.rglob("custom/window/@object.json") if "dependencies" not in path.parts]
    (file,) = files
    assert file.parts[-4] == ref[0], file
    assert "+/custom/window" in original.ocuroot("diff")
    original.ocuroot("apply", ref)
    assert json.loads(original.ocuroot("get", "@/custom/window")) == {"open": True}
    original.ocuroot("delete", ref)
    assert original.run("get", "+/custom/window").returncode == 1


def test_a_custom_document_of_a_package_is_its_own(original: Repo, name: str) -> None:
    releases = [ref for ref in original.ocuroot("match", "**/@*").splitlines() if re.search(r"/@r?\d+$", ref)]
    package = releases[-1].rpartition("/")[0]
    original.ocuroot("update", "--stdin", input=f'set {package}/@/custom/note "of the package"\n')
    literal = f"{package}/@/custom/note" in original.ocuroot("match", f"{package}/@/custom/*").splitlines()
    assert literal is not name.startswith("v1")
    assert json.loads(original.ocuroot("get", f"{package}/@/custom/note")) == "of the package"
