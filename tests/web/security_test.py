"""What the view refuses, and what every answer says about itself: each convention by a test of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.program import TOP
from support.repositories import Repo
from support.story import FRONTEND
from support.viewing import Browser, application, tell_story
from werkzeug.test import TestResponse

PAGES = (
    "/",
    "/deployments",
    "/metrics",
    "/ref/@/environment/staging",
    "/search?q=**",
    "/raw/@/environment/staging",
    "/tip",
    "/static/view.js",
    "/nothing",
)


HOSTILE = "<script>alert('x')</script>"
HOSTILE_NAME = "\"'><img\u00a0src=x><script>"
"""The same as the name of a document, which has no slashes and, for the commands that write it, no spaces."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    links = {HOSTILE: [HOSTILE, "javascript:alert(1)", 'https://x.example/"onmouseover=alert(1)']}
    log = [{"timestamp": HOSTILE, "message": f"{HOSTILE}\x1b[31m{HOSTILE}", "stream": 1}]
    environment = {"name": HOSTILE, "attributes": {HOSTILE: HOSTILE}}
    return tell_story(
        tmp_path_factory.mktemp("view") / "shop",
        f"set +/custom/{HOSTILE_NAME} {json.dumps(HOSTILE)}",
        f"set @/custom/hostile {json.dumps(links)}",
        f"set {FRONTEND}/@12/call/smoke/1/logs {json.dumps(log)}",
        f"set @/environment/{HOSTILE_NAME} {json.dumps(environment)}",
        *hostile_release(),
    )


def hostile_release() -> list[str]:
    """A release whose phases, calls, functions, environments, tags, inputs, outputs and owner are all hostile."""
    release = f"r{HOSTILE_NAME}/-/{HOSTILE_NAME}/@1"
    function = {"name": HOSTILE, "run": HOSTILE, "pos": HOSTILE}
    work = [
        {"call": {"name": HOSTILE_NAME, "fn": function, "inputs": {HOSTILE: {"value": HOSTILE}}}},
        {"deploy": {"environment": HOSTILE_NAME, "up": function, "down": function}},
    ]
    steps = [
        f"set {release} {json.dumps({'commit': HOSTILE, 'package': {'phases': [{'name': HOSTILE, 'work': work}]}})}"
    ]
    for below, kind in ((f"call/{HOSTILE_NAME}", HOSTILE), (f"deploy/{HOSTILE_NAME}", "up")):
        run = f"{release}/{below}/1"
        current: dict[str, Any] = {"fn": function, "inputs": {HOSTILE: HOSTILE}, "outputs": {HOSTILE: HOSTILE}}
        current["dependencies"] = [f"**/{HOSTILE_NAME}", HOSTILE]
        history = [{"status": HOSTILE, "time": HOSTILE}, {"status": "running", "time": HOSTILE}]
        steps += [
            f"set {run} {json.dumps({'type': kind, 'release': release, 'output': {HOSTILE: HOSTILE}})}",
            f"set {run}/functions/1 {json.dumps({'current': current, 'history': history})}",
            f"set {run}/status/running {json.dumps({'time': HOSTILE, 'owner': HOSTILE})}",
            f"set {release}/custom/{HOSTILE_NAME} {json.dumps(HOSTILE)}",
            f"set {release}/op/{HOSTILE_NAME} {json.dumps({'time': HOSTILE})}",
        ]
    return steps


def test_hostile_names_of_work_are_text_where_they_are_shown(browser: Browser) -> None:
    release = f"r{HOSTILE_NAME}/-/{HOSTILE_NAME}/@1"
    for below in ("", f"/call/{HOSTILE_NAME}", f"/call/{HOSTILE_NAME}/1", f"/deploy/{HOSTILE_NAME}/1"):
        answer = browser.ask(f"/ref/{quote(release + below)}")
        text = answer.get_data(as_text=True)
        assert (answer.status_code, answer.headers["Content-Security-Policy"][:18]) == (200, "default-src 'none'")
        assert text.count("&lt;script&gt;") > 3, below
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/view.js" defer>']
        assert not re.search(r"<[^>]* (src=x|on[a-z]+=|style=)", re.sub(r'"[^"]*"', '""', text))
    for page in ("/", "/work", "/packages", "/deployments", "/custom", "/environments"):
        text = browser.get(page)
        assert "&#39;&gt;&lt;img" in text.replace("<wbr>", ""), page
        assert "<img" not in text


@pytest.fixture(scope="module")
def browser(told: Repo) -> Browser:
    return Browser(application(told.path))


@pytest.fixture(scope="module")
def in_a_directory(told: Repo) -> Browser:
    """The same store in a directory, beside which there is something to be found."""
    (told.path / "secret").write_text("root:x:0:0", encoding="utf-8")
    exported = str(told.path / "exported")
    told.ocuroot("export", exported, "-q")
    return Browser(application(told.path, OCUROOT_STATE=exported, OCUROOT_INTENT=exported))


