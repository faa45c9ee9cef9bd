"""Ocuroot's commands that do a part of the work: of a release, of a commit, of ops, of what changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delivering import call, deploy, package, prepare, refused, release, want_environment, work_any
from support.repositories import Repo

APPROVED = {"ok": {"ref": "./custom/ok"}}


def runs_of(store: Repo, name: str) -> str:
    return (store.path / name).read_text() if (store.path / name).exists() else ""


def test_a_release_is_gone_on_with_alone(store: Repo) -> None:
    prepare(store)
    store.ocuroot("set", "+/custom/other", "1")
    first = release(store, package([call("build", "echo a >> a")], [call("ship", "echo s >> a", inputs=APPROVED)]))
    release(store, package([call("build", "echo b >> b")]), "other")
    done = store.run("release", "continue", first)
    assert done.returncode == 0, done.stderr
    assert (runs_of(store, "a"), runs_of(store, "b")) == ("a\n", "")
    assert store.run("get", "@/custom/other").returncode == 1  # intents are left as they are
    assert store.run("release", "continue", first).returncode == 0 and runs_of(store, "a") == "a\n"
    store.ocuroot("set", f"{first.replace('@', '+')}/custom/ok", "yes")
    store.ocuroot("apply", f"{first.replace('@', '+')}/custom/ok")
    store.ocuroot("release", "continue", first)
    assert (runs_of(store, "a"), runs_of(store, "b")) == ("a\ns\n", "")
    assert store.run("release", "continue", "//none/@1").returncode == 1


def test_a_release_is_tried_again(store: Repo) -> None:
    prepare(store)
    made = release(store, package([call("build", "echo a >> a; test -e fixed")]))
    assert store.run("release", "continue", made).returncode == 1
    assert store.run("release", "retry").returncode == 1
    (store.path / "fixed").touch()
    done = store.run("release", "retry", made)
    assert done.returncode == 0, done.stderr
    assert runs_of(store, "a") == "a\n" * 3
    assert store.run("release", "retry", made).returncode == 3
    store.git("commit", "-q", "--allow-empty", "-m", "none released")
    done = store.run("release", "retry")
    assert done.returncode == 1 and "has no release" in done.stderr


def test_a_package_stands_for_its_newest_release(store: Repo) -> None:
    prepare(store)
    release(store, package([call("build", "echo old >> a")]), "apps/web")
    newest = release(store, package([call("build", "echo new >> a; test -e fixed")]), "apps/web")
    assert store.run("release", "continue", "apps/web").returncode == 1
    assert runs_of(store, "a") == "new\n"
    (store.path / "apps").mkdir()
    (store.path / "fixed").touch()
    done = Repo(store.path / "apps").run("release", "retry", "web")  # a path, as seen from where one is
    assert done.returncode == 0 and done.stdout == f"complete\t{newest}/call/build/2\n", done
    assert newest in store.ocuroot("release", "show", "apps")  # the one package in a directory
    release(store, package([call("build", "true")]), "apps/other")
    done = store.run("release", "continue", "apps")
    assert done.returncode == 128 and "hint: name one of them: //apps/other, //apps/web" in done.stderr
    done = store.run("release", "continue", "apps/we")
    assert done.returncode == 1 and "'shop/-/apps/we' has no release" in done.stderr


@pytest.mark.parametrize("dialect", [1, 3])
def test_a_deployment_is_taken_down(repo: Repo, dialect: int) -> None:
    repo.ocuroot("init", "-q", f"--dialect={dialect}")
    prepare(repo)
    want_environment(repo, "staging")
    repo.ocuroot("apply", "--all")
    first = release(repo, package([deploy("staging", down="echo gone >> a")]))
    second = release(repo, package([deploy("staging", down="echo gone >> a")], [call("later")]))
    work_any(repo)
    said = refused(repo, 3, f"'{second}', and not '{first}'", "deploy", "down", f"{first}/deploy/staging")
    assert said.startswith("fatal: what is deployed in 'staging' is")
    release(repo, package([call("other")]), "other")
    done = repo.run("deploy", "down", f"{second}/deploy/staging")
    assert done.returncode == 0 and done.stdout == f"complete\t{second}/deploy/staging/2\n", done
    assert runs_of(repo, "a") == "gone\n"
    assert (repo.ocuroot("diff"), repo.ocuroot("match", "**/@/deploy/*", "**/+/deploy/*")) == ("", "")
    assert "other/@" in repo.ocuroot("work", "list")  # nothing else was done
    refused(repo, 3, "nothing of 'shop/-/web' is deployed in 'staging'", "deploy", "down", "web/@/deploy/staging")
    refused(repo, 128, "is no deployment", "deploy", "down", f"{second}/deploy/staging/2")
    refused(repo, 128, "is no deployment", "deploy", "down", f"{second}/call/later")


def test_a_new_release_may_cascade(store: Repo) -> None:
    prepare(store)
    done = store.run("release", "new", "web", "--package=-", "--cascade", input=json.dumps(package([call("build")])))
    assert done.returncode == 0 and done.stdout == "shop/-/web/@1\ncomplete\tshop/-/web/@1/call/build/1\n", done


def test_commits_that_have_work_are_listed(store: Repo) -> None:
    prepare(store)
    release(store, package([call("build")]))
    release(store, package([call("build")]), "other")
    release(store, package([call("build")]), "theirs", "--repo=their", f"--commit={'12' * 20}")
    release(store, package([call("ship", inputs=APPROVED)]), "third", "--repo=third", f"--commit={'34' * 20}")
    here = store.oid("HEAD")
    listed = [f"shop\t{here}", f"their\t{'12' * 20}"]
    assert store.ocuroot("work", "trigger", "--dry-run").splitlines() == listed
    assert store.ocuroot("work", "trigger").splitlines() == [f"{line}\tnone" for line in listed]
    said = store.ocuroot("work", "trigger", "--dry-run", "--json").splitlines()[0]
    assert json.loads(said) == {"repo": "shop", "commit": here}


def test_which_release_is_meant_is_not_guessed(store: Repo) -> None:
    prepare(store)
    release(store, package([call("build", "false")]))
    release(store, package([call("build", "false")]), "other")
    done = store.run("release", "retry")
    assert done.returncode == 128 and "2 packages" in done.stderr


def test_the_work_of_the_commit_that_is_checked_out(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(store)
    release(store, package([call("build", "echo 1 >> a")]))
    first = store.git("rev-parse", "HEAD")
    store.git("commit", "-q", "--allow-empty", "-m", "second")
    release(store, package([call("build", "echo 2 >> a")]))
    assert store.ocuroot("work", "continue", "--dry-run") == "execute\tshop/-/web/@2/call/build/1"
    store.ocuroot("work", "continue")
    assert runs_of(store, "a") == "2\n"
    monkeypatch.setenv("OCU_REPO_COMMIT_OVERRIDE", first)
    store.ocuroot("work", "continue")
    assert runs_of(store, "a") == "2\n1\n"


def test_ops_are_handled_alone(store: Repo) -> None:
    prepare(store, "staging")
    release(store, package([deploy(environments={}, up="echo up >> a")]))
    work_any(store)
    want_environment(store, "production")
    store.ocuroot("apply", "--all")
    assert store.ocuroot("work", "ops", "--dry-run") == "handle\tshop/-/web/@1/op/check_envs"
    store.ocuroot("work", "ops")
    assert store.ocuroot("work", "list").split("\t")[0].endswith("shop/-/web/@1/deploy/production/1")
    assert runs_of(store, "a") == "up\n"


@pytest.mark.parametrize("command", ["cascade", "continue"])
def test_a_changed_custom_document_makes_deployments_again(store: Repo, command: str) -> None:
    prepare(store, "staging")
    inputs = {"size": {"ref": "@/custom/size", "default": 1}}
    release(store, package([deploy("staging", up='echo "$OCUROOT_INPUT_SIZE" >> a', inputs=inputs)]))
    work_any(store)
    assert runs_of(store, "a") == "1\n"
    store.ocuroot("set", "-f=json", "+/custom/size", "3")
    store.ocuroot("apply", "+/custom/size")
    work_any(store)
    assert runs_of(store, "a") == "1\n"  # until somebody cascades
    store.ocuroot("work", command)
    assert runs_of(store, "a") == "1\n3\n"
    before = store.git("rev-parse", "state")
    store.ocuroot("work", command)
    assert store.git("rev-parse", "state") == before and runs_of(store, "a") == "1\n3\n"


def test_release_lint_is_package_lint(store: Repo, tmp_path: Path) -> None:
    prepare(store)
    (store.path / "web.json").write_text(json.dumps({"phases": [{"name": 1}]}))
    one, other = store.run("release", "lint", "web.json"), store.run("package", "lint", "web.json")
    assert one.returncode == other.returncode == 1
    assert one.stdout == other.stdout != ""
