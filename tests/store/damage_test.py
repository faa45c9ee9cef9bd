"""Damage and extremes of any kind: one `fatal:` line that names it, never an endless loop, never a fault of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.damaged import loose_path
from support.program import run_program
from support.raw_objects import document_tree, entry, plant, write_object
from support.repositories import Repo

COMMANDS = (["get", "@/custom/a"], ["match", "**"], ["status"], ["fsck"], ["set", "+/custom/b", "5"], ["log"])


def refused(repo: Repo, words: list[str], message: str, **options: object) -> None:
    done = repo.run(*words, **options)
    first, *rest = done.stderr.rstrip("\n").split("\n")
    assert (done.returncode, done.stdout, first) == (128, "", f"fatal: {message}"), (words, done)
    assert all(line.startswith("hint: ") for line in rest), done.stderr


@pytest.fixture
def filled(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input="set @/custom/a 1\nset +/custom/b 2\nset @/custom/c {}\n")
    return store


def point(repo: Repo, text: str) -> None:
    (repo.path / ".git/refs/heads/state").write_text(text + "\n")


# The branch


def test_a_branch_at_no_commit(filled: Repo) -> None:
    tree = filled.git("rev-parse", "state^{tree}")
    blob = write_object(filled, "blob", b"x")
    for oid, what in ((blob, "a blob"), (tree, "a tree")):
        point(filled, oid)
        for words in COMMANDS:
            refused(filled, words, f"'refs/heads/state' points to {what} ({oid}), not to a commit")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("hello", "cannot read the reference 'refs/heads/state': "),
        ("ref: refs/heads/state", "cannot follow the symbolic reference 'refs/heads/state': "),
        ("ref: refs/heads/nowhere", "'refs/heads/state' is a symbolic reference that leads nowhere"),
        ("1" * 40, f"cannot read what 'refs/heads/state' points to {'1' * 40}: there is no such object"),
    ],
)
def test_a_branch_that_leads_nowhere(filled: Repo, content: str, why: str) -> None:
    point(filled, content)
    for words in COMMANDS:
        done = filled.run(*words)
        assert (done.returncode, done.stdout) == (128, ""), (words, done)
        assert done.stderr.startswith(f"fatal: {why}") and "unexpected" not in done.stderr, (words, done)


def test_a_commit_whose_tree_is_missing(filled: Repo) -> None:
    commit = write_object(filled, "commit", commit_text("2" * 40, "A <a@b> 1 +0000"))
    point(filled, commit)
    for words in COMMANDS:
        refused(filled, words, f"cannot read the tree of commit {commit}, {'2' * 40}: there is no such object")


def commit_text(tree: str, who: str) -> bytes:
    return f"tree {tree}\nauthor {who}\ncommitter {who}\n\nwritten by hand\n".encode()


@pytest.mark.parametrize("date", ["9223372036854775807 +0000", "-99999999999999 +0000", "1 +99999999"])
def test_dates_that_no_calendar_has(filled: Repo, date: str) -> None:
    tree = filled.git("rev-parse", "state^{tree}")
    point(filled, write_object(filled, "commit", commit_text(tree, f"A <a@b> {date}")))
    assert filled.value("@/custom/a") == 1
    for words in (["log"], ["log", "--json"]):
        assert "written by hand" in filled.ocuroot(*words)


def test_a_commit_that_cannot_be_read(filled: Repo) -> None:
    tree = filled.git("rev-parse", "state^{tree}")
    for text in (commit_text(tree, "A <a@b> yesterday"), b"no commit at all"):
        commit = write_object(filled, "commit", text)
        point(filled, commit)
        done = filled.run("get", "@/custom/a")
        assert (done.returncode, done.stdout) == (128, ""), done
        assert done.stderr.startswith(f"fatal: cannot read what 'refs/heads/state' points to {commit}: "), done.stderr
        assert done.stderr.count("\n") == 1


# Loose objects that were cut short, as a power cut leaves them


def cut(repo: Repo, revision: str, length: int) -> Path:
    """Cut a loose object short by all but `length` bytes, or by so many where it is negative."""
    oid = repo.git("rev-parse", revision)
    path = loose_path(repo.path / ".git", oid)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:length])
    return path


@pytest.mark.parametrize("length", [2, -1])
@pytest.mark.parametrize("revision", ["state", "state^{tree}", "state:refs/@/custom", "state:.ocuroot-store"])
def test_an_object_that_was_cut_short(filled: Repo, revision: str, length: int) -> None:
    path = cut(filled, revision, length)
    for words in (["get", "@/custom/a"], ["match", "**"], ["set", "@/custom/a", "2"]):
        words = words if words[0] != "set" else ["update", "--stdin"]
        done = filled.run(*words, input="set @/custom/a 2\n" if words[0] == "update" else None)
        assert (done.returncode, done.stdout) == (128, ""), (words, done)
        assert f": the file '{path}' was cut short, as by a power cut\nhint: " in done.stderr, (words, done)


def test_an_export_that_fails_leaves_nothing(filled: Repo) -> None:
    filled.ocuroot("update", "--stdin", input="set @/custom/a 1\nset +/custom/b 1\n")
    cut(filled, "state:refs/+/custom/b/@object.json", 5)
    empty = filled.path / "empty"
    empty.mkdir()
    for name in ("new", "empty"):
        done = filled.run("export", name)
        assert done.returncode == 128 and "was cut short" in done.stderr
    assert not (filled.path / "new").exists() and list(empty.iterdir()) == []


def test_fsck_goes_on_after_a_bad_object(filled: Repo) -> None:
    damaged = cut(filled, "state:refs/@/custom/a/@object.json", 5)
    plant(filled, "refs/@/custom", "40000", "gone", "3" * 40)
    plant(filled, "refs/@/custom/c", "100644", "@object.json", "4" * 40)
    plant(filled, "refs/@", "40000", "broken", write_object(filled, "tree", b"100644 a"))
    done = filled.run("fsck")
    assert done.returncode == 1
    findings = {line.split(": ")[1]: line.split(": ", 2)[2] for line in done.stdout.splitlines()}
    assert sorted(findings) == [
        "refs/@/broken",
        "refs/@/custom/a/@object.json",
        "refs/@/custom/c/@object.json",
        "refs/@/custom/gone",
    ]
    assert f"the file '{damaged}' was cut short" in findings["refs/@/custom/a/@object.json"]
    assert done.stderr == "branch 'state': checked 1 documents and 0 links\n"


def test_an_object_that_is_in_a_pack_too(filled: Repo) -> None:
    """libgit2 and git take it from there, and so do we."""
    oid = filled.git("rev-parse", "state:refs/@/custom")
    path = loose_path(filled.path / ".git", oid)
    whole = path.read_bytes()
    filled.git("repack", "-adq")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(whole[:-1])
    assert filled.value("@/custom/a") == 1
    assert filled.ocuroot("match", "**").count("\n") == 2


def test_what_is_written_does_not_rest_on_a_file_that_was_cut_short(store: Repo) -> None:
    """libgit2 takes a loose object's file for the object, and writes none beside it."""
    store.ocuroot("set", "+/custom/a/b", "same")
    tip = store.git("rev-parse", "state")
    for revision in ("state:refs/+/custom/a/b/@object.json", "state:refs/+/custom/a/b", "state:refs/+/custom/a"):
        cut(store, revision, 5)
    store.git("update-ref", "refs/heads/state", "state~1")
    store.ocuroot("set", "+/custom/a/b", "same")
    assert store.ocuroot("get", "--format=raw", "+/custom/a/b") == "same"
    store.ocuroot("set", "+/custom/c/b", "same")
    assert store.ocuroot("get", "--format=raw", "+/custom/c/b") == "same"
    store.git("fsck", "--strict", "state")
    assert store.git("rev-parse", "state~1") != tip


