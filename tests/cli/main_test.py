"""Help, version, and what stands before a command; as processes, whose whole output is compared."""

from __future__ import annotations

import re

import pytest
from support.golden import check_golden
from support.program import run_program
from support.repositories import Repo

from ocuroot_git.cli.main import COMMANDS

pytestmark = pytest.mark.new_interpreter


@pytest.mark.parametrize("command", COMMANDS)
def test_usage(command: str) -> None:
    done = run_program(command, "-h")
    assert (done.returncode, done.stderr) == (129, "")
    check_golden(f"usage/{command}.txt", done.stdout)
    done_long = run_program(command, "--help")
    assert (done_long.returncode, done_long.stdout, done_long.stderr) == (0, done.stdout, "")


@pytest.mark.parametrize("words", [["blame"], ["incident", "open"], ["-q", "work", "any"]])
def test_help_of_a_command(words: list[str]) -> None:
    asked = run_program("help", *words)
    done = run_program(*words, "--help")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, done.stdout, "") and "usage: " in asked.stdout
    wrong = run_program("help", "blmae")
    assert wrong.returncode == 129 and "did you mean 'blame'?" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(["-h"], 0), (["--help"], 0), (["help"], 0), ([], 129), (["state"], 129)]
)
def test_overview(words: list[str], status: int) -> None:
    done = run_program(*words)
    assert (done.returncode, done.stderr) == (status, "")
    check_golden("usage/overview.txt", done.stdout)


def test_version() -> None:
    done = run_program("--version")
    assert re.fullmatch(r"git-ocuroot version \d+\.\d+\.\d+\n", done.stdout), done.stdout
    assert run_program("version").stdout == done.stdout


def test_it_is_a_git_command(shop: Repo) -> None:
    assert shop.git("ocuroot", "get", "@/environment/staging#name") == '"staging"'
    assert shop.git("-c", "alias.env=ocuroot get @/environment/staging#name", "env") == '"staging"'


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["-q", "get", "@/custom/freeze#by"], '"Zoë"\n'),
        (["-qv", "--offline", "get", "--format=raw", "@/custom/freeze#by"], "Zoë\n"),
        (["--package", "api/release.ocu.star", "--release=1", "get", "./call/build#type"], '"call"\n'),
        (["--max-age", "60", "state", "-q", "match", "@/environment/s*"], "@/environment/staging\n"),
        (["-q", "release", "--max-age=3", "list", "//none"], ""),
        (["--operation", "x", "-q", "set", "+/custom/x", "1"], ""),
        (["-q", "--version"], "git-ocuroot version"),
    ],
)
def test_common_options_before_the_command(shop: Repo, words: list[str], printed: str) -> None:
    done = shop.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed or (printed and done.stdout.startswith(f"{printed} "))
    assert shop.run("-q", "export", "out", "--offline").stderr == ""
