"""`git ocuroot resolve` and `parse`."""

from __future__ import annotations

from pathlib import Path

from support.golden import check_golden
from support.program import run_program
from support.repositories import SHOP, Repo


def test_resolve(shop: Repo) -> None:
    refs = [
        f"{SHOP}/@",
        f"{SHOP}/@v1.0/task/build#output",
        f"{SHOP}/@/deploy/production",
        f"{SHOP}/@/custom/none",
        "./-/x/@1",
    ]
    resolved = [
        f"{SHOP}/@10",
        f"{SHOP}/@1/call/build#output",
        f"{SHOP}/@1/deploy/production",
        f"{SHOP}/@10/custom/none",
        "github.com/example/shop/-/x/@1",
    ]
    assert shop.ocuroot("resolve", *refs).split("\n") == resolved
    assert shop.ocuroot("resolve", "-z", *refs).split("\0") == [*resolved, ""]
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@ {SHOP}/@2\n")
    assert shop.ocuroot("resolve", f"{SHOP}/@") == f"{SHOP}/@2"
    assert shop.ocuroot("resolve", "--at", "state~1", f"{SHOP}/@") == f"{SHOP}/@10"


def test_parse(tmp_path: Path) -> None:
    refs = [f"{SHOP}/@1/task/build/1/status/complete#output/a~1b", "+/environment/production/", "//x/@", "./call/build"]
    done = run_program("parse", *refs, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_golden("parse.txt", done.stdout)
    done = run_program("parse", "--json", *refs, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    check_golden("parse.json", done.stdout)
