"""Whole deliveries by packages that are code, as teams that come from Ocuroot have them: approvals, versions made from
those before, packages that depend on each other, failures and what follows.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delivering import work_any
from support.repositories import Repo

ENVIRONMENTS = """
ocuroot("0.3.0")
for_all = {"staging": "test", "blue": "live", "green": "live"}
[register_environment(environment(name, {"kind": kind})) for name, kind in for_all.items()]
"""

STEPS = """
def build():
    text = read("source.txt")
    write("out/build.txt", text.upper())
    if read_dir("out") != ["build.txt"] or not is_dir("out"):
        fail("the build is not where it should be")
    return done(outputs = {"ratio": 5.5, "name": "n", "flag": True, "number": 3})

def up(environment, ratio, before = 0, tested = ""):
    host.shell("echo to $WHERE", env = {"WHERE": environment["name"]})
    return next(settle, inputs = {"environment": environment, "count": before + 1, "ratio": ratio})

def settle(environment, count, ratio):
    return done(outputs = {"where": environment["name"], "count": count, "ratio": ratio}, tags = ["n%d" % count])

def down(environment, ratio, before = 0, tested = ""):
    print("leaving", environment["name"])
    return done()
"""

APPROVALS = """
ocuroot("0.3.x")
load("./steps.ocu.star", "build", "up", "down")

def to(kind, inputs):
    return [
        deploy(e, up, down, inputs = dict(inputs, ratio = ref("./task/build#output/ratio"), before = input(
            ref = ref("./@/deploy/{}#output/count".format(e.name)), default = 0)))
        for e in environments() if e.attributes["kind"] == kind
    ]

phase("build", [task(build, "build")])
phase("test", to("test", {}))

def ask(first):
    return next(_ask_again, inputs = {"second": input(ref = "./custom/second")})

def _ask_again(second):
    print("approved by", second)
    return done(outputs = {"by": second})

phase("approval", [task(ask, "ask", inputs = {"first": ref("./custom/first")})])
phase("live", to("live", {"tested": ref("./@/deploy/staging#output/where")}))
"""

VERSIONS = """
ocuroot("0.3.0")

def parse(text):
    head, _, candidate = text.partition("-")
    numbers = [int(part) for part in head.split(".")]
    return struct(major = numbers[0], minor = numbers[1], patch = numbers[2], candidate = int(candidate or "0"))

def number(last, released):
    if not last:
        found = "1.0.0-1"
    elif released == last.split("-")[0]:
        v = parse(released)
        found = "%d.%d.%d-1" % (v.major, v.minor, v.patch + 1)
    else:
        v = parse(last)
        found = "%d.%d.%d-%d" % (v.major, v.minor, v.patch, v.candidate + 1)
    return done(outputs = {"candidate": found}, tags = [found])

def publish(candidate, approval):
    version = candidate.split("-")[0]
    return done(outputs = {"version": version}, tags = [version])

task(number, "number", inputs = {
    "last": input(ref = "./@/task/number#output/candidate", default = ""),
    "released": input(ref = "./@/task/publish#output/version", default = ""),
})
task(publish, "publish", inputs = {
    "candidate": input(ref = "./task/number#output/candidate"),
    "approval": input(ref = ref("./custom/approval")),
})
"""

BACKEND = """
ocuroot("0.3.0")

def up(environment, password):
    return done(outputs = {"host": environment["name"] + ".example.com", "password": password})

def down(environment, password):
    return done()

phase("all", [
    deploy(e, up, down, inputs = {"password": input("./@/custom/password/" + e.name, default = "first")})
    for e in environments()
])
"""

FRONTEND = """
ocuroot("0.3.0")

def up(environment, host_of_backend):
    if environment["name"] == "green" and not host.shell("test -e allowed", continue_on_error = True).exit_code == 0:
        fail("green is not ready")
    return done(outputs = {"uses": host_of_backend})

def down(environment, host_of_backend):
    return done()

phase("all", tasks = [
    deploy(e, up, down, inputs = {
        "host_of_backend": ref("./-/backend/package.ocu.star/@/deploy/{}#output/host".format(e.name)),
    })
    for e in environments()
])

def announce():
    return done()

