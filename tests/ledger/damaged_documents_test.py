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
