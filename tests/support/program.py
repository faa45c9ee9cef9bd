"""The program under test as a process, and where the files of this project lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent.parent
FIXTURES = TOP / "fixtures"
CONFORMANCE = FIXTURES / "conformance"
PROGRAM = TOP / "bin" / "git-ocuroot"


def run_program(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run the program with this interpreter, as `git ocuroot` would; text in and out, or bytes with `text=False`."""
    options.setdefault("text", True)
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, check=False, timeout=300, **options
    )
