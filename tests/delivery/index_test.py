"""The index of packages: answers are the same with it, without it, and with a memory that is damaged."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support.delivering import Silent, call, prepare, release
from support.delivering import package as definition
from support.raw_objects import plant, write_object
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import (
    apply,
    diff,
    index,
    queries,
    queue,
    release_facts,
    release_list,
    run_queries,
    summary,
    survey,
)
from ocuroot_git.delivery.child_command import Signals
from ocuroot_git.delivery.executor import ExecutionOptions
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.worker import Worker
from ocuroot_git.errors import Conflict
from ocuroot_git.git.tree_reader import TreeReader
from ocuroot_git.ledger import deployments, remembered
from ocuroot_git.ledger.chunks import Ledger
from ocuroot_git.store.memory import FILE, Memory
from ocuroot_git.store.snapshot import Snapshot
from ocuroot_git.store.tree import StoreTree

RUN: dict[str, Any] = {"type": "call", "release": "", "entrypoint": "", "output": {}}
FUNCTION: dict[str, Any] = {"fn": {}, "id": "1"}
STATUSES = ("pending", "running", "failed", "complete", "cancelled")
PACKAGES = ("r/-/a", "r/-/b", "r/-/b/c")

changes = some.lists(
    some.tuples(
        some.sampled_from(PACKAGES),
        some.integers(1, 2),
        some.sampled_from(
            (
                *STATUSES,
                *("op", "wanted", "release", "deployed"),
                *("custom", "wanted custom", "wanted of newest", "global", "wanted global", "tag", "wanted by tag"),
                *("tag of another", "above"),
            )
        ),
        some.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def answers(snapshot: Snapshot) -> dict[str, Any]:
    problems = Problems()
    return {
        "diff": [(one.ref, one.status) for one in diff.differences(snapshot, problems)],
        "todo": [one.to_document() for one in queue.items(snapshot, problems)],
        "ops": list(survey.ops(snapshot, problems)),
        "deployed": run_queries.deployments(snapshot, problems),
        "releases": release_list.releases_of(snapshot, [], problems),
        "applied": apply.dry_run(snapshot, None, strict=False).to_document(),
        "matches": [snapshot.match(glob) for glob in ("**/custom/*", "**/@1/**", "+/**")],
        "deployments": standing(snapshot, problems),
        "counts": survey.counts_of(snapshot, *trees_of(snapshot)),
        "problems": problems.to_document(),
    }


def trees_of(snapshot: Snapshot) -> tuple[StoreTree, StoreTree]:
    return queries.state_tree(snapshot), queries.intent_tree(snapshot)


def standing(snapshot: Snapshot, problems: Problems) -> list[tuple[Any, ...]]:
    """What is deployed and under way, has failed or is wanted, and by whom."""
    found = deployments.deployments(snapshot, [], None, problems)
    deployments.tell_history(snapshot, found, are_all=True)
    return [(deployments.to_document(one, None), one.since, one.is_down) for one in found]


def without(stores: ocuroot_git.Stores, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The answers where of every package all is looked at."""
    snapshot = stores.snapshot()
    known = {*queries.packages(snapshot.side("state")), *queries.packages(snapshot.side("intent"))}
    with monkeypatch.context() as patch:
        patch.setattr(index, "facts_of", lambda snapshot, tree, packages: dict.fromkeys(packages))
        patch.setattr(release_list, "_remembered", lambda snapshot, names: {})
        patch.setattr(deployments, "known_deployments", lambda snapshot, summary: None)
        patch.setattr(deployments, "last_events", lambda snapshot, runs, are_all: Ledger(snapshot).last_events_of(runs))
        patch.setattr(survey._Survey, "summary", lambda self, *place: summary.Summary(unread=sorted(known)))
        patch.setattr(survey, "counts_of", lambda snapshot, *trees: counted(snapshot))
        return answers(snapshot)


def counted(snapshot: Snapshot) -> tuple[int, int]:
    """How many documents and links there are in state, and in intent."""
    return len(snapshot.match("**", side="state")), len(snapshot.match("**", side="intent"))


