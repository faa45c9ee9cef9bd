"""The shapes of the model's documents, releases and runs as the documentation has them, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from support.delivering import call, copy_of, deploy, diff, package, prepare, refused, release, work_any
from support.original_stores import v1_branch, v3_branches
from support.repositories import Repo

from ocuroot_git.delivery import model, vocabulary
from ocuroot_git.delivery.outputs import OutputError, parse_outputs

R = "shop/-/web/@1"

DOCUMENTS = {
    model.Environment: {"name": "e", "attributes": {"a": "b"}, "new": [1]},
    model.Run: {"type": "up", "release": "r/-/p/@1", "entrypoint": "x", "output": {"k": 1}, "new": None},
    model.Claim: {"time": "2026-01-01T00:00:00Z", "owner": "me", "until": "2026-01-01T00:01:00Z", "new": 1},
    model.Intent: {"release": "r/-/p/@1", "input": {"a": {"value": 1, "doc": "x"}}, "type": ""},
    model.Function: {
        "current": {
            "id": "1",
            "fn": {"name": "up", "pos": "x:1:1", "more": 1},
            "status": "running",
            "dependencies": ["a/*"],
            "inputs": {"i": {"ref": "./x", "default": None, "value": 2, "doc": "d"}},
            "outputs": {"o": 1},
            "new": {},
        },
        "history": [{"time": "t", "status": "pending", "by": "x"}],
        "outer": True,
    },
}


@pytest.mark.parametrize("type_", DOCUMENTS, ids=lambda type_: type_.__name__)
def test_unknown_fields_are_kept(type_: Any) -> None:
    ref = "@/environment/e"
    document = DOCUMENTS[type_]
    assert type_.read(document, ref).to_document() == document


def test_the_steps_between_statuses() -> None:
    for old in vocabulary.STATUSES:
        for new in vocabulary.STATUSES:
            if new in vocabulary.TRANSITIONS[old]:
                vocabulary.check_transition("r", old, new)
            else:
                with pytest.raises(vocabulary.WrongStatus):
                    vocabulary.check_transition("r", old, new)
    for ended in (vocabulary.COMPLETE, vocabulary.CANCELLED, vocabulary.FAILED_RETRIED):
        assert vocabulary.TRANSITIONS[ended] == ()


def test_outputs_by_file() -> None:
    assert parse_outputs("") == {}
    assert parse_outputs("a=b=c\r\nx<<E<<\n1\nE<<\ny= z \n") == {"a": "b=c", "x": "1", "y": " z "}
    for text in ("a<<", "a<<=b\nb"):
        with pytest.raises(OutputError):
            parse_outputs(text)


def test_a_release_and_its_documents(store: Repo) -> None:
    prepare(store, "staging")
    definition = package(
        [call("build", "make", inputs={"prev": {"ref": "./@/call/build#output/n", "default": 0, "doc": "the last"}})],
        [deploy("staging")],
    )
    before = int(store.git("rev-list", "--count", "state"))
    assert release(store, definition, "web", "--tag", "v1.0") == R
    assert int(store.git("rev-list", "--count", "state")) == before + 1
    head = store.git("rev-parse", "HEAD")
    assert store.value(R) == {"commit": head, "package": definition}
    assert set(store.value(f"{R}/commit/{head}")) == {"time"}
    assert store.ocuroot("resolve", "//web/@", "//web/@v1.0").splitlines() == [R, R]
    assert store.value(f"{R}/call/build/1") == {
        "type": "call",
        "release": R,
        "entrypoint": f"{R}/call/build/1/functions/1",
        "output": {},
    }
    function: Any = store.value(f"{R}/deploy/staging/1/functions/1")
    assert function["current"]["dependencies"] == [f"{R}/call/build/*/status/complete"]
    assert store.run("get", f"{R}/call/build").returncode == 1

    assert store.ocuroot("run", "start", "./call/build", "--package=web", "--release=1") == f"{R}/call/build/1"
    function = store.value(f"{R}/call/build/1/functions/1")
    assert function["current"]["inputs"] == {
        "prev": {"ref": "shop/-/web/@/call/build#output/n", "default": 0, "value": 0, "doc": "the last"}
    }
    store.ocuroot(
        "run", "finish", f"{R}/call/build/1", "--status=complete", "--output=n=1", '--outputs={"m": [2]}', "--tag=built"
    )
    run = {"type": "call", "release": R, "entrypoint": f"{R}/call/build/1/functions/1", "output": {"m": [2], "n": "1"}}
    for ref in (f"{R}/call/build/1", f"{R}/call/build", "//web/@/call/build", "//web/@built/call/build"):
        assert store.value(ref) == run
    assert [step["status"] for step in store.value(f"{R}/call/build/1/functions/1#history")] == [
        "pending",
        "running",
        "complete",
    ]
    assert store.ocuroot("match", f"{R}/call/build/1/status/*") == f"{R}/call/build/1/status/complete"


def test_the_examples_of_the_original(store: Repo) -> None:
    prepare(store)
    definition = package([call("build", "echo hello; echo version=7 >> $OCUROOT_OUTPUT")])
    for path in ("web", "api"):
        release(store, definition, path)
    head = store.git("rev-parse", "HEAD")
    work_any(store)
    assert store.run("get", f"{R}/commit/{head}").returncode == 0
    assert store.ocuroot("match", f"**/@*/commit/{head}").splitlines() == [
        f"shop/-/{path}/@1/commit/{head}" for path in ("api", "web")
    ]
    assert store.ocuroot("match", "//web/@*/commit/*").splitlines() == [f"{R}/commit/{head}"]
    assert set(store.value(f"{R}/call/build/1/status/complete")) == {"time", "actor"}
    (entry,) = store.value(f"{R}/call/build/1/logs")
    assert (entry["message"], entry["stream"], entry["attributes"]) == ("hello", 1, {})
    assert store.ocuroot("get", "--format=raw", "//web/@/call/build#output/version") == "7"

    refused(
        store,
        3,
        f"'{R}' is a release of this commit already",
        "release",
        "new",
        "web",
        "--package",
        "-",
        input=json.dumps(definition),
    )
    assert release(store, definition) == "shop/-/web/@2"
    assert store.ocuroot("match", f"//web/@*/commit/{head}").splitlines() == [
        f"shop/-/web/@{n}/commit/{head}" for n in (1, 2)
    ]

    store.ocuroot("set", "+/custom/freeze", "yes")
    store.ocuroot("set", "//web/+1/custom/approval", "ann")
    store.ocuroot("apply", "--all")
    assert (store.value("@/custom/freeze"), store.value(f"{R}/custom/approval")) == ("yes", "ann")


def test_release_list_and_show(store: Repo) -> None:
    prepare(store, "staging")
    definition = package([call("build")], [deploy("staging", inputs={"ok": {"ref": "./custom/ok"}})])
    release(store, definition, "web", "--tag", "v1")
    release(store, definition, "api")
    store.ocuroot("run", "exec", f"{R}/call/build")
    assert store.ocuroot("release", "list").splitlines() == ["shop/-/api/@1", R]
    (line,) = (json.loads(line) for line in store.ocuroot("release", "list", "--json", "web").splitlines())
    assert (line["ref"], line["tags"], line["newest"], line["work"]) == (R, ["v1"], True, {"complete": 1, "pending": 1})
    assert store.ocuroot("release", "show", "//web/@v1").splitlines()[3:] == [
        "phase    phase1",
        "    call build                       complete",
        "phase    phase2",
        f"    deploy staging                   pending        waits for input 'ok' ({R}/custom/ok)",
    ]
    shown = json.loads(store.ocuroot("release", "show", "--json", "//web/@"))
    assert [work["status"] for phase in shown["phases"] for work in phase["work"]] == ["complete", "pending"]
    refused(store, 1, "no such release", "release", "show", "//web/@9")


def test_the_package_may_be_a_file_of_the_commit(store: Repo) -> None:
    prepare(store)
    (store.path / "web.json").write_text(json.dumps(package([call("build")])))
    (store.path / "web.txt").write_text("package()")
    (store.path / "web.ocu.star").write_text(json.dumps(package([call("build")])))
    store.git("add", ".")
    store.git("commit", "-qm", "packages")
    (store.path / "web.json").write_text("changed since")
    assert store.ocuroot("release", "new", "web.json") == "shop/-/web.json/@1"
    hint = "hint: --package names a file that defines the package in JSON, '-' is stdin\n"
    why = "fatal: web.txt:1:1: bad JSON: a value is expected here\n"
    assert refused(store, 128, why, "release", "new", "web.txt") == why + hint
    assert store.ocuroot("release", "new", "web.ocu.star") == "shop/-/web.ocu.star/@1", "JSON, whatever its name"
    for content, why in (
        (b"\xff", "fatal: cannot read 'odd.json': it is not UTF-8\n"),
        (b"\xef\xbb\xbf{}", "fatal: odd.json:1:1: bad JSON: it begins with a byte order mark (BOM)\n"),
    ):
        (store.path / "odd.json").write_bytes(content)
        store.git("add", ".")
        store.git("commit", "-qm", "odd")
        assert refused(store, 128, why, "release", "new", "odd.json") == why + hint
    refused(store, 1, "has no file 'none'", "release", "new", "none")


def test_a_release_before_the_first_commit(store: Repo) -> None:
    words = ["release", "new", "web", "--package", "-"]
    said = refused(store, 1, "there is no commit yet", *words, input=json.dumps(package([call("build")])))
    assert said == (
        "fatal: bad revision 'HEAD': there is no commit yet\nhint: 'git commit' makes one; --commit names another\n"
    )


def test_a_package_file_of_any_name(store: Repo, tmp_path: Path) -> None:
    """--package of 'release new' is a file, and no package that relative refs are relative to."""
    prepare(store)
    path = tmp_path / "a@b #1.json"
    path.write_text(json.dumps(package([call("build")])))
    assert store.ocuroot("release", "new", "web", "--package", str(path)) == "shop/-/web/@1"


def test_retry(store: Repo) -> None:
    prepare(store)
    release(store, package([call("a", "test -e ok"), call("b", "test -e ok"), call("c")]))
    refused(store, 3, "has failed", "run", "retry", R)
    done = store.run("work", "any", "-q")
    assert (done.returncode, sorted(done.stdout.split())) == (
        1,
        ["complete", "failed", "failed", *(f"{R}/call/{n}/1" for n in "abc")],
    )
    assert store.ocuroot("run", "retry", f"{R}/call/a/1") == f"{R}/call/a/2"
    assert store.ocuroot("match", f"{R}/call/a/*/status/*").splitlines() == [
        f"{R}/call/a/1/status/failed_retried",
        f"{R}/call/a/2/status/pending",
    ]
    assert store.ocuroot("run", "retry", "//web/@") == f"{R}/call/b/2"
    (store.path / "ok").touch()
    assert work_any(store, "-q") == [f"complete\t{R}/call/{n}/2" for n in "ab"]
    refused(store, 3, f"cannot retry '{R}/call/a/1': it is failed_retried", "run", "retry", f"{R}/call/a/1")


def test_a_phase_that_selects_nothing_holds_nothing_up_and_lets_nothing_through(store: Repo) -> None:
    prepare(store)
    release(store, package([call("build")], [deploy(environments={"attributes": {"type": "none"}})], [call("after")]))
    refused(store, 3, f"it waits for '{R}/call/build'", "run", "start", f"{R}/call/after")


def needs(name: str, ref: str) -> dict[str, Any]:
    return call(name, inputs={"x": {"ref": ref}})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A store with two environments, for tests that leave it as it was."""
    repo = Repo(tmp_path_factory.mktemp("made"))
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    return prepare(repo, "staging", "production")


