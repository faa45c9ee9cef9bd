"""Stores made to harm: trees with names that lead elsewhere, and directories with links, FIFOs and sockets in them.

Whatever they hold, nothing outside the store is read or written, and each thing refused is named.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from support.raw_objects import document_tree, entry, plant, write_object
from support.repositories import Repo

from ocuroot_git.git.object_writer import ObjectWriter
from ocuroot_git.git.objects import ObjectError
from ocuroot_git.git.repository import Repository


@pytest.fixture
def filled(store: Repo) -> Repo:
    store.ocuroot("update", "--stdin", input="set @/custom/a 1\nset +/custom/b 2\ndepend @/custom/a @/custom/x\n")
    return store


def surroundings(repo: Repo) -> dict[Path, bytes]:
    """All that lies around a repository, and its configuration and hooks."""
    around = [path for path in repo.path.parent.rglob("*") if ".git" not in path.parts and path.is_file()]
    around += [repo.path / ".git" / "config", *(repo.path / ".git" / "hooks").glob("*")]
    return {path: path.read_bytes() for path in around if path.exists()}


NAMES = {
    "..": "it names no file",
    ".": "it names no file",
    ".git": "git keeps that name for itself",
    ".GIT": "git keeps that name for itself",
    "git~1": "git keeps that name for itself",
    ".g\u200cit": "git keeps that name for itself",
    "../../.git/config": "it is a path, not a name",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["refs/@/custom", "dependencies"])
def test_a_name_that_leads_elsewhere(filled: Repo, name: str, where: str) -> None:
    plant(filled, where, "40000", name, document_tree(filled))
    before = surroundings(filled)
    done = filled.run("export", "out")
    shown = name.replace("\u200c", "\\u200c")
    assert done.returncode == 128, done
    assert done.stderr.startswith(f"fatal: damaged store: there is an entry '{shown}': {NAMES[name]}\nhint: "), done
    assert surroundings(filled) == before
    assert not (filled.path / "out").exists()
    found = filled.run("fsck", "-q")
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.startswith("error: ") and found.stdout.endswith(f": {NAMES[name]}\n"), found.stdout
    assert f"{where}/" in found.stdout and found.stdout.count("\n") == 1
    assert filled.value("+/custom/b") == 2
    if where == "refs/@/custom":
        for words in (["match", "**"], ["match", "--values", "@/custom/**"], ["release", "list"], ["status"]):
            done = filled.run(*words)
            assert done.stdout.count("evil") == 0 and "unexpected" not in done.stderr, done
        assert filled.run("match", "**").stderr.startswith(f"fatal: damaged store: there is an entry '{shown}': ")


def test_the_configuration_is_not_overwritten(filled: Repo) -> None:
    tree = write_object(filled, "tree", entry("100644", b"config", write_object(filled, "blob", b"[evil]\n")))
    for name in (b".git", b"..", b"..", b".."):
        tree = write_object(filled, "tree", entry("40000", name, tree))
    plant(filled, "refs", "40000", "x", tree)
    before = surroundings(filled)
    assert filled.run("export", "out").returncode == 128
    assert surroundings(filled) == before


def test_from_a_cold_remote(filled: Repo, tmp_path: Path) -> None:
    plant(filled, "refs/@", "40000", "..", document_tree(filled))
    filled.git("config", "uploadpack.allowFilter", "true")
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    environ = {**os.environ, "OCUROOT_STATE": f"file://{filled.path}#state"}
    before = surroundings(other)
    done = other.run("export", "out", env=environ)
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: damaged store: there is an entry '..': it names no file\n"), done.stderr
    assert surroundings(other) == before
    found = other.run("fsck", "-q", env=environ)
    assert (found.returncode, found.stdout) == (1, "error: refs/@/..: it names no file\n"), found


def test_history_goes_on_after_the_entry_is_gone(filled: Repo) -> None:
    tip = filled.git("rev-parse", "state")
    plant(filled, "refs/@/custom", "40000", "..", document_tree(filled))
    tree = filled.git("rev-parse", f"{tip}^{{tree}}")
    filled.git("update-ref", "refs/heads/state", filled.git("commit-tree", "-p", "state", "-m", "clean", tree))
    assert "D\t@/custom/..\n" in filled.ocuroot("log") + "\n"
    assert filled.ocuroot("match", "**") == "+/custom/b\n@/custom/a"


def test_what_is_no_file(filled: Repo) -> None:
    blob = filled.git("rev-parse", "state:refs/@/custom/a/@object.json")
    for name, mode, oid in (("l", "120000", blob), ("s", "160000", "1" * 40), ("x", "100755", blob)):
        tree = write_object(filled, "tree", entry(mode, b"@object.json", oid))
        plant(filled, "refs/@/custom", "40000", name, tree)
    plant(filled, "refs/@/custom", "120000", "link", blob)
    plant(filled, "", "100755", ".ocuroot-store", filled.git("rev-parse", "state:.ocuroot-store"))
    done = filled.run("fsck", "-q")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "error: refs/@/custom/l/@object.json: it is a symbolic link",
        "error: refs/@/custom/link: it is a symbolic link",
        "error: refs/@/custom/s/@object.json: it is a submodule",
        "warning: .ocuroot-store: it is an executable file",
        "warning: refs/@/custom/x/@object.json: it is an executable file",
    ]
    assert filled.value("@/custom/x") == 1
    done = filled.run("get", "@/custom/s")
    assert (done.returncode, done.stderr) == (128, f"fatal: cannot read blob {'1' * 40}: it is a submodule\n")


@pytest.mark.parametrize("path", ["refs/../x", "../x", "refs/.git/config", "refs//x", "refs/git~1/x"])
def test_no_such_path_is_written(filled: Repo, path: str) -> None:
    writer = ObjectWriter(Repository.open(str(filled.path), {}), frozenset())
    with pytest.raises(ObjectError, match="cannot write"):
        writer.edit(None, {path: b"x"})


# Directories


@pytest.fixture
def files(filled: Repo) -> Repo:
    """A store of files, with something outside that a link may lead to."""
    filled.ocuroot("export", "-q", "files")
    filled.git("config", "--unset", "ocuroot.state.branch")
    filled.git("config", "ocuroot.state.path", "files")
    outside = filled.path / "outside"
    outside.mkdir()
    (outside / "@object.json").write_text('{"kind": "ref", "body": "secret"}')
    return filled


def test_a_store_of_files_is_replaced_by_rename(files: Repo) -> None:
    """Who has a document open, or linked, keeps it whole: it is never written over."""
    path = files.path / "files/refs/+/custom/b/@object.json"
    before = path.read_bytes()
    os.link(path, files.path / "linked")
    with path.open("rb") as opened:
        files.ocuroot("set", "+/custom/b", "3")
        assert opened.read() == before
    assert (files.path / "linked").read_bytes() == before
    assert files.ocuroot("get", "+/custom/b") == '"3"'
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    assert sorted(os.listdir(files.path / "files")) == [".ocuroot-store", "dependencies", "refs"]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_a_killed_writer_left(files: Repo) -> None:
    """It is no document, is neither imported nor followed, and goes with the next write."""
    left = files.path / "files/.ocuroot-tmp"
    left.symlink_to("../outside/@object.json")
    assert files.ocuroot("fsck", "-q") == ""
    files.ocuroot("set", "+/custom/b", "3")
    assert not left.is_symlink() and not left.exists()
    assert "secret" in (files.path / "outside/@object.json").read_text()


def make_special(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
        finally:
            os.chdir(here)
    else:
        target = {"link": "../../../../../outside/@object.json", "loop": path.name, "device": "/dev/zero"}[kind]
        path.symlink_to(target)


@pytest.mark.parametrize("kind", ["FIFO", "socket", "link", "loop", "device"])
def test_a_document_that_is_no_file(files: Repo, kind: str) -> None:
    path = files.path / "files/refs/+/custom/b/@object.json"
    path.unlink()
    make_special(path, kind)
    why = f"it is a {kind}" if kind in ("FIFO", "socket") else "it is a symbolic link"
    refused = f"fatal: refusing to use '{path}': {why}\nhint: a store of files holds files and directories only\n"
    for words in (
        ["get", "+/custom/b"],
        ["set", "+/custom/b", "3"],
        ["delete", "+/custom/b"],
        ["match", "--values", "+/custom/*"],
        ["import", "files"],
    ):
        if words[0] == "import":
            files.git("config", "--unset", "ocuroot.state.path")
            files.git("config", "ocuroot.state.branch", "imported")
        done = files.run(*words)
        assert (done.returncode, done.stdout, done.stderr) == (128, "", refused), words
    assert files.git("branch", "--list", "imported") == ""
    assert "secret" in (files.path / "outside/@object.json").read_text()
    files.git("config", "--unset", "ocuroot.state.branch")
    files.git("config", "ocuroot.state.path", "files")
    done = files.run("fsck", "-q")
    assert (done.returncode, done.stdout) == (1, f"error: refs/+/custom/b/@object.json: {why}\n")
    assert files.value("@/custom/a") == 1


@pytest.mark.parametrize("target", ["../../../outside", "custom", "/dev"])
def test_a_directory_that_is_a_link(files: Repo, target: str) -> None:
    custom = files.path / "files/refs/+/custom"
    custom.rename(files.path / "moved")
    custom.symlink_to(target)
    refused = f"fatal: refusing to use '{custom}': it is a symbolic link\n"
    before = surroundings(files)
    for words in (["get", "+/custom/b"], ["set", "+/custom/new", "3"], ["match", "**"]):
        done = files.run(*words)
        assert (done.returncode, done.stdout) == (128, ""), words
        assert done.stderr.startswith(refused), (words, done.stderr)
    assert surroundings(files) == before
    done = files.run("fsck", "-q")
    assert (done.returncode, done.stdout) == (1, "error: refs/+/custom: it is a symbolic link\n")


def test_the_directory_itself_may_be_a_link(files: Repo) -> None:
    (files.path / "elsewhere").symlink_to("files")
    files.git("config", "ocuroot.state.path", "elsewhere")
    files.ocuroot("set", "+/custom/b", "3")
    assert files.ocuroot("get", "+/custom/b") == '"3"'


def test_a_link_of_the_store_leads_out_of_it(files: Repo) -> None:
    """The target of a link is a ref, and nothing that a file system would follow."""
    path = files.path / "files/refs/+/custom/b/@object.json"
    path.write_text('{"kind": "link", "body": "../../outside"}')
    done = files.run("get", "+/custom/b")
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr == "fatal: no such document: '+/custom/b'\n"


def test_git_at_the_top_of_a_store_of_files_is_passed_over(files: Repo) -> None:
    Repo(files.path / "files").git("init", "-q")
    assert files.ocuroot("fsck", "-q") == ""
    assert files.ocuroot("match", "**") == "+/custom/b\n@/custom/a"