# Who may ask


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:3000", "localhost", "LocalHost:3000", "[::1]", "[::1]:3000"])
def test_host_of_this_machine_is_answered(browser: Browser, host: str) -> None:
    assert browser.ask("/", Host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:3000",
        "evil.example:127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1, evil.example",
        "localhost\u00a0",
        "[::1",
        "[::2]",
        "127.0.0.2",
        "0.0.0.0",
        "localhost:port",
    ],
)
@pytest.mark.parametrize("page", ["/", "/static/view.js", "/tip", "/nothing"])
def test_host_of_another_is_refused(browser: Browser, host: str, page: str) -> None:
    answer = browser.ask(page, Host=host)
    assert answer.status_code == 400
    assert "shop" not in answer.get_data(as_text=True)


def test_host_it_was_told_to_listen_at_is_answered_too(told: Repo) -> None:
    named = Browser(application(told.path, bound="ci.example"))
    assert named.ask("/", Host="ci.example:3000").status_code == 200
    assert named.ask("/", Host="other.example").status_code == 400
    everywhere = Browser(application(told.path, bound="0.0.0.0"))
    assert everywhere.ask("/", Host="192.0.2.7:3000").status_code == 200
    assert everywhere.ask("/", Host="evil.example").status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("page", ["/", "/ref/@/environment/staging", "/static/view.js", "/nothing"])
def test_only_reading_is_allowed(browser: Browser, method: str, page: str) -> None:
    answer = browser.client.open(page, method=method, headers={"Host": "localhost"}, buffered=True)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("page", PAGES)
def test_head_is_get_without_its_body(browser: Browser, page: str) -> None:
    head = browser.client.head(page, headers={"Host": "localhost"}, buffered=True)
    assert (head.status_code, head.get_data()) == (browser.ask(page).status_code, b"")


