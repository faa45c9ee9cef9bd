"""`git ocuroot export` and `import`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import Repo

pytestmark = pytest.mark.usefixtures("fixed_dates")


def files_below(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_export_and_import(shop: Repo, make_repo: Callable[..., Repo]) -> None:
    done = shop.run("export", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Wrote 21 files to 'out'\n")
    exported = files_below(shop.path / "out")
    paths = shop.git("ls-tree", "-r", "-z", "--name-only", "state").split("\0")[:-1]
    assert sorted(exported) == sorted(paths)
    other = make_repo("other")
    done = other.run("import", str(shop.path / "out"))
    message = f"Imported '{shop.path / 'out'}' to branch 'state': 18 documents and links in all\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", message)
    assert other.git("rev-parse", "state^{tree}") == shop.git("rev-parse", "state^{tree}")
    assert other.git("log", "--format=%s", "state").split("\n") == ["import 18 refs", "Create the store"]
    done = other.run("import", str(shop.path / "out"))
    assert done.returncode == 128
    assert done.stderr == (
        "fatal: branch 'state' exists already: a store is imported as a whole, into a new one\n"
        "hint: name another: git -c ocuroot.state.branch=<branch> ocuroot import <directory>\n"
    )
    third = make_repo("third")
    third.ocuroot("import", "-q", "-m", "take over", str(shop.path / "out"))
    assert third.git("log", "-1", "--format=%s", "state") == "take over"


def test_export_as_it_was(shop: Repo) -> None:
    shop.ocuroot("export", "-q", "before")
    shop.ocuroot("delete", "+/environment/production")
    shop.ocuroot("export", "-q", "--at", "state~1", "again")
    assert files_below(shop.path / "again") == files_below(shop.path / "before")
    done = shop.run("export", "again")
    assert done.returncode == 128
    assert done.stderr == "fatal: 'again' is not empty\nhint: name a directory that does not exist yet\n"
    (shop.path / "file").write_text("")
    done = shop.run("export", "file")
    assert (done.returncode, done.stderr) == (128, "fatal: 'file' is not a directory\n")
    done = shop.run("export", "/proc/nothing/here")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: cannot make the directory '/proc/nothing/here': "), done.stderr
    done = shop.run("import", "nowhere")
    assert (done.returncode, done.stderr) == (128, "fatal: there is no directory 'nowhere'\n")
    (shop.path / "empty").mkdir()
    done = shop.run("import", "empty")
    assert done.returncode == 128
    assert (
        done.stderr == "fatal: 'empty' is no store: it has no '.ocuroot-store', nor have 'state' and 'intent' in it\n"
    )
