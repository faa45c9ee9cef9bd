"""What all tests share: a sealed home, real repositories in temporary directories, and the program as a process."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
FIXTURES = TOP / "fixtures"
CONFORMANCE = FIXTURES / "conformance"
PROGRAM = TOP / "bin" / "git-ocuroot"
GOLDEN = TOP / "tests" / "golden"


@pytest.fixture(scope="session", autouse=True)
def sealed_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests away from the user's configuration, fix who writes commits, and find the program on PATH."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Test\n\temail = test@example.com\n"
        "[init]\n\tdefaultBranch = main\n[maintenance]\n\tauto = false\n[gc]\n\tauto = 0\n"
    )
    # Not the launcher itself, which would look for an interpreter on a PATH that need not have ours.
    (home / "bin").mkdir()
    (home / "bin" / "git-ocuroot").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAM}" "$@"\n')
    (home / "bin" / "git-ocuroot").chmod(0o755)
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GIT_", "OCUROOT_", "XDG_")) or name in ("NO_COLOR", "PAGER", "LESS", "LC_ALL", "LANGUAGE"):
            del os.environ[name]
    os.environ.update(
        HOME=str(home),
        GIT_CONFIG_NOSYSTEM="1",
        LC_ALL="C.UTF-8",
        TERM="dumb",
        PATH=f"{home / 'bin'}{os.pathsep}{before['PATH']}",
    )
    # Under nohup and in the background of a script, SIGINT is ignored; what is started here would inherit that.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield home
    signal.signal(signal.SIGINT, interrupt)
    os.environ.clear()
    os.environ.update(before)


class Repo:
    """A repository in a directory, with git and `git ocuroot` run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, check: bool = True, **options: object) -> str:
        """Run git; gives its stdout without the last newline."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return str(done.stdout).removesuffix("\n")

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run `git ocuroot` as a process; see `ocuroot` for the short way to its stdout."""
        return run_program(*arguments, cwd=self.path, **options)

    def ocuroot(self, *arguments: str, **options: object) -> str:
        """Run `git ocuroot`, which must succeed without a word on stderr; gives stdout without the last newline."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return done.stdout.removesuffix("\n")

    def value(self, ref: str, *arguments: str) -> object:
        """The document at a ref, through the command line."""
        return json.loads(self.ocuroot("get", *arguments, ref))


def run_program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program with this interpreter, as `git ocuroot` would; text in and out."""
    options.setdefault("text", True)
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, check=False, timeout=300, **options
    )


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """An empty repository."""
    path = tmp_path / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    return made


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with an empty store, to be copied."""
    path = tmp_path_factory.mktemp("store") / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    made.ocuroot("init", "-q")
    return path


@pytest.fixture
def store(store_template: Path, tmp_path: Path) -> Repo:
    """A repository with an empty store on the branch `state`."""
    return Repo(Path(shutil.copytree(store_template, tmp_path / "repo")))


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Make more repositories: `make_repo("name", "--bare")`."""

    def make(name: str, *options: str) -> Repo:
        path = tmp_path / name
        path.mkdir()
        made = Repo(path)
        made.git("init", "-q", *options)
        return made

    return make


def unpack(name: str, where: Path) -> Path:
    """Unpack one of the original's stores (`v1`, `v3`); gives the directory that holds `state` and perhaps `intent`."""
    with tarfile.open(CONFORMANCE / "stores" / f"{name}.tar") as archive:
        archive.extractall(where)
    return where


def check_golden(name: str, text: str) -> None:
    """Compare a longer output with the file of that name in `golden/`; `GOLDEN=write make test` writes it anew."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != wanted:
        difference = difflib.unified_diff(
            wanted.splitlines(keepends=True), text.splitlines(keepends=True), f"tests/golden/{name}", "what was printed"
        )
        raise AssertionError("".join(difference) + "\nif that is meant to be: GOLDEN=write make test")


SHOP = "github.com/example/shop/-/api/release.ocu.star"
SHOP_INSTRUCTIONS = f"""\
set @/environment/production {{"name": "production", "attributes": {{"type": "prod", "region": "eu"}}}}
set @/environment/staging {{"name": "staging", "attributes": {{"type": "staging"}}}}
set @/custom/freeze {{"until": "2027-01-04", "by": "Zoë"}}
set {SHOP}/@1 {{"commit": "aaa1"}}
set {SHOP}/@1/commit/aaa1 {{"time": "2026-10-01T12:00:00Z"}}
set {SHOP}/@1/call/build {{"type": "call", "output": {{"download_url": "https://example.com/1", "sizes": [10, 1.50]}}}}
set {SHOP}/@1/call/build/1/status/complete {{"time": "2026-10-01T12:01:00Z"}}
set {SHOP}/@1/deploy/production {{"type": "up"}}
set {SHOP}/@2 {{"commit": "bbb2"}}
set {SHOP}/@2/commit/bbb2 {{"time": "2026-10-02T12:00:00Z"}}
set {SHOP}/@10 {{"commit": "ccc3"}}
set {SHOP}/@10/call/build {{"type": "call", "output": {{"download_url": "https://example.com/10", "sizes": []}}}}
set {SHOP}/+/deploy/production {{"release": "{SHOP}/@10"}}
set +/environment/production {{"name": "production", "attributes": {{"type": "prod", "region": "eu"}}}}
link {SHOP}/@ {SHOP}/@10
link {SHOP}/@v1.0 {SHOP}/@1
link {SHOP}/@/call/build {SHOP}/@10/call/build
link {SHOP}/@/deploy/production {SHOP}/@1/deploy/production
depend {SHOP}/@1/deploy/production {SHOP}/@1/call/build
"""


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a small store of a shop, to be copied."""
    path = tmp_path_factory.mktemp("shop") / "repo"
    path.mkdir()
    made = Repo(path)
    made.git("init", "-q")
    made.git("remote", "add", "origin", "https://github.com/example/shop.git")
    made.ocuroot("init", "-q", "--offline")
    date = "2026-10-02T12:00:00Z"
    dated = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    made.ocuroot("update", "--stdin", "-m", "open the shop", input=SHOP_INSTRUCTIONS, env=dated)
    return path


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Repo:
    """A repository with the store that `SHOP_INSTRUCTIONS` make, on the branch `state`."""
    return Repo(Path(shutil.copytree(shop_template, tmp_path / "shop")))
