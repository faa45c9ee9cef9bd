"""The stream of changes tells what a naive replay of the history tells, whoever merged, rewrote or damaged what."""

from __future__ import annotations

import json
import random
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from support.original_stores import v3_branches, v3_combined
from support.repositories import Repo
from support.watching import ZEROS, Events, brief, replay, same_as

import ocuroot_git
from ocuroot_git.errors import Fatal, NotFound
from ocuroot_git.git.objects import Oid
from ocuroot_git.store.change_stream import ChangeStream, Rewritten

REFS = ["+/custom/a", "+/custom/a-b", "@/custom/b", "x.org/r/-/p/@1", "x.org/r/-/p/@1/custom/c", "x.org/r/-/p/@10"]
HEAD = 'M 100644 inline .ocuroot-store\ndata 15\n{"version": 1}\n\n'


def stream_of(repo: Repo, warnings: list[str] | None = None) -> ChangeStream:
    warn = (lambda text: None) if warnings is None else warnings.append
    return ChangeStream(ocuroot_git.open(str(repo.path)), warn=warn)


def told(stream: ChangeStream) -> Events:
    found = []
    for commit in stream.pending():
        found += [change.to_document() for change in commit.changes()]
        stream.passed(commit)
    return found


def after(repo: Repo, *since: str) -> Events:
    stream = stream_of(repo)
    stream.begin(since or [ZEROS])
    return told(stream)


def write(repo: Repo, *commits: str) -> None:
    """Commits in the language of git-fast-import(1), without their heads: each may begin with `from` and `merge`."""
    stream = ""
    for number, rest in enumerate(commits):
        stream += f"commit refs/heads/state\nmark :{number + 1}\n"
        stream += f"committer T <t@example.com> {1767225600 + number % 7} +0100\ndata 1\nx\n{rest}\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream.encode(), check=True)


def document(ref: str, value: object, *, kind: str = "ref", **others: object) -> str:
    text = json.dumps({"kind": kind, **others, "body": value})
    return f"M 100644 inline refs/{ref}/@object.json\ndata {len(text)}\n{text}\n"


@pytest.fixture
def merged(repo: Repo) -> Repo:
    """Sixty commits that set, delete, link and unlink a few refs; some merge an older one."""
    rng = random.Random(12)
    commits = []
    for number in range(60):
        rest = HEAD if not number else ""
        if number % 10 == 5:
            rest += f"from :{number}\nmerge :{number - 3}\n"
        for ref in rng.sample(REFS, rng.randrange(3)):
            kind = rng.choice(["gone", "ref", "ref", "link"])
            if kind == "gone":
                rest += f"D refs/{ref}/@object.json\n"
            else:
                body = rng.randrange(3) if kind == "ref" else rng.choice(REFS)
                rest += document(ref, body, kind=kind, links=rng.sample(REFS, rng.randrange(2)))
        commits.append(rest)
    write(repo, *commits)
    return repo


def test_it_tells_what_a_replay_tells(merged: Repo) -> None:
    expected = replay(merged)
    assert {event["change"] for event in expected} == {"created", "updated", "deleted", "linked", "unlinked"}
    found = after(merged)
    same_as(found, expected)
    assert [event["id"] for event in found] == [f"{event['commit']}:{event['ref']}" for event in found]
    assert len({event["id"] for event in found}) == len(found)


def test_from_each_commit_the_rest_is_told_alike(merged: Repo) -> None:
    whole = after(merged)
    commits = merged.git("rev-list", "--first-parent", "--reverse", "state").split()
    for number in range(0, len(commits), 4):
        rest = after(merged, commits[number])
        assert rest == [event for event in whole if event["commit"] in commits[number + 1 :]]


