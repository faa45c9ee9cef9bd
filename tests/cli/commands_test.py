"""Every command and every option, driven as a process; the whole output is compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.golden import check_golden
from support.program import CONFORMANCE, run_program
from support.repositories import SHOP, Repo

from ocuroot_git.cli.main import COMMANDS

WHEN = {"GIT_AUTHOR_DATE": "2026-11-20T10:00:00+0100", "GIT_COMMITTER_DATE": "2026-11-20T10:00:00+0100"}


def plain(text: str) -> str:
    """Text without what differs from run to run: ids become `<id 1>`, `<id 2>`, … in the order of their coming."""
    known: dict[str, str] = {}
    return re.sub(
        r"\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b|(?<= at )[0-9a-f]{12}\b",
        lambda found: known.setdefault(found[0], f"<id {len(known) + 1}>"),
        text,
    )


@pytest.fixture(autouse=True)
def fixed_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHEN.items():
        monkeypatch.setenv(name, value)


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_usage(command: str) -> None:
    done = run_program(command, "-h")
    assert (done.returncode, done.stderr) == (129, "")
    check_golden(f"usage/{command}.txt", done.stdout)
    done_long = run_program(command, "--help")
    assert (done_long.returncode, done_long.stdout, done_long.stderr) == (0, done.stdout, "")


@pytest.mark.parametrize(
    ("words", "status"), [(["-h"], 0), (["--help"], 0), (["help"], 0), ([], 129), (["state"], 129)]
)
def test_overview(words: list[str], status: int) -> None:
    done = run_program(*words)
    assert (done.returncode, done.stderr) == (status, "")
    check_golden("usage/overview.txt", done.stdout)


def test_version() -> None:
    done = run_program("--version")
    assert re.fullmatch(r"git-ocuroot version \d+\.\d+\.\d+\n", done.stdout), done.stdout
    assert run_program("version").stdout == done.stdout


def test_it_is_a_git_command(shop: Repo) -> None:
    assert shop.git("ocuroot", "get", "@/environment/staging#name") == '"staging"'
    assert shop.git("-c", "alias.env=ocuroot get @/environment/staging#name", "env") == '"staging"'


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["-q", "get", "@/custom/freeze#by"], '"Zoë"\n'),
        (["-qv", "--offline", "get", "--format=raw", "@/custom/freeze#by"], "Zoë\n"),
        (["--package", "api/release.ocu.star", "--release=1", "get", "./call/build#type"], '"call"\n'),
        (["--max-age", "60", "state", "-q", "match", "@/environment/s*"], "@/environment/staging\n"),
        (["-q", "release", "--max-age=3", "list", "//none"], ""),
        (["--operation", "x", "-q", "set", "+/custom/x", "1"], ""),
        (["-q", "--version"], "git-ocuroot version"),
    ],
)
def test_common_options_before_the_command(shop: Repo, words: list[str], printed: str) -> None:
    done = shop.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed or (printed and done.stdout.startswith(f"{printed} "))
    assert shop.run("-q", "export", "out", "--offline").stderr == ""


# init, status


def test_init(repo: Repo) -> None:
    done = repo.run("init")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Made a store on branch 'state'\n")
    assert repo.git("config", "--local", "ocuroot.state.branch") == "state"
    assert repo.git("cat-file", "commit", "state") == (
        "tree fe82b594325f6617e5fdf128ecc2fd4a052ce6e6\n"
        "author Ocuroot <ocuroot@localhost> 1767225600 +0000\n"
        "committer Ocuroot <ocuroot@localhost> 1767225600 +0000\n\nCreate the store"
    )
    assert repo.git("ls-tree", "-r", "--name-only", "state") == ".ocuroot-store"
    assert repo.git("show", "state:.ocuroot-store") == '{"version": 1}'
    before = repo.git("rev-parse", "state"), (repo.path / ".git" / "config").read_text()
    done = repo.run("init")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There is a store already on branch 'state'\n")
    assert (repo.git("rev-parse", "state"), (repo.path / ".git" / "config").read_text()) == before
    assert repo.git("status", "--porcelain") == ""


def test_init_of_two_branches(repo: Repo) -> None:
    done = repo.run("init", "--branch", "delivery/state", "--intent-branch=delivery/intent")
    assert done.stderr == "Made a store on branch 'delivery/state'\nMade a store on branch 'delivery/intent'\n"
    assert repo.git("config", "ocuroot.state.branch") == "delivery/state"
    assert repo.git("config", "ocuroot.intent.branch") == "delivery/intent"
    assert repo.git("rev-parse", "delivery/state") == repo.git("rev-parse", "delivery/intent")
    repo.ocuroot("set", "+/custom/x", "1")
    assert repo.git("rev-list", "--count", "delivery/state", "--") == "1"
    assert repo.git("rev-list", "--count", "delivery/intent", "--") == "2"


def test_init_in_the_dialect_of_the_original(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--dialect", "3")
    files = repo.git("ls-tree", "-r", "--name-only", "state").split()
    assert files == ["intent/.ocuroot-store", "state/.ocuroot-store"]
    assert repo.git("show", "state:state/.ocuroot-store") == '{"version": 3, "tags": {"state": {}}}'
    assert repo.git("show", "state:intent/.ocuroot-store") == '{"version": 3, "tags": {"intent": {}}}'
    repo.ocuroot("set", "-f", "json", "+/environment/a", '{"name": "a", "attributes": {}}')
    assert repo.ocuroot("match", "**") == "+/environment/a"
    assert repo.ocuroot("fsck", "-q") == ""


def test_status(shop: Repo) -> None:
    done = shop.run("status")
    check_golden("status.txt", plain(done.stdout))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"warning: '{SHOP}/@1/call/build/1' is left out: it is missing, and there are ")
    check_golden("status.json", plain(shop.run("status", "--json").stdout))


def test_status_without_a_store(repo: Repo) -> None:
    check_golden("status-without-store.txt", repo.ocuroot("status") + "\n")


# get


def test_get(shop: Repo) -> None:
    assert shop.ocuroot("get", f"{SHOP}/@1/call/build") == (
        '{\n  "type": "call",\n  "output": {\n    "download_url": "https://example.com/1",\n'
        '    "sizes": [\n      10,\n      1.50\n    ]\n  }\n}'
    )
    assert shop.ocuroot("get", "@/environment/staging#name", "@/custom/freeze#by") == '"staging"\n"Zoë"'


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--format", "compact", "@/custom/freeze"], '{"until": "2027-01-04", "by": "Zoë"}\n'),
        (["--format=json", "@/custom/freeze#by"], '"Zoë"\n'),
        (["--format", "raw", "@/custom/freeze#by"], "Zoë\n"),
        (["--format", "raw", f"{SHOP}/@1/call/build#output/sizes"], "[10, 1.50]\n"),
        (["-z", "--format=raw", "@/custom/freeze#by", "@/custom/freeze#until"], "Zoë\x002027-01-04\x00"),
        (["--default", "null", "@/custom/nothing"], "null\n"),
        (["--default", '{"a": 1.0}', "--format=compact", "@/custom/nothing#x"], '{"a": 1.0}\n'),
        (["--default", "1", "@/custom/freeze#by"], '"Zoë"\n'),
        ([f"{SHOP}/@1/call/build#output/sizes/1"], "1.50\n"),
        (["--", "@/custom/freeze#by"], '"Zoë"\n'),
    ],
)
def test_get_options(shop: Repo, words: list[str], printed: str) -> None:
    done = shop.run("get", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_get_follows_links(shop: Repo) -> None:
    assert shop.ocuroot("get", f"{SHOP}/@#commit") == '"ccc3"'
    assert shop.ocuroot("get", f"{SHOP}/@v1.0#commit") == '"aaa1"'
    assert shop.ocuroot("get", f"{SHOP}/@v1.0/task/build#output/sizes/0") == "10"


def test_get_relative_refs(shop: Repo) -> None:
    assert shop.ocuroot("get", "//api/release.ocu.star/@2#commit") == '"bbb2"'
    package = ["--package", "api/release.ocu.star"]
    assert shop.ocuroot("get", *package, "./@/#commit") == '"ccc3"'
    assert shop.ocuroot("get", *package, "--release", "1", "./call/build#type") == '"call"'


def test_get_as_it_was(shop: Repo) -> None:
    shop.ocuroot("set", "+/custom/x", "old")
    old = shop.git("rev-parse", "state")
    shop.ocuroot("set", "+/custom/x", "new")
    assert shop.ocuroot("get", "--at", "state~1", "+/custom/x") == '"old"'
    assert shop.ocuroot("get", "--at", old[:10], "+/custom/x") == '"old"'
    assert shop.ocuroot("get", "--at=state", "+/custom/x") == '"new"'
    done = shop.run("get", "--at", "state~3", "+/custom/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fatal: no such document: '+/custom/x'\n"


def test_get_batch(shop: Repo) -> None:
    refs = ["@/custom/freeze#by", f"{SHOP}/@v1.0#commit", "", "@/custom/nothing", "@/nonsense"]
    lines = [
        {"ref": "@/custom/freeze#by", "resolved": "@/custom/freeze#by", "found": True, "value": "Zoë"},
        {"ref": f"{SHOP}/@v1.0#commit", "resolved": f"{SHOP}/@1#commit", "found": True, "value": "aaa1"},
        {"ref": "", "resolved": None, "found": False, "value": None, "error": "bad ref '': it is empty"},
        {"ref": "@/custom/nothing", "resolved": "@/custom/nothing", "found": False, "value": None},
        {
            "ref": "@/nonsense",
            "resolved": None,
            "found": False,
            "value": None,
            "error": "bad ref '@/nonsense': segment 'nonsense': it is not a type",
        },
    ]
    printed = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    done = shop.run("get", "--batch", input="\n".join(refs) + "\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    done = shop.run("get", "--batch", "-z", input="\0".join(refs))
    assert (done.returncode, done.stdout, done.stderr) == (0, printed.replace("\n", "\0"), "")


# match


@pytest.mark.parametrize(
    ("words", "refs"),
    [
        (["@/environment/*"], ["@/environment/production", "@/environment/staging"]),
        (
            ["**/deploy/production"],
            [f"{SHOP}/+/deploy/production", f"{SHOP}/@/deploy/production", f"{SHOP}/@1/deploy/production"],
        ),
        (["-l", "**/deploy/production"], [f"{SHOP}/+/deploy/production", f"{SHOP}/@1/deploy/production"]),
        (["--no-links", "--state", "**/deploy/production"], [f"{SHOP}/@1/deploy/production"]),
        (["--intent", "**"], ["+/environment/production", f"{SHOP}/+/deploy/production"]),
        (["+/*/*"], ["+/environment/production"]),
        ([f"{SHOP}/@*"], [f"{SHOP}/@", f"{SHOP}/@1", f"{SHOP}/@10", f"{SHOP}/@2", f"{SHOP}/@v1.0"]),
        (["--sort", "version", "-l", f"{SHOP}/@*"], [f"{SHOP}/@1", f"{SHOP}/@2", f"{SHOP}/@10"]),
        (["--sort=ref", "--limit", "2", "-l", f"{SHOP}/@*"], [f"{SHOP}/@1", f"{SHOP}/@10"]),
        (["--limit=0", "**"], []),
        (["@/*/{staging,freeze}"], ["@/custom/freeze", "@/environment/staging"]),
        (["@/custom/*", "@/environment/s*"], ["@/custom/freeze", "@/environment/staging"]),
        (["@/**", "--exclude", "**/staging", "--exclude=@/custom/*"], ["@/environment/production"]),
        (["//api/release.ocu.star/@[0-9]"], [f"{SHOP}/@1", f"{SHOP}/@2"]),
        (["./-/**/@*/commit/bbb2"], [f"{SHOP}/@2/commit/bbb2"]),
        (["nothing/**"], []),
    ],
)
def test_match(shop: Repo, words: list[str], refs: list[str]) -> None:
    done = shop.run("match", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "".join(f"{ref}\n" for ref in refs), "")


def test_match_counts_and_ends_with_nul(shop: Repo) -> None:
    assert shop.ocuroot("match", "-z", "@/environment/*") == "@/environment/production\0@/environment/staging\0"
    assert shop.ocuroot("match", "--count", "**") == "18"
    assert shop.ocuroot("match", "--count", "-l", "--intent", "**") == "2"
    assert shop.ocuroot("match", "--count", "nothing/**") == "0"


def test_match_with_documents(shop: Repo) -> None:
    assert shop.ocuroot("match", "--values", f"{SHOP}/@{{,v*,2}}").split("\n") == [
        f'{{"ref": "{SHOP}/@", "resolved": "{SHOP}/@10", "found": true, "value": {{"commit": "ccc3"}}}}',
        f'{{"ref": "{SHOP}/@2", "resolved": "{SHOP}/@2", "found": true, "value": {{"commit": "bbb2"}}}}',
        f'{{"ref": "{SHOP}/@v1.0", "resolved": "{SHOP}/@1", "found": true, "value": {{"commit": "aaa1"}}}}',
    ]
    oid = shop.git("rev-parse", f"state:refs/{SHOP}/@2/@object.json")
    link = shop.git("rev-parse", f"state:refs/{SHOP}/@v1.0/@object.json")
    assert shop.ocuroot("match", "--json", f"{SHOP}/@{{v*,2}}").split("\n") == [
        f'{{"ref": "{SHOP}/@2", "link": null, "oid": "{oid}"}}',
        f'{{"ref": "{SHOP}/@v1.0", "link": "{SHOP}/@1", "oid": "{link}"}}',
    ]
    assert shop.ocuroot("match", "--json", "--values", "-z", f"{SHOP}/@2") == (
        f'{{"ref": "{SHOP}/@2", "link": null, "oid": "{oid}", "resolved": "{SHOP}/@2", "found": true, '
        '"value": {"commit": "bbb2"}}\0'
    )


def test_match_as_it_was(shop: Repo) -> None:
    shop.ocuroot("delete", "+/environment/production")
    assert shop.ocuroot("match", "+/**") == ""
    assert shop.ocuroot("match", "--at", "state^", "+/**") == "+/environment/production"


def test_match_sorts_by_byte(store: Repo) -> None:
    names = ["a", "B", "é", "中", "\U0001f600", "\uffee", "a-b", "a.b"]
    store.ocuroot("update", "--stdin", input="".join(f"set @/custom/{name} 1\n" for name in names))
    refs = store.ocuroot("match", "**").split("\n")
    assert refs == sorted((f"@/custom/{name}" for name in names), key=str.encode)


# set, delete


def message_of(repo: Repo) -> str:
    return plain(repo.git("log", "-1", "--format=%an <%ae> %ad%n%cn <%ce>%n%B", "--date=iso", "state"))


def test_set(shop: Repo) -> None:
    done = shop.run("set", "+/custom/gate", "open: [yes]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.value("+/custom/gate") == "open: [yes]"
    assert message_of(shop) == (
        "Test <test@example.com> 2026-11-20 10:00:00 +0100\nTest <test@example.com>\n"
        "set +/custom/gate\n\n+/custom/gate\n\nOcuroot-Command: set\nOcuroot-Operation: <id 1>\n"
    )
    assert (
        shop.git("show", "state:refs/+/custom/gate/@object.json") == '{\n  "kind": "ref",\n  "body": "open: [yes]"\n}'
    )
    assert shop.git("log", "--format=", "--name-status", "-1", "state") == "A\trefs/+/custom/gate/@object.json"


def test_setting_what_is_there_makes_no_commit(shop: Repo) -> None:
    shop.ocuroot("set", "-f", "json", "+/custom/x", '{"a": 1.0, "b": 2}')
    tip = shop.git("rev-parse", "state")
    shop.ocuroot("set", "-f", "json", "+/custom/x", '{ "a":1.0,\n"b":2}')
    assert shop.git("rev-parse", "state") == tip
    for other in ('{"b": 2, "a": 1.0}', '{"a": 1.00, "b": 2}', '{"a": 1, "b": 2}', '{"a": true, "b": 2}'):
        shop.ocuroot("set", "-f", "json", "+/custom/x", other)
        assert shop.ocuroot("get", "--format", "compact", "+/custom/x") == other


@pytest.mark.parametrize(
    ("words", "given", "value"),
    [
        (["+/custom/x", "1"], "", '"1"'),
        (["-f", "string", "+/custom/x", ""], "", '""'),
        (["-f=json", "+/custom/x", '{"b": [1, null], "a": 1e400}'], "", '{"b": [1, null], "a": 1e400}'),
        (["-fjson", "+/custom/x", "12345678901234567890123"], "", "12345678901234567890123"),
        (["--format=json", "+/custom/x", "-"], '{"z": "\\u00e9",\n"a": -0.0}\n', '{"z": "é", "a": -0.0}'),
        (["+/custom/x", "-"], "two\nlines\n\n", '"two\\nlines\\n"'),
        (
            ["-f", "starlark", "+/custom/x", '{"a": [1 + 1, None, True], "b": "x" * 2}'],
            "",
            '{"a": [2, null, true], "b": "xx"}',
        ),
        (["-f", "starlark", "+/custom/x", "-"], "[n * n\n for n in range(3)]\n", "[0, 1, 4]"),
        (["+/custom/x", "--", "-f"], "", '"-f"'),
        (["+/custom/x", "-1"], "", '"-1"'),
        (["-f", "json", "+/custom/x", "-1.5e3"], "", "-1.5e3"),
        (["+/custom/x", "-.5", "-m", "half"], "", '"-.5"'),
    ],
)
def test_set_formats(store: Repo, words: list[str], given: str, value: str) -> None:
    done = store.run("set", *words, input=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert store.ocuroot("get", "--format", "compact", "+/custom/x") == value


def test_message(shop: Repo) -> None:
    shop.ocuroot("set", "-m", "freeze for the holidays", "+/custom/freeze", "on")
    assert shop.git("log", "-1", "--format=%s", "state") == "freeze for the holidays"
    shop.ocuroot("delete", "--message=thaw", "+/custom/freeze")
    assert shop.git("log", "-1", "--format=%s%n%b", "state").split("\n")[:2] == ["thaw", "+/custom/freeze"]
    shop.ocuroot("update", "--stdin", "-m", "both", input="set +/custom/a 1\nset +/custom/b 2\n")
    assert shop.git("log", "-1", "--format=%s", "state") == "both"
    assert shop.git("reflog", "-1", "--format=%gs", "state") == "ocuroot: both"


def test_set_if_absent(store: Repo) -> None:
    assert store.run("set", "--if-absent", "+/custom/x", "1").returncode == 0
    done = store.run("set", "--if-absent", "+/custom/x", "2")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "fatal: '+/custom/x' exists already\n")
    assert store.value("+/custom/x") == "1"


def oid_of(repo: Repo, ref: str) -> str:
    return str(json.loads(repo.ocuroot("match", "--json", ref))["oid"])


def test_set_if_match(store: Repo) -> None:
    assert store.run("set", "--if-match", "absent", "+/custom/x", "1").returncode == 0
    first = oid_of(store, "+/custom/x")
    assert store.run("set", f"--if-match={first.upper()}", "+/custom/x", "2").returncode == 0
    second = oid_of(store, "+/custom/x")
    done = store.run("set", "--if-match", first, "+/custom/x", "3")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"fatal: '+/custom/x' is at {second}, but expected it at {first}\n"
    done = store.run("set", "--if-match", first, "+/custom/y", "3")
    assert (done.returncode, done.stderr) == (3, f"fatal: '+/custom/y' is absent, but expected it at {first}\n")
    done = store.run("set", "--if-match=absent", "+/custom/x", "3")
    assert (done.returncode, done.stderr) == (3, f"fatal: '+/custom/x' is at {second}, but expected there to be none\n")
    assert store.value("+/custom/x") == "2"


def test_set_if_match_of_the_first_digits(store: Repo) -> None:
    store.ocuroot("set", "+/custom/x", "1")
    first = oid_of(store, "+/custom/x")
    other = first[:6] + ("0" if first[6] != "0" else "1")
    done = store.run("set", "--if-match", other, "+/custom/x", "2")
    assert (done.returncode, done.stderr) == (
        3,
        f"fatal: '+/custom/x' is at {first}, but expected it at {other}\n",
    )
    assert store.run("set", "--if-match", first[:7].upper(), "+/custom/x", "2").returncode == 0
    assert store.run("set", "--if-match", first[:12], "+/custom/x", "3").returncode == 3
    second = oid_of(store, "+/custom/x")
    assert store.run("update", "--stdin", input=f"verify +/custom/x {second[:10]}\n").returncode == 0
    assert store.run("delete", "--if-match", "0000000", "+/custom/x").returncode == 3
    assert store.run("delete", "--if-match", second[:39], "+/custom/x").returncode == 0


@pytest.mark.parametrize(
    ("words", "kept", "warns"),
    [
        (['{"open": true}'], '{"open": true}', True),
        ([" [1, 2]\n"], " [1, 2]\n", True),
        (["-f", "string", '{"open": true}'], '{"open": true}', False),
        (["-f", "json", '{"open": true}'], {"open": True}, False),
        (["{open"], "{open", False),
        (["1"], "1", False),
        (['"quoted"'], '"quoted"', False),
    ],
)
def test_set_of_what_reads_as_json_warns(store: Repo, words: list[str], kept: object, warns: bool) -> None:
    done = store.run("set", *words[:-1], "+/custom/x", words[-1])
    warning = "warning: the value is kept as a string, although it reads as JSON\n"
    hint = "hint: -f json keeps the JSON, -f string is quiet\n"
    assert (done.returncode, done.stderr) == (0, warning + hint if warns else "")
    assert store.value("+/custom/x") == kept


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["prod"], "+/environment/prod: it is not a JSON object", "-f json takes the value as JSON"),
        (['{"name": "prod"}'], "+/environment/prod: it is not a JSON object", "-f json takes the value as JSON"),
        (["-fjson", "[]"], "+/environment/prod: it is not a JSON object", ""),
        (["-fjson", "{}"], "'+/environment/prod': the environment's name is null, but its ref says 'prod'", ""),
        (
            ["-fjson", '{"name": "staging"}'],
            "'+/environment/prod': the environment's name is \"staging\", but its ref says 'prod'",
            "",
        ),
        (
            ["-fjson", '{"name": "prod", "attributes": {"a": 1}}'],
            "'+/environment/prod': the attribute 'a' is 1, not a string",
            "",
        ),
    ],
)
def test_an_environment_is_checked_when_it_is_set(store: Repo, words: list[str], message: str, hint: str) -> None:
    done = store.run("set", *words[:-1], "+/environment/prod", words[-1])
    hint = hint or 'such as {"name": "prod", "attributes": {"type": "prod"}}'
    assert (done.returncode, done.stderr) == (128, f"fatal: {message}\nhint: {hint}\n")
    assert store.ocuroot("match", "**") == ""


def test_listings_as_json(shop: Repo) -> None:
    assert json.loads(shop.ocuroot("resolve", "--json", f"{SHOP}/@")) == {"ref": f"{SHOP}/@", "resolved": f"{SHOP}/@10"}
    shop.ocuroot("update", "--stdin", input=f"unlink {SHOP}/@v1.0\n")
    shop.ocuroot("set", "+/custom/x", "1")
    assert json.loads(shop.ocuroot("apply", "--json", "+/custom/x")) == {"status": "A", "ref": "+/custom/x"}
    shop.ocuroot("set", "+/custom/x", "2")
    assert shop.ocuroot("apply", "-z", "--dry-run", "+/custom/x") == "M\t+/custom/x\0"
    put = '{"kind": "link", "body": "@/custom/nothing"}'
    shop.ocuroot("export", "-q", "out")
    (shop.path / "out/refs/@/custom/dangling").mkdir()
    (shop.path / "out/refs/@/custom/dangling/@object.json").write_text(put)
    shop.git("config", "--unset", "ocuroot.state.branch")
    shop.git("config", "ocuroot.state.path", "out")
    found = map(json.loads, shop.run("fsck", "-q", "--json").stdout.splitlines())
    assert next(one for one in found if one["severity"] == "warning") == {
        "severity": "warning",
        "where": "@/custom/dangling",
        "what": "dangling link: there is no '@/custom/nothing'",
    }


def test_delete(shop: Repo) -> None:
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/+v1/custom/a +/environment/production\n")
    done = shop.run("delete", "+/environment/production", f"{SHOP}/+/deploy/production")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.ocuroot("match", "--intent", "**") == ""
    assert message_of(shop).split("\n")[2:-3] == [
        "delete 3 refs",
        "",
        "+/environment/production",
        f"{SHOP}/+/deploy/production",
        f"{SHOP}/+v1/custom/a",
        "",
    ]
    assert shop.git("ls-tree", "-r", "--name-only", "state", "refs/+") == ""


def test_delete_is_all_or_nothing(shop: Repo) -> None:
    tip = shop.git("rev-parse", "state")
    done = shop.run("delete", "+/environment/production", "+/custom/nothing")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "fatal: no such document: '+/custom/nothing'\n")
    assert shop.git("rev-parse", "state") == tip


def test_delete_if_match(shop: Repo) -> None:
    oid = oid_of(shop, "+/environment/production")
    done = shop.run("delete", "--if-match", "1" * 40, "+/environment/production")
    assert done.returncode == 3
    assert done.stderr == f"fatal: '+/environment/production' is at {oid}, but expected it at {'1' * 40}\n"
    assert shop.run("delete", "--if-match", oid, "+/environment/production").returncode == 0
    assert shop.ocuroot("match", "+/**") == ""


def test_relative_intents(shop: Repo) -> None:
    shop.ocuroot("set", "//api/release.ocu.star/+/custom/a", "1")
    shop.ocuroot("set", "--package", "api/release.ocu.star", "./+/custom/b", "2")
    assert shop.ocuroot("match", "**/+/custom/*") == f"{SHOP}/+/custom/a\n{SHOP}/+/custom/b"


# update


def test_update_in_all_its_verbs(store: Repo) -> None:
    done = store.run(
        "update",
        "--stdin",
        input=(
            "set r/-/p/@1 {}\n"
            "create r/-/p/@1/custom/a [1]\n"
            '\nset "r/-/p/@1/custom/with space" {"a": "b c"}\n'
            "link r/-/p/@ r/-/p/@1\n"
            'link r/-/p/@tag "r/-/p/@1"\n'
            "unlink r/-/p/@tag\n"
            "depend r/-/p/@1 r/-/p/@1/custom/a\n"
            "depend r/-/p/@1 r/-/q/@1\n"
            "undepend r/-/p/@1 r/-/q/@1\n"
            "set r/-/p/@1/custom/gone 1\n"
            "delete r/-/p/@1/custom/gone\n"
            "verify r/-/p/@1 absent\n"
        ),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert store.git("ls-tree", "-r", "--name-only", "state").split("\n") == [
        ".ocuroot-store",
        "dependencies/dependants/r/-/p/@1/custom/a/r/-/p/@1/@ref.txt",
        "dependencies/dependencies/r/-/p/@1/r/-/p/@1/custom/a/@ref.txt",
        "refs/r/-/p/@/@object.json",
        "refs/r/-/p/@1/@object.json",
        "refs/r/-/p/@1/custom/a/@object.json",
        "refs/r/-/p/@1/custom/with space/@object.json",
    ]
    assert store.git("show", "state:dependencies/dependants/r/-/p/@1/custom/a/r/-/p/@1/@ref.txt") == "r/-/p/@1/custom/a"
    assert store.git("show", "state:dependencies/dependencies/r/-/p/@1/r/-/p/@1/custom/a/@ref.txt") == "r/-/p/@1"
    assert store.git("show", "state:refs/r/-/p/@1/@object.json") == (
        '{\n  "kind": "ref",\n  "links": [\n    "r/-/p/@"\n  ],\n  "body": {}\n}'
    )
    assert store.git("show", "state:refs/r/-/p/@/@object.json") == '{\n  "kind": "link",\n  "body": "r/-/p/@1"\n}'
    assert store.value("r/-/p/@/custom/with space#a") == "b c"
    assert store.git("rev-list", "--count", "state", "--") == "2"
    assert store.run("fsck", "-q").stdout == "error: r/-/p/@1: the commit is null, not a string\n"


def test_update_with_nul(store: Repo) -> None:
    records = (
        'set @/custom/a b|{"x":\n1}|create @/custom/c|2|link @/custom/l|@/custom/c|'
        f"verify @/custom/v|{'0' * 40}|delete @/custom/c|"
    )
    assert store.run("update", "--stdin", "-z", input=records.replace("|", "\0")).stderr == ""
    assert store.ocuroot("match", "--values", "**") == (
        '{"ref": "@/custom/a b", "resolved": "@/custom/a b", "found": true, "value": {"x": 1}}'
    )


@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        (["create @/custom/a 1"], 3, "line 2: '@/custom/a' exists already"),
        (["verify @/custom/a absent"], 3, "line 2: '@/custom/a' is at {oid}, but expected there to be none"),
        (["verify @/custom/b {oid}"], 3, "line 2: '@/custom/b' is absent, but expected it at {oid}"),
        (["delete @/custom/b"], 1, "line 2: no such document: '@/custom/b'"),
        (["unlink @/custom/a"], 1, "line 2: '@/custom/a' is no link"),
        (["undepend @/custom/a @/custom/b"], 1, "line 2: '@/custom/a' does not depend on '@/custom/b'"),
        (["link @/custom/l @/custom/b"], 1, "line 2: cannot link to '@/custom/b': there is no such document"),
        (["link @/custom/a @/custom/first"], 128, "line 2: cannot make '@/custom/a' a link: it is a document"),
        (["frob @/custom/a"], 128, "line 2: unknown instruction 'frob'"),
        (["set @/custom/a"], 128, "line 2: 'set' lacks the JSON"),
        (["set"], 128, "line 2: 'set' lacks the ref"),
        (
            ["set @/custom/a {]"],
            128,
            "line 2: bad JSON: line 1, column 2: expecting property name enclosed in double quotes",
        ),
        (["delete @/custom/a b"], 128, "line 2: there is more after the ref: 'b'"),
        (["set @/nonsense 1"], 128, "line 2: bad ref '@/nonsense': segment 'nonsense': it is not a type"),
        (["set @/custom/a#x 1"], 128, "line 2: cannot change '@/custom/a#x': documents are changed as a whole"),
        (
            ["verify @/custom/a 123"],
            129,
            "line 2: '123' is no id: give at least 7 of its hexadecimal digits, "
            "as 'git ocuroot match --json' prints them",
        ),
    ],
)
def test_update_is_all_or_nothing(store: Repo, lines: list[str], status: int, message: str) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/a 1\n")
    tip, oid = store.git("rev-parse", "state"), oid_of(store, "@/custom/a")
    text = "\n".join(["set @/custom/first 1", *lines, "set @/custom/last 1"]).replace("{oid}", oid)
    done = store.run("update", "--stdin", input=text)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    prefix = "error: " if status == 129 else "fatal: "
    assert done.stderr.split("\n")[0] == prefix + message.replace("{oid}", oid)
    assert store.git("rev-parse", "state") == tip


# resolve, parse


def test_resolve(shop: Repo) -> None:
    refs = [
        f"{SHOP}/@",
        f"{SHOP}/@v1.0/task/build#output",
        f"{SHOP}/@/deploy/production",
        f"{SHOP}/@/custom/none",
        "./-/x/@1",
    ]
    resolved = [
        f"{SHOP}/@10",
        f"{SHOP}/@1/call/build#output",
        f"{SHOP}/@1/deploy/production",
        f"{SHOP}/@10/custom/none",
        "github.com/example/shop/-/x/@1",
    ]
    assert shop.ocuroot("resolve", *refs).split("\n") == resolved
    assert shop.ocuroot("resolve", "-z", *refs).split("\0") == [*resolved, ""]
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@ {SHOP}/@2\n")
    assert shop.ocuroot("resolve", f"{SHOP}/@") == f"{SHOP}/@2"
    assert shop.ocuroot("resolve", "--at", "state~1", f"{SHOP}/@") == f"{SHOP}/@10"


def test_parse(tmp_path: Path) -> None:
    refs = [f"{SHOP}/@1/task/build/1/status/complete#output/a~1b", "+/environment/production/", "//x/@", "./call/build"]
    done = run_program("parse", *refs, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_golden("parse.txt", done.stdout)
    done = run_program("parse", "--json", *refs, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_golden("parse.json", done.stdout)


# log


@pytest.fixture
def history(shop: Repo) -> Repo:
    shop.ocuroot("set", "-m", "raise the gate", "+/custom/gate", "1")
    shop.ocuroot("set", "+/custom/gate", "2")
    shop.ocuroot("delete", "+/custom/gate")
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@ {SHOP}/@2\n")
    return shop


def test_log(history: Repo) -> None:
    check_golden("log.txt", plain(history.ocuroot("log")) + "\n")
    check_golden("log.json", plain(history.ocuroot("log", "--json")) + "\n")


@pytest.mark.parametrize(
    ("words", "subjects"),
    [
        (["+/custom/gate"], ["delete +/custom/gate", "set +/custom/gate", "raise the gate"]),
        (["-n", "1", "+/custom/gate"], ["delete +/custom/gate"]),
        (["-2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["-n2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["--limit=0"], []),
        (["@/environment/production"], ["open the shop"]),
        (["--at", "state~2", "-n", "1"], ["set +/custom/gate"]),
        ([f"{SHOP}/@"], [f"update {SHOP}/@", "open the shop"]),
        (["nothing/**"], []),
        (
            ["@/custom/freeze", "+/custom/g?te"],
            ["delete +/custom/gate", "set +/custom/gate", "raise the gate", "open the shop"],
        ),
    ],
)
def test_log_of_some(history: Repo, words: list[str], subjects: list[str]) -> None:
    lines = history.ocuroot("log", "--json", *words).splitlines()
    found = [json.loads(line)["subject"] for line in lines]
    if words == [f"{SHOP}/@"]:
        found = [subject if subject == "open the shop" else f"update {SHOP}/@" for subject in found]
    assert found == subjects
    assert history.ocuroot("log", "--json", "-z", *words) == "".join(line + "\0" for line in lines)


# export, import, fsck


def files_below(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_export_and_import(shop: Repo, make_repo: Callable[..., Repo]) -> None:
    done = shop.run("export", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Wrote 21 files to 'out'\n")
    exported = files_below(shop.path / "out")
    paths = shop.git("ls-tree", "-r", "-z", "--name-only", "state").split("\0")[:-1]
    assert sorted(exported) == sorted(paths)
    other = make_repo("other")
    done = other.run("import", str(shop.path / "out"))
    message = f"Imported '{shop.path / 'out'}' to branch 'state': 18 documents and links in all\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", message)
    assert other.git("rev-parse", "state^{tree}") == shop.git("rev-parse", "state^{tree}")
    assert other.git("log", "--format=%s", "state").split("\n") == ["import 18 refs", "Create the store"]
    done = other.run("import", str(shop.path / "out"))
    assert done.returncode == 128
    assert done.stderr == (
        "fatal: branch 'state' exists already: a store is imported as a whole, into a new one\n"
        "hint: name another: git -c ocuroot.state.branch=<branch> ocuroot import <directory>\n"
    )
    third = make_repo("third")
    third.ocuroot("import", "-q", "-m", "take over", str(shop.path / "out"))
    assert third.git("log", "-1", "--format=%s", "state") == "take over"


def test_export_as_it_was(shop: Repo) -> None:
    shop.ocuroot("export", "-q", "before")
    shop.ocuroot("delete", "+/environment/production")
    shop.ocuroot("export", "-q", "--at", "state~1", "again")
    assert files_below(shop.path / "again") == files_below(shop.path / "before")
    done = shop.run("export", "again")
    assert done.returncode == 128
    assert done.stderr == "fatal: 'again' is not empty\nhint: name a directory that does not exist yet\n"
    (shop.path / "file").write_text("")
    done = shop.run("export", "file")
    assert (done.returncode, done.stderr) == (128, "fatal: 'file' is not a directory\n")
    done = shop.run("export", "/proc/nothing/here")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: cannot make the directory '/proc/nothing/here': "), done.stderr
    done = shop.run("import", "nowhere")
    assert (done.returncode, done.stderr) == (128, "fatal: there is no directory 'nowhere'\n")
    (shop.path / "empty").mkdir()
    done = shop.run("import", "empty")
    assert done.returncode == 128
    assert (
        done.stderr == "fatal: 'empty' is no store: it has no '.ocuroot-store', nor have 'state' and 'intent' in it\n"
    )


def test_fsck(shop: Repo) -> None:
    done = shop.run("fsck")
    releases = "".join(f"error: {SHOP}/@{n}: package: it is missing\n" for n in (10, 2))
    first = f"error: {SHOP}/@1: package: it is missing\nerror: {SHOP}/@1/call/build/1: it is missing\n"
    assert (done.returncode, done.stdout) == (1, first + releases)
    assert done.stderr == "branch 'state': checked 14 documents and 4 links\n"


def test_fsck_finds_damage(shop: Repo) -> None:
    shop.ocuroot("export", "-q", "out")
    refs = shop.path / "out" / "refs"

    def put(ref: str, text: str) -> None:
        (refs / ref).mkdir(parents=True, exist_ok=True)
        (refs / ref / "@object.json").write_text(text)

    put("@/custom/garbage", "{")
    put("@/custom/kind", '{"kind": "blob", "body": 1}')
    put("@/custom/bodyless", '{"kind": "ref"}')
    put("@/custom/dangling", '{"kind": "link", "body": "@/custom/nothing"}')
    put("@/custom/unlisted", '{"kind": "link", "body": "@/custom/freeze"}')
    put("@/custom/round", '{"kind": "link", "body": "@/custom/about"}')
    put("@/custom/about", '{"kind": "link", "body": "@/custom/round"}')
    put("@/custom/lists", '{"kind": "ref", "links": ["@/custom/nobody"], "body": 1}')
    put(f"{SHOP}/@/custom/hidden", '{"kind": "ref", "body": 1}')
    put("no/such/type/@1/strange/x", '{"kind": "ref", "body": 1}')
    (refs / "file").write_text("x")
    shop.git("config", "ocuroot.state.branch", "damaged")
    shop.ocuroot("import", "-q", "--offline", "out")
    done = shop.run("fsck")
    assert done.returncode == 1
    assert done.stderr == "branch 'damaged': checked 17 documents and 8 links\n"
    check_golden("fsck.txt", "".join(sorted(done.stdout.splitlines(keepends=True))))
    assert len(shop.run("fsck", "-q", "--at", "state").stdout.splitlines()) == 4


# Ocuroot's documented commands, with `git ocuroot` for `ocuroot`


def test_the_documented_commands_of_ocuroot(shop: Repo) -> None:
    def run(*words: str) -> str:
        return shop.git("ocuroot", "state", *words)

    assert run("get", f"{SHOP}/@1/call/build#output/download_url") == '"https://example.com/1"'
    assert run("get", f"{SHOP}/@/task/build#output/download_url") == '"https://example.com/10"'
    assert f"{SHOP}/@/deploy/production" in run("match", "**/deploy/production").split("\n")
    assert run("match", f"{SHOP}/@1/commit/*") == f"{SHOP}/@1/commit/aaa1"
    assert run("match", "github.com/example/shop/-/**/@*/commit/bbb2") == f"{SHOP}/@2/commit/bbb2"
    assert run("set", "-f=json", "+/environment/production2", '{"name": "production2", "attributes": {}}') == ""
    assert run("get", "+/environment/production2#name") == '"production2"'
    assert run("delete", "+/environment/production2") == ""
    assert run("match", "+/environment/*") == "+/environment/production"


def test_the_documented_commands_on_a_store_of_the_original(repo: Repo) -> None:
    bundle = str(CONFORMANCE / "stores" / "v3.bundle")
    repo.git("fetch", "-q", bundle, "refs/heads/*:refs/heads/*")
    repo.git("config", "ocuroot.intent.branch", "intent")
    for spelling in ("@r1/task", "@1/call", "@1/task"):
        ref = f"github.com/example/shop.git/-/frontend/package.ocu.star/{spelling}/build"
        assert json.loads(repo.git("ocuroot", "state", "get", ref))["type"] == "task", ref
    repo.git("ocuroot", "state", "set", "-f=json", "+/custom/note", '{"by": "me"}')
    assert repo.git("ocuroot", "state", "get", "+/custom/note#by") == '"me"'
    repo.git("ocuroot", "state", "delete", "+/custom/note")
    assert repo.git("ocuroot", "state", "match", "+/custom/note") == ""
