"""A local branch shared by hand: `fetch`, `push` and `sync`, in full and CI clones; how changes come together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import Repo
from support.servers import silent_server


class Team:
    """A bare repository and clones of it with a store on the local branch `state`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.bare = Repo(top / "shared.git")
        self.bare.path.mkdir()
        self.bare.git("init", "-q", "--bare")
        first = self.clone("first")
        first.git("commit", "-q", "--allow-empty", "-m", "code")
        first.git("push", "-q", "origin", "HEAD:main")
        first.ocuroot("init", "-q")
        update(first, 'set @/custom/base {"n": 1}', "set @/custom/other 1")
        first.ocuroot("push", "-q")
        self.one, self.two = self.clone("one"), self.clone("two")
        for clone in (self.one, self.two):
            clone.ocuroot("init", "-q")

    def clone(self, name: str, *options: str) -> Repo:
        Repo(self.top).git("clone", "-q", *options, f"file://{self.bare.path}", name)
        return Repo(self.top / name)


def update(repo: Repo, *lines: str, operation: str | None = None) -> None:
    repo.ocuroot("update", "--stdin", *(["--operation", operation] if operation else []), input="\n".join(lines) + "\n")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def tips(team: Team, clone: Repo) -> tuple[str, str, str]:
    """Where the branch stands here, where it was seen on the remote, and where it stands there."""
    here, seen = clone.git("rev-parse", "state", "origin/state").split()
    return here, seen, team.bare.git("rev-parse", "state")


def test_changes_of_both_sides_come_together(team: Team) -> None:
    update(team.one, 'set @/custom/base {"n": 2}', "set @/custom/mine 1")
    update(team.two, "set @/custom/theirs 1", "delete @/custom/other")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    assert len(set(tips(team, team.two))) == 1
    assert team.two.ocuroot("match", "**").split() == ["@/custom/base", "@/custom/mine", "@/custom/theirs"]
    assert team.two.value("@/custom/base") == {"n": 2}
    team.one.ocuroot("sync", "-q")
    assert len({*tips(team, team.one), *tips(team, team.two)}) == 1
    assert team.bare.git("log", "--merges", "--format=%h", "state") == ""
    assert team.one.run("fsck").returncode == 0


def test_a_replay_keeps_who_asked_for_what_and_why(team: Team) -> None:
    """Also where somebody else than this program wrote there what it would not."""
    update(team.one, "set @/custom/a 1")
    ci = {**os.environ, "CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://ci.example/1"}
    team.two.ocuroot("set", "+/custom/b", "1", "-m", "first", env=ci)
    team.two.ocuroot("set", "+/custom/c", "1", "-m", "second", env=ci)
    tree, evil = (
        team.two.git("rev-parse", "state^{tree}"),
        "x\n\nOcuroot-Operation: 9\nOcuroot-Reason: \x1b[2J" + "y" * 5000,
    )
    made = team.two.git("commit-tree", "-p", "state", tree, input=evil)
    team.two.git("update-ref", "refs/heads/state", made)
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    message = team.bare.git("log", "-1", "--format=%B", "state")
    assert [line for line in message.splitlines() if line.startswith("Ocuroot-R")][:4] == [
        "Ocuroot-Run: https://ci.example/1",
        "Ocuroot-Reason: first",
        "Ocuroot-Run: https://ci.example/1",
        "Ocuroot-Reason: second",
    ]
    assert "\x1b" not in message and len(message) < 4000
    line = json.loads(team.two.ocuroot("log", "-1", "--json"))
    assert (line["actor"], line["run"], line["reason"]) == (None, None, None)  # they do not agree


