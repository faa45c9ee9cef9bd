"""`git ocuroot deployments` (design 12)."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.delivering import copy_of, deploy, package, prepare, release, with_store, work_any
from support.original_stores import v3_branches
from support.repositories import Repo
from support.terminals import on_terminal

KEYS = [
    *("package", "environment", "release", "tags", "commit", "since", "status", "run_ref", "actor", "run", "reason"),
    *("past_gates", "hold"),
]
CI = {
    "CIRCLECI": "true",
    "CIRCLE_USERNAME": "ann",
    "CIRCLE_BUILD_URL": "https://ci.example/1",
}


def listed(repo: Repo, *arguments: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in repo.ocuroot("deployments", "--json", *arguments).splitlines()]
    assert all(list(line) == KEYS for line in lines)
    return lines


def told(repo: Repo, *arguments: str) -> list[tuple[str, str, str | None]]:
    """Environment, status and release of what is listed."""
    return [(line["environment"], line["status"], line["release"]) for line in listed(repo, *arguments)]


@pytest.fixture(params=["1", "3"], scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A release that is in staging and production, by ann, and one that came to staging and failed in production."""
    repo = with_store(tmp_path_factory.mktemp("made"), request.param)
    prepare(repo, "staging", "production")
    release(repo, package([deploy("staging")], [deploy("production")]), "web", "--tag=v1")
    repo.ocuroot("work", "any", "-q", "-m", "the first", env={**os.environ, **CI})
    repo.git("commit", "-q", "--allow-empty", "-m", "second")
    release(repo, package([deploy("staging")], [deploy("production", up="exit 1")]))
    assert repo.run("work", "any", "-q").returncode == 1
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "copy")


def release_of(repo: Repo, number: int) -> str:
    is_late = repo.run("get", "shop/-/web/@r1").returncode == 0
    return f"shop/-/web/@{'r' if is_late else ''}{number}"


def test_what_is_deployed_since_when_and_by_whom(shop: Repo) -> None:
    first, second = release_of(shop, 1), release_of(shop, 2)
    production, failed, staging = listed(shop)
    run = f"{first}/deploy/production/1"
    ended = shop.value(f"{run}/status/complete")["time"]
    assert production == {
        "package": "shop/-/web",
        "environment": "production",
        "release": first,
        "tags": ["v1"],
        "commit": shop.git("rev-parse", "HEAD~1"),
        "since": f"{ended[:19]}Z",
        "status": "complete",
        "run_ref": run,
        "actor": "circleci:ann",
        "run": "https://ci.example/1",
        "reason": "the first",
        "past_gates": [],
        "hold": None,
    }
    assert (failed["environment"], failed["status"], failed["release"]) == ("production", "failed", second)
    assert (failed["actor"], failed["run"], failed["reason"]) == ("local:test@example.com", None, None)
    assert failed["since"] == f"{shop.value(f'{second}/deploy/production/1/status/failed')['time'][:19]}Z"
    assert (staging["release"], staging["status"], staging["actor"]) == (second, "complete", "local:test@example.com")
    assert staging["commit"] == shop.git("rev-parse", "HEAD") and staging["tags"] == []
    rows = [line.split("\t") for line in shop.ocuroot("deployments").splitlines()]
    assert rows[0] == ["shop/-/web", "production", "complete", first[11:], "v1", production["since"], "circleci:ann"]
    assert [row[4] for row in rows[1:]] == [shop.git("rev-parse", "HEAD")[:10]] * 2


