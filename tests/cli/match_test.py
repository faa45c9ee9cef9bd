"""`git ocuroot match` and the listings that look like it."""

from __future__ import annotations

import json

import pytest
from support.repositories import SHOP, Repo

# match


@pytest.mark.parametrize(
    ("words", "refs"),
    [
        (["@/environment/*"], ["@/environment/production", "@/environment/staging"]),
        (
            ["**/deploy/production"],
            [f"{SHOP}/+/deploy/production", f"{SHOP}/@/deploy/production", f"{SHOP}/@1/deploy/production"],
        ),
        (["-l", "**/deploy/production"], [f"{SHOP}/+/deploy/production", f"{SHOP}/@1/deploy/production"]),
        (["--no-links", "--state", "**/deploy/production"], [f"{SHOP}/@1/deploy/production"]),
        (["--intent", "**"], ["+/environment/production", f"{SHOP}/+/deploy/production"]),
        (["+/*/*"], ["+/environment/production"]),
        ([f"{SHOP}/@*"], [f"{SHOP}/@", f"{SHOP}/@1", f"{SHOP}/@10", f"{SHOP}/@2", f"{SHOP}/@v1.0"]),
        (["--sort", "version", "-l", f"{SHOP}/@*"], [f"{SHOP}/@1", f"{SHOP}/@2", f"{SHOP}/@10"]),
        (["--sort=ref", "--limit", "2", "-l", f"{SHOP}/@*"], [f"{SHOP}/@1", f"{SHOP}/@10"]),
        (["--limit=0", "**"], []),
        (["@/*/{staging,freeze}"], ["@/custom/freeze", "@/environment/staging"]),
        (["@/custom/*", "@/environment/s*"], ["@/custom/freeze", "@/environment/staging"]),
        (["@/**", "--exclude", "**/staging", "--exclude=@/custom/*"], ["@/environment/production"]),
        (["//api/release.ocu.star/@[0-9]"], [f"{SHOP}/@1", f"{SHOP}/@2"]),
        (["./-/**/@*/commit/bbb2"], [f"{SHOP}/@2/commit/bbb2"]),
        (["nothing/**"], []),
    ],
)
def test_match(shop: Repo, words: list[str], refs: list[str]) -> None:
    done = shop.run("match", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "".join(f"{ref}\n" for ref in refs), "")


def test_match_counts_and_ends_with_nul(shop: Repo) -> None:
    assert shop.ocuroot("match", "-z", "@/environment/*") == "@/environment/production\0@/environment/staging\0"
    assert shop.ocuroot("match", "--count", "**") == "18"
    assert shop.ocuroot("match", "--count", "-l", "--intent", "**") == "2"
    assert shop.ocuroot("match", "--count", "nothing/**") == "0"


def test_match_with_documents(shop: Repo) -> None:
    assert shop.ocuroot("match", "--values", f"{SHOP}/@{{,v*,2}}").split("\n") == [
        f'{{"ref": "{SHOP}/@", "resolved": "{SHOP}/@10", "found": true, "value": {{"commit": "ccc3"}}}}',
        f'{{"ref": "{SHOP}/@2", "resolved": "{SHOP}/@2", "found": true, "value": {{"commit": "bbb2"}}}}',
        f'{{"ref": "{SHOP}/@v1.0", "resolved": "{SHOP}/@1", "found": true, "value": {{"commit": "aaa1"}}}}',
    ]
    oid = shop.git("rev-parse", f"state:refs/{SHOP}/@2/@object.json")
    link = shop.git("rev-parse", f"state:refs/{SHOP}/@v1.0/@object.json")
    assert shop.ocuroot("match", "--json", f"{SHOP}/@{{v*,2}}").split("\n") == [
        f'{{"ref": "{SHOP}/@2", "link": null, "oid": "{oid}"}}',
        f'{{"ref": "{SHOP}/@v1.0", "link": "{SHOP}/@1", "oid": "{link}"}}',
    ]
    assert shop.ocuroot("match", "--json", "--values", "-z", f"{SHOP}/@2") == (
        f'{{"ref": "{SHOP}/@2", "link": null, "oid": "{oid}", "resolved": "{SHOP}/@2", "found": true, '
        '"value": {"commit": "bbb2"}}\0'
    )


def test_match_as_it_was(shop: Repo) -> None:
    shop.ocuroot("delete", "+/environment/production")
    assert shop.ocuroot("match", "+/**") == ""
    assert shop.ocuroot("match", "--at", "state^", "+/**") == "+/environment/production"


def test_match_sorts_by_byte(store: Repo) -> None:
    names = ["a", "B", "é", "中", "\U0001f600", "\uffee", "a-b", "a.b"]
    store.ocuroot("update", "--stdin", input="".join(f"set @/custom/{name} 1\n" for name in names))
    refs = store.ocuroot("match", "**").split("\n")
    assert refs == sorted((f"@/custom/{name}" for name in names), key=str.encode)


def test_listings_as_json(shop: Repo) -> None:
    assert json.loads(shop.ocuroot("resolve", "--json", f"{SHOP}/@")) == {"ref": f"{SHOP}/@", "resolved": f"{SHOP}/@10"}
    shop.ocuroot("update", "--stdin", input=f"unlink {SHOP}/@v1.0\n")
    shop.ocuroot("set", "+/custom/x", "1")
    assert json.loads(shop.ocuroot("apply", "--json", "+/custom/x")) == {"status": "A", "ref": "+/custom/x"}
    shop.ocuroot("set", "+/custom/x", "2")
    assert shop.ocuroot("apply", "-z", "--dry-run", "+/custom/x") == "M\t+/custom/x\0"
    put = '{"kind": "link", "body": "@/custom/nothing"}'
    shop.ocuroot("export", "-q", "out")
    (shop.path / "out/refs/@/custom/dangling").mkdir()
    (shop.path / "out/refs/@/custom/dangling/@object.json").write_text(put)
    shop.git("config", "--unset", "ocuroot.state.branch")
    shop.git("config", "ocuroot.state.path", "out")
    found = map(json.loads, shop.run("fsck", "-q", "--json").stdout.splitlines())
    assert next(one for one in found if one["severity"] == "warning") == {
        "severity": "warning",
        "where": "@/custom/dangling",
        "what": "dangling link: there is no '@/custom/nothing'",
    }