# Bad input: each is refused with a status and words, and changes nothing.


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({}, "it has no phases"),
        ({"phases": []}, "it has no phases"),
        ([], "it is not a JSON object"),
        (package([{"task": {}}]), "work is one of {'call': …} and {'deploy': …}"),
        (package([{"call": {}}]), "a call has no name"),
        (package([call("a/b")]), "'a/b' cannot be a name"),
        (package([call("..")]), "'..' cannot be a name"),
        (package([call("a"), call("a")]), "call 'a' is named twice"),
        (package([deploy("staging")], [deploy(environments={})]), "deploy 'staging' is named twice"),
        (package([needs("a", "./call/a#output/x")]), "depends on itself: 'call/a' waits for 'call/a'"),
        (package([needs("a", "./@/call/a#output/x")]), "depends on itself"),
        (package([needs("a", "./call/b"), needs("b", "./call/a")]), "depends on itself"),
        (package([needs("a", "./call/b")], [call("b")]), "depends on itself"),
        (package([needs("a", "call/b#output")]), "it has a fragment, but names neither"),
        (package([needs("a", "@/call/b#output")]), "the ref '@/call/b#output' is relative to nothing"),
        (package([needs("a", "web/@1/call/b")]), "is relative to nothing"),
        (package([call("a", inputs={"x": {}})]), "an input has a value or a ref"),
        (package([call("a", inputs={"a-b": {"value": 1}, "a_b": {"value": 1}})]), "OCUROOT_INPUT_A_B"),
        (package([call("a", cast("str", 7))]), "run is not a string"),
        (package([{"deploy": {"environment": "a", "environments": {}}}]), "not both"),
        (package([deploy(environments={"attributes": {"a": 1}})]), "are not strings"),
    ],
)  # fmt: skip
def test_bad_packages(made: Repo, definition: object, words: str) -> None:
    refused(made, 128, words, "release", "new", "web", "--package=-", input=json.dumps(definition))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["release", "new", "web", "--commit", "nowhere"], 1, "bad revision 'nowhere'"),
        (["release", "new", "web", "--commit", "0" * 40], 1, f"bad revision '{'0' * 40}'"),
        (["release", "new", "web", "--repo", "else", "--commit", "main"], 128, "another repository"),
        (["release", "new", "web", "--tag", "12", "--package=-"], 128, "it is all digits"),
        (["release", "new", "web", "--tag", "a/b", "--package=-"], 128, "a tag is made of letters"),
        (["release", "new", "web/@1"], 128, "'web/@1' is no path of a package"),
        (["release", "new", "/"], 128, "'/' lies outside of "),
        (["release"], 129, "'release' needs a command"),
        (["release", "make"], 129, "'release' has no command 'make'"),
        (["run", "start", "//web/@1/call/build"], 1, "no such release"),
        (["run", "start", "//web/@1"], 128, "is neither work nor a run"),
        (["run", "finish", "//web/@1/call/build", "--status=done"], 129, "is one of complete, failed, cancelled"),
        (["run", "finish", "//web/@1/call/build"], 129, "how did it end?"),
        (["apply"], 129, "name intents, or give --all"),
        (["apply", "//web/+/call/x"], 128, "no intent that state can follow"),
        (["work", "any", "--jobs", "0"], 129, "above 0"),
    ],
)  # fmt: skip
def test_bad_command_lines(made: Repo, arguments: list[str], status: int, words: str) -> None:
    refused(made, status, words, *arguments, input=json.dumps(package([call("build")])))