def test_an_alternate_that_was_cut_short(filled: Repo, tmp_path: Path) -> None:
    filled.git("clone", "-q", "--shared", "--bare", ".", str(tmp_path / "shared.git"))
    path = cut(filled, "state:refs/@/custom", -1)
    done = run_program("match", "**", cwd=tmp_path / "shared.git")
    assert done.returncode == 128 and f"the file '{path}' was cut short" in done.stderr, done


# Documents


def test_nesting(store: Repo) -> None:
    deepest, too_deep = "[" * 500 + "]" * 500, "[" * 501 + "]" * 501
    store.ocuroot("update", "--stdin", input=f"set @/custom/deep {deepest}\n")
    assert store.ocuroot("get", "--format=compact", "@/custom/deep") == deepest
    assert json.loads(store.ocuroot("match", "--values", "@/custom/*"))["value"] == json.loads(deepest)
    store.ocuroot("update", "--stdin", input='set @/custom/deep "shallow"\n')
    refused(
        store,
        ["update", "--stdin"],
        "line 1: bad JSON: it is nested more than 500 deep",
        input=f"set @/custom/deep {too_deep}\n",
    )
    for depth in (502, 980, 995, 3000, 100_000):
        body = "[" * depth + "]" * depth
        blob = write_object(store, "blob", f'{{"kind": "ref", "body": {body}}}'.encode())
        plant(store, "refs/@/custom/deep", "100644", "@object.json", blob)
        done = store.run("get", "@/custom/deep")
        path = "refs/@/custom/deep/@object.json"
        assert done.returncode == 128
        assert done.stderr.startswith(f"fatal: damaged store: '{path}': bad JSON: it is nested more than "), done.stderr


@pytest.mark.parametrize(
    "target", ["a/" * 500_000 + "b", "a" * 1_000_000, "@/custom/\ud800", "../../x", "/@/custom/a", "@//custom/a", "\0"]
)
def test_a_link_to_what_is_no_ref(filled: Repo, target: str) -> None:
    blob = write_object(filled, "blob", json.dumps({"kind": "link", "body": target}).encode())
    plant(filled, "refs/@/custom/a", "100644", "@object.json", blob)
    for words in (["get", "@/custom/a"], ["match", "--json", "**"], ["resolve", "@/custom/a"], ["fsck"], ["status"]):
        done = filled.run(*words)
        assert done.returncode in (0, 1, 128) and "unexpected" not in done.stderr, (words, done.stderr[:300])
        assert len(done.stderr) < 1000, words
    for change in ("set @/custom/a 2\n", "delete @/custom/a\n"):
        done = filled.run("update", "--stdin", input=change)
        assert done.returncode in (0, 1, 128) and "unexpected" not in done.stderr, done.stderr[:300]


