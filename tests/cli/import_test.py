"""`git ocuroot import` of much: in bounded memory, and all or nothing, whatever is met on the way."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.program import PROGRAM
from support.repositories import Repo, begin

from ocuroot_git.backends.directory import Directory
from ocuroot_git.formats.layout import STORE_FILE, Layout
from ocuroot_git.store.copy import Intake, Source

pytestmark = pytest.mark.new_interpreter

MARKER = '{"version": 1}\n'


def document(number: int) -> str:
    return f'{{\n  "kind": "ref",\n  "body": {{"number": {number}, "text": "{number * 7:0500}"}}\n}}\n'


def write_store(top: Path, count: int) -> Path:
    """A directory with a store of so many documents."""
    for number in range(count):
        path = top / f"refs/repo/-/service-{number // 500}/@{number % 500 + 1}"
        path.mkdir(parents=True)
        (path / "@object.json").write_text(document(number))
    (top / STORE_FILE).write_text(MARKER)
    return top


def peak_memory(repo: Repo, *words: str) -> int:
    """The most memory, in KiB, that the program had, or git which it started."""
    process = subprocess.Popen([sys.executable, str(PROGRAM), *words], cwd=repo.path)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


def test_memory_is_bounded(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    """The 30,000 documents are 19 MB, and their paths as many objects again; twice that was held."""
    peaks = []
    for count in (1_000, 30_000):
        files = write_store(tmp_path / f"files-{count}", count)
        repo = make_repo(f"repo-{count}")
        peaks.append(peak_memory(repo, "import", "-q", str(files)))
        assert repo.git("ls-tree", "-r", "--name-only", "state").count("\n") == count
    assert peaks[1] - peaks[0] < 12 << 10, peaks


def untouched(repo: Repo) -> None:
    """Nothing was made, and nothing is left behind."""
    assert repo.git("for-each-ref") == ""
    assert repo.git("count-objects") == "0 objects, 0 kilobytes"
    left = [path for path in (repo.path / ".git").rglob("*") if path.name.endswith((".tmp", ".lock", ".pack"))]
    assert left == []
    assert list((repo.path / ".git").glob("fast_import_crash_*")) == []


def test_a_bad_file_at_the_end(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, repo = write_store(tmp_path / "files", 600), make_repo("repo")
    last = files / "refs/repo/-/service-1/@99/@object.json"
    last.unlink()
    os.mkfifo(last)
    done = repo.run("import", str(files))
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.startswith(f"fatal: refusing to use '{last}': it is a FIFO\n")
    untouched(repo)


def test_a_name_that_no_store_can_hold(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, repo = write_store(tmp_path / "files", 10), make_repo("repo")
    for name in (b"refs/repo/\xff", b"refs/repo/.git"):
        bad = os.path.join(os.fsencode(files), name)
        os.mkdir(bad)
        Path(os.fsdecode(bad), "@object.json").write_text(document(1))
        done = repo.run("import", str(files))
        assert (done.returncode, done.stdout) == (128, ""), name
        assert done.stderr.startswith("fatal: ") and done.stderr.count("\n") == 1, done.stderr
        untouched(repo)
        Path(os.fsdecode(bad), "@object.json").unlink()
        os.rmdir(bad)


def test_two_stores_are_made_when_both_are_known_to_be_whole(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, repo = tmp_path / "files", make_repo("repo")
    for side in ("state", "intent"):
        write_store(files / side, 3)
    repo.git("config", "ocuroot.intent.branch", "wanted")
    bad = files / "intent/refs/repo/-/service-0/@2/@object.json"
    bad.unlink()
    bad.symlink_to("elsewhere")
    done = repo.run("import", str(files))
    assert (done.returncode, "it is a symbolic link" in done.stderr) == (128, True)
    untouched(repo)
    bad.unlink()
    repo.ocuroot("import", "-q", str(files))
    for branch in ("state", "wanted"):
        assert repo.git("log", "--format=%s", branch) == "import 5 refs\nCreate the store", branch


def test_killed_at_any_moment(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, repo = write_store(tmp_path / "files", 2_000), make_repo("repo")
    began = time.monotonic()
    make_repo("whole").ocuroot("import", "-q", str(files))
    whole = time.monotonic() - began
    killed = 0
    for attempt in range(8):
        running = begin(repo, "import", "-q", str(files), start_new_session=True)
        try:
            running.wait(whole * (0.1 + attempt * 0.115))
        except subprocess.TimeoutExpired:
            # In turn the program alone, and git with it.
            (os.kill if attempt % 2 else os.killpg)(running.pid, signal.SIGKILL)
            running.wait()
            killed += 1
        for lock in repo.path.glob(".git/refs/**/*.lock"):
            lock.unlink()  # git's own, as with every program that git ships
        if repo.git("for-each-ref") == "":
            continue
        assert repo.git("rev-list", "--count", "state") == "2"
        assert repo.ocuroot("match", "--count", "**") == "2000"
        repo.git("update-ref", "-d", "refs/heads/state")
    assert killed > 0
    repo.git("config", "ocuroot.state.branch", "at-last")
    repo.ocuroot("import", "-q", str(files))
    repo.git("fsck", "--strict", "--no-dangling")
    left = [path for path in (repo.path / ".git").rglob("*") if path.name.endswith((".tmp", ".lock"))]
    assert left == []
    assert list((repo.path / ".git").glob("fast_import_crash_*")) == []


def test_a_full_disk(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, repo = write_store(tmp_path / "files", 500), make_repo("repo")

    def files_up_to_a_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = repo.run("import", str(files), preexec_fn=files_up_to_a_limit)
    assert (done.returncode, done.stdout) == (128, "")
    assert done.stderr.startswith("fatal: ") and "fast-import" in done.stderr, done.stderr
    untouched(repo)
    repo.git("config", "ocuroot.state.path", "there")
    done = repo.run("import", str(files), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)))
    assert (done.returncode, "File too large" in done.stderr) == (128, True), done.stderr
    assert not (repo.path / "there").exists()


def test_into_a_directory(shop: Repo, make_repo: Callable[..., Repo]) -> None:
    shop.ocuroot("export", "-q", "out")
    repo = make_repo("repo")
    repo.git("config", "ocuroot.state.path", "there")
    done = repo.run("import", str(shop.path / "out"))
    assert (done.returncode, done.stderr.startswith("Imported ")) == (0, True), done.stderr
    assert repo.ocuroot("match", "--values", "**") == shop.ocuroot("match", "--values", "**")
    done = repo.run("import", str(shop.path / "out"))
    assert (done.returncode, "exists already" in done.stderr) == (128, True)


def test_into_a_remote_store(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    files, hub, repo = write_store(tmp_path / "files", 300), make_repo("hub", "--bare"), make_repo("repo")
    readme = {"README.md": "# State\n"}
    where = f'store.git("{hub.path}", branch="state", support_files={json.dumps(readme)})'
    (repo.path / "repo.ocu.star").write_text(f'ocuroot("0.3.0")\nstore.set({where})\n')
    repo.ocuroot("import", "-q", str(files))
    assert hub.git("log", "--format=%s", "state").split("\n") == [
        "import 300 refs",
        "Add the files that support the store",
        "Create the store",
    ]
    assert hub.git("show", "state:README.md") == "# State"
    assert repo.ocuroot("match", "--count", "**") == "300"
    hub.git("fsck", "--strict")
    done = repo.run("import", str(files))
    assert (done.returncode, "exists already" in done.stderr) == (128, True)


def test_the_same_import_is_known_again_in_any_place(tmp_path: Path) -> None:
    """What stands for it is written into the commit of a named import: it is that of the sorted paths, as ever."""
    chance = random.Random(3)
    names = ["a", "a.b", "a-b", "a b", "A", "ü", "a\U0001f600", "\ufb01", "zz"]
    for number in range(20):
        files: dict[str, dict[str, bytes]] = {"state/": {STORE_FILE: MARKER.encode()}, "intent/": {}}
        files["intent/"] |= files["state/"]
        top = tmp_path / str(number)
        for side, contents in files.items():
            for _ in range(30):
                below = "/".join(chance.choices(names, k=chance.randrange(1, 4)))
                part = chance.choice(("refs", "dependencies/dependants"))
                contents[f"{part}/{below}/@object.json"] = below.encode() + chance.randbytes(3)
            for path, data in contents.items():
                (top / side / path).parent.mkdir(parents=True, exist_ok=True)
                (top / side / path).write_bytes(data)
        together = {side + path: data for side, contents in files.items() for path, data in contents.items()}
        expected = hashlib.sha256()
        for path, data in sorted(together.items()):
            expected.update(b"%s\0%d\0%s" % (path.encode(), len(data), data))
        intake = Intake()
        taken = list(intake.taken(list(sources(top))))
        assert dict(taken) == together
        assert [path for path, _ in taken[-2:]] == [f"intent/{STORE_FILE}", f"state/{STORE_FILE}"]
        assert intake.fingerprint == expected.hexdigest()


def sources(top: Path) -> Iterator[Source]:
    for side in ("state", "intent"):
        directory = Directory(str(top / side))
        yield Source(directory.files, directory.read().root, f"{side}/", MARKER.encode(), Layout(1))