def change(tx: ocuroot_git.Transaction, package: str, number: int, what: str, is_there: bool) -> None:
    run = f"{package}/@{number}/call/build/1"
    deployment = f"{package}/@{number}/deploy/production/1"
    links = {
        "tag": (f"{package}/@t", f"{package}/@{number}"),
        "tag of another": (f"{package}/@t", "r/-/a/@1"),
        "deployed": (f"{package}/@/deploy/production", deployment),
    }
    by_name: dict[str, dict[str, Any]] = {
        "op": {f"{package}/@{number}/op/check_envs": {}},
        "custom": {f"{package}/@{number}/custom/x": 1},
        "wanted custom": {f"{package}/+{number}/custom/x": 1},
        "wanted of newest": {f"{package}/+/custom/x": number},
        "wanted by tag": {f"{package}/+t/custom/x": number},
        "global": {"@/custom/x": number},
        "wanted global": {"+/custom/x": 1},
        "above": {"r/-/b": number},
        "wanted": {f"{package}/+/deploy/production": {"release": f"{package}/@1"}},
        "deployed": {
            deployment: {**RUN, "type": "up"},
            f"{deployment}/functions/1": {"current": {**FUNCTION, "status": "complete"}, "history": []},
            f"{deployment}/status/complete": {"time": "2026-01-01T00:00:00Z"},
        },
        "release": {f"{package}/@{number}": {"commit": "abcdef1", "package": {"phases": []}}},
    }
    documents = by_name.get(what, {})
    if what in STATUSES:
        documents = {
            run: RUN,
            f"{run}/functions/1": {"current": {**FUNCTION, "status": what}, "history": []},
            f"{run}/status/{what}": {"time": "2026-01-01T00:00:00Z"},
        }
    for ref, value in documents.items():
        if is_there:
            tx.set(ref, value)
        elif tx.object(ref) is not None:
            tx.delete(ref)
    if what in links:
        link, target = links[what]
        if is_there and tx.object(target) is not None:
            tx.link(link, target)
        elif not is_there and tx.object(link) is not None:
            tx.unlink(link)


@pytest.mark.parametrize(("is_remembered", "fewest", "large"), [(True, 64, 1000), (True, 0, 1), (False, 0, 1)])
def test_answers_are_the_same(
    store: Repo, monkeypatch: pytest.MonkeyPatch, is_remembered: bool, fewest: int, large: int
) -> None:
    """Also where every package is remembered release by release, and shared by two processes, as otherwise only those
    of many releases are."""
    monkeypatch.setattr(release_facts, "FEWEST", fewest)
    monkeypatch.setattr(survey, "_LARGE", large)
    if not is_remembered:
        store.git("config", "ocuroot.cacheSize", "0")

    @settings(max_examples=12)
    @given(changes)
    def check(history: list[tuple[str, int, str, bool]]) -> None:
        stores = ocuroot_git.open(str(store.path))
        for package, number, what, is_there in history:
            with stores.transaction() as tx:
                tx.set(f"{package}/@{number}", {"commit": "abcdef1", "package": {"phases": []}})
                change(tx, package, number, what, is_there)
            again = ocuroot_git.open(str(store.path))
            assert answers(stores.snapshot()) == answers(again.snapshot()) == without(again, monkeypatch)

    check()
    file = store.path / ".git" / "ocuroot" / FILE
    assert file.exists() == is_remembered
    if is_remembered:
        checked = remembered.check(ocuroot_git.open(str(store.path)), Memory(str(file)), lambda done, total: None)
        assert (checked.wrong, checked.of_others) == ([], 0)
        assert checked.right > 50