def test_what_is_under_way_and_what_is_wanted(shop: Repo) -> None:
    first, second = release_of(shop, 1), release_of(shop, 2)
    shop.ocuroot("run", "dismiss", f"{second}/deploy/production/1")
    shop.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps({"release": second}))
    shop.ocuroot("delete", "//web/+/deploy/staging")
    before = [("production", "complete", first), ("staging", "complete", second)]
    assert told(shop) == [before[0], ("production", "wanted", second), before[1], ("staging", "unwanted", second)]
    shop.ocuroot("apply", "--all")
    assert told(shop) == [before[0], ("production", "pending", second), before[1], ("staging", "pending", None)]
    assert [line.split("\t")[2] for line in shop.ocuroot("deployments").splitlines()][3] == "pending (down)"
    shop.ocuroot("run", "start", f"{second}/deploy/staging")
    assert told(shop)[3] == ("staging", "running", None)
    shop.ocuroot("run", "finish", f"{second}/deploy/staging", "--status=complete")
    assert told(shop, "--environment", "staging") == []
    # As it was before: the answer is that of the moment.
    assert told(shop, "--at", "state~3")[:1] == before[:1]
    (line,) = [line for line in listed(shop, "--at", "state~3", "--environment", "staging") if line["run_ref"]][:1]
    assert (line["release"], line["status"], line["actor"]) == (second, "complete", "local:test@example.com")


def test_packages_and_environments_are_chosen_and_must_be_there(shop: Repo) -> None:
    assert told(shop, "//web", "--environment=staging") == told(shop, "**/web")[2:] == told(shop, "shop/-/w*")[2:]
    for arguments, words in (
        (["//wbe"], "no package matches 'shop/-/wbe'"),
        (["//web", "//wbe"], "no package matches 'shop/-/wbe'"),
        (["--environment=prod"], "no such environment: 'prod'"),
    ):
        done = shop.run("deployments", *arguments)
        assert (done.returncode, done.stdout) == (1, "") and words in done.stderr
    assert shop.run("deployments", "[").returncode == 128


def test_only_what_is_deployed(shop: Repo) -> None:
    wanted = json.dumps({"release": release_of(shop, 1)})
    shop.ocuroot("set", "-f=json", "//web/+/deploy/staging", wanted)
    shop.ocuroot("set", "-f=json", "//other/+/deploy/staging", json.dumps({"release": "shop/-/other/@1"}))
    every = listed(shop)
    assert [line["status"] for line in every].count("complete") == 2 < len(every)
    deployed = [line for line in every if line["status"] == "complete"]
    assert listed(shop, "--deployed") == deployed
    assert listed(shop, "--deployed", "shop/-/w*", "--environment=staging") == deployed[1:]
    # What is wanted and not there is no mistake, and what is not there at all is one.
    assert listed(shop, "--deployed", "//other") == []
    for arguments, words in (
        (["//wbe"], "no package matches 'shop/-/wbe'"),
        (["--environment=prod"], "no such environment: 'prod'"),
    ):
        done = shop.run("deployments", "--deployed", *arguments)
        assert (done.returncode, done.stdout) == (1, "") and words in done.stderr
    assert shop.run("deployments", "--deployed", "--history").returncode == 129
    shop.ocuroot("update", "--stdin", input="set @/custom/x 1\nlink shop/-/web/@/deploy/staging @/custom/x\n")
    done = shop.run("deployments", "--deployed", "--environment=staging", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["status"] == "unreadable"


def test_what_cannot_be_read_is_no_empty_place(shop: Repo) -> None:
    shop.ocuroot("update", "--stdin", input="set @/custom/x 1\nlink shop/-/web/@/deploy/staging @/custom/x\n")
    done = shop.run("deployments", "--json", "--environment=staging")
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if '"unreadable"' in line]
    assert done.returncode == 1 and "warning: " in done.stderr
    assert (line["status"], line["release"], line["run_ref"]) == ("unreadable", None, None)


def shown(repo: Repo, columns: int, *arguments: str) -> list[str]:
    """The lines of what a person sees on a terminal so wide."""
    text = on_terminal(repo, "deployments", *arguments, COLUMNS=str(columns), NO_COLOR="1", GIT_PAGER="cat")
    lines = text.splitlines()
    assert all(len(line) <= columns for line in lines) or columns <= 30
    return lines


