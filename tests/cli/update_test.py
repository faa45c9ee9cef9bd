"""`git ocuroot update`: every verb, and all or nothing."""

from __future__ import annotations

import pytest
from support.repositories import Repo, oid_of

pytestmark = pytest.mark.usefixtures("fixed_dates")


def test_update_in_all_its_verbs(store: Repo) -> None:
    done = store.run(
        "update",
        "--stdin",
        input=(
            "set r/-/p/@1 {}\n"
            "create r/-/p/@1/custom/a [1]\n"
            '\nset "r/-/p/@1/custom/with space" {"a": "b c"}\n'
            "link r/-/p/@ r/-/p/@1\n"
            'link r/-/p/@tag "r/-/p/@1"\n'
            "unlink r/-/p/@tag\n"
            "depend r/-/p/@1 r/-/p/@1/custom/a\n"
            "depend r/-/p/@1 r/-/q/@1\n"
            "undepend r/-/p/@1 r/-/q/@1\n"
            "set r/-/p/@1/custom/gone 1\n"
            "delete r/-/p/@1/custom/gone\n"
            "verify r/-/p/@1 absent\n"
        ),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert store.git("ls-tree", "-r", "--name-only", "state").split("\n") == [
        ".ocuroot-store",
        "dependencies/dependants/r/-/p/@1/custom/a/r/-/p/@1/@ref.txt",
        "dependencies/dependencies/r/-/p/@1/r/-/p/@1/custom/a/@ref.txt",
        "refs/r/-/p/@/@object.json",
        "refs/r/-/p/@1/@object.json",
        "refs/r/-/p/@1/custom/a/@object.json",
        "refs/r/-/p/@1/custom/with space/@object.json",
    ]
    assert store.git("show", "state:dependencies/dependants/r/-/p/@1/custom/a/r/-/p/@1/@ref.txt") == "r/-/p/@1/custom/a"
    assert store.git("show", "state:dependencies/dependencies/r/-/p/@1/r/-/p/@1/custom/a/@ref.txt") == "r/-/p/@1"
    assert store.git("show", "state:refs/r/-/p/@1/@object.json") == (
        '{\n  "kind": "ref",\n  "links": [\n    "r/-/p/@"\n  ],\n  "body": {}\n}'
    )
    assert store.git("show", "state:refs/r/-/p/@/@object.json") == '{\n  "kind": "link",\n  "body": "r/-/p/@1"\n}'
    assert store.value("r/-/p/@/custom/with space#a") == "b c"
    assert store.git("rev-list", "--count", "state", "--") == "2"
    assert store.run("fsck", "-q").stdout == "error: r/-/p/@1: the commit is null, not a string\n"


def test_update_with_nul(store: Repo) -> None:
    records = (
        'set @/custom/a b|{"x":\n1}|create @/custom/c|2|link @/custom/l|@/custom/c|'
        f"verify @/custom/v|{'0' * 40}|delete @/custom/c|"
    )
    assert store.run("update", "--stdin", "-z", input=records.replace("|", "\0")).stderr == ""
    assert store.ocuroot("match", "--values", "**") == (
        '{"ref": "@/custom/a b", "resolved": "@/custom/a b", "found": true, "value": {"x": 1}}'
    )


@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        (["create @/custom/a 1"], 3, "line 2: '@/custom/a' exists already"),
        (["verify @/custom/a absent"], 3, "line 2: '@/custom/a' is at {oid}, but expected there to be none"),
        (["verify @/custom/b {oid}"], 3, "line 2: '@/custom/b' is absent, but expected it at {oid}"),
        (["delete @/custom/b"], 1, "line 2: no such document: '@/custom/b'"),
        (["unlink @/custom/a"], 1, "line 2: '@/custom/a' is no link"),
        (["undepend @/custom/a @/custom/b"], 1, "line 2: '@/custom/a' does not depend on '@/custom/b'"),
        (["link @/custom/l @/custom/b"], 1, "line 2: cannot link to '@/custom/b': there is no such document"),
        (["link @/custom/a @/custom/first"], 128, "line 2: cannot make '@/custom/a' a link: it is a document"),
        (["frob @/custom/a"], 128, "line 2: unknown instruction 'frob'"),
        (["set @/custom/a"], 128, "line 2: 'set' lacks the JSON"),
        (["set"], 128, "line 2: 'set' lacks the ref"),
        (
            ["set @/custom/a {]"],
            128,
            "line 2: bad JSON: line 1, column 2: expecting property name enclosed in double quotes",
        ),
        (["delete @/custom/a b"], 128, "line 2: there is more after the ref: 'b'"),
        (["set @/nonsense 1"], 128, "line 2: bad ref '@/nonsense': segment 'nonsense': it is not a type"),
        (["set @/custom/a#x 1"], 128, "line 2: cannot change '@/custom/a#x': documents are changed as a whole"),
        (
            ["verify @/custom/a 123"],
            129,
            "line 2: '123' is no id: give at least 7 of its hexadecimal digits, "
            "as 'git ocuroot match --json' prints them",
        ),
    ],
)
def test_update_is_all_or_nothing(store: Repo, lines: list[str], status: int, message: str) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/a 1\n")
    tip, oid = store.git("rev-parse", "state"), oid_of(store, "@/custom/a")
    text = "\n".join(["set @/custom/first 1", *lines, "set @/custom/last 1"]).replace("{oid}", oid)
    done = store.run("update", "--stdin", input=text)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    prefix = "error: " if status == 129 else "fatal: "
    assert done.stderr.split("\n")[0] == prefix + message.replace("{oid}", oid)
    assert store.git("rev-parse", "state") == tip
