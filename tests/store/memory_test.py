"""The memory of what was derived: bounded, shared by processes, and never an obstacle when it is damaged or foreign."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import TOP

from ocuroot_git.store.memory import Memory

IDS = [f"{number:040x}" for number in range(2000)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "derived.sqlite")


def filled(path: str, most: int = 1 << 20) -> dict[str, bytes]:
    entries = {id_: id_.encode() * 3 for id_ in IDS[:50]}
    memory = Memory(path, most)
    memory.put("package/1", entries)
    memory.close()
    return entries


def test_another_process_knows_what_was_put(path: str) -> None:
    entries = filled(path)
    memory = Memory(path)
    assert memory.get("package/1", IDS[:60]) == entries
    assert memory.get("package/2", IDS[:60]) == {}
    assert memory.get("package/1", []) == {}
    assert sorted(memory.ids("package/1")) == sorted(entries)
    assert memory.kinds() == {"package/1": 50}
    assert memory.size == os.path.getsize(path)


def test_an_entry_is_replaced(path: str) -> None:
    memory = Memory(path)
    memory.put("k", {IDS[0]: b"a"})
    memory.put("k", {IDS[0]: b"b"})
    assert memory.get("k", IDS[:2]) == {IDS[0]: b"b"}


def test_more_ids_than_a_statement_takes(path: str) -> None:
    memory = Memory(path)
    entries = dict.fromkeys(IDS, b"x")
    memory.put("k", entries)
    assert memory.get("k", IDS) == entries


def test_the_least_used_go_first(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 400_000
    memory = Memory(path, most)
    yesterday = time.time() - 86400 * 2
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: yesterday)
        memory.put("k", dict.fromkeys(IDS[:20], b"o" * 10000))
    assert len(memory.get("k", IDS[:5])) == 5  # used today
    for start in range(20, 60, 5):
        memory.put("k", dict.fromkeys(IDS[start : start + 5], b"n" * 10000))
        assert os.path.getsize(path) < most * 1.5
    known = memory.get("k", IDS[:60])
    assert set(IDS[55:60]) <= known.keys()
    assert not set(IDS[5:20]) & known.keys()


def test_nothing_is_kept_where_nothing_may_be(path: str) -> None:
    memory = Memory(path, 0)
    memory.put("k", {IDS[0]: b"a"})
    assert memory.get("k", IDS[:1]) == {}
    assert not os.path.exists(path)


def truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def header_alone(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def broken_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(bytes(data))


def of_another_program(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE derived (something TEXT)")
    database.commit()
    database.close()


def of_a_newer_version(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("DROP TABLE derived")
    database.execute("CREATE TABLE derived (kind, id, used, hash, data, more)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "damage", [truncated, garbage, header_alone, broken_pages, of_another_program, of_a_newer_version]
)
def test_a_file_of_no_use_is_thrown_away(path: str, damage: Callable[[Path], None]) -> None:
    entries = filled(path)
    damage(Path(path))
    memory = Memory(path)
    known = memory.get("package/1", IDS)
    assert all(entries[id_] == data for id_, data in known.items())
    memory.put("package/1", entries)
    memory.close()
    again = Memory(path)
    again.put("package/1", entries)
    assert again.get("package/1", IDS) == entries


def test_an_empty_file_is_filled(path: str) -> None:
    Path(path).touch()
    entries = filled(path)
    assert Memory(path).get("package/1", IDS) == entries


def test_a_flipped_bit_is_noticed(path: str) -> None:
    entries = filled(path)
    data = Path(path).read_bytes()
    wanted = entries[IDS[7]]
    assert data.count(wanted) == 1
    flipped = bytes([wanted[0] ^ 1]) + wanted[1:]
    Path(path).write_bytes(data.replace(wanted, flipped))
    known = Memory(path).get("package/1", IDS)
    assert IDS[7] not in known
    assert known == {id_: data for id_, data in entries.items() if id_ != IDS[7]}


def test_what_is_no_plain_file_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(other)
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (link, folder, tmp_path / "nowhere" / "file"):
        memory = Memory(str(place))
        memory.put("k", {IDS[0]: b"a"})
        assert memory.get("k", IDS[:1]) == {}
    assert other.read_text() == "precious"


def test_a_file_that_may_only_be_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = filled(path)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write whatever the mode is
    memory = Memory(path)
    assert memory.get("package/1", IDS) == entries
    memory.put("package/1", {IDS[100]: b"a"})
    assert memory.get("package/1", IDS) == entries


def test_clear(path: str) -> None:
    filled(path)
    memory = Memory(path)
    assert memory.get("package/1", IDS)
    memory.clear()
    assert not os.path.exists(path)
    assert memory.get("package/1", IDS) == {}
    memory.put("package/1", {IDS[0]: b"a"})
    assert memory.get("package/1", IDS) == {IDS[0]: b"a"}


WRITER = f"""
import sys
sys.path.insert(0, {str(TOP)!r})
from ocuroot_git.store.memory import Memory
path, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for round in range(rounds):
    memory = Memory(path)
    memory.put("k", {{f"{{number * 10000 + round:040x}}": f"{{number}}/{{round}}".encode() * 50}})
    known = memory.get("k", [f"{{n * 10000 + r:040x}}" for n in range(8) for r in range(round + 1)])
    for id_, data in known.items():
        assert data == f"{{int(id_, 16) // 10000}}/{{int(id_, 16) % 10000}}".encode() * 50, (id_, data)
    memory.close()
"""


def test_many_processes_at_once(path: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(number), "20"], stderr=subprocess.PIPE)
        for number in range(6)
    ]
    for writer in writers:
        _, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err.decode()
    known = Memory(path).get("k", [f"{n * 10000 + r:040x}" for n in range(6) for r in range(20)])
    assert len(known) > 60, "writers that wait half a second for each other should rarely give up"


def test_killed_writers_leave_a_file_that_is_right_or_thrown_away(path: str) -> None:
    for delay in (0.1, 0.15, 0.2, 0.25):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path, "1", "9999"], stderr=subprocess.DEVNULL)
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        memory = Memory(path)
        for id_, data in memory.get("k", [f"{10000 + r:040x}" for r in range(500)]).items():
            assert data == f"1/{int(id_, 16) - 10000}".encode() * 50
        memory.put("k", {IDS[0]: b"a"})
        memory.close()
        assert Memory(path).get("k", IDS[:1]) in ({IDS[0]: b"a"}, {})