def test_people_see_packages_and_environments_as_a_grid(shop: Repo) -> None:
    first, second = (release_of(shop, number).rpartition("/")[2] for number in (1, 2))
    commit = shop.git("rev-parse", "HEAD")[:10]
    wide = shown(shop, 120)
    assert wide[0].split() == ["package", "production", "staging"]
    assert wide[1].split("  ")[0] == "shop/-/web" and f"{first} v1  " in wide[1] and "  circleci:ann" in wide[1]
    assert wide[1].endswith("local:test@example.com") and f"  {second} {commit}  " in wide[1]
    assert wide[2].strip().startswith(f"failed {second} {commit}  ") and len(wide) == 3
    stacked = shown(shop, 90)
    assert stacked[0].split() == wide[0].split()
    assert stacked[1].split()[:3] == ["shop/-/web", first, "v1"] and stacked[3].split()[:2] == ["failed", second]
    assert "circleci:ann" in stacked[2] and stacked[2].endswith("local:test@example.com") and len(stacked) == 5
    narrowest = shown(shop, 60)
    assert len(narrowest) == 7 and narrowest[3].split() == ["circleci:ann", "local:test@example.com"]


def test_people_see_lines_where_no_grid_fits_and_for_one_environment(shop: Repo) -> None:
    titles = ["package", "environment", "status", "release", "of", "since", "by"]
    lines = shown(shop, 100, "--environment=production")
    assert lines[0].split() == titles and len(lines) == 3 and lines[1].endswith("circleci:ann")
    paragraphs = shown(shop, 30)
    assert [line.split()[0] for line in paragraphs[:4]] == titles[:4] and paragraphs.count("") == 2
    assert {"package      shop/-/web", "by           circleci:ann"} <= set(paragraphs)
    # Records are what scripts take over.
    assert on_terminal(shop, "deployments", "-z", COLUMNS="120", GIT_PAGER="cat").count("\t") == 18


def test_a_store_in_a_directory_tells_what_markers_say(shop: Repo, tmp_path: Path) -> None:
    wanted = listed(shop)
    shop.ocuroot("export", "-q", "exported")
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("config", "ocuroot.repoAlias", "shop")
    other.git("config", "ocuroot.state.path", str(shop.path / "exported"))
    assert listed(other) == [{**one, "past_gates": None} for one in wanted]


def events(repo: Repo, *arguments: str) -> list[dict[str, Any]]:
    lines = repo.ocuroot("deployments", "--history", "--json", *arguments).splitlines()
    found = [json.loads(line) for line in lines]
    assert all(list(line) == [*KEYS, "time", "type", "from", "seconds", "ahead", "behind"] for line in found)
    return found


def short(found: list[dict[str, Any]]) -> list[tuple[str, str, str, str, Any, Any]]:
    """Of events: environment, type, status, from and to by their last character, and the commits between."""
    return [
        (
            *(one["environment"], one["type"], one["status"]),
            f"{(one['from'] or '-')[-1]}>{(one['release'] or '-')[-1]}",
            *(one["ahead"], one["behind"]),
        )
        for one in found
    ]


def test_why_a_run_was_asked_for_is_why_it_was_deployed(shop: Repo) -> None:
    first, second = release_of(shop, 1), release_of(shop, 2)

    def newest() -> tuple[str, Any, Any]:
        """Of what was deployed last: type, reason, and that reason as a clone has it that has no history."""
        event = events(shop, "-1")[0]
        marker = shop.value(f"{event['run_ref']}/status/{event['status']}")
        return event["type"], event["reason"], marker.get("reason")

    back = json.dumps({"release": first})
    shop.ocuroot("set", "-f=json", "-m", "it is too slow", "//web/+/deploy/staging", back)
    shop.ocuroot("set", "+/custom/x", "1", "-m", "of something else")
    shop.run("work", "any", "-q")
    assert newest() == ("up", "it is too slow", "it is too slow")
    # What whoever deploys says counts for more.
    shop.ocuroot("set", "-f=json", "-m", "mended", "//web/+/deploy/staging", json.dumps({"release": second}))
    shop.run("work", "any", "-q", "-m", "at last")
    assert newest() == ("up", "at last", "at last")
    shop.ocuroot("run", "retry", "-m", "the disk was full", f"{second}/deploy/production/1")
    shop.run("work", "any", "-q")
    assert newest() == ("up", "the disk was full", "the disk was full")
    shop.ocuroot("rollback", "staging", "--to", first, "--no-hold", "-m", "slow again")
    shop.run("work", "any", "-q")
    assert newest() == ("up", "slow again", "slow again")
    # The newest change of an intent counts, and one by a program that says nothing of it hides what was before.
    shop.ocuroot(
        "set", "-f=json", "-m", "no reason any more", "//web/+/deploy/staging", json.dumps({"release": second})
    )
    shop.ocuroot("delete", "//web/+/deploy/staging")
    shop.run("work", "any", "-q")
    assert newest() == ("down", None, None)
    shop.ocuroot("delete", "-m", "for good", "//web/+/deploy/production")
    tree, tip = (shop.git("rev-parse", name) for name in ("state^{tree}", "state"))
    shop.git("update-ref", "refs/heads/state", shop.git("commit-tree", "-p", tip, "-m", "of another", tree))
    shop.run("work", "any", "-q")
    assert newest() == ("down", None, None)


