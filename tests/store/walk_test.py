"""`match` on a whole workload: the same answers as the slow way, and no more of the store visited than must be."""

from __future__ import annotations

import errno
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import pytest
from support.damaged import loose_path
from support.program import FIXTURES
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.formats.globs import Glob, escape
from ocuroot_git.git.repository import Repository
from ocuroot_git.store import forked_walk as parallel
from ocuroot_git.store.steps import Step

DOCUMENTS = 20_000


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A bare repository with the workload of the benchmarks on the branch `state`."""
    return generate(tmp_path_factory.mktemp("workload"), DOCUMENTS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """The same, with a fourth of the documents, and fewer packages."""
    return generate(tmp_path_factory.mktemp("small"), DOCUMENTS // 4)


def generate(path: Path, documents: int) -> Repo:
    repo = Repo(path)
    repo.git("init", "-q", "--bare")
    command = [sys.executable, str(FIXTURES / "workload.py"), "--documents", str(documents)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as generator:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, stdin=generator.stdout, check=True)
    assert generator.returncode == 0
    return repo


@pytest.fixture(scope="module")
def refs(workload: Repo) -> list[str]:
    """All refs of the workload, as git itself lists their files, in byte order."""
    paths = workload.git("ls-tree", "-r", "--name-only", "-z", "state").split("\0")
    refs = [path.removeprefix("refs/").removesuffix("/@object.json") for path in paths if path.startswith("refs/")]
    assert len(refs) > DOCUMENTS * 0.9
    return sorted(refs, key=str.encode)


def as_regular_expression(glob: str) -> str:
    """The oracle: a pattern as a regular expression, by plain substitution."""
    tokens = {"**": ".*", "*": "[^/]*", "?": "[^/]", "/**/": "/(?:.*/)?", "{": "(?:", "}": ")", ",": "|"}
    expression = ""
    for token in re.findall(r"/\*\*/|\*\*|\[!?[^]]+\]|.", glob):
        if token.startswith("[") and len(token) > 1:
            expression += "[^" + token[2:] if token[1] == "!" else token
        else:
            expression += tokens.get(token, re.escape(token))
    return expression


def patterns(refs: list[str], count: int) -> Iterator[str]:
    """Patterns made of refs that are there, by putting wildcards in the place of their parts; and some by hand."""
    yield from ("**", "*", "@/**", "**/@", "**/deploy/production", "**/deploy/*", "**/@*/commit/*", "{@,+}/*/*")
    yield from ("**/@{1,2}/**", "nothing/**", "github.com/*/{shop,data}/-/**/@1?", "**/@[!1-9]*", "*/*/*/-/**/@/**")
    rng = random.Random(6)
    for _ in range(count):
        segments = rng.choice(refs).split("/")
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(segments))
            kept = segments[at]
            if set(kept) & set("*?[{"):
                continue
            cut = rng.randrange(len(kept) + 1)
            other = rng.choice(rng.choice(refs).split("/"))
            segments[at] = rng.choice(
                (
                    "*",
                    "**",
                    f"{kept[:cut]}*",
                    f"*{kept[cut:]}",
                    f"{{{kept},{other}}}",
                    f"[{kept[0]}-~]{kept[1:]}",
                    "?" * cut,
                )
            )
        head = rng.randrange(len(segments)) if rng.random() < 0.3 else 0
        yield "/".join((["**"] if head else []) + segments[head:])


def test_same_as_filtering_all_refs(workload: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workload.path)
    stores = ocuroot_git.open()
    found = []
    for glob in list(dict.fromkeys(patterns(refs, 400)))[:200]:
        expression = re.compile(as_regular_expression(glob)).fullmatch
        expected = [ref for ref in refs if expression(ref)]
        assert stores.match(glob) == expected, glob
        found.append(len(expected))
    assert sum(count > 0 for count in found) > 100
    assert any(0 < count < 10 for count in found) and any(count > 1000 for count in found)


def test_command_prints_the_same(workload: Repo, refs: list[str]) -> None:
    assert workload.ocuroot("match", "**").split("\n") == refs
    assert workload.ocuroot("match", "-z", "**/logs").split("\0")[:-1] == [ref for ref in refs if ref.endswith("/logs")]
    assert workload.ocuroot("match", "--count", "**") == str(len(refs))


@pytest.mark.parametrize("may_fork", [True, False])
def test_same_by_one_process_and_by_two(
    workload: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch, may_fork: bool
) -> None:
    monkeypatch.chdir(workload.path)
    forks = count_forks(monkeypatch)
    monkeypatch.setattr(parallel, "_may_fork", lambda: may_fork)
    assert ocuroot_git.open().match("**") == refs
    assert len(forks) == may_fork


def count_forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the processes that are forked from now on."""
    forks: list[int] = []
    fork = os.fork

    def counted() -> int:
        forks.append(fork())
        return forks[-1]

    monkeypatch.setattr(os, "fork", counted)
    return forks