phase("after", tasks = [task(fn = announce, name = "announce")])
"""


@pytest.fixture
def team(repo: Repo) -> Repo:
    files = {
        "environments.ocu.star": ENVIRONMENTS,
        "web/steps.ocu.star": STEPS,
        "web/source.txt": "text",
        "web/package.ocu.star": APPROVALS,
        "versions.ocu.star": VERSIONS,
        "backend/package.ocu.star": BACKEND,
        "frontend/package.ocu.star": FRONTEND,
        ".gitignore": "out\nallowed\n",
    }
    for path, text in files.items():
        (repo.path / path).parent.mkdir(exist_ok=True)
        (repo.path / path).write_text(text)
    repo.git("config", "ocuroot.repoAlias", "team")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "packages")
    repo.ocuroot("init", "-q")
    assert repo.ocuroot("release", "new", "environments.ocu.star").count("\n") == 2
    return repo


def deployed(repo: Repo, package: str) -> list[str]:
    return sorted(ref.rpartition("/")[2] for ref in repo.ocuroot("match", f"team/-/{package}/@/deploy/*").split())


def test_approvals(team: Repo) -> None:
    web = "team/-/web/package.ocu.star"
    team.ocuroot("release", "new", "web/package.ocu.star")
    work_any(team)
    assert deployed(team, "web/package.ocu.star") == ["staging"]
    assert (team.path / "web" / "out" / "build.txt").read_text() == "TEXT"
    team.ocuroot("set", "-f=json", f"{web}/+n1/custom/first", "1")
    work_any(team)
    assert deployed(team, "web/package.ocu.star") == ["staging"], "the second is still to come"
    team.ocuroot("set", f"{web}/+1/custom/second", "ann")
    work_any(team)
    assert deployed(team, "web/package.ocu.star") == ["blue", "green", "staging"]
    assert team.value(f"{web}/@1/call/ask#output") == {"by": "ann"}
    team.ocuroot("release", "new", "--force", "web/package.ocu.star")
    work_any(team)
    assert team.value(f"{web}/@/deploy/staging#output") == {"where": "staging", "count": 2, "ratio": 5.5}
    assert team.ocuroot("resolve", f"{web}/@n2") == f"{web}/@2"
    team.ocuroot("delete", f"{web}/+/deploy/blue")
    work_any(team)
    [entry] = team.value(f"{web}/@1/deploy/blue/2/logs")
    assert entry["message"] == "leaving blue"


def test_versions_follow_from_those_before(team: Repo) -> None:
    package = "team/-/versions.ocu.star"
    found = []
    for number, approved in enumerate((False, True, False, False), 1):
        team.ocuroot("release", "new", "--force", "versions.ocu.star")
        if approved:
            team.ocuroot("set", "-f=json", f"{package}/+{number}/custom/approval", "true")
        work_any(team)
        found.append(team.value(f"{package}/@{number}/call/number#output/candidate"))
    assert found == ["1.0.0-1", "1.0.0-2", "1.0.1-1", "1.0.1-2"]
    assert team.ocuroot("resolve", f"{package}/@1.0.0", f"{package}/@1.0.1-2").split() == [
        f"{package}/@2",
        f"{package}/@4",
    ]


def test_packages_that_depend_on_each_other_and_a_failure(team: Repo, tmp_path: Path) -> None:
    team.ocuroot("release", "new", "frontend/package.ocu.star")
    work_any(team)
    assert deployed(team, "frontend/package.ocu.star") == [], "there is no backend yet"
    team.ocuroot("release", "new", "backend/package.ocu.star")
    done = team.run("work", "any")
    assert done.returncode == 1 and "fail: green is not ready" in done.stderr
    assert deployed(team, "frontend/package.ocu.star") == ["blue", "staging"]
    front = "team/-/frontend/package.ocu.star"
    assert team.value(f"{front}/@/deploy/blue#output/uses") == "blue.example.com"
    shown = json.loads(team.ocuroot("release", "show", "--json", f"{front}/@1"))
    assert shown["phases"][1]["work"][0]["status"] == "pending", "what comes after waits for all"
    (team.path / "allowed").write_text("")
    team.ocuroot("run", "retry", f"{front}/@1")
    work_any(team)
    assert deployed(team, "frontend/package.ocu.star") == ["blue", "green", "staging"]
    assert team.value(f"{front}/@1/call/announce/1/status/complete")
    assert team.ocuroot("diff") == "" and team.run("fsck").returncode == 0