def test_bad_steps_of_a_run(made: Repo, tmp_path: Path) -> None:
    shop = copy_of(made, tmp_path / "shop")
    release(shop, package([call("build")], [call("after")]))
    build = f"{R}/call/build"
    refused(shop, 1, "no such run", "run", "log", f"{build}/7", input="x")
    refused(shop, 1, f"'{R}' has no call 'none'", "run", "start", f"{R}/call/none")
    refused(shop, 3, f"it waits for '{build}'", "run", "start", f"{R}/call/after")
    refused(shop, 3, "cannot finish", "run", "finish", f"{build}/1", "--status=complete")
    shop.ocuroot("run", "start", build)
    refused(shop, 3, f"cannot start '{build}/1': it is running", "run", "start", build)
    refused(shop, 3, "it is running", "run", "exec", build)
    refused(shop, 128, "it is not key=value", "run", "finish", build, "--status=complete", "--output=x")
    refused(shop, 128, "a JSON object", "run", "finish", build, "--status=complete", "--outputs=[]")
    shop.ocuroot("run", "finish", f"{build}/1", "--status=complete")
    refused(shop, 3, f"cannot finish '{build}/1': it is complete", "run", "finish", f"{build}/1", "--status=failed")
    refused(shop, 3, f"cannot start '{build}/1': it is complete", "run", "start", f"{build}/1")
    assert shop.ocuroot("run", "start", build) == f"{build}/2"


