"""The page that may write: each action by its plain forms."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.delivering import commits, copy_of, deploy, package, refused, release
from support.program import PROGRAM
from support.repositories import Repo
from support.writers import FORM, WEB, Writer, two_releases


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return two_releases(tmp_path_factory.mktemp("written"))


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


def intent(repo: Repo, name: str) -> Any:
    return json.loads(repo.ocuroot("get", f"{WEB}/+/deploy/{name}"))["release"]


# What is done


def test_hold_and_let_go(shop: Repo) -> None:
    writer = Writer(shop)
    shown = writer.get(f"/do/hold?release={WEB}/@2").get_data(as_text=True)
    assert f"git ocuroot hold {WEB}/@2" in shown.replace("<wbr>", "") and "it stays deployed in staging" in shown
    ended = writer.do("hold", "leaks <memory>", release=f"{WEB}/@2")
    assert shop.git("rev-parse", "state")[:10] in ended
    assert "git ocuroot hold" in ended and "leaks &lt;memory&gt;" in ended.replace("<wbr>", "")
    assert "leaks <memory>" in shop.ocuroot("hold")
    message = shop.git("log", "-1", "--format=%B", "state")
    assert "Ocuroot-Command: hold\n" in message and "Ocuroot-Reason: leaks <memory>" in message
    assert "Ocuroot-Actor: local:" in message
    writer.do("lift", release=f"{WEB}/@2")
    assert shop.ocuroot("hold") == ""


def test_freeze_and_thaw(shop: Repo) -> None:
    writer = Writer(shop)
    assert "deployments to production do not start until" in writer.get(
        "/do/freeze?environment=production&until=2h"
    ).get_data(as_text=True)
    writer.do("freeze", "incident", environment="production", until="2h")
    assert '"state": "closed"' in shop.ocuroot("gate", "list", "--json")
    writer.do("freeze", "all of it", environment="--all", until="")
    assert set(re.findall(r'"name": "([^"]*)"', shop.ocuroot("gate", "list", "--json"))) == {"production", "all"}
    assert "/do/thaw?gate=production" in writer.get("/ref/@/environment/production").get_data(as_text=True)
    assert "/do/thaw?gate=all" in writer.get("/do").get_data(as_text=True)
    for gate in ("production", "all"):
        writer.do("thaw", gate=gate)
    assert shop.ocuroot("gate", "list", "--json") == ""


def test_a_freeze_says_all_that_the_command_does(shop: Repo) -> None:
    writer = Writer(shop)
    said = {
        "environment": "type=prod",
        "until": "2121-01-01 12:00",
        "from": "2026-01-05",
        "rrule": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=17",
        "duration": "63h",
        "timezone": "Europe/Berlin",
        "package": "//we? 'other/**'",
        "allow": "github:ann, github:bob",
        "name": "weekend",
        "cancel_pending": "yes",
    }
    release(shop, package([deploy("production")]))
    page = html.unescape(writer.get(f"/do/freeze?{urlencode(said)}").get_data(as_text=True).replace("<wbr>", ""))
    assert f"{WEB}/@3/deploy/production/1 is cancelled" in page
    assert "again and again for 63h, by FREQ=WEEKLY;BYDAY=FR;BYHOUR=17 (Europe/Berlin)" in page
    assert "github:ann, github:bob may start a run there all the same" in page
    command = next(iter(re.findall(r"<code>(git ocuroot freeze [^<]*)</code>", page)))
    assert f"{WEB}/@3/deploy/production/1 is cancelled" in writer.do("freeze", "nobody is there", **said).replace(
        "<wbr>", ""
    )
    by_click = shop.value("@/custom/gate/weekend")
    assert by_click["packages"] == ["shop/-/we?", "other/**"] and by_click["actors"] == ["github:ann", "github:bob"]
    assert (by_click["start"], by_click["end"]) == ("2026-01-05T00:00:00", "2121-01-01T11:00:00Z")
    shop.ocuroot("thaw", "weekend")
    # The command that it shows makes the same.
    shop.ocuroot(*shlex.split(command)[2:], "-m", "nobody is there")
    assert shop.value("@/custom/gate/weekend") == by_click
    fields = writer.confirm("freeze", environment="staging", until="", name="weekend")
    again = writer.send("freeze", fields, "why")
    assert again.status_code == 409 and "there is a gate &#39;weekend&#39; already" in again.get_data(as_text=True)
    writer.do("freeze", "why", environment="staging production", until="")
    writer.do("thaw", gate="--all")
    assert shop.ocuroot("gate", "list", "--json") == ""
    assert writer.get("/do/thaw?gate=--all").status_code == 404


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"environment": "production --all"}, "not both"),
        ({"environment": "'production"}, "a quote does not end"),
        ({"environment": "production", "timezone": "Mars/Phobos"}, "not known on this machine"),
        ({"environment": "production", "until": "soon"}, "takes a time"),
        ({"environment": "production", "until": "99999999d"}, "no calendar reaches"),
        ({"environment": "production", "from": "0001-01-01"}, "no calendar reaches"),
        ({"environment": "production", "until": "2020-01-01"}, "its time has passed"),
        ({"environment": "production", "rrule": "FREQ=SECONDLY", "duration": "1h"}, "only YEARLY"),
        ({"environment": "production", "rrule": "FREQ=DAILY"}, "duration"),
        ({"environment": "production", "rrule": "x" * 1500, "duration": "1h"}, "part of a rule"),
        ({"environment": "production", "package": "{"}, "packages"),
        ({"environment": "production", "name": "a//b"}, "a//b"),
        ({"environment": "production", "name": "../../x"}, "x"),
        (
            {"environment": "production", "allow": "x" * 9000, "name": "y" * 9000, "package": "é" * 2000},
            "more than a form",
        ),
    ],
)
def test_a_freeze_that_says_nothing_sensible_is_refused(shop: Repo, said: dict[str, str], words: str) -> None:
    writer = Writer(shop)
    answer = writer.get(f"/do/freeze?{urlencode({'until': '', **said})}")
    text = html.unescape(answer.get_data(as_text=True).replace("<wbr>", ""))
    assert answer.status_code in (400, 404) and words in text and 'name="token"' not in text, text
    assert "unexpected" not in text


def test_what_most_leave_alone_is_folded_and_can_be_changed(shop: Repo) -> None:
    writer = Writer(shop)
    text = writer.get("/do/promote?source=staging").get_data(as_text=True)
    assert '<details id="more"><summary>More</summary>' in text and 'name="packages"' in text
    shown = writer.get(f"/do/rollback?environment=staging&to={WEB}/@1&no_hold=on").get_data(as_text=True)
    assert "rollback --to" in shown and "--no-hold" in shown and "is to be held" not in shown
    (otherwise,) = re.findall(r'<a href="(/do/rollback[^"]*)">Change it', shown)
    form = writer.get(html.unescape(otherwise)).get_data(as_text=True)
    assert '<details id="more" open>' in form and 'name="no_hold" type="checkbox" value="yes" checked' in form
    fields = writer.confirm("rollback", environment="staging", to=f"{WEB}/@1", no_hold="yes")
    assert writer.send("rollback", fields, "x").status_code == 200
    assert shop.ocuroot("hold") == "" and intent(shop, "staging") == f"{WEB}/@1"


def test_only_some_packages_go(shop: Repo) -> None:
    release(shop, package([deploy("staging")], [deploy("production")]), "api")
    shop.run("work", "any")
    shop.ocuroot("delete", "shop/-/api/+/deploy/production")
    shop.run("work", "any")
    writer = Writer(shop)
    shown = writer.get("/do/promote?source=staging&target=production&packages=//api").get_data(as_text=True)
    assert "git ocuroot promote staging production //api" in shown.replace("<wbr>", "")
    writer.do("promote", source="staging", target="production", packages="//api")
    assert (
        intent(shop, "production") == f"{WEB}/@1" and shop.run("get", "shop/-/api/+/deploy/production").returncode == 0
    )
    both = writer.get(f"/do/rollback?environment=staging&to={WEB}/@1&packages=//api")
    assert both.status_code == 400 and "give no pattern" in both.get_data(as_text=True)


def test_what_an_input_waits_for_is_given(shop: Repo) -> None:
    inputs = {"go": {"ref": "./custom/approve"}, "n": {"ref": "@/custom/n#x"}, "known": {"value": 1}}
    made = release(shop, package([deploy("production", inputs=inputs)]))
    writer = Writer(shop)
    page = html.unescape(writer.get(f"/ref/{made}/deploy/production/1").get_data(as_text=True))
    approve, n = f"{WEB}/+3/custom/approve", "+/custom/n"
    assert re.findall(r'href="(/do/give\?[^"]*)"', page) == [
        f"/do/give?{urlencode({'ref': ref})}" for ref in (approve, n)
    ]
    writer.do("give", "looks good", ref=approve, value="yes")
    assert "Ocuroot-Command: set\n" in shop.git("log", "-1", "--format=%B", "state")
    writer.do("give", ref=n, value='{"x": 2}', as_json="yes")
    shop.run("work", "any")
    assert shop.value(f"{made}/deploy/production/1/functions/1#current/inputs/n/value") == 2
    assert "/do/give" not in writer.get(f"/ref/{made}/deploy/production/1").get_data(as_text=True)
    for bad in (
        "@/custom/x",
        "+/environment/x",
        f"{WEB}/+/deploy/production",
        "./custom/x",
        "+/custom/..",
        "//",
        "+/custom/x#y",
    ):
        assert writer.get(f"/do/give?{urlencode({'ref': bad, 'value': '1'})}").status_code == 400
    assert writer.get("/do/give?ref=%2B/custom/x&value={&as_json=1").status_code >= 400
    fields = writer.confirm("give", ref=n, value="1")
    shop.ocuroot("set", n, "2")
    assert writer.send("give", fields, "").status_code == 409


def test_approve_and_reject(shop: Repo) -> None:
    gate = {"kind": "approve", "environments": ["production"]}
    steps = [f"set {side}/custom/gate/eyes {json.dumps(gate)}\n" for side in "@+"]
    shop.ocuroot("update", "--stdin", input="".join(steps))
    writer = Writer(shop)
    asked = {"release": f"{WEB}/@1", "environment": "production"}
    assert "production waits for" in writer.get(f"/do/approve?{urlencode(asked)}").get_data(as_text=True)
    assert "still waits for" in writer.do("reject", "no", **asked)
    assert shop.run("gate", "check", f"{WEB}/@1", "--environment", "production").returncode == 1
    assert "still waits for" not in writer.do("approve", **asked)
    assert shop.run("gate", "check", f"{WEB}/@1", "--environment", "production").returncode == 0


def test_promote_and_roll_back(shop: Repo) -> None:
    writer = Writer(shop)
    shown = writer.get("/do/promote?source=staging&target=production").get_data(as_text=True)
    assert "@1 → @2" in shown.replace("<wbr>", "")
    ended = writer.do("promote", source="staging", target="production")
    assert "makes it so" in ended and intent(shop, "production") == f"{WEB}/@2"
    ended = writer.do("rollback", "leaks", environment="staging", to=f"{WEB}/@1")
    assert intent(shop, "staging") == f"{WEB}/@1" and "leaks" in shop.ocuroot("hold")
    assert "Ocuroot-Command: rollback" in shop.git("log", "-1", "--format=%B", "state")
    idle = writer.get(f"/do/rollback?environment=staging&to={WEB}/@1").get_data(as_text=True)
    assert "nothing to change" in idle and 'method="post"' not in idle


def test_retry_and_cancel(shop: Repo) -> None:
    writer = Writer(shop)
    failed = f"{WEB}/@2/call/check/1"
    assert f"/do/retry?{urlencode({'run': failed})}" in html.unescape(
        writer.get(f"/ref/{failed}").get_data(as_text=True)
    )
    assert "call/check/2" in writer.do("retry", run=failed).replace("<wbr>", "")
    writer.do("cancel", run=f"{WEB}/@2/call/check/2")
    assert '"status": "cancelled"' in shop.ocuroot("get", f"{WEB}/@2/call/check/2/functions/1") or shop.ocuroot(
        "get", f"{WEB}/@2/call/check/2/status/cancelled"
    )
    # and once more, of the release
    refused(shop, 3, "nothing to retry", "run", "retry", f"{WEB}/@2")
    assert writer.get(f"/do/retry?run={failed}").status_code == 200


def test_what_is_not_said_is_asked_for(shop: Repo) -> None:
    writer = Writer(shop)
    text = writer.get("/do/promote?source=staging").get_data(as_text=True)
    assert 'name="target"' in text and 'value="staging"' in text and '<option value="production">' in text
    wrong = writer.get("/do/freeze?environment=nowhere&until=")
    assert wrong.status_code == 404 and "no such environment: &#39;nowhere&#39;" in wrong.get_data(as_text=True)
    fields = writer.confirm("hold", release=f"{WEB}/@1")
    answer = writer.send("hold", fields)
    assert answer.status_code == 400 and "say why" in answer.get_data(as_text=True)
    again = {name: html.unescape(value) for name, value in FORM.findall(answer.get_data(as_text=True))}
    assert writer.send("hold", again, "why").status_code == 200


BUTTONS: list[tuple[str, dict[str, str], list[list[str]]]] = [
    ("hold", {"release": f"{WEB}/@2"}, []),
    ("lift", {"release": f"{WEB}/@2"}, [["hold", "-m", "bad", f"{WEB}/@2"]]),
    ("freeze", {"environment": "production", "until": "2h"}, []),
    ("freeze", {"environment": "--all", "until": "", "package": "//we* 'x y/**'", "allow": "github:ann"}, []),
    ("thaw", {"gate": "production"}, [["freeze", "production", "-m", "x"], ["freeze", "--all", "-m", "y"]]),
    ("thaw", {"gate": "--all"}, [["freeze", "production", "-m", "x"], ["freeze", "--all", "-m", "y"]]),
    ("approve", {"release": f"{WEB}/@1", "environment": "production"}, []),
    ("reject", {"release": f"{WEB}/@1", "environment": "production"}, []),
    ("promote", {"source": "staging", "target": "production"}, []),
    ("rollback", {"environment": "staging", "to": f"{WEB}/@1"}, []),
    ("retry", {"run": f"{WEB}/@2/call/check/1"}, []),
    ("cancel", {"run": f"{WEB}/@2/call/check/2"}, [["run", "retry", f"{WEB}/@2/call/check/1"]]),
]
VARYING = re.compile(r"20\d\d-\d\d-\d\dT[0-9:.]+Z?|[0-9a-f]{24,}")


def documents(repo: Repo) -> dict[str, str]:
    """All that a store says, but for times and ids."""
    listed = (line.split() for line in repo.git("ls-tree", "-r", "state").splitlines())
    return {path: VARYING.sub("…", repo.git("cat-file", "blob", blob)) for _, _, blob, path in listed}


@pytest.mark.parametrize(("action", "values", "before"), BUTTONS, ids=[f"{one[0]} {one[1]}" for one in BUTTONS])
def test_the_command_that_a_button_shows_does_the_same(
    shop: Repo, tmp_path: Path, action: str, values: dict[str, str], before: list[list[str]]
) -> None:
    for command in before:
        shop.ocuroot(*command)
    typed = copy_of(shop, tmp_path / "typed")
    first = documents(shop)
    page = html.unescape(Writer(shop).do(action, 'it\'s "why" $(x) `y`', **values).replace("<wbr>", ""))
    command = next(iter(re.findall(r"git ocuroot [^<]*", page))).strip()
    ran = ["sh", "-c", f"git() {{ shift; '{sys.executable}' '{PROGRAM}' \"$@\"; }}; {command}"]
    done = subprocess.run(ran, cwd=typed.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    assert documents(typed) == documents(shop) != first
    kept = "%s%n%(trailers:key=Ocuroot-Command)%(trailers:key=Ocuroot-Reason)%(trailers:key=Ocuroot-Actor)"
    ends = [repo.git("log", "-1", f"--format={kept}", "state") for repo in (typed, shop)]
    assert ends[0] == ends[1], ends


# What was looked at


MOVES: dict[str, tuple[dict[str, str], list[str]]] = {
    "promote": ({"source": "staging", "target": "production"}, ["promote", "staging", "production"]),
    "rollback": (
        {"environment": "staging", "to": f"{WEB}/@1"},
        ["rollback", "staging", "--no-hold", "--to", f"{WEB}/@1"],
    ),
    "retry": ({"run": f"{WEB}/@2/call/check/1"}, ["run", "retry", f"{WEB}/@2/call/check/1"]),
    "hold": ({"release": f"{WEB}/@2"}, ["hold", "-m", "another reason", f"{WEB}/@2"]),
    "approve": ({"release": f"{WEB}/@2", "environment": "production"}, ["hold", "-m", "bad", f"{WEB}/@2"]),
}


@pytest.mark.parametrize("action", MOVES)
def test_what_moved_meanwhile_is_told_and_nothing_is_written(shop: Repo, action: str) -> None:
    values, other = MOVES[action]
    writer = Writer(shop)
    fields = writer.confirm(action, **values)
    seen = shop.git("rev-parse", "state")[:10]
    shop.ocuroot(*other)
    before = shop.git("rev-parse", "state")
    answer = writer.send(action, fields, "why")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 409 and "moved meanwhile" in text and seen in text
    assert shop.git("rev-parse", "state") == before


def test_another_commit_that_does_not_concern_it_keeps_nothing_from_being_done(shop: Repo) -> None:
    writer = Writer(shop)
    fields = writer.confirm("hold", release=f"{WEB}/@2")
    shop.ocuroot("set", "+/custom/banner", "hello")
    assert writer.send("hold", fields, "why").status_code == 200


@pytest.mark.parametrize("place", ["one", "two branches"])
def test_a_form_that_is_sent_again_writes_once(shop: Repo, tmp_path: Path, place: str) -> None:
    if place == "two branches":
        shop.git("branch", "intent", "state")
        shop.git("config", "ocuroot.intent.branch", "intent")
    writer = Writer(shop)
    for action, values in (
        ("freeze", {"environment": "production", "until": "2h"}),
        ("hold", {"release": f"{WEB}/@2"}),
        ("lift", {"release": f"{WEB}/@2"}),
        ("promote", {"source": "staging", "target": "production"}),
    ):
        if place == "two branches" and action == "promote":
            continue  # the copy of the intents is no store of intents alone
        fields = writer.confirm(action, **values)
        first = writer.send(action, fields, "why")
        assert first.status_code == 200, first.get_data(as_text=True)
        count = commits(shop)
        with ThreadPoolExecutor(4) as pool:
            tries = [pool.submit(writer.send, action, fields, "another reason") for _ in range(4)]
        for answer in (one.result() for one in tries):
            text = answer.get_data(as_text=True)
            assert answer.status_code == 200 and "carried out before" in text, text
        assert commits(shop) == count
