"""`release changed`, Ocuroot's `push`: the packages that changed are released, and those that watch what did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delivering import call, package
from support.repositories import Repo

WATCHING = """ocuroot("0.3.0")
def build({parameters}):
    return done(outputs = {{"text": read("{path}")}}, watch = ["{watch}"])
task(build, name = "build")
"""


def write(repo: Repo, files: dict[str, str], message: str = "more") -> str:
    """Commit files; gives the commit."""
    for path, text in files.items():
        (repo.path / path).parent.mkdir(parents=True, exist_ok=True)
        (repo.path / path).write_text(text)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", message)
    return repo.oid("HEAD")


@pytest.fixture(params=[1, 3])
def code(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.ocuroot("init", "-q", f"--dialect={request.param}")
    return repo


def releases(repo: Repo) -> list[str]:
    return [line.partition("/-/")[2] for line in repo.ocuroot("release", "list").splitlines()]


def test_what_changed_is_released_and_what_watches_it(code: Repo) -> None:
    a = WATCHING.format(parameters="", path="a.txt", watch="lib/a.txt")
    b = a.replace("lib/a.txt", "b.ocu.star")
    write(code, {"lib/a.ocu.star": a, "lib/a.txt": "1", "b.ocu.star": b, "a.txt": ""})
    done = code.run("release", "changed")
    assert done.returncode == 0, done.stderr
    first = releases(code)
    assert [one.rpartition("/")[0] for one in first] == ["b.ocu.star", "lib/a.ocu.star"]
    done = code.run("release", "changed")
    assert (done.returncode, done.stdout) == (0, "") and "nothing to do" in done.stderr, done
    write(code, {"other.txt": "x", "lib/a.txt.bak": ""})
    # The beginning of a path counts: what watches `lib/a.txt` watches `lib/a.txt.bak`.
    assert code.ocuroot("release", "changed", "--dry-run") == "shop/-/lib/a.ocu.star"
    write(code, {"b.ocu.star": f"{b}\n"})
    listed = ["shop/-/b.ocu.star", "shop/-/lib/a.ocu.star"]
    assert code.ocuroot("release", "changed", "--dry-run").splitlines() == listed
    assert code.ocuroot("release", "changed", "--dry-run", "--since=HEAD^") == "shop/-/b.ocu.star"
    code.ocuroot("release", "changed")
    write(code, {"unwatched.txt": "x"})
    done = code.run("release", "changed")
    assert (done.returncode, done.stdout, len(releases(code))) == (0, "", 4), done
    write(code, {"lib/a.txt": "2"})
    code.ocuroot("release", "changed")
    assert [one.rpartition("/")[0] for one in releases(code)] == ["b.ocu.star"] * 2 + ["lib/a.ocu.star"] * 3
    index = json.loads(code.ocuroot("get", "shop/-/repo.ocu.star/@/push/index"))
    assert index["commit"] == code.oid("HEAD") and index["previous_commit"] == code.oid("HEAD^")
    assert index["release_configs"]["shop/-/lib/a.ocu.star"] == {"watch_files": ["lib/a.txt"]}


def deploying(parameters: str, text: str, inputs: str) -> str:
    return f"""ocuroot("0.3.0")
def up({parameters}):
    return done(outputs = {{"text": {text}}}, watch = ["text"])
def down({parameters}):
    return done()
