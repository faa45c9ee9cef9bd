"""`git ocuroot package`: what packages define, shown and checked."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.delivering import call, deploy, package, prepare
from support.repositories import Repo

pytestmark = pytest.mark.new_interpreter

CODE = """
ocuroot("0.3.0")
load("lib/tasks.ocu.star", "build")
print("looking at", len(environments()))
task(build, name = "build")

def up(environment, version, region):
    return done()

def down(environment, version, region):
    return done()

phase("roll out", tasks = [
    deploy(environment = e, up = up, down = down, inputs = {
        "version": ref("./task/build#output/version"),
        "region": input(ref = "@/custom/region", default = "eu"),
    })
    for e in environments()
])
"""


@pytest.fixture
def shop(repo: Repo) -> Repo:
    repo.ocuroot("init", "-q")
    prepare(repo, "staging")
    (repo.path / "services" / "lib").mkdir(parents=True)
    (repo.path / "services" / "web.ocu.star").write_text(CODE)
    (repo.path / "services" / "lib" / "tasks.ocu.star").write_text("def build():\n    return done()\n")
    return repo


def test_show(shop: Repo) -> None:
    done = shop.run("package", "show", "services/web.ocu.star")
    assert (done.returncode, done.stderr) == (0, "web.ocu.star:4: looking at 1\n")
    assert done.stdout == (
        "package      services/web.ocu.star\n"
        "phase 1\n"
        "    call build                       build (lib/tasks.ocu.star:1:1)\n"
        "phase 2      roll out\n"
        "    deploy staging                   up up (web.ocu.star:7:1), down down (web.ocu.star:10:1)\n"
        "        version                  ./call/build#output/version\n"
        '        region                   @/custom/region, or "eu"\n'
        "        environment              @/environment/staging\n"
    )


def test_show_as_json(shop: Repo) -> None:
    there = Repo(shop.path / "services")
    shown = json.loads(there.run("package", "show", "--json", "web.ocu.star").stdout)
    assert shown["package"] == "services/web.ocu.star"
    assert shown["phases"][0]["work"][0]["call"]["fn"] == {"name": "build", "pos": "lib/tasks.ocu.star:1:1"}
    assert shown["environments"] == [] and len(shown["functions"]) == 3
    assert shown == json.loads(there.run("package", "show", "--json", "//services/web.ocu.star").stdout)


def test_show_a_commit(shop: Repo) -> None:
    shop.git("add", "-A")
    shop.git("commit", "-qm", "x")
    (shop.path / "services" / "lib" / "tasks.ocu.star").write_text("broken(")
    assert shop.run("package", "show", "services/web.ocu.star").returncode == 128
    assert "call build" in shop.run("package", "show", "--commit", "HEAD", "services/web.ocu.star").stdout
    assert shop.run("package", "lint", "--commit", "HEAD", "services/web.ocu.star").returncode == 0


def test_show_json_packages_alike(shop: Repo) -> None:
    definition = package(
        [call("build", "make\nmore")],
        [deploy(environments={"attributes": {}}, inputs={"a": {"value": 1}, "b": {"ref": "@/custom/b"}})],
    )
    (shop.path / "web.json").write_text(json.dumps(definition))
    lines = shop.ocuroot("package", "show", "web.json").split("\n")
    assert lines[:3] == ["package      web.json", "phase 1      phase1", "    call build                       $ make"]
    assert lines[4] == "    deploy [all] staging             up $ true, down $ true"
    assert lines[5:] == ["        a                        = 1", "        b                        @/custom/b"]
    shown = json.loads(shop.ocuroot("package", "show", "--json", "web.json"))
    assert shown["phases"] == definition["phases"] and shown["environments"] == []


def test_show_environments_without_a_store(repo: Repo) -> None:
    (repo.path / "e.ocu.star").write_text('register_environment(environment("prod", {"type": "prod", "eu": "1"}))\n')
    done = repo.run("package", "show", "e.ocu.star")
    assert done.returncode == 0
    assert done.stdout.split("\n")[1] == "environment  prod                 type=prod eu=1"
    assert done.stderr.startswith("no environments are known: ")


def test_lint(shop: Repo) -> None:
    assert shop.ocuroot("package", "lint", "services/web.ocu.star") == ""
    bad = shop.path / "bad.ocu.star"
    bad.write_text('def f(a):\n    pass\ntask(f, "t", inputs = {"b": 1})\ntask(f, "t", inputs = {"a": 1})\n')
    done = shop.run("package", "lint", "services/web.ocu.star", "bad.ocu.star")
    assert (done.returncode, done.stderr) == (1, "")
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [
        "bad.ocu.star:3:1",
        "bad.ocu.star:3:1",
        "bad.ocu.star:4:1",
    ]
    done = shop.run("package", "show", "bad.ocu.star")
    assert done.returncode == 128
    assert done.stderr == (
        "fatal: bad.ocu.star:3:1: Input 'b' is not in function parameters for 'f' at bad.ocu.star:1:1 (and 2 more)\n"
        "hint: all of them: git ocuroot package lint <file>\n"
    )


def test_lint_json(shop: Repo) -> None:
    definition = package([call("a/b"), {"call": {"name": ""}}, call("c", inputs={"x": {}})], [{"other": 1}])
    (shop.path / "bad.json").write_text(json.dumps(definition))
    done = shop.run("package", "lint", "bad.json")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 4
    assert all(re.match(r"bad\.json:1:\d+: phase ", line) for line in done.stdout.splitlines())
    (shop.path / "bad.json").write_text(json.dumps(package([call("a"), call("a")])))
    assert "named twice" in shop.run("package", "lint", "bad.json").stdout
    (shop.path / "bad.json").write_text('{"phases":\n [}')
    assert shop.run("package", "lint", "bad.json").stdout == "bad.json:2:3: bad JSON: a value is expected here\n"
    done = shop.run("package", "show", "bad.json")
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: bad.json:2:3: bad JSON: a value is expected here\nhint: a package is JSON: {")
    (shop.path / "bad.json").write_bytes(b"\xef\xbb\xbf{}")
    assert shop.run("package", "lint", "bad.json").stdout.startswith("bad.json:1:1: bad JSON: it begins with a byte ")
    (shop.path / "bad.json").write_text('{"phases": []}')
    assert shop.run("package", "lint", "bad.json").stdout == "bad.json: it has no phases\n"


def test_files_that_are_none(shop: Repo, tmp_path: Path) -> None:
    (tmp_path / "outside.star").write_text("")
    assert "lies outside of" in shop.run("package", "show", "../outside.star").stderr
    assert "there is no file 'none.star'" in shop.run("package", "show", "none.star").stderr
    assert shop.run("package", "show", "none.json").returncode == 1


def test_commands_run_where_the_user_said_so(shop: Repo) -> None:
    file = shop.path / "s.ocu.star"
    file.write_text('r = shell("pwd; touch made")\n')
    done = shop.run("package", "show", "s.ocu.star")
    assert done.returncode == 128 and "host.shell is closed" in done.stderr and "ocuroot.allowShell" in done.stderr
    shop.git("config", "ocuroot.allowShell", "true")
    done = shop.run("package", "show", "s.ocu.star")
    assert done.returncode == 128 and not (shop.path / "made").exists(), "the repository's own word is not the user's"
    environ = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "ocuroot.allowShell", "GIT_CONFIG_VALUE_0": "true"}
    done = shop.run("package", "show", "s.ocu.star", env={**os.environ, **environ})
    assert (done.returncode, done.stderr) == (0, f"s.ocu.star:1: {shop.path}\n")
    assert (shop.path / "made").exists()
