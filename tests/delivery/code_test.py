"""Packages that are code, released and carried out as packages in JSON are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.delivering import copy_of, prepare, want_environment, work_any
from support.repositories import Repo, begin
from support.waiting import wait_for_file, wait_until, wait_until_gone

from ocuroot_git.cli.main import main

TASKS = """
def build():
    write("out/log.txt", "built")
    host.shell("echo from a command")
    return done(outputs = {"version": [1, 2.5], "here": pwd()}, tags = ["v1"])

def up(environment, version, count = 0):
    print("up", environment["name"], version)
    return next(second, inputs = {"count": count + 1, "environment": environment})

def second(count, environment):
    print("second")
    return done(outputs = {"count": count, "type": environment["attributes"]["type"]})

def down(environment, version, count = 0):
    print("down", environment["name"], version)
    return done()
"""

PACKAGE = """
ocuroot("0.3.0")
load("../lib/tasks.ocu.star", "build", "up", "down")

task(build, name = "build")

phase("all", tasks = [
    deploy(environment = e, up = up, down = down, inputs = {
        "version": ref("./task/build#output/version"),
        "count": input(ref = "./@/deploy/{}#output/count".format(e.name), default = 0),
    })
    for e in environments()
])
"""

WEB = "//web/release.ocu.star"


def write(repo: Repo, path: str, text: str) -> None:
    (repo.path / path).parent.mkdir(parents=True, exist_ok=True)
    (repo.path / path).write_text(text)
    repo.git("add", "-A")
    repo.git("commit", "-qm", path)


@pytest.fixture(scope="session")
def made_of_code(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = Repo(tmp_path_factory.mktemp("code"))
    repo.git("init", "-q")
    (repo.path / ".gitignore").write_text("out\n")
    write(repo, "lib/tasks.ocu.star", TASKS)
    write(repo, "web/release.ocu.star", PACKAGE)
    repo.ocuroot("init", "-q")
    prepare(repo, "staging")
    return repo


@pytest.fixture
def shop(made_of_code: Repo, tmp_path: Path) -> Repo:
    return copy_of(made_of_code, tmp_path / "shop")


def one(repo: Repo, text: str, *options: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit status of the one task `t` of a package, and what was said on stderr."""
    write(repo, "one.ocu.star", text)
    repo.ocuroot("release", "new", "one.ocu.star")
    done = repo.run("run", "exec", *options, "//one.ocu.star/@/call/t", env={**os.environ, **(env or {})})
    return done.returncode, done.stderr


def messages(repo: Repo, ref: str) -> list[str]:
    return [entry["message"] for entry in repo.value(ref)]


def test_a_release_from_code_to_the_end(shop: Repo) -> None:
    assert shop.ocuroot("release", "new", "web/release.ocu.star").endswith("web/release.ocu.star/@1")
    release = shop.value(f"{WEB}/@1")
    assert release["commit"] == shop.oid("HEAD")
    fn = {"name": "build", "pos": "../lib/tasks.ocu.star:2:1"}
    assert release["package"]["phases"][0] == {
        "name": "",
        "work": [{"call": {"name": "build", "fn": fn, "inputs": {}}}],
    }
    assert release["package"]["functions"]["build/../lib/tasks.ocu.star:2:1"] == {"function": fn}
    base = shop.ocuroot("resolve", f"{WEB}/@").strip()
    inputs = release["package"]["phases"][1]["work"][0]["deploy"]["inputs"]
    assert inputs["version"] == {"ref": f"{base}/call/build#output/version"}
    assert inputs["environment"] == {"ref": "@/environment/staging"}
    work_any(shop)
    assert (shop.path / "web" / "out" / "log.txt").read_text() == "built"
    assert shop.value(f"{WEB}/@v1/call/build#output") == {"version": [1, 2.5], "here": str(shop.path / "web")}
    assert messages(shop, f"{WEB}/@1/call/build/1/logs") == ["from a command"]
    assert shop.value(f"{WEB}/@/deploy/staging#output") == {"count": 1, "type": "staging"}
    entry = shop.value(f"{WEB}/@1/deploy/staging/1/logs")[1]
    expected = {"thread": "second", "filename": "../lib/tasks.ocu.star", "line": "12", "col": "10"}
    assert (entry["message"], entry["attributes"]) == ("second", expected)
    step = shop.value(f"{WEB}/@1/deploy/staging/1/functions/2")["current"]
    assert (step["id"], step["status"], step["inputs"]["count"]) == ("2", "complete", {"value": 1})
    assert shop.ocuroot("diff") == ""
    assert shop.run("fsck").returncode == 0


