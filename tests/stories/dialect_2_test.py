"""Stores of dialect 2, which Ocuroot 0.3.11 to 0.3.16 made: as in dialect 3, but for the intents of deployments.

`dialect-2.tar.gz` is a repository as 0.3.11 left it:

    web      its task `asks` is paused at `next`, for it lacks its input; a deployment waits for that
    gone     was deployed and taken down, of which 0.3.11 leaves an intent of type `down`
    fails    a deployment that failed, when it was tried again too
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.original_stores import repository
from support.repositories import Repo

WEB, FAILS = (f"shop/-/{name}.ocu.star/@r1" for name in ("web", "fails"))
STORE_FILE = b'{"version":2}'


@pytest.fixture
def shop(tmp_path: Path) -> Repo:
    return repository("dialect-2.tar.gz", "stores", tmp_path / "shop")


def work(repo: Repo) -> dict[str, tuple[str, list[str]]]:
    """What `work list` lists, with states and what they wait for; it leaves nothing out."""
    done = repo.run("work", "list", "--json")
    assert done.returncode == 0 and not done.stderr, done
    items = [json.loads(line) for line in done.stdout.splitlines()]
    return {item["ref"]: (item["state"], item["waits_for"]) for item in items}


def test_what_is_there_is_understood(shop: Repo) -> None:
    failed = f"{FAILS}/deploy/staging/2"
    assert work(shop) == {
        "shop/-/fails.ocu.star/+/deploy/staging": ("blocked", [f"'{failed}', which failed"]),
        f"{WEB}/deploy/staging/1": ("waiting", [f"'{WEB}/task/asks'"]),
        f"{WEB}/task/asks/1": ("waiting", [f"input 'answer' ({WEB}/custom/answer)"]),
        failed: ("failed", []),
    }
    # The intent that is left of what was taken down asks for nothing, and goes.
    assert shop.ocuroot("diff") == "shop/-/fails.ocu.star/+/deploy/staging"
    assert shop.run("work", "any").returncode == 1
    assert shop.run("get", "gone.ocu.star/+/deploy/staging").returncode == 1
    assert shop.run("fsck").returncode == 0


def test_releases_are_made_deployed_and_taken_down(shop: Repo) -> None:
    files = [shop.path / ".store" / side / ".ocuroot-store" for side in ("state", "intent")]
    shop.ocuroot("set", "web.ocu.star/+1/custom/answer", "yes")
    done = shop.run("work", "any")
    assert done.stdout.splitlines() == [f"complete\t{WEB}/{run}/1" for run in ("task/asks", "deploy/staging")], done
    assert shop.value("web.ocu.star/@/deploy/staging#output") == {"at": "staging"}
    second = shop.ocuroot("release", "new", "web.ocu.star", "--force")
    shop.ocuroot("set", "web.ocu.star/+2/custom/answer", "yes")
    assert shop.run("work", "any").stdout.count("complete") == 3
    # 0.3.11 compares the type as well, and would deploy it again.
    intent = shop.value("web.ocu.star/+/deploy/staging")
    assert intent == {"type": "up", "release": second, "input": shop.value(f"{second}/deploy/staging#input")}
    assert second == f"{WEB[:-1]}2" and "web.ocu.star" not in shop.ocuroot("diff")
    assert shop.run("deploy", "down", "web.ocu.star/@/deploy/staging").returncode == 0
    assert shop.run("get", "web.ocu.star/+/deploy/staging").returncode == 1
    assert shop.run("get", "web.ocu.star/@/deploy/staging").returncode == 1
    assert "web.ocu.star" not in shop.ocuroot("diff")
    assert shop.run("fsck").returncode == 0
    assert [file.read_bytes() for file in files] == [STORE_FILE, STORE_FILE]


def test_what_failed_is_tried_again(shop: Repo) -> None:
    (shop.path / ".works").touch()
    done = shop.run("release", "retry", "fails.ocu.star")
    assert done.stdout == f"complete\t{FAILS}/deploy/staging/3\n", done
    assert shop.value("fails.ocu.star/+/deploy/staging#type") == "up"
    assert "fails.ocu.star" not in shop.ocuroot("diff")


def test_an_intent_that_was_left_behind_is_replaced_by_one_that_asks(shop: Repo) -> None:
    release = shop.ocuroot("release", "new", "gone.ocu.star", "--force")
    done = shop.run("release", "continue", release)
    assert done.stdout == f"complete\t{release}/deploy/staging/1\n", done
    assert shop.value("gone.ocu.star/+/deploy/staging#type") == "up"
    assert "gone.ocu.star" not in shop.ocuroot("diff")
