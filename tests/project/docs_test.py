"""The manual page, the completions and the README are in step with the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.delivering import want_environment
from support.program import TOP
from support.repositories import Repo

sys.path.insert(0, str(TOP / "man"))
import generate

from ocuroot_git.cli.main import COMMANDS, load

LATER = [["get"], ["--offline"], ["--max-age"], ["fsck"]]
"""Completions after options that stand before the command."""


@pytest.mark.parametrize("name", generate.FILES)
def test_made_files_are_in_step(name: str) -> None:
    assert (TOP / name).read_text(encoding="utf-8") == generate.FILES[name](), (
        "run 'make docs' and commit what it makes"
    )


def test_every_command_is_in_the_readme_and_has_its_name() -> None:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert load(name).name == name
        assert all(command.name.split()[0] == name for command in generate.commands(name))
        assert f"`{name}" in readme, name


def test_every_command_has_its_module() -> None:
    modules = {path.stem.rstrip("_") for path in (TOP / "ocuroot_git" / "cli" / "commands").glob("*.py")} - {""}
    assert modules - {"__init"} == set(COMMANDS)


def test_bash_completion(store: Repo, tmp_path: Path) -> None:
    """The function is called as git's completion calls it, with stand-ins for what git and bash-completion provide."""
    want_environment(store, "production")
    want_environment(store, "staging")
    script = tmp_path / "complete.bash"
    script.write_text(
        """
_get_comp_words_by_ref () { words=("${TEST_WORDS[@]}"); cword=$((${#words[@]} - 1)); cur=${words[cword]}; }
__gitcomp () { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
source "$1"
complete_words () { TEST_WORDS=(git ocuroot "$@"); COMPREPLY=(); _git_ocuroot; printf '%s\\n' "${COMPREPLY[@]}" --; }
complete_words ma
complete_words get +/environment/s
complete_words match --no-
complete_words state fs
complete_words run st
complete_words run finish --st
complete_words -q --package web ge
complete_words --off
complete_words --offline get --max
complete_words state -q fs
"""
    )
    done = subprocess.run(
        ["bash", str(script), str(TOP / "completion" / "git-ocuroot.bash")],
        cwd=store.path,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    answers = [answer.split() for answer in done.stdout.split("--\n")]
    assert answers == [
        ["match"],
        ["+/environment/staging"],
        ["--no-links"],
        ["fsck"],
        ["start"],
        ["--status"],
        *LATER,
        [],
    ], done


def test_the_manual_page_is_good_roff() -> None:
    groff = shutil.which("groff") or shutil.which("mandoc")
    text = (TOP / "man" / "git-ocuroot.1").read_text(encoding="utf-8")
    for line in text.splitlines():
        assert not line.startswith("'"), line
        if line.startswith("."):
            assert line.split()[0] in (".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".RS", ".RE", ".nf", ".fi"), line
    if groff:
        words = ["-man", "-Tutf8", "-Kutf8", "-ww"] if groff.endswith("groff") else ["-Tlint", "-Wwarning"]
        done = subprocess.run([groff, *words, str(TOP / "man" / "git-ocuroot.1")], capture_output=True, text=True)
        assert not done.stderr, done.stderr
