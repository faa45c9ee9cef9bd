"""Looking for an operation in the history of a branch, in this process or by git."""

from __future__ import annotations

import os

import pytest
from support.repositories import Repo

from ocuroot_git.backends.operations import find_carried
from ocuroot_git.git.objects import ObjectError, Oid
from ocuroot_git.git.repository import Repository


def test_what_cannot_be_read_here_git_looks_for(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `git gc --prune=now` moves objects: what is in no file that this process knows, git finds in a new one."""
    since = Oid(store.oid("state"))
    for number in range(3):
        store.ocuroot("set", "+/custom/x", str(number), "--operation", f"op-{number}")
    repository = Repository.open(str(store.path), os.environ)

    def carried(name: str) -> str | None:
        found = find_carried(name, Oid(store.oid("state")), since, repository, os.environ)
        return None if found is None else found.commit

    expected = [store.oid("state~1"), None]
    assert [carried("op-1"), carried("op-9")] == expected

    def is_gone(self: Repository, oid: Oid) -> None:
        raise ObjectError(f"cannot read commit {oid}: there is no such object")

    monkeypatch.setattr(Repository, "message_and_parents", is_gone)
    assert [carried("op-1"), carried("op-9")] == expected
