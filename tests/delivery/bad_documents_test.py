"""One bad document concerns itself alone (design 7): each is planted beside good packages, which go on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.delivering import call, deploy, package, prepare, refused, release, work_any
from support.repositories import Repo

import ocuroot_git
from ocuroot_git.delivery import apply, diff, queue
from ocuroot_git.delivery.check import check_model
from ocuroot_git.delivery.problems import Problems
from ocuroot_git.delivery.release_list import releases_of
from ocuroot_git.store.snapshot import Snapshot

GOOD, BAD = "shop/-/good", "shop/-/bad"
NEWEST = f"{BAD}/@2"
RUN = f"{NEWEST}/call/build/1"
WHERE = f"{BAD}/@/deploy/production"
WANTED = f"{BAD}/+/deploy/production"
UP = f"{BAD}/@1/deploy/production/1"
FUNCTION: dict[str, Any] = {"current": {"id": "1", "fn": {}, "status": "pending"}, "history": []}
RELEASE: dict[str, Any] = {"commit": "abc", "package": {"phases": [{"name": "p", "work": [{"call": {"name": "x"}}]}]}}


class Raw(str):
    """The text of an `@object.json` as it is, in place of a document."""


class Link(str):
    """A link to a stored ref, in place of a document."""


GONE = Raw()
"""No file at all."""


def in_package(work_: object) -> dict[str, Any]:
    return {"commit": "abc", "package": {"phases": [{"name": "p", "work": work_}]}}


def current(**fields: object) -> dict[str, Any]:
    return {**FUNCTION, "current": {**FUNCTION["current"], **fields}}


Cases = dict[str, tuple[dict[str, Any], str]]
"""The documents that are put into the store, and the ref that is named then."""

RELEASES: Cases = {
    "release null": ({NEWEST: None}, NEWEST),
    "release text": ({NEWEST: "2"}, NEWEST),
    "release without package": ({NEWEST: {"commit": "abc"}}, NEWEST),
    "release without commit": ({NEWEST: {"package": RELEASE["package"]}}, NEWEST),
    "release of a commit that is no id": ({NEWEST: {**RELEASE, "commit": "../x#y"}}, NEWEST),
    "package null": ({NEWEST: {"commit": "abc", "package": None}}, NEWEST),
    "phases no list": ({NEWEST: {"commit": "abc", "package": {"phases": {"a": 1}}}}, NEWEST),
    "phases empty": ({NEWEST: {"commit": "abc", "package": {"phases": []}}}, NEWEST),
    "phase no object": ({NEWEST: {"commit": "abc", "package": {"phases": ["x"]}}}, NEWEST),
    "work no list": ({NEWEST: in_package({"call": {"name": "x"}})}, NEWEST),
    "work without a name": ({NEWEST: in_package([{"call": {"fn": {}}}])}, NEWEST),
    "work whose name is no text": ({NEWEST: in_package([{"call": {"name": ["x"]}}])}, NEWEST),
    "work of an unknown kind": ({NEWEST: in_package([{"dance": {"name": "x"}}])}, NEWEST),
    "function no object": ({NEWEST: in_package([{"call": {"name": "x", "fn": "make"}}])}, NEWEST),
    "inputs no object": ({NEWEST: in_package([{"call": {"name": "x", "inputs": [1]}}])}, NEWEST),
    "selector of numbers": ({NEWEST: in_package([{"deploy": {"environments": {"attributes": {"a": 1}}}}])}, NEWEST),
    "release not JSON": ({NEWEST: Raw("{")}, NEWEST),
    "release of an unknown kind": ({NEWEST: Raw('{"kind": "x", "body": 1}')}, NEWEST),
    "release a link": ({NEWEST: Link(f"{BAD}/@1")}, NEWEST),
    "release missing": ({NEWEST: GONE}, NEWEST),
}
RUNS: Cases = {
    "run null": ({RUN: None}, RUN),
    "run text": ({RUN: "complete"}, RUN),
    "run of an unknown type": ({RUN: {"type": "sideways"}}, RUN),
    "run whose output is a list": ({RUN: {"type": "call", "output": [1]}}, RUN),
    "run not JSON": ({RUN: Raw("\0")}, RUN),
    "run missing": ({RUN: GONE}, RUN),
    "run a link": ({RUN: Link(f"{BAD}/@1/call/build/1")}, RUN),
    "run without a status": ({f"{RUN}/status/pending": GONE}, RUN),
    "run with two": ({f"{RUN}/status/running": {"time": "2026-01-01T00:00:00Z"}}, RUN),
    "run with an unknown status": (
        {f"{RUN}/status/pending": GONE, f"{RUN}/status/dancing": {}}, f"{RUN}/status/dancing"
    ),
    "status not JSON": ({f"{RUN}/status/pending": Raw("[")}, f"{RUN}/status/pending"),
    "function missing": ({f"{RUN}/functions/1": GONE}, f"{RUN}/functions/1"),
    "function null": ({f"{RUN}/functions/1": None}, f"{RUN}/functions/1"),
    "function of another status": ({f"{RUN}/functions/1": current(status="complete")}, RUN),
    "function of an unknown status": ({f"{RUN}/functions/1": current(status="dancing")}, f"{RUN}/functions/1"),
    "function whose status is an object": ({f"{RUN}/functions/1": current(status={})}, f"{RUN}/functions/1"),
    "inputs of a run no object": ({f"{RUN}/functions/1": current(inputs=["x"])}, f"{RUN}/functions/1"),
    "input no object": ({f"{RUN}/functions/1": current(inputs={"x": 1})}, f"{RUN}/functions/1"),
    "dependencies no list": ({f"{RUN}/functions/1": current(dependencies="x")}, f"{RUN}/functions/1"),
    "dependencies no patterns": ({f"{RUN}/functions/1": current(dependencies=["[x"])}, f"{RUN}/functions/1"),
    "dependencies of numbers": ({f"{RUN}/functions/1": current(dependencies=[1])}, f"{RUN}/functions/1"),
    "fn a text": ({f"{RUN}/functions/1": current(fn="make")}, f"{RUN}/functions/1"),
    "history of texts": ({f"{RUN}/functions/1": {**FUNCTION, "history": ["x"]}}, f"{RUN}/functions/1"),
    "claim of a time that is none": (
        {
            f"{RUN}/status/pending": GONE,
            f"{RUN}/status/running": {"time": "x", "owner": "me", "until": "tomorrow"},
            f"{RUN}/functions/1": current(status="running"),
        },
        f"{RUN}/status/running",
    ),
}  # fmt: skip
PLACES: Cases = {
    "deployed function missing": ({f"{UP}/functions/1": GONE}, f"{UP}/functions/1"),
    "deployed function null": ({f"{UP}/functions/1": None}, f"{UP}/functions/1"),
    "deployed run null": ({UP: None}, UP),
    "deployed link to nothing": ({WHERE: Link(f"{BAD}/@7/deploy/production/1")}, WHERE),
    "deployed link to no run": ({WHERE: Link("@/environment/production")}, WHERE),
    "deployed no link": ({WHERE: {"type": "up"}}, WHERE),
    "deployed not JSON": ({WHERE: Raw("x")}, WHERE),
    "deployed link in a circle": ({WHERE: Link(f"{BAD}/@x"), f"{BAD}/@x": Link(WHERE)}, WHERE),
    "intent a text": ({WANTED: f"{BAD}/@1"}, WANTED),
    "intent null": ({WANTED: None}, WANTED),
    "intent without a release": ({WANTED: {"input": {}}}, WANTED),
    "intent of what is no ref": ({WANTED: {"release": "a//b/../@1"}}, WANTED),
    "intent whose input is a list": ({WANTED: {"release": f"{BAD}/@1", "input": [1]}}, WANTED),
    "intent not JSON": ({WANTED: Raw("{}")}, WANTED),
    "environment of another name": ({"+/environment/x": {"name": "y"}}, "+/environment/x"),
    "environment a text": ({"+/environment/x": "x"}, "+/environment/x"),
    "environment not JSON": ({"+/environment/x": Raw("")}, "+/environment/x"),
    "environment in state of another name": (
        {"@/environment/x": {"name": "y"}, "+/environment/x": {"name": "y"}}, "+/environment/x"
    ),
    "environment wanted otherwise, unreadable": ({"+/environment/production": Raw("?")}, "+/environment/production"),
    "custom not JSON": ({"+/custom/x": Raw("?"), "@/custom/x": 1}, "+/custom/x"),
    "custom in state not JSON": ({"@/custom/x": Raw("?"), "+/custom/x": 1}, "@/custom/x"),
    "custom in a circle": ({"+/custom/x": Link("+/custom/y"), "+/custom/y": Link("+/custom/x")}, "+/custom/x"),
    "custom of a release, intents unreadable": ({f"{BAD}/+2": Raw("?"), f"{BAD}/@2/custom/x": 1}, f"{BAD}/+2"),
    "op not JSON": ({f"{NEWEST}/op/check_envs": Raw("?")}, f"{NEWEST}/op/check_envs"),
}  # fmt: skip
CASES: Cases = {**RELEASES, **RUNS, **PLACES}
NO_FAULT_OF_THE_MODEL = ("not JSON", "unknown kind", "unreadable", "in a circle")
"""What the check of the store itself names, by the path of the file or at the link."""


def plant(repo: Repo, documents: dict[str, Any]) -> None:
    """Write documents past all checks, as another program or a broken script would."""
    lines = []
    for ref, value in documents.items():
        path = f"refs/{ref}/@object.json"
        if value is GONE:
            lines.append(f"0 {'0' * 40}\t{path}")
            continue
        if isinstance(value, Raw):
            text = str(value)
        elif isinstance(value, Link):
            text = json.dumps({"kind": "link", "body": str(value)})
        else:
            text = json.dumps({"kind": "ref", "body": value})
        lines.append(f"100644 {repo.git('hash-object', '-w', '--stdin', input=text)}\t{path}")
    env = {**os.environ, "GIT_INDEX_FILE": str(repo.path / ".git" / "planted")}
    repo.git("read-tree", "state", env=env)
    repo.git("update-index", "--index-info", env=env, input="".join(f"{line}\n" for line in lines))
    tree = repo.git("write-tree", env=env)
    repo.git("update-ref", "refs/heads/state", repo.git("commit-tree", "-p", "state", "-m", "planted", tree))


@pytest.fixture(scope="module")
def twins(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two packages, alike: the first release is deployed, the second waits to be built."""
    repo = Repo(Path(shutil.copytree(store_template, tmp_path_factory.mktemp("twins") / "repo")))
    prepare(repo, "production")
    definition = package([call("build")], [deploy(environments={"attributes": {"type": "prod"}})])
    for name in ("good", "bad"):
        release(repo, definition, name)
    work_any(repo)
    for name in ("good", "bad"):
        release(repo, definition, name)
    repo.git("tag", "whole", "state")
    return repo