FETCHES = {
    "typed": (200, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
    "our own page": (200, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
    "link in a chat": (
        200,
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ),
    "script elsewhere": (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
    "script without cors": (
        403,
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    ),
    "picture": (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
    "frame": (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
    "object": (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"}),
    "another port": (403, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
    "program": (200, {}),
}


@pytest.mark.parametrize("who", FETCHES)
@pytest.mark.parametrize("page", ["/", "/raw/@/environment/staging", "/static/view.css", "/overview.json"])
def test_another_site_may_send_its_reader_here_and_nothing_else(browser: Browser, who: str, page: str) -> None:
    wanted, headers = FETCHES[who]
    assert browser.ask(page, **headers).status_code == wanted


# What every answer says


def answers(browser: Browser) -> Iterator[TestResponse]:
    """One answer of each sort: pages, JSON, files, not modified, and every refusal."""
    yield from map(browser.ask, PAGES)
    yield browser.ask("/diff.json")
    yield browser.ask("/diff.json", If_None_Match=browser.ask("/diff.json").headers["ETag"])
    yield browser.ask("/", Host="evil.example")
    yield browser.ask("/", **FETCHES["picture"][1])
    yield browser.client.post("/", headers={"Host": "localhost"}, buffered=True)


def test_every_answer_is_under_a_strict_policy(browser: Browser) -> None:
    statuses = set()
    for answer in answers(browser):
        statuses.add(answer.status_code)
        headers = answer.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "script-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
        }
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-cache"
        names = [name for name, _ in headers]
        assert not {"Set-Cookie", "Server", "Access-Control-Allow-Origin"} & set(names)
        assert len(names) == len(set(names))
    assert statuses == {200, 304, 400, 403, 404, 405}


def _files(*directories: str) -> list[Path]:
    return [path for name in directories for path in (TOP / "ocuroot_git" / "web" / name).iterdir() if path.is_file()]


def test_nothing_of_another_host_is_named_in_what_the_browser_loads() -> None:
    for path in _files("static", "templates"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]+\.[a-z]+|@import|@font-face|\burl\(", text), path.name


def test_templates_have_no_way_around_escaping() -> None:
    for path in _files("templates"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*(safe|forceescape|xmlattr|tojson)\b|autoescape|Markup", text), path.name
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", text), path.name
        assert not re.search(r"\s[a-z-]+=\{\{", text), f"{path.name}: an attribute without quotes"


# What is shown


def test_hostile_names_documents_and_logs_are_text_on_every_page(browser: Browser) -> None:
    shown = 0
    for address, text in browser.walk(most=400):
        if address.startswith(("/raw/", "/log/", "/static/", "/tip")) or address.endswith(".json"):
            continue
        tags = set(re.findall(r"<(script|img|iframe|object|embed|base|meta|form|style)\b", text))
        assert tags <= {"script", "meta", "form"}, address
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/view.js" defer>'], address
        assert not re.search(r'(href|src|action)="\s*(javascript|data|vbscript):', text, re.I), address
        shown += "&lt;script&gt;" in text
    assert shown > 5


def test_raw_forms_are_no_pages(browser: Browser) -> None:
    raw = browser.ask("/raw/@/custom/hostile")
    assert raw.content_type == "application/json" and HOSTILE in raw.get_data(as_text=True)
    log = browser.ask(f"/log/{FRONTEND}/@12/call/smoke/1/logs")
    assert log.content_type == "text/plain; charset=utf-8" and HOSTILE in log.get_data(as_text=True)
    assert browser.ask("/ref/@/custom/hostile.json").content_type == "application/json"


def test_only_web_addresses_become_links_out(browser: Browser) -> None:
    page = browser.get("/ref/@/custom/hostile")
    assert 'href="javascript' not in page
    assert 'href="https://x.example/&#34;onmouseover=alert(1)" rel="noreferrer noopener nofollow"' in page


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "....//etc/passwd",
        "@/custom/../../../../secret",
        "secret",
        "C:\\windows\\win.ini",
        "%00",
        "@/environment/%2e%2e/environment/staging",
        "@/environment/staging%00.html",
        "HEAD",
        "state:.ocuroot-store",
    ],
)
@pytest.mark.parametrize("kind", ["ref", "raw", "log", "history", "static", "commit"])
def test_no_address_leads_to_the_file_system(browser: Browser, in_a_directory: Browser, kind: str, path: str) -> None:
    for asked in (browser, in_a_directory):
        answer = asked.ask(f"/{kind}/{path}")
        assert answer.status_code < 500, answer.get_data(as_text=True)[-300:]
        assert "root:" not in answer.get_data(as_text=True)
        if kind != "history":
            assert answer.status_code in (404, 308), answer.status_code


WORDS = (
    *(
        "",
        "0",
        "\u00b2",
        "9" * 30,
        "-1",
        "1e9",
        "\0",
        "\x1b[31m",
        "\udcff",
        "\ufffe",
        "'",
        HOSTILE,
        "../..",
        "x" * 6000,
    ),
    *("@", "@/", "/@", "//a", "a#b/@1", "f" * 40, "HEAD^{tree}", ":/x", "@{-1}", "--all", "99999-01-01", "0001-01-01"),
    *("[", "{" * 50, "*" * 500, "%zz", "[!a", "in 99999999999 years"),
)
QUERIES = (
    *("page", "q", "status", "environment", "package", "days", "by", "side", "from", "logs", "find", "line", "start"),
    *("at", "run", "part", "form", "all", "key"),
)
ROUTES = (
    *(
        "/",
        "/environments",
        "/deployments",
        "/packages",
        "/work",
        "/custom",
        "/diff",
        "/timeline",
        "/metrics",
        "/search",
    ),
    *("/commits", "/tip", "/overview.json", "/overview.json/", "/diff.json/", "/static/colours.css"),
    *(f"/ref/{FRONTEND}/@12", f"/ref/{FRONTEND}/@12/call/smoke/1/logs", "/history/@/environment/staging"),
)


def test_nothing_that_is_asked_is_a_fault_of_ours(browser: Browser, in_a_directory: Browser) -> None:
    def asked() -> Iterator[str]:
        number = 0
        for place, word in enumerate(WORDS):
            text = quote(word, errors="surrogateescape")
            kinds = ("ref", "raw", "log", "history", "commit", "do", "static")
            yield from (f"/{kind}/{text}" for kind in kinds[place % 2 :: 2])
            for query in QUERIES[place % 5 :: 5]:
                number += 1
                yield f"{ROUTES[number % len(ROUTES)]}?{query}={text}"

    for number, address in enumerate(asked()):
        kind = {"Accept": ("text/html", "application/json")[number % 2]}
        answer = (in_a_directory if number % 11 == 0 else browser).ask(address, **kind)
        assert answer.status_code in (200, 400, 404, 416), (address, answer.status_code)
        assert "Traceback" not in answer.get_data(as_text=True)


def test_what_is_wrong_in_the_store_is_no_fault_of_ours(tmp_path: Path) -> None:
    repo = tell_story(tmp_path / "shop")
    blob = repo.git("hash-object", "-w", "--stdin", input="{").strip()
    repo.git("read-tree", "state")
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},refs/@/custom/bad/@object.json")
    commit = repo.git("commit-tree", "-p", "state", "-m", "damage", repo.git("write-tree").strip()).strip()
    repo.git("update-ref", "refs/heads/state", commit)
    damaged = Browser(application(repo.path))
    for kind in ("raw", "log"):
        answer = damaged.ask(f"/{kind}/@/custom/bad", Accept="application/json")
        assert (answer.status_code, "damaged store" in answer.get_json()["error"]) == (502, True)
    assert "damaged store" in damaged.get("/ref/@/custom/bad")