def test_what_new_environments_bring(shop: Repo) -> None:
    shop.ocuroot("release", "new", "web/release.ocu.star")
    work_any(shop)
    want_environment(shop, "production")
    work_any(shop)
    assert shop.value(f"{WEB}/@/deploy/production#output/count") == 1
    phases = shop.value(f"{WEB}/@1")["package"]["phases"]
    assert [work["deploy"]["environment"] for work in phases[1]["work"]] == ["production", "staging"]
    shop.ocuroot("delete", "+/environment/production")
    work_any(shop)
    assert messages(shop, f"{WEB}/@1/deploy/production/2/logs") == ["down production [1, 2.5]"]
    assert shop.run("get", "@/environment/production").returncode == 1


def test_a_file_that_registers_environments(shop: Repo) -> None:
    write(
        shop,
        "e.ocu.star",
        'register_environment(environment("a", {"type": "x"}))\nregister_environment(environment("b"))',
    )
    assert shop.ocuroot("release", "new", "e.ocu.star") == "@/environment/a\n@/environment/b"
    assert shop.value("@/environment/a") == shop.value("+/environment/a") == {"name": "a", "attributes": {"type": "x"}}
    write(shop, "n.ocu.star", "x = 1")
    done = shop.run("release", "new", "n.ocu.star")
    assert done.returncode == 0 and "defines neither a package nor environments" in done.stderr
    write(shop, "b.ocu.star", "x = 1\ny = nowhere")
    done = shop.run("release", "new", "b.ocu.star")
    assert (done.returncode, done.stderr) == (128, "fatal: b.ocu.star:2:5: variable `nowhere` not found\n")


def test_next_waits_for_what_is_not_there(shop: Repo) -> None:
    write(
        shop,
        "one.ocu.star",
        "def t():\n    print('first')\n"
        "    return next(u, inputs = {'a': ref('./custom/a'), 'b': input(ref = '@/custom/b', default = 2)})\n"
        "def u(a, b):\n    print('second', a, b)\n    return done(outputs = {'a': a})\ntask(t, 't')\n",
    )
    shop.ocuroot("release", "new", "one.ocu.star")
    done = shop.run("run", "exec", "//one.ocu.star/@/call/t")
    assert done.returncode == 0 and "paused (it waits for inputs)" in done.stderr
    assert messages(shop, "//one.ocu.star/@1/call/t/1/logs") == ["first"]
    assert "waiting" in shop.ocuroot("work", "list") and "custom/a" in shop.ocuroot("work", "list")
    work_any(shop)
    assert shop.value("//one.ocu.star/@1/call/t/1/functions/2")["current"]["status"] == "pending"
    shop.ocuroot("set", "-f=json", "//one.ocu.star/+1/custom/a", "5")
    work_any(shop)
    assert shop.value("//one.ocu.star/@/call/t#output") == {"a": 5}
    assert messages(shop, "//one.ocu.star/@1/call/t/1/logs") == ["first", "second 5 2"]
    assert shop.run("fsck").returncode == 0