phase("all", tasks = [deploy(up = up, down = down, environment = e, inputs = {inputs}) for e in environments()])
"""


def test_environments_come_first_and_what_follows_is_done(code: Repo) -> None:
    of_a = '{"text": input(ref = "./-/a.ocu.star/@/deploy/{}#output/text".format(e.name))}'
    files = {
        "a.ocu.star": deploying("environment", 'read("text")', "{}"),
        "b.ocu.star": deploying("environment, text", "text", of_a),
        "z.ocu.star": 'ocuroot("0.3.0")\nregister_environment(environment("production"))\n',
        "tasks.ocu.star": 'ocuroot("0.3.0")\ndef nothing():\n    pass\n',
        "text": "one",
    }
    write(code, files)
    code.ocuroot("release", "changed")
    assert code.ocuroot("get", "b.ocu.star/@/deploy/production#output/text") == '"one"'
    assert len(releases(code)) == 2
    code.ocuroot("set", "@/custom/later" if releases(code)[0].endswith("r1") else "+/custom/later", "1")
    write(code, {"text": "two"})
    code.ocuroot("release", "changed")
    assert code.ocuroot("get", "b.ocu.star/@/deploy/production#output/text") == '"two"'
    assert code.run("get", "@/custom/later").returncode == 1  # that does not follow from it


def test_what_is_not_committed_is_not_released(code: Repo) -> None:
    write(code, {"a.ocu.star": WATCHING.format(parameters="", path="a.txt", watch="a.txt"), "a.txt": "1"})
    (code.path / "a.txt").write_text("2")
    for _ in range(2):
        done = code.run("release", "changed")
        assert done.returncode == 128 and "changes that are not committed: 'a.txt'" in done.stderr, done
        code.git("add", "-A")
    code.git("commit", "-q", "-m", "two")
    (code.path / "untracked").touch()
    code.ocuroot("release", "changed")
    assert code.ocuroot("get", "a.ocu.star/@/call/build#output/text") == '"2"'


def test_nothing_is_released_where_one_file_is_wrong(code: Repo) -> None:
    good = WATCHING.format(parameters="", path="a.txt", watch="a.txt")
    write(code, {"a.ocu.star": good, "a.txt": "1", "b.ocu.star": "def"})
    done = code.run("release", "changed")
    assert done.returncode == 128 and done.stderr.startswith("fatal: b.ocu.star:1:4: "), done
    assert releases(code) == []
    write(code, {"b.ocu.star": good})
    code.ocuroot("release", "changed")
    assert len(releases(code)) == 2


def test_what_failed_is_tried_again_and_no_release_is_made_twice(code: Repo) -> None:
    fails = 'ocuroot("0.3.0")\ndef build():\n    host.shell("test -e fixed")\n    return done(watch = ["x"])\n'
    write(code, {"a.ocu.star": f'{fails}task(build, name = "build")', ".gitignore": "fixed"})
    assert code.run("release", "changed").returncode == 1
    (code.path / "fixed").touch()
    assert code.run("release", "changed").returncode == 1  # a failure stays until somebody deals with it
    code.ocuroot("release", "retry")
    assert code.ocuroot("release", "changed") == "" and len(releases(code)) == 1
    write(code, {"x": ""})
    assert code.ocuroot("release", "changed", "--dry-run") == "shop/-/a.ocu.star"


def test_a_commit_that_is_not_here_is_said_so(code: Repo, tmp_path: Path) -> None:
    write(code, {"a.ocu.star": WATCHING.format(parameters="", path="a.txt", watch="a.txt"), "a.txt": "1"})
    code.ocuroot("release", "changed")
    code.git("checkout", "-q", "--orphan", "new")
    write(code, {"a.txt": "2"})
    code.git("branch", "-D", "-q", *[one for one in ("main", "master") if code.git("branch", "--list", one)])
    code.git("reflog", "expire", "--expire=now", "--all")
    code.git("gc", "-q", "--prune=now")
    done = code.run("release", "changed")
    assert done.returncode == 1 and "is not here" in done.stderr and "--since" in done.stderr, done
    done = code.run("release", "changed", "--since=HEAD")
    assert done.returncode == 0, done


def test_packages_in_json_and_those_that_are_ignored(code: Repo) -> None:
    files = {"web.json": json.dumps(package([call("build")])), "lib/old/a.ocu.star": "def", "repo.ocu.star": ""}
    files["repo.ocu.star"] = 'release_ignore = ["lib/*"]\n'
    write(code, files)
    assert code.ocuroot("release", "changed", "--dry-run") == ""  # nobody has released the one in JSON yet
    code.ocuroot("release", "new", "web.json")
    write(code, {"web.json": json.dumps(package([call("build"), call("test")]))})
    assert code.ocuroot("release", "changed", "--dry-run", "--since=HEAD^") == "shop/-/web.json"
    done = code.run("release", "changed", "--since=HEAD^", "--operation=deploy-7")
    assert done.returncode == 0 and len(releases(code)) == 2, done
