"""Changes that have lost a race are made by who wins the next one: each once, whoever is killed when (design 8.10)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.contended import POST_RECEIVE, UPDATE, Contended, value
from support.first_version import command_of, first_version
from support.program import PROGRAM, TOP
from support.remote_stores import operations, serving
from support.repositories import Repo
from support.servers import proxy

CI = {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "zoë", "CI_PIPELINE_URL": "https://gitlab.example/1"}

# Who waits, and who does not


def test_without_a_race_nothing_waits_and_nothing_more_is_asked(contended: Contended) -> None:
    commands = []
    for combine in ("false", "true"):
        clone = contended.clone(f"c{combine}")
        clone.git("config", "ocuroot.combine", combine)
        clone.ocuroot("set", "+/custom/a", combine)
        done = clone.run("set", "+/custom/b", combine, env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
        ran = [line.split("run: git ")[1].split() for line in done.stderr.splitlines() if "run: git " in line]
        commands.append([[word for word in words if word in ("fetch", "push", "ls-remote")] for words in ran])
    assert commands[0] == commands[1] == [["fetch"], ["push"]]
    assert contended.waited() == 0


def test_who_has_lost_waits_and_is_first_next_time(contended: Contended) -> None:
    clone = contended.clone("one")
    contended.lose(2)
    clone.ocuroot("set", "+/custom/a", "1")
    assert value(clone, "+/custom/a") == "1"
    assert contended.waited() == 1  # it waits once, and not anew when it loses again: what it read is as it was
    assert contended.waiting() == []
    assert contended.subjects() == ["set +/custom/a"]
    assert clone.ocuroot("fsck", "-q") == ""


@pytest.mark.parametrize("is_other", [False, True])
def test_a_remote_on_this_machine_is_looked_at_without_git(contended: Contended, is_other: bool) -> None:
    """What it is asked while a change waits; where git is told to serve it by another program, that is asked."""
    clone = contended.clone("one")
    clone.git("remote", "add", "origin", contended.world.url())
    clone.git("config", "ocuroot.state.remote", "origin")
    if is_other:
        clone.git("config", "remote.origin.uploadpack", "git-upload-pack")
    contended.lose(1)
    done = clone.run("set", "+/custom/a", "1", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert contended.waited() == 1
    assert ("ls-remote" in done.stderr) == is_other, done.stderr
    assert len(lines_of(done.stderr, "git fetch ended")) == (2 if is_other else 1)


@pytest.mark.parametrize("kind", ["daemon", "http"])
def test_a_change_waits_though_the_clone_is_partial(tmp_path: Path, kind: str) -> None:
    """What is pushed to the outbox is compared with nothing: over HTTP git would look at trees that are not here."""
    with serving(tmp_path, kind) as world:
        contended = Contended(world, world.bare())
        one, two = contended.clone("one"), contended.clone("two")
        one.ocuroot("init", "-q")
        one.ocuroot("set", "+/custom/some/where/else", "1")
        contended.leave(one, "set", "+/custom/b", "1")
        one.git("config", "ocuroot.combine", "false")
        one.ocuroot("set", "+/custom/c", "1")
        done = two.run("set", "+/custom/a", "1", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
        assert done.returncode == 0, done.stderr
        assert contended.waited() == 2
        assert len(lines_of(done.stderr, "git push ended with 0")) == 2  # it waits, and is made
        assert contended.waiting() == []


def test_what_is_gone_from_the_outbox_is_looked_for_again(contended: Contended) -> None:
    """It may have been made while the server told of the branch and then of what waits: here it is not to be seen."""
    top = contended.bare.path
    upload_pack = top / "upload-pack"
    upload_pack.write_text(
        f"""#!/bin/sh
        left=$(cat {top}/hide 2>/dev/null || echo 0)
        [ "$left" -gt 0 ] || exec git upload-pack "$@"
        echo $((left - 1)) > {top}/hide
        exec git -c transfer.hideRefs=refs/ocuroot upload-pack "$@"
        """
    )
    upload_pack.chmod(0o755)
    clone = contended.clone("one")
    clone.git("remote", "add", "origin", contended.world.url())
    clone.git("config", "ocuroot.state.remote", "origin")
    clone.git("config", "remote.origin.uploadpack", str(upload_pack))
    contended.hook("post-receive", POST_RECEIVE.replace("read old new name; do", "read old new name; do echo 2 > hide"))
    contended.lose(1)
    done = clone.run("set", "+/custom/a", "1", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert done.returncode == 0, done.stderr
    ran = lines_of(done.stderr, "run: git ")
    assert len([line for line in ran if " push " in line]) == 3, ran  # lost, let wait, and made as it was taken out
    assert contended.waiting() == []
    assert contended.subjects() == ["set +/custom/a"]


def test_a_namespace_is_refused_where_git_would_pass_it_on(contended: Contended) -> None:
    """git would read and write another part of the repository there than libgit2 does."""
    clone = contended.clone("one")
    before = contended.bare.git("for-each-ref")
    for command in (("get", "+/custom/a"), ("set", "+/custom/a", "1")):
        done = clone.run(*command, env={**os.environ, "GIT_NAMESPACE": "other"})
        assert done.returncode == 128
        assert done.stderr.endswith("GIT_NAMESPACE is set, and a store is in none\nhint: unset GIT_NAMESPACE\n")
    assert contended.bare.git("for-each-ref") == before


@pytest.mark.parametrize("filters", ["true", "false"])
@pytest.mark.parametrize("checks", ["true", "false"])
def test_what_is_read_of_a_remote_on_this_machine_is_as_git_fetches_it(
    contended: Contended, filters: str, checks: str
) -> None:
    """It is in the clone, whole, and later commands of git and ours go on from there."""
    contended.bare.git("config", "uploadpack.allowFilter", filters)
    one, two = contended.clone("one", f"transfer.fsckObjects={checks}"), contended.clone("two")
    one.ocuroot("set", "+/custom/a", "0")
    two.ocuroot("set", "+/custom/b", "1")
    contended.lose(2)
    done = one.run("set", "+/custom/a", "1", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert done.returncode == 0, done.stderr
    assert len(lines_of(done.stderr, "git fetch ended")) == (3 if checks == "true" else 1)
    assert [json.loads(one.ocuroot("--offline", "get", f"+/custom/{name}")) for name in "ab"] == ["1", "1"]
    (cache,) = (one.path / ".git" / "ocuroot").glob("*.git")
    tip = contended.bare.git("rev-parse", "state")
    assert one.git("--git-dir", str(cache), "rev-parse", "state") == tip
    one.git("--git-dir", str(cache), "fsck", "--strict", "--no-dangling")
    two.ocuroot("set", "+/custom/b", "2")
    for key, number in (("gc.auto", 6700), ("gc.autoPackLimit", 1)):
        one.git("--git-dir", str(cache), "config", key, str(number))
    one.ocuroot("set", "+/custom/a", "2")
    assert len(list(cache.glob("objects/pack/*.pack"))) <= 2  # what was fetched, and what was made here
    one.git("--git-dir", str(cache), "fsck", "--strict", "--no-dangling")
    assert one.ocuroot("fsck") == ""
    assert len(one.ocuroot("log", "--json").splitlines()) >= 5


def test_combining_is_asked_for_where_servers_have_accounts(tmp_path: Path) -> None:
    """Else who may push to the outbox alone would write to a protected branch by the hands of others."""
    from ocuroot_git.config.settings import Settings

    Repo(tmp_path).git("init", "-q")
    Repo(tmp_path).git("config", "remote.both.pushurl", "ssh://host/x")
    settings = Settings(str(tmp_path), os.environ, "", "")
    plain = ["/srv/x.git", "file:///srv/x.git", "git://host/x.git"]
    assert [url for url in plain if not settings.combines(url, None)] == []
    others = ["https://host/x", "http://host/x", "ssh://host/x", "git@host:x.git", "ext::sh -c x"]
    assert [url for url in others if settings.combines(url, None)] == []
    assert not settings.combines("git://host/x.git", "both")
    Repo(tmp_path).git("config", "url.ssh://host/.insteadOf", "git://host/")
    assert not Settings(str(tmp_path), os.environ, "", "").combines("git://host/x.git", None)
    Repo(tmp_path).git("config", "ocuroot.combine", "true")
    assert Settings(str(tmp_path), os.environ, "", "").combines("https://host/x", None)


# Killed writers


def test_a_change_whose_writer_was_killed_is_made_once_by_the_next(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    one.git("config", "user.name", "Zoë")
    one.git("config", "user.email", "z@example.org")
    left = contended.leave(
        one,
        *("set", "-m", "for the holidays", "+/custom/a", "1"),
        GITLAB_CI="true",
        GITLAB_USER_LOGIN="zoë",
        CI_PIPELINE_URL="https://gitlab.example/1",
    )
    name = contended.text(left)["operation"]["name"]  # type: ignore[index]
    two.ocuroot("set", "+/custom/b", "2", env={**os.environ, "GIT_AUTHOR_NAME": "Ben", "GIT_AUTHOR_EMAIL": "b@x"})
    assert (value(two, "+/custom/a"), value(two, "+/custom/b")) == ("1", "2")
    assert contended.waiting() == []
    log = contended.bare.git("log", "-2", "--format=%an <%ae>|%s", "state").splitlines()
    assert log == ["Zoë <z@example.org>|for the holidays", "Ben <b@x>|set +/custom/b"]
    assert operations(contended.bare)[0] == name
    keys = ("actor", "run", "reason")
    origins = [[json.loads(line)[key] for key in keys] for line in two.ocuroot("log", "-2", "--json").splitlines()]
    assert origins == [
        ["gitlab:zoë", "https://gitlab.example/1", "for the holidays"],
        ["local:test@example.com", None, None],
    ]
    two.ocuroot("set", "+/custom/b", "3")
    assert operations(contended.bare).count(name) == 1
    assert two.ocuroot("fsck", "-q") == ""
    assert two.run("fsck").stdout == ""


def test_a_change_waits_for_one_that_was_killed_and_makes_both(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    contended.leave(one, "set", "+/custom/a", "1")
    contended.lose(1)
    two.ocuroot("set", "+/custom/b", "2")
    assert sorted(contended.subjects()) == ["set +/custom/a", "set +/custom/b"]
    assert contended.waiting() == []


def test_stores_in_directories_of_one_branch(tmp_path: Path) -> None:
    """Paths are of the branch, and only those below the directories of the writer's own stores count."""
    with serving(tmp_path, "file") as world:
        contended = Contended(world, world.bare())
        config = ("ocuroot.state.prefix=a/state", "ocuroot.intent.prefix=a/intent")
        one, two = (contended.clone(name, *config) for name in ("one", "two"))
        for clone in (one, two):
            clone.git("config", "ocuroot.intent.remote", world.url())
        one.ocuroot("init", "-q", "--dialect", "3")
        left = contended.leave(one, "set", "+/custom/a", "1")
        files = contended.text(left)["files"]
        assert isinstance(files, dict) and list(files) == ["a/intent/refs/@/custom/a/@object.json"]
        other = contended.clone("other", "ocuroot.state.prefix=b")
        other.run("init", "-q")
        contended.put({**contended.text(left), "files": {f"b/{path}": data for path, data in files.items()}})
        two.ocuroot("set", "+/custom/b", "2")
        assert (value(two, "+/custom/a"), value(two, "+/custom/b")) == ("1", "2")
        assert len(contended.waiting()) == 1
        assert two.run("fsck", "-q").returncode == 0


