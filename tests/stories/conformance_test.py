"""The original program's stores must answer as it did, in every form a store can have."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from support.original_stores import FORMS, v3_again, v3_branches, v3_bundle, v3_combined, v3_directory, v3_prefixes
from support.program import CONFORMANCE
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.formats.globs import Glob, GlobError
from ocuroot_git.formats.refs import Ref, RefError


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CONFORMANCE / name).read_text(encoding="utf-8"))
    return found


def test_refs() -> None:
    for case in cases("refs.json"):
        if case.get("error"):
            with pytest.raises(RefError):
                Ref.parse(case["ref"])
            continue
        ref = Ref.parse(case["ref"])
        assert str(ref) == case["normal"], case
        assert {part: getattr(ref, part) for part in case["parts"]} == case["parts"], case


def test_relative_refs() -> None:
    for case in cases("relative.json"):
        assert str(Ref.parse(case["ref"]).absolute(base=Ref.parse(case["base"]))) == case["absolute"], case


def test_globs() -> None:
    for case in cases("glob.json"):
        if case.get("error"):
            with pytest.raises(GlobError):
                Glob(case["glob"])
        else:
            assert Glob(case["glob"]).matches(case["ref"]) is case["match"], case


# The branches of the bundle are not quite the content of the tar files: the original did not commit the removal of one
# link, and on `combined` it did not commit four links pointed anew. `test_the_bundle_differs` asks plain git for that.
SHOP = "github.com/example/shop.git/-"
NOT_REMOVED = f"{SHOP}/backend.ocu.star/@/deploy/staging"
NOT_MADE = f"{SHOP}/repo.ocu.star/@/push/index"
NOT_POINTED_ANEW = (f"{SHOP}/frontend/package.ocu.star/@", f"{SHOP}/repo.ocu.star/@")
FROM_BUNDLE: dict[Callable[[Repo], None], str] = {
    v3_branches: "state",
    v3_combined: "combined",
    v3_prefixes: "combined",
    v3_again: "state",
}


def cases_of(name: str, form: Callable[[Repo], None], op: str) -> list[dict[str, Any]]:
    """The cases that a form of a store must pass, as far as its content is that of the tar file."""
    branch = FROM_BUNDLE.get(form)
    kept = []
    for case in cases(f"stores/{name}"):
        if case["op"] != op:
            continue
        if branch and op == "match":
            gone = {NOT_MADE} if branch == "combined" else set()
            added = {NOT_REMOVED} if Glob(*case["globs"]).matches(NOT_REMOVED) else set()
            case = {**case, "refs": sorted({*case["refs"], *added} - gone)}
        elif (
            branch == "combined"
            and case["ref"].split("#")[0].startswith(tuple(f"{link}/" for link in NOT_POINTED_ANEW))
        ) or (branch == "combined" and case["ref"] in NOT_POINTED_ANEW):
            continue
        kept.append(case)
    return kept


def test_the_bundle_differs(repo: Repo) -> None:
    v3_bundle(repo)
    for branch, top in (("state", ""), ("combined", "state/")):
        assert repo.git("show", f"{branch}:{top}refs/{NOT_REMOVED}/@object.json")
    assert not repo.git("ls-tree", "combined", f"state/refs/{NOT_MADE}/@object.json")
    for link in NOT_POINTED_ANEW:
        combined, state = (
            repo.git("show", f"{where}refs/{link}/@object.json") for where in ("combined:state/", "state:")
        )
        assert combined != state


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name, forms in FORMS.items() for form in forms],
    ids=lambda value: getattr(value, "__name__", value),
)
class TestStores:
    def test_library(self, repo: Repo, name: str, form: Callable[[Repo], None]) -> None:
        form(repo)
        side: Literal["state"] | None = "state" if name == "v3.json" else None
        snapshot = ocuroot_git.open(str(repo.path)).snapshot()
        for case in cases_of(name, form, "get"):
            found = snapshot.look_up(case["ref"])
            assert (found.found, found.value) == (not case.get("missing", False), case.get("value")), case
        for case in cases_of(name, form, "resolve"):
            assert snapshot.resolve(case["ref"]) == case["resolved"], case
        for case in cases_of(name, form, "match"):
            assert snapshot.match(*case["globs"], side=side) == case["refs"], case
            if "no_links" in case:
                assert snapshot.match(*case["globs"], side=side, links=False) == case["no_links"], case

    def test_commands(self, repo: Repo, name: str, form: Callable[[Repo], None]) -> None:
        form(repo)
        gets = cases_of(name, form, "get")
        answers = repo.ocuroot("get", "--batch", input="".join(case["ref"] + "\n" for case in gets)).split("\n")
        for case, answer in zip(gets, map(json.loads, answers), strict=True):
            assert (answer["found"], answer["value"]) == (not case.get("missing", False), case.get("value")), case
        resolves = cases_of(name, form, "resolve")
        resolved = repo.ocuroot("resolve", *(case["ref"] for case in resolves)).split("\n")
        assert resolved == [case["resolved"] for case in resolves]
        side = ["--state"] if name == "v3.json" else []
        for case in cases_of(name, form, "match")[::3]:
            assert repo.ocuroot("match", *side, "-z", *case["globs"]).split("\0")[:-1] == case["refs"], case


def test_missing_documents_exit_with_1(repo: Repo) -> None:
    v3_branches(repo)
    for ref in (".", "nothing/at/all", "del/-/x/@", "@/custom/number#x"):
        done = repo.run("get", ref)
        assert (done.returncode, done.stdout) == (1, ""), ref
        assert done.stderr.startswith("fatal: no such "), done.stderr


@pytest.mark.parametrize("form", [v3_directory, v3_branches, v3_combined], ids=lambda form: form.__name__)
def test_an_intent_leaves_every_other_file_of_the_original_as_it_was(repo: Repo, form: Callable[[Repo], None]) -> None:
    form(repo)
    before = files(repo)
    repo.ocuroot("set", "-f=json", "+/environment/canary", '{"name":"canary","attributes":{"type":"prod"}}')
    after = files(repo)
    (new,) = after.keys() - before.keys()
    assert new.endswith("refs/@/environment/canary/@object.json")
    assert {path: after[path] for path in before} == before
    assert after[new] == (
        b'{\n  "kind": "ref",\n  "body_type": "sdk.Environment",\n  "body": {\n    "name": "canary",\n'
        b'    "attributes": {\n      "type": "prod"\n    }\n  }\n}\n'
    )
    assert repo.ocuroot("match", "+/environment/c*") == "+/environment/canary"


def files(repo: Repo) -> dict[str, bytes]:
    """All files of all stores of a repository, by branch or directory and path."""
    found: dict[str, bytes] = {}
    for branch in repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split():
        for path in repo.git("ls-tree", "-r", "-z", "--name-only", branch).split("\0")[:-1]:
            found[f"{branch}:{path}"] = repo.git("show", f"{branch}:{path}").encode() + b"\n"
    for side in ("state", "intent"):
        for directory, _, names in os.walk(repo.path / side):
            for name in names:
                file = Path(directory, name)
                found[str(file.relative_to(repo.path))] = file.read_bytes()
    return found
