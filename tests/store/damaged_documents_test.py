"""A damaged document is named, and spoils no other."""

from __future__ import annotations

import json
import os

import pytest
from support.faults import refused
from support.repositories import Repo


def replace(repo: Repo, path: str, content: str | None) -> None:
    """Change one file of the branch by hand, with plain git."""
    index = {**os.environ, "GIT_INDEX_FILE": str(repo.path / ".git" / "by-hand")}
    repo.git("read-tree", "state", env=index)
    repo.git("update-index", "--force-remove", path, env=index)
    if content is not None:
        for known in repo.git("ls-files", path, env=index).split():
            repo.git("update-index", "--force-remove", known, env=index)
        blob = repo.git("hash-object", "-w", "--stdin", input=content)
        repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = repo.git("write-tree", env=index)
    repo.git("update-ref", "refs/heads/state", repo.git("commit-tree", "-p", "state", "-m", "by hand", tree))


@pytest.fixture
def damaged(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input="set @/custom/good 1\nset +/custom/bad 1\nlink @/custom/l @/custom/good\n")
    replace(store, "refs/+/custom/bad/@object.json", '{"kind": "ref",\n "body": }')
    return store


DAMAGE = "damaged store: 'refs/+/custom/bad/@object.json': bad JSON: line 2, column 10: a value is expected here"
DAMAGE_HINT = (
    "other documents stay readable; 'git ocuroot fsck' lists all damage, "
    "and 'git log <branch> -- <path>' says who wrote it"
)


def test_damage_is_named(damaged: Repo) -> None:
    for words in (["get", "+/custom/bad"], ["get", "+/custom/bad#x"]):
        refused(damaged.run(*words), DAMAGE, DAMAGE_HINT)
    done = damaged.run("fsck", "-q")
    path, why = DAMAGE.removeprefix("damaged store: ").split(": ", 1)
    assert (done.returncode, done.stdout, done.stderr) == (1, f"error: {path[1:-1]}: {why}\n", "")


def test_other_documents_stay_readable_and_writable(damaged: Repo) -> None:
    assert damaged.value("@/custom/l") == 1
    assert damaged.ocuroot("match", "**") == "+/custom/bad\n@/custom/good\n@/custom/l"
    answers = damaged.run("get", "--batch", input="+/custom/bad\n@/custom/good\n")
    assert (answers.returncode, answers.stderr) == (0, "")
    bad, good = map(json.loads, answers.stdout.splitlines())
    assert bad == {"ref": "+/custom/bad", "resolved": None, "found": False, "value": None, "error": DAMAGE}
    assert good["value"] == 1
    damaged.ocuroot("set", "+/custom/other", "2")
    assert len(damaged.ocuroot("log", "--json", "+/custom/bad").splitlines()) == 2
    assert damaged.run("get", "--at", "state~2", "+/custom/bad").stdout == "1\n"


def test_a_file_where_a_directory_should_be(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/x 1\nset +/custom/y 1\n")
    replace(store, "refs/@/custom", "what is this")
    done = store.run("get", "@/custom/x")
    assert (done.returncode, done.stdout) == (1, "")
    refused(
        store.run("update", "--stdin", input="set @/custom/x 2\n"),
        "damaged store: 'refs/@/custom' is a file where a directory should be",
    )
    assert store.value("+/custom/y") == 1
    store.ocuroot("set", "+/custom/y", "2")
    done = store.run("fsck", "-q")
    assert (done.returncode, done.stdout) == (1, "error: refs/@/custom: it is a file where a directory should be\n")


def test_a_directory_where_a_file_should_be(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    replace(store, "refs/+/custom/x/@object.json", None)
    replace(store, "refs/+/custom/x/@object.json/file", "x")
    assert store.run("get", "+/custom/x").returncode == 1
    refused(
        store.run("set", "+/custom/x", "2"),
        "damaged store: 'refs/+/custom/x/@object.json' is a directory where a file should be",
    )
    done = store.run("fsck", "-q")
    assert done.stdout == "error: refs/+/custom/x/@object.json: it is a directory where a file should be\n"


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_missing_object(store: Repo, kind: str) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/x 1\nset @/environment/y 2\n")
    oid = store.git("rev-parse", "state:refs/@/custom" + ("/x/@object.json" if kind == "blob" else ""))
    (store.path / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    done = store.run("get", "@/custom/x")
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.startswith(f"fatal: cannot read {kind} {oid}"), done.stderr
    assert "unexpected" not in done.stderr
    assert store.value("@/environment/y") == 2
    done = store.run("match", "@/custom/**")
    assert done.returncode == (0 if kind == "blob" else 128), done.stderr
    assert "unexpected" not in done.stderr
