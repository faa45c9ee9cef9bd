"""What a page leads to elsewhere: commits of the source, addresses among outputs, the commands of a terminal."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest
from support.delivering import call, deploy, package, prepare, release, work_any
from support.repositories import Repo
from support.story import FRONTEND
from support.viewing import Browser, application, tell_story

from ocuroot_git.web.source import address_of_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        ("github.com/example/shop", f"https://github.com/example/shop/commit/{COMMIT}"),
        ("gitlab.example.com/a/b/c", f"https://gitlab.example.com/a/b/c/-/commit/{COMMIT}"),
        ("bitbucket.org/a/b", f"https://bitbucket.org/a/b/commits/{COMMIT}"),
        ("codeberg.org/a/b", f"https://codeberg.org/a/b/commit/{COMMIT}"),
        ("git.sr.ht/~a/b", f"https://git.sr.ht/~a/b/commit/{COMMIT}"),
        ("dev.azure.com/o/p/_git/r", f"https://dev.azure.com/o/p/_git/r/commit/{COMMIT}"),
        ("ssh.dev.azure.com/v3/o/p/r", f"https://dev.azure.com/o/p/_git/r/commit/{COMMIT}"),
        ("git.example.com/a/b", ""),  # whatever runs there
        ("github", ""),
        ("github.com:x@evil/a", ""),
        ("shop", ""),
        ("", ""),
    ],
)
def test_address_of_a_commit(repository: str, address: str) -> None:
    assert address_of_commit(repository, COMMIT) == address
    assert address_of_commit(repository, "main") == ""


def test_release_tells_of_its_commit_where_that_is_here(store: Repo) -> None:
    prepare(store, "staging")
    store.git("commit", "-q", "--allow-empty", "-m", "Make it <fast>", "-m", "and so on")
    output = "echo url=https://shop.example/ >> $OCUROOT_OUTPUT; echo bad='http://x y' >> $OCUROOT_OUTPUT"
    made = release(store, package([call("build", output)], [deploy("staging")]))
    work_any(store)
    browser = Browser(application(store.path))
    assert browser.json(f"/ref/{made}")["release"]["source"] == {
        "commit": store.git("rev-parse", "HEAD").strip(),
        "address": "",  # 'shop' has no host
        "author": "Test",
        "time": store.git("log", "-1", "--format=%aI").strip().replace("+00:00", "Z"),
        "subject": "Make it <fast>",
    }
    assert "Make it &lt;fast&gt;" in browser.get(f"/ref/{made}")
    run = browser.get(f"/ref/{made}/call/build/1")
    assert browser.json(f"/ref/{made}/call/build/1")["run"]["addresses"] == [["url", "https://shop.example/"]]
    assert 'href="https://shop.example/" rel="noreferrer noopener nofollow">Open url</a>' in run


def test_commit_that_is_not_here_still_leads_to_its_host(tmp_path: Path) -> None:
    browser = Browser(application(tell_story(tmp_path / "shop").path))
    source = browser.json(f"/ref/{FRONTEND}/@12")["release"]["source"]
    assert source["address"] == f"https://github.com/example/shop/commit/{source['commit']}"
    assert source["subject"] is None


def test_each_page_names_a_command_that_works(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    browser = Browser(application(told.path))
    run = f"{FRONTEND}/@12/call/build/1"
    commit = told.git("rev-parse", "state").strip()
    pages = [
        "/",
        "/deployments",
        "/environments",
        "/packages",
        "/work",
        "/custom",
        "/diff",
        "/commits",
        "/search?q=**/@12",
    ]
    pages += [f"/ref/{ref}" for ref in (FRONTEND, f"{FRONTEND}/@12", run, f"{run}/logs", f"{FRONTEND}/@12/call/build")]
    pages += ["/ref/@/environment/staging", "/ref/@/custom/freeze", "/history/@/custom/freeze", f"/commit/{commit}"]
    pages += [f"/ref/{FRONTEND.partition('/-')[0]}/-"]
    for address in pages:
        for at in ("", "state"):
            page = browser.get(f"{address}{'&' if '?' in address else '?'}at={at}" if at else address)
            found = re.search(r"The same in a terminal: <code>(.*?)</code>", page)
            if at and found is None:
                continue  # its command knows no moments
            assert found is not None, address
            command = html.unescape(found[1].replace("<wbr>", ""))
            arguments = shlex.split(command)
            assert arguments[:2] == ["git", "ocuroot"]
            done = told.run(*arguments[2:])
            assert (done.returncode, bool(done.stdout)) == (0, True), (command, done.stderr)
