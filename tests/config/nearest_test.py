"""The nearest `repo.ocu.star` upwards counts, and the paths of packages begin where it lies (design 4.3)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.repositories import Repo

PACKAGE = {"phases": [{"name": "build", "work": [{"call": {"name": "build", "fn": {"run": "pwd; cat part.txt"}}}]}]}


@pytest.fixture
def shared(store: Repo) -> Repo:
    """A repository with a project at its top and one below `teams/web`, each with a package `app.json`."""
    for directory, alias in (("", "whole"), ("teams/web", "web")):
        below = store.path / directory
        below.mkdir(parents=True, exist_ok=True)
        (below / "repo.ocu.star").write_text(f'ocuroot("0.3.0")\nrepo_alias("{alias}")\n')
        (below / "app.json").write_text(json.dumps(PACKAGE))
        (below / "part.txt").write_text(f"{alias}\n")
    (store.path / "teams/web/src").mkdir()
    store.git("config", "--unset", "ocuroot.repoAlias")
    store.git("add", ".")
    store.git("commit", "-qm", "two projects")
    return store


def test_the_nearest_counts(shared: Repo) -> None:
    for directory, name in (("", "whole"), ("teams", "whole"), ("teams/web", "web"), ("teams/web/src", "web")):
        here = Repo(shared.path / directory)
        assert here.ocuroot("resolve", "//app.json/@1") == f"{name}/-/app.json/@1"
    assert Repo(shared.path / "teams").ocuroot("resolve", "app.json/@1") == "whole/-/teams/app.json/@1"
    assert Repo(shared.path / "teams/web/src").ocuroot("resolve", "app.json/@1") == "web/-/src/app.json/@1"
    assert Repo(shared.path / "teams/web").ocuroot("resolve", "app.json/@1") == "web/-/app.json/@1"


def test_packages_are_found_and_run_where_it_lies(shared: Repo) -> None:
    here = Repo(shared.path / "teams/web/src")
    assert here.ocuroot("release", "new", "app.json") == "web/-/app.json/@1"
    done = here.run("run", "exec", "//app.json/@/call/build")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [os.path.realpath(shared.path / "teams/web"), "web"]
    # The one at the top is another package.
    assert shared.ocuroot("release", "new", "app.json") == "whole/-/app.json/@1"


def test_packages_are_named_as_files_are(shared: Repo) -> None:
    """`./`, `../` and absolute paths are those of files, which packages have their paths from."""
    web, src = Repo(shared.path / "teams/web"), Repo(shared.path / "teams/web/src")
    assert web.ocuroot("release", "new", "./app.json") == "web/-/app.json/@1"
    assert src.ocuroot("release", "new", "../app.json", "--force") == "web/-/app.json/@2"
    assert src.ocuroot("release", "new", str(web.path / "app.json"), "--force") == "web/-/app.json/@3"
    assert shared.ocuroot("release", "new", "teams/../app.json") == "whole/-/app.json/@1"
    named = src.ocuroot("release", "new", "./other.json", "--package", str(web.path / "app.json"))
    assert named == "web/-/src/other.json/@1"
    for path in ("../app.json", "//app.json", "./-/app.json", "app.json", str(web.path / "app.json")):
        assert len(src.ocuroot("release", "list", path).splitlines()) == 3, path
    for path in ("other.json", "./other.json", "src/other.json", "web/-/src/other.json"):
        assert src.ocuroot("release", "list", path) == "web/-/src/other.json/@1", path
    assert src.ocuroot("release", "list", "//other.json") == ""
    for path in ("../../app.json", "/app.json", str(shared.path / "app.json")):
        for words in (["new", path], ["new", path, "--package", "../app.json"], ["list", path]):
            done = src.run("release", *words)
            assert (done.returncode, done.stdout) == (128, "")
            assert done.stderr == f"fatal: '{path}' lies outside of '{os.path.realpath(web.path)}'\n"
    done = web.run("release", "new", "/x", "--repo", "other", "--commit", "1" * 40, "--package", "app.json")
    assert done.returncode == 128 and done.stderr.startswith("fatal: bad ref 'other/-//x'")


def test_a_store_in_a_directory_lies_beside_it(shared: Repo) -> None:
    shared.git("config", "--remove-section", "ocuroot.state")
    here = Repo(shared.path / "teams/web")
    (here.path / "repo.ocu.star").write_text('ocuroot("0.3.0")\nrepo_alias("web")\nstore.set(store.fs("../store"))\n')
    (shared.path / "teams/store").mkdir()
    (shared.path / "teams/store/.ocuroot-store").write_text('{"version": 1}\n')
    here.ocuroot("set", "+/custom/x", "beside")
    assert (shared.path / "teams/store/refs/+/custom/x/@object.json").exists()
    (here.path / "repo.ocu.star").write_text('ocuroot("0.3.0")\nstore.set(store.fs("../../../outside"))\n')
    done = here.run("get", "@/custom/x")
    assert done.returncode == 128 and "lies outside the work tree" in done.stderr


def test_a_missing_directory_is_made_by_what_writes(shared: Repo) -> None:
    shared.git("config", "--remove-section", "ocuroot.state")
    (shared.path / "repo.ocu.star").write_text('ocuroot("0.3.0")\nstore.set(store.fs("deep/.store"))\n')
    done = shared.run("get", "@/custom/x")
    assert done.returncode == 128 and not (shared.path / "deep").exists()
    done = shared.run("set", "+/custom/x", "1")
    assert done.returncode == 0 and "Made a store on directory" in done.stderr, done.stderr
    assert shared.ocuroot("get", "+/custom/x") == '"1"'
    assert "Made" not in shared.run("set", "+/custom/x", "2").stderr
    # One that the user names himself, and that is not there, may be a slip of the pen.
    shared.git("config", "ocuroot.state.path", "elsewhere")
    assert shared.run("set", "+/custom/x", "1").returncode == 128 and not (shared.path / "elsewhere").exists()


def test_no_file_above_the_work_tree_counts(shared: Repo, tmp_path: Path) -> None:
    (tmp_path / "repo.ocu.star").write_text('ocuroot("0.3.0")\nrepo_alias("foreign")\n')
    (shared.path / "repo.ocu.star").unlink()
    assert shared.ocuroot("resolve", "//app.json/@1") == f"{shared.path.name}/-/app.json/@1"


def test_what_the_original_takes_from_the_environment(shared: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared.path / "repo.ocu.star").unlink()
    shared.git("remote", "add", "origin", "https://example.com/team/shop.git")
    assert shared.ocuroot("resolve", "//x/@1") == "example.com/team/shop/-/x/@1"
    monkeypatch.setenv("OCU_REPO_URL_OVERRIDE", "https://example.com/other.git")
    assert shared.ocuroot("resolve", "//x/@1") == "example.com/other/-/x/@1"
    monkeypatch.setenv("OCU_REPO_URL_OVERRIDE", "example.com/without/scheme")
    assert shared.ocuroot("resolve", "//x/@1") == "example.com/without/scheme/-/x/@1"
    monkeypatch.setenv("OCU_CFG_repo_alias", "mine")
    assert shared.ocuroot("resolve", "//x/@1") == "mine/-/x/@1"
    monkeypatch.setenv("OCU_CFG_repo_alias", "a//b")
    assert shared.run("resolve", "//x/@1").returncode == 128
    monkeypatch.setenv("OCU_CFG_repo_alias", "mine")
    first = shared.git("rev-parse", "HEAD")
    shared.git("commit", "-q", "--allow-empty", "-m", "later")
    monkeypatch.setenv("OCU_REPO_COMMIT_OVERRIDE", first)
    shared.ocuroot("release", "new", "app.json")
    assert json.loads(shared.ocuroot("get", "//app.json/@1#commit")) == first
