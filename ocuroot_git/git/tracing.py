"""What `GIT_TRACE_OCUROOT` asks for: the commands that are run, and where a fault came from (as git's `GIT_TRACE`)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

VARIABLE: Final = "GIT_TRACE_OCUROOT"


def is_tracing(environ: Mapping[str, str]) -> bool:
    """Whether a trace is asked for."""
    return environ.get(VARIABLE, "").lower() not in ("", "0", "false", "no", "off")


def trace(environ: Mapping[str, str], text: str) -> None:
    """Write a line to where the trace goes: stderr (1, true), a descriptor (2 to 9), or a file (an absolute path).

    Secrets are left out, and what controls a terminal is escaped. What cannot be written is lost: a trace never stops
    a command.
    """
    if not is_tracing(environ):
        return
    from ..redaction import redact

    destination = environ[VARIABLE]
    shown = (char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in redact(text))
    line = f"ocuroot: {''.join(shown)}\n".encode(errors="backslashreplace")
    try:
        if destination.startswith("/"):
            with open(destination, "ab") as file:
                file.write(line)
        else:
            os.write(int(destination) if destination in "23456789" else 2, line)
    except OSError:
        pass
