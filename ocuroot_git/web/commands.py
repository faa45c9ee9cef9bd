"""The command that shows in a terminal what a page shows. Pure."""

from __future__ import annotations

import shlex
from typing import Any

from ..formats.globs import escape

_LISTS = {
    "/": "status",
    "/deployments": "deployments",
    "/packages": "release list",
    "/work": "work list",
    "/diff": "diff -p",
    "/commits": "log",
    "/environments": "match '@/environment/*'",
    "/custom": "match '{@,+}/custom/**' '**/@*/custom/**'",
}
_OF_ANY_MOMENT = ("deployments", "get", "match")
"""The commands that show how it was."""


def command_of(path: str, page: dict[str, Any], at: str | None) -> str:
    """The command for what a page shows, by its path and content, at a moment; empty where there is none."""
    if path.startswith("/commit/"):
        return f"git ocuroot log -p -1 --at {page['commit']}"
    if path.startswith("/history/"):
        return f"git ocuroot log -p {shlex.quote(page['ref'])}"
    if path.startswith("/ref/"):
        what = _of_ref(page["kind"], page["ref"])
    elif path == "/search":
        # What words find no command finds.
        what = f"match {shlex.quote(page['glob'])}" if page["glob"] and (page["total"] or not page["groups"]) else ""
    else:
        what = _LISTS.get(path, "")
    if not what or (at and not what.startswith(_OF_ANY_MOMENT)):
        return ""
    return f"git ocuroot {what}{f' --at {shlex.quote(at)}' if at else ''}"


def _of_ref(kind: str, ref: str) -> str:
    command, what = {
        "package": ("release list", ref),
        "repository": ("match", f"{escape(ref.removesuffix('/-'))}/-/**/@"),
        "release": ("release show", ref),
        "run": ("logs", ref),
        "log": ("logs", ref.removesuffix("/logs")),
        "work": ("logs", ref),
        "environment": ("deployments --environment", ref.rpartition("/")[2]),
    }.get(kind, ("get", ref))
    return f"{command} {shlex.quote(what)}"
