"""Directories that are the same in both stores are passed over: what is told is as if all had been compared."""

from __future__ import annotations

import pytest
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import diff


class _Enough(Exception):
    """Ends a transaction that is not to be written."""


def test_changes_within_a_transaction_are_compared(store: Repo) -> None:
    """Also where the directory was the same in both stores before it, of a release too."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        tx.set("r/-/a/@1", {"commit": "abcdef1", "package": {"phases": []}})
        for head in ("r/-/a/@1", "r/-/a/+1", "@", "+"):
            tx.set(f"{head}/custom/x/y", 1)
    with pytest.raises(_Enough), stores.transaction() as tx:
        tx.set("r/-/a/+1/custom/x/y", 2)
        tx.set("+/custom/x/z", 2)
        tx.delete("@/custom/x/y")
        found = [(one.status, one.ref) for one in diff.differences(tx)]
        assert found == [("A", "+/custom/x/y"), ("A", "+/custom/x/z"), ("M", "r/-/a/+1/custom/x/y")]
        tx.remove("r/-/a/+1")
        assert ("D", "r/-/a/+1/custom/x/y") in [(one.status, one.ref) for one in diff.differences(tx)]
        raise _Enough


def test_the_order_of_intents_is_that_of_their_names(store: Repo) -> None:
    """Of those that are about one document by way of links the first counts, within a transaction as without one."""
    stores = ocuroot_git.open(str(store.path))
    with stores.transaction() as tx:
        tx.set("@/custom/x", 0)
        for name in ("c", "a-b", "a", "f", "b", "d"):
            tx.link(f"@/custom/{name}", "@/custom/x")
            tx.set(f"+/custom/{name}", name)
    found = [(one.status, one.ref) for one in diff.differences(stores.snapshot())]
    assert ("M", "+/custom/a") in found and [status for status, _ in found].count("M") == 1
    with pytest.raises(_Enough), stores.transaction() as tx:
        assert [(one.status, one.ref) for one in diff.differences(tx)] == found
        raise _Enough
