"""`watch` is killed again and again while another process writes: nothing is missed or told in another order."""

from __future__ import annotations

import random
import sys

import pytest
from support.program import FIXTURES
from support.repositories import Repo

sys.path.insert(0, str(FIXTURES))
import watch_soak


@pytest.mark.parametrize("command", [True, False], ids=["a command", "stdout"])
def test_kills(store: Repo, command: bool) -> None:
    report = watch_soak.soak(store.path, 15, random.random(), command=command)
    assert report.kills == 15 and report.told > 15
    assert report.is_good, str(report)
