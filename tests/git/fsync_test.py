"""`core.fsync`: what is seen on the disk before a command ends is what git's own commands see there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import PROGRAM
from support.repositories import Repo

from ocuroot_git.git.config import Config
from ocuroot_git.store.memory import FILE

pytestmark = pytest.mark.new_interpreter

LOOSE, REFERENCE = "loose-object", "reference"
VALUES = {
    (): set(),
    ("core.fsync=none",): set(),
    ("core.fsync=loose-object",): {LOOSE},
    ("core.fsync=ref",): {REFERENCE},
    ("core.fsync=objects,pack-metadata",): {LOOSE},
    ("core.fsync=-loose-object, committed",): {LOOSE, REFERENCE},
    ("core.fsync=all,-all",): {LOOSE, REFERENCE},
    ("core.fsync=all", "core.fsync=pack,index"): set(),
    ("core.fsync=COMMITTED,nonsense",): set(),
    ("core.fsync=reference", "core.fsyncObjectFiles=true"): {LOOSE, REFERENCE},
    ("core.fsync=all", "core.fsyncObjectFiles=false"): {LOOSE, REFERENCE},
    ("core.fsync=all", "core.fsyncMethod=batch"): {LOOSE, REFERENCE},
    ("core.fsync=all", "core.fsyncMethod=writeout-only"): {LOOSE, REFERENCE},
}
"""What is configured, and what waits for the disk."""


def traces() -> bool:
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_strace = pytest.mark.skipif(not traces(), reason="strace is not here, or may not trace")


def synced(repo: Repo, trace: Path, *command: str) -> list[str]:
    """The kinds of files that a command, or what it starts, waits for; one for each call."""
    wanted = "trace=fsync,fdatasync,sync_file_range"
    done = subprocess.run(
        ["strace", "-f", "-y", "-e", wanted, "-o", str(trace), *command],
        cwd=repo.path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paths = re.findall(r"(?:sync|range)\(\d+<([^>]*)>", trace.read_text())
    kinds = {"/pack/": "pack", "/objects/": LOOSE, "/logs/": "log", "/refs/": REFERENCE, "/ocuroot": "memory"}
    found = (next((kind for part, kind in kinds.items() if part in path), None) for path in paths)
    return [kind for kind in found if kind is not None]  # the index is no concern of ours


def options(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("-c", value)]


@needs_strace
@pytest.mark.parametrize("values", VALUES, ids=" ".join)
def test_the_same_as_git(store: Repo, tmp_path: Path, values: tuple[str, ...]) -> None:
    commit = ("commit", "-q", "--allow-empty", "-m", "x")
    by_git = synced(store, tmp_path / "git", "git", *options(values), *commit)
    assert set(by_git) == VALUES[values]
    by_us = synced(store, tmp_path / "us", "git", *options(values), "ocuroot", "set", "+/custom/x", "1")
    assert set(by_us) - {"log"} == VALUES[values]
    if LOOSE in by_us:
        new = set(store.git("rev-list", "--objects", "state~1..state").split()) & set(
            store.git("cat-file", "--batch-check=%(objectname)", "--batch-all-objects").split()
        )
        assert by_us.count(LOOSE) >= len(new) > 3, "every object is waited for"


@needs_strace
def test_a_pack_is_on_the_disk_by_default(store: Repo, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"set @/custom/{number} 1\n" for number in range(100)))
    update = ("sh", "-c", f"git ocuroot update --stdin <'{lines}'")
    assert "pack" in synced(store, tmp_path / "trace", *update)
    lines.write_text(lines.read_text().replace(" 1\n", " 2\n"))
    store.git("config", "core.fsync", "none")
    assert synced(store, tmp_path / "trace", *update) == []


@needs_strace
def test_the_repository_of_a_remote_store(store: Repo, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    store.git("init", "-q", "--bare", str(hub))
    store.git("config", "ocuroot.state.remote", str(hub))
    store.ocuroot("init", "-q")
    store.git("config", "core.fsync", "all")
    ours = synced(store, tmp_path / "trace", sys.executable, str(PROGRAM), "set", "+/custom/x", "1")
    assert {LOOSE, REFERENCE} <= set(ours)


@needs_strace
def test_what_is_remembered_waits_for_no_disk(store: Repo, tmp_path: Path) -> None:
    """It may be lost, and a disk that is slow would make each first look at a store slow."""
    store.git("config", "core.fsync", "all")
    memory = store.path / ".git" / "ocuroot" / FILE
    memory.unlink(missing_ok=True)
    assert synced(store, tmp_path / "trace", sys.executable, str(PROGRAM), "status") == []
    assert memory.exists()


@pytest.mark.parametrize("values", VALUES, ids=" ".join)
def test_configuration(repo: Repo, values: tuple[str, ...]) -> None:
    """The same table, where nothing can be traced."""
    listing = repo.git(*options(values), "config", "--list", "-z", "--show-scope")
    assert set(Config.parse(listing.encode()).synced()) == VALUES[values]
