"""One operation, one effect: requests that the transport sends twice, and names that a job gives (design 8.5, 8.9)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.delivering import call, package
from support.program import PROGRAM
from support.remote_stores import HEADER, World, fails, hook, operations
from support.repositories import Repo
from support.servers import Relay, relay

FAULTS = ["repeat", "close"]
PACKAGE = json.dumps(package([call("build")]))


class Between:
    """A store behind a relay, and two clones: one that talks through the relay, and one that does not."""

    def __init__(self, world: World, relay: Relay) -> None:
        self.world = world
        self.relay = relay
        self.bare = world.bare()
        self.clone = world.clone("one", world.url(port=relay.port))
        self.other = world.clone("two")
        for clone in (self.clone, self.other):
            clone.git("config", "ocuroot.repoAlias", "shop")
        self.clone.git("commit", "-q", "--allow-empty", "-m", "code")
        self.other.ocuroot("init", "-q")

    def fault(self, kind: str, count: int = 1, deny: int = 0) -> None:
        self.relay.left[kind] = count
        self.relay.done[kind] = 0
        self.relay.deny = deny

    def commits(self) -> int:
        return len(self.bare.git("rev-list", "state").split())


@pytest.fixture
def between(web: World) -> Iterator[Between]:
    assert web.server is not None
    with relay(web.server.port) as made:
        yield Between(web, made)


def in_job(name: str) -> dict[str, str]:
    return {**os.environ, "OCUROOT_OPERATION": name}


def repeated(repo: Repo, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must say that it was done before, and write nothing."""
    done = repo.run(*arguments, **options)
    assert done.returncode == 0, done.stderr
    assert "was carried out before" in done.stderr
    return done


# Sent twice


@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_is_carried_out_and_sent_again(between: Between, fault: str) -> None:
    clone = between.clone
    commands: list[tuple[tuple[str, ...], str | None, str]] = [
        (("set", "--if-absent", "+/custom/a", "1"), None, ""),
        (("set", "--if-match", "<oid>", "+/custom/a", "2"), None, ""),
        (("update", "--stdin"), "create @/custom/b 1\nverify @/custom/c absent\nset @/custom/c 1\n", ""),
        (("delete", "+/custom/a"), None, ""),
        (("release", "new", "web", "--package", "-", "--force"), PACKAGE, "shop/-/web/@1"),
        (("run", "start", "shop/-/web/@1/call/build"), None, "shop/-/web/@1/call/build/1"),
        (("run", "finish", "--status", "failed", "shop/-/web/@1/call/build/1"), None, ""),
        (("run", "retry", "shop/-/web/@1"), None, "shop/-/web/@1/call/build/2"),
    ]
    for number, (words, data, printed) in enumerate(commands, 2):
        if "<oid>" in words:
            oid = json.loads(clone.ocuroot("match", "--json", "+/custom/a"))["oid"]
            words = tuple(oid if word == "<oid>" else word for word in words)
        between.fault(fault)
        done = clone.run(*words, **({"input": data} if data is not None else {}))
        assert (done.returncode, done.stdout.strip()) == (0, printed), (words, done.stderr)
        assert between.relay.done[fault] == 1
        assert between.commits() == number, words
    assert len(set(operations(between.bare))) == len(commands)


@pytest.mark.parametrize("fault", FAULTS)
def test_others_write_between_a_request_and_its_repetition(between: Between, fault: str) -> None:
    def write() -> None:
        between.other.ocuroot("set", "+/custom/a", "2")

    between.relay.between = write
    between.fault(fault)
    between.clone.ocuroot("set", "--if-absent", "+/custom/a", "1")
    assert between.commits() == 3
    assert between.clone.value("+/custom/a") == "2"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_answer_that_would_end_the_command_is_not_believed(between: Between, status: int) -> None:
    between.fault("replace", deny=status)
    between.clone.ocuroot("set", "--if-absent", "+/custom/a", "1")
    assert between.relay.done["replace"] == 1
    assert between.commits() == 2


