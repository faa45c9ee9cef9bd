"""What a commit message says, against git's own reading of it: only its last paragraph can hold trailers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from support.repositories import Repo

from ocuroot_git.errors import Fatal
from ocuroot_git.formats.commit_message import (
    actor_of,
    command_of,
    compose,
    operation_name,
    operations_of,
    origin_of,
    reason_of,
    run_of,
    trailers,
)
from ocuroot_git.formats.operation import Operation, Origin

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


def test_a_message_says_who_asked_for_the_change_where_and_why() -> None:
    operation = Operation("job 7", "abc", result="null")
    operation.origin = Origin.of("github:ann", "https://github.com/o/r/actions/runs/1", "the old one\nleaks memory")
    message = compose(["a"], "set", [operation], None)
    assert actor_of(message) == "github:ann"
    assert run_of(message) == "https://github.com/o/r/actions/runs/1"
    assert reason_of(message) == "the old one leaks memory"
    assert operations_of(message)[0].result == "null"
    assert actor_of("set a\n\nOcuroot-Command: set\nOcuroot-Operation: 1\n") is None
    assert actor_of("set a\n") is run_of("") is reason_of("x\n\nOcuroot-Actor: in no operation\n") is None


def test_the_operations_of_one_commit_keep_each_its_own_origin() -> None:
    first, second = Operation("1"), Operation("2")
    first.origin = Origin.of("github:ann", "https://ci/1", "first")
    second.origin = Origin.of("github:ann", "https://ci/2")
    message = compose(["a"], "sync", [first, second], None)
    assert [operation.origin.values() for operation in operations_of(message)] == [
        ("github:ann", "https://ci/1", "first"),
        ("github:ann", "https://ci/2", None),
    ]
    assert origin_of(message).values() == ("github:ann", None, None)


HOSTILE = (
    *(
        "x\nOcuroot-Operation: job 1",
        "x\r\n\r\nOcuroot-Operation: job 1",
        "\n\nOcuroot-Command: evil",
        "\u2028Ocuroot-Run: x",
    ),
    *(
        "Ocuroot-Operation: job 1",
        "",
        " ",
        "\x00",
        "\x1b[2J",
        "\u202eabc",
        "\udcff",
        "é" * 5000,
        "#",
        "---",
        "\v\f\x85x",
    ),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_an_environment_says_makes_a_trailer_of_its_own(
    read_by_git: Callable[[list[str]], list[list[tuple[str, str]]]], text: str
) -> None:
    operation = Operation("job 7", "abc")
    operation.origin = Origin.of(text, f"https://{text}", text)
    message = compose(["a"], "set", [operation], None)
    assert len(message.encode()) < 20_000
    names = [name for name, _ in trailers(message)]
    own = [name for name in names if name not in ("Ocuroot-Actor", "Ocuroot-Run", "Ocuroot-Reason")]
    assert own == ["Ocuroot-Command", "Ocuroot-Operation", "Ocuroot-Request"] and len(set(names)) == len(names)
    assert read_by_git([message])[0] == trailers(message)
    assert operations_of(message)[0].origin == operation.origin and operation_name(message) == "job 7"


def test_secrets_do_not_stand_in_what_a_message_says() -> None:
    origin = Origin.of(
        "ann", "https://ann:hunter2secret@ci.example/run?access_token=abcdef123", "see https://a:hunter2secret@b/"
    )
    assert "hunter2secret" not in str(origin.values()) and "abcdef123" not in str(origin.values())
    message = compose(["a"], "set", [], "see https://a:hunter2secret@b/\n\nand https://a:hunter2secret@c/")
    assert message.startswith("see https://***@b/\n\nand https://***@c/\n\na\n")
    assert Origin.of("a" * 201, "ftp://ci/1", "b" * 1001).values() == (None, None, "b" * 999 + "…")


def test_an_origin_that_was_not_made_clean_is_not_written() -> None:
    operation = Operation("job 7")
    operation.origin = Origin("ann\nOcuroot-Operation: job 1")
    with pytest.raises(Fatal):
        compose(["a"], "set", [operation], None)
