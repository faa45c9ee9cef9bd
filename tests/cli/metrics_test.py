"""`git ocuroot metrics` (design 12)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from support.delivering import copy_of, deploy, package, prepare, release
from support.repositories import Repo
from support.terminals import on_terminal

KEYS = [
    "deployments",
    "deployment_frequency_per_day",
    "lead_time_seconds",
    "change_failure_rate",
    "time_to_restore_seconds",
    "rework_rate",
]
UNKNOWN = {"p50": None, "p90": None}
START = 1_700_000_000
"""Long ago: that it is later now is all that these tests know of the clock."""
DAY = 86400


def metrics(repo: Repo, *arguments: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in repo.ocuroot("metrics", "--json", *arguments).splitlines()]
    for line in lines:
        assert [key for key in line if key not in ("package", "environment")] == KEYS
    return lines


def only(repo: Repo, *arguments: str) -> dict[str, Any]:
    (line,) = metrics(repo, *arguments)
    return line


def explained(repo: Repo, *arguments: str) -> list[dict[str, Any]]:
    """What was counted, oldest first."""
    lines = repo.ocuroot("metrics", "--explain", "--json", *arguments).splitlines()
    return [json.loads(line) for line in lines][::-1]


def commit(repo: Repo, subject: str, moment: int) -> str:
    """Make a commit of a moment that has been there; gives its id."""
    date = f"{moment} +0000"
    env = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    repo.git("commit", "-q", "--allow-empty", "-m", subject, env=env)
    return repo.git("rev-parse", "HEAD")


def end(repo: Repo, work: str, moment: int, status: str = "complete", type_: str = "up") -> None:
    """Record a run of a deployment that ended at a moment, as other programs do, and what it leads to."""
    release = work.partition("/deploy/")[0]
    runs = repo.ocuroot("match", f"{work}/*").splitlines()
    run = f"{work}/{len(runs) + 1}"
    body = {"type": type_, "release": release, "entrypoint": f"{run}/functions/1", "output": {}}
    step = {"status": status, "time": f"@{moment}"}
    time = json.dumps({"time": _text(moment)})
    functions = json.dumps({"current": {"status": status}, "history": [{**step, "time": _text(moment)}]})
    lines = [
        f"set {run} {json.dumps(body)}",
        f"set {run}/functions/1 {functions}",
        f"set {run}/status/{status} {time}",
    ]
    if status == "complete":
        place = f"{release.rpartition('/')[0]}/@/deploy/{work.rpartition('/')[2]}"
        lines += [f"set {work} {json.dumps(body)}", f"link {place} {run}" if type_ == "up" else f"unlink {place}"]
    repo.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")


def _text(moment: int) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(repo: Repo) -> None:
    """Ten days: good, good (and rolled back), back, failed and good again; each release of two new commits."""
    prepare(repo, "staging", "production")
    for number in range(1, 5):
        for half in (0, 1):
            commit(repo, f"{number} {half}", START + number * DAY + half * 3600)
        release(repo, package([deploy("production")]), "web")
    web = "shop/-/web/@{}/deploy/production"
    end(repo, web.format(1), START + DAY + 7200)
    end(repo, web.format(2), START + 2 * DAY + 7200)
    end(repo, web.format(1), START + 2 * DAY + 7800)
    end(repo, web.format(3), START + 4 * DAY, "failed")
    end(repo, web.format(3), START + 4 * DAY + 900)
    end(repo, web.format(4), START + 5 * DAY)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = Repo(tmp_path_factory.mktemp("made"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    told(repo)
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "copy")


def test_the_five_metrics(shop: Repo) -> None:
    until = START + 11 * DAY + 7200
    line = only(shop, f"--until={_text(until)}")
    assert line["deployments"] == 5
    assert line["deployment_frequency_per_day"] == 0.5
    # Of six one was rolled back and one failed: 10 and 15 minutes. What followed up to the good one is rework.
    assert line["change_failure_rate"] == line["rework_rate"] == round(2 / 6, 6)
    assert line["time_to_restore_seconds"] == {"p50": 750.0, "p90": 870.0}
    # The first deployed nobody knows what, the second was undone; the last two brought commits that were there before.
    ages = [4 * DAY + 900 - n * DAY - half * 3600 for n in (2, 3) for half in (0, 1)]
    ages += [5 * DAY - 4 * DAY - half * 3600 for half in (0, 1)]
    ages.sort()
    assert line["lead_time_seconds"]["p50"] == (ages[2] + ages[3]) / 2


def test_what_was_counted_is_explained_each_with_its_commit(shop: Repo) -> None:
    lines = explained(shop)
    commits = [line["commit"] for line in lines]
    assert [shop.git("cat-file", "-t", commit) for commit in commits] == ["commit"] * 6
    assert [line["release"][-2:] for line in lines] == ["@1", "@2", "@1", "@3", "@3", "@4"]
    assert [line["deployed"] for line in lines] == [True, True, True, False, True, True]
    assert [line["failed"] for line in lines] == [
        None,
        "it was rolled back",
        None,
        "the run failed",
        None,
        None,
    ]
    assert [line["restored_by"] for line in lines] == [None, commits[2], None, commits[4], None, None]
    assert [line["because_of"] for line in lines] == [None, None, commits[1], None, commits[3], None]
    assert [line["changes"] for line in lines] == [None, None, 0, None, 4, 2]
    text = shop.ocuroot("metrics", "--explain", "--environment=production", "//web").splitlines()
    assert [line.split("\t")[4] for line in text] == [commit[:10] for commit in reversed(commits)]
    assert text[2].endswith("failed: the run failed; ended by " + commits[4][:10] + "; restored after 15 min 0 s")
    assert text[0].split("\t")[0] == _text(START + 5 * DAY)


def test_a_window_and_what_lies_before_the_first_deployment(shop: Repo) -> None:
    window = [f"--since={_text(START + 3 * DAY)}", f"--until={_text(START + 13 * DAY)}"]
    line = only(shop, *window)
    assert (line["deployments"], line["deployment_frequency_per_day"]) == (2, 0.2)
    assert line["time_to_restore_seconds"] == {"p50": 900.0, "p90": 900.0}
    # Nothing before the first recorded deployment counts: not as days without one either.
    early = [f"--since={_text(START - 90 * DAY)}", f"--until={_text(START + 11 * DAY + 7200)}"]
    assert only(shop, *early)["deployment_frequency_per_day"] == 0.5
    nothing = only(shop, f"--until={_text(START)}")
    assert nothing == {key: UNKNOWN if "seconds" in key else None for key in KEYS}
    # A time in which nothing was deployed, though it could have been, is another thing.
    none = only(shop, f"--since={_text(START + 6 * DAY)}", f"--until={_text(START + 8 * DAY)}")
    assert (none["deployments"], none["deployment_frequency_per_day"], none["change_failure_rate"]) == (0, 0.0, None)
    # Less than a day does not tell how many there are in one.
    short = only(shop, f"--since={_text(START + 4 * DAY)}", f"--until={_text(START + 4 * DAY + 3600)}")
    assert (short["deployments"], short["deployment_frequency_per_day"]) == (1, None)
    assert metrics(shop, "--since=90d") == metrics(shop, "--since=90 days ago")


def test_a_line_for_each_package_and_environment(shop: Repo) -> None:
    for number, environment in ((2, "staging"), (3, "staging")):
        end(shop, f"shop/-/web/@{number}/deploy/{environment}", START + number * DAY + 600)
    lines = metrics(shop, "--by", "package,environment")
    assert [(line["package"], line["environment"], line["deployments"]) for line in lines] == [
        ("shop/-/web", "production", 5),
        ("shop/-/web", "staging", 2),
    ]
    assert lines[1]["change_failure_rate"] == 0
    assert [list(line)[:1] for line in metrics(shop, "--by=environment")] == [["environment"]] * 2
    assert only(shop, "--by=package")["deployments"] == only(shop)["deployments"] == 7
    assert only(shop, "--environment=staging", "**/web") == {
        key: value for key, value in lines[1].items() if key in KEYS
    }
    for arguments, status, words in (
        (["--by=actor"], 129, "--by takes package and environment, not 'actor'"),
        (["--prometheus", "--json"], 129, "--prometheus and --json exclude each other"),
        (["--since=whenever"], 129, "'whenever' is no date"),
        (["//wbe"], 1, "no package matches 'shop/-/wbe'"),
        (["--environment=prod"], 1, "no such environment: 'prod'"),
    ):
        done = shop.run("metrics", *arguments)
        assert (done.returncode, done.stdout) == (status, "") and words in done.stderr


def test_a_table_for_people(shop: Repo) -> None:
    shown = on_terminal(shop, "metrics", "--by=package", COLUMNS="120", NO_COLOR="1", GIT_PAGER="cat").splitlines()
    assert shown[0].split("  ")[0] == "package" and "restored in" in shown[0]
    assert len(shown) == 2 and all(len(line) <= 120 for line in shown)
    assert "33.3 %" in shown[1] and "unknown" not in shown[1]
    narrow = on_terminal(shop, "metrics", "--by=package", COLUMNS="40", NO_COLOR="1", GIT_PAGER="cat")
    none = on_terminal(shop, "metrics", "--explain", "--until=2001-01-01", GIT_PAGER="cat")
    assert none == "nothing was deployed\n" and shop.ocuroot("metrics", "--explain", "--until=2001-01-01") == ""
    assert "33.3 %" in narrow and all(len(line) <= 40 for line in narrow.splitlines())
    row = shop.ocuroot("metrics", f"--until={_text(START + 11 * DAY + 7200)}").split("\t")
    assert row[:2] == ["5", "0.50"] and row[4:] == ["33.3 %", "12 min 30 s", "14 min 30 s", "33.3 %"]


def test_text_for_prometheus(shop: Repo) -> None:
    end(shop, "shop/-/web/@2/deploy/staging", START + DAY)
    samples = parsed(shop.ocuroot("metrics", "--prometheus", "--by=environment") + "\n")
    production = (("environment", "production"),)
    assert samples["ocuroot_deployments", production] == 5
    assert samples["ocuroot_time_to_restore_seconds", (*production, ("quantile", "0.5"))] == 750
    assert samples["ocuroot_change_failure_rate", production] == pytest.approx(2 / 6)
    # What is not known has no sample.
    assert ("ocuroot_time_to_restore_seconds", (("environment", "staging"), ("quantile", "0.5"))) not in samples
    assert parsed(shop.ocuroot("metrics", "--prometheus") + "\n")["ocuroot_deployments", ()] == 6


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of a text in the format of Prometheus, version 0.0.4; strictly: anything else fails."""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    known: dict[str, set[str]] = {}
    current = ""
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        comment = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if comment is not None:
            word, name, rest = comment.groups()
            assert word not in known.setdefault(name, set()), line
            assert (word == "HELP") == (name != current), "HELP begins a metric, TYPE follows"
            assert word == "HELP" or rest in ("counter", "gauge", "histogram", "summary", "untyped")
            known[name].add(word)
            current = name
            continue
        sample = re.fullmatch(
            r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*",?)+)\})? (\S+)', line
        )
        assert sample is not None, line
        name, labels, value = sample.groups()
        assert name == current and known[name] == {"HELP", "TYPE"}
        pairs = tuple(
            (label, re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], written))
            for label, written in re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', labels or "")
        )
        assert (name, pairs) not in samples and len(dict(pairs)) == len(pairs)
        samples[name, pairs] = float(value)
    return samples


