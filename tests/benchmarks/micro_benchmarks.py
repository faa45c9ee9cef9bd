"""Micro-benchmarks, to compare one version with the next.

Run them with `python -m pytest tests/benchmarks/micro_benchmarks.py --benchmark-only`; `make bench` measures whole
processes beside git.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.program import FIXTURES
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.formats import documents
from ocuroot_git.formats.globs import Glob
from ocuroot_git.formats.refs import Ref
from ocuroot_git.git.object_writer import ObjectWriter
from ocuroot_git.git.repository import Repository

Benchmark = Callable[..., object]
PACKAGE = "github.com/example/shop/-/services/service-0000/release.ocu.star"
REF = f"{PACKAGE}/@7/deploy/production/1/status/complete"


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = Repo(tmp_path_factory.mktemp("workload"))
    repo.git("init", "-q", "--bare")
    stream = subprocess.run(
        [sys.executable, str(FIXTURES / "workload.py"), "--documents", "10000"], stdout=subprocess.PIPE, check=True
    ).stdout
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, input=stream, check=True)
    return repo


@pytest.fixture
def stores(workload: Repo, monkeypatch: pytest.MonkeyPatch) -> ocuroot_git.Stores:
    monkeypatch.chdir(workload.path)
    return ocuroot_git.open()


def test_parse_ref(benchmark: Benchmark) -> None:
    assert str(benchmark(Ref.parse, REF)) == REF


@pytest.mark.parametrize("glob", ["**/deploy/production", f"{PACKAGE}/@*/deploy/{{staging,production}}/**", "**"])
def test_compile_glob(benchmark: Benchmark, glob: str) -> None:
    assert benchmark(lambda: Glob(glob).start.dead) is False


@pytest.mark.parametrize("glob", ["**/status/*", f"{PACKAGE}/@*/**", "**/@[0-9]*/{call,deploy}/**"])
def test_match_one_ref(benchmark: Benchmark, glob: str) -> None:
    assert benchmark(Glob(glob).matches, REF)


@pytest.mark.parametrize("glob", [f"{PACKAGE}/@7/**", "**/deploy/production", "**"])
def test_match(benchmark: Benchmark, stores: ocuroot_git.Stores, glob: str) -> None:
    assert benchmark(stores.match, glob)


def test_get(benchmark: Benchmark, stores: ocuroot_git.Stores) -> None:
    assert benchmark(stores.get, f"{PACKAGE}/@/deploy/production")


def test_parse_document(benchmark: Benchmark) -> None:
    text = json.dumps([{"timestamp": "2026-01-01T00:00:00Z", "message": f"line {n}", "stream": 1} for n in range(100)])
    parsed: Any = benchmark(documents.parse, text)
    assert len(parsed) == 100


def test_dump_document(benchmark: Benchmark) -> None:
    value = [{"timestamp": "2026-01-01T00:00:00Z", "message": f"line {n}", "stream": 1} for n in range(100)]
    assert benchmark(documents.dump, value)


@pytest.mark.parametrize("changes", [1, 10])
def test_edit_tree(benchmark: Benchmark, workload: Repo, changes: int) -> None:
    repository = Repository.open(str(workload.path), os.environ)
    root = repository.root(workload.oid("state"))
    writer = ObjectWriter(repository, frozenset())
    number = count()

    def edit() -> object:
        data = str(next(number)).encode()
        return writer.edit(root, {f"refs/{PACKAGE}/@{n + 1}/custom/x/@object.json": data for n in range(changes)})

    assert benchmark(edit)


@pytest.mark.parametrize("ref", ["+/custom/freeze", f"{PACKAGE}/@7/custom/x"])
def test_set(benchmark: Benchmark, tmp_path: Path, workload: Repo, monkeypatch: pytest.MonkeyPatch, ref: str) -> None:
    workload.git("clone", "-q", "--bare", "--shared", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    stores = ocuroot_git.open()
    number = count()
    benchmark(lambda: stores.set(ref, next(number)))
    assert stores.get(ref) == next(number) - 1
