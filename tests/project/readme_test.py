"""The examples in README.md and in docs/ are run, in order, and print what they say they print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.program import FIXTURES, TOP

PAGES = ["README.md", *sorted(str(page.relative_to(TOP)) for page in (TOP / "docs").glob("*.md"))]


def examples(text: str) -> list[tuple[str, str]]:
    """The commands in the ```console blocks of a page, and what is printed after each; `...` stands for anything."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            taken = 1
            while lines[taken - 1].endswith("\\") or (taken < len(lines) and lines[taken].startswith("> ")):
                taken += 1
            command = "\n".join(line.removeprefix("> ") for line in lines[:taken])
            found.append((command, "\n".join(lines[taken:]).rstrip("\n")))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_examples(page: str, tmp_path: Path) -> None:
    """Each page is one session of a shell that starts in an empty directory; `$FIXTURES` is the folder of that name."""
    pairs = examples((TOP / page).read_text(encoding="utf-8"))
    script = "".join(f"{command}\nprintf '\\036%s\\036' $?\n" for command, _ in pairs)
    environ = {**os.environ, "FIXTURES": str(FIXTURES), "GIT_PAGER": "cat"}
    done = subprocess.run(
        ["sh"], input=script, cwd=tmp_path, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    answers = done.stdout.split("\036")
    assert len(answers) == 2 * len(pairs) + 1, done.stdout
    for (command, expected), printed in zip(pairs, answers[::2]):
        pattern = re.escape(expected).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL), (
            f"$ {command}\n{printed}\n--- expected\n{expected}"
        )


def test_the_demo_runs(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(["sh", str(FIXTURES / "demo.sh")], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"url": "https://shop.example.com"' in done.stdout
    assert "github.com/example/shop.git/-/frontend/package.ocu.star/@r1/commit/4f1c2d3e" in done.stdout
    assert not list(tmp_path.iterdir())
