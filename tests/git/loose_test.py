"""Loose objects that were cut short are found, and are asked for no longer than it pays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.git import loose
from ocuroot_git.git.loose import LooseObjects
from ocuroot_git.git.objects import Oid

PACKED = Oid("f" * 40)


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Oid]:
    """Ten loose objects of a repository, in whose object directory we are."""
    path = tmp_path / "loose"
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q", "--bare")
    found = [repo.git("hash-object", "-w", "--stdin", input=str(number) * 100) for number in range(10)]
    monkeypatch.chdir(path / "objects")
    monkeypatch.setattr(loose, "_OFTEN", 50)
    monkeypatch.setattr(loose, "_ASKED_FOR_ONE", 10)
    return [Oid(oid.strip()) for oid in found]


def cut(oid: Oid) -> str:
    path = os.path.join(oid[:2], oid[2:])
    os.chmod(path, 0o644)
    os.truncate(path, os.path.getsize(path) - 8)
    return path


def ask(known: LooseObjects, times: int) -> None:
    for _ in range(times):
        assert known.cut_short(PACKED) is None


def test_when_all_are_whole_nobody_asks_again(objects: list[Oid]) -> None:
    known = LooseObjects(["."], lambda oid: False)
    ask(known, 99)
    assert known.are_there, "to check ten would take longer than was asked so far"
    ask(known, 1)
    assert not known.are_there
    assert known.cut_short(objects[0]) is None
    assert known.any_cut_short() is None


def test_those_that_were_checked_before_are_not_checked_again(objects: list[Oid]) -> None:
    known = LooseObjects(["."], lambda oid: False)
    for oid in objects[:8]:
        assert known.cut_short(oid) is None
    ask(known, 41)
    assert known.are_there
    ask(known, 2)
    assert not known.are_there


def test_one_that_was_cut_short_is_found_however_often_one_asks(objects: list[Oid]) -> None:
    path = os.path.join(".", cut(objects[4]))
    known = LooseObjects(["."], lambda oid: False)
    ask(known, 1000)
    assert known.are_there
    assert known.cut_short(objects[4]) == path
    assert known.any_cut_short() == path
    assert [known.cut_short(oid) for oid in objects].count(None) == 9


def test_large_ones_are_asked_for_longer(objects: list[Oid], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose, "_ASKED_FOR_BYTES", 1)
    size = sum(os.path.getsize(os.path.join(oid[:2], oid[2:])) for oid in objects)
    known = LooseObjects(["."], lambda oid: False)
    ask(known, size - 1)
    assert known.are_there
    ask(known, 1)
    assert not known.are_there
