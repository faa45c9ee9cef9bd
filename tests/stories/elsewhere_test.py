"""Work that goes on in other repositories: their code is cloned from where the store says it is (design 14)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.repositories import Repo

ENVIRONMENTS = 'ocuroot("0.3.0")\nregister_environment(environment("production"))\n'
UP = """ocuroot("0.3.0")
def up({parameters}):
    host.shell("git rev-parse HEAD; pwd; test -e here")
    return done(outputs = {{"text": {text}}})
def down({parameters}):
    return done()
phase("all", tasks = [deploy(up = up, down = down, environment = e, inputs = {inputs}) for e in environments()])
"""
FIRST = UP.format(parameters="environment", text='read("text")', inputs="{}")
OF_FIRST = '{"text": input(ref = "first/-/a.ocu.star/@/deploy/production#output/text")}'
SECOND = UP.format(parameters="environment, text", text="text", inputs=OF_FIRST)


class Shop:
    """Two repositories, each a clone of its remote, whose stores are branches of the first one's."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.first, self.second = Repo(top / "first"), Repo(top / "second")

    def make(self) -> None:
        self._clone("first", {"a.ocu.star": FIRST, "environments.ocu.star": ENVIRONMENTS, "text": "one"})
        self._clone("second", {"b.ocu.star": SECOND})
        self.first.ocuroot("init", "-q", "--dialect=3")
        self.first.ocuroot("release", "new", "environments.ocu.star")
        self.release(self.first, "a.ocu.star")
        self.release(self.second, "b.ocu.star")

    def _clone(self, name: str, files: dict[str, str]) -> None:
        remote = self.top / f"{name}.git"
        remote.mkdir(parents=True)
        Repo(remote).git("init", "-q", "--bare", "--initial-branch=main")
        path = self.top / name
        Repo(self.top).git("clone", "-q", str(remote), str(path))
        store = self.top / "first.git"
        stores = f'store.set(store.git("{store}", branch="state"), intent=store.git("{store}", branch="intent"))\n'
        repo = Repo(path)
        commit(repo, {**files, "here": "", "repo.ocu.star": f'repo_alias("{name}")\n{stores}'})

    def release(self, repo: Repo, path: str, *options: str) -> None:
        made = repo.ocuroot("release", "new", path, *options)
        if not options:
            repo.ocuroot("release", "continue", made)

    def text(self) -> str:
        return str(json.loads(self.first.ocuroot("get", "second/-/b.ocu.star/@/deploy/production#output/text")))