def test_the_way_leads_over_a_merge_that_took_ours_for_the_second_parent(repo: Repo) -> None:
    """As `git merge state` on another's branch makes it: who stands on ours is told what the merge brought to it."""
    base = HEAD + document("@/custom/base", 0)
    write(
        repo,
        base,
        f"from :1\n{document('@/custom/ours', 1)}",
        f"from :1\n{document('@/custom/theirs', 1)}",
        f"from :3\nmerge :2\n{document('@/custom/ours', 1)}",
        f"from :4\n{document('@/custom/late', 1)}",
    )
    ours = repo.oid("state~1^2")
    assert brief(after(repo, ours)) == [("created", "@/custom/theirs"), ("created", "@/custom/late")]
    first = ("created", "@/custom/base")
    rest = [("created", f"@/custom/{name}") for name in ("theirs", "ours", "late")]
    assert brief(after(repo)) == [first, *rest]


def test_what_only_changes_how_it_is_written_is_no_change(repo: Repo) -> None:
    ref = "@/custom/a"
    write(
        repo,
        HEAD + document(ref, {"a": 1.50, "b": [1]}),
        document(ref, {"b": [1], "a": 1.50}, body_type="x", links=["@/custom/b"]) + document("README.md/x", 1),
        document(ref, {"b": [1], "a": 1.5}) + document(ref, None),
        document(ref, None, kind="ref", links=[]),
    )
    assert [(event["change"], event["old"], event["new"]) for event in after(repo)][-1:] == [
        ("updated", {"a": 1.5, "b": [1]}, None)
    ]
    assert len(after(repo)) == 3  # with that of README.md/x, which is a ref like others


def test_damage_is_told_as_null_and_said(repo: Repo) -> None:
    broken = 'M 100644 inline refs/@/custom/a/@object.json\ndata 6\n{"kind\n'
    store = "M 100644 inline .ocuroot-store\ndata 1\n{\n"
    write(
        repo,
        HEAD + document("@/custom/a", 1) + document("@/custom/b", 1),
        broken + document("@/custom/b", 2),
        store + document("@/custom/b", 3),
        document("@/custom/b", 4),
        HEAD + document("@/custom/a", 5),
    )
    warnings: list[str] = []
    stream = stream_of(repo, warnings)
    stream.begin([ZEROS])
    found = [(event["ref"][-1], event["change"], event["old"], event["new"]) for event in told(stream)]
    assert found == [
        ("a", "created", None, 1),
        ("b", "created", None, 1),
        ("a", "updated", 1, None),
        ("b", "updated", 1, 2),
        ("b", "updated", 2, 3),
        ("b", "updated", 3, 4),
        ("a", "updated", None, 5),
    ]
    (warning,) = warnings
    assert "'@/custom/a' in commit" in warning and "damaged store: 'refs/@/custom/a/@object.json'" in warning


def test_a_store_that_is_damaged_now_is_no_store(repo: Repo) -> None:
    write(repo, HEAD + document("@/custom/a", 1), 'M 100644 inline .ocuroot-store\ndata 13\n{"version":9}\n')
    with pytest.raises(Fatal, match="version 9"):
        after(repo)


def test_what_came_before_the_store_in_its_branch(repo: Repo) -> None:
    write(repo, "M 100644 inline README.md\ndata 1\nx\n", HEAD + document("@/custom/a", 1))
    assert brief(after(repo)) == [("created", "@/custom/a")]


@pytest.mark.parametrize("how", ["rewritten", "reset", "unrelated", "gone"])
def test_rewritten_history_is_never_followed(merged: Repo, how: str) -> None:
    known = merged.oid("state")
    stream = stream_of(merged)
    stream.begin([known])
    base: str = merged.oid("state~20")
    if how == "rewritten":
        merged.git("branch", "-f", "state", base)
        merged.ocuroot("set", "+/custom/other", "1")
    elif how == "reset":
        merged.git("branch", "-f", "state", base)
    elif how == "unrelated":
        merged.git("branch", "-D", "state")
        merged.ocuroot("init", "-q")
        base = merged.oid("state")
    else:
        merged.git("branch", "-D", "state")
        base = ZEROS
    with pytest.raises(Rewritten, match=known[:12]) as caught:
        list(stream.pending())
    assert (caught.value.known, caught.value.go_on) == (known, base)
    assert stream.positions == {"state": known}


