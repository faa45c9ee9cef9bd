"""The page that may write: who may, what is refused, and what its forms hold."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from support.delivering import copy_of
from support.program import run_program
from support.repositories import Repo
from support.viewing import viewed
from support.writers import HERE, OURS, WEB, Writer, two_releases
from werkzeug.test import create_environ, run_wsgi_app

from ocuroot_git.opening import open_stores
from ocuroot_git.web.actions import ACTIONS
from ocuroot_git.web.app import create_app


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return two_releases(tmp_path_factory.mktemp("written"))


@pytest.fixture
def shop(made: Repo, tmp_path: Path) -> Repo:
    return copy_of(made, tmp_path / "shop")


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


def test_hostile_fields_are_text_and_refused_for_what_they_are(shop: Repo) -> None:
    writer = Writer(shop)
    bad = "\"'><script>alert(1)</script>"
    names = [*dict.fromkeys(field.name for kind in ACTIONS.values() for field in kind.fields)]
    words = (bad, "\x1b[2J", "$(rm x)", "\0", "-", "0001-01-01", "[" * 1500, "a//b", "@/environment/x", f"{WEB}/@9")
    for action in (*ACTIONS, bad):
        wanted = [field.name for field in ACTIONS[action].fields] if action in ACTIONS else names
        for number, value in enumerate(words):
            said = {wanted[0]: f"{WEB}/@2", wanted[-1]: value} if number % 2 else dict.fromkeys(names, value)
            answer = writer.get(f"/do/{action}?{urlencode(said)}")
            text = answer.get_data(as_text=True)
            assert answer.status_code in (200, 400, 404, 409), (action, said, text)
            assert "<script>" not in text and "Traceback" not in text


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


def test_bytes_that_are_no_text_are_no_fault_of_ours(shop: Repo) -> None:
    writer = Writer(shop)

    def ask(path: str, **said: str) -> str:
        environ = {**create_environ(path, headers={"Host": "127.0.0.1:3000"}), **said}
        return run_wsgi_app(writer.client.application, environ)[1][:3]

    wanted = {"QUERY_STRING": "400", "HTTP_COOKIE": "200", "HTTP_ACCEPT": "200", "PATH_INFO": "404"}
    assert {name: ask("/", **{name: "/a=\x84"}) for name in wanted} == wanted
    name, _, cookie = writer.cookie.partition(";")[0].partition("=")
    assert ask("/do", HTTP_COOKIE=f"other=\xff; {name}={cookie}") == "200"


def test_command_refuses_to_write_where_nothing_says_what_was_done(shop: Repo, tmp_path: Path) -> None:
    exported = str(tmp_path / "store")
    shop.ocuroot("export", "-q", exported)
    environ = {**os.environ, "OCUROOT_STATE": exported, "OCUROOT_INTENT": exported}
    done = run_program("view", "--write", "--no-browser", cwd=shop.path, env=environ)
    assert done.returncode == 128 and "has no history: a form sent twice" in done.stderr


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--host", "ci.example"), ("--at", "state~1")])
def test_command_refuses_to_write_for_others_or_in_the_past(shop: Repo, options: tuple[str, ...]) -> None:
    done = run_program("view", "--write", "--no-browser", *options, cwd=shop.path)
    assert done.returncode == 129 and "--write" in done.stderr


def test_without_the_option_nothing_can_be_written(shop: Repo) -> None:
    client = create_app(lambda: open_stores(str(shop.path))).test_client()
    assert client.post("/do/hold", data={"what": "x"}, headers=OURS).status_code == 405
    assert client.get("/do", headers=HERE).status_code == 404
    assert client.get("/?key=x", headers=HERE).status_code == 200