@pytest.fixture
def whole(twins: Repo) -> Repo:
    twins.git("update-ref", "refs/heads/state", "whole")
    return twins


def seen(snapshot: Snapshot) -> tuple[dict[str, Any], Problems]:
    """What each reader says of all that is not bad, and what was left out."""
    problems = Problems()
    found = {
        "diff": [(one.ref, one.status) for one in diff.differences(snapshot, problems)],
        "todo": [(one.ref, one.state) for one in queue.items(snapshot, problems)],
        "releases": [(one["ref"], one["work"]) for one in releases_of(snapshot, [], problems)],
        "apply": [(one.ref, one.status) for one in apply.dry_run(snapshot, None, strict=False).acted],
    }
    return {key: [one for one in value if GOOD in one[0]] for key, value in found.items()}, problems


@pytest.mark.parametrize("name", CASES)
def test_readers_leave_it_out(whole: Repo, name: str) -> None:
    documents, ref = CASES[name]
    stores = ocuroot_git.open(str(whole.path))
    before, none = seen(stores.snapshot())
    assert not none and before["todo"] and len(before["releases"]) == 2
    assert not list(check_model(stores.snapshot()))
    plant(whole, documents)
    snapshot = ocuroot_git.open(str(whole.path)).snapshot()
    after, problems = seen(snapshot)
    assert after == before
    assert ref in [problem.ref for problem in problems], [problem.message for problem in problems]
    # What cannot be read is never taken for what is not there: nothing is to be deleted or taken down for it.
    assert not [one for one in diff.differences(snapshot, Problems()) if one.status == "D"]
    if not any(words in name for words in NO_FAULT_OF_THE_MODEL):
        assert ref in [finding.where for finding in check_model(snapshot)]


