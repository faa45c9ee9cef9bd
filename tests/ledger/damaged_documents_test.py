"""The ledger of a store in which somebody wrote what nobody can read: it concerns itself alone (design 7, 12)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.delivering import LAYOUTS, deploy, package, prepare_at, release
from support.repositories import put_file

if TYPE_CHECKING:
    from support.repositories import Repo

BAD = ('{"kind": "link"}', '{"kind": "ref"}', "", "null", '{"kind": "ref", "body": NaN}', '{"kind": "link", "body": 5}')


@pytest.mark.parametrize("place", [place for place in LAYOUTS if place != "two branches"])
def test_a_run_that_cannot_be_read_hides_no_other_deployment(repo: Repo, place: str) -> None:
    prepare_at(repo, place, "production")
    for name in ("web", "api"):
        release(repo, package([deploy("production")]), name)
    repo.ocuroot("work", "any", "-q")
    files = repo.git("ls-tree", "-r", "--name-only", "state").splitlines()
    (path,) = (file for file in files if file.endswith("1/deploy/production/1/@object.json") and "/web/" in file)
    for text in BAD:
        put_file(repo, path, text)
        for arguments in (["deployments", "--json"], ["deployments", "--deployed", "--json"]):
            done = repo.run(*arguments)
            assert done.returncode == 1 and "is left out" in done.stderr, (text, arguments, done.stderr)
            found = {one["package"]: one["status"] for one in map(json.loads, done.stdout.splitlines())}
            assert found == {"shop/-/api": "complete", "shop/-/web": "unreadable"}, (text, arguments)


def test_a_name_of_thousands_of_digits_hides_nothing_else(store: Repo) -> None:
    """Git's trees can hold it, and Python refuses to read it as a number."""
    work, digits = "shop/-/web/@1/deploy/production", "9" * 4400
    written = ['set shop/-/web/@1 {"package": {"phases": []}}', f'set {work}/1 {{"type": "up"}}']
    written += [f"set {work}/1/status/complete {{}}", f"link shop/-/web/@/deploy/production {work}/1"]
    store.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in written))
    for name in (f"shop/-/web/@{digits}", f"{work}/{digits}", f"shop/-/web/@1/call/build/{digits}"):
        put_file(store, f"refs/{name}/@object.json", '{"kind": "ref", "body": {"package": {}}}')
    for words in ("status", "work list", "release list", "fsck", "prune --keep-releases=1 --dry-run", "diff"):
        assert "unexpected" not in store.run(*words.split()).stderr, words
    assert "shop/-/web" in store.run("deployments").stdout
    done = store.run("watch", "--once", "--since", "0" * 40, "--format", "cdevents")
    assert "service.deployed" in done.stdout and "unexpected" not in done.stderr
