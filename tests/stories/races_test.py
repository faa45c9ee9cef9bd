"""Real processes writing to one store at once: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from support.program import TOP, run_program
from support.repositories import Repo

pytestmark = pytest.mark.new_interpreter

WRITERS = 8

# Each writer is a process of its own that makes one call of the command line after the other; they wait for a file to
# appear, so that all begin at once. They print one exit status a line.
WRITER = """
import sys, time, os
sys.path.insert(0, sys.argv[1])
from ocuroot_git.cli.main import main
while not os.path.exists("go"):
    time.sleep(0.001)
writer, count = int(sys.argv[2]), int(sys.argv[3])
"""


def race(repo: Repo, body: str, count: int, writers: int = WRITERS) -> list[list[str]]:
    """Let writers run `body` at once, which knows its `writer` and `count`; gives the lines that each printed."""
    top = str(TOP)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER + body, top, str(writer), str(count)],
            cwd=repo.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for writer in range(writers)
    ]  # fmt: skip
    (repo.path / "go").touch()
    outcomes = [process.communicate(timeout=300) for process in running]
    (repo.path / "go").unlink()
    assert [(process.returncode, err) for process, (_, err) in zip(running, outcomes, strict=True)] == [
        (0, "")
    ] * writers
    return [out.splitlines() for out, _ in outcomes]


def sound(repo: Repo) -> None:
    assert repo.ocuroot("fsck", "-q") == ""
    assert repo.git("fsck", "--strict", "--no-dangling") == ""
    assert list((repo.path / ".git").rglob("*.lock")) == []


def test_sets_of_different_refs_all_arrive(store: Repo) -> None:
    statuses = race(
        store,
        'for n in range(count): print(main(["set", f"+/custom/{writer}-{n}", f"{writer} {n}"]))',
        50,
    )
    assert statuses == [["0"] * 50] * WRITERS
    lines = map(json.loads, store.ocuroot("match", "--values", "**").split("\n"))
    assert {line["ref"]: line["value"] for line in lines} == {
        f"+/custom/{writer}-{n}": f"{writer} {n}" for writer in range(WRITERS) for n in range(50)
    }
    assert store.git("rev-list", "--count", "state", "--") == str(1 + 50 * WRITERS)
    assert store.git("rev-list", "--merges", "--count", "state", "--") == "0"
    sound(store)


def test_changes_of_one_ref_are_counted(store: Repo) -> None:
    """Each reads a number and the id of its document, and sets the next one if nobody else did meanwhile."""
    store.ocuroot("set", "-f", "json", "+/custom/number", "0")
    statuses = race(
        store,
        """
import contextlib, io, json
for n in range(count):
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        assert main(["match", "--json", "--values", "+/custom/number"]) == 0
    line = json.loads(out.buffer.getvalue())
    err = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stderr(err):
        status = main(["set", "-f=json", "--if-match", line["oid"], "+/custom/number", str(line["value"] + 1)])
    print(status, err.buffer.getvalue().count(b"\\n"))
""",
        25,
    )
    counted = Counter(line for lines in statuses for line in lines)
    assert counted.keys() <= {"0 0", "3 1"}, counted
    assert store.value("+/custom/number") == counted["0 0"]
    assert counted["0 0"] >= 25 and counted["3 1"] > 0, counted
    assert store.git("rev-list", "--count", "state", "--") == str(2 + counted["0 0"])
    sound(store)


def test_only_one_of_many_creates(store: Repo) -> None:
    statuses = race(
        store,
        """
import contextlib, io
for n in range(count):
    with contextlib.redirect_stderr(io.TextIOWrapper(io.BytesIO())):
        print(main(["set", "--if-absent", f"+/custom/{n}", str(writer)]))
""",
        10,
    )
    for n, by_writer in enumerate(zip(*statuses, strict=True)):
        assert sorted(by_writer) == ["0"] + ["3"] * (WRITERS - 1)
        assert store.value(f"+/custom/{n}") == str(by_writer.index("0"))
    sound(store)


def test_release_numbers_have_no_gaps(store: Repo) -> None:
    """As a script would allocate them: the next number that is free, or the one after it, until it is one's own."""
    numbers = race(
        store,
        """
import contextlib, io, ocuroot_git
stores = ocuroot_git.open()
package = '{"phases": [{"work": []}]}'
release = f'{{"commit": "c", "package": {package}, "by": {writer}}}'
for n in range(count):
    while True:
        number = len(stores.match("a/-/b/@[0-9]*")) + 1
        lines = f"verify a/-/b/@{number} absent\\ncreate a/-/b/@{number} {release}\\n" \\
            f"link a/-/b/@ a/-/b/@{number}\\n"
        sys.stdin = io.TextIOWrapper(io.BytesIO(lines.encode()))
        with contextlib.redirect_stderr(io.TextIOWrapper(io.BytesIO())):
            status = main(["update", "--stdin"])
        assert status in (0, 3), status
        if status == 0:
            print(number)
            break
""",
        8,
    )
    taken = {int(number): writer for writer, lines in enumerate(numbers) for number in lines}
    assert sorted(taken) == list(range(1, 8 * WRITERS + 1))
    assert sum(map(len, numbers)) == 8 * WRITERS
    for number, writer in taken.items():
        assert store.git("show", f"state:refs/a/-/b/@{number}/@object.json").count(f'"by": {writer}\n') == 1
    assert store.ocuroot("resolve", "a/-/b/@") == f"a/-/b/@{8 * WRITERS}"
    sound(store)