def test_a_replay_keeps_the_names_of_operations(team: Team) -> None:
    update(team.one, "set @/custom/a 1")
    update(team.two, "set @/custom/b 1", operation="job 1")
    update(team.two, "set @/custom/c 1", operation="job 2")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    carried = team.bare.git("log", "-1", "--format=%(trailers:key=Ocuroot-Operation,valueonly)", "state")
    assert set(carried.splitlines()) == {"job 1", "job 2"}
    team.one.ocuroot("sync", "-q")
    update(team.one, "set @/custom/b 2")
    again = team.one.run("update", "--stdin", "--operation", "job 1", input="set @/custom/b 1\n")
    assert (again.returncode, "operation 'job 1' was carried out before" in again.stderr) == (0, True)
    assert team.one.value("@/custom/b") == 2


def test_a_conflict_names_both_sides_and_moves_nothing(team: Team) -> None:
    update(team.one, 'set @/custom/base {"n": 2}')
    update(team.two, 'set @/custom/base {"n": 3}', "delete @/custom/other")
    update(team.one, "set @/custom/other 2")
    team.one.ocuroot("push", "-q")
    before = team.two.git("for-each-ref", "refs/heads"), team.bare.git("for-each-ref")
    for command in ("push", "sync"):
        done = team.two.run(command)
        assert done.returncode == 3
        assert """'@/custom/base' is {"n": 3} here and {"n": 2} on 'origin'""" in done.stderr
        assert "'@/custom/other' is deleted here and 2 on 'origin'" in done.stderr
        assert "--ours" in done.stderr
    assert (team.two.git("for-each-ref", "refs/heads"), team.bare.git("for-each-ref")) == before
    assert team.two.run("push", "--ours", "--theirs").returncode == 129
    team.two.ocuroot("push", "-q", "--ours")
    assert team.two.ocuroot("match", "**") == "@/custom/base"
    assert team.two.value("@/custom/base") == {"n": 3}


@pytest.mark.parametrize("places", ["directories", "branches"])
def test_conflicts_and_replays_name_refs_as_they_are_shown(
    team: Team, make_repo: Callable[..., Repo], places: str
) -> None:
    """In the dialects of late Ocuroot, intents are stored as state is: what people are told is what they type."""
    bare = make_repo("late.git", "--bare")
    clones = [make_repo("a"), make_repo("b")]
    for clone in clones:
        clone.git("remote", "add", "origin", f"file://{bare.path}")
        separate = ["--intent-branch", "wanted"] if places == "branches" else []
        clone.ocuroot("init", "-q", "--dialect", "3", *separate)
        if clone is clones[0]:
            clone.ocuroot("set", "-q", "+/custom/gate", "shut")
            clone.ocuroot("push", "-q")
    one, two = clones
    one.ocuroot("sync", "-q")
    for clone, value in ((one, "open"), (two, "locked")):
        clone.ocuroot("set", "-q", "+/custom/gate", value)
        clone.ocuroot("set", "-q", f"+/custom/{value}", value)
    one.ocuroot("push", "-q")
    done = two.run("sync", "-q")
    assert (done.returncode, done.stderr.split("\n")[0]) == (
        3,
        """fatal: changed on both sides: '+/custom/gate' is "locked" here and "open" on 'origin'""",
    )
    two.ocuroot("sync", "-q", "--ours")
    message = bare.git("log", "-1", "--format=%B", "wanted" if places == "branches" else "state")
    assert message.splitlines()[2:4] == ["+/custom/gate", "+/custom/locked"]


def test_theirs_wins_where_it_is_told_to(team: Team) -> None:
    update(team.one, 'set @/custom/base {"n": 2}')
    update(team.two, 'set @/custom/base {"n": 3}', "set @/custom/mine 1")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("sync", "-q", "--theirs")
    assert team.two.value("@/custom/base") == {"n": 2}
    assert team.two.value("@/custom/mine") == 1


def test_the_same_change_on_both_sides_is_no_conflict(team: Team) -> None:
    for clone in (team.one, team.two):
        update(clone, 'set @/custom/base {"n": 9}')
        clone.ocuroot("push", "-q")
    assert len(set(tips(team, team.two))) == 1