COMMANDS = (["work", "list"], ["status"], ["diff"], ["release", "list"], ["apply", "--all"], ["work", "any"])
TOGETHER = (
    "release without package",
    "run with two",
    "function missing",
    "deployed function null",
    "intent a text",
    "environment of another name",
    "custom not JSON",
)


def test_commands_go_on_and_say_so(whole: Repo) -> None:
    """A bad document of each kind at once, in packages of their own; every command as a process."""
    definition = package([call("build")], [deploy("production")])
    cases = [CASES[name] for name in TOGETHER]
    for _ in range(2):  # the first releases are deployed, the second wait to be built
        for number in range(len(cases)):
            release(whole, definition, f"bad{number}")
        whole.git("tag", "-f", "waiting", "state")
        whole.ocuroot("work", "any", "-q")
    whole.git("update-ref", "refs/heads/state", "waiting")
    names = []
    for number, (documents, ref) in enumerate(cases):
        own = f"shop/-/bad{number}"
        plant(whole, {key.replace(BAD, own): value for key, value in documents.items()})
        names.append(ref.replace(BAD, own))
    release(whole, definition, "good")
    for command in COMMANDS:
        done = whole.run(*command)
        assert done.returncode == 1, (command, done)
        assert "Traceback" not in done.stderr
        warned = set(re.findall(r"^warning: '([^']*)' is left out: ", done.stderr, re.MULTILINE))
        assert warned == {name for name in names if is_read_by(command[0], name)}, command
    assert {f"complete\t{GOOD}/@3/call/build/1", f"complete\t{GOOD}/@3/deploy/production/1"} <= set(
        done.stdout.splitlines()
    )
    assert whole.run("work", "any").returncode == 1
    report = json.loads(whole.run("status", "--json").stdout)
    assert [problem["ref"] for problem in report["problems"]] == sorted(names)
    done = whole.run("fsck", "-q")
    assert done.returncode == 1
    for name in names:
        assert f"error: {name}: " in done.stdout or f"error: refs/{name}/@object.json: " in done.stdout


