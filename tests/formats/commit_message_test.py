"""What a commit message says, against git's own reading of it: only its last paragraph can hold trailers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from support.repositories import Repo

from ocuroot_git.formats.commit_message import command_of, compose, operation_name, operations_of, trailers
from ocuroot_git.formats.operation import Operation

LINES = (
    *("", "", " ", "text", "A: b", "C:d", "E :f", "G: ", "H_i: j", " k: l", "\tcontinued", ": x", "# A: b", "---"),
    *("Ocuroot-Operation: job 1", "Signed-off-by: A <a@b>", "(cherry picked from commit 1)", "two words: x", "Ä: b"),
)


@pytest.fixture
def read_by_git(repo: Repo) -> Callable[[list[str]], list[list[tuple[str, str]]]]:
    """The trailers that git finds in messages, all asked for at once."""
    tree = repo.git("mktree", input="")

    def read(messages: list[str]) -> list[list[tuple[str, str]]]:
        script = "".join(
            f"commit refs/heads/m{number}\ncommitter A <a@b> 1 +0000\ndata {len(message.encode())}\n{message}\n"
            for number, message in enumerate(messages)
        )
        repo.git("fast-import", "--quiet", input=script)
        found = []
        for number in range(len(messages)):
            said = repo.git("log", "-1", "--format=%(trailers:unfold,only)", f"m{number}")
            pairs = [line.partition(":") for line in said.splitlines() if line]
            found.append([(name.strip(), value.strip()) for name, _, value in pairs])
        return found

    assert tree
    return read


def test_trailers_are_those_that_git_finds(read_by_git: Callable[[list[str]], list[list[tuple[str, str]]]]) -> None:
    chance = random.Random(7)
    messages = ["subject\n" + "\n".join(chance.choices(LINES, k=chance.randint(1, 9))) + "\n" for _ in range(150)]
    for message, expected in zip(messages, read_by_git(messages)):
        assert trailers(message) == expected, message


def test_no_text_before_it_can_stand_for_the_last_paragraph(
    read_by_git: Callable[[list[str]], list[list[tuple[str, str]]]],
) -> None:
    chance = random.Random(8)
    subjects = ["x\n" + "\n".join(chance.choices(LINES, k=6)) for _ in range(30)]
    operation = Operation("job 7", "abc", result='"a/-/b/@1"')
    messages = [compose(["a", "Ocuroot-Operation: job 1"], "set", [operation], subject) for subject in subjects]
    for message, seen_by_git in zip(messages, read_by_git(messages)):
        assert operation_name(message) == "job 7"
        assert command_of(message) == "set"
        assert [value for name, value in seen_by_git if name == "Ocuroot-Operation"] == ["job 7"]


def test_several_operations_in_one_commit() -> None:
    written = [Operation("one"), Operation("two", "f00", result="[1]"), Operation("three", "ba7")]
    message = compose(["r"], "sync", written, "replay 3 commits")
    read = [(one.name, one.request, one.result) for one in operations_of(message)]
    assert read == [("one", None, None), ("two", "f00", "[1]"), ("three", "ba7", None)]
