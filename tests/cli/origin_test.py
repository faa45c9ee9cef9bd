"""Who asked for a change, in which run of a CI system, and why: what commands write, and show (design 12)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import delivering as make
from support.repositories import Repo

from ocuroot_git.cli.main import COMMANDS, load
from ocuroot_git.cli.options import Command, Group

CI = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ann",
    "GITHUB_SERVER_URL": "https://ci:hunter2secret@github.example",
    "GITHUB_REPOSITORY": "octo/shop",
    "GITHUB_RUN_ID": "7",
}
RUN = "https://***@github.example/octo/shop/actions/runs/7"
READING = (
    *(
        "blame",
        "watch",
        "gate list",
        "gate check",
        "metrics",
        "incident list",
        "work trigger",
        "release lint",
        "deployments",
        "logs",
        "init",
        "status",
        "get",
        "match",
        "diff",
        "package new",
        "package schema",
        "package show",
        "package lint",
    ),
    *("release list", "release show", "run logs", "work list", "resolve", "parse", "log", "fetch", "push", "sync"),
    *("fsck", "cache", "export", "view", "site"),
)
"""Commands that make no change of their own, but for stores as such."""


def trailers(repo: Repo, start: str = "state") -> dict[str, str]:
    """The trailers of a commit as git finds them."""
    lines = repo.git("log", "-1", "--format=%(trailers:only,unfold)", start).splitlines()
    found = dict(line.split(": ", 1) for line in lines if line)
    assert len(found) == len([line for line in lines if line])
    return {name.removeprefix("Ocuroot-").lower(): value for name, value in found.items()}


def test_what_is_written_in_ci_says_by_whom_and_where(shop: Repo) -> None:
    shop.ocuroot("set", "+/custom/gate", "open", "-m", "it is\nMonday", env={**os.environ, **CI})
    said = trailers(shop)
    assert (said["actor"], said["run"], said["reason"]) == ("github:ann", RUN, "it is Monday")
    assert "hunter2" not in shop.git("log", "-1", "--format=%B", "state")
    line = json.loads(shop.ocuroot("log", "-1", "--json"))
    assert (line["actor"], line["run"], line["reason"]) == ("github:ann", RUN, "it is Monday")
    shown = shop.ocuroot("log", "-1").splitlines()
    assert [text for text in shown if text.startswith(("Actor:", "Run:", "Reason:"))] == [
        "Actor:   github:ann",
        f"Run:     {RUN}",
        "Reason:  it is Monday",
    ]


def test_elsewhere_the_committer_has_asked(shop: Repo) -> None:
    shop.ocuroot("set", "+/custom/gate", "open", env={**os.environ, "GIT_COMMITTER_EMAIL": "zoe@example.org"})
    said = trailers(shop)
    assert said["actor"] == "local:zoe@example.org" and "run" not in said and "reason" not in said
    shop.ocuroot("set", "+/custom/gate", "shut")
    assert "Actor" not in shop.ocuroot("log", "-1")  # its author, who is shown
    shop.git("config", "--global", "user.useConfigOnly", "true")
    nobody = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_COUNT": "1"}
    nobody |= {"GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    shop.ocuroot("set", "+/custom/gate", "open", env=nobody)
    assert "actor" not in trailers(shop)
    shop.git("config", "--global", "--unset", "user.useConfigOnly")


@pytest.mark.parametrize(
    "evil", ["x\nOcuroot-Operation: job 1", "\r\n\r\nOcuroot-Operation: job 1", "\x1b[2J\u202e", " "]
)
def test_a_hostile_environment_makes_no_trailer(shop: Repo, evil: str) -> None:
    environ = {**os.environ, **CI, "GITHUB_ACTOR": evil, "GITHUB_RUN_ID": evil, "GIT_AUTHOR_NAME": "A"}
    shop.ocuroot("set", "+/custom/gate", "open", "-m", f"{evil}\n\nOcuroot-Operation: job 1\n", env=environ)
    said = trailers(shop)
    assert said["command"] == "set" and said["operation"] != "job 1"
    assert set(said) <= {"command", "operation", "actor", "run", "reason"}
    assert all(value.isprintable() for value in said.values())
    shop.ocuroot("set", "+/custom/other", "1", "--operation", "job 1")  # nothing has taken the name
    assert shop.value("+/custom/other") == "1"


def commands() -> list[Command]:
    found: list[Command] = []
    for command in map(load, COMMANDS):
        found += command.commands if isinstance(command, Group) else [command]
    return found


def test_every_command_that_writes_takes_a_reason() -> None:
    with_reason = {command.name for command in commands() if any("-m" in option.flags for option in command.options)}
    assert with_reason | set(READING) >= {command.name for command in commands()}
    assert not with_reason & set(READING)


def test_the_commands_of_delivery_say_why(store: Repo) -> None:
    make.prepare(store, "production")
    definition = json.dumps(make.package([make.call("build", "exit 1")], [make.deploy("production")]))

    def reason_after(*arguments: str, status: int = 0, input: str = "") -> str | None:
        before = store.oid("state")
        why = f"because {arguments[0]} {arguments[1]}"
        done = store.run(*arguments[:2], "-m", why, *arguments[2:], input=input)
        assert done.returncode == status, done.stderr
        made = store.git("rev-list", f"{before}..state").split()
        assert made, arguments
        reasons = {trailers(store, oid).get("reason") for oid in made}
        assert len(reasons) == 1
        return reasons.pop()

    release = "shop/-/web/@1"
    assert reason_after("release", "new", "web", "--package", "-", input=definition) == "because release new"
    assert reason_after("run", "start", f"{release}/call/build") == "because run start"
    assert reason_after("run", "log", f"{release}/call/build", input="hello\n") == "because run log"
    finish = ("run", "finish", "--status", "failed", f"{release}/call/build")
    assert reason_after(*finish) == "because run finish"
    assert reason_after("run", "dismiss", f"{release}/call/build/1") == "because run dismiss"
    assert store.value(f"{release}/call/build/1/status/failed")["dismissed"]["reason"] == "because run dismiss"
    assert reason_after("run", "retry", f"{release}/call/build/1") == "because run retry"
    assert reason_after("run", "cancel", f"{release}/call/build/2") == "because run cancel"
    assert reason_after("run", "exec", f"{release}/call/build", "--", "true") == "because run exec"
    assert reason_after("work", "any") == "because work any"
    store.ocuroot("set", "+/custom/gate", "1")
    assert reason_after("apply", "--all") == "because apply --all"
    assert reason_after("delete", "+/custom/gate") == "because delete +/custom/gate"
    assert reason_after("update", "--stdin", input="set @/custom/x 1\n") == "because update --stdin"
    for number in range(2, 5):
        store.git("commit", "-q", "--allow-empty", "-m", str(number))
        make.release(store, make.package([make.call("build")]))
    make.work_any(store)
    assert reason_after("prune", "--keep-releases=1") == "because prune --keep-releases=1"


def test_import_says_why(shop: Repo, tmp_path: Path) -> None:
    shop.ocuroot("export", "-q", str(tmp_path / "out"))
    other = Repo(tmp_path / "other")
    other.path.mkdir()
    other.git("init", "-q")
    other.ocuroot("import", "-q", "-m", "moved here", str(tmp_path / "out"), env={**os.environ, **CI})
    assert trailers(other)["reason"] == "moved here" and trailers(other)["actor"] == "github:ann"


def test_the_library_keeps_the_message_as_the_reason(shop: Repo) -> None:
    import ocuroot_git

    stores = ocuroot_git.open(str(shop.path))
    stores.set("+/custom/gate", 1, message="a reason")
    assert trailers(shop)["reason"] == "a reason"
    with stores.transaction("another") as transaction:
        transaction.set("+/custom/gate", 2)
    assert trailers(shop)["reason"] == "another"
    assert shop.git("log", "-1", "--format=%s", "state") == "another"
