"""Old releases leave the live tree: which may, where they went, what is left, and what comes between."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, commits, copy_of, deploy, package, refused, release, work_any
from support.pruning import DEFINITION, RECORD, WEB, one_release, prune, tip_of, update, why_kept
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.cli.commands.prune import read_duration
from ocuroot_git.delivery.check import check_model
from ocuroot_git.delivery.prune import prune as retention_prune
from ocuroot_git.delivery.releases import new
from ocuroot_git.delivery.retention import Keep
from ocuroot_git.errors import Error, UsageError


@pytest.fixture
def shop(five: Repo, tmp_path: Path) -> Repo:
    return copy_of(five, tmp_path / "shop")


def test_old_releases_go_in_one_commit_and_say_where(shop: Repo) -> None:
    before, tip = commits(shop), shop.git("rev-parse", "state")
    was = shop.value(f"{WEB}/@2/call/build/1/functions/1")
    done = shop.run("prune", "--keep-releases", "2", "--dry-run")
    assert done.stdout.split() == [f"{WEB}/@{number}" for number in (1, 2, 3)]
    assert commits(shop) == before
    done = shop.run("prune", "--keep-releases", "2")
    assert (done.returncode, done.stdout.split()) == (0, [f"{WEB}/@{number}" for number in (1, 2, 3)])
    assert commits(shop) == before + 1
    assert shop.ocuroot("match", f"{WEB}/@{{1,2,3}}/**", f"{WEB}/@{{1,2,3}}") == ""
    record: Any = shop.value(RECORD)
    assert record["highest"] == 5
    assert [(one["releases"], one["commit"]) for one in record["pruned"]] == [("1-3", tip)]
    assert shop.run("fsck", "-q").stdout == ""
    assert shop.ocuroot("release", "list").splitlines() == [f"{WEB}/@4", f"{WEB}/@5"]
    # Whoever asks is told where it went, and finds it there.
    for arguments in (["get", f"{WEB}/@2/call/build/1/functions/1"], ["release", "show", f"{WEB}/@2"]):
        refused(shop, 1, f"fatal: '{arguments[-1]}' was pruned\nhint: git ocuroot get --at {tip[:12]} ", *arguments)
    refused(shop, 1, f"'{WEB}/@2' was pruned", "run", "exec", f"{WEB}/@2/call/build", "--", "true")
    assert shop.value(f"{WEB}/@2/call/build/1/functions/1", "--at", tip[:12]) == was
    assert json.loads(shop.ocuroot("log", "--json", "-1", f"{WEB}/@2"))["command"] == "prune"
    assert shop.ocuroot("get", "--default", "0", f"{WEB}/@2") == "0"
    # Again there is nothing to do, and nothing is written.
    assert prune(shop, 2) == []
    assert commits(shop) == before + 1


def test_numbers_and_commits_are_not_used_again(shop: Repo) -> None:
    old = shop.git("rev-parse", "HEAD~3")
    prune(shop)
    refused(shop, 3, "which were pruned", "release", "new", "web", "--commit", old, "--package=-", input=DEFINITION)
    update(shop, *(f"unlink {ref}" for ref in (f"{WEB}/@", f"{WEB}/@/call/build")))
    for ref in shop.ocuroot("match", f"{WEB}/@5/**", f"{WEB}/@5").splitlines():
        update(shop, f"delete {ref}")
    assert release(shop, one_release(6)) == f"{WEB}/@6"
    assert prune(shop) == []
    assert release(shop, one_release(7)) == f"{WEB}/@7"
    assert prune(shop) == []  # it has not been built
    work_any(shop, "-q")
    assert prune(shop) == ["6"]
    record: Any = shop.value(RECORD)
    assert [one["releases"] for one in record["pruned"]] == ["1-4", "6"]


NEEDED = [
    ([f"link {WEB}/@v1.0 {WEB}/@2"], "it is tagged 'v1.0'"),
    ([f"link {WEB}/@/deploy/staging {WEB}/@2/call/build/1"], "it is deployed in 'staging'"),
    ([f"link {WEB}/@/call/test {WEB}/@2/call/build/1"], "it is the last to complete call 'test'"),
    ([f"link {WEB}/@ {WEB}/@2"], "'@' leads to it"),
    ([f"link other/-/api/@/call/base {WEB}/@2/call/build/1"], "'other/-/api/@/call/base' leads to it"),
    ([f"depend other/-/api/@/deploy/x {WEB}/@2/call/build"], "'other/-/api/@/deploy/x' depends on it"),
    ([f'set {WEB}/@2/custom/hold "it is the last that worked"'], "it is held"),
    ([f'set {WEB}/@2/op/check_envs {{"time": "2026-01-01"}}'], f"'{WEB}/@2/op/check_envs' is to be looked at"),
    ([f'set {WEB}/+2/custom/approve "yes"'], f"'{WEB}/+2/custom/approve' is to be applied"),
    ([f'set {WEB}/+2/custom/hold/x "yes"'], "it is held"),
    ([f'set {WEB}/+/deploy/staging {{"release": "{WEB}/@2"}}'], f"'{WEB}/+/deploy/staging' names it"),
    (
        [
            'set other/-/api/+/deploy/staging {"release": "other/-/api/@1", "input": {"x": {"ref": "'
            f'{WEB}/@2/call/build#output/v"}}}}}}'
        ],
        "'other/-/api/+/deploy/staging' names it",
    ),
]


def test_what_is_needed_stays(shop: Repo) -> None:
    tip = tip_of(shop)
    for steps, why in NEEDED:
        update(shop, *steps)
        assert why in why_kept(shop)["2"]
        kept = ocuroot_git.open(str(shop.path)).match(f"{WEB}/@2/**", f"{WEB}/@2")
        assert prune(shop) == ["1", "3", "4"], why
        assert ocuroot_git.open(str(shop.path)).match(f"{WEB}/@2/**", f"{WEB}/@2") == kept
        shop.git("update-ref", "refs/heads/state", tip)
    update(shop, f'set {WEB}/+/deploy/staging {{"release": "./@"}}')
    assert prune(shop) == ["1", "2", "3", "4"]


def test_work_that_is_left_keeps_its_release(shop: Repo) -> None:
    shop.ocuroot("run", "start", f"{WEB}/@3/call/build")
    shop.ocuroot("run", "start", f"{WEB}/@2/call/build")
    shop.ocuroot("run", "finish", "--status=failed", f"{WEB}/@2/call/build")
    release(shop, one_release(6))
    release(shop, one_release(7))
    assert why_kept(shop) == {
        "3": f"'{WEB}/@3/call/build/2' is running",
        "5": "it is the last to complete call 'build'",
        "6": f"'{WEB}/@6/call/build/1' is pending",
    }
    # A call that failed in an older release has been dealt with by a newer one.
    assert prune(shop) == ["1", "2", "4"]


def test_a_rollback_that_failed_keeps_its_release_until_it_is_dealt_with(shop: Repo) -> None:
    release(shop, package([deploy("staging", up="exit 1")]))
    release(shop, package([deploy("staging")]))
    work_any(shop, "-q")
    shop.ocuroot("set", "-f=json", f"{WEB}/+/deploy/staging", json.dumps({"release": f"{WEB}/@6"}))
    shop.ocuroot("apply", "--all")
    assert shop.run("run", "exec", "-q", f"{WEB}/@6/deploy/staging").returncode == 1
    shop.ocuroot("set", "-f=json", f"{WEB}/+/deploy/staging", json.dumps({"release": f"{WEB}/@7"}))
    assert why_kept(shop)["6"] == f"'{WEB}/@6/deploy/staging/2' failed, and nobody has dealt with that"
    shop.ocuroot("run", "dismiss", f"{WEB}/@6/deploy/staging/2")
    assert "6" in prune(shop)


def test_what_a_run_elsewhere_waits_for_stays(shop: Repo) -> None:
    inputs = {"v": {"ref": f"{WEB}/@2/call/build#output/none"}, "w": {"ref": f"{WEB}/@3/custom/x", "default": 1}}
    release(shop, package([call("test", inputs=inputs)]), path="api")
    waits = "'shop/-/api/@1/call/test/1' waits for it"
    assert why_kept(shop) == {"2": waits, "3": waits}
    assert prune(shop) == ["1", "4"]
    shop.ocuroot("run", "cancel", "shop/-/api/@1/call/test/1")
    assert prune(shop) == ["2", "3"]
    # A pattern of another program's that could match in a release.
    functions = "shop/-/api/@1/call/test/2/functions/1"
    update(
        shop,
        f'set {WEB}/@6 {{"commit": "abc", "package": {{"phases": []}}}}',
        f"link {WEB}/@ {WEB}/@6",
        f"unlink {WEB}/@/call/build",
        f'set {functions.removesuffix("/functions/1")} {{"type": "call"}}',
        f'set {functions} {{"current": {{"status": "pending", "dependencies": ["{WEB}/@?/custom/**"]}}}}',
        'set shop/-/api/@1/call/test/2/status/pending {"time": "2026-01-01"}',
    )
    assert why_kept(shop) == {"5": "'shop/-/api/@1/call/test/2' waits for it"}


def test_releases_that_only_name_each_other_go_together(shop: Repo) -> None:
    update(
        shop,
        f"link {WEB}/@1/custom/next {WEB}/@2/call/build",
        f"link {WEB}/@2/custom/next {WEB}/@3/call/build",
        f"depend {WEB}/@3/call/build {WEB}/@1/call/build",
        f"depend {WEB}/@3/call/build other/-/x/@1",
    )
    copy = copy_of(shop, shop.path.parent / "copy")
    assert prune(copy) == ["1", "2", "3", "4"]
    assert copy.run("fsck", "-q").stdout == ""
    assert copy.git("ls-tree", "-r", "--name-only", "state", "dependencies") == ""
    # Held in one place, the whole chain is.
    update(shop, f'set {WEB}/@3/custom/hold "why"')
    assert why_kept(shop)["1"] == f"'{WEB}/@3/call/build' depends on it"
    assert prune(shop) == ["4"]


def test_ages_are_those_of_what_was_done_last(shop: Repo) -> None:
    stores = ocuroot_git.open(str(shop.path))
    first, second = (stores.match(f"{WEB}/@{number}/commit/*")[0] for number in (1, 2))
    ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3 * 3600))
    update(shop, f'set {first} {{"time": "2001-01-01T00:00:00Z"}}')
    assert prune(shop, seconds=7200) == []
    update(shop, f'set {WEB}/@1/call/build/1/status/complete {{"time": "{ago}"}}')
    assert prune(shop, seconds=4 * 3600) == prune(shop, 5, seconds=7200) == []
    assert shop.ocuroot("prune", "-q", "--keep", "2h", "//web") == f"{WEB}/@1"
    update(shop, f"set {second} 3", f"set {WEB}/@2/call/build/1/status/complete {{}}")
    assert prune(shop, seconds=0) == ["3", "4"]
    for bad in ("3", "", "-1d", "1.5d", "5m", "3d ", "٣d", "99999999999d"):
        with pytest.raises(UsageError):
            read_duration(bad)


def test_packages_are_chosen(shop: Repo) -> None:
    update(shop, *(f"set shop/-/api/@{number} {{}}" for number in (1, 2)))
    before = commits(shop)
    assert shop.ocuroot("prune", "-q", "--keep-releases=1", "//ap?") == "shop/-/api/@1"
    refused(shop, 1, "no package matches 'shop/-/nothing'", "prune", "//nothing")
    done = shop.run("prune", "--json", "--keep-releases=4", "**")
    tip = shop.git("rev-parse", "state~1")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"ref": f"{WEB}/@1", "commit": tip}]
    assert "pruned 1 release of 1 package" in done.stderr
    assert commits(shop) == before + 2
    assert prune(shop, 0) == ["2", "3", "4"]
    # Nothing said: a hundred stay.
    assert shop.run("prune").stderr == "nothing to prune\n"


def test_an_operation_prunes_once(shop: Repo) -> None:
    first = shop.ocuroot("prune", "-q", "--keep-releases=3", "--operation", "nightly")
    update(shop, f"set {WEB}/@6 {{}}", f"link {WEB}/@ {WEB}/@6")
    done = shop.run("prune", "--keep-releases=3", "--operation", "nightly")
    assert done.stdout.split() == first.split() == [f"{WEB}/@1", f"{WEB}/@2"]
    assert "was carried out before" in done.stderr


# Bad documents


ID = '"' + "0" * 40 + '"'
BAD_RECORDS = [
    "3",
    '{"highest": "5", "pruned": []}',
    '{"highest": true, "pruned": []}',
    '{"highest": 5}',
    '{"highest": 1e400, "pruned": []}',
    '{"highest": 5, "pruned": [7]}',
    '{"highest": 5, "pruned": [{"releases": "1-40", "commit": ' + ID + "}]}",
    '{"highest": 5, "pruned": [{"releases": "", "commit": ' + ID + "}]}",
    '{"highest": 5, "pruned": [{"releases": "1", "commit": "--upload-pack=x"}]}',
    '{"highest": 5, "pruned": [{"releases": "1", "commit": ' + ID + ', "commits": {}}]}',
    '{"highest": ' + "9" * 4000 + ', "pruned": []}',
]


def test_a_bad_record_is_an_error_that_names_it(shop: Repo) -> None:
    stores = ocuroot_git.open(str(shop.path))
    for record in BAD_RECORDS:
        update(shop, f"set {RECORD} {record}")
        before = tip_of(shop)
        result = retention_prune(stores, [], Keep(1, None))
        assert [problem.ref for problem in result.problems] == [RECORD] and result.gone == {}
        assert [finding.where for finding in check_model(stores.snapshot())] == [RECORD]
        with pytest.raises(Error, match="@pruned': "):
            new(stores, WEB, "abc", one_release(1))
        assert tip_of(shop) == before
    done = shop.run("prune", "--keep-releases=1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"warning: '{RECORD}' is left out: highest is 9" in done.stderr
    refused(shop, 128, f"'{RECORD}': ", "release", "new", "web", "--force", "--package=-", input=DEFINITION)
    refused(shop, 1, "no such document", "get", f"{WEB}/@77")
    assert work_any(shop, "-q") == []


def test_a_record_may_be_as_large_as_it_likes(shop: Repo) -> None:
    entries = [
        {"releases": str(number), "commit": "0" * 40, "commits": ["0" * 16] * 5} for number in range(1, 20_001, 2)
    ]
    update(shop, f"set {RECORD} " + json.dumps({"highest": 20_000, "pruned": entries, "others": "kept"}))
    assert prune(shop) == ["1", "2", "3", "4"]
    record: Any = shop.value(RECORD)
    assert len(record["pruned"]) == len(entries) + 1
    assert (record["highest"], record["others"]) == (20_000, "kept")
    assert release(shop, one_release(6)) == f"{WEB}/@20001"


def test_a_tag_of_that_name_is_kept(shop: Repo) -> None:
    update(shop, f"link {RECORD} {WEB}/@2")
    done = shop.run("prune", "--keep-releases=1")
    assert done.returncode == 1 and f"'{RECORD}' is left out: it is a tag" in done.stderr
    assert release(shop, one_release(6)) == f"{WEB}/@6"
    refused(
        shop,
        128,
        "bad tag 'pruned'",
        "release",
        "new",
        "web",
        "--force",
        "--tag=pruned",
        "--package=-",
        input=DEFINITION,
    )


def test_what_cannot_be_read_stays(shop: Repo) -> None:
    broken = shop.path / "broken"
    broken.mkdir()
    shop.git("worktree", "add", "-q", "--detach", str(broken), "state")
    (broken / "refs" / WEB / "@2/call/build/@object.json").write_text("{")
    Repo(broken).git("commit", "-qam", "broken")
    shop.git("update-ref", "refs/heads/state", Repo(broken).git("rev-parse", "HEAD"))
    update(
        shop,
        f"delete {WEB}/@3/call/build/1/status/complete",
        f'set {WEB}/@4/call/build/1/status/pending {{"time": "2026-01-01"}}',
    )
    done = shop.run("prune", "--keep-releases=1")
    assert (done.returncode, done.stdout) == (1, f"{WEB}/@1\n")
    assert f"'{WEB}/@2/call/build' is left out" in done.stderr
    assert f"'{WEB}/@3/call/build/1' is left out: its status is missing" in done.stderr
    assert f"'{WEB}/@4/call/build/1' is left out: its status is complete and pending" in done.stderr


def test_a_bad_intent_keeps_its_package(shop: Repo) -> None:
    update(shop, f'set {WEB}/+/deploy/staging {{"release": 3}}')
    done = shop.run("prune", "--keep-releases=1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"'{WEB}/+/deploy/staging' is left out: the release is 3" in done.stderr