def test_the_last_try_too_is_looked_for(between: Between) -> None:
    between.clone.git("config", "ocuroot.timeout", "0")
    between.fault("repeat")
    done = between.clone.run("set", "--if-absent", "+/custom/a", "1")
    assert (done.returncode, between.commits()) in ((0, 2), (128, 1)), done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_import_and_init_behind_such_a_proxy(between: Between, tmp_path: Path, fault: str) -> None:
    between.other.ocuroot("set", "+/custom/a", "1")
    between.other.ocuroot("export", "-q", str(tmp_path / "out"))
    between.clone.git("config", "ocuroot.state.branch", "imported")
    between.fault(fault)
    between.clone.ocuroot("import", "-q", str(tmp_path / "out"))
    assert between.relay.done[fault] == 1, "one push brings all"
    assert len(between.bare.git("rev-list", "imported").split()) == 2
    assert between.clone.value("+/custom/a") == "1"
    done = between.clone.run("import", "-q", str(tmp_path / "out"))
    assert (done.returncode, "exists already" in done.stderr) == (128, True)
    between.fault(fault)
    between.clone.ocuroot("init", "-q", "--remote", between.world.url(port=between.relay.port), "--branch", "fresh")
    assert between.relay.done[fault] == 1
    assert len(between.bare.git("rev-list", "fresh").split()) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_local_branch_whose_push_is_sent_twice(between: Between, fault: str) -> None:
    """Even where others change the same document after it: that is no conflict."""
    url = between.world.url(port=between.relay.port)
    Repo(between.world.top).git("clone", "-q", "-c", f"http.extraheader={HEADER}", url, "local")
    local = Repo(between.world.top / "local")
    local.ocuroot("init", "-q")
    local.ocuroot("set", "+/custom/a", "1")
    between.other.ocuroot("set", "+/custom/other", "1")
    between.relay.between = lambda: between.other.ocuroot("set", "+/custom/a", "2")
    between.fault(fault)
    local.ocuroot("sync", "-q")
    assert between.relay.done[fault] == 1
    assert local.value("+/custom/a") == "2"
    assert local.git("rev-parse", "state") == between.bare.git("rev-parse", "state")
    assert between.commits() == 4


def test_a_wrapper_that_receives_twice(files: World) -> None:
    """The same over a pipe: what the server says last is that another was faster."""
    bare = files.bare()
    clone = files.clone("one")
    clone.git("remote", "add", "store", files.url())
    clone.git("config", "ocuroot.state.remote", "store")
    clone.ocuroot("init", "-q")
    program = files.top / "receive-pack"
    program.write_text(
        f'#!/bin/sh\ngit receive-pack "$@" | tee "{files.top}/said"\n'
        'git --git-dir="$1" update-ref refs/heads/state "$(cat "$1/new")"\n'
    )
    program.chmod(0o755)
    clone.git("config", "remote.store.receivepack", str(program))
    hook(bare, "update", 'echo $3 > "$GIT_DIR/new"\nexit 1')
    clone.ocuroot("set", "--if-absent", "+/custom/a", "1")
    assert len(bare.git("rev-list", "state").split()) == 2


# Names


def test_a_job_writes_many_things_and_can_be_run_again_as_a_whole(store: Repo, tmp_path: Path) -> None:
    store.git("config", "ocuroot.repoAlias", "shop")
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    definition = tmp_path / "package.json"
    definition.write_text(PACKAGE)
    log = "built\n"
    job: list[tuple[tuple[str, ...], str | None]] = [
        (("set", "+/custom/a", "1"), None),
        (("set", "+/custom/a", "2"), None),
        (("set", "--if-absent", "+/custom/b", "-"), "from stdin"),
        (("delete", "+/custom/a"), None),
        (("release", "new", "web", f"--package={definition}"), None),
        (("update", "--stdin"), "create @/custom/c 1\n"),
        (("update", "--stdin"), "create @/custom/d 1\n"),
        (("run", "start", "shop/-/web/@/call/build"), None),
        (("run", "log", "shop/-/web/@1/call/build/1"), log),
        (("run", "finish", "--status", "failed", "shop/-/web/@1/call/build/1"), None),
        (("run", "retry", "shop/-/web/@1"), None),
        (("run", "exec", "shop/-/web/@1/call/build"), None),
        (("apply", "--all"), None),
    ]

    def carry_out() -> list[tuple[int, str]]:
        found = []
        for words, data in job:
            done = store.run(*words, env=in_job("job 12/3"), **({"input": data} if data is not None else {}))
            assert done.returncode == 0, (words, done.stderr)
            found.append((done.returncode, done.stdout if words[0] != "apply" else ""))
        return found

    first = carry_out()
    tip = store.git("rev-parse", "state")
    store.ocuroot("release", "new", "web", "--force", f"--package={definition}")
    store.ocuroot("set", "+/custom/b", "changed by others")
    others = store.git("rev-parse", "state~2")
    assert others == tip
    assert carry_out() == first
    applied = store.git("log", "--format=%(trailers:key=Ocuroot-Command,valueonly)", f"{tip}..state").split()
    assert applied == ["apply", "set", "release", "new"]
    assert first[4] == (0, "shop/-/web/@1\n")
    assert store.value("+/custom/b") == "changed by others"
    logs = store.value("shop/-/web/@1/call/build/1/logs")
    assert [line["message"] for line in logs] == ["built"]


