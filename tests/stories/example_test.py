"""The example of docs/ledger.md: the script still makes such a store, and its grid is what a terminal shows."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import FIXTURES, TOP
from support.repositories import Repo
from support.terminals import on_terminal

pytestmark = pytest.mark.new_interpreter


def begun(path: Path) -> subprocess.Popen[bytes]:
    """The script at work on a store of twelve releases of three packages."""
    return subprocess.Popen(
        [sys.executable, str(FIXTURES / "example_store.py"), str(path), "--releases", "12", "--packages", "3"],
        env={**os.environ, "GITHUB_ACTIONS": "true", "TZ": "Asia/Tokyo"},  # as nothing of its surroundings matters
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_the_script_makes_such_a_store(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    paths = (tmp_path / "shop", tmp_path / "again" / "shop")
    assert [process.wait() for process in [begun(path) for path in paths]] == [0, 0]
    shop, again = map(Repo, paths)
    for branch in ("main", "state"):
        assert again.git("rev-parse", branch) == shop.git("rev-parse", branch), "the same bytes"
    assert len(shop.ocuroot("match", "**/@1", "**/@2", "**/@3", "**/@4").splitlines()) == 12
    rows = [line.split("\t") for line in shop.ocuroot("deployments", "--history").splitlines()]
    told = {
        (package.rpartition("/")[2], where, what, before, after) for _, package, where, what, before, after, *_ in rows
    }
    assert ("banner.json", "production-us", "down", "@4", "") in told
    assert ("accounts.json", "production-eu", "up", "@2", "@1") in told, "a rollback"
    assert ("banner.json", "staging", "up failed", "@3", "@4") in told
    assert ("cart.json", "production-us", "up failed", "@3", "@4") in told, "which nobody has looked at"
    assert {by for *_, by, _ in rows} >= {"github:ann", "github:dave", "local:carol@example.com"}
    assert shop.ocuroot("fsck") == ""


def test_the_grid_of_the_example(tmp_path: Path) -> None:
    """How long ago that was grows with time; what else it shows on a terminal is what the page says."""
    page = (TOP / "docs" / "ledger.md").read_text(encoding="utf-8")
    command, shown = page.partition("```\n$ git ocuroot deployments //")[2].partition("\n```")[0].split("\n", 1)
    shop = Repo(tmp_path / "shop")
    shop.path.mkdir()
    shop.git("init", "-q", "-b", "main")
    stream = gzip.decompress((FIXTURES / "example.gz").read_bytes())
    subprocess.run(["git", "fast-import", "--quiet"], cwd=shop.path, input=stream, check=True)
    printed = on_terminal(
        shop, "deployments", *f"//{command}".split(), COLUMNS="120", NO_COLOR="1", GIT_PAGER="cat", TERM="xterm"
    )

    def without_ages(text: str) -> list[str]:
        return re.sub(r"\d+ \w+ ago", "… ago", text).split()

    assert without_ages(printed) == without_ages(shown)