@pytest.mark.parametrize(
    ("ref", "value", "status", "words"),
    [
        ("+/environment/x", {"name": "y"}, 128, "the environment's name is \"y\", but its ref says 'x'"),
        ("+/environment/x", {"name": "x", "attributes": {"a": 1}}, 128, "the attribute 'a' is 1, not a string"),
        ("+/environment/x", "x", 128, "it is not a JSON object"),
        ("+/environment/a/b", {"name": "a/b"}, 128, "one segment"),
        ("//web/+/deploy/staging", {"release": "shop/-/web/@7"}, 1, "there is no release 'shop/-/web/@7'"),
        ("//web/+/deploy/staging", {"release": "shop/-/api/@1"}, 128, "is no release of 'shop/-/web'"),
        ("//web/+/deploy/staging", {"release": "web/@1"}, 128, "is no release of 'shop/-/web'"),
        ("//web/+/deploy/staging", {"type": "up"}, 128, "the release is null, not a ref"),
        ("//web/+/deploy/staging", {"release": R}, 1, "has no deployment for the environment 'staging'"),
        ("//web/+/deploy/none", {"release": R}, 1, "there is no environment 'none'"),
        ("//web/+/deploy/production", {"release": R, "input": {"x": {"ref": "x/@1"}}}, 128, "is relative to nothing"),
    ],
)  # fmt: skip
def test_bad_intents(released: Repo, ref: str, value: object, status: int, words: str) -> None:
    released.ocuroot("update", "--stdin", input=f"set {ref} {json.dumps(value)}\n")  # `set` refuses some of them
    refused(released, status, words, "apply", ref)
    refused(released, 1, words, "apply", "--all")
    released.ocuroot("delete", ref)