def test_one_name_is_one_change(store: Repo) -> None:
    store.ocuroot("set", "--operation", "job-7", "+/custom/a", "1")
    store.ocuroot("set", "+/custom/a", "2")
    done = repeated(store, "set", "--operation=job-7", "+/custom/a", "1")
    assert store.git("rev-parse", "--short=12", "state~1") in done.stderr
    assert store.value("+/custom/a") == "2"
    first = store.git("rev-parse", "state~1")[:12]
    others: list[tuple[tuple[str, ...], str | None]] = [
        (("set", "+/custom/a", "3"), None),
        (("set", "+/custom/b", "1"), None),
        (("set", "-f=json", "+/custom/a", "1"), None),
        (("set", "+/custom/a", "-"), "1"),
        (("delete", "+/custom/a"), None),
        (("update", "--stdin"), "set +/custom/a 1\n"),
    ]
    tip = store.git("rev-parse", "state")
    for words, data in others:
        done = store.run(*words, "--operation", "job-7", **({"input": data} if data is not None else {}))
        message = f"fatal: operation 'job-7' is another change already: 'set +/custom/a' (commit {first})\n"
        assert (done.returncode, done.stderr.partition("hint:")[0]) == (3, message), words
    assert store.git("rev-parse", "state") == tip


def test_the_release_is_the_first_one_whatever_happened_since(store: Repo) -> None:
    """Also where `sync` brought several operations together in one commit, and the numbers have moved on."""
    store.git("config", "ocuroot.repoAlias", "shop")
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    bare = Repo(store.path.parent / "shared.git")
    bare.path.mkdir()
    bare.git("init", "-q", "--bare")
    store.git("remote", "add", "origin", str(bare.path))
    store.ocuroot("push", "-q")
    new = ("release", "new", "web", "--package", "-", "--force", "--operation")
    for number in (1, 2):
        assert store.ocuroot(*new, f"job {number}", input=PACKAGE) == f"shop/-/web/@{number}"
    Repo(store.path.parent).git("clone", "-q", str(bare.path), "other")
    other = Repo(store.path.parent / "other")
    other.ocuroot("init", "-q")
    other.ocuroot("set", "+/custom/a", "1")
    other.ocuroot("push", "-q")
    store.ocuroot("sync", "-q")
    other.ocuroot("fetch", "-q")
    carried = other.git("log", "-1", "--format=%(trailers:key=Ocuroot-Operation,valueonly)", "state").split("\n")
    assert [name for name in carried if name] == ["job 1", "job 2"]
    for clone in (store, other):
        clone.git("config", "ocuroot.repoAlias", "shop")
    for number in (2, 1):
        done = repeated(store, *new, f"job {number}", input=PACKAGE)
        assert done.stdout == f"shop/-/web/@{number}\n"


def test_a_message_cannot_hold_the_name_of_an_operation(store: Repo) -> None:
    for number, text in enumerate(
        ("x\n\nOcuroot-Operation: job 8", "Ocuroot-Operation: job 8", "x\n\nOcuroot-Request: 1")
    ):
        store.ocuroot("set", "-m", text, f"+/custom/m{number}", "1")
    store.ocuroot("update", "--stdin", input='set "@/custom/Ocuroot-Operation: job 8" 1\n')
    store.ocuroot("set", "--operation", "job 8", "+/custom/a", "1")
    assert store.value("+/custom/a") == "1"
    lines = [json.loads(line) for line in store.ocuroot("log", "--json").splitlines()]
    assert [line["operation"] for line in lines].count("job 8") == 1


@pytest.mark.parametrize(
    "name", ["a.*", "[a]", "^a$", "a\\b", "a|b", "(a)+", "-x", "--grep", "ä€", "a'b\"c", "*", "a  b"]
)
def test_a_name_is_looked_for_as_it_is(store: Repo, name: str) -> None:
    store.ocuroot("set", "--operation", "abb", "+/custom/a", "1")
    store.ocuroot("set", f"--operation={name}", "+/custom/b", "1")
    store.ocuroot("delete", "+/custom/b")
    repeated(store, "set", f"--operation={name}", "+/custom/b", "1")
    assert store.run("get", "+/custom/b").returncode == 1


def test_a_configuration_of_log_does_not_hide_an_operation(store: Repo) -> None:
    for key, value in (
        ("grep.patternType", "perl"),
        ("i18n.logOutputEncoding", "latin1"),
        ("log.showSignature", "true"),
    ):
        store.git("config", key, value)
    store.ocuroot("set", "--operation", "jöb (1)", "+/custom/b", "1")
    repeated(store, "set", "--operation", "jöb (1)", "+/custom/b", "1")