def test_killed_second_process_is_made_up_for(workload: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workload.path)
    monkeypatch.setattr(parallel, "_may_fork", lambda: True)
    fork = os.fork

    def fork_and_kill() -> int:
        pid = fork()
        if pid:
            os.kill(pid, 9)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_kill)
    assert ocuroot_git.open().match("**") == refs
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_a_failed_second_process_took_is_done_again(
    workload: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workload.path)
    monkeypatch.setattr(parallel, "_may_fork", lambda: True)
    taken, takes = os.pipe()
    fork = os.fork

    def take_one_and_fail(tickets: int, *_: object) -> None:
        os.write(takes, os.read(tickets, 1))
        os._exit(1)

    def fork_and_wait() -> int:
        pid = fork()
        if pid:
            assert os.read(taken, 1)
        return pid

    monkeypatch.setattr(parallel, "_be_second", take_one_and_fail)
    monkeypatch.setattr(os, "fork", fork_and_wait)
    assert ocuroot_git.open().match("**") == refs


def test_a_second_process_without_a_first_works_for_nobody() -> None:
    """Its parent is then another than the one that made it."""
    worked, works = os.pipe()
    statuses = []
    for first in (os.getpid(), os.getpid() + 1):
        tickets, ticket_writer = os.pipe()
        os.write(ticket_writer, bytes(range(2)))
        os.close(ticket_writer)
        answer = os.memfd_create("answer")

        def work(piece: list[int]) -> list[str]:
            os.write(works, b"x")
            return [str(number) for number in piece]

        pid = os.fork()
        if pid == 0:
            parallel._be_second(tickets, answer, [[1], [2]], work, first)
        statuses.append((os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), parallel._read_all(answer)))
        os.close(tickets)
        os.close(answer)
    os.close(works)
    assert statuses == [(0, b"1\x002"), (1, b"")]
    assert os.read(worked, 100) == b"xx"
    os.close(worked)


