"""Bad input and bad luck at the command line: each its own message, exit status and hint, and nothing half done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.program import run_program
from support.repositories import SHOP, Repo, state_of

pytestmark = pytest.mark.new_interpreter

DEEP = 100_000


def failed(
    repo: Repo, status: int, message: str, hint: str | None, *words: str, printed: str = "", **options: object
) -> None:
    """Run a command, which must end with just this status, this one `fatal:` line and this hint, changing nothing."""
    before = state_of(repo)
    done = repo.run(*words, **options)
    expected = f"fatal: {message}\n" + (f"hint: {hint}\n" if hint else "")
    assert (done.stderr, done.returncode, done.stdout) == (expected, status, printed)
    assert state_of(repo) == before


# Refs, patterns, fragments

TYPES = "the types are call, commit, custom, deploy, environment, op, push"


@pytest.mark.parametrize(
    ("ref", "why", "hint"),
    [
        ("", "it is empty", None),
        ("a//b", "segment 2 of 3 is empty", None),
        ("a/../b/@1", "segment '..': '.' stands only at the start, and '..' nowhere", None),
        ("a/-/b/@1/strange/x", "segment 'strange': it is not a type", TYPES),
        ("a/-/b/@1/call", "segment 'call': a type needs a name after it", None),
        ("a/-/b/@1/@2", "segment '@2': a ref has one marker ('@' or '+')", None),
        ("a/-/b@c/@1", "segment 'b@c': '@' cannot stand inside a segment of a repo or path", None),
        ("a/.GIT/@1", "segment '.GIT': git keeps that name for itself", None),
        ("a/git~1/@1", "segment 'git~1': git keeps that name for itself", None),
        ("a/GIT~1 ./@1", "segment 'GIT~1 .': git keeps that name for itself", None),
        ("a/-/@object.json/x", "segment '@object.json': it is a file name of the store's own", None),
        ("a/-/b/@1/call/x\ty", "segment 'x\\ty': it holds a control character", None),
        ("a/-/b#x", "it has a fragment, but names neither a release nor a part of one", None),
        ("@/custom/a#x//y", "a key of the fragment is empty", None),
        (
            "@/custom/a#~~01",
            "in the key '~~01', '~' has no 0 or 1 after it",
            "write '~1' for '/' and '~0' for '~' within a key",
        ),
        (
            "@/custom/a#x~2",
            "in the key 'x~2', '~' has no 0 or 1 after it",
            "write '~1' for '/' and '~0' for '~' within a key",
        ),
    ],
)
def test_a_ref_that_does_not_parse(store: Repo, ref: str, why: str, hint: str | None) -> None:
    shown = ref.replace("\t", "\\t")
    failed(store, 128, f"bad ref '{shown}': {why}", hint, "get", ref)


def test_a_long_segment(store: Repo) -> None:
    segment = "x" * 256
    failed(
        store,
        128,
        f"bad ref '@/custom/{segment}': segment '{segment}': it is longer than 255 bytes",
        None,
        "get",
        f"@/custom/{segment}",
    )
    assert store.run("get", "--default=1", f"@/custom/{segment[1:]}").stdout == "1\n"


@pytest.mark.parametrize("command", ["get", "resolve", "parse", "log", "delete"])
def test_every_command_names_the_segment(store: Repo, command: str) -> None:
    failed(store, 128, "bad ref 'a/-/b/@1/nope/x': segment 'nope': it is not a type", TYPES, command, "a/-/b/@1/nope/x")


def test_bytes_that_are_no_utf8(store: Repo) -> None:
    done = run_program("get", b"@/custom/\xff", cwd=store.path)
    assert done.returncode == 128
    assert done.stderr.endswith("it is not valid UTF-8\n") and done.stderr.startswith("fatal: bad ref '@/custom/")
    done = run_program("set", "+/custom/x", b"\xff", cwd=store.path)
    assert (done.returncode, done.stderr) == (128, "fatal: the value is not UTF-8\n")
    done = run_program("set", "-m", b"\xff", "+/custom/x", "1", cwd=store.path)
    assert (done.returncode, done.stderr) == (128, "fatal: the message is not UTF-8\n")


@pytest.mark.parametrize("message", ["", " \n\n"])
def test_an_empty_message(store: Repo, message: str) -> None:
    failed(store, 128, "the message is empty", None, "set", "-m", message, "+/custom/x", "1")


@pytest.mark.parametrize(
    ("pattern", "column", "why"),
    [
        ("a/{b,c", 3, "'{' is never closed"),
        ("a/[bc", 3, "'[' is never closed"),
        ("a/[]", 3, "a '[…]' with nothing in it"),
        ("[z-a]", 3, "the range 'z-a' is empty"),
        ("{a,{b}", 1, "'{' is never closed"),
    ],
)
def test_a_pattern_that_does_not_parse(store: Repo, pattern: str, column: int, why: str) -> None:
    message, hint = f"bad pattern '{pattern}': column {column}: {why}", "'\\' before a character takes it as it is"
    failed(store, 128, message, hint, "match", pattern)
    failed(store, 128, message, hint, "match", "--exclude", pattern, "**")
    failed(store, 128, message, hint, "log", pattern)


def test_a_fragment_into_nothing(shop: Repo) -> None:
    for ref in (f"{SHOP}/@1#nothing", f"{SHOP}/@1#commit/x", f"{SHOP}/@1/call/build#output/sizes/2"):
        failed(shop, 1, f"no such part: '{ref}'", None, "get", ref)


def test_a_part_of_a_document_that_is_not_there(shop: Repo) -> None:
    failed(shop, 1, "no such document: '@/custom/none'", None, "get", "@/custom/none#a/b")
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@part {SHOP}/@1\n")
    failed(shop, 1, f"no such part: '{SHOP}/@part#nothing'", None, "get", f"{SHOP}/@part#nothing")


def test_one_ref_that_is_wrong_leaves_the_others(shop: Repo) -> None:
    done = shop.run("get", "@/custom/freeze#by", "@/custom/none", "@/environment/staging#name")
    assert (done.returncode, done.stdout) == (1, '"Zoë"\n"staging"\n')
    assert done.stderr == "error: no such document: '@/custom/none'\n"
    done = shop.run("get", "@/custom/none#x", "@/custom/freeze#x", "@/custom/freeze#by", "a//b", "--format=raw")
    assert (done.returncode, done.stdout) == (128, "Zoë\n")
    assert done.stderr.splitlines() == [
        "error: no such document: '@/custom/none'",
        "error: no such part: '@/custom/freeze#x'",
        "error: bad ref 'a//b': segment 2 of 3 is empty",
    ]


def test_a_ref_without_a_repository(shop: Repo) -> None:
    failed(
        shop,
        1,
        "no such document: 'github.com/example/shop/-/api/none.ocu.star/@1'",
        None,
        "get",
        "api/none.ocu.star/@1",
    )
    failed(shop, 1, "no such document: '@/custom/none'", None, "get", "@/custom/none")


# Values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: a value is expected here"),
        ("nope", "line 1, column 1: a value is expected here"),
        ('{"a": 1,\n "b": }', "line 2, column 7: a value is expected here"),
        ('{"a": 1,\n\n  "a": 2}', 'line 3, column 3: the key "a" appears twice'),
        ("[1, NaN]", "line 1, column 5: NaN is no JSON number"),
        ("[\n-Infinity]", "line 2, column 1: -Infinity is no JSON number"),
        ("{} {}", "line 1, column 4: there is more after the end of the value"),
        ('"a\nb"', "line 1, column 3: invalid control character"),
        ("[" * DEEP + "]" * DEEP, "it is nested more than 500 deep"),
    ],
)
def test_json_that_does_not_parse(store: Repo, text: str, message: str) -> None:
    message = f"bad JSON: {message}"
    failed(store, 128, message, None, "set", "-f", "json", "+/custom/x", "-", input=text)
    if "\n" not in text:
        failed(
            store,
            128,
            f"line 1: {message}" if text else "line 1: 'set' lacks the JSON",
            None,
            "update",
            "--stdin",
            input=f"set +/custom/x {text}\n",
        )


def test_bytes_and_marks_that_json_does_not_have(store: Repo) -> None:
    """Invalid UTF-8, wherever it comes from, and a byte order mark are called what they are."""
    for words, given, message in (
        (["set", "-fjson", "+/custom/x", b'"a\xff"'], b"", "bad JSON: line 1, column 3: not valid UTF-8"),
        (["set", "-fjson", "+/custom/x", "-"], b'"a"\n"\xff"', "cannot read the value from standard input: line 2 is"),
        (["set", "-fjson", "+/custom/x", "-"], b"\xef\xbb\xbf1", "bad JSON: it begins with a byte order mark (BOM)"),
        (["update", "--stdin"], b'\nset @/custom/x "\xff"\n', "line 2: bad JSON: line 1, column 2: not valid UTF-8"),
        (
            ["update", "--stdin"],
            b"set @/custom/x\xff 1\n",
            r"line 1: bad ref '@/custom/x\udcff': segment 'x\udcff': it",
        ),
        (
            ["update", "--stdin"],
            b"\xef\xbb\xbfset @/custom/x 1\n",
            "standard input begins with a byte order mark (BOM)",
        ),
        (["get", "--batch"], b"\xef\xbb\xbf@/custom/x\n", "standard input begins with a byte order mark (BOM)"),
    ):
        done = store.run(*words, input=given, text=False)
        assert (done.returncode, done.stdout) == (128, b""), words
        assert done.stderr.decode().startswith(f"fatal: {message}"), done.stderr
    assert store.ocuroot("match", "**") == ""


def test_default_that_is_no_json(store: Repo) -> None:
    failed(store, 128, "bad JSON: line 1, column 1: a value is expected here", None, "get", "--default=x", "@/custom/a")


def test_a_value_that_is_no_utf8(store: Repo) -> None:
    done = store.run("set", "+/custom/x", "-", input=b"a\xff", text=False)
    assert (done.returncode, done.stderr) == (
        128,
        b"fatal: cannot read the value from standard input: line 1 is not UTF-8\n",
    )


def test_a_large_value_warns(store: Repo) -> None:
    done = store.run("set", "+/custom/x", "-", input="x" * (1 << 20))
    assert (done.returncode, done.stderr) == (0, "")
    done = store.run("set", "+/custom/y", "-", input="x" * ((1 << 20) + 1))
    warning = "warning: the value is over 1 MiB: state is not the place for artifacts; keep a reference to one\n"
    assert (done.returncode, done.stderr) == (0, warning)
    done = store.run("set", "+/custom/z", "-", input="é" * (1 << 19) + "x")
    assert (done.returncode, done.stderr) == (0, warning)


# What a command may do

NO_INTENT = "'@/custom/x' is no intent: only refs with '+' are set and deleted by hand"
NO_INTENT_HINT = "intents become state by 'git ocuroot apply'; pipelines write state with 'git ocuroot update --stdin'"


def test_setting_a_state_ref(store: Repo) -> None:
    failed(store, 128, NO_INTENT, NO_INTENT_HINT, "set", "@/custom/x", "1")
    failed(store, 128, NO_INTENT, NO_INTENT_HINT, "delete", "@/custom/x")


def test_setting_a_part(store: Repo) -> None:
    failed(
        store,
        128,
        "cannot change '+/custom/x#a': documents are changed as a whole",
        "change '+/custom/x' instead",
        "set",
        "+/custom/x#a",
        "1",
    )


def test_deleting_what_is_not_there(store: Repo) -> None:
    failed(store, 1, "no such document: '+/custom/x'", None, "delete", "+/custom/x")


def test_a_link_cycle(store: Repo) -> None:
    store.ocuroot(
        "update", "--stdin", input="set @/custom/end 1\nlink @/custom/a @/custom/end\nlink @/custom/b @/custom/a\n"
    )
    message = "line 1: too many links behind '@/custom/a' (@/custom/a -> @/custom/b -> @/custom/a …): a cycle"
    failed(store, 128, message, None, "update", "--stdin", input="link @/custom/a @/custom/b\n")
    # One made by hand.
    store.ocuroot("export", "-q", "out")
    for name, target in (("a", "b"), ("b", "a")):
        path = store.path / "out/refs/@/custom" / name / "@object.json"
        path.write_text(f'{{"kind": "link", "body": "@/custom/{target}"}}')
    store.git("config", "ocuroot.state.path", "out")
    store.git("config", "--unset", "ocuroot.state.branch")
    for command in ("get", "resolve"):
        failed(store, 128, message.removeprefix("line 1: "), None, command, "@/custom/a")
    assert store.ocuroot("match", "@/custom/*") == "@/custom/a\n@/custom/b\n@/custom/end"
    lines = store.ocuroot("get", "--batch", input="@/custom/a\n@/custom/end\n").split("\n")
    assert '"error": "too many links' in lines[0] and '"found": true' in lines[1]


# Stores


def test_no_repository(tmp_path: Path) -> None:
    for command in (["get", "@/custom/x"], ["match", "**"], ["status"], ["init"], ["set", "+/custom/x", "1"], ["log"]):
        done = run_program(*command, cwd=tmp_path, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
        assert (done.returncode, done.stdout) == (128, ""), command
        assert done.stderr == (
            "fatal: not a git repository (or any of the parent directories): .git\n"
            "hint: 'git init' makes one; 'git -C <directory> ocuroot …' uses another\n"
        )
    assert run_program("parse", "@/custom/x", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "words",
    [["get", "@/custom/x"], ["match", "**"], ["set", "+/custom/x", "1"], ["fsck"], ["export", "out"], ["resolve", "@"]],
    ids=lambda words: words[0],
)
def test_no_store(repo: Repo, words: list[str]) -> None:
    failed(repo, 128, "no store: there is no branch 'state'", "'git ocuroot init' makes one", *words)
    repo.git("config", "ocuroot.state.path", "nowhere")
    message = f"no store: there is no directory '{repo.path / 'nowhere'}'"
    failed(repo, 128, message, "'git ocuroot init' makes one", *words)


def test_a_branch_that_is_no_store(repo: Repo) -> None:
    (repo.path / "code").touch()
    repo.git("add", "code")
    repo.git("commit", "-q", "-m", "code")
    repo.git("branch", "state")
    message = "branch 'state' is no store: it has no '.ocuroot-store'"
    hint = "name another branch: git config ocuroot.state.branch <branch>"
    for words in (["get", "@/custom/x"], ["set", "+/custom/x", "1"], ["match", "**"]):
        failed(repo, 128, message, hint, *words)
    message = "branch 'state' exists, and is no store: it has no '.ocuroot-store'"
    failed(repo, 128, message, "name another branch: git ocuroot init --branch <branch>", "init")


def test_a_revision_that_has_no_store(store: Repo) -> None:
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    message = f"commit {store.oid('main')[:12]} has no store: there is no '.ocuroot-store'"
    for words in (["get", "@/custom/x"], ["deployments"], ["match", "**"]):
        hint = "name a commit of branch 'state', as 'git ocuroot log' shows them, or a date"
        failed(store, 1, message, hint, *words, "--at", "main")


def test_the_hint_names_what_says_where_the_store_is(repo: Repo) -> None:
    (repo.path / "plain").mkdir()
    (repo.path / "plain/file").touch()
    repo.ocuroot("init", "-q")
    what = f"directory '{repo.path / 'plain'}'"
    message = f"{what} is no store: it has no '.ocuroot-store'"
    for side in ("STATE", "INTENT"):
        variables = {**os.environ, f"OCUROOT_{side}": "./plain"}
        failed(repo, 128, message, f"name another directory in OCUROOT_{side}", "match", "**", env=variables)
        exists = message.replace(" is no", " exists, and is no")
        failed(repo, 128, exists, f"name another directory in OCUROOT_{side}", "init", env=variables)
    repo.git("config", "ocuroot.intent.path", "plain")
    hint = "name another directory: git config ocuroot.intent.path <directory>"
    failed(repo, 128, message, hint, "get", "+/custom/x")
    repo.git("config", "--unset", "ocuroot.intent.path")
    repo.git("config", "ocuroot.intent.branch", "main")
    message = "branch 'main' is no store: it has no '.ocuroot-store'"
    (repo.path / "code").touch()
    repo.git("add", "code")
    repo.git("commit", "-qm", "code")
    failed(repo, 128, message, "name another branch: git config ocuroot.intent.branch <branch>", "get", "+/custom/x")
    message = message.replace(" is no", " exists, and is no")
    failed(repo, 128, message, "name another branch: git ocuroot init --intent-branch <branch>", "init")


@pytest.mark.parametrize("version", ["4", "17", '"1"', "1.5", "null", "true"])
def test_another_store_version(repo: Repo, version: str) -> None:
    write_store_file(repo, f'{{"version": {version}}}')
    message = f"branch 'state': the store is of version {version}, which this program does not know"
    hint = "it knows versions 1, 2 and 3; a newer git-ocuroot may know more"
    failed(repo, 128, message, hint, "get", "@/custom/x")
    failed(repo, 128, message, hint, "set", "+/custom/x", "1")


def test_a_damaged_store_file(repo: Repo) -> None:
    write_store_file(repo, "version 1")
    message = "branch 'state': cannot read '.ocuroot-store': bad JSON: line 1, column 1: a value is expected here"
    failed(repo, 128, message, None, "get", "@/custom/x")


def write_store_file(repo: Repo, text: str) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", input=text)
    tree = repo.git("mktree", input=f"100644 blob {blob}\t.ocuroot-store\n")
    repo.git("branch", "state", repo.git("commit-tree", "-m", "a store", tree))


def test_an_unknown_revision(store: Repo) -> None:
    for command in (["get", "--at", "nope", "@/custom/x"], ["match", "--at=nope", "**"], ["log", "--at=nope"]):
        failed(store, 1, "bad revision 'nope'", None, *command)


# Usage


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get"], "no ref was given"),
        (["get", "--nope", "x"], "unknown option '--nope'"),
        (["get", "-x"], "unknown switch '-x'"),
        (["get", "--format"], "option '--format' requires a value"),
        (["get", "--format", "xml", "@/custom/x"], "option '--format' is one of json, compact, raw, not 'xml'"),
        (["get", "--batch=1"], "option '--batch' takes no value"),
        (["get", "--batch", "@/custom/x"], "--batch reads the refs from stdin, and takes neither refs nor --default"),
        (
            ["match", "--state", "--intent", "*"],
            "--state and --intent exclude each other; without either both stores are searched",
        ),
        (["match", "--limit", "-1", "*"], "option '--limit' takes a number, not '-1'"),
        (["match", "--s", "*"], "ambiguous option '--s' (could be --state or --sort)"),
        (["set", "+/custom/x", "1", "2"], "too many arguments: '2'"),
        (
            ["set", "--if-absent", "--if-match", "absent", "+/custom/x", "1"],
            "--if-absent and --if-match exclude each other",
        ),
        (
            ["set", "--if-match", "abc", "+/custom/x", "1"],
            "'abc' is no id: give at least 7 of its hexadecimal digits, as 'git ocuroot match --json' prints them",
        ),
        (["delete", "--if-match", "1" * 40, "+/custom/x", "+/custom/y"], "--if-match goes with one ref"),
        (["update"], "update reads its instructions from stdin: give --stdin"),
        (["log", "+/custom/x#a", "+/custom/y"], "a ref with a fragment goes with one ref alone"),
        (["status", "x"], "too many arguments: 'x'"),
        (["init", "--dialect", "2"], "option '--dialect' is one of 1, 3, not '2'"),
    ],
)
def test_usage_errors(store: Repo, words: list[str], message: str) -> None:
    before = state_of(store)
    done = store.run(*words)
    assert (done.returncode, done.stdout) == (129, "")
    assert done.stderr == f"error: {message}\nsee 'git ocuroot {words[0]} -h'\n"
    assert state_of(store) == before


@pytest.mark.parametrize(
    ("words", "message", "hint", "see"),
    [
        (["get", "--formt", "raw", "x"], "unknown option '--formt'", "did you mean '--format'?", "get "),
        (["get", "-format", "raw", "x"], "unknown switch '-f'", "did you mean '--format' (with two dashes)?", "get "),
        (["match", "-count", "x"], "unknown switch '-c'", "did you mean '--count' (with two dashes)?", "match "),
        (["run", "strat", "x"], "'run' has no command 'strat'", "did you mean 'start'?", "run "),
        (["run", "finish", "--state", "x"], "unknown option '--state'", "did you mean '--status'?", "run finish "),
        (
            ["set", "--offline", "+/custom/x", "1"],
            "'set' takes no '--offline': it would mean nothing to it",
            None,
            "set ",
        ),
        (
            ["--offline", "set", "+/custom/x", "1"],
            "'set' takes no '--offline': it would mean nothing to it",
            None,
            "set ",
        ),
        (["delete"], "an argument is missing", "git ocuroot delete [<options>] <intent-ref>...", "delete "),
        (
            ["set", "+/custom/x"],
            "an argument is missing",
            "git ocuroot set [<options>] <intent-ref> (<value> | -)",
            "set ",
        ),
        (
            ["-C", "shop", "status"],
            "unknown switch '-C'",
            "git takes it, before the command: git -C <directory> ocuroot …",
            "",
        ),
        (
            ["get", "-c", "a.b=c"],
            "unknown switch '-c'",
            "git takes it, before the command: git -c <name>=<value> ocuroot …",
            "get ",
        ),
        (["run"], "'run' needs a command", "one of start, log, logs, finish, cancel, exec, retry, dismiss", "run "),
        (["--nope", "get", "x"], "unknown option '--nope'", None, ""),
        (["--max-age"], "option '--max-age' requires a value", None, ""),
        (["get", "-1"], "unknown switch '-1'", None, "get "),
        (["set", "-1", "+/custom/x", "2"], "too many arguments: '2'", None, "set "),
    ],
)
def test_usage_errors_name_the_nearest(store: Repo, words: list[str], message: str, hint: str | None, see: str) -> None:
    done = store.run(*words)
    hint = f"hint: {hint}\n" if hint else ""
    assert (done.returncode, done.stdout) == (129, "")
    assert done.stderr == f"error: {message}\n{hint}see 'git ocuroot {see}-h'\n"


@pytest.mark.parametrize(
    ("word", "hint"), [("metch", "did you mean 'match'?"), ("frobnicate", "'git ocuroot -h' lists the commands")]
)
def test_an_unknown_command(repo: Repo, word: str, hint: str) -> None:
    failed(repo, 129, f"'{word}' is not a git-ocuroot command", hint, word)
    failed(repo, 129, f"'{word}' is not a git-ocuroot command", hint, "state", word)


def test_hints_can_be_turned_off(repo: Repo) -> None:
    failed(repo, 128, "no store: there is no branch 'state'", None, "match", "*", env={**os.environ, "GIT_ADVICE": "0"})


def test_tracebacks_on_demand_only(repo: Repo) -> None:
    done = repo.run("match", "*", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert "Traceback (most recent call last):" in done.stderr
    assert done.stderr.endswith("fatal: no store: there is no branch 'state'\nhint: 'git ocuroot init' makes one\n")