def test_a_clone_that_got_the_rest_of_its_history(merged: Repo, tmp_path: Path) -> None:
    known = merged.oid("state~10")
    merged.git("clone", "-q", "--bare", "--depth=3", "-b", "state", f"file://{merged.path}", str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow")
    stream = stream_of(shallow)
    stream.begin((), {"state": known})
    for since in (known, Oid(ZEROS)):
        stream.positions["state"] = since
        with pytest.raises(Fatal, match="does not reach back") as caught:
            told(stream)
        assert "git fetch --unshallow" in str(caught.value.hint)
    with pytest.raises(NotFound):
        stream_of(shallow).begin([known])
    shallow.git("fetch", "-q", "--unshallow", "origin", "state")
    stream.positions["state"] = known
    same_as(told(stream), replay(merged, since=known))


def test_branches_and_commits_that_are_none(store: Repo) -> None:
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    with pytest.raises(NotFound, match="bad revision 'nowhere'"):
        stream_of(store).begin(["nowhere"])
    with pytest.raises(Fatal, match="'main' is no commit of branch 'state'"):
        stream_of(store).begin(["main"])
    with pytest.raises(Fatal, match="has no history"):
        ChangeStream(ocuroot_git.open(str(store.path), environ={"OCUROOT_STATE": str(store.path)}))


def test_state_and_intent_in_two_branches(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--intent-branch", "wanted")
    stream = stream_of(repo)
    stream.begin()
    assert set(stream.positions) == {"state", "intent"}
    repo.ocuroot("set", "+/custom/x", "1")
    repo.ocuroot("update", "--stdin", input="set @/custom/x 1\n")
    repo.ocuroot("set", "+/custom/x", "2")
    found = told(stream)
    assert sorted(brief(found)) == [("created", "+/custom/x"), ("created", "@/custom/x"), ("updated", "+/custom/x")]
    assert stream.positions == {"state": repo.oid("state"), "intent": repo.oid("wanted")}
    # Each since-commit is one of the branch that has it; the other begins where it stands.
    stream = stream_of(repo)
    stream.begin(["wanted~1"])
    assert [event["new"] for event in told(stream)] == ["2"]
    # A copy of the one branch in the other: each tells the refs of its own store.
    repo.git("branch", "-f", "state", "wanted")
    assert brief(after(repo)) == [("created", "+/custom/x"), ("updated", "+/custom/x")]


def test_of_two_branches_the_rest_is_told_alike_from_wherever_one_goes_on(repo: Repo) -> None:
    """Also of what was committed in the same second, as all of this store was."""
    v3_branches(repo)

    def order(known: Any = None) -> list[tuple[Oid, Any]]:
        stream = stream_of(repo)
        stream.begin([ZEROS], known)
        found = []
        for commit in stream.pending():
            stream.passed(commit)
            found.append((commit.commit.oid, dict(stream.positions)))
        return found

    whole = order()
    assert len(whole) > 20
    for number in range(0, len(whole), 5):
        assert order(whole[number][1]) == whole[number + 1 :]


@pytest.mark.parametrize("make", [v3_branches, v3_combined])
def test_stores_of_the_original(repo: Repo, make: object) -> None:
    assert callable(make)
    make(repo)
    found = after(repo)
    state = {str(event["ref"]) for event in found}
    assert state >= set(repo.ocuroot("match", "**").splitlines())
    assert any("/@r1/task/" in ref for ref in state) and any("+/" in ref for ref in state)
    assert len({event["id"] for event in found}) == len(found)
    now = {event["ref"]: event["new"] for event in found}
    wanted = [ref for ref in state if "/+/" in ref and now[ref] is not None]
    assert wanted and all(now[ref] == repo.value(ref) for ref in wanted)


def test_a_large_commit_is_read_as_it_is_told(repo: Repo) -> None:
    """Memory stays far below what all of its documents take."""
    filler = "x" * 2000
    many = "".join(document(f"p{number % 50}/-/x/@{number}", f"{number}{filler}") for number in range(5000))
    write(repo, HEAD, many)
    stream = stream_of(repo)
    stream.begin([ZEROS])
    tracemalloc.start()
    try:
        count = sum(1 for commit in stream.pending() for _ in commit.changes())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5000
    assert peak < 3_000_000
