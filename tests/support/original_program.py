"""The original program and ours at work on one store: a team's repository, and clones of it in which both run.

The original, Ocuroot, is not part of this project. `OCUROOT_ORIGINAL_V1` and `OCUROOT_ORIGINAL_V3` name its programs,
of which the first writes dialect 1 and the second dialect 3; CONTRIBUTING.md says how to build them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .repositories import Repo

PROGRAMS = {dialect: os.environ.get(f"OCUROOT_ORIGINAL_V{dialect}", "") for dialect in (1, 3)}
"""Read when tests are collected: the home that tests are sealed in takes these variables away."""

WEB = "web.ocu.star"
PACKAGE = f"shop/-/{WEB}"

_REPOSITORY = """\
ocuroot("0.3.0")
repo_alias("shop")
store.set(store.git("{url}", branch="state"), intent=store.git("{url}", branch="intent"))
"""

_ENVIRONMENTS = """\
ocuroot("0.3.0")
register_environment(environment("staging", {"type": "staging"}))
register_environment(environment("production", {"type": "prod"}))
"""

# Early packages take what they are given as one `ctx`, and call a task a call; the function of the task fails while
# the file `broken` lies at the top of the repository.
_WEB = {
    1: """\
ocuroot("0.3.0")
def build(ctx):
    host.shell("test ! -e broken")
    return done(outputs={"size": 3})
def up(ctx):
    return next(settle, inputs={"note": ctx.inputs.note, "environment": ctx.inputs.environment})
def settle(ctx):
    return done(outputs={"note": ctx.inputs.note, "where": ctx.inputs.environment["name"]})
def down(ctx):
    return done()
phase(name="build", work=[call(build, name="build")])
phase(name="all", work=[
    deploy(up=up, down=down, environment=e, inputs={"note": input(ref="@/custom/note", default="none")})
    for e in environments()
])
""",
    3: """\
ocuroot("0.3.0")
def build():
    host.shell("test ! -e broken")
    return done(outputs={"size": 3})
def up(environment, note):
    return next(settle, inputs={"note": note, "environment": environment})
def settle(environment, note):
    return done(outputs={"note": note, "where": environment["name"]})
def down(environment, note):
    return done()
phase(name="build", tasks=[task(build, name="build")])
phase(name="all", tasks=[
    deploy(up=up, down=down, environment=e, inputs={"note": input(ref="@/custom/note", default="none")})
    for e in environments()
])
""",
}


class Place:
    """A clone of the team's repository, and a home for the original, which keeps checkouts of the stores there."""

    def __init__(self, team: Team, path: Path) -> None:
        self.team = team
        self.repo = Repo(path)
        self.home = path.parent / f"{path.name}.home"

    def original_command(self, *arguments: str) -> tuple[list[str], dict[str, Any]]:
        """What starts the original: the arguments and the options for `subprocess`."""
        environ = {**os.environ, "OCUROOT_HOME": str(self.home)}
        return [PROGRAMS[self.team.dialect], *arguments], {"cwd": self.repo.path, "env": environ, "text": True}

    def original(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, options = self.original_command(*arguments)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120, **options
        )

    def commit(self, name: str) -> None:
        """Make a commit of the team's repository, as a place for a new release."""
        self.repo.git("commit", "-q", "--allow-empty", "-m", name)
        self.repo.git("push", "-q", "origin", "HEAD:main")
        self.forget()

    def forget(self) -> None:
        """Take the original's checkouts of the stores away, as a job on a new machine has none.

        Early Ocuroot gets stuck in them: with the first command at a new commit that names a global ref, it changes the
        document of the commit before and does not add that to its commit; every command after that ends with git's "no
        changes added to commit".
        """
        shutil.rmtree(self.home / "state", ignore_errors=True)


class Team:
    """A team's repository with two packages, and a store at a remote, which both programs write."""

    def __init__(self, top: Path, dialect: int) -> None:
        self.top = top
        self.dialect = dialect
        self.intent = "+" if dialect == 1 else "@"
        self.task = "call" if dialect == 1 else "task"
        self.store = self._bare("store")
        self._bare("shop")
        first = self._clone("store", "seed")
        first.git("commit", "-q", "--allow-empty", "-m", "first")
        first.git("push", "-q", "origin", "HEAD:main")  # the original needs a default branch to clone
        first = self._clone("shop", "sources")
        for name, text in {
            "repo.ocu.star": _REPOSITORY.format(url=self._url("store")),
            "environments.ocu.star": _ENVIRONMENTS,
            WEB: _WEB[dialect],
        }.items():
            (first.path / name).write_text(text)
        first.git("add", ".")
        first.git("commit", "-q", "-m", "first")
        first.git("push", "-q", "origin", "HEAD:main")
        self.place("maker").repo.ocuroot("init", "-q", f"--dialect={dialect}")

    def _url(self, name: str) -> str:
        return f"file://{self.top}/{name}.git"

    def _bare(self, name: str) -> Repo:
        made = Repo(self.top / f"{name}.git")
        made.path.mkdir()
        made.git("init", "-q", "--bare")
        return made

    def _clone(self, of: str, name: str) -> Repo:
        made = Repo(self.top / name)
        made.path.mkdir()
        made.git("clone", "-q", self._url(of), ".")
        return made

    def place(self, name: str) -> Place:
        return Place(self, self._clone("shop", name).path)

    def release(self, number: int) -> str:
        return f"{PACKAGE}/@{number}" if self.dialect == 1 else f"{PACKAGE}/@r{number}"