def test_a_shallow_cache_gets_the_history_it_needs(contended: Contended) -> None:
    """A job's clone knows the newest commit alone, and what waits was made on an older one."""
    one, two = contended.clone("one"), contended.clone("two")
    contended.leave(one, "set", "+/custom/a", "1")
    # A program that does not combine, as the first version.
    two.git("config", "ocuroot.combine", "false")
    two.ocuroot("set", "+/custom/b", "2")
    two.ocuroot("set", "+/custom/b", "3")
    fresh = contended.clone("fresh")
    fresh.ocuroot("set", "+/custom/c", "4")
    assert [value(fresh, f"+/custom/{name}") for name in "abc"] == ["1", "3", "4"]
    assert contended.waiting() == []
    assert len(fresh.ocuroot("log", "--json").splitlines()) >= 4


def test_what_no_longer_holds_is_not_made(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "--if-absent", "+/custom/a", "1")
    two.ocuroot("set", "+/custom/a", "2")
    two.ocuroot("set", "+/custom/b", "3")
    assert value(two, "+/custom/a") == "2"
    assert contended.subjects() == ["set +/custom/b", "set +/custom/a"]
    assert contended.waiting() == [left]


def test_what_was_read_by_a_pattern_counts_too(contended: Contended) -> None:
    """The dependencies of a run are looked for by patterns: a run must not start because it once could."""
    one, two = contended.clone("one"), contended.clone("two")
    two.git("commit", "-q", "--allow-empty", "-m", "code")
    definition = {"phases": [{"name": "a", "work": [{"call": {"name": "build", "fn": {"name": "build"}}}]}]}
    two.ocuroot("release", "new", "web", "--package", "-", input=json.dumps(definition))
    build = "shop/-/web/@1/call/build"
    left = contended.leave(one, "run", "start", build)
    read = contended.text(left)["objects"]
    assert isinstance(read, dict) and f"refs/{build}/1/functions/1/@object.json" in read
    two.ocuroot("run", "start", build)  # which another does first
    assert contended.waiting() == [left]
    assert contended.subjects().count(f"start {build}") == 1


