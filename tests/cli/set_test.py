"""`git ocuroot set` and `delete`: every option, what is written, and what is said."""

from __future__ import annotations

import pytest
from support.golden import plain
from support.repositories import SHOP, Repo, oid_of

pytestmark = [pytest.mark.new_interpreter, pytest.mark.usefixtures("fixed_dates")]


def message_of(repo: Repo) -> str:
    return plain(repo.git("log", "-1", "--format=%an <%ae> %ad%n%cn <%ce>%n%B", "--date=iso", "state"))


def test_set(shop: Repo) -> None:
    done = shop.run("set", "+/custom/gate", "open: [yes]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.value("+/custom/gate") == "open: [yes]"
    assert message_of(shop) == (
        "Test <test@example.com> 2026-11-20 10:00:00 +0100\nTest <test@example.com>\n"
        "set +/custom/gate\n\n+/custom/gate\n\nOcuroot-Command: set\nOcuroot-Operation: <id 1>\n"
        "Ocuroot-Actor: local:test@example.com\n"
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


def test_delete(shop: Repo) -> None:
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/+v1/custom/a +/environment/production\n")
    done = shop.run("delete", "+/environment/production", f"{SHOP}/+/deploy/production")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.ocuroot("match", "--intent", "**") == ""
    assert message_of(shop).split("\n")[2:-4] == [
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


def test_delete_of_one_that_is_named_twice(shop: Repo) -> None:
    ref = "+/environment/production"
    done = shop.run("delete", ref, ref + "/", ref)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.run("get", ref).returncode == 1


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