def test_a_shallow_clone_knows_why_by_the_newest_commit(shop: Repo, tmp_path: Path) -> None:
    shop.git("config", "uploadpack.allowFilter", "true")
    shop.git("config", "receive.denyCurrentBranch", "ignore")
    wanted = json.dumps({"release": release_of(shop, 1)})
    shop.ocuroot("set", "-f=json", "-m", "it is too slow", "//web/+/deploy/staging", wanted)
    other = Repo(tmp_path / "other")
    shop.git("clone", "-q", str(shop.path), str(other.path))
    for key, value in (("repoAlias", "shop"), ("state.remote", f"file://{shop.path}"), ("state.branch", "state")):
        other.git("config", f"ocuroot.{key}", value)
    other.ocuroot("apply", "--all")
    (cache,) = (other.path / ".git" / "ocuroot").glob("*.git")
    assert (cache / "shallow").exists()
    other.run("work", "any", "-q")
    assert events(shop, "-1")[0]["reason"] == "it is too slow"


def test_history_has_each_deployment_with_what_was_there_before(shop: Repo) -> None:
    first, second = release_of(shop, 1), release_of(shop, 2)
    shop.ocuroot("set", "-f=json", "//web/+/deploy/staging", json.dumps({"release": first}))
    shop.run("work", "any", "-q", "-m", "back")
    shop.ocuroot("delete", "//web/+/deploy/staging")
    shop.run("work", "any", "-q")
    found = events(shop)
    assert short(found) == [
        ("staging", "down", "complete", "1>-", None, None),
        ("staging", "up", "complete", "2>1", 0, 1),
        ("production", "up", "failed", "1>2", 1, 0),
        ("staging", "up", "complete", "1>2", 1, 0),
        ("production", "up", "complete", "->1", None, None),
        ("staging", "up", "complete", "->1", None, None),
    ]
    assert (found[1]["reason"], found[1]["actor"], found[1]["tags"]) == ("back", "local:test@example.com", ["v1"])
    assert (found[-1]["actor"], found[-1]["run"]) == ("circleci:ann", "https://ci.example/1")
    assert found[-1]["commit"] == shop.git("rev-parse", "HEAD~1") and found[0]["commit"] is None
    assert found[-1]["run_ref"] == f"{first}/deploy/staging/1" and found[2]["release"] == second
    assert all(one["time"] == one["since"] and one["seconds"] >= 0 for one in found)
    # What is deployed now was made so by the last event of the place that was no failure.
    (now,) = [one for one in listed(shop) if one["status"] == "complete"]
    assert now == {key: value for key, value in found[4].items() if key in KEYS}
    rows = [line.split("\t") for line in shop.ocuroot("deployments", "--history").splitlines()]
    marks = [(row[3], row[4][-1:], row[5][-1:], row[6]) for row in rows]
    assert marks[:3] == [("down", "1", "", ""), ("up", "2", "1", "-1"), ("up failed", "1", "2", "+1")]
    shown = on_terminal(shop, "deployments", "--history", "-2", COLUMNS="150", NO_COLOR="1", GIT_PAGER="cat")
    assert shown.split()[:3] == ["time", "package", "environment"] and len(shown.splitlines()) == 3


