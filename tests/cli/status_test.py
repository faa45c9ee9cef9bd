"""`git ocuroot status`, its whole output."""

from __future__ import annotations

import pytest
from support.golden import check_golden, plain
from support.repositories import SHOP, Repo

pytestmark = [pytest.mark.new_interpreter, pytest.mark.usefixtures("fixed_dates")]


def test_status(shop: Repo) -> None:
    done = shop.run("status")
    check_golden("status.txt", plain(done.stdout))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"warning: '{SHOP}/@1/call/build/1' is left out: it is missing, and there are ")
    check_golden("status.json", plain(shop.run("status", "--json").stdout))


def test_status_without_a_store(repo: Repo) -> None:
    check_golden("status-without-store.txt", repo.ocuroot("status") + "\n")
