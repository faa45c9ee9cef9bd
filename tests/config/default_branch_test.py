"""`store.git(url)` without a branch: the remote's default branch, and never silently another store (design 4.3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.remote_stores import World, serving
from support.repositories import Repo


@pytest.fixture(params=["file", "daemon"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    with serving(tmp_path, request.param) as made:
        yield made


def clone(world: World, name: str = "clone", branch: str = "") -> Repo:
    made = world.clone(name)
    made.git("config", "--unset", "ocuroot.state.remote")
    made.git("config", "ocuroot.repoAlias", "shop")
    text = f'ocuroot("0.3.0")\nstore.set(store.git("{world.url()}"{branch}))\n'
    (made.path / "repo.ocu.star").write_text(text)
    return made


def branches(bare: Repo) -> list[str]:
    return bare.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def test_of_an_empty_remote_it_is_the_one_that_head_names(world: World) -> None:
    bare = world.bare()
    bare.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    one = clone(world)
    assert "trunk" in one.run("get", "@/custom/x").stderr
    one.ocuroot("init")
    one.ocuroot("set", "+/custom/x", "1")
    assert branches(bare) == ["trunk"]
    # Renamed on the server, or asked no more: this clone keeps to the branch with the store.
    bare.git("branch", "other", "trunk")
    bare.git("symbolic-ref", "HEAD", "refs/heads/other")
    assert one.ocuroot("get", "+/custom/x") == '"1"'
    one.ocuroot("set", "+/custom/x", "2")
    assert bare.git("rev-parse", "other") != bare.git("rev-parse", "trunk")
    assert one.ocuroot("--offline", "get", "+/custom/x") == '"2"'


def test_a_store_of_the_first_version_is_found_on_state(world: World) -> None:
    bare = world.bare()
    first = clone(world, "first", ', branch="state"')
    first.ocuroot("init")
    first.ocuroot("set", "+/custom/x", "1")
    first.git("commit", "-q", "--allow-empty", "-m", "code")
    first.git("push", "-q", world.url(), "HEAD:refs/heads/main")
    bare.git("symbolic-ref", "HEAD", "refs/heads/main")
    other = clone(world, "other")
    assert other.ocuroot("get", "+/custom/x") == '"1"'
    (other.path / ".git/ocuroot").rename(other.path / "forgotten")
    assert "not 'main', the default branch, which holds no store" in other.ocuroot("status", "--json")
    other.ocuroot("set", "+/custom/x", "2")
    assert first.ocuroot("get", "+/custom/x") == '"2"'


def test_two_stores_are_no_guess(world: World) -> None:
    bare = world.bare()
    for branch in ("state", "main"):
        clone(world, branch, f', branch="{branch}"').ocuroot("init")
    bare.git("symbolic-ref", "HEAD", "refs/heads/main")
    done = clone(world).run("set", "+/custom/x", "1")
    assert done.returncode == 128 and "two hold a store" in done.stderr and 'branch = "state"' in done.stderr


def test_of_this_very_repository_it_is_state(store: Repo) -> None:
    store.git("config", "--remove-section", "ocuroot.state")
    (store.path / "repo.ocu.star").write_text('ocuroot("0.3.0")\nstore.set(store.git("."))\n')
    store.ocuroot("set", "+/custom/x", "1")
    assert store.ocuroot("get", "+/custom/x") == '"1"' and "'state'" in store.ocuroot("status")