def test_history_is_chosen(shop: Repo) -> None:
    every = events(shop)
    assert len(every) == 4
    assert events(shop, "--failed") == every[:1]
    assert events(shop, "--by", "ann$") == every[2:] and events(shop, "--by", "^local:") == every[:2]
    assert events(shop, "--environment", "staging") == [every[1], every[3]]
    assert events(shop, "-n", "3", "//web") == events(shop, "-3") == every[:3] and events(shop, "-0") == []
    assert events(shop, "--since", "yesterday") == every and events(shop, "--until", "yesterday") == []
    assert events(shop, "--until", every[0]["time"]) == every
    assert events(shop, "--since", "2001-01-01", "--until", "2002-01-01") == []
    assert events(shop, "--at", "state~1") == every[1:] or events(shop, "--at", "state~2") == every[1:]
    for arguments, status, words in (
        (["--history", "//wbe"], 1, "no package matches 'shop/-/wbe'"),
        (["--history", "--environment=prod"], 1, "no such environment: 'prod'"),
        (["--history", "--by", "("], 129, "--by takes a pattern"),
        (["--history", "--since", "never mind"], 129, "is no date"),
        (["--failed"], 129, "'--failed' goes with --history"),
        (["--since", "yesterday"], 129, "'--since' goes with --history"),
        (["-3"], 129, "'-n' goes with --history"),
    ):
        done = shop.run("deployments", *arguments)
        assert done.returncode == status and words in done.stderr, (arguments, done.stderr)


def test_a_directory_has_no_history(repo: Repo) -> None:
    repo.git("config", "ocuroot.state.path", "state")
    repo.ocuroot("init", "-q")
    done = repo.run("deployments", "--history")
    assert done.returncode == 128 and "has no history" in done.stderr


def test_what_is_not_known_of_commits_is_null(shop: Repo) -> None:
    """The commits that were released may not be here, or not their history."""
    shop.git("update-ref", "-d", "refs/heads/main")
    (shop.path / ".git" / "shallow").write_text(shop.git("rev-parse", "state") + "\n")
    done = shop.run("deployments", "--history", "--json")
    assert (done.returncode, done.stdout) == (0, "") and "history begins later here" in done.stderr


def test_a_cold_remote_tells_the_same(shop: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("config", "ocuroot.repoAlias", "shop")
    other.git("config", "ocuroot.state.remote", f"file://{shop.path}")
    other.git("config", "ocuroot.state.branch", "state")
    # Of which gates a run was started past history tells, of which the trees are not fetched for that alone.
    assert listed(other) == [{**one, "past_gates": None} for one in listed(shop)]
    unknown = [{**one, "ahead": None, "behind": None} for one in events(shop)]
    assert events(other) == unknown


def test_a_link_of_another_program_that_leads_to_no_run(repo: Repo) -> None:
    v3_branches(repo)
    done = repo.run("deployments", "--json", "**/frontend/*", "--environment=staging")
    first, wanted = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["status"], first["release"][-3:], first["run_ref"], first["since"]) == ("complete", "@r2", None, None)
    assert (wanted["status"], wanted["release"][-3:]) == ("wanted", "@r1")


def by_whom(repo: Repo, *arguments: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(one["status"], one["actor"], one["run"], one["reason"]) for one in listed(repo, *arguments)]


