"""`git gc --prune=now` beside writers: what was acknowledged stays, and nobody meets half of it (P1)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.backends import branch as places
from ocuroot_git.formats.layout import STORE_FILE, Layout
from ocuroot_git.git import collection, object_writer, objects
from ocuroot_git.git.repository import Repository

MANY = places.MANY * 2


def instructions(count: int) -> str:
    return "".join(f"set repo/-/p/@{number}/custom/x {number}\n" for number in range(1, count + 1))


def new_objects(repo: Repo) -> list[Path]:
    """The files of all loose objects and packs."""
    top = repo.path if (repo.path / "objects").is_dir() else repo.path / ".git"
    return [path for path in (top / "objects").rglob("*") if path.is_file()]


def delete_new(repo: Repo, before: list[Path]) -> int:
    """What `git prune --expire=now` does to objects that it saw no reference to."""
    new = set(new_objects(repo)) - set(before)
    for path in new:
        path.unlink()
    return len(new)


@pytest.fixture
def stolen(store: Repo, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Between the move of a branch and the first look after it, all that was written is deleted; counts the files."""
    counts: list[int] = []
    begin, holds = object_writer.ObjectWriter.begin_write, object_writer.ObjectWriter.holds
    before: list[Path] = []

    def begin_write(self: object_writer.ObjectWriter) -> None:
        before[:] = new_objects(Repo(Path(self.repository.common_dir)))
        counts.clear()
        begin(self)

    def look(self: object_writer.ObjectWriter, commit: objects.Oid, changes: objects.Changes | None) -> bool:
        if not counts:
            counts.append(delete_new(Repo(Path(self.repository.common_dir)), before))
        return holds(self, commit, changes)

    monkeypatch.setattr(object_writer.ObjectWriter, "begin_write", begin_write)
    monkeypatch.setattr(object_writer.ObjectWriter, "holds", look)
    monkeypatch.chdir(store.path)
    yield counts


def sound(repo: Repo) -> None:
    assert repo.git("fsck", "--strict", "--no-dangling", "--connectivity-only", "state") == ""
    assert repo.ocuroot("fsck", "-q") == ""


def test_loose_objects_are_written_again(store: Repo, stolen: list[int]) -> None:
    store.ocuroot("set", "+/custom/before", "1")
    for value in ("1", "2"):
        ocuroot_git.open().set("+/custom/x/y", value)
        assert stolen == [store.git("rev-list", "--objects", "state~1..state").count("\n") + 1] or stolen[0] > 4
        assert store.value("+/custom/x/y") == value
    sound(store)