def is_read_by(command: str, name: str) -> bool:
    """Whether a command has to do with a document at all: it names those that it would have read."""
    is_deployed = UP.removeprefix(BAD) in name
    if command == "release":
        return re.search(r"/@\d+", name) is not None and "functions" not in name
    return command not in ("diff", "apply") or is_deployed or re.search(r"/@\d+", name) is None


def test_only_who_asks_for_it_fails(whole: Repo) -> None:
    plant(whole, {**RELEASES["release without package"][0], **PLACES["intent a text"][0]})
    refused(whole, 128, f"'{NEWEST}': package: it is missing", "release", "show", NEWEST)
    refused(whole, 128, f"'{WANTED}': it is not a JSON object", "apply", WANTED)
    refused(whole, 128, f"'{NEWEST}'", "run", "exec", f"{NEWEST}/call/build")
    assert whole.run("release", "show", f"{BAD}/@1").returncode == 0
    whole.ocuroot("run", "exec", "-q", f"{GOOD}/@2/call/build")
    whole.ocuroot("set", "+/custom/x", "1")
    whole.ocuroot("apply", "+/custom/x")


def test_a_bad_run_does_not_keep_others_from_ending(whole: Repo) -> None:
    """What follows from the end of a run looks at deployments of other packages, and at other runs in that place."""
    plant(
        whole,
        {
            f"{UP}/functions/1": current(status="complete", inputs={"x": {"ref": f"{GOOD}/@/call/build#output/x"}}),
            f"{GOOD}/@1/deploy/production/2": None,
            f"{GOOD}/@1/deploy/production/2/status/pending": {},
        },
    )
    edge = f"depend {WHERE} {GOOD}/@/call/build\n"
    whole.ocuroot("update", "--stdin", input=edge)
    plant(whole, {f"{UP}/functions/1": "gone"})
    whole.ocuroot("run", "exec", "-q", f"{GOOD}/@2/call/build")
    whole.ocuroot("run", "exec", "-q", f"{GOOD}/@2/deploy/production")
    assert whole.ocuroot("resolve", f"{GOOD}/@/deploy/production") == f"{GOOD}/@2/deploy/production/1"


