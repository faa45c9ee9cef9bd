"""`match` agrees with a filter over all refs, in every kind of store."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import often
from support.globs import oracle, patterns
from support.repositories import SHOP_INSTRUCTIONS, Repo, unpack

import ocuroot_git
from ocuroot_git.formats.layout import SIDES


@pytest.fixture(scope="module")
def stores_of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[str]]]:
    """Stores on a branch, in a directory, and of the original's dialect, each with the refs that plain files say."""
    made = {}
    path = tmp_path_factory.mktemp("match")
    repo = Repo(path)
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    short = "".join(
        f"set {ref} 1\n"
        for ref in ("@/custom/a", "+/custom/b", "a/-/b/@1", "a/-/b/@2/call/a", "a/-/b/+1", "b/-/a/@/deploy/1")
    )
    repo.ocuroot("update", "--stdin", input=SHOP_INSTRUCTIONS + short)
    repo.ocuroot("export", "-q", "files")
    listed = repo.git("ls-tree", "-r", "-z", "--name-only", "state").split("\0")
    made["branch"] = (ocuroot_git.open(str(path)), refs_in(listed))
    environ = {**os.environ, "OCUROOT_STATE": str(path / "files")}
    made["directory"] = (ocuroot_git.open(str(path), environ=environ), refs_in(listed))
    unpack("v3", path / "original")
    environ = {**os.environ, "OCUROOT_STATE": str(path / "original")}
    listed = [str(file.relative_to(path / "original/state")) for file in (path / "original/state").rglob("*")]
    wanted = [str(file.relative_to(path / "original/intent")) for file in (path / "original/intent").rglob("*")]
    as_intent = [re.sub(r"(^|/)@", r"\1+", ref, count=1) for ref in refs_in(wanted)]
    made["dialect 3"] = (ocuroot_git.open(str(path), environ=environ), sorted(refs_in(listed) + as_intent))
    return made


def marker_of(ref: str) -> str:
    return next((segment[0] for segment in ref.split("/") if segment[0] in "@+"), "")


def refs_in(paths: list[str]) -> list[str]:
    return sorted(path[len("refs/") : -len("/@object.json")] for path in paths if path.endswith("/@object.json"))


@st.composite
def patterns_for(draw: st.DrawFn, known: list[str]) -> str:
    """Patterns that have something to do with refs that exist: some of their segments are replaced by wildcards."""
    segments_ = draw(st.sampled_from(known)).split("/")
    kept = list(segments_)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(kept) - 1))
        some = segments_[at]
        wildcards = ["*", "**", f"{{{some},x}}", f"{some[0]}*", "?" * len(some), f"*{some[-1]}", f"[!{some[0]}]*"]
        kept[at] = draw(st.sampled_from([*wildcards, f"{{**/,}}{some}"]))
    if len(kept) > 2 and draw(st.booleans()):
        begin = draw(st.integers(1, len(kept) - 1))
        kept[begin : draw(st.integers(begin, len(kept)))] = ["**"]
    return "/".join(kept)


@pytest.mark.parametrize("kind", ["branch", "directory", "dialect 3"])
def test_match_agrees_with_a_filter_over_all_refs(
    stores_of_all_kinds: dict[str, tuple[Any, list[str]]], kind: str
) -> None:
    stores, known = stores_of_all_kinds[kind]
    assert stores.match("**") == known
    snapshot = stores.snapshot()

    @settings(often, max_examples=250)
    @given(st.lists(st.one_of(patterns_for(known), patterns), min_size=1, max_size=2), patterns_for(known))
    def check(several: list[str], excluded: str) -> None:
        expected = [ref for ref in known if any(oracle(one).fullmatch(ref) for one in several)]
        assert snapshot.match(*several) == expected, several
        assert snapshot.match(*several, exclude=[excluded]) == [
            r for r in expected if not oracle(excluded).fullmatch(r)
        ]
        for side, marker in zip(SIDES, "@+", strict=True):
            of_side = [ref for ref in expected if (marker_of(ref) or "@") == marker]
            assert snapshot.match(*several, side=side) == of_side, several
        no_links = [ref for ref in expected if snapshot.object(ref).kind == "ref"]
        assert snapshot.match(*several, links=False) == no_links

    check()
