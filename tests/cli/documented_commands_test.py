"""Ocuroot's documented commands, with `git ocuroot` for `ocuroot`."""

from __future__ import annotations

import json

from support.program import CONFORMANCE
from support.repositories import SHOP, Repo


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
