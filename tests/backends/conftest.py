"""Remote stores that are files, or served by a daemon or over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.remote_stores import World, serving

KINDS = ["file", "daemon", "http"]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path, request.param) as made:
        yield made
