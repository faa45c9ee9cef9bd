"""How little a command transfers from a remote store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import FIXTURES
from support.remote_stores import World
from support.repositories import Repo, begin
from support.servers import proxy


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workload") / "store.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    script = f"{sys.executable} {FIXTURES / 'workload.py'} --documents 20000 | git -C {path} fast-import --quiet"
    subprocess.run(script, shell=True, check=True)
    subprocess.run(["git", "-C", str(path), "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", str(path), "config", "uploadpack.allowFilter", "true"], check=True)
    return path


def test_little_is_transferred(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    with proxy(daemon.port) as between:

        def transferred(clone: Repo, *arguments: str) -> tuple[int, int]:
            before = between.bytes, between.connections
            clone.ocuroot(*arguments)
            return between.bytes - before[0], between.connections - before[1]

        url = daemon.url(port=between.port)
        before = between.bytes
        subprocess.run(
            ["git", "clone", "-q", "--depth=1", "--bare", "-b", "state", url, "whole"], cwd=daemon.top, check=True
        )
        whole = between.bytes - before
        limit = min(1 << 20, whole // 4)
        reader = daemon.clone("reader", url)
        assert transferred(reader, "get", f"{package}/@17/deploy/production/1/status/complete")[0] < limit // 4
        assert transferred(daemon.clone("matcher", url), "match", f"{package}/**")[0] < limit
        assert transferred(daemon.clone("writer", url), "set", "+/custom/freeze", "1")[0] < limit // 4
        # What is near needs nothing but the tip; and a second time nothing at all but the tip.
        assert transferred(reader, "get", f"{package}/@17/deploy/production/1/status/complete")[1] == 1
        few, connections = transferred(reader, "match", f"{package}/@17/deploy/production/1/status/*")
        assert few <= 1600 and connections == 1
        everything, connections = transferred(daemon.clone("walker", url), "match", "**/deploy/production")
        assert everything < whole
        assert connections < 15
        # A ref has one marker: to see where the newest releases are, none of the others is fetched.
        newest, connections = transferred(daemon.clone("chooser", url), "match", "**/@/deploy/production")
        assert newest < everything / 20
        assert connections < 9


def test_what_is_deployed_takes_little_more_than_the_way_to_it(daemon: World, workload: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    local = Repo(tmp_path / "local")
    subprocess.run(["git", "clone", "-q", "--bare", str(workload), str(local.path / ".git")], check=True)
    local.git("config", "core.bare", "false")
    # As the clones do, it believes the markers of runs: what came before the one commit is not here.
    (local.path / ".git" / "shallow").write_text(local.git("rev-parse", "state") + "\n")
    packages = {json.loads(line)["package"] for line in local.ocuroot("deployments", "--json").splitlines()}
    one = "github.com/example/shop/-/services/service-0003/release.ocu.star"
    assert len(packages) == 5 and one in packages

    def size(package: str) -> int:
        """Bytes of the directory of all releases: no compression makes ids smaller, so that is large on the way."""
        return int(local.git("cat-file", "--batch-check=%(objectsize:disk)", input=f"state:refs/{package}\n"))

    asked = [
        (["--environment=production"], packages),
        ([], packages),
        (["--environment=production", one], {one}),
    ]
    with proxy(daemon.port) as between:
        for number, (arguments, names) in enumerate(asked):
            clone = daemon.clone(f"reader-{number}", daemon.url(port=between.port))
            before = between.bytes, between.connections
            found = clone.ocuroot("deployments", "--deployed", "--json", *arguments)
            transferred, connections = between.bytes - before[0], between.connections - before[1]
            assert found == local.ocuroot("deployments", "--json", *arguments)
            assert connections <= 8
            # Of few releases all but large files come, which saves requests; of many see below.
            assert transferred < sum(map(size, names)) + len(names) * 9500 + connections * 1600


def test_of_each_package_little_but_its_directory_is_transferred(daemon: World) -> None:
    bare = daemon.bare()
    script = "import workload; workload.RELEASES_PER_PACKAGE = 2; workload.main()"
    generator = [sys.executable, "-c", script, "--documents", "7200"]
    with subprocess.Popen(generator, cwd=FIXTURES, stdout=subprocess.PIPE) as documents:
        subprocess.run(["git", "fast-import", "--quiet"], cwd=bare.path, stdin=documents.stdout, check=True)
    bare.git("repack", "-adq")
    command = ("deployments", "--deployed", "--environment", "production", "--json")
    with proxy(daemon.port) as between:
        clone = daemon.clone("reader", daemon.url(port=between.port))
        before = between.bytes, between.connections
        packages = [json.loads(line)["package"] for line in clone.ocuroot(*command).splitlines()]
        transferred, connections = between.bytes - before[0], between.connections - before[1]
    assert len(packages) == 150
    assert connections <= 11
    paths = "".join(f"state:refs/{package}\n" for package in packages)
    directories = sum(map(int, bare.git("cat-file", "--batch-check=%(objectsize:disk)", input=paths).split()))
    # 600 of these are the twelve ids that are asked for, some 400 what the server says of its progress.
    assert (transferred - directories) / len(packages) < 2_750


def test_what_there_is_to_do_is_asked_in_few_requests(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    names = [f"github.com/example/{name}/release.ocu.star" for name in ("shop/-/services/service-0000",)]
    names += ["github.com/example/platform/-/services/service-0001/release.ocu.star"]
    with proxy(daemon.port) as between:
        url = daemon.url(port=between.port)
        writer = daemon.clone("writer", url)
        steps = [f"set {name}/@{number}/custom/approval {number}\n" for name in names for number in range(1, 30)]
        writer.ocuroot("update", "--stdin", input="".join(steps))
        answers = []
        every = ["match", "**/deploy/production"]
        for number, arguments in enumerate((every, ["status"], ["work", "list"], ["diff"])):
            clone = daemon.clone(f"reader-{number}", url)
            before = between.bytes, between.connections
            done = clone.run(*arguments, "--json")
            answers.append((arguments, between.bytes - before[0], between.connections - before[1], done.returncode))
            assert done.stdout
        trees = answers.pop(0)[1]
        assert all(connections < 10 for _, _, connections, _ in answers), answers
        assert all(transferred < 1.05 * trees for _, transferred, _, _ in answers), (trees, answers)
        # What has changed since is asked for, and not all of it once more.
        writer.ocuroot("set", f"{names[0]}/+/custom/other", "1")
        before = between.bytes, between.connections
        assert clone.run("diff").stdout
        assert between.bytes - before[0] < trees / 10
        assert between.connections - before[1] < 12


def test_releases_are_listed_in_few_requests(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    local = Repo(daemon.top / "served" / "store.git")
    with proxy(daemon.port) as between:
        for number, (arguments, most) in enumerate([(("list", package), 8), (("show", f"{package}/@17"), 20)]):
            clone = daemon.clone(f"reader-{number}", daemon.url(port=between.port))
            before = between.connections
            assert clone.ocuroot("release", *arguments, "--json") == local.ocuroot("release", *arguments, "--json")
            assert between.connections - before <= most


def test_what_is_looked_up_of_one_release_is_fetched_together(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    release = "github.com/example/shop/-/services/service-0000/release.ocu.star/@17"
    asked = [
        (["gate", "check", release], 7),
        (["logs", f"{release}/deploy/production/1"], 6),
        (["blame", f"{release}/deploy/production"], 9),
        (["hold", "-m", "it is slow", release], 9),
    ]
    local = Repo(daemon.top / "served" / "store.git")
    with proxy(daemon.port) as between:
        for number, (arguments, most) in enumerate(asked):
            clone = daemon.clone(f"job-{number}", daemon.url(port=between.port))
            before = between.bytes, between.connections
            found = clone.ocuroot(*arguments)
            assert between.connections - before[1] <= most, arguments
            assert between.bytes - before[0] < 50_000, arguments
            assert found == local.ocuroot(*arguments)


def test_many_refs_are_fetched_together(daemon: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(daemon.top / "served" / "store.git")], check=True)
    package = "github.com/example/shop/-/services/service-0000/release.ocu.star"
    with proxy(daemon.port) as between:
        clone = daemon.clone("one", daemon.url(port=between.port))
        lines = clone.ocuroot("match", "--values", f"{package}/@/**", f"{package}/@1*/custom/*").splitlines()
        assert len(lines) > 50
        assert all(json.loads(line)["found"] for line in lines)
        assert between.connections < 40
        before = between.connections
        steps = "".join(f"set {package}/@{n}/custom/approval {{}}\n" for n in range(20, 120))
        clone.ocuroot("update", "--stdin", input=steps)
        assert between.connections - before < 8


def test_concurrent_commands_in_one_clone(files: World, workload: Path) -> None:
    subprocess.run(["cp", "-r", str(workload), str(files.top / "served" / "store.git")], check=True)
    clone = files.clone("one")
    readers = [
        begin(clone, "get", f"github.com/example/shop/-/services/service-0000/release.ocu.star/@{n}")
        for n in range(1, 7)
    ]
    assert [(reader.communicate()[1], reader.returncode) for reader in readers] == [("", 0)] * 6