def test_library_transactions_lose_nothing(store: Repo) -> None:
    store.ocuroot("set", "-f", "json", "+/custom/number", "0")
    race(
        store,
        """
import ocuroot_git
stores = ocuroot_git.open()
def add(tx):
    number = tx.get("+/custom/number") + 1
    tx.set("+/custom/number", number)
    return number
for n in range(count): print(stores.transact(add))
""",
        10,
    )
    assert store.value("+/custom/number") == 10 * WRITERS
    sound(store)


@pytest.mark.parametrize("dialect", ["1", "3"])
def test_inits_at_once(repo: Repo, dialect: str) -> None:
    """All make the same first commit, and none takes away what others wrote after theirs."""
    for number in range(3):
        branch = f"state-{number}"
        race(
            repo,
            f"""
words = "init -q --dialect {dialect} --branch {branch} --intent-branch wanted-{number}"
assert main(words.split()) == 0
assert main(["set", f"+/custom/{{writer}}", "1"]) == 0
""",
            1,
        )
        assert repo.git("rev-list", "--count", branch, "--") == "1"
        assert repo.git("rev-list", "--count", f"wanted-{number}", "--") == str(1 + WRITERS)
        assert repo.git("config", "--get-all", "ocuroot.state.branch") == branch
        assert repo.git("config", "--get-all", "ocuroot.intent.branch") == f"wanted-{number}"
        assert repo.ocuroot("match", "--count", "**") == str(WRITERS)
        sound(repo)


def test_writers_and_readers(store: Repo) -> None:
    """A reader never sees half of a commit: both documents always hold the same."""
    store.ocuroot("update", "--stdin", input="set @/custom/a 0\nset @/custom/b 0\n")
    race(
        store,
        """
import ocuroot_git
stores = ocuroot_git.open()
for n in range(count):
    if writer % 2:
        def both(tx):
            tx.set("@/custom/a", [writer, n])
            tx.set("@/custom/b", [writer, n])
        stores.transact(both)
    else:
        for _ in range(10):
            snapshot = stores.snapshot()
            assert snapshot.get("@/custom/a") == snapshot.get("@/custom/b")
""",
        15,
    )
    assert store.git("rev-list", "--count", "state", "--") == str(2 + 15 * WRITERS // 2)


@pytest.mark.parametrize("shared", [True, False], ids=["one store", "two stores"])
def test_stores_of_files(repo: Repo, shared: bool) -> None:
    repo.git("config", "ocuroot.state.path", "files/a")
    if not shared:
        repo.git("config", "ocuroot.intent.path", "files/b")
    repo.ocuroot("init", "-q")
    race(
        repo,
        """
import ocuroot_git
stores = ocuroot_git.open()
for n in range(count):
    stores.set(f"{'+@'[n % 2]}/custom/{writer}-{n}", n)
    stores.transact(lambda tx: tx.set("+/custom/number", tx.get("+/custom/number", 0) + 1))
    stores.transact(lambda tx: tx.set("@/custom/number", tx.get("@/custom/number", 0) + 1))
""",
        10,
    )
    assert len(repo.ocuroot("match", "**").split("\n")) == 10 * WRITERS + 2
    assert [repo.value(f"{side}/custom/number") for side in "@+"] == [10 * WRITERS] * 2
    assert repo.ocuroot("fsck", "-q") == ""
    leftovers = [name for _, _, names in os.walk(repo.path / "files") for name in names if name.startswith(".tmp")]
    assert leftovers == []


def test_processes_of_the_real_program(store: Repo) -> None:
    """A few whole processes at once, started as a shell does, without anything shared."""
    lines = " & ".join(f"git ocuroot set +/custom/{number} x" for number in range(10))
    done = subprocess.run(["sh", "-c", f"{lines} & wait"], cwd=store.path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    assert run_program("match", "--count", "+/custom/*", cwd=store.path).stdout == "10\n"
    assert store.git("rev-list", "--count", "state", "--") == "11"