def test_links_and_lists_of_links_merge_as_sets(team: Team) -> None:
    update(team.one, "link @/custom/l1 @/custom/base", "link @/custom/gone @/custom/other")
    update(team.two, "link @/custom/l2 @/custom/base", "delete @/custom/other")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    stored = json.loads(team.bare.git("show", "state:refs/@/custom/base/@object.json"))
    assert stored["links"] == ["@/custom/l1", "@/custom/l2"]
    # What one side deleted takes along the link that the other made to it.
    assert team.two.ocuroot("match", "**").split() == ["@/custom/base", "@/custom/l1", "@/custom/l2"]
    done = team.two.run("fsck")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_link_made_here_to_what_was_deleted_there_goes_too(team: Team) -> None:
    update(team.one, "delete @/custom/other")
    update(team.two, "link @/custom/l @/custom/other", "link @/custom/k @/custom/l")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    assert team.two.ocuroot("match", "**") == "@/custom/base"
    assert team.two.run("fsck").stdout == ""


def test_links_pointed_anew_on_one_side(team: Team) -> None:
    update(team.one, "link @/custom/l @/custom/base")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("sync", "-q")
    update(team.one, "link @/custom/l @/custom/other")
    update(team.two, "link @/custom/m @/custom/base")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("push", "-q")
    assert team.two.ocuroot("resolve", "@/custom/l", "@/custom/m").split() == ["@/custom/other", "@/custom/base"]
    assert team.two.run("fsck").stdout == ""
    update(team.one, "depend @/custom/base @/custom/other")
    team.one.ocuroot("sync", "-q")


def test_a_ci_clone_works_and_stays_as_it_was(team: Team) -> None:
    clone = team.clone("ci", "--depth=1", "--single-branch", "--branch=main")
    clone.git("checkout", "-q", "--detach")
    for key in ("name", "email"):
        clone.git("config", f"user.{key}", "")
    before = clone.git("status", "--porcelain=v2", "--branch"), (clone.path / ".git" / "config").read_text()
    clone.ocuroot("fetch", "-q")
    assert clone.value("@/custom/base") == {"n": 1}
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    update(clone, "set @/custom/y 1")
    clone.ocuroot("push", "-q")
    assert clone.ocuroot("match", "@/custom/?").split() == ["@/custom/x", "@/custom/y"]
    assert len(set(tips(team, clone))) == 1
    # The history between is there: only the unknown branch was fetched with a depth.
    assert len(clone.git("rev-list", "state").split()) == 3
    assert (clone.git("status", "--porcelain=v2", "--branch"), (clone.path / ".git" / "config").read_text()) == before
    assert clone.git("rev-parse", "--is-shallow-repository") == "true"
    clone.git("fetch", "-q")


def test_a_full_clone_stays_full(team: Team) -> None:
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("sync", "-q")
    assert team.two.git("rev-parse", "--is-shallow-repository") == "false"
    assert not (team.two.path / ".git" / "FETCH_HEAD").exists()
    assert team.two.git("fsck", "--no-dangling") == ""


def test_status_says_how_the_branch_stands(team: Team) -> None:
    def standing() -> dict[str, object]:
        found = json.loads(team.two.ocuroot("status", "--json"))["state"]["sharing"]
        return {key: found.get(key) for key in ("ahead", "behind", "diverged")}

    assert standing() == {"ahead": 0, "behind": 0, "diverged": False}
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    team.two.git("fetch", "-q")
    assert standing() == {"ahead": 0, "behind": 1, "diverged": False}
    update(team.two, "set @/custom/y 1")
    assert standing() == {"ahead": 1, "behind": 1, "diverged": True}
    assert "diverged: 1 ahead, 1 behind" in team.two.ocuroot("status")
    assert "diverged" in team.two.run("fetch").stderr
    assert json.loads(team.two.ocuroot("status", "--json"))["state"]["sharing"]["last_contact"].endswith("Z")