@pytest.mark.parametrize("call", ["fork", "memfd_create", "pipe"])
def test_where_there_is_no_room_for_a_second_process(
    workload: Repo, refs: list[str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """As with `ulimit -u`, with no descriptor left, or where a sandbox knows no files in memory."""
    monkeypatch.chdir(workload.path)
    monkeypatch.setattr(parallel, "_may_fork", lambda: True)

    def refuse(*_: object) -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    snapshot = ocuroot_git.open().snapshot()
    snapshot.match("@/environment/*")
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        patch.setattr("ocuroot_git.store.remembered_walk._FEWEST", 1 << 30)
        assert snapshot.match("**") == refs
    assert len(os.listdir("/proc/self/fd")) == before, "what was opened for it is closed"


def test_no_fork_beside_other_threads(workload: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert not parallel._may_fork()
    finally:
        done.set()
        thread.join()


def test_damage_found_by_either_process_is_reported(small: Repo, make_repo: Callable[..., Repo]) -> None:
    """A tree that is missing, wherever it is, ends `match` with an error that names it."""
    repo = make_repo("damaged", "--bare")
    repo.git("fetch", "-q", str(small.path), "state:state")
    with unpackable(repo).open("rb") as pack:
        repo.git("unpack-objects", "-q", stdin=pack)
    path = "state:refs/github.com/example/shop/-/services/service-0000/release.ocu.star/@150/deploy/staging/1/status"
    oid = repo.git("rev-parse", path)
    loose_path(repo.path, oid).unlink()
    done = repo.run("match", "**")
    assert done.returncode == 128
    assert oid in done.stderr and done.stdout == ""


def unpackable(repo: Repo) -> Path:
    """Take the pack of a repository out of it, so that its objects can be unpacked again, one file each."""
    (pack,) = (repo.path / "objects" / "pack").glob("*.pack")
    for path in (repo.path / "objects" / "pack").iterdir():
        path.rename(repo.path / path.name)
    return repo.path / pack.name


# How much is visited


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many directories a walk took up since the last call."""
    count = 0
    walk = Repository.walk

    class Counted(list[Any]):
        def pop(self, index: SupportsIndex = -1, /) -> Any:
            nonlocal count
            count += 1
            return super().pop(index)

    def counted(self: Repository, todo: list[Any], then: list[Any], file: str) -> Iterator[Any]:
        mine = Counted(todo)
        return walk(self, mine, mine if then is todo else then, file)

    monkeypatch.setattr(Repository, "walk", counted)
    monkeypatch.setattr(parallel, "_may_fork", lambda: False)

    def since() -> int:
        nonlocal count
        now, count = count, 0
        return now

    return since


def test_visits_grow_with_what_a_pattern_touches(
    workload: Repo, visits: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workload.path)
    stores = ocuroot_git.open()
    stores.match("**")
    everything = visits()
    assert everything > DOCUMENTS

    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    limits = {
        "@/environment/*": 6,
        f"{package}/@1/deploy/production": 11,
        f"{package}/@{{1,2}}/deploy/production": 14,
        f"{package}/@1/**": 8 + 50,
        f"{package}/@*": 8 + 210,
        f"{package}/@1*/deploy/production": 8 + 111 * 3,
        f"{package}/@*/deploy/production": 8 + 210 * 3,
        package.replace("shop", "*").replace("service-0000", "*") + "/@{1,2}/**": 25 + 2 * 5 * 50,
        "**/@/deploy/production": 100,  # no other release, as a ref has one marker
        "**/@/**": 150,
    }
    for glob, most in limits.items():
        assert stores.match(glob)
        assert visits() <= most, glob
    assert stores.match("nowhere/**") == [] and visits() <= 1
    assert stores.match(f"{package}/@*/deploy/production/nothing/*") == [] and visits() < everything / 20


def test_what_can_only_be_one_name_is_looked_up(workload: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """No directory on the way is listed: its other names are never seen."""
    monkeypatch.chdir(workload.path)
    seen = []
    missing = Step.__missing__

    def noted(step: Step, name: str) -> Any:
        seen.append(name)
        return missing(step, name)

    monkeypatch.setattr(Step, "__missing__", noted)
    ref = "github.com/example/shop/-/services/service-0000/release.ocu.star/@7/deploy/production"
    assert ocuroot_git.open().match(ref) == [ref]
    assert seen == ref.split("/")


def test_visits_of_one_package_do_not_grow_with_the_store(
    small: Repo, workload: Repo, visits: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for repo in (small, workload):
        monkeypatch.chdir(repo.path)
        assert ocuroot_git.open().match("github.com/example/shop/-/services/service-0000/*/@*/deploy/production")
        counts.append(visits())
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["[a]", "a]", "{a,b}", "*", "?", "\\", "!", "[!a-z]", "}"])
def test_an_escaped_name_matches_itself_alone(name: str) -> None:
    """As the name of this repository is, which `//…` puts into a pattern."""
    glob = Glob(f"{escape(name)}/@1")
    assert glob.matches(f"{name}/@1")
    assert not any(glob.matches(f"{other}/@1") for other in ("a", "b", "", "x", "ab", name + "x"))


def test_a_repository_whose_name_is_a_pattern(store: Repo) -> None:
    store.git("config", "ocuroot.repoAlias", "shop[1]")
    store.ocuroot("update", "--stdin", input="set shop[1]/-/api/@1 {}\nset shop1/-/api/@1 {}\n")
    assert store.ocuroot("match", "//**") == "shop[1]/-/api/@1"
