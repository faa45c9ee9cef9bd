"""The page that may write: each action by its plain forms, and what is refused."""

from __future__ import annotations

import html
import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from support.delivering import call, commits, copy_of, deploy, package, prepare, refused, release
from support.program import run_program
from support.repositories import Repo
from support.viewing import viewed
from werkzeug.test import TestResponse

from ocuroot_git.opening import open_stores
from ocuroot_git.web.actions import ACTIONS
from ocuroot_git.web.app import create_app
from ocuroot_git.web.keys import Keys

WEB = "shop/-/web"
HERE = {"Host": "127.0.0.1:3000"}
OURS = {**HERE, "Origin": "http://127.0.0.1:3000"}
FORM = re.compile(r'<input type="hidden" name="(what|token)" value="([^"]*)">')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two releases, the first deployed in both environments, the second in staging alone, where its call failed."""
    repo = Repo(tmp_path_factory.mktemp("written"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    for run in ("true", "false"):
        release(repo, package([deploy("staging")], [call("check", run)], [deploy("production")]))
        repo.run("work", "any")
    return repo


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


class Writer:
    """A browser with the key."""

    def __init__(self, repo: Repo, *, has_key: bool = True) -> None:
        self.keys = Keys()
        app = create_app(lambda: open_stores(str(repo.path)), keys=self.keys)
        self.client = app.test_client()
        if has_key:
            first = urlsplit(self.keys.address("http://127.0.0.1:3000/"))
            answer = self.client.get(f"/?{first.query}", headers=HERE)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/")
            self.cookie = answer.headers["Set-Cookie"]

    def get(self, address: str, **headers: str) -> TestResponse:
        return self.client.get(address, headers={**HERE, **headers}, buffered=True)

    def confirm(self, action: str, **values: str) -> dict[str, str]:
        """The hidden fields of the form that an action shows."""
        answer = self.get(f"/do/{action}?{urlencode(values)}")
        text = answer.get_data(as_text=True)
        fields = {name: html.unescape(value) for name, value in FORM.findall(text)}
        assert answer.status_code == 200 and set(fields) == {"what", "token"}, text
        return fields

    def send(self, action: str, fields: dict[str, str], reason: str = "", **headers: str) -> TestResponse:
        sent = {**OURS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(f"/do/{action}", data={**fields, "reason": reason}, headers=sent, buffered=True)

    def do(self, action: str, reason: str = "", **values: str) -> str:
        answer = self.send(action, self.confirm(action, **values), reason)
        text = answer.get_data(as_text=True)
        assert answer.status_code == 200, text
        return text


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
    assert "no deployment starts in production until" in writer.get(
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
    assert answer.status_code in (400, 500) and words in text and 'name="token"' not in text, text
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
        assert writer.get(f"/do/give?{urlencode({'ref': bad, 'value': '1'})}").status_code in (400, 500)
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
    assert wrong.status_code == 404 and "there is no environment &#39;nowhere&#39;" in wrong.get_data(as_text=True)
    fields = writer.confirm("hold", release=f"{WEB}/@1")
    answer = writer.send("hold", fields)
    assert answer.status_code == 400 and "say why" in answer.get_data(as_text=True)
    again = {name: html.unescape(value) for name, value in FORM.findall(answer.get_data(as_text=True))}
    assert writer.send("hold", again, "why").status_code == 200


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


# Who may


def test_reading_needs_no_cookie_and_shows_no_way_to_write(shop: Repo) -> None:
    reader = Writer(shop, has_key=False)
    for page in ("/", f"/ref/{WEB}/@2", "/ref/@/environment/production", "/deployments"):
        answer = reader.get(page)
        assert answer.status_code == 200 and "/do" not in answer.get_data(as_text=True)
        assert "Set-Cookie" not in answer.headers
    for page in ("/do", f"/do/hold?release={WEB}/@2"):
        assert reader.get(page).status_code == 403
    writer = Writer(shop)
    page = f"/ref/{WEB}/@2"
    assert "/do/hold?" in writer.get(page).get_data(as_text=True)
    assert "/do" not in writer.get(f"{page}?at=state~1").get_data(as_text=True).replace("/docs", "")
    tag = reader.get(page).headers["ETag"]
    assert writer.get(page, **{"If-None-Match": tag}).status_code == 200  # the page with actions is another one


def test_cookie_is_for_our_pages_alone(shop: Repo) -> None:
    writer = Writer(shop)
    name, _, rest = writer.cookie.partition("=")
    value, *attributes = rest.split("; ")
    assert name.startswith("ocuroot-") and len(value) >= 43
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert writer.get("/?key=wrong").status_code == 403
    assert writer.get("/?key=").status_code == 403
    kept = Writer(shop).client.get(f"/?page=2&{urlsplit(writer.keys.address('/')).query}", headers=HERE)
    assert kept.status_code == 403  # the key of another process
    first = urlsplit(writer.keys.address("/")).query
    assert writer.get(f"/?page=2&{first}").headers["Location"] == "/?page=2"
    once = urlsplit(writer.keys.address_for_program("/")).query
    assert [writer.get(f"/?{once}").status_code for _ in range(2)] == [303, 403]
    assert writer.get(f"/?{first}", Host="evil.example").status_code == 400


FOREIGN: dict[str, dict[str, str]] = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:4000"},
    "another name of ours": {"Origin": "http://localhost:3000"},
    "another scheme": {"Origin": "https://127.0.0.1:3000"},
    "no origin": {"Origin": ""},
    "a sandbox": {"Origin": "null"},
    "a frame elsewhere": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "ours, says the origin alone": {"Sec-Fetch-Site": "cross-site"},
    "another host": {"Host": "evil.example", "Origin": "http://evil.example"},
}


@pytest.mark.parametrize("who", FOREIGN)
def test_forms_of_others_are_refused(shop: Repo, who: str) -> None:
    writer = Writer(shop)
    fields = writer.confirm("hold", release=f"{WEB}/@2")
    before = shop.git("rev-parse", "state")
    answer = writer.send("hold", fields, "why", **FOREIGN[who])
    assert answer.status_code in (400, 403)
    assert shop.git("rev-parse", "state") == before
    assert writer.send("hold", fields, "why", Origin="null", Sec_Fetch_Site="same-origin").status_code == 200


def test_without_the_cookie_or_the_seal_nothing_is_written(shop: Repo) -> None:
    writer, other = Writer(shop), Writer(shop)
    fields = writer.confirm("hold", release=f"{WEB}/@2")
    before = shop.git("rev-parse", "state")
    assert other.send("hold", fields, "why").status_code == 403  # sealed by another process
    changed = {**fields, "what": fields["what"].replace("@2", "@1")}
    assert changed != fields
    for bad in (changed, {**fields, "token": ""}, {**fields, "token": "é"}, {"what": fields["what"]}, {}):
        assert writer.send("hold", bad, "why").status_code == 403
    assert writer.send("lift", fields, "why").status_code == 403  # it is for something else
    writer.client.delete_cookie(writer.cookie.partition("=")[0], domain="127.0.0.1")
    assert writer.send("hold", fields, "why").status_code == 403
    assert shop.git("rev-parse", "state") == before


def test_odd_requests_are_refused(shop: Repo) -> None:
    writer = Writer(shop)
    fields = writer.confirm("hold", release=f"{WEB}/@2")
    assert writer.send("hold", {**fields, "more": "x" * 40_000}).status_code == 413
    as_json = writer.client.post("/do/hold", json=fields, headers=OURS, buffered=True)
    assert as_json.status_code == 415
    assert writer.send("nothing", fields).status_code in (403, 404)
    assert writer.client.post(f"/ref/{WEB}/@2", data=fields, headers=OURS).status_code == 405
    form = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"what=%ff%fe&token=%00&reason=%zz", b"\xff\xfe", b"", b"a" * 100):
        assert writer.client.post("/do/hold", data=body, headers=form, buffered=True).status_code == 403
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert writer.client.open("/do/hold", method=method, headers=OURS).status_code == 405


@pytest.mark.parametrize(
    "reason", ["\0", "\x1b[2J", "a\nOcuroot-Actor: github:eve\n", "a\r\n\r\nOcuroot-Operation: x", "x" * 5000]
)
def test_a_reason_is_text_whatever_it_holds(shop: Repo, reason: str) -> None:
    writer = Writer(shop)
    answer = writer.send("hold", writer.confirm("hold", release=f"{WEB}/@2"), reason)
    assert answer.status_code == 200
    for name, value in (("Actor", "local:test@example.com"), ("Command", "hold")):
        assert shop.git("log", "-1", f"--format=%(trailers:key=Ocuroot-{name},valueonly)", "state").strip() == value
    assert len(shop.ocuroot("hold").splitlines()) == 1 and "\x1b" not in shop.ocuroot("hold")


def test_reading_an_action_writes_nothing(shop: Repo) -> None:
    writer = Writer(shop)
    before = shop.git("rev-parse", "state")
    for action, values in (
        ("promote", {"source": "staging", "target": "production"}),
        ("rollback", {"environment": "staging", "to": f"{WEB}/@1"}),
        ("hold", {"release": f"{WEB}/@2", "reason": "x"}),
        ("freeze", {"environment": "production", "until": ""}),
        ("approve", {"release": f"{WEB}/@2", "environment": "production"}),
        ("retry", {"run": f"{WEB}/@2/call/check/1"}),
    ):
        fields = writer.confirm(action, **values)
        assert writer.get(f"/do/{action}?{urlencode({**values, **fields})}").status_code == 200
        head = writer.client.head(f"/do/{action}?{urlencode(values)}", headers=HERE, buffered=True)
        assert (head.status_code, head.get_data()) == (200, b"")
    assert shop.git("rev-parse", "state") == before


def test_strict_headers_stay(shop: Repo) -> None:
    writer = Writer(shop)
    for answer in (writer.get("/do"), writer.get("/do/freeze"), writer.send("hold", {}), writer.get("/?key=x")):
        assert "form-action 'self'; frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_hostile_fields_are_text(shop: Repo) -> None:
    writer = Writer(shop)
    bad = "\"'><script>alert(1)</script>"
    names = [*dict.fromkeys(field.name for kind in ACTIONS.values() for field in kind.fields)]
    for action, value in (
        (action, value) for action in (*ACTIONS, bad) for value in (bad, "\x1b[2J", "$(rm x)", "\0", "-")
    ):
        values = dict.fromkeys(names, value)
        answer = writer.get(f"/do/{action}?{urlencode(values)}")
        assert answer.status_code < 500 or "unexpected" not in answer.get_data(as_text=True), answer.get_data(
            as_text=True
        )
        assert "<script>" not in answer.get_data(as_text=True)


# As a process


def test_command_prints_the_key_once_and_logs_it_never(shop: Repo) -> None:
    with viewed(shop, "--write") as (address, process):
        key = address.rpartition("?key=")[2]
        assert len(key) >= 43
        first = address.partition("?")[0]
        with pytest.raises(Exception, match="403"):
            import urllib.request

            urllib.request.urlopen(f"{first}?key=wrong", timeout=30)
        urllib.request.urlopen(address, timeout=30).close()
        process.kill()
        assert process.stdout is not None and process.stderr is not None
        assert key not in process.stdout.read() + process.stderr.read()


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--host", "ci.example"), ("--at", "state~1")])
def test_command_refuses_to_write_for_others_or_in_the_past(shop: Repo, options: tuple[str, ...]) -> None:
    done = run_program("view", "--write", "--no-browser", *options, cwd=shop.path)
    assert done.returncode == 129 and "--write" in done.stderr


def test_without_the_option_nothing_can_be_written(shop: Repo) -> None:
    client = create_app(lambda: open_stores(str(shop.path))).test_client()
    assert client.post("/do/hold", data={"what": "x"}, headers=OURS).status_code == 405
    assert client.get("/do", headers=HERE).status_code == 404
    assert client.get("/?key=x", headers=HERE).status_code == 200