def test_rewritten_and_deleted_branches_are_not_followed(team: Team) -> None:
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    team.two.ocuroot("sync", "-q")
    team.bare.git("update-ref", "refs/heads/state", "state~1")
    update(team.two, "set @/custom/y 1")
    here = team.two.git("rev-parse", "state")
    for command in ("fetch", "sync"):
        done = team.two.run(command)
        assert done.returncode == 128
        assert "was rewritten" in done.stderr
    # Not either where plain git has followed already: the reflog knows what our branch is built on.
    other = team.bare.git("commit-tree", "-p", "state", "-m", "other", "state^{tree}")
    team.bare.git("update-ref", "refs/heads/state", other)
    team.two.git("fetch", "-q")
    done = team.two.run("sync")
    assert (done.returncode, "was rewritten" in done.stderr) == (128, True)
    team.bare.git("update-ref", "-d", "refs/heads/state")
    done = team.two.run("sync")
    assert (done.returncode, "is gone" in done.stderr) == (128, True)
    assert team.two.git("rev-parse", "state") == here


def test_a_push_with_nothing_new_asks_the_remote(team: Team) -> None:
    """What stood at the last contact is no answer: the remote may have lost it since, or may be gone."""
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    assert team.one.run("push").stderr == "branch 'state': up to date with 'origin'\n"
    team.two.ocuroot("sync", "-q")
    update(team.two, "set @/custom/y 1")
    team.two.ocuroot("push", "-q")
    assert team.one.run("push").stderr == "branch 'state': 1 new from 'origin'\n"
    team.bare.git("update-ref", "refs/heads/state", "state~1")
    done = team.one.run("push")
    assert (done.returncode, "was rewritten" in done.stderr) == (128, True)
    team.bare.git("update-ref", "-d", "refs/heads/state")
    done = team.one.run("push")
    assert (done.returncode, "is gone" in done.stderr) == (128, True)
    team.bare.path.rename(team.bare.path.with_name("elsewhere"))
    done = team.one.run("push")
    assert (done.returncode, "there is no repository at" in done.stderr) == (128, True)


def test_unrelated_histories_and_other_versions(team: Team, make_repo: Callable[..., Repo]) -> None:
    lone = make_repo("lone")
    lone.git("remote", "add", "origin", str(team.bare.path))
    root = lone.git("hash-object", "-w", "--stdin", input='{"version": 1}\n')
    tree = lone.git("mktree", input=f"100644 blob {root}\t.ocuroot-store\n")
    lone.git("update-ref", "refs/heads/state", lone.git("commit-tree", "-m", "another", tree))
    done = lone.run("sync")
    assert (done.returncode, "unrelated histories" in done.stderr) == (128, True)
    team.two.git("fetch", "-q", "origin", "state")
    blob = team.bare.git("hash-object", "-w", "--stdin", input='{"version": 3}\n')
    newer = team.bare.git("mktree", input=f"100644 blob {blob}\t.ocuroot-store\n")
    team.bare.git("update-ref", "refs/heads/state", team.bare.git("commit-tree", "-p", "state", "-m", "v3", newer))
    done = team.two.run("sync")
    assert (done.returncode, "of version 3, and the one here of version 1" in done.stderr) == (128, True)


def test_two_who_create_the_store_at_once_agree(team: Team, make_repo: Callable[..., Repo]) -> None:
    empty = make_repo("empty.git", "--bare")
    clones = [make_repo(name) for name in ("three", "four")]
    for number, clone in enumerate(clones):
        clone.git("remote", "add", "origin", str(empty.path))
        clone.ocuroot("init", "-q")
        update(clone, f"set @/custom/n{number} 1")
        clone.ocuroot("push", "-q")
    assert clones[1].ocuroot("match", "**").split() == ["@/custom/n0", "@/custom/n1"]


