"""History through git's commit-graph gives what walking every commit gives, and is never needed (design 9)."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.formats.layout import StoredRef
from ocuroot_git.git.commit_graph import DIRECTORY, CommitGraph
from ocuroot_git.git.repository import Repository
from ocuroot_git.store import history
from ocuroot_git.store.memory import Memory

COMMITS = 120
REFS = ["+/custom/a", "+/custom/a/below", "@/custom/b", "x.org/r/-/p/@1/custom/c"]


@pytest.fixture
def long(repo: Repo) -> Repo:
    """A store with many commits that set and delete a few refs, some by merges."""
    rng = random.Random(7)
    stream = b""
    for number in range(COMMITS):
        side = number % 10 == 5
        parent = f"from :{number}\n" if number else ""  # marks are numbered from 1
        files = 'M 100644 inline .ocuroot-store\ndata 15\n{"version": 1}\n\n' if not number else ""
        path = f"refs/{rng.choice(REFS)}/@object.json"
        if rng.random() < 0.2:
            files += f"D {path}\n"
        else:
            text = f'{{"kind": "ref", "body": {rng.randrange(3)}}}\n'
            files += f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        merge = f"merge :{number - 3}\n" if side else ""
        head = f"commit refs/heads/state\nmark :{number + 1}\ncommitter T <t@x> {1767225600 + number % 7} +0000\n"
        stream += f"{head}data 1\nx\n{parent}{merge}{files}".encode()
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True)
    return repo


@pytest.fixture(params=["filters", "git"])
def soon(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let a short history be a long one, of which filters tell here, or git does."""
    if request.param == "git":
        monkeypatch.setattr(CommitGraph, "_filters", lambda graph, git_dir, paths: None)
    monkeypatch.setattr(history, "_ASK_EVERY", 10)
    monkeypatch.setattr(history, "WRITE_AFTER", 30)


def changes(repo: Repo, refs: list[str], *, graph: bool, remembers: bool = False) -> list[tuple[str, object]]:
    """The history of some refs; with `graph` from there, and with `remembers` as `log` asks for it."""
    import ocuroot_git

    repository = Repository.open(str(repo.path), os.environ)
    tree = ocuroot_git.open(str(repo.path)).snapshot().side("state")
    start = repository.tip("refs/heads/state")
    assert start is not None
    wanted = history.Wanted(refs.__contains__, [*map(StoredRef, refs)])
    asked = (lambda repository: CommitGraph(repository, os.environ)) if graph else None
    memory = Memory(str(repo.path / ".git" / "ocuroot" / "derived-1.sqlite")) if remembers else None
    found = history.ref_changes(repository, start, tree, "", wanted, graph=asked, memory=memory)
    return [(commit.oid, changed) for commit, changed, _ in found]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("refs", [*([ref] for ref in REFS), REFS[:2], REFS, ["@/custom/never"]], ids=str)