def test_names_in_labels_are_escaped() -> None:
    from ocuroot_git.ledger.metrics import Measured
    from ocuroot_git.ledger.prometheus import exposition

    odd = {"package": 'shop/-/a"b\\n', "environment": "two\nlines}, \\"}
    samples = parsed("".join(f"{line}\n" for line in exposition([Measured(odd, [], 10.0 * DAY)])))
    assert samples == {
        ("ocuroot_deployments", tuple(odd.items())): 0,
        ("ocuroot_deployment_frequency_per_day", tuple(odd.items())): 0,
    }


def test_a_store_of_which_nothing_is_known(repo: Repo) -> None:
    repo.ocuroot("init", "-q")
    assert only(repo) == {key: UNKNOWN if "seconds" in key else None for key in KEYS}
    assert set(repo.ocuroot("metrics").split("\t")) == {"unknown"}
    assert metrics(repo, "--by=package") == []
    assert repo.ocuroot("metrics", "--explain") == ""
    repo.ocuroot("export", "-q", "exported")
    other = Repo(repo.path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("config", "ocuroot.state.path", str(repo.path / "exported"))
    assert "has no history" in other.run("metrics").stderr


def test_clocks_with_a_summer_and_commits_that_go_back_in_time(store: Repo) -> None:
    """A commit of an hour that the clock showed twice, and one that claims to be from after its deployment."""
    prepare(store, "production")
    summer = 1_698_537_600  # 2023-10-29 02:00 +0200 in Berlin, where it is 02:00 +0100 an hour later
    for number, (moment, zone) in enumerate(((summer, "+0200"), (summer + 3600, "+0100"), (summer + 9 * DAY, "+0100"))):
        env = {**os.environ, "GIT_COMMITTER_DATE": f"{moment} {zone}"}
        store.git("commit", "-q", "--allow-empty", "-m", str(number), env=env)
        release(store, package([deploy("production")]), "web")
    for number in (1, 2, 3):
        end(store, f"shop/-/web/@{number}/deploy/production", summer + 3600 * (number + 1))
    lines = explained(store)
    assert [line["lead_time_seconds"]["p50"] for line in lines] == [None, 2 * 3600, None]
    for since, count in (("2023-10-29 02:30 +0200", "3"), ("2023-10-29 03:30", "2"), ("2023-10-29 02:30 +0000", "2")):
        shown = store.ocuroot("metrics", f"--since={since}", env={**os.environ, "TZ": "Europe/Berlin"})
        assert shown.split("\t")[0] == count


def test_what_was_taken_down_did_not_recover(store: Repo) -> None:
    prepare(store, "production")
    for number in range(1, 4):
        commit(store, str(number), START + number)
        release(store, package([deploy("production")]), "web")
    work = "shop/-/web/@{}/deploy/production"
    end(store, work.format(1), START + DAY)
    end(store, work.format(2), START + 2 * DAY, "failed")
    end(store, work.format(1), START + 3 * DAY, "complete", "down")
    end(store, work.format(3), START + 4 * DAY)
    lines = explained(store)
    assert [(line["failed"], line["because_of"], line["changes"]) for line in lines] == [
        (None, None, None),
        ("the run failed", None, None),
        (None, None, None),
    ]
    assert only(store)["time_to_restore_seconds"] == UNKNOWN


def test_a_shallow_clone_says_that_there_was_more(shop: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    shop.git("clone", "-q", "--depth", "2", "--no-single-branch", f"file://{shop.path}", str(other.path))
    other.git("branch", "state", "origin/state")
    other.git("config", "ocuroot.repoAlias", "shop")
    done = other.run("metrics", "--json")
    line = json.loads(done.stdout)
    assert done.returncode == 0 and "history begins later here than elsewhere" in done.stderr
    assert (line["deployments"], line["lead_time_seconds"]) == (1, UNKNOWN)
    other.git("fetch", "-q", "--unshallow")
    assert metrics(other, f"--until={_text(START + 8 * DAY)}") == metrics(shop, f"--until={_text(START + 8 * DAY)}")


@pytest.mark.parametrize("arguments", [["--dialect=1"], ["--dialect=3"]])
def test_made_by_the_commands(repo: Repo, arguments: list[str]) -> None:
    """A failure that is retried, and a way back, as people do it; state and intent on one branch and on two."""
    repo.ocuroot("init", "-q", *arguments)
    prepare(repo, "production")
    for number in (1, 2):
        repo.git("commit", "-q", "--allow-empty", "-m", f"number {number}")
        release(repo, package([deploy("production", up="test -e ready || exit 1")]))
        (repo.path / "ready").touch()
        if number == 1:
            (repo.path / "ready").unlink()
            assert repo.run("work", "any", "-q").returncode == 1
            (repo.path / "ready").touch()
            made = repo.ocuroot("match", "**/deploy/production/1").splitlines()[0]
            repo.ocuroot("run", "retry", made)
        repo.ocuroot("work", "any", "-q")
    first = made.partition("/deploy/")[0]
    repo.ocuroot("set", "-f=json", "//web/+/deploy/production", json.dumps({"release": first}))
    repo.ocuroot("work", "any", "-q")
    lines = explained(repo)
    assert [line["release"].lstrip("r")[-1] for line in lines] == ["1", "1", "2", "1"]
    assert [line["failed"] for line in lines] == ["the run failed", None, "it was rolled back", None]
    assert [line["because_of"] is not None for line in lines] == [False, True, False, True]
    line = only(repo)
    assert (line["deployments"], line["change_failure_rate"], line["rework_rate"]) == (3, 0.5, 0.5)
    assert line["time_to_restore_seconds"]["p50"] is not None


def test_what_is_remembered_says_the_same_and_can_be_checked(shop: Repo) -> None:
    until = f"--until={_text(START + 11 * DAY)}"
    first = metrics(shop, until, "--by=package")
    kinds = json.loads(shop.ocuroot("cache", "--stat", "--json"))["kinds"]
    assert sum(count for kind, count in kinds.items() if kind.startswith("attempts/")) >= 1
    assert kinds["beyond/1"] == 3  # what 1 and 3, 3 and 4, and the other way round 2 and 1 differ by
    assert metrics(shop, until, "--by=package") == first
    done = shop.run("cache", "--verify")
    assert (done.returncode, done.stderr) == (0, f"{sum(kinds.values())} right, 0 wrong\n")
    shop.ocuroot("set", "+/custom/x", "1")
    assert metrics(shop, until, "--by=package") == first
    shop.ocuroot("cache", "--clear")
    assert metrics(shop, until, "--by=package") == first


def test_ids_that_are_none_and_commits_that_are_none(store: Repo) -> None:
    """What a release is of may be anything: it is unknown then, and harms nothing."""
    prepare(store, "production")
    tree = store.git("rev-parse", "HEAD^{tree}")
    for number, source in enumerate(("g" * 40, "a" * 40, tree, store.git("rev-parse", "HEAD"), "x"), 1):
        store.ocuroot("update", "--stdin", input=f'set shop/-/web/@{number} {{"commit": "{source}"}}\n')
        end(store, f"shop/-/web/@{number}/deploy/production", START + number * DAY)
    line = only(store)
    assert (line["deployments"], line["lead_time_seconds"]) == (5, UNKNOWN)
    assert "not all of its commits are here" in store.ocuroot("metrics", "--explain")


def test_from_a_remote_store(shop: Repo, tmp_path: Path) -> None:
    """Somebody else's clone, which has the store at a remote, and no commit of what was released."""
    shop.git("clone", "-q", "--bare", str(shop.path), str(tmp_path / "hub.git"))
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.git("remote", "add", "origin", f"file://{tmp_path / 'hub.git'}")
    for key, value in (("repoAlias", "shop"), ("state.remote", "origin"), ("state.branch", "state")):
        other.git("config", f"ocuroot.{key}", value)
    until = f"--until={_text(START + 11 * DAY)}"
    assert only(other, until) == {**only(shop, until), "lead_time_seconds": UNKNOWN}
    assert only(other, "--offline", until) == only(other, until)
