"""`git ocuroot log`, its whole output."""

from __future__ import annotations

import json
import os

import pytest
from support import delivering as make
from support.golden import check_golden, plain
from support.repositories import SHOP, Repo

pytestmark = pytest.mark.usefixtures("fixed_dates")


@pytest.fixture
def history(shop: Repo) -> Repo:
    shop.ocuroot("set", "-m", "raise the gate", "+/custom/gate", "1")
    shop.ocuroot("set", "+/custom/gate", "2")
    shop.ocuroot("delete", "+/custom/gate")
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@ {SHOP}/@2\n")
    return shop


def test_log(history: Repo) -> None:
    check_golden("log.txt", plain(history.ocuroot("log")) + "\n")
    check_golden("log.json", plain(history.ocuroot("log", "--json")) + "\n")


@pytest.mark.parametrize(
    ("words", "subjects"),
    [
        (["+/custom/gate"], ["delete +/custom/gate", "set +/custom/gate", "raise the gate"]),
        (["-n", "1", "+/custom/gate"], ["delete +/custom/gate"]),
        (["-2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["-n2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["--limit=0"], []),
        (["@/environment/production"], ["open the shop"]),
        (["--at", "state~2", "-n", "1"], ["set +/custom/gate"]),
        ([f"{SHOP}/@"], [f"update {SHOP}/@", "open the shop"]),
        (["nothing/**"], []),
        (
            ["@/custom/freeze", "+/custom/g?te"],
            ["delete +/custom/gate", "set +/custom/gate", "raise the gate", "open the shop"],
        ),
    ],
)
def test_log_of_some(history: Repo, words: list[str], subjects: list[str]) -> None:
    lines = history.ocuroot("log", "--json", *words).splitlines()
    found = [json.loads(line)["subject"] for line in lines]
    if words == [f"{SHOP}/@"]:
        found = [subject if subject == "open the shop" else f"update {SHOP}/@" for subject in found]
    assert found == subjects
    assert history.ocuroot("log", "--json", "-z", *words) == "".join(line + "\0" for line in lines)


def subjects(repo: Repo, *options: str) -> list[str]:
    return [line[11:] for line in repo.ocuroot("log", "--oneline", *options).splitlines()]


def dated(seconds: int, **others: str) -> dict[str, str]:
    return {**os.environ, "GIT_AUTHOR_DATE": f"{seconds} +0000", "GIT_COMMITTER_DATE": f"{seconds} +0000", **others}


@pytest.fixture
def years(store: Repo) -> Repo:
    """One change a day, by Ann in CI and by Ben in turns; the clock of one is wrong."""
    for day in range(6):
        ci = {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ann"} if day % 2 == 0 else {"GIT_AUTHOR_NAME": "Ben"}
        when = dated(1_000_000_000 if day == 3 else 1_800_000_000 + 86_400 * day, **ci)
        store.ocuroot(
            "set", "-m", f"day {day}", "-f=json", "+/custom/a", f'{{"n": {day // 2}, "day": {day}}}', env=when
        )
    return store


def test_log_of_a_time_and_of_somebody(years: Repo) -> None:
    assert subjects(years, "--author", "Ben") == ["day 5", "day 3", "day 1"]
    assert subjects(years, "--author", "gitlab:a.n") == ["day 4", "day 2", "day 0"]
    assert subjects(years, "--since", "2027-01-17T07:00:00Z") == ["day 5", "day 4", "day 2"]
    assert subjects(years, "--until", "2027-01-16T09:00:00Z", "--since=2027-01-01") == ["day 1", "day 0"]
    assert subjects(years, "--until=2027-01-17T09:00:00Z", "-2", "+/custom/a") == ["day 3", "day 2"]
    for options, words in ((["--since", "foo"], "is no date"), (["--author", "("], "takes a pattern")):
        done = years.run("log", *options)
        assert done.returncode == 129 and words in done.stderr


def test_log_of_a_part_of_a_document(years: Repo) -> None:
    assert subjects(years, "+/custom/a#n") == ["day 4", "day 2", "day 0"]
    line = json.loads(years.ocuroot("log", "--json", "-1", "+/custom/a#n"))
    assert (line["old"], line["new"], line["changes"]) == (1, 2, [{"status": "M", "ref": "+/custom/a#n"}])
    assert years.ocuroot("log", "-1", "+/custom/a#n").splitlines()[-1] == "+/custom/a#n: 1 → 2"
    assert years.run("log", "+/custom/a#n", "+/custom/b").returncode == 129


def test_log_follows_links_as_they_were(history: Repo) -> None:
    history.ocuroot("update", "--stdin", "-m", "move", input=f"link {SHOP}/@v1.0 {SHOP}/@2\n")
    history.ocuroot("update", "--stdin", "-m", "other", input=f'set {SHOP}/@1 {{"commit": "zzz"}}\n')
    assert subjects(history, "--follow", f"{SHOP}/@v1.0") == ["move", "open the shop"]
    assert f"{SHOP}/@2: " in history.ocuroot("log", "--follow", "-1", f"{SHOP}/@v1.0")


def test_log_shows_how_documents_have_changed(history: Repo) -> None:
    history.ocuroot("update", "--stdin", input=f"link {SHOP}/@v1.0 {SHOP}/@2\n")
    shown = history.ocuroot("log", "-p", "-1").splitlines()
    assert f'-"link to {SHOP}/@1"' in shown and f'+"link to {SHOP}/@2"' in shown
    assert shown.count("(only which links lead to it)") == 2
    shown = history.ocuroot("log", "-p", "--oneline", "+/custom/gate").splitlines()
    assert [line for line in shown if line.startswith(("+", "-"))] == [
        *("--- +/custom/gate", "+++ /dev/null", '-"2"'),
        *("--- +/custom/gate", "+++ +/custom/gate", '-"1"', '+"2"'),
        *("--- /dev/null", "+++ +/custom/gate", '+"1"'),
    ]


def test_commits_of_logs_are_folded(store: Repo) -> None:
    make.prepare(store)
    run = make.release(store, make.package([make.call("build")])) + "/call/build"
    store.ocuroot("run", "start", run)
    for _ in range(3):
        store.ocuroot("run", "log", run, input="hello\n")
    store.ocuroot("set", "-m", "last", "+/custom/a", "1")
    lines = store.ocuroot("log", "--oneline").splitlines()
    assert lines[1] == "… 3 commits of logs of runs: --run-logs shows them" and len(lines) < 6
    assert len([line for line in store.ocuroot("log", "--oneline", "--run-logs").splitlines() if " log " in line]) == 3
    assert store.ocuroot("log", "-2", "--oneline").count("\n") == 2  # what is folded does not count
    assert sum('"run log"' in line for line in store.ocuroot("log", "--json").splitlines()) == 3


@pytest.mark.parametrize("place", make.LAYOUTS)
def test_state_and_its_intent_have_histories_of_their_own(repo: Repo, place: str) -> None:
    """Also where a store spells both alike, and they are told apart by the branch or the directory."""
    make.prepare_at(repo, place, "staging")
    make.release(repo, make.package([make.deploy("staging")]))
    repo.run("work", "any", "-q")
    repo.ocuroot("delete", "-q", "shop/-/web/+/deploy/staging")
    for marker, letters in (("@", ["A"]), ("+", ["D", "A"])):
        ref = f"shop/-/web/{marker}/deploy/staging"
        found = [json.loads(line) for line in repo.ocuroot("log", "--json", ref).splitlines()]
        changes = [change for one in found for change in one["changes"] if marker in change["ref"]]
        assert [one["status"] for one in changes if one["ref"] == ref] == letters
        assert len(changes) == sum(len(one["changes"]) for one in found)
