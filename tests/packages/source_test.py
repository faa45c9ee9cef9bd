"""Which version of the SDK a file asks for."""

from __future__ import annotations

import pytest

from ocuroot_git.packages.source import version_for


@pytest.mark.parametrize(
    "asked",
    ["0.3.0", "0.3.14", "v0.3.1", "0.3.x", "0.3", "0.x", "*", ">=0.3", "^0.3", "~0.3.0", ">=0.2, <0.4", "1 || 0.3"],
)
def test_known(asked: str) -> None:
    assert version_for(asked) == "0.3.0"


@pytest.mark.parametrize(
    "asked", ["", "0.4", "1", "0.2.x", ">0.3", "<0.3.0", "newest", "0.3.x.y", "0.3.0-beta", "!=0.3"]
)
def test_unknown(asked: str) -> None:
    assert version_for(asked) is None