def test_what_expired_is_not_made_and_named(contended: Contended) -> None:
    one, two = contended.clone("one", "ocuroot.timeout=50"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    assert two.run("fsck").stdout == ""
    text, now = contended.text(left), int(time.time())
    assert now < int(str(text["expires"])) <= now + 2 * 50
    contended.put({**text, "expires": now - 1}, left.rpartition("/")[2])
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") is None
    assert contended.waiting() == [left]
    done = two.run("fsck")
    assert done.returncode == 0
    assert f"warning: {left}: a change waited here in vain until " in done.stdout
    assert "set +/custom/a" in done.stdout


def test_what_was_made_and_left_by_a_server_that_was_killed_is_not_made_again(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    two.ocuroot("set", "+/custom/a", "0")
    left = contended.leave(one, "set", "+/custom/a", "1")
    blob = contended.bare.git("rev-parse", left)
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") == "1"
    two.ocuroot("set", "+/custom/a", "0")  # as it was when the change was made
    contended.bare.git("update-ref", left, blob)
    fresh = contended.clone("fresh")  # which knows nothing of what was before
    fresh.ocuroot("set", "+/custom/b", "3")
    assert value(fresh, "+/custom/a") == "0"
    assert contended.waiting() == []
    assert len(set(operations(contended.bare))) == len(operations(contended.bare))


def test_who_gives_up_takes_its_change_back(contended: Contended) -> None:
    one, two = contended.clone("one", "ocuroot.timeout=2"), contended.clone("two")
    contended.lose(1000)
    done = one.run("set", "+/custom/a", "1")
    assert done.returncode == 3
    assert "nothing changed" in done.stderr
    assert contended.waited() >= 1
    assert contended.waiting() == []
    contended.lose(0)
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") is None


def test_a_precondition_that_fails_meanwhile_takes_the_change_back(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    # The second loss makes it look again; by then another has written what it asks to be absent.
    two.ocuroot("set", "+/custom/b", "1")
    contended.lose(1)
    hook = contended.bare.path / "hooks" / "post-receive"
    write = f"cd {two.path} && env -u GIT_DIR {sys.executable} {PROGRAM} set +/custom/a 2 -q"
    hook.write_text(POST_RECEIVE.replace('echo "$name" >> waited', f"rm -f hooks/post-receive; ({write})"))
    done = one.run("set", "--if-absent", "+/custom/a", "1")
    assert done.returncode == 3, done.stderr
    assert value(two, "+/custom/a") == "2"
    assert contended.waiting() == []


# Servers


@pytest.mark.parametrize(
    "server",
    [
        ("config", "receive.advertiseAtomic", "false"),
        ("config", "transfer.hideRefs", "refs/ocuroot"),
        ("config", "receive.hideRefs", "refs/ocuroot"),
        ("config", "uploadpack.hideRefs", "refs/ocuroot"),
        ("hook", 'case $1 in refs/ocuroot/*) echo "not these"; exit 1;; esac'),
    ],
)
def test_where_nothing_can_wait_all_race_as_before(contended: Contended, server: tuple[str, ...]) -> None:
    clone = contended.clone("one")
    if server[0] == "config":
        contended.bare.git(*server)
    else:
        (contended.bare.path / "hooks" / "update").write_text(f"{UPDATE}{server[1]}\n")
    contended.lose(3)
    clone.ocuroot("set", "+/custom/a", "1")
    assert contended.subjects() == ["set +/custom/a"]
    assert len(contended.waiting()) <= 1  # where it cannot be seen, it cannot be taken out either


def test_a_server_that_lets_nothing_be_taken_out(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    deny = 'case $1,$3 in refs/ocuroot/*,00000*) echo "nothing goes"; exit 1;; esac'
    (contended.bare.path / "hooks" / "update").write_text(f"{UPDATE}{deny}\n")
    two.ocuroot("set", "+/custom/b", "2")
    assert contended.subjects() == ["set +/custom/b"]
    assert left in contended.waiting()
    (contended.bare.path / "hooks" / "update").write_text(UPDATE)
    two.ocuroot("set", "+/custom/b", "3")
    assert sorted(contended.subjects()) == ["set +/custom/a", "set +/custom/b", "set +/custom/b"]
    assert contended.waiting() == []


# Writes that follow each other

# Writes twice where a change of somebody else waits, and lets another command write in between; says what git was told.
TWICE = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
import ocuroot_git
from ocuroot_git.backends import remote
remote._FRESH = 60.0  # however slow this machine is
stores = ocuroot_git.open()
stores.set("+/custom/a", 1)
subprocess.run(sys.argv[3:], cwd=sys.argv[2], check=True)
print("second", file=sys.stderr)
stores.set("+/custom/b", 2)
print("third", file=sys.stderr)
stores.set("+/custom/a", 1)
"""


def test_who_writes_again_at_once_where_others_wait_does_not_fetch_first(contended: Contended) -> None:
    """Whoever makes a change checks what it read; what changes nothing is tried again on what is fetched."""
    one, two, three = (contended.clone(name) for name in ("one", "two", "three"))
    left = contended.leave(one, "set", "+/custom/x", "1")
    # Twice, so that one of both waits still when the other one was made.
    contended.put(contended.text(left), left.rpartition("/")[2][:-4] + "ffff")
    two.git("remote", "add", "origin", contended.world.url())
    two.git("config", "ocuroot.state.remote", "origin")
    two.git(
        "config", "remote.origin.uploadpack", "git-upload-pack"
    )  # so that git fetches, though it is on this machine
    three.git("config", "ocuroot.combine", "false")
    other = [sys.executable, str(PROGRAM), "set", "+/custom/a", "3"]
    done = subprocess.run(
        [sys.executable, "-c", TWICE, str(TOP), str(three.path), *other],
        cwd=two.path, env={**os.environ, "GIT_TRACE_OCUROOT": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    second, third = done.stderr.partition("second\n")[2].split("third\n")
    words = [word for line in lines_of(second, "run: git ") for word in line.split()]
    assert [word for word in words if word in ("fetch", "push")] == ["push", "fetch", "push"]
    assert "fetch" in lines_of(third, "run: git ")[0]
    assert [value(three, f"+/custom/{name}") for name in "abx"] == [1, 2, "1"]
    assert contended.waiting() == []
    assert contended.subjects()[:2] == ["set +/custom/a", "set +/custom/b"]


def lines_of(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


# Many at once

# Adds to a counter, and makes a document of its own, again and again; says what was acknowledged.
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import ocuroot_git
stores = ocuroot_git.open()
name, count = sys.argv[2], int(sys.argv[3])
for number in range(count):
    def change(tx):
        total = tx.get("@/custom/counter", 0) + 1
        tx.set("@/custom/counter", total)
        return total
    print("total", stores.transact(change), flush=True)
    stores.transact(lambda tx: tx.create(f"@/custom/{name}-{number}", number))
    print("made", f"@/custom/{name}-{number}", flush=True)
"""


def start(clone: Repo, top: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(top), name, str(count)],
        cwd=clone.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def check(contended: Contended, said: list[str], killed: int) -> None:
    """Whether all that was acknowledged is there, once, and nothing that was not but by those who were killed."""
    totals = [int(line.split()[1]) for line in said if line.startswith("total")]
    made = {line.split()[1] for line in said if line.startswith("made")}
    reader = contended.clone("reader")
    assert len(set(totals)) == len(totals)
    counted = value(reader, "@/custom/counter")
    assert isinstance(counted, int) and len(totals) <= counted <= len(totals) + killed
    there = set(reader.ocuroot("match", "@/custom/*").split()) - {"@/custom/counter"}
    assert made <= there
    assert len(there) <= len(made) + killed
    names = operations(contended.bare)
    assert len(set(names)) == len(names)
    assert contended.bare.git("rev-list", "--merges", "state") == ""
    assert reader.run("fsck", "-q").returncode == 0
    contended.bare.git("fsck", "--strict", "--no-dangling")


def test_nothing_is_lost_and_nothing_done_twice_whoever_is_killed(contended: Contended) -> None:
    chance = random.Random(8)
    clones = [contended.clone(f"c{number}") for number in range(6)]
    said: list[str] = []
    killed = 0
    running = {number: start(clone, TOP, f"w{number}", 4) for number, clone in enumerate(clones)}
    for round_ in range(4):
        time.sleep(0.5 + chance.random())
        victim = chance.choice(sorted(running))
        process = running.pop(victim)
        process.kill()
        out, _ = process.communicate()
        said += out.splitlines()
        killed += process.returncode != 0
        running[victim] = start(clones[victim], TOP, f"again{round_}-{victim}", 2)
    for process in running.values():
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        said += out.splitlines()
    check(contended, said, killed)


def test_answers_that_are_lost(tmp_path: Path) -> None:
    with serving(tmp_path, "daemon") as world, proxy(world.port) as between:
        contended = Contended(world, world.bare())
        contended.clone("maker").ocuroot("init", "-q")
        clones = [contended.clone(f"c{number}") for number in range(4)]
        for clone in clones:
            clone.git("config", "ocuroot.state.remote", world.url(port=between.port))
        between.lose_answers = 8
        running = [start(clone, TOP, f"w{number}", 2) for number, clone in enumerate(clones)]
        said: list[str] = []
        for process in running:
            out, err = process.communicate(timeout=200)
            assert process.returncode == 0, err
            said += out.splitlines()
        assert between.lost == 8
        check(contended, said, 0)


def test_the_first_version_works_on_the_same_branch(contended: Contended, tmp_path: Path) -> None:
    first = first_version(tmp_path / "first")
    clones = [contended.clone(f"c{number}") for number in range(6)]
    tops = [TOP, first] * 3
    running = [start(clone, top, f"w{number}", 3) for number, (clone, top) in enumerate(zip(clones, tops, strict=True))]
    said: list[str] = []
    for process in running:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        said += out.splitlines()
    check(contended, said, 0)
    done = subprocess.run(command_of(first, "fsck", "-q"), cwd=clones[0].path, check=False)
    assert done.returncode == 0
    clones[0].ocuroot("set", "+/custom/told", "1", "-m", "why", "--operation", "job", env={**os.environ, **CI})
    command = command_of(first, "set", "+/custom/told", "1", "-m", "why", "--operation", "job")
    assert subprocess.run(command, cwd=clones[1].path, check=False).returncode == 0
    assert (
        operations(contended.bare).count("job") == 1
    )  # it reads our trailers, and leaves alone those it does not know
