"""A browser that may write, and a store with something to do for it: for tests of the page's forms."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from werkzeug.test import TestResponse

from ocuroot_git.opening import open_stores
from ocuroot_git.web.app import create_app
from ocuroot_git.web.keys import Keys

from .delivering import call, deploy, package, prepare, release
from .repositories import Repo
from .waiting import LONG

WEB = "shop/-/web"
HERE = {"Host": "127.0.0.1:3000"}
OURS = {**HERE, "Origin": "http://127.0.0.1:3000"}
FORM = re.compile(r'<input type="hidden" name="(what|token)" value="([^"]*)">')


def two_releases(path: Path) -> Repo:
    """Two releases, the first deployed in both environments, the second in staging alone, where its call failed."""
    repo = Repo(path)
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    prepare(repo, "staging", "production")
    for run in ("true", "false"):
        release(repo, package([deploy("staging")], [call("check", run)], [deploy("production")]))
        repo.run("work", "any")
    return repo


class Writer:
    """A browser with the key."""

    def __init__(self, repo: Repo, *, has_key: bool = True) -> None:
        self.keys = Keys()
        app = create_app(lambda: open_stores(str(repo.path)), keys=self.keys, patience=LONG)
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
