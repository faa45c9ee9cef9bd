"""The filters of a commit-graph, read here, say no only where git says too that a commit did not change a path."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.git.commit_graph import CommitGraph
from ocuroot_git.git.objects import Oid, Unanswered
from ocuroot_git.git.path_filters import PathFilters, _murmur3
from ocuroot_git.git.repository import Repository

NAMES = ["a", "b", "c", "ä", "d.e", "f g"]
PATHS = [f"{one}/{two}/{three}/file" for one in NAMES[:3] for two in NAMES for three in NAMES[:2]]
ASKED = [*PATHS, "a", "a/b", "ä", "a/ä", "never", "a/never/file", "many/7"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A history with merges, a commit that changed too much for a filter, and a graph in three layers."""
    repo = Repo(tmp_path_factory.mktemp("made"))
    repo.git("init", "-q")
    rng = random.Random(3)
    for layer in range(3):
        lines = []
        for number in range(layer * 100, layer * 100 + 100):
            parent = "from refs/heads/main^0\n" if number % 100 == 0 and number else ""
            merge = "merge refs/heads/side\n" if number % 20 == 10 else ""
            files = f"M 100644 inline {rng.choice(PATHS)}\ndata 3\n{number:03}\n"
            if number == 150:
                files += "".join(f"M 100644 inline many/{one}\ndata 1\nx\n" for one in range(700))
            if number % 7 == 0:
                files += f"D {rng.choice(PATHS)}\n"
            if number % 20 == 5:
                head = f"commit refs/heads/side\ncommitter T <t@x> {number} +0000\ndata 1\nx\n"
                lines.append(f"{head}M 100644 inline {rng.choice(PATHS)}\ndata 4\nside\n")
            lines.append(f"commit refs/heads/main\ncommitter T <t@x> {number} +0000\ndata 1\nx\n{parent}{merge}{files}")
        repo.git("fast-import", "--quiet", "--force", input="".join(lines))
        repo.git("commit-graph", "write", "--reachable", "--changed-paths", "--split=no-merge")
    return repo


def test_the_hash_is_that_of_git() -> None:
    """The values are of git's own tests (t0095)."""
    assert _murmur3(0, b"") == 0x00000000
    assert _murmur3(0, b"Hello world!") == 0x627B0C2C
    assert _murmur3(0, b"The quick brown fox jumps over the lazy dog") == 0x2E4FF723


@pytest.mark.parametrize("at_once", [8192, 7])
@pytest.mark.parametrize("is_split", [True, False])
def test_what_they_say_no_to_was_not_changed(
    made: Repo, at_once: int, is_split: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ocuroot_git.git.path_filters._AT_ONCE", at_once)
    repo = Repo(tmp_path / "copy")
    made.git("clone", "-q", "--bare", str(made.path), str(repo.path))
    info = repo.path / "objects" / "info"
    assert len(list(info.glob("commit-graphs/*.graph"))) == 3
    if not is_split:
        shutil.rmtree(info / "commit-graphs")
        repo.git("commit-graph", "write", "--reachable", "--changed-paths")
        assert (info / "commit-graph").exists()
    tip = Oid(repo.git("rev-parse", "main"))
    repository = Repository.open(str(repo.path), os.environ)
    filters = PathFilters(str(info))
    assert not any(map(filters.can_tell, ("", "/", "a/", "/a", "a//b")))
    in_vain = 0
    for paths in ([path] for path in ASKED):
        by_git = repo.git("rev-list", "--first-parent", tip, "--", paths[0]).split()
        if filters.can_tell(paths[0]):
            candidates = [oid for oid, _ in filters.along(tip, paths)]
            assert [oid for oid in candidates if oid in by_git] == by_git
            in_vain += len(candidates) - len(by_git)
        found = CommitGraph(repository, os.environ).changed(tip, paths)
        assert found is not None and list(found) == by_git
    assert in_vain < 0.02 * 300 * len(ASKED)
    asked = [path for path in ASKED if filters.can_tell(path)]
    told: dict[str, list[Oid]] = {}
    found = CommitGraph(repository, os.environ).changed(tip, asked, take=told.__setitem__)
    by_git = repo.git("rev-list", "--first-parent", tip, "--", *asked).split()
    assert found is not None and list(found) == by_git
    assert told == {path: repo.git("rev-list", "--first-parent", tip, "--", path).split() for path in asked}
    # Who does not go on to the end is told of those of which there is nothing.
    told.clear()
    found = CommitGraph(repository, os.environ).changed(tip, ["a", "never", PATHS[0]], take=told.__setitem__)
    assert found is not None
    next(found)
    found.close()
    assert told["never"] == [] and "a" not in told


def test_what_is_damaged_is_not_believed(made: Repo) -> None:
    """Cut short anywhere, or with parents that lead nowhere, they say that they do not know."""
    tip = Oid(made.git("rev-parse", "main"))
    info = made.path / ".git" / "objects" / "info"
    file = sorted((info / "commit-graphs").glob("*.graph"))[0]
    whole = file.read_bytes()
    file.chmod(0o644)
    try:
        for length in range(0, len(whole) - 20, 97):
            file.write_bytes(whole[:length])
            with pytest.raises(Unanswered):
                list(PathFilters(str(info)).along(tip, ["a"]))
    finally:
        file.write_bytes(whole)
    with pytest.raises(Unanswered):
        list(PathFilters(str(info)).along(Oid("1" * 40), ["a"]))
    with pytest.raises(Unanswered):
        PathFilters(str(info / "none"))