def test_the_graph_gives_what_a_walk_gives(long: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    walked = changes(long, refs, graph=False)
    assert changes(long, refs, graph=True) == walked  # which writes it
    assert (long.path / ".git" / DIRECTORY / "objects" / "info" / "commit-graphs" / "commit-graph-chain").is_file()
    assert changes(long, refs, graph=True) == walked
    assert not (long.path / ".git" / "objects" / "info" / "commit-graphs").exists()
    monkeypatch.setattr(history, "_MEETING_POINT", ("0", "1", "2", "3"))
    for _ in range(2):
        assert changes(long, refs, graph=True, remembers=True) == walked
    # And what comes later, by itself and after another branch was put in its place.
    long.ocuroot("set", REFS[0], "new")
    assert changes(long, refs, graph=True) == changes(long, refs, graph=False)
    assert changes(long, refs, graph=True, remembers=True) == changes(long, refs, graph=False)
    long.git("branch", "-f", "state", "state~60")
    assert changes(long, refs, graph=True) == changes(long, refs, graph=False)
    assert changes(long, refs, graph=True, remembers=True) == changes(long, refs, graph=False)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("harm", ["removed", "foreign", "cut", "locked", "not writable", "moved"])
def test_a_graph_that_is_of_no_use(long: Repo, harm: str) -> None:
    walked = changes(long, REFS, graph=False)
    ours = long.path / ".git" / DIRECTORY
    if harm == "not writable":
        (long.path / ".git" / "ocuroot").write_text("in the way")
        assert changes(long, REFS, graph=True) == walked
        return
    assert changes(long, REFS, graph=True) == walked
    chains = ours / "objects" / "info" / "commit-graphs"
    (file,) = chains.glob("*.graph")
    if harm == "removed":
        shutil.rmtree(ours)
    elif harm == "foreign":
        file.chmod(0o644)
        file.write_bytes(b"something else")
    elif harm == "cut":
        file.chmod(0o644)
        os.truncate(file, file.stat().st_size // 2)
    elif harm == "locked":
        file.unlink()
        (chains / "commit-graph-chain.lock").write_text("")  # left by a git that was killed
    else:
        moved = Repo(Path(shutil.move(long.path, long.path.parent / "elsewhere")))
        assert changes(moved, REFS, graph=True) == walked
        return
    assert changes(long, REFS, graph=True) == walked
    assert changes(long, REFS, graph=True) == walked


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("lines", [0, 3])
def test_a_git_that_ends_too_soon_is_done_without(
    long: Repo, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommitGraph, "_filters", lambda graph, git_dir, paths: None)
    walked = changes(long, REFS[:2], graph=False)
    assert changes(long, REFS[:2], graph=True) == walked
    real = shutil.which("git")
    cut = f'"{real}" "$@" >"$0.$$"; head -n {lines} "$0.$$"; exit 1'
    (tmp_path / "git").write_text(f'#!/bin/sh\ncase "$*" in *rev-list*) {cut};; esac\nexec "{real}" "$@"\n')
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert changes(long, REFS[:2], graph=True) == walked
    assert any(file.read_text() for file in tmp_path.glob("git.*"))


@pytest.mark.usefixtures("soon")
def test_whoever_wants_few_commits_leaves_no_process_behind(long: Repo) -> None:
    walked = changes(long, REFS, graph=True)
    repository = Repository.open(str(long.path), os.environ)
    start = repository.tip("refs/heads/state")
    assert start is not None
    paths = [f"refs/{ref}/@object.json" for ref in REFS]
    some = history.changing_commits(repository, start, paths, graph=lambda known: CommitGraph(known, os.environ))
    assert [next(some)[0].oid, next(some)[0].oid] == [oid for oid, _ in walked[:2]]
    some.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.usefixtures("soon")
def test_many_refs_are_asked_for_together(long: Repo) -> None:
    refs = [*REFS, *(f"@/custom/n{number}" for number in range(17))]
    assert changes(long, refs, graph=True) == changes(long, REFS, graph=False)


@pytest.mark.usefixtures("soon")
def test_the_graph_of_the_repository_itself_is_used(long: Repo) -> None:
    walked = changes(long, REFS, graph=False)
    long.git("commit-graph", "write", "--reachable", "--changed-paths")
    assert changes(long, REFS, graph=True) == walked
    assert not (long.path / ".git" / DIRECTORY).exists()


def test_a_shallow_clone_is_walked(long: Repo, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--depth=50", f"file://{long.path}", tmp_path / "clone", "-b", "state"])
    repository = Repository.open(str(tmp_path / "clone"), os.environ)
    start = repository.tip("refs/heads/state")
    assert start is not None
    assert CommitGraph(repository, os.environ).changed(start, ["refs"], write=start) is None


def test_log_shows_a_bounded_number_of_changes(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input="".join(f"set @/custom/n{number:03} 1\n" for number in range(150)))
    text = store.ocuroot("log", "-n1")
    assert text.count("\nA\t") == 100
    assert text.endswith("A\t@/custom/n099\n… and more: --changes=0 shows all")
    assert store.ocuroot("log", "-n1", "--changes=0").count("\nA\t") == 150
    assert store.ocuroot("log", "-n1", "--changes=150").endswith("A\t@/custom/n149")
    assert '"more"' not in store.ocuroot("log", "-n1", "--json")
    cut = store.ocuroot("log", "-n1", "--json", "--changes", "2")
    assert cut.count('"status"') == 2
    assert cut.endswith('"more": true}')
    assert store.ocuroot("log", "-n1", "@/custom/n14?").count("\nA\t") == 10
