"""Templates are compiled once, and what is kept of that can be lost or damaged without harm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment
from support.repositories import Repo
from support.viewing import Browser, application

from ocuroot_git.web import compiled


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was compiled is kept."""
    monkeypatch.setattr(compiled, "_KEPT", tmp_path / "kept")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "kept"


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates that were compiled."""
    names: list[str] = []
    compile_one = Environment.compile

    def noted(self: Environment, source: str, name: str, filename: str) -> object:
        names.append(name)
        return compile_one(self, source, name, filename)

    monkeypatch.setattr(Environment, "compile", noted)
    return names


def page(repo: Repo) -> str:
    browser = Browser(application(repo.path))
    for _ in range(100):
        text = browser.get("/packages")
        if '~">' not in text:
            return text
    raise AssertionError("the page does not become whole")  # on a busy machine it takes a while


def test_templates_are_compiled_once(shop: Repo, kept: Path, compiles: list[str]) -> None:
    first = page(shop)
    assert "packages.html" in compiles and len(list(kept.iterdir())) == len(set(compiles))
    compiles.clear()
    assert page(shop) == first
    assert compiles == []


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"half", b"changed"])
def test_what_is_damaged_is_compiled_anew(shop: Repo, kept: Path, compiles: list[str], damage: bytes) -> None:
    first = page(shop)
    count = len(compiles)
    for file in kept.iterdir():
        data = file.read_bytes()
        file.write_bytes({b"half": data[: len(data) // 2], b"changed": b"\x00" + data[1:]}.get(damage, damage))
    assert page(shop) == first and len(compiles) == 2 * count
    assert page(shop) == first and len(compiles) == 2 * count


def test_a_template_that_was_changed_is_compiled_anew(shop: Repo, kept: Path, compiles: list[str]) -> None:
    """What was compiled of another text stands under the name of the template."""
    page(shop)
    names = {file.name.partition(".html")[0]: file for file in kept.iterdir()}
    names["packages"].write_bytes(names["macros"].read_bytes())
    compiles.clear()
    assert page(shop) and compiles == ["packages.html"]


def test_nothing_is_kept_where_that_cannot_be(
    shop: Repo, kept: Path, compiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.write_text("in the way")
    first = page(shop)
    kept.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert page(shop) == first
    assert not kept.exists() and len(compiles) == 2 * len(set(compiles))