def test_only_what_changed_is_read_again(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for package in PACKAGES[:2]:
            change(tx, package, 1, "custom", True)
            change(tx, package, 1, "release", True)
    before = answers(stores.snapshot())
    read: list[str] = []
    whole = summary.read_package

    def noted(trees: Any, package: str, *rest: Any, **options: Any) -> Any:
        read.append(package)
        return whole(trees, package, *rest, **options)

    monkeypatch.setattr(survey, "read_package", noted)
    assert answers(ocuroot_git.open(str(store.path)).snapshot()) == before
    assert not read
    stores.set("r/-/a/@1/custom/x", 2)
    answers(ocuroot_git.open(str(store.path)).snapshot())
    assert read == ["r/-/a"] * 2, "once for all that is asked, and once to count"


@pytest.mark.parametrize("fewest", [64, 0])
def test_documents_are_counted_where_their_number_is_asked_for(
    store: Repo, monkeypatch: pytest.MonkeyPatch, fewest: int
) -> None:
    """For other questions most of what has to be read for that is not; and what was read before is counted then."""
    monkeypatch.setattr(release_facts, "FEWEST", fewest)
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number in (1, 2):
            for what in ("release", "complete", "custom", "wanted custom"):
                change(tx, "r/-/a", number, what, True)
        change(tx, "r/-/b", 1, "pending", True)
        tx.set("@/environment/e", {})
        tx.set("+/environment/e", {})
    read: list[int] = []
    whole = TreeReader.count

    def noted(self: TreeReader, trees: Iterable[Any], file: str) -> int:
        read.append(whole(self, trees, file))
        return read[-1]

    monkeypatch.setattr(TreeReader, "count", noted)

    def ask(*, is_counting: bool) -> None:
        snapshot = ocuroot_git.open(str(store.path)).snapshot()
        if is_counting:
            assert survey.counts_of(snapshot, *trees_of(snapshot)) == counted(snapshot)
        else:
            assert [*survey.summary_of(snapshot).unsettled] == ["r/-/b"]

    ask(is_counting=False)
    assert not read
    ask(is_counting=True)
    assert read
    read.clear()
    for is_counting in (True, False):
        ask(is_counting=is_counting)
        assert not read, "it is known"
    stores.set("r/-/a/@2/custom/y", 1)
    ask(is_counting=False)
    assert not read
    ask(is_counting=True)
    assert sum(read) < 8 if fewest == 0 else read
    read.clear()
    ask(is_counting=True)
    assert not read
    store.ocuroot("cache", "--verify")


def test_of_many_releases_only_those_that_changed_are_read_again(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number in range(1, 34):
            for what in ("release", "complete", "custom", "wanted custom"):
                change(tx, "r/-/a", number, what, True)
    answers(stores.snapshot())
    read: list[str] = []
    whole = release_facts.ReleaseReader.read

    def noted(self: release_facts.ReleaseReader, head: str, release: Any) -> Any:
        read.append(head)
        return whole(self, head, release)

    monkeypatch.setattr(release_facts.ReleaseReader, "read", noted)
    stores.set("r/-/a/@7/custom/y", 2)
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    assert [one.ref for one in diff.differences(snapshot)] == ["r/-/a/+7/custom/y"]
    assert read == ["@7"]
    stores.set("r/-/a/+7/custom/y", 2)
    assert diff.differences(ocuroot_git.open(str(store.path)).snapshot()) == []
    assert read == ["@7", "+7"]
    store.ocuroot("cache", "--verify")


def test_two_processes_share_a_package_of_many_releases(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each release is read by one of them; what cannot be read ends neither, and is told of as otherwise."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number in range(1, 21):
            for what in ("release", "complete", "custom", "wanted custom"):
                change(tx, "r/-/a", number, what, True)
        change(tx, "r/-/a", 13, "failed", True)
        tx.set("r/-/a/+/custom/é;,", 1)
    file = store.path / ".git" / "ocuroot" / FILE
    read: Counter[str] = Counter()
    whole = release_facts.ReleaseReader.read

    def noted(self: release_facts.ReleaseReader, head: str, release: Any) -> Any:
        read[head] += 1
        return whole(self, head, release)

    def asked() -> dict[str, Any]:
        file.unlink(missing_ok=True)
        return answers(ocuroot_git.open(str(store.path)).snapshot())

    before = asked()
    monkeypatch.setattr(survey, "_LARGE", 20)
    assert asked() == before
    monkeypatch.setattr(release_facts.ReleaseReader, "read", noted)
    monkeypatch.setattr("ocuroot_git.store.forked_walk._may_fork", lambda: False)
    file.unlink()
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    assert survey.summary_of(snapshot).unsettled == {"r/-/a": [13]}
    assert len(read) == 41 and set(read.values()) == {1}
    monkeypatch.setattr(survey, "_LARGE", 1000)
    plant(store, "refs/r/-/a/@7/call", "40000", "build", "12" * 20)
    file.unlink()
    told = survey.summary_of(ocuroot_git.open(str(store.path)).snapshot()).unread
    monkeypatch.setattr(survey, "_LARGE", 20)
    file.unlink()
    assert survey.summary_of(ocuroot_git.open(str(store.path)).snapshot()).unread == told == ["r/-/a"]


@pytest.mark.parametrize("damage", [b"", b";", b"@1", b"@1 x", b"\xff;@1 y 1-- 1  ", b"@1 {oid} 111 x  ", b"{oid}"])
def test_releases_of_another_shape_are_read_again(store: Repo, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    monkeypatch.setattr(release_facts, "FEWEST", 0)
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        change(tx, "r/-/a", 1, "release", True)
        change(tx, "r/-/a", 1, "pending", True)
    tree = queries.state_tree(stores.snapshot())
    memory = Memory(str(store.path / ".git" / "ocuroot" / FILE))
    data = damage.replace(b"{oid}", tree.files.oid(tree.node("refs/r/-/a/@1")).encode())
    memory.put(release_facts.kind_of(tree.layout, "state"), {b"r/-/a".hex(): data})
    memory.close()
    again = ocuroot_git.open(str(store.path))
    assert answers(again.snapshot()) == without(again, monkeypatch)


def test_a_wrong_release_is_found_by_verifying(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_facts, "FEWEST", 0)
    stores = ocuroot_git.open(str(store.path))
    stores.set("r/-/a/@1", {"commit": "abcdef1", "package": {"phases": []}})
    answers(stores.snapshot())
    memory = Memory(str(store.path / ".git" / "ocuroot" / FILE))
    kind = release_facts.kind_of(queries.state_tree(stores.snapshot()).layout, "state")
    (data,) = memory.get(kind, [b"r/-/a".hex()]).values()
    assert data.startswith(b"@1 ")
    assert remembered.check(stores, memory, lambda done, total: None).wrong == []
    memory.put(kind, {b"r/-/a".hex(): data.replace(b" 1 ", b" 2 ")})
    assert remembered.check(stores, memory, lambda done, total: None).wrong == [(kind, b"r/-/a".hex())]
    memory.close()


@pytest.mark.parametrize("content", [b"no JSON", b'{"kind": "link", "body": "r/-/a/@2/custom/x"}'])
def test_the_same_custom_documents_are_not_read(store: Repo, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """One and the same directory on both sides: state follows, whatever is in it; beside intents for what is newest."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number in (1, 2):
            for what in ("release", "custom", "wanted custom"):
                change(tx, "r/-/a", number, what, True)
    oid = write_object(store, "blob", content)
    for marker in "@+":
        plant(store, f"refs/r/-/a/{marker}1/custom/x", "100644", "@object.json", oid)
    assert differing(store, monkeypatch) == []
    # The intent of the release counts, not that of what is newest, as where its document has to be read.
    stores.set("r/-/a/+/custom/x", 5)
    assert differing(store, monkeypatch) == []
    stores.set("r/-/a/+/custom/y", 5)
    assert differing(store, monkeypatch) == [("r/-/a/+/custom/y", "A")]
    stores.delete("r/-/a/+/custom/y")
    stores.set("r/-/a/@2/custom/y", 5)
    assert differing(store, monkeypatch) == [("r/-/a/+2/custom/y", "D")]


def test_only_releases_with_something_left_are_read(store: Repo) -> None:
    """What is wrong with another release of their package is for `release list` and `fsck` to say."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for number, what in ((1, "complete"), (2, "pending"), (3, "op")):
            change(tx, "r/-/a", number, "release", True)
            change(tx, "r/-/a", number, what, True)
    plant(store, "refs/r/-/a/@1", "100644", "@object.json", write_object(store, "blob", b"no JSON"))
    snapshot = ocuroot_git.open(str(store.path)).snapshot()
    assert list(survey.ops(snapshot)) == [("r/-/a/@3", "check_envs")]
    assert [(run.ref, status) for run, status in survey.unsettled_runs(snapshot)] == [
        ("r/-/a/@2/call/build/1", "pending")
    ]
    problems = Problems()
    release_list.releases_of(snapshot, [], problems)
    assert "r/-/a/@1" in [problem.ref for problem in problems]


@pytest.mark.parametrize("content", [b'{"kind": "link", "body": "r/-/a"}', b"no JSON", b'{"kind": "ref", "body": 1}'])
def test_releases_below_what_may_be_a_link(store: Repo, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        for package in PACKAGES:
            tx.set(f"{package}/@1", {"commit": "abcdef1", "package": definition([call("build")])})
            tx.link(f"{package}/@t", f"{package}/@1")
    listed = answers(stores.snapshot())["releases"]
    assert [line["ref"] for line in listed] == [f"{package}/@1" for package in PACKAGES]
    plant(store, "refs/r/-/b", "100644", "@object.json", write_object(store, "blob", content))
    again = ocuroot_git.open(str(store.path))
    assert answers(again.snapshot())["releases"] == without(again, monkeypatch)["releases"]
    assert (answers(again.snapshot())["releases"] == listed) == (b'"ref"' in content)


def differing(store: Repo, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What differs, and nothing that is bad with it, with and without what is remembered."""
    stores = ocuroot_git.open(str(store.path))
    found = [(one.ref, one.status) for one in diff.differences(stores.snapshot())]
    assert found == answers(stores.snapshot())["diff"] == without(stores, monkeypatch)["diff"]
    return found


def test_a_memory_that_is_of_no_use(store: Repo) -> None:
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        change(tx, "r/-/a", 1, "release", True)
        change(tx, "r/-/a", 1, "pending", True)
    before = answers(stores.snapshot())
    file = Path(store.path / ".git" / "ocuroot" / FILE)
    whole = file.read_bytes()
    flipped = [whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :] for place in range(0, len(whole), 997)]
    newer = whole.replace(survey.KIND.encode(), b"summary/0").replace(b"package/", b"puckage/")
    for damaged in (b"", b"foreign", whole[:5000], whole[: len(whole) // 2], newer, *flipped):
        file.write_bytes(damaged)
        assert answers(ocuroot_git.open(str(store.path)).snapshot()) == before
    store.git("config", "ocuroot.cacheSize", "many")
    done = store.run("work", "list")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        128,
        "fatal: bad value 'many' for 'ocuroot.cacheSize': it is a number of bytes, like 256m",
    )


def remember(store: Repo, data: bytes) -> None:
    """Remember something of the trees of all packages, whatever they hold."""
    stores = ocuroot_git.open(str(store.path))
    tree = queries.state_tree(stores.snapshot())
    ids = [tree.files.oid(tree.node(f"refs/{package}")) for package in queries.packages(tree)]
    memory = Memory(str(store.path / ".git" / "ocuroot" / FILE))
    memory.put(index.kind_of(tree.layout), dict.fromkeys(ids, data))
    memory.close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[[1]]",
        b'[[],["x"],[]]',
        b"[[],[1],[2]]",
        b"[1,2,3]",
        b"[[],[],[],[]]",
        b"[[],[]]",
    ],
)
def test_an_entry_of_another_shape_is_worked_out_again(store: Repo, data: bytes) -> None:
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        change(tx, "r/-/a", 1, "release", True)
        change(tx, "r/-/a", 1, "pending", True)
    before = answers(stores.snapshot())
    remember(store, data)
    assert answers(ocuroot_git.open(str(store.path)).snapshot()) == before


def test_fsck_asks_nothing_of_what_is_remembered(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input='set r/-/a/+/deploy/production "no intent"\nset r/-/a/@/deploy/x 1\n')
    before = store.run("fsck", "-q")
    assert before.stdout.count("\n") == 2, before.stdout
    remember(store, index.Facts((), (), frozenset()).to_bytes())
    assert store.run("fsck", "-q").stdout == before.stdout


def test_a_block_that_read_everything_is_not_written_over_others(store: Repo) -> None:
    stores = ocuroot_git.open(str(store.path))
    stores.set("@/custom/x", 1)
    with pytest.raises(Conflict), stores.transaction() as tx:
        tx.set("@/custom/seen", json.dumps(list(survey.ops(tx))))
        ocuroot_git.open(str(store.path)).set("@/custom/y", 1)


def test_a_transaction_sees_its_own_changes_beside_what_is_remembered(store: Repo) -> None:
    stores = ocuroot_git.open(str(store.path))
    stores.set("r/-/a/@1", {"commit": "c"})
    assert diff.differences(stores.snapshot()) == []
    with stores.transaction() as tx:
        tx.set("r/-/a/+1/custom/x", 1)
        assert [one.ref for one in diff.differences(tx)] == ["r/-/a/+1/custom/x"]


def test_after_a_run_only_its_package_is_read_again(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(store)
    paths = [f"p{number}" for number in range(10)]
    for path in paths:
        release(store, definition([call("build")], [call("test")]), path)
    read: Counter[str] = Counter()
    whole = summary.read_package

    def noted(trees: Any, name: str, *rest: Any, **options: Any) -> Any:
        read[name.rpartition("/")[2]] += 1
        return whole(trees, name, *rest, **options)

    monkeypatch.setattr(survey, "read_package", noted)
    monkeypatch.setattr("ocuroot_git.store.forked_walk._may_fork", lambda: False)
    with Signals() as stop:
        silent = Silent()
        options = ExecutionOptions(
            environ=dict(os.environ),
            directory=str(store.path),
            top=str(store.path),
            stop=stop,
            output=silent.output,
            warn=silent.note,
            command=None,
            with_description=False,
        )
        done = Worker(lambda: ocuroot_git.open(str(store.path)), options, silent, 1).run()
    assert [result.status for result in done.results] == ["complete"] * 20
    # Once before the first run; then once for each wave of runs, in which each package was changed.
    assert set(read) == set(paths)
    assert max(read.values()) <= 3