def test_who_is_at_work_on_what_is_under_way(shop: Repo) -> None:
    second = release_of(shop, 2)
    at = ("--environment", "production")
    shop.ocuroot("run", "retry", f"{second}/deploy/production/1", "-m", "again")
    assert by_whom(shop, *at)[1] == ("pending", None, None, None), "there is nobody yet"
    shop.ocuroot("run", "start", f"{second}/deploy/production", "-m", "now", env={**os.environ, **CI})
    ann = ("running", "circleci:ann", "https://ci.example/1", "now")
    assert by_whom(shop, *at)[1] == ann
    # A run that another version has begun: its commit says it.
    marker = f"{second}/deploy/production/2/status/running"
    plain = json.dumps({"time": shop.value(f"{marker}#time")})
    shop.ocuroot("update", "--stdin", input=f"set {marker} {plain}\n")
    assert by_whom(shop, *at)[1] == ann
    # One that is taken over has its marker written again.
    taken = json.dumps({"time": shop.value(f"{marker}#time"), "actor": "github:bob"})
    shop.ocuroot("update", "--stdin", input=f"set {marker} {taken}\n")
    assert by_whom(shop, *at)[1] == ("running", "github:bob", None, None)


def test_the_commit_that_ended_a_run_counts_for_more_than_its_marker(shop: Repo, tmp_path: Path) -> None:
    before = by_whom(shop)
    marker = f"{release_of(shop, 1)}/deploy/production/1/status/complete"
    value = shop.value(marker)
    assert (value["actor"], value["run"], value["reason"]) == before[0][1:]
    claimed = json.dumps({**value, "actor": "github:eve\u202e", "run": "javascript:x", "reason": 7})
    shop.ocuroot("update", "--stdin", input=f"set {marker} {claimed}\n")
    assert by_whom(shop) == before
    # Where history is not here, there is but the marker; nothing in it is taken for what it cannot be.
    other = Repo(tmp_path / "shallow")
    shop.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{shop.path}", str(other.path))
    other.git("branch", "state", "origin/state")
    other.git("config", "ocuroot.repoAlias", "shop")
    assert by_whom(other) == [("complete", "github:eve", None, None), *before[1:]]


def test_a_remote_is_asked_for_history_where_markers_do_not_say_it(shop: Repo, tmp_path: Path) -> None:
    for name in ("new", "old"):
        other = Repo(tmp_path / name)
        other.path.mkdir()
        other.git("init", "-q")
        for key, value in (("repoAlias", "shop"), ("state.remote", f"file://{shop.path}"), ("state.branch", "state")):
            other.git("config", f"ocuroot.{key}", value)
        assert by_whom(other) == by_whom(shop)
        (cache,) = (other.path / ".git" / "ocuroot").glob("*.git")
        assert (cache / "shallow").exists() is (name == "new")
        if name == "old":
            # To be told what is deployed alone is to be asked for little.
            new = Repo(tmp_path / "little")
            new.path.mkdir()
            new.git("init", "-q")
            for line in other.git("config", "--get-regexp", "^ocuroot").splitlines():
                new.git("config", *line.split(" ", 1))
            done = new.run("deployments", "--deployed", "--json")
            assert "without --deployed history is asked for that" in done.stderr
            assert [json.loads(line)["actor"] for line in done.stdout.splitlines()] == [None, "local:test@example.com"]
            (cache,) = (new.path / ".git" / "ocuroot").glob("*.git")
            assert (cache / "shallow").exists()
        marker = f"{release_of(shop, 1)}/deploy/production/1/status/complete"
        plain = json.dumps({"time": shop.value(f"{marker}#time")})
        shop.ocuroot("update", "--stdin", input=f"set {marker} {plain}\n")


def test_ages_count_from_the_moment_that_is_shown(store: Repo) -> None:
    prepare(store, "staging")
    release(store, package([deploy("staging")]))
    work_any(store)
    told = json.loads(store.ocuroot("deployments", "--json"))
    deployed = datetime.fromisoformat(told["since"].replace("Z", "+00:00"))
    later = (deployed + timedelta(hours=3, minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    dates = {"GIT_COMMITTER_DATE": later, "GIT_AUTHOR_DATE": later}
    store.ocuroot("set", "-q", "+/custom/later", "1", env={**os.environ, **dates})

    def shown(at: str) -> str:
        return on_terminal(store, "deployments", "--at", at, NO_COLOR="1", GIT_PAGER="cat")

    assert "3 hours ago" in shown("state")
    assert "just now" in shown("state~1")