def test_taking_an_environment_away_passes_over_what_is_bad(whole: Repo) -> None:
    """The good package is taken down; the environment stays for as long as something may be there."""
    plant(whole, PLACES["deployed run null"][0])
    whole.ocuroot("delete", "+/environment/production")
    assert whole.run("work", "any").returncode == 1
    assert whole.ocuroot("match", "shop/-/*/@/deploy/production") == f"{BAD}/@/deploy/production"
    assert whole.ocuroot("get", "@/environment/production#name") == '"production"'


def test_an_environment_that_is_bad_blocks_only_what_is_for_it(whole: Repo) -> None:
    whole.ocuroot("run", "exec", "-q", f"{GOOD}/@2/call/build")
    plant(whole, {"@/environment/production": "?", "@/environment/other": 1, "+/environment/other": 1})
    done = whole.run("work", "list")
    assert (
        f"blocked  run up    {GOOD}/@2/deploy/production/1\tenvironment '@/environment/production', which"
        in done.stdout
    )
    assert f"ready    run call  {BAD}/@2/call/build/1" in done.stdout
    made = release(whole, package([call("build")], [deploy(environments={})]), "third")
    assert whole.ocuroot("match", f"{made}/deploy/*/1") == ""


def test_what_an_error_undoes(whole: Repo) -> None:
    """`all_or_nothing` takes back what was changed within, and nothing else."""
    stores = ocuroot_git.open(str(whole.path))
    with stores.transaction("two of three") as tx:
        tx.set("+/custom/a", 1)
        with pytest.raises(ZeroDivisionError), tx.all_or_nothing():
            tx.set("+/custom/a", 2)
            tx.set("+/custom/b", 2)
            tx.link("+/custom/c", "+/custom/a")
            raise ZeroDivisionError
        with tx.all_or_nothing():
            tx.set("+/custom/d", 3)
        assert tx.get("+/custom/a") == 1
        assert not tx.exists("+/custom/c")
    assert stores.match("+/custom/*") == ["+/custom/a", "+/custom/d"]
    message = subprocess.run(
        ["git", "log", "-1", "--format=%b", "state"], cwd=whole.path, capture_output=True, text=True, check=True
    )
    assert "+/custom/b" not in message.stdout


def test_a_document_that_is_null_is_one(store: Repo) -> None:
    store.ocuroot("update", "--stdin", input="set @/custom/nothing null\n")
    assert store.ocuroot("diff") == "+/custom/nothing"
    assert store.run("work", "list").stdout.startswith("ready")
    assert store.ocuroot("apply", "--all") == "D\t+/custom/nothing"
    assert store.run("get", "@/custom/nothing").returncode == 1