def test_functions_that_ask_for_each_other_without_end(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocuroot_git.delivery import steps

    monkeypatch.setattr(steps, "MOST_FUNCTIONS", 3)
    write(shop, "one.ocu.star", "def t():\n    return next(t)\ntask(t, 't')\n")
    shop.ocuroot("release", "new", "one.ocu.star")
    monkeypatch.chdir(shop.path)
    assert main(["-q", "run", "exec", "//one.ocu.star/@/call/t"], os.environ) == 1
    assert "went on with 3 functions" in messages(shop, "//one.ocu.star/@1/call/t/1/logs")[-1]
    assert shop.ocuroot("match", "**/call/t/1/status/*").endswith("/status/failed")


def test_why_a_function_cannot_be_called_at_all(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocuroot_git.packages import calling

    monkeypatch.setattr(calling, "_START", "import none_of_this_name")
    write(shop, "one.ocu.star", 'def t():\n    pass\ntask(t, "t")\n')
    shop.ocuroot("release", "new", "one.ocu.star")
    monkeypatch.chdir(shop.path)
    assert main(["-q", "run", "exec", "//one.ocu.star/@/call/t"], os.environ) == 1
    why = "ended with status 1: ModuleNotFoundError: No module named 'none_of_this_name'"
    assert why in messages(shop, "//one.ocu.star/@1/call/t/1/logs")[-1]


def test_links_in_a_commit_are_followed_within_it(shop: Repo) -> None:
    write(shop, "lib/steps.star", 'def t():\n    return done(outputs = {"text": read("up/data.txt")})\n')
    write(shop, "data.txt", "seen")
    (shop.path / "app").mkdir()
    for link, target in {
        "app/steps.star": "../lib/./steps.star",
        "app/up": "../app/../up",
        "up": ".",
        "out.star": "../../etc/passwd",
        "root.star": "/etc/passwd",
        "app/loop.star": "loop.star",
        "app/none.star": "nothing",
        "app/git.star": "../.git/config",
        "app/submodule": "../module",
    }.items():
        (shop.path / link).symlink_to(target)
    shop.git("init", "-q", "module")
    shop.git("-C", "module", "commit", "-qm", "x", "--allow-empty")
    write(
        shop,
        "app/one.ocu.star",
        'load("up/app/./steps.star", "t")\nprint(read_dir("up/lib"), is_dir("up"))\ntask(t, "t")\n',
    )
    (shop.path / "link.ocu.star").symlink_to("app/one.ocu.star")
    write(shop, "x", "")
    assert shop.ocuroot("release", "new", "app/one.ocu.star") == "shop/-/app/one.ocu.star/@1"
    shop.ocuroot("run", "exec", "//app/one.ocu.star/@1/call/t")
    assert shop.ocuroot("get", "//app/one.ocu.star/@1/call/t/1#output/text") == '"seen"'
    for name, why in {
        "../out.star": "'out.star' leads out of the repository",
        "../root.star": "'root.star' leads out of the repository",
        "loop.star": "it is a symbolic link that leads nowhere",
        "none.star": "there is no file 'app/none.star'",
        "git.star": "there is no file 'app/git.star'",
        "submodule/x": "cannot read 'app/submodule/x': it is a submodule",
        "steps.star/x": "there is no file 'app/steps.star/x'",
    }.items():
        write(shop, "app/two.ocu.star", f'load("{name}", "t")\n')
        done = shop.run("release", "new", "app/two.ocu.star")
        assert done.returncode == 128 and why in done.stderr, done.stderr


def test_the_function_of_an_older_commit_runs_with_its_files(shop: Repo) -> None:
    """In a work tree made for the purpose, which is gone at the end."""
    text = (
        'def t():\n    print(read("data.txt"))\n    host.shell("cat data.txt; pwd")\n    return done()\ntask(t, "t")\n'
    )
    write(shop, "data.txt", "old\n")
    write(shop, "one.ocu.star", text)
    shop.ocuroot("release", "new", "one.ocu.star")
    write(shop, "data.txt", "new\n")
    write(shop, "one.ocu.star", "broken(")
    shop.git("config", "core.hooksPath", "hooks")
    write(shop, "hooks/post-checkout", "#!/bin/sh\ntouch " + str(shop.path / "hooked") + "\n")
    (shop.path / "hooks" / "post-checkout").chmod(0o755)
    work_any(shop)
    said = messages(shop, "//one.ocu.star/@1/call/t/1/logs")
    assert said[:2] == ["old\n", "old"] and f"{shop.path}/.git/ocuroot/checkouts/" in said[2]
    assert not list((shop.path / ".git" / "ocuroot" / "checkouts").iterdir())
    assert len(shop.git("worktree", "list").splitlines()) == 1
    assert not (shop.path / "hooked").exists()


def test_a_changed_file_is_released_as_it_is_in_the_commit(shop: Repo) -> None:
    (shop.path / "web" / "release.ocu.star").write_text("broken(")
    done = shop.run("release", "new", "web/release.ocu.star")
    assert done.returncode == 0
    assert "'web/release.ocu.star' was changed here; it is released as it is in commit" in done.stderr


FAILURES = {
    "fail": ('fail("no luck")', "one.ocu.star:2:5: fail: no luck"),
    "command": ('host.shell("exit 7")', "one.ocu.star:2:5: host.shell: 'exit 7': exit status 7"),
    "tag": ('return done(tags = ["a/b"])', "bad tag 'a/b'"),
    "tag like a number": ('return done(tags = ["r12"])', "bad tag 'r12'"),
    "next": ('return next(t, inputs = {"0bad": 1})', "bad input name '0bad'"),
    "bad ref": ('return next(u, inputs = {"a": ref("./x/y")})', "one.ocu.star:2:35: bad ref './x/y'"),
    "crash": ('host.shell("kill -KILL $PPID")', "it was killed by SIGKILL"),
}


@pytest.mark.parametrize(("body", "words"), FAILURES.values(), ids=FAILURES)
def test_what_fails(shop: Repo, body: str, words: str) -> None:
    status, said = one(shop, f"def t():\n    {body}\ndef u(a):\n    pass\ntask(t, 't')\n")
    assert status != 0 and words in said and "Traceback" not in said
    assert words in messages(shop, "//one.ocu.star/@1/call/t/1/logs")[-1]
    assert shop.ocuroot("match", "**/call/t/1/status/*").endswith("/status/failed")


def test_a_failure_is_tried_again(shop: Repo) -> None:
    text = 'def t():\n    host.shell("test -e out/now")\n    return done(outputs = {"ok": True})\ntask(t, "t")\n'
    assert one(shop, text)[0] == 1
    (shop.path / "out").mkdir()
    (shop.path / "out" / "now").write_text("")
    shop.ocuroot("run", "retry", "//one.ocu.star/@1/call/t/1")
    work_any(shop)
    assert shop.value("//one.ocu.star/@/call/t#output") == {"ok": True}


def test_secrets_are_kept_nowhere(shop: Repo) -> None:
    text = """
def t():
    token = secret(host.env()["TOKEN"])
    print("with", token)
    host.shell("printf s3cr; sleep 0.2; echo 3t-token; echo $TOKEN > out/file")
    write("out/made", token)
    return next(u)
def u():
    token = secret(host.env()["TOKEN"])
    host.shell("false " + token)
task(t, "t")
"""
    (shop.path / "out").mkdir()
    status, said = one(shop, text, env={"TOKEN": "s3cr3t-token"})
    assert status == 1 and "s3cr3t" not in said and "<secret>" in said
    assert (shop.path / "out" / "made").read_text() == "s3cr3t-token"
    stored = shop.git("log", "-p", "--all", "--", "refs")
    assert "s3cr3t" not in stored and "with <secret>" in stored
    live = shop.path / ".git" / "ocuroot"
    assert not [path for path in live.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


def test_an_execution_that_takes_too_long(shop: Repo) -> None:
    status, said = one(shop, 'def t():\n    host.shell("sleep 60; touch late")\ntask(t, "t")\n', "--timeout", "1")
    assert status == 124 and "it took longer than 1 s" in said
    status, said = one(
        shop,
        "def t():\n    for i in range(1000000000):\n        [j for j in range(1000000)]\ntask(t, 't')\n",
        "--timeout",
        "1",
    )
    assert status == 124 and "it took longer than 1 s" in said


def test_cancelling_reaches_the_commands(shop: Repo) -> None:
    write(shop, "one.ocu.star", 'def t():\n    host.shell("touch begun; sleep 60; touch late")\ntask(t, "t")\n')
    shop.ocuroot("release", "new", "one.ocu.star")
    process = begin(shop, "run", "exec", "//one.ocu.star/@/call/t")
    wait_for_file(shop.path / "begun")
    shop.ocuroot("run", "cancel", "-q", "//one.ocu.star/@1/call/t/1")
    process.communicate(timeout=60)
    assert shop.ocuroot("match", "**/call/t/1/status/*").endswith("/status/cancelled")
    assert not (shop.path / "late").exists()


def test_a_killed_executor_leaves_nothing_running_and_the_step_is_taken_up(shop: Repo) -> None:
    text = (
        "def t():\n    print('first')\n    return next(u, inputs = {'a': 3})\n"
        'def u(a):\n    host.shell("echo $$ >> out/pids; test -e out/go || sleep 60")\n'
        '    return done(outputs = {"a": a})\n'
        'task(t, "t")\n'
    )
    (shop.path / "out").mkdir()
    write(shop, "one.ocu.star", text)
    shop.ocuroot("release", "new", "one.ocu.star")
    process = begin(shop, "run", "exec", "//one.ocu.star/@/call/t")
    pids = shop.path / "out" / "pids"
    wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    process.kill()
    process.communicate()
    wait_until_gone(int(pids.read_text()))
    (shop.path / "out" / "go").write_text("")
    work_any(shop)
    assert shop.value("//one.ocu.star/@/call/t#output") == {"a": 3}
    assert messages(shop, "//one.ocu.star/@1/call/t/1/logs").count("first") == 1


def test_code_of_another_repository_is_left_for_others(shop: Repo) -> None:
    shop.ocuroot("release", "new", "web/release.ocu.star")
    shop.git("config", "ocuroot.repoAlias", "elsewhere")
    done = shop.run("work", "any")
    assert "left for others: 'shop/-/web/release.ocu.star/@1/call/build/1' cannot be executed here: " in done.stderr


def test_paths_begin_where_the_nearest_repo_file_is(shop: Repo) -> None:
    """Also those of what is read, and the directory of commands, in the work tree and in one made for a run."""
    write(shop, "team/repo.ocu.star", "x = 1\n")
    write(shop, "team/api/data.txt", "x")
    text = 'def t():\n    print(pwd(), read("data.txt"))\n    host.shell("pwd")\n    return done()\ntask(t, "t")\n'
    write(shop, "team/api/one.ocu.star", text)
    team = Repo(shop.path / "team")
    assert team.ocuroot("release", "new", "./-/api/one.ocu.star") == "shop/-/api/one.ocu.star/@1"
    refused = Repo(team.path / "api").run("release", "new", "one.ocu.star")
    assert "'shop/-/api/one.ocu.star/@1' is a release of this commit already" in refused.stderr
    shown = team.ocuroot("package", "show", "//api/one.ocu.star")
    assert shown == team.ocuroot("package", "show", "api/one.ocu.star") and "call t" in shown
    team.run("work", "any")
    said = messages(team, "shop/-/api/one.ocu.star/@1/call/t/1/logs")
    assert said == [f"{team.path}/api x", str(team.path)]
    team.ocuroot("release", "new", "--force", "api/one.ocu.star")
    write(shop, "later", "")
    team.run("work", "any")
    said = messages(team, "shop/-/api/one.ocu.star/@2/call/t/1/logs")
    assert said[0].endswith(".tmp/team/api x") and said[1].endswith(".tmp/team")


def test_a_commit_that_is_not_here(shop: Repo, tmp_path: Path) -> None:
    """As in a shallow clone of a later commit."""
    text = 'def t():\n    return done()\ntask(t, "t")\n'
    write(shop, "one.ocu.star", text)
    release: dict[str, Any] = {"call": {"name": "t", "fn": {"name": "t", "pos": "one.ocu.star:1:1"}, "inputs": {}}}
    definition = {"functions": {"x": {}}, "phases": [{"name": "", "work": [release]}]}
    steps = ["release", "new", "one.ocu.star", "--repo", "shop", "--commit", "1" * 40, "--package", "-"]
    shop.run(*steps, input=str(definition).replace("'", '"'))
    done = shop.run("work", "any")
    assert "Traceback" not in done.stderr


def test_a_shell_command_takes_the_place_of_the_function(shop: Repo) -> None:
    shop.ocuroot("release", "new", "web/release.ocu.star")
    done = shop.run("run", "exec", f"{WEB}/@/call/build", "--", "sh", "-c", "echo version=9 > $OCUROOT_OUTPUT")
    assert done.returncode == 0
    assert shop.value(f"{WEB}/@/call/build#output") == {"version": "9"}


def test_work_of_several_at_once(shop: Repo) -> None:
    text = (
        'def t(i):\n    host.shell("mkdir -p out; echo x >> out/%d" % i)\n    return done()\n'
        'phase("p", [task(t, "t%d" % i, inputs = {"i": i}) for i in range(6)])\n'
    )
    write(shop, "one.ocu.star", text)
    shop.ocuroot("release", "new", "one.ocu.star")
    write(shop, "later", "")
    workers = [begin(shop, "work", "any", "--jobs", "3") for _ in range(2)]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said
    assert shop.ocuroot("match", "**/call/*/1/status/complete").count("\n") == 5
    assert subprocess.run(["git", "worktree", "list"], cwd=shop.path, capture_output=True).stdout.count(b"\n") == 1