def test_remotes_that_are_none(team: Team, make_repo: Callable[..., Repo]) -> None:
    for bad in ("nowhere", "a b", "file:///tmp/x"):
        done = team.one.run("sync", bad)
        assert (done.returncode, "no such remote" in done.stderr) == (128, True)
    assert team.one.run("sync", "-x").returncode == 129
    assert team.one.run("sync", "--", "-x").returncode == 128
    lone = make_repo("lone")
    lone.ocuroot("init", "-q")
    done = lone.run("push")
    assert (done.returncode, "no remote to share with" in done.stderr) == (128, True)
    lone.git("remote", "add", "origin", str(team.top / "gone.git"))
    done = lone.run("push")
    assert (done.returncode, "there is no repository at 'origin'" in done.stderr) == (128, True)


def test_a_push_refused_by_policy_moves_nothing(team: Team) -> None:
    update(team.one, "set @/custom/x 1")
    team.one.ocuroot("push", "-q")
    update(team.two, "set @/custom/y 1")
    hook = team.bare.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    here = team.two.git("rev-parse", "state")
    done = team.two.run("push")
    assert (done.returncode, "its own rules" in done.stderr) == (128, True)
    assert team.two.git("rev-parse", "state") == here
    hook.unlink()
    team.two.ocuroot("push", "-q")
    assert len(set(tips(team, team.two))) == 1


# Clones as CI makes them


def checkout(team: Team, name: str, *fetch: str) -> Repo:
    """A clone as `actions/checkout` makes it: one commit fetched by its id, a detached HEAD, no branch."""
    path = team.top / name
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    made.git("remote", "add", "origin", f"file://{team.bare.path}")
    head = team.bare.git("rev-parse", "main")
    made.git("fetch", "-q", "--no-tags", "--depth=1", "origin", f"+{head}:refs/remotes/origin/main")
    made.git("checkout", "-q", "--detach", "refs/remotes/origin/main")
    return made


def ci_clones(team: Team) -> list[Repo]:
    return [
        team.clone("single", "--depth=1", "--single-branch", "--branch=main"),
        team.clone("shallow", "--depth=1", "--no-single-branch", "--branch=main"),
        checkout(team, "checkout"),
    ]


def test_init_in_a_ci_clone_takes_the_store_that_the_remote_has(team: Team) -> None:
    for clone in ci_clones(team):
        before = (clone.path / ".git" / "config").read_text()
        said = clone.run("get", "@/custom/base")
        assert said.returncode == 128
        assert "'git ocuroot fetch' takes" in said.stderr or "takes it from 'origin/state'" in said.stderr
        done = clone.run("init")
        assert (done.returncode, done.stderr) == (0, "Took the store of 'origin/state' as branch 'state'\n")
        assert clone.value("@/custom/base") == {"n": 1}
        update(clone, f"set @/custom/{clone.path.name} 1")
        clone.ocuroot("sync", "-q")
        assert len(set(tips(team, clone))) == 1
        clone.git("config", "--unset", "ocuroot.state.branch")
        assert (clone.path / ".git" / "config").read_text().startswith(before)
        assert clone.git("rev-parse", "--is-shallow-repository") == "true"
    assert team.bare.git("log", "--merges", "--format=%h", "state") == ""


def test_an_empty_store_made_beside_that_of_the_remote_is_mended_by_sync(team: Team) -> None:
    for number in range(6):
        update(team.one, f"set @/custom/base {number}")
    team.one.ocuroot("push", "-q")
    for clone in ci_clones(team)[:2]:
        clone.git("update-ref", "-d", "refs/remotes/origin/state")
        clone.ocuroot("init", "-q", "--offline")
        clone.ocuroot("sync", "-q")
        assert clone.value("@/custom/base") == 5
        assert len(set(tips(team, clone))) == 1
    # Also where something was written to it, and with `fetch`, which says how the two stand.
    clone = team.clone("third", "--depth=1", "--single-branch", "--branch=main")
    clone.ocuroot("init", "-q", "--offline")
    update(clone, "set @/custom/mine 1")
    assert "1 ahead and 7 behind" in clone.run("fetch").stderr
    clone.ocuroot("sync", "-q")
    assert clone.ocuroot("match", "**").split() == ["@/custom/base", "@/custom/mine", "@/custom/other"]
    assert len(set(tips(team, clone))) == 1
    assert len(clone.git("rev-list", "main").split()) == 1, "the code was deepened too"


