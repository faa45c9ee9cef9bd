"""What the tests of delivery share: packages in JSON, and short ways to the commands."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from support.repositories import Repo, put_file

import ocuroot_git

ENVIRONMENTS = {"staging": "staging", "production": "prod"}


def call(name: str, run: str = "true", **fields: Any) -> dict[str, Any]:
    """A call whose function runs a shell command."""
    return {"call": {"name": name, "fn": {"name": name, "run": run}, **fields}}


def deploy(environment: str | None = None, up: str = "true", down: str = "true", **fields: Any) -> dict[str, Any]:
    """A deployment to one environment, or, with `environments={…}`, to those that have some attributes."""
    where = {"environment": environment} if environment else {}
    functions = {"up": {"name": "up", "run": up}, "down": {"name": "down", "run": down}}
    return {"deploy": {**where, **functions, **fields}}


def package(*phases: list[dict[str, Any]]) -> dict[str, Any]:
    """A package of phases, each a list of work."""
    return {"phases": [{"name": f"phase{number}", "work": work} for number, work in enumerate(phases, 1)]}


def prepare(repo: Repo, *environments: str) -> Repo:
    """Give a repository with a store a name, a commit, and environments, in intent and in state."""
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    if environments:
        made = [(name, {"name": name, "attributes": {"type": ENVIRONMENTS.get(name, "prod")}}) for name in environments]
        steps = [f"set {side}/environment/{name} {json.dumps(value)}\n" for name, value in made for side in "+@"]
        repo.ocuroot("update", "--stdin", input="".join(steps))
    return repo


PLACES = {"one": (), "two branches": ("--intent-branch", "intent"), "dialect 3": ("--dialect=3",)}
"""Ways in which state and intent may lie, by what `init` takes."""
LAYOUTS = (*PLACES, "dialect 2")
"""These, and one that is no longer made."""


def prepare_at(repo: Repo, place: str, *environments: str) -> Repo:
    """Give a repository without a store one whose state and intent lie in one of `LAYOUTS`, with environments."""
    repo.ocuroot("init", "-q", *PLACES["dialect 3" if place == "dialect 2" else place])
    if place == "dialect 2":
        for side in ("state", "intent"):
            put_file(repo, f"{side}/.ocuroot-store", '{"version":2}')
    if place == "two branches":
        repo.git("config", "ocuroot.intent.branch", "intent")
    repo.git("config", "ocuroot.repoAlias", "shop")
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    with ocuroot_git.open(str(repo.path)).transaction() as tx:
        for name in environments:
            tx.set(f"+/environment/{name}", {"name": name, "attributes": {"type": ENVIRONMENTS.get(name, "prod")}})
    repo.ocuroot("apply", "--all")
    return repo


def with_store(path: Path, dialect: str) -> Repo:
    """A new repository in an empty directory, with a store of a dialect."""
    repo = Repo(path)
    repo.git("init", "-q")
    repo.ocuroot("init", "-q", f"--dialect={dialect}")
    return repo


def copy_of(repo: Repo, path: Path) -> Repo:
    """A copy of a repository at a path that does not exist: faster than to make the same again."""
    shutil.copytree(repo.path, path)
    return Repo(path)


def forgetful_copy_of(repo: Repo, path: Path) -> Repo:
    """A copy in which nothing is remembered of the store."""
    copy = copy_of(repo, path)
    copy.ocuroot("cache", "-q", "--clear")
    return copy


def want_environment(repo: Repo, name: str, **attributes: str) -> None:
    attributes = attributes or {"type": ENVIRONMENTS.get(name, "prod")}
    repo.ocuroot("set", "-f=json", f"+/environment/{name}", json.dumps({"name": name, "attributes": attributes}))


def release(repo: Repo, definition: object, path: str = "web", *options: str) -> str:
    """Make a release, whatever was released of this commit before; gives its ref."""
    arguments = ["release", "new", path, "--package", "-", "--force", *options]
    return repo.ocuroot(*arguments, input=json.dumps(definition))


def diff(repo: Repo) -> list[str]:
    """The lines of `diff --name-status`."""
    return repo.ocuroot("diff", "--name-status").splitlines()


def work_any(repo: Repo, *options: str) -> list[str]:
    """Run `work any`, which must succeed; gives how each run ended."""
    done = repo.run("work", "any", *options)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return str(done.stdout).splitlines()


def refused(repo: Repo, status: int, words: str, *arguments: str, **options: Any) -> str:
    """Run a command that must fail with a status and words, and change nothing; gives stderr."""
    before = repo.git("rev-parse", "--verify", "-q", "state", check=False)
    done = repo.run(*arguments, **options)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert repo.git("rev-parse", "--verify", "-q", "state", check=False) == before
    return str(done.stderr)


def start_as_others_do(repo: Repo, run: str) -> None:
    """Set a run running by hand, as a program does that knows nothing of gates."""
    now = datetime.now(timezone.utc).isoformat()
    steps = [f"set {run}/status/running {json.dumps({'time': now})}", f"delete {run}/status/pending"]
    if repo.run("get", f"{run}/functions/1").returncode == 0:  # in dialect 1; in others the markers say it all
        function = repo.value(f"{run}/functions/1")
        function["current"]["status"] = "running"
        function["history"].append({"time": now, "status": "running"})
        steps.append(f"set {run}/functions/1 {json.dumps(function)}")
    repo.ocuroot("update", "--stdin", input="\n".join(steps) + "\n")


def pending_run(repo: Repo, name: str) -> str:
    (found,) = repo.ocuroot("match", f"**/@*/deploy/{name}/*/status/pending").splitlines()
    return found.removesuffix("/status/pending")


def commits(repo: Repo, branch: str = "state") -> int:
    return int(repo.git("rev-list", "--count", branch))


class Silent:
    """A display that shows nothing."""

    def begun(self, run: object) -> None: ...
    def output(self, run: object, stream: int, data: bytes) -> None: ...
    def ended(self, result: object) -> None: ...
    def note(self, text: str) -> None: ...
