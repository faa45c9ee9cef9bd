"""The published schema of packages says what the program takes (design 14), and errors name the place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.program import TOP, run_program
from support.repositories import Repo

from ocuroot_git.delivery.package import problems_of

SCHEMA = json.loads((TOP / "ocuroot_git" / "delivery" / "package.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def test_it_is_a_schema_and_is_printed_as_it_is() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(run_program("package", "schema").stdout) == SCHEMA


def test_packages_in_the_docs_are_valid() -> None:
    found = 0
    for page in (*TOP.glob("docs/*.md"), TOP / "README.md"):
        for text in re.findall(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
            if '"phases"' in text:
                VALIDATOR.validate(json.loads(text))
                found += 1
    assert found


ANYTHING: st.SearchStrategy[Any] = st.sampled_from([None, 0, 1, True, "", "x", [], [1], {}, {"x": 1}])
NAMES: st.SearchStrategy[Any] = st.sampled_from(["build", "a b", "é", "x.y", "", "a/b", ".", "..", 3, None, ["x"]])
REFS: st.SearchStrategy[Any] = st.sampled_from(["./call/build#output/x", "//p/@/custom/x", "@/custom/x", 7, None, []])


def with_fields(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of these fields, or now and then something else."""
    return st.fixed_dictionaries({}, optional=fields) | ANYTHING


INPUTS = st.none() | st.dictionaries(
    st.sampled_from(["a", "b", ""]), with_fields(value=ANYTHING, ref=REFS, default=ANYTHING), max_size=2
)
FUNCTION = with_fields(name=st.just("f"), run=st.sampled_from(["make", "", None, 5]))
CALL = with_fields(name=NAMES, fn=FUNCTION, inputs=INPUTS)
SELECTOR = with_fields(
    attributes=st.none() | st.dictionaries(st.just("type"), st.sampled_from(["prod", 1]), max_size=1)
)
DEPLOY = with_fields(environment=NAMES, environments=SELECTOR, up=FUNCTION, down=FUNCTION, inputs=INPUTS)
WORK = with_fields(call=CALL, deploy=DEPLOY)
PHASE = with_fields(
    name=st.sampled_from(["p", "", None, 3]), work=st.lists(WORK, max_size=2) | st.none() | st.just("x")
)
PACKAGE = with_fields(phases=st.lists(PHASE, max_size=2) | ANYTHING, supersede=st.sampled_from([True, False, None, 1]))


BEYOND_SCHEMAS = re.compile("longer than 255 bytes|not valid UTF-8|no name of its own for the environment")
"""What no schema can say: it counts characters, knows no halves of them, and compares no names."""


def agree(document: Any) -> None:
    problems = problems_of(document, "repo/-/path/@1")
    if not any(BEYOND_SCHEMAS.search(problem.message) for problem in problems):
        assert VALIDATOR.is_valid(document) != bool(problems), (document, problems)


@settings(max_examples=600)
@given(PACKAGE)
def test_the_schema_says_what_is_taken(document: Any) -> None:
    agree(document)


PIECES = st.sampled_from(
    [
        *"ab1.-_ /#@+~é🚀:\n\x7f\x85",
        *("./", "//", "/-/", "/@", "/@1/", "call/", "task/", "custom/", "status/", "environment/"),
        *(".git", "GIT~1", ".gi\u200ct", "..", "@object.json", "~1", "#a/b", "x" * 255),
    ]
)


@settings(max_examples=600)
@given(st.lists(PIECES, max_size=8).map("".join), st.lists(PIECES, max_size=2).map("".join))
@example("./", "a")
@example(".", "a#b")
def test_the_schema_knows_names_and_refs(ref: str, name: str) -> None:
    for work in (
        {"call": {"name": "x", "inputs": {"a": {"ref": ref}}}},
        {"call": {"name": name}},
        {"deploy": {"environment": name}},
    ):
        agree({"phases": [{"work": [work]}]})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ('"work": 0', "work is 0, not a list"),
        ('"name": []', "name is [], not a string"),
        ('"work": [{"call": {"name": "b", "fn": {"run": false}}}]', "fn: run is false, not a string"),
        ('"work": [{"call": {"name": "b", "fn": {"name": 3}}}]', "fn: name is 3, not a string"),
        ('"work": [{"call": {"name": "b#c"}}]', "'b#c' cannot be a name: it holds a '#'"),
        ('"work": [{"deploy": {"environments": {}, "environment": 0}}]', "environment is 0, not a string"),
        ('"work": [{"deploy": {"environments": {"attributes": []}}}]', "environments: attributes is [], not an object"),
    ],
)
def test_what_is_empty_is_of_its_type_too(store: Repo, fields: str, why: str) -> None:
    (store.path / "app.json").write_text(f'{{"phases": [{{{fields}}}]}}')
    done = store.run("package", "lint", "app.json")
    assert done.returncode == 1 and re.match(r"app\.json:1:\d+: phase 1: .*", done.stdout) and why in done.stdout


def test_errors_name_line_and_column(store: Repo, tmp_path: Path) -> None:
    text = """{"phases": [
  {"name": "build", "work": [
    {"call": {"name": "build"}},
    {"call": {"name": "te/st",
      "fn": {"run": 3}}}]},
  {"work": [{"deploy": {"environment": "production",
    "inputs": {
      "version": {"rf": "./call/build#output/version"}}}}]}
], "supersede": 1}
"""
    (store.path / "app.json").write_text(text)
    done = store.run("package", "lint", "app.json")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "app.json:9:17: supersede is 1, not true or false",
        "app.json:4:23: phase 'build': work 2 (call 'te/st'): 'te/st' cannot be a name: it holds a '/'",
        "app.json:8:18: phase 2: work 1 (deploy 'production'): input 'version': an input has a value or a ref",
    ]
    store.git("add", "app.json")
    store.git("commit", "-qm", "package")
    why = "9:17: supersede is 1, not true or false (and 2 more)\n"
    for file, arguments in (("app.json", ()), ("app.json", ("--package", "app.json")), ("<stdin>", ("--package", "-"))):
        done = store.run("release", "new", "app.json", *arguments, input=text)
        lint = "hint: all of them: git ocuroot package lint <file>\n"
        assert done.returncode == 128 and done.stderr == f"fatal: {file}:{why}{lint}"
        done = store.run("release", "new", "app.json", "--package", "-", input='{"phases":\n}')
        assert done.stderr.startswith("fatal: <stdin>:2:1: bad JSON: a value is expected here\nhint: a package is JSON")
    assert not store.ocuroot("match", "**/app.json/**")


@pytest.mark.parametrize("name", ["app.json", "app.ocu.star"])
def test_what_package_new_writes_can_be_released(store: Repo, name: str) -> None:
    assert "package show" in store.run("package", "new", name).stderr
    again = store.run("package", "new", name)
    assert (again.returncode, again.stderr) == (128, f"fatal: '{name}' exists already\n")
    assert store.run("package", "lint", name).stdout == ""
    assert "production" in store.ocuroot("package", "show", name)
    if name.endswith(".json"):
        VALIDATOR.validate(json.loads((store.path / name).read_text()))
        store.git("add", name)
        store.git("commit", "-qm", "package")
        assert store.ocuroot("release", "new", name).endswith(f"/{name}/@1")
    assert store.run("package", "new", "app.txt").returncode == 129
    assert store.run("package", "new", "none/app.json").returncode == 128
