"""`git ocuroot fsck`: every kind of damage it names."""

from __future__ import annotations

import pytest
from support.golden import check_golden
from support.repositories import SHOP, Repo

pytestmark = pytest.mark.usefixtures("fixed_dates")


def test_fsck(shop: Repo) -> None:
    done = shop.run("fsck")
    releases = "".join(f"error: {SHOP}/@{n}: package: it is missing\n" for n in (10, 2))
    first = f"error: {SHOP}/@1: package: it is missing\nerror: {SHOP}/@1/call/build/1: it is missing\n"
    assert (done.returncode, done.stdout) == (1, first + releases)
    assert done.stderr == "branch 'state': checked 14 documents and 4 links\n"


def test_fsck_finds_damage(shop: Repo) -> None:
    shop.ocuroot("export", "-q", "out")
    refs = shop.path / "out" / "refs"

    def put(ref: str, text: str) -> None:
        (refs / ref).mkdir(parents=True, exist_ok=True)
        (refs / ref / "@object.json").write_text(text)

    put("@/custom/garbage", "{")
    put("@/custom/kind", '{"kind": "blob", "body": 1}')
    put("@/custom/bodyless", '{"kind": "ref"}')
    put("@/custom/dangling", '{"kind": "link", "body": "@/custom/nothing"}')
    put("@/custom/unlisted", '{"kind": "link", "body": "@/custom/freeze"}')
    put("@/custom/round", '{"kind": "link", "body": "@/custom/about"}')
    put("@/custom/about", '{"kind": "link", "body": "@/custom/round"}')
    put("@/custom/lists", '{"kind": "ref", "links": ["@/custom/nobody"], "body": 1}')
    put(f"{SHOP}/@/custom/hidden", '{"kind": "ref", "body": 1}')
    put("no/such/type/@1/strange/x", '{"kind": "ref", "body": 1}')
    (refs / "file").write_text("x")
    shop.git("config", "ocuroot.state.branch", "damaged")
    shop.ocuroot("import", "-q", "--offline", "out")
    done = shop.run("fsck")
    assert done.returncode == 1
    assert done.stderr == "branch 'damaged': checked 17 documents and 8 links\n"
    check_golden("fsck.txt", "".join(sorted(done.stdout.splitlines(keepends=True))))
    assert len(shop.run("fsck", "-q", "--at", "state").stdout.splitlines()) == 4