def test_what_the_first_version_wrote_is_known_again(store: Repo) -> None:
    """It did not write down what was asked for: the command tells, and the result is worked out again."""
    store.git("config", "ocuroot.repoAlias", "shop")
    store.git("commit", "-q", "--allow-empty", "-m", "code")
    new = ("release", "new", "web", "--package", "-", "--operation", "job 1")
    store.ocuroot(*new, input=PACKAGE)
    message = store.git("log", "-1", "--format=%B", "state")
    kept = "\n".join(line for line in message.split("\n") if not line.startswith(("Ocuroot-Request", "Ocuroot-Result")))
    assert kept != message
    old = store.git("commit-tree", "state^{tree}", "-p", "state~1", "-m", kept)
    store.git("update-ref", "refs/heads/state", old)
    store.ocuroot("release", "new", "web", "--package", "-", "--force", input=PACKAGE)
    assert repeated(store, *new, input=PACKAGE).stdout == "shop/-/web/@1\n"
    assert store.run("set", "--operation", "job 1", "+/custom/a", "1").returncode == 3


def test_clones_at_once_under_one_name(files: World) -> None:
    bare = files.bare()
    clones = [files.clone(f"clone{number}") for number in range(3)]
    for clone in clones:
        clone.git("config", "ocuroot.repoAlias", "shop")
    clones[0].ocuroot("init", "-q")
    words = [
        "release",
        "new",
        "web",
        "--repo=x/y",
        "--commit",
        "a" * 40,
        "--package",
        "-",
        "--force",
        "--operation=job",
    ]
    running = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *words],
            cwd=clone.path,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for clone in clones
    ]
    for one in running:
        assert one.stdin is not None
        one.stdin.write(PACKAGE)
        one.stdin.close()
        one.stdin = None
    assert [(one.communicate()[0], one.returncode) for one in running] == [("x/y/-/web/@1\n", 0)] * 3
    assert operations(bare) == ["job"]


def test_stores_in_two_places_keep_one_name_each(files: World) -> None:
    state, intent = files.bare("state"), files.bare("intent")
    clone = files.clone("one", files.url("state"))
    clone.git("config", "ocuroot.intent.remote", files.url("intent"))
    clone.git("config", "ocuroot.repoAlias", "shop")
    clone.git("commit", "-q", "--allow-empty", "-m", "code")
    clone.ocuroot("init", "-q")
    job = in_job("job 1")
    clone.ocuroot("set", "-f=json", "+/environment/prod", '{"name": "prod", "attributes": {}}', env=job)
    clone.ocuroot("apply", "--all", env=job)
    definition = json.dumps(
        {"phases": [{"name": "d", "work": [{"deploy": {"environment": "prod", "up": {"name": "u"}}}]}]}
    )
    clone.ocuroot("release", "new", "web", "--package", "-", env=job, input=definition)
    clone.ocuroot("run", "start", "shop/-/web/@1/deploy/prod", env=job)
    finish = ("run", "finish", "--status", "complete", "shop/-/web/@1/deploy/prod/1")
    clone.ocuroot(*finish, env=job)
    assert clone.value("shop/-/web/+/deploy/prod#release") == "shop/-/web/@1"
    tips = state.git("rev-parse", "state"), intent.git("rev-parse", "state")
    repeated(clone, *finish, env=job)
    assert tips == (state.git("rev-parse", "state"), intent.git("rev-parse", "state"))


def test_import_under_a_name(shop: Repo, make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    shop.ocuroot("export", "-q", str(tmp_path / "out"))
    other = make_repo("other")
    other.ocuroot("import", "-q", str(tmp_path / "out"), env=in_job("job"))
    repeated(other, "import", str(tmp_path / "out"), env=in_job("job"))
    assert len(other.git("rev-list", "state").split()) == 2


def test_apply_acts_on_what_is_new_in_the_job(store: Repo) -> None:
    """It makes state follow intent, now: the second time in a job there may be something to do again."""
    for name in "ab":
        store.ocuroot("set", f"+/custom/{name}", "1", env=in_job("job"))
        assert f"+/custom/{name}" in store.ocuroot("apply", "--all", env=in_job("job"))
    store.ocuroot("set", "+/custom/c", "1")
    first = store.ocuroot("apply", "--all", "--operation", "one")
    store.ocuroot("set", "+/custom/d", "1")
    assert repeated(store, "apply", "--all", "--operation", "one").stdout.strip() == first
    assert store.run("get", "@/custom/d").returncode == 1


def test_bad_names(store: Repo) -> None:
    for name in ("a\nb", " a", "x" * 201, "a\x1bb"):
        assert "bad name" in fails(store, "set", "--operation", name, "+/custom/a", "1")
        assert "bad name" in fails(store, "set", "+/custom/a", "1", env=in_job(name))
