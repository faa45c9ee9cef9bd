"""Ids and refs are types of their own: mypy, which reads the tests too, refuses one in the place of another.

Each `type: ignore` stands where mypy must find an error: one that it does not need is an error itself (`make lint`).
"""

from __future__ import annotations

from ocuroot_git.formats.layout import Layout, StoredRef, object_path, split_target, stored_ref
from ocuroot_git.formats.refs import Ref
from ocuroot_git.git.objects import ABSENT, Oid
from ocuroot_git.git.repository import Repository
from ocuroot_git.store.tree import StoreTree


def mixed_up(tree: StoreTree, repository: Repository) -> None:
    layout = tree.layout
    stored = layout.spellings(Ref.parse("+/custom/x"))[0]
    shown = layout.shown(stored)
    tree.object(shown)  # type: ignore[arg-type]
    tree.object("+/custom/x")  # type: ignore[arg-type]
    object_path(shown)  # type: ignore[arg-type]
    layout.shown(shown)  # type: ignore[arg-type]
    layout.shown("@/custom/x")  # type: ignore[arg-type]
    repository.commit("state~1")  # type: ignore[arg-type]
    repository.commit(stored)  # type: ignore[arg-type]
    repository.commit(repository.resolve("state~1"))
    if shown == stored:  # type: ignore[comparison-overlap]
        raise AssertionError


def test_the_functions_of_the_layout_convert() -> None:
    layout = Layout(3, "intent")
    stored = layout.spellings(Ref.parse("r/-/p/+1/custom/x"))[0]
    assert (stored, layout.shown(stored)) == ("r/-/p/@r1/custom/x", "r/-/p/+r1/custom/x")
    assert stored_ref(object_path(stored)) == stored
    assert split_target("@/custom/x#a/b") == ("@/custom/x", "a/b")
    assert layout.shown_target("@/custom/x#a/b") == "+/custom/x#a/b"
    assert layout.shown_target("@/custom/x") == "+/custom/x"


def test_at_run_time_they_are_plain_text() -> None:
    """So that they cost nothing."""
    assert {type(text) for text in (StoredRef("x"), Oid("x"), ABSENT)} == {str}
