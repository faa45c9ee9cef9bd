"""What the tests of configuration share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Neither a child process nor an open file is left of an evaluation."""
    before, children = set(os.listdir("/dev/fd")), _children()
    yield
    assert _children() <= children  # neither a zombie nor a child that still runs, but for those of other tests
    assert set(os.listdir("/dev/fd")) <= before


def _children() -> set[str]:
    """The processes whose parent this one is."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                children.add(stat.parent.name)
    return children