def test_objects_that_were_packed_before_are_written_again(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same content lies in a pack that nothing leads to, and which goes."""
    monkeypatch.chdir(store.path)
    ocuroot_git.open().set("+/custom/x", "same")
    store.git("repack", "-q", "-a", "-d")
    store.git("update-ref", "refs/heads/state", "state~1")
    packs = list((store.path / ".git" / "objects" / "pack").glob("*"))
    stores = ocuroot_git.open()
    stores.get("+/custom/x", None)

    def change(tx: ocuroot_git.Transaction) -> None:
        tx.set("+/custom/x", "same")

    holds = object_writer.ObjectWriter.holds

    def look(self: object_writer.ObjectWriter, commit: objects.Oid, changes: objects.Changes | None) -> bool:
        if packs[0].exists():
            store.git("repack", "-q", "-a", "-d", "--keep-unreachable")
            keep = store.git("pack-objects", "-q", "--revs", ".git/objects/pack/pack", input="state~1\n")
            for path in packs[0].parent.glob("pack-*"):
                if keep not in path.name:
                    path.unlink()
        return holds(self, commit, changes)

    monkeypatch.setattr(object_writer.ObjectWriter, "holds", look)
    stores.transact(change)
    assert store.value("+/custom/x") == "same"
    sound(store)


def test_a_pack_of_many_is_written_again(store: Repo, stolen: list[int]) -> None:
    stores = ocuroot_git.open()
    with stores.transaction() as tx:
        for number in range(1, MANY):
            tx.set(f"repo/-/p/@{number}/custom/x", number)
    assert stolen[0] >= 3, "a pack, its index, and the commit"
    assert store.ocuroot("match", "--count", "repo/**") == str(MANY - 1)
    sound(store)


def test_the_packs_of_an_import_are_put_back(store: Repo, stolen: list[int]) -> None:
    store.git("config", "ocuroot.state.branch", "imported")
    marker = Layout(1).store_file()
    document = b'{"kind": "ref", "body": 1}'
    files = [(f"refs/repo/-/p/@{number}/custom/x/@object.json", document) for number in range(1, MANY)]
    backend, _ = ocuroot_git.open().backend("state")
    with backend.filled([*files, (STORE_FILE, marker)]) as filling:
        filling.make({STORE_FILE: marker}, "import\n", "import")
    assert stolen[0] >= 3, "a pack, its index, and the commit: the first one is the same everywhere"
    assert store.ocuroot("match", "--count", "repo/**") == str(MANY - 1)
    sound(store)
    store.git("fsck", "--strict", "imported")


def test_a_signed_commit_is_written_again(store: Repo, stolen: list[int], tmp_path: Path) -> None:
    program = tmp_path / "sign"
    program.write_text(
        "#!/bin/sh\ncat >/dev/null\nprintf '[GNUPG:] SIG_CREATED \\n' >&2\n"
        "printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n"
    )
    program.chmod(0o755)
    store.git("config", "gpg.program", str(program))
    store.git("config", "commit.gpgSign", "true")
    ocuroot_git.open().set("+/custom/x", "signed")
    assert stolen[0] > 4
    assert "BEGIN PGP SIGNATURE" in store.git("cat-file", "-p", "state")
    sound(store)


def test_the_first_commit_and_a_replay_are_written_again(
    store: Repo, stolen: list[int], make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocuroot_git.config.settings import Settings
    from ocuroot_git.opening import stores_of
    from ocuroot_git.sync.remotes import each_backend

    hub, other = make_repo("hub", "--bare"), make_repo("other")
    for repo in (store, other):
        repo.git("remote", "add", "origin", str(hub.path))
    store.ocuroot("push", "-q")
    monkeypatch.chdir(other.path)
    settings = Settings(".", os.environ, "", "")
    stores = stores_of(settings)
    stores.backend("state")[0].create({STORE_FILE: Layout(1).store_file()})
    assert stolen[0] >= 3
    assert other.git("rev-parse", "state") == store.git("rev-parse", "state")
    sound(other)
    other.ocuroot("set", "+/custom/here", "1")
    store.ocuroot("set", "+/custom/there", "1")
    store.ocuroot("push", "-q")
    for _, sharing in each_backend(stores, settings, None):
        assert sharing is not None and sharing.push(None).replayed
    assert stolen[0] > 4
    assert other.ocuroot("match", "**").split() == ["+/custom/here", "+/custom/there"]
    sound(other)


def test_the_repository_of_a_remote_store(store: Repo, stolen: list[int], make_repo: Callable[..., Repo]) -> None:
    hub = make_repo("hub", "--bare")
    store.git("config", "ocuroot.state.remote", str(hub.path))
    store.ocuroot("init", "-q")
    ocuroot_git.open().set("+/custom/x", "1")
    assert stolen[0] > 4
    assert store.value("+/custom/x", "--offline") == "1"
    store.ocuroot("set", "+/custom/y", "2")
    assert store.ocuroot("match", "**").split() == ["+/custom/x", "+/custom/y"]


@pytest.mark.parametrize(
    ("running", "deleted_before"),
    [
        # Objects may go until the `git gc` that began before has ended, not only until the first look.
        ([None, 7, 7, 7, 7, None], (1, 3)),
        # One that looks while the newest commit is gone passes over the branch, and over all that it leads to.
        ([None, None, 8, 8, None], (0, 2)),
    ],
)
def test_it_lasts_as_long_as_a_gc_that_may_have_missed_the_branch(
    store: Repo, monkeypatch: pytest.MonkeyPatch, running: list[int | None], deleted_before: tuple[int, int]
) -> None:
    monkeypatch.chdir(store.path)
    before = new_objects(store)
    collectors = iter(running)
    looks: list[int] = []
    holds = object_writer.ObjectWriter.holds

    def look(self: object_writer.ObjectWriter, commit: objects.Oid, changes: objects.Changes | None) -> bool:
        looks.append(delete_new(store, before) if len(looks) in deleted_before else 0)
        return holds(self, commit, changes)

    monkeypatch.setattr(object_writer.ObjectWriter, "holds", look)
    monkeypatch.setattr(collection, "collector", lambda _: next(collectors))
    ocuroot_git.open().set("+/custom/x", "1")
    assert sum(map(bool, looks)) == 2
    sound(store)


def test_which_gc_is_waited_for(store: Repo) -> None:
    path, host = store.path / ".git" / "gc.pid", os.uname().nodename
    common = str(store.path / ".git")
    assert collection.collector(common) is None
    ended = subprocess.Popen(["true"])
    ended.wait()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--prune=now"]) as running:
        try:
            for content, expected in {
                f"{running.pid} {host}": running.pid,
                f"{running.pid} elsewhere": running.pid,
                f"{ended.pid} {host}": None,
                f"{os.getpid()} {host}": None if os.path.isdir("/proc/self") else os.getpid(),
                "": None,
                "nonsense": None,
            }.items():
                path.write_text(content)
                assert collection.collector(common) == expected, content
            path.write_text("1 elsewhere")
            os.utime(path, (time.time() - 86400,) * 2)
            assert collection.collector(common) is None
        finally:
            running.kill()


def test_nothing_is_written_while_a_gc_goes_on(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer killed beside it would leave a branch that the next one passes over, and so deletes all of."""
    monkeypatch.chdir(store.path)
    before, tip = new_objects(store), store.git("rev-parse", "state")
    monkeypatch.setattr(collection, "_LONGEST", 0.05)
    monkeypatch.setattr(collection, "collector", lambda _: 7)
    with pytest.raises(ocuroot_git.Conflict, match=r"nothing was changed: .*process 7"):
        ocuroot_git.open().set("+/custom/x", "1")
    assert (new_objects(store), store.git("rev-parse", "state")) == (before, tip)


def test_a_gc_that_goes_on_for_ever_is_said(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.path)
    monkeypatch.setattr(collection, "_LONGEST", 0.05)
    collectors = chain([None], repeat(7))
    monkeypatch.setattr(collection, "collector", lambda _: next(collectors))
    with pytest.raises(ocuroot_git.Fatal, match=r"the change was made, .*process 7"):
        ocuroot_git.open().set("+/custom/x", "1")


WRITER = """
import sys, time, ocuroot_git
name, many, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
stores = ocuroot_git.open()
deadline, count = time.monotonic() + seconds, 0
while time.monotonic() < deadline or count < 3:
    count += 1
    def change(tx):
        for number in range(many):
            tx.set(f"repo/-/{name}/@{number + 1}/custom/x", [count, number])
    stores.transact(change)
    print(count, flush=True)
"""


def test_what_a_gc_was_in_the_way_of_is_tried_again(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes a directory just before a file is put there, and moves an object that is looked for; once each."""
    written, look_up = object_writer.ObjectWriter._written, Repository.look_up
    failed: set[object] = set()

    def write_in_vain(self: object_writer.ObjectWriter, write: Callable[[], Any]) -> Any:
        def fails_first() -> Any:
            if write not in failed:
                failed.add(write)
                raise OSError("failed to rename lockfile: No such file or directory")
            return write()

        return written(self, fails_first)

    def look_in_vain(self: Repository, oid: Any) -> Any:
        if str(oid) not in failed:
            failed.add(str(oid))
            raise KeyError(oid)
        return look_up(self, oid)

    monkeypatch.chdir(store.path)
    monkeypatch.setattr(object_writer.ObjectWriter, "_written", write_in_vain)
    ocuroot_git.open().set("+/custom/x", 1)
    assert len(failed) > 3
    monkeypatch.undo()
    monkeypatch.chdir(store.path)
    monkeypatch.setattr(Repository, "look_up", look_in_vain)
    repository = Repository.open(str(store.path), os.environ)
    assert repository.tip("refs/heads/state") == store.oid("state")
    with pytest.raises(objects.ObjectError, match="there is no such object"):
        repository.read_commit(objects.Oid("1" * 40))
    monkeypatch.undo()
    sound(store)


def test_a_loop_of_gc_beside_writers(store: Repo, tmp_path: Path) -> None:
    """Real `git gc --prune=now`, over and over; small changes, and such as go through fast-import."""
    store.ocuroot("update", "--stdin", input=instructions(MANY))
    seconds = float(os.environ.get("SOAK", "4"))
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, name, many, str(seconds)],
            cwd=store.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, many in {"a": "1", "b": "1", "many": str(MANY)}.items()
    }
    collected = 0
    while any(writer.poll() is None for writer in writers.values()):
        subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=store.path, capture_output=True, check=False)
        collected += 1
    assert collected > 1
    for name, writer in writers.items():
        out, err = writer.communicate()
        assert (writer.returncode, err[-2000:]) == (0, ""), name
        last = int(out.split()[-1])
        assert store.value(f"repo/-/{name}/@1/custom/x") == [last, 0]
    store.git("gc", "-q", "--prune=now")
    sound(store)
