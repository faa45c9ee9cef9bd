"""`git ocuroot get`: every option, and the whole output."""

from __future__ import annotations

import json

import pytest
from support.repositories import SHOP, Repo

pytestmark = pytest.mark.new_interpreter


def test_get(shop: Repo) -> None:
    assert shop.ocuroot("get", f"{SHOP}/@1/call/build") == (
        '{\n  "type": "call",\n  "output": {\n    "download_url": "https://example.com/1",\n'
        '    "sizes": [\n      10,\n      1.50\n    ]\n  }\n}'
    )
    assert shop.ocuroot("get", "@/environment/staging#name", "@/custom/freeze#by") == '"staging"\n"Zoë"'


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--format", "compact", "@/custom/freeze"], '{"until": "2027-01-04", "by": "Zoë"}\n'),
        (["--format=json", "@/custom/freeze#by"], '"Zoë"\n'),
        (["--format", "raw", "@/custom/freeze#by"], "Zoë\n"),
        (["--format", "raw", f"{SHOP}/@1/call/build#output/sizes"], "[10, 1.50]\n"),
        (["-z", "--format=raw", "@/custom/freeze#by", "@/custom/freeze#until"], "Zoë\x002027-01-04\x00"),
        (["--default", "null", "@/custom/nothing"], "null\n"),
        (["--default", '{"a": 1.0}', "--format=compact", "@/custom/nothing#x"], '{"a": 1.0}\n'),
        (["--default", "1", "@/custom/freeze#by"], '"Zoë"\n'),
        ([f"{SHOP}/@1/call/build#output/sizes/1"], "1.50\n"),
        (["--", "@/custom/freeze#by"], '"Zoë"\n'),
    ],
)
def test_get_options(shop: Repo, words: list[str], printed: str) -> None:
    done = shop.run("get", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_get_follows_links(shop: Repo) -> None:
    assert shop.ocuroot("get", f"{SHOP}/@#commit") == '"ccc3"'
    assert shop.ocuroot("get", f"{SHOP}/@v1.0#commit") == '"aaa1"'
    assert shop.ocuroot("get", f"{SHOP}/@v1.0/task/build#output/sizes/0") == "10"


def test_get_relative_refs(shop: Repo) -> None:
    assert shop.ocuroot("get", "//api/release.ocu.star/@2#commit") == '"bbb2"'
    package = ["--package", "api/release.ocu.star"]
    assert shop.ocuroot("get", *package, "./@/#commit") == '"ccc3"'
    assert shop.ocuroot("get", *package, "--release", "1", "./call/build#type") == '"call"'


def test_get_as_it_was(shop: Repo) -> None:
    shop.ocuroot("set", "+/custom/x", "old")
    old = shop.git("rev-parse", "state")
    shop.ocuroot("set", "+/custom/x", "new")
    assert shop.ocuroot("get", "--at", "state~1", "+/custom/x") == '"old"'
    assert shop.ocuroot("get", "--at", old[:10], "+/custom/x") == '"old"'
    assert shop.ocuroot("get", "--at=state", "+/custom/x") == '"new"'
    done = shop.run("get", "--at", "state~3", "+/custom/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fatal: no such document: '+/custom/x'\n"


def test_get_batch(shop: Repo) -> None:
    refs = ["@/custom/freeze#by", f"{SHOP}/@v1.0#commit", "", "@/custom/nothing", "@/nonsense"]
    lines = [
        {"ref": "@/custom/freeze#by", "resolved": "@/custom/freeze#by", "found": True, "value": "Zoë"},
        {"ref": f"{SHOP}/@v1.0#commit", "resolved": f"{SHOP}/@1#commit", "found": True, "value": "aaa1"},
        {"ref": "", "resolved": None, "found": False, "value": None, "error": "bad ref '': it is empty"},
        {"ref": "@/custom/nothing", "resolved": "@/custom/nothing", "found": False, "value": None},
        {
            "ref": "@/nonsense",
            "resolved": None,
            "found": False,
            "value": None,
            "error": "bad ref '@/nonsense': segment 'nonsense': it is not a type",
        },
    ]
    printed = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    done = shop.run("get", "--batch", input="\n".join(refs) + "\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    done = shop.run("get", "--batch", "-z", input="\0".join(refs))
    assert (done.returncode, done.stdout, done.stderr) == (0, printed.replace("\n", "\0"), "")
