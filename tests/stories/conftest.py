"""Servers at which changes wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.contended import Contended
from support.remote_stores import serving


@pytest.fixture
def contended(tmp_path: Path) -> Iterator[Contended]:
    with serving(tmp_path, "file") as world:
        bare = world.bare()
        made = Contended(world, bare)
        made.clone("maker").ocuroot("init", "-q")
        yield made