def test_a_tracking_branch_that_was_cut_short_again(team: Team) -> None:
    clone = team.clone("ci", "--depth=1", "--single-branch", "--branch=main")
    clone.ocuroot("fetch", "-q")
    update(clone, "set @/custom/mine 1")
    for number in range(5):
        update(team.one, f"set @/custom/base {number}")
    team.one.ocuroot("push", "-q")
    clone.git("fetch", "-q", "--depth=1", "origin", "+state:refs/remotes/origin/state")
    clone.ocuroot("sync", "-q")
    assert clone.value("@/custom/base") == 4
    assert clone.value("@/custom/mine") == 1
    assert len(set(tips(team, clone))) == 1


def test_no_store_is_made_where_it_is_not_known_what_the_remote_has(team: Team, make_repo: Callable[..., Repo]) -> None:
    lone = make_repo("lone")
    lone.git("remote", "add", "origin", str(team.top / "gone.git"))
    (team.top / "exported").mkdir()
    team.one.ocuroot("export", "-q", str(team.top / "exported" / "store"))
    for arguments in (("init",), ("import", str(team.top / "exported" / "store"))):
        done = lone.run(*arguments)
        assert done.returncode == 128
        assert "whether 'origin' has a store is not known: there is no repository at 'origin'" in done.stderr
        assert "--offline" in done.stderr
        assert lone.git("for-each-ref") == ""
    lone.git("remote", "set-url", "origin", str(team.bare.path))
    done = lone.run("import", str(team.top / "exported" / "store"))
    assert (done.returncode, "exists already, as 'origin/state'" in done.stderr) == (128, True)
    assert lone.git("for-each-ref", "refs/heads") == ""
    lone.git("update-ref", "-d", "refs/remotes/origin/state")
    lone.git("remote", "set-url", "origin", str(team.top / "gone.git"))
    lone.ocuroot("init", "-q", "--offline")
    assert lone.ocuroot("match", "**") == ""


def test_init_with_several_remotes_asks_all(team: Team, make_repo: Callable[..., Repo]) -> None:
    empty, lone = make_repo("empty.git", "--bare"), make_repo("lone")
    lone.git("remote", "add", "a", str(empty.path))
    lone.git("remote", "add", "b", str(team.bare.path))
    assert lone.run("init").stderr == "Took the store of 'b/state' as branch 'state'\n"
    assert lone.value("@/custom/base") == {"n": 1}


def test_init_refuses_a_branch_of_the_remote_that_is_no_store(team: Team, make_repo: Callable[..., Repo]) -> None:
    other, lone = make_repo("other.git", "--bare"), make_repo("lone")
    team.one.git("push", "-q", str(other.path), "HEAD:state")
    lone.git("remote", "add", "origin", str(other.path))
    for command in ("init", "fetch"):
        done = lone.run(command)
        assert (done.returncode, "is no store" in done.stderr) == (128, True)
        assert lone.git("for-each-ref", "refs/heads") == ""


def test_a_push_that_is_given_up_says_what_kept_it(team: Team) -> None:
    team.two.git("config", "ocuroot.timeout", "1")
    update(team.two, "set @/custom/mine 1")
    lock = team.bare.path / "refs" / "heads" / "state.lock"
    lock.touch()
    done = team.two.run("push", "-v")
    assert done.returncode == 3
    assert "fatal: another process holds a lock that is needed for 'origin': " in done.stderr
    assert "lost the race" not in done.stderr
    assert "trying again: another process holds a lock" in done.stderr
    lock.unlink()
    with silent_server() as port:
        team.two.git("remote", "set-url", "--push", "origin", f"git://127.0.0.1:{port}/shared.git")
        done = team.two.run("push")
        assert done.returncode == 128
        assert "whether the push arrived is not known: 'origin' does not answer" in done.stderr