def commit(repo: Repo, files: dict[str, str]) -> None:
    for path, text in files.items():
        (repo.path / path).write_text(text)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "more")
    repo.git("push", "-q", "origin", "HEAD:main")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop as it is at first. It stays in its place, since its stores say where it lies: see `shop`."""
    shop = Shop(tmp_path_factory.mktemp("elsewhere") / "shop")
    shop.make()
    shutil.copytree(shop.top, shop.top.with_name("as made"), symlinks=True)
    return shop


@pytest.fixture
def shop(made: Shop) -> Shop:
    shutil.rmtree(made.top)
    shutil.copytree(made.top.with_name("as made"), made.top, symlinks=True)
    return made


def test_what_follows_is_done_in_other_repositories(shop: Shop) -> None:
    assert shop.text() == "one"
    commit(shop.first, {"text": "two"})
    shop.first.ocuroot("set", "@/custom/later", "1")
    done = shop.first.run("release", "new", "a.ocu.star", "--cascade")
    assert done.returncode == 0, done
    assert shop.text() == "two"
    assert shop.first.run("get", "@/custom/later").returncode == 1  # what does not follow from it is left
    logs = shop.first.ocuroot("logs", "second/-/b.ocu.star/@r1/deploy/production")
    where = [line for line in logs.splitlines() if line.startswith("/")]
    assert where[-1].startswith(str(shop.first.path / ".git" / "ocuroot" / "clones"))
    assert shop.second.oid("HEAD") in logs and not Path(where[-1]).exists()


def test_a_push_that_is_another_thing_here_says_so(shop: Shop) -> None:
    done = shop.first.run("push")
    assert done.returncode == 0 and "'git ocuroot release changed' releases what changed" in done.stderr, done


def test_the_code_of_the_commit_is_run_and_of_no_other(shop: Shop) -> None:
    commit(shop.second, {"b.ocu.star": SECOND.replace("return done(outputs", "fail('newer')#")})
    commit(shop.first, {"text": "two"})
    shop.release(shop.first, "a.ocu.star")
    assert shop.text() == "one"
    done = shop.first.run("work", "any")  # work any does the work of its own repository
    assert done.returncode == 0 and "left for others" in done.stderr and shop.text() == "one", done
    done = shop.first.run("work", "cascade", "--jobs=2")
    assert done.returncode == 0 and shop.text() == "two", done


def test_the_code_comes_from_the_remote_that_has_the_commit(shop: Shop) -> None:
    mirror = shop.top / "mirror.git"
    shop.second.git("clone", "-q", "--bare", str(shop.top / "second.git"), str(mirror))
    shop.second.git("remote", "add", "mirror", str(mirror))
    (shop.second.path / "c.ocu.star").write_text(SECOND)
    shop.second.git("add", "c.ocu.star")
    shop.second.git("commit", "-q", "-m", "for the mirror alone")
    shop.second.git("push", "-q", "mirror", "HEAD:main")
    shop.release(shop.second, "c.ocu.star")
    commit(shop.first, {"text": "two"})
    shop.release(shop.first, "a.ocu.star")
    done = shop.first.run("work", "cascade")
    assert done.returncode == 0 and shop.text() == "two", done
    found = shop.first.ocuroot("get", "second/-/c.ocu.star/@/deploy/production#output/text")
    assert json.loads(found) == "two"


def test_a_custom_document_may_cascade(shop: Shop) -> None:
    with_note = SECOND.replace("environment, text", "environment, text, note").replace(
        'output/text")}', 'output/text"), "note": input(ref = "@/custom/note", default = "none")}'
    )
    commit(shop.second, {"b.ocu.star": with_note.replace('"text": text', '"text": text + note')})
    shop.release(shop.second, "b.ocu.star")
    assert shop.text() == "onenone"
    shop.first.ocuroot("set", "@/custom/note", "x")
    shop.first.ocuroot("set", "@/custom/other", "x")
    done = shop.first.run("apply", "--cascade", "@/custom/note")
    assert done.returncode == 0 and shop.text() == "onex", done
    assert shop.first.run("get", "@/custom/other").returncode == 1
    done = shop.first.run("apply", "--cascade", "--dry-run", "@/custom/other")
    assert done.returncode == 129 and "does not go with '--dry-run'" in done.stderr


URLS = {
    "ext::sh -c 'touch ran'": "for which git would run a program",
    "--upload-pack=touch ran": "looks like an option",
    "file://elsewhere/x.git": "which is not of this machine",
    "ftp://example.com/x.git": "'ftp' is none of",
    "inside.git": "lies in a work tree",
    "/nowhere/x.git": "/nowhere/x.git",
}
"""Where no code is cloned from, and what is said of it."""


def test_a_store_leads_nowhere_that_a_clone_may_not(shop: Shop) -> None:
    commit_of_second = shop.second.oid("HEAD")
    ref = f"second/-/repo.ocu.star/@{commit_of_second}"
    document = json.loads(shop.first.ocuroot("get", ref))
    (shop.first.path / "inside.git").mkdir()
    Repo(shop.first.path / "inside.git").git("init", "-q", "--bare")
    commit(shop.first, {"text": "two"})
    shop.release(shop.first, "a.ocu.star")
    for url, why in URLS.items():
        document["Remotes"] = [{"Name": "origin", "URL": url, "PushURL": url}]
        shop.first.ocuroot("update", "--stdin", input=f"set {ref} {json.dumps(document)}\n")
        done = shop.first.run("work", "cascade")
        assert why in done.stderr and "left for others" in done.stderr and shop.text() == "one", (url, done)
        assert not (shop.first.path / "ran").exists(), url


@pytest.mark.parametrize("branch", ["state", "intent"])
def test_a_checkout_of_the_store_knows_the_stores(shop: Shop, branch: str, tmp_path: Path) -> None:
    commit(shop.first, {"text": "two"})
    shop.release(shop.first, "a.ocu.star")
    shop.first.ocuroot("set", "@/custom/later", "1")
    Repo(tmp_path).git("clone", "-q", "-b", branch, str(shop.top / "first.git"), str(tmp_path / "store"))
    store = Repo(tmp_path / "store")
    assert store.ocuroot("diff") == "+/custom/later"
    done = store.run("release", "changed")
    assert done.returncode == 128 and "a store is checked out here" in done.stderr
    done = store.run("work", "trigger", "--intent")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["first", "second"], done
    done = store.run("work", "cascade")
    assert done.returncode == 0 and shop.text() == "two", done
    assert shop.first.ocuroot("get", "@/custom/later") == '"1"'
    assert "called" not in shop.first.run("status").stderr  # the names of repositories are as they were
    (store.path / "refs" / "x").symlink_to(tmp_path)
    store.ocuroot("diff")


def test_an_early_intent_store_that_is_checked_out_has_it_as_intent(shop: Shop, tmp_path: Path) -> None:
    Repo(tmp_path).git("clone", "-q", "-b", "intent", str(shop.top / "first.git"), str(tmp_path / "store"))
    store = Repo(tmp_path / "store")
    for repo in ("first", "second"):
        kept = store.path / "refs" / repo / "-" / "repo.ocu.star"
        link = kept / "@" / "@object.json"
        link.write_text(link.read_text().replace("/@", "/+"))
        for place in sorted(kept.iterdir()):
            place.rename(kept / place.name.replace("@", "+"))
    assert store.ocuroot("diff") == ""
    assert "staging" not in store.ocuroot("match", "@/environment/*")
    assert store.ocuroot("match", "@/environment/*") == "@/environment/production"


def test_what_a_checkout_of_a_store_says_may_be_wrong(shop: Shop, tmp_path: Path) -> None:
    Repo(tmp_path).git("clone", "-q", "-b", "state", str(shop.top / "first.git"), str(tmp_path / "store"))
    store = Repo(tmp_path / "store")
    link = store.path / "refs" / "first" / "-" / "repo.ocu.star" / "@" / "@object.json"
    good = link.read_text()
    target = json.loads(good)["body"]
    kept = store.path / "refs" / target / "@object.json"
    document = json.loads(kept.read_text())
    for text, why in (
        ("{", "damaged store"),
        (good.replace(target, "../../../../etc/passwd"), "it leads out of the store"),
    ):
        link.write_text(text)
        done = store.run("diff")
        assert done.returncode == 128 and why in done.stderr, done
    link.write_text(good)
    for source, why in (("?", "keeps no text"), (7, "keeps no text"), ("ZGVmKA==", "repo.ocu.star:1:4: parse error")):
        document["body"]["source"] = source
        kept.write_text(json.dumps(document))
        done = store.run("diff")
        assert done.returncode == 128 and why in done.stderr, done
    kept.unlink()
    kept.symlink_to("/etc/passwd")
    done = store.run("diff")
    assert done.returncode == 128 and "is a symbolic link" in done.stderr, done
