"""Moments as people write them: as git reads them, and refused where git would take them for another one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.errors import NotFound, UsageError
from ocuroot_git.git import moments
from ocuroot_git.git.moments import commit_named, is_moment, moment_of
from ocuroot_git.git.repository import Repository


@pytest.mark.parametrize(
    "text",
    [
        *("now", "yesterday", "midnight", "2 weeks ago", "3.days.ago", "last friday 10:00", "10 years ago", "may"),
        *("2026-11-20", "2026-11-20T14:00:00+01:00", "2024-02-29", "2026-11-20 24:00", "2025-11-20T14:00:00.5Z"),
        *("20.11.2026", "20/11/2026", "11/20/2026", "26 nov", "Thu, 20 Nov 2025 14:00:00 GMT", "1764161000 +0000"),
        *("@1764161000", "@1764161000 +0200", "2025-11-20T14:00:00Z", "2024-02-29T23:59:59Z", "1970-01-02T00:00:00Z"),
        *("1999-12-31T00:00:00Z", "2027-01-01T00:00:00Z", "2025-11-20T24:00:00Z", "2095-11-20T14:00:00Z"),
    ],
)
def test_as_git_reads_them(text: str) -> None:
    def by_git() -> int:
        read = subprocess.run(["git", "rev-parse", f"--since={text}"], capture_output=True, check=True, text=True)
        return int(read.stdout.rpartition("=")[2])

    before, read, after = by_git(), moment_of(text, os.environ), by_git()
    assert before <= read <= after


def test_short_lengths_of_time() -> None:
    for text, seconds in (("30d", 30 * 86400), ("12h", 12 * 3600), ("2w", 14 * 86400)):
        assert abs(time.time() - seconds - moment_of(text, os.environ)) <= 3601, text  # clocks may have been set


@pytest.mark.parametrize(
    "text",
    [
        # What git takes for the present.
        *(
            "",
            "soonish",
            "today",
            "monday",
            "friday 10:00",
            "at",
            "utc",
            "0",
            "5",
            "-1",
            "10000 years ago",
            "@99999999999",
        ),
        # For another day or time.
        *("2026-02-30", "2026-13-45", "2025-02-29", "31.02.2026", "25:00", "99:99", "2026-11-20 14:61"),
        *(
            "1.5 days ago",
            "1.5days",
            "1.5.weeks.ago",
            "yesterday 5.30pm",
            "17.30",
            "2 fortnights ago",
            "@5",
            "@-5",
            "999999999d",
            "700 months ago",
        ),
        # For another year.
        *("1969-12-31", "1900-01-01", "0001-01-01", "10000-01-01", f"{'9' * 40}-01-01", f"@{'9' * 40}", "9" * 5000),
    ],
)
def test_what_git_would_take_for_another_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment_of(text, os.environ)


def test_what_is_no_moment_may_be_a_revision() -> None:
    assert not any(map(is_moment, ("state", "monday", "today", "deadbeef", "state~3", "@", "", "5")))


def test_what_a_branch_held_is_told_by_its_commits_and_not_by_a_reflog(store: Repo) -> None:
    for day in (1, 2, 3):
        when = f"2025-11-0{day}T12:00:00Z"
        store.ocuroot("set", "+/custom/x", str(day), env={**os.environ, "GIT_COMMITTER_DATE": when})
    reflog = store.git("reflog", "state").splitlines()
    assert len(reflog) >= 3, "all of it is of today"
    for text in ("2025-11-02T13:00:00Z", "state@{2025-11-02T13:00:00Z}", "state~1@{2025-11-02T13:00:00Z}"):
        assert store.value("+/custom/x", "--at", text) == "2", text
    assert store.value("+/custom/x", "--at", "state@{1}") == "2", "by the reflog"
    done = store.run("get", "--at", "state@{2001-01-01}", "+/custom/x")
    assert (done.returncode, done.stdout) == (1, "") and "there was no commit yet" in done.stderr
    assert store.run("get", "--at", "nothing@{2025-11-02}", "+/custom/x").returncode == 1


def _naive(one: Repo, seconds: int) -> str:
    """The newest commit before the place that the fewest commits speak against; empty where it is before them all."""
    commits = [line.split() for line in one.git("log", "--first-parent", "--format=%ct %H", "main").splitlines()]
    is_by_then = [int(committed) <= seconds for committed, _ in commits]
    against = [sum(is_by_then[:at]) + is_by_then[at:].count(False) for at in range(len(commits) + 1)]
    at = against.index(min(against))
    return commits[at][1] if at < len(commits) else ""


@pytest.mark.parametrize("near", [0, 400])
def test_where_a_branch_stood_is_where_the_fewest_clocks_are_against(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """On a long branch with merges, of clocks that were set back and some that were years away; in a shallow clone what
    is not there is not found. Where clocks only rise it is what git finds."""
    monkeypatch.setattr(moments, "_NEAR", near)
    lines = []
    for number in range(1, 301):
        date = 1_700_000_000 + 60 * number
        wrong = {290: 0, 120: 1, 200: 4_000_000_000}.get(number, date - (600 if number % 17 == 0 else 0))
        for branch, when, merged in (
            ("side", date + 30, ""),
            ("main", wrong, "merge refs/heads/side\n" * (number % 20 == 0)),
            ("rising", date, ""),
        ):
            who = f"committer T <t@example.com> {when} +0000"
            lines.append(f"commit refs/heads/{branch}\n{who}\ndata 2\n.\n{merged}\n")
    repo.git("fast-import", "--quiet", input="".join(lines))
    shallow = Repo(tmp_path / "shallow")
    repo.git("clone", "-q", "--depth=20", "--branch=main", repo.path.as_uri(), str(shallow.path))
    for one in (repo, shallow):
        repository, tip = Repository.open(str(one.path), os.environ), one.oid("main")
        for seconds in [*range(1_700_000_000, 1_700_018_100, 900), *range(1_700_017_000, 1_700_018_100, 100)]:
            expected = _naive(one, seconds)
            for text in (f"@{seconds}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))):
                if expected:
                    assert commit_named(repository, os.environ, tip, text) == expected
                else:
                    with pytest.raises(NotFound):
                        commit_named(repository, os.environ, tip, text)
            by_git = repo.git("rev-list", "-1", f"--min-age={seconds}", "rising", "--")
            if one is repo and by_git:
                assert commit_named(repository, os.environ, one.oid("rising"), f"@{seconds}") == by_git