def test_a_chain_of_links_goes_with_its_end(store: Repo) -> None:
    """Each is listed by the one before it, as links to links are; longer than functions may call themselves."""
    count = 1050
    files = store.path / "files"
    store.ocuroot("update", "--stdin", input="set @/custom/end 1\n")
    store.ocuroot("export", "-q", "files")
    for number in range(count):
        directory = files / "refs/@/custom" / f"{number:04}"
        directory.mkdir()
        target = f"@/custom/{number - 1:04}" if number else "@/custom/end"
        content = {"kind": "link", "links": [f"@/custom/{number + 1:04}"], "body": target}
        (directory / "@object.json").write_text(json.dumps(content))
    end = files / "refs/@/custom/end/@object.json"
    end.write_text(json.dumps({"kind": "ref", "links": ["@/custom/0000"], "body": 1}))
    store.git("config", "--unset", "ocuroot.state.branch")
    store.git("config", "ocuroot.state.path", "files")
    assert store.ocuroot("match", "--count", "@/**") == str(count + 1)
    store.ocuroot("update", "--stdin", input="delete @/custom/end\n")
    assert store.ocuroot("match", "--count", "@/**") == "0"


# Refs


def test_the_longest_ref(store: Repo) -> None:
    """As many segments as fit: deeper than functions may call themselves."""
    ref = "@/custom/" + "/".join("x" * 1996)
    assert len(ref) == 4000
    store.ocuroot("update", "--stdin", input=f"set {ref} 1\n")
    assert store.value(ref) == 1
    assert store.ocuroot("match", "**") == ref
    assert store.ocuroot("fsck", "-q") == ""
    store.ocuroot("update", "--stdin", input=f"delete {ref}\n")
    assert store.ocuroot("match", "**") == ""


def test_a_ref_that_is_too_long(store: Repo) -> None:
    ref = "@/custom/" + "/".join(["é" * 100] * 20)
    message = f"cannot write '{ref[:100]}…': a ref of {len(ref.encode())} bytes is longer than 4000"
    before = store.git("rev-parse", "state")
    for verb in ("set {} 1", "create {} 1", "link {} @/custom/a", "depend {} @/custom/a", "depend @/custom/a {}"):
        done = store.run("update", "--stdin", input=f"set @/custom/a 1\n{verb.format(ref)}\n")
        assert (done.returncode, done.stdout) == (128, ""), done
        assert done.stderr.rstrip("\n").endswith(message), done.stderr
    assert store.git("rev-parse", "state") == before


def test_a_ref_that_is_there_and_too_long(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/a 1\n")
    tree = document_tree(store)
    for _ in range(8):
        tree = write_tree(store, entry("40000", b"x" * 250, tree))
    for _ in range(1200):
        tree = write_tree(store, entry("40000", b"s", tree))
    plant(store, "refs/@/custom", "40000", "deep", tree)
    ref = "@/custom/deep" + "/s" * 1200 + ("/" + "x" * 250) * 8
    assert store.ocuroot("match", "@/custom/deep/**") == ref
    assert store.value(ref) == "evil"
    store.ocuroot("update", "--stdin", input=f"set {ref} 2\n")
    assert store.value(ref) == 2
    store.ocuroot("update", "--stdin", input=f"delete {ref}\n")
    assert store.ocuroot("match", "**") == "@/custom/a"


def write_tree(repo: Repo, data: bytes) -> str:
    """As `write_object`, without a process: for thousands."""
    import hashlib
    import zlib

    whole = b"tree %d\0%s" % (len(data), data)
    oid = hashlib.sha1(whole).hexdigest()
    path = loose_path(repo.path / ".git", oid)
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_bytes(zlib.compress(whole))
    return oid


def test_refs_is_a_file(filled: Repo) -> None:
    blob = write_object(filled, "blob", b"x")
    plant(filled, "", "100644", "refs", blob)
    done = filled.run("fsck", "-q")
    assert (done.returncode, done.stdout) == (1, "error: refs: it is a file where a directory should be\n")
    for words in (["match", "**"], ["log"], ["log", "@/custom/a"], ["status"], ["diff"], ["work", "list"]):
        done = filled.run(*words)
        assert done.returncode in (0, 1, 128) and "unexpected" not in done.stderr, (words, done)
    refused(filled, ["set", "+/custom/b", "9"], "damaged store: 'refs' is a file where a directory should be")


def test_braces_within_braces(filled: Repo) -> None:
    assert filled.ocuroot("match", "{" * 50 + "@" + "}" * 50 + "/custom/a") == "@/custom/a"
    pattern = "{" * 5000 + "@" + "}" * 5000
    done = filled.run("match", pattern)
    assert done.returncode == 128 and "column 51: more than 50 '{' within each other" in done.stderr