@pytest.fixture(scope="module")
def released(made: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A store with a release, not deployed."""
    repo = copy_of(made, tmp_path_factory.mktemp("released") / "repo")
    release(repo, package([deploy("production")]))
    return repo


# Stores of other dialects, and of the original program


def test_dialect_3(repo: Repo) -> None:
    v3_branches(repo)
    before = diff(repo)
    assert "A\t+/environment/bad+environment" in before
    assert not any("deploy/staging" in line and line.startswith("A") for line in before)
    frontend = "github.com/example/shop.git/-/frontend/package.ocu.star"
    # One of its runs is a text, made by hand.
    for command in (["release", "list"], ["work", "list"], ["release", "show", f"{frontend}/@"]):
        done = repo.run(*command)
        assert (done.returncode, "is left out" in done.stderr) in ((0, False), (1, True)), done.stderr
    assert repo.run("release", "list").stdout.splitlines()[-2:] == [f"{frontend}/@r1", f"{frontend}/@r2"]
    assert "deploy production                paused" in repo.run("release", "show", f"{frontend}/@r2").stdout
    options = [f"--commit={'0' * 40}", "--package=-"]
    made = repo.ocuroot("release", "new", "web", "--repo=r", *options, input=json.dumps(package([call("a")])))
    assert made == "r/-/web/@r1"
    assert repo.ocuroot("run", "start", f"{made}/call/a") == f"{made}/task/a/1"
    repo.ocuroot("run", "finish", f"{made}/task/a", "--status", "complete", "--output", "v=1")
    assert repo.value("r/-/web/@/task/a#output/v") == repo.value("r/-/web/@/call/a#output/v") == "1"
    repo.ocuroot("set", "-f=json", "+/environment/canary", '{"name": "canary", "attributes": {}}')
    repo.ocuroot("set", "+/custom/note", "x")
    assert repo.ocuroot("apply", "+/environment/canary", "+/custom/note").splitlines() == [
        "A\t+/environment/canary",
        "A\t+/custom/note",
    ]
    assert (repo.value("@/environment/canary#name"), repo.value("@/custom/note")) == ("canary", "x")
    repo.ocuroot("delete", "+/environment/canary")
    assert repo.ocuroot("apply", "+/environment/canary") == "D\t+/environment/canary"
    assert diff(repo) == before


def test_a_store_of_the_original_in_dialect_1(repo: Repo) -> None:
    v1_branch(repo)
    frontend = "github.com/example/shop.git/-/frontend/package.ocu.star"
    assert repo.run("diff").returncode == 0
    assert repo.ocuroot("release", "list").splitlines()[-2:] == [f"{frontend}/@1", f"{frontend}/@2"]
    assert "deployed" in repo.ocuroot("release", "show", f"{frontend}/@")
    made = repo.ocuroot(
        "release",
        "new",
        "frontend/package.ocu.star",
        "--repo=github.com/example/shop.git",
        f"--commit={'0' * 40}",
        "--package=-",
        input=json.dumps(package([call("build")])),
    )
    assert made == f"{frontend}/@3"
    assert repo.ocuroot("run", "start", f"{made}/call/build") == f"{made}/call/build/1"
