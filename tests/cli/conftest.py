"""What the tests of the command line share."""

from __future__ import annotations

import pytest


@pytest.fixture
def fixed_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit is of the same time, so that the output that shows it can be compared as a whole."""
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, "2026-11-20T10:00:00+0100")
