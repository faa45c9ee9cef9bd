"""What a person sees: colour, the pager and quoting, on a real pseudo-terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.delivering import call, package, prepare, release
from support.repositories import Repo
from support.terminals import on_terminal

pytestmark = pytest.mark.new_interpreter


@pytest.fixture
def history(store: Repo) -> Repo:
    store.ocuroot("set", "+/custom/freeze", "yes")
    return store


def test_log_is_coloured_and_goes_through_the_pager(history: Repo, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    shown = on_terminal(history, "log", GIT_PAGER=f"tee {paged}")
    assert "\x1b[33mcommit " in shown
    assert "\x1b[32mA\x1b[m\t+/custom/freeze" in shown
    assert paged.read_text() == shown


def test_progress_is_drawn_in_place_and_goes(history: Repo) -> None:
    prepare(history, "staging")
    release(history, package([call("build")]))
    shown = on_terminal(history, "fsck", GIT_PROGRESS_DELAY="0")
    drawn, last = shown.rsplit("\r\x1b[K", 1)
    assert drawn == "\rChecking directories:   0% (0/1)\x1b[K"
    assert re.fullmatch(r"branch 'state': checked \d+ documents and \d+ links\n", last)
    assert on_terminal(history, "export", "out", GIT_PROGRESS_DELAY="0").startswith("\rWriting files: 0\x1b[K")
    history.git("config", "ocuroot.state.branch", "other")
    on_import = on_terminal(history, "import", "out", GIT_PROGRESS_DELAY="0")
    assert on_import.startswith("\rWriting files: 0\x1b[K")
    for arguments, delay in ((["fsck", "-q"], "0"), (["fsck"], "60")):
        assert "\r" not in on_terminal(history, *arguments, GIT_PROGRESS_DELAY=delay)
    assert "\r" not in history.run("fsck", env={**os.environ, "GIT_PROGRESS_DELAY": "0"}).stderr


def test_progress_of_what_reads_all_packages(history: Repo) -> None:
    history.ocuroot("update", "--stdin", input="".join(f"set r/-/p{number}/@1 1\n" for number in range(9)))
    shown = on_terminal(history, "diff", GIT_PROGRESS_DELAY="0")
    assert shown.startswith("\rReading the stores:   0% (0/9)\x1b[K")
    assert "Reading" not in shown.rpartition("\r\x1b[K")[2]
    assert "Reading" not in on_terminal(history, "diff", GIT_PROGRESS_DELAY="0"), "it is remembered"
    assert "Reading" not in history.run("status", env={**os.environ, "GIT_PROGRESS_DELAY": "0"}).stderr


@pytest.mark.parametrize(
    ("arguments", "packages", "drawn"),
    [
        (["match", "**/@*"], 2000, r"Reading the stores:   0% \(0/20\d\d\)"),
        (["match", "--json", "**/@*"], 20, "Reading refs: 0"),
        (["release", "list"], 20, r"Reading the stores:   0% \(0/20\)\x1b\[K\r\x1b\[K(?!\r)"),
    ],
)
def test_progress_of_what_lists_a_large_store(history: Repo, arguments: list[str], packages: int, drawn: str) -> None:
    made = json.dumps({"commit": "c0ffee", "package": package([call("build")])})
    history.ocuroot("update", "--stdin", input="".join(f"set r/-/p{n}/@1 {made}\n" for n in range(packages)))
    shown = on_terminal(history, *arguments, GIT_PROGRESS_DELAY="0", GIT_PAGER="cat")
    assert re.match(rf"\r{drawn}", shown)
    plain = history.run(*arguments, env={**os.environ, "GIT_PROGRESS_DELAY": "0"})
    assert plain.stderr == "", "only a person is told"
    assert shown.rpartition("\r\x1b[K")[2].count("r/-/p") == plain.stdout.count("r/-/p") >= packages


def test_the_pager_is_gits_own_choice(history: Repo, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    history.git("config", "core.pager", f"sh -c 'echo $LESS > {paged}; cat'")
    assert "+/custom/freeze" in on_terminal(history, "match", "**")
    assert paged.read_text() == "FRX\n"


def test_leaving_the_pager_early_is_no_error(history: Repo) -> None:
    steps = "".join(f'create @/custom/n{number} "{"x" * 50}"\n' for number in range(3000))
    history.ocuroot("update", "--stdin", input=steps)
    assert "fatal" not in on_terminal(history, "match", "--values", "**", GIT_PAGER="head -1")


@pytest.mark.parametrize(
    ("config", "environ", "coloured"),
    [
        ({}, {}, True),
        ({}, {"NO_COLOR": "1"}, False),
        ({"color.ui": "false"}, {}, False),
        ({"color.ui": "never", "color.ocuroot": "always"}, {"NO_COLOR": "1"}, True),
        ({"color.ocuroot": "false"}, {}, False),
        ({}, {"TERM": "dumb"}, False),
    ],
)
def test_colour_follows_gits_rules(
    history: Repo, config: dict[str, str], environ: dict[str, str], coloured: bool
) -> None:
    for key, value in config.items():
        history.git("config", key, value)
    assert ("\x1b[" in on_terminal(history, "log", GIT_PAGER="cat", **environ)) is coloured


def test_colour_where_nobody_looks(history: Repo) -> None:
    assert "\x1b" not in history.ocuroot("log")
    history.git("config", "color.ui", "always")
    assert "\x1b" in history.ocuroot("log")


def test_names_that_would_break_a_line_are_quoted_as_git_does(repo: Repo) -> None:
    put_by_hand(repo, "@/custom/a\nb")
    assert repo.ocuroot("match", "**") == '"@/custom/a\\nb"'
    assert repo.ocuroot("match", "-z", "**") == "@/custom/a\nb\0"


def put_by_hand(repo: Repo, ref: str, value: str = "1", **environ: str) -> None:
    """Make a store with one document, whatever its ref: git can hold paths that the program would not write."""
    blob = repo.git("hash-object", "-w", "--stdin", input=f'{{"kind": "ref", "body": {value}}}')
    marker = repo.git("hash-object", "-w", "--stdin", input='{"version": 1}')
    entry = f"100644 blob {blob}\t@object.json\0"
    for segment in reversed(["refs", *ref.split("/")]):
        tree = repo.git("mktree", "-z", input=entry)
        entry = f"040000 tree {tree}\t{segment}\0"
    tree = repo.git("mktree", "-z", input=f"{entry}100644 blob {marker}\t.ocuroot-store\0")
    message = f"by {HOSTILE} hand\n\nOcuroot-Command: {HOSTILE}\n"
    commit = repo.git("commit-tree", "-F", "-", tree, input=message, env={**os.environ, **environ})
    repo.git("update-ref", "refs/heads/state", commit)


# What a store, a remote or a file holds may not control the terminal of who looks at it

HOSTILE = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202edrow\u2066x\x7f"
SHOWN = r"\x1b]0;title\x07\x1b[31mred\x9b2J\u202edrow\u2066x\x7f"
QUOTED = r"\033]0;title\a\033[31mred\302\2332J\342\200\256drow\342\201\246x\177"


@pytest.fixture
def hostile(repo: Repo) -> Repo:
    """A store whose refs, author, subject and values would each take over a terminal."""
    put_by_hand(repo, f"@/custom/{HOSTILE}", f'"{HOSTILE[-12:-1]}"', GIT_AUTHOR_NAME=f"Eve{HOSTILE}")
    return repo


def controls(text: str) -> set[str]:
    return {char for char in text if char not in "\n\t" and not char.isprintable()}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["match", "**"], f'"@/custom/{QUOTED}"'),
        (["log"], f"Author:  Eve{SHOWN} <"),
        (["log"], f"    by {SHOWN} hand"),
        (["log"], f"Command: {SHOWN}"),
        (["log"], f'A\t"@/custom/{QUOTED}"'),
        (["fsck"], f'"@/custom/{QUOTED}": its path is no ref: bad ref'),
        (["get", f"@/custom/{HOSTILE}"], "fatal: bad ref '@/custom/"),
        (["get", "--at", f"state{HOSTILE}", "@/custom/x"], f"fatal: bad revision 'state{SHOWN}'"),
        (["match", f"a[{HOSTILE}"], "fatal: bad pattern 'a["),
        (["match", f"--{HOSTILE}"], f"error: unknown option '--{SHOWN}'"),
        ([f"me{HOSTILE}"], f"fatal: 'me{SHOWN}' is not a git-ocuroot command"),
        (["export", f"no/{HOSTILE}", "-q"], ""),
        (["import", f"no/{HOSTILE}"], f"fatal: there is no directory 'no/{SHOWN}'"),
    ],
    ids=lambda value: value[0][:6] if isinstance(value, list) else "",
)
def test_nothing_stored_or_given_controls_a_terminal(hostile: Repo, words: list[str], shown: str) -> None:
    done = hostile.run(*words)
    assert shown in done.stdout + done.stderr
    assert not controls(done.stdout + done.stderr)


def test_programs_get_the_bytes(hostile: Repo) -> None:
    assert hostile.ocuroot("match", "-z", "**") == f"@/custom/{HOSTILE}\0"
    assert json.loads(hostile.ocuroot("match", "--json", "**"))["ref"] == f"@/custom/{HOSTILE}"
    assert json.loads(hostile.ocuroot("log", "--json"))["author"] == f"Eve{HOSTILE}"
    assert f"    by {HOSTILE} hand\0" in hostile.ocuroot("log", "-z")


def test_json_on_a_terminal_is_the_same_json_in_escapes(store: Repo) -> None:
    value = "wide\u3000 é \x9b2J\u202e\U000e0001\x7f"
    store.ocuroot("set", "+/custom/x", value)
    shown = on_terminal(store, "get", "+/custom/x")
    assert shown == '"wide\u3000 é \\u009b2J\\u202e\\udb40\\udc01\\u007f"\n'
    assert json.loads(shown) == value
    assert store.ocuroot("get", "+/custom/x") == f'"{value}"'


def test_colours_are_ours_alone(hostile: Repo) -> None:
    shown = on_terminal(hostile, "log", GIT_PAGER="cat")
    assert "\x1b[33mcommit " in shown and "\x1b[32mA\x1b[m\t" in shown
    assert not controls(re.sub("\x1b\\[(33|32)?m", "", shown))


def test_colours_of_what_runs_print_stay_and_nothing_else(store: Repo) -> None:
    prepare(store, "staging")
    release(store, package([call("build", "printf '\\033[32mok\\033[0m \\033[2J\\033]0;t\\007\\n\\033[1mbold\\n'")]))
    lines = store.run("work", "any").stderr.splitlines()
    assert "web @1 call/build | \x1b[32mok\x1b[0m \\x1b[2J\\x1b]0;t\\x07\x1b[m" in lines
    assert "web @1 call/build | \x1b[1mbold\x1b[m" in lines


@pytest.mark.parametrize(
    ("quote_path", "listed"), [(None, "+/custom/é"), ("false", "+/custom/é"), ("true", r'"+/custom/\303\251"')]
)
def test_letters_beyond_ascii_are_quoted_where_git_is_told_to(store: Repo, quote_path: str | None, listed: str) -> None:
    store.ocuroot("set", "+/custom/é", "1")
    if quote_path is not None:
        store.git("config", "core.quotePath", quote_path)
    assert store.ocuroot("match", "**") == listed
    assert store.ocuroot("diff") == listed
    assert store.ocuroot("match", "-z", "**") == "+/custom/é\0"
