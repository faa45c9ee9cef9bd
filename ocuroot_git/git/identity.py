"""Who writes, as git would have it: asked of `git var`."""

from __future__ import annotations

import time

from .objects import Identity
from .program import GitError, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .program import Child

NOBODY: Final = ("Ocuroot", "ocuroot@localhost")
"""Name and email where git knows of nobody."""


class Identities:
    """Author and committer as git would choose them, asked of `git var` once; the time moves on unless it is set."""

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._children = {
            role: start(["-C", directory, "var", f"GIT_{role}_IDENT"], environ) for role in ("AUTHOR", "COMMITTER")
        }
        self._known: list[Identity] = []

    def now(self) -> tuple[Identity, Identity]:
        """Author and committer of a commit made now; `Ocuroot <ocuroot@localhost>` where git knows none."""
        if not self._known:
            self._known = [self._read(role, self._children.pop(role)) for role in ("AUTHOR", "COMMITTER")]
        author, committer = (
            known
            if f"GIT_{role}_DATE" in self._environ
            else Identity(known.name, known.email, int(time.time()), known.offset)
            for role, known in zip(("AUTHOR", "COMMITTER"), self._known)
        )
        return author, committer

    def drop(self) -> bool:
        """End what still runs because nobody asked for its answer; whether there was such."""
        dropped = bool(self._children)
        while self._children:
            self._children.popitem()[1].drop()
        return dropped

    def _read(self, role: str, child: Child) -> Identity:
        status, out, stderr = child.finish()
        if status == 0:
            return _parse_identity(out)
        if (
            f"GIT_{role}_DATE" in self._environ
        ):  # it is more likely wrong than that nobody is known, and must not be lost
            raise GitError(["var", f"GIT_{role}_IDENT"], status, stderr)
        return Identity(*NOBODY, int(time.time()), 0)


def _parse_identity(out: bytes) -> Identity:
    """Read what `git var GIT_AUTHOR_IDENT` said: `Name <email> seconds +0100`."""
    text = out.decode(errors="replace").strip()
    who, _, when = text.rpartition("> ")
    name, _, email = who.partition(" <")
    seconds, _, zone = when.partition(" ")
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return Identity(name, email, int(seconds), -minutes if zone.startswith("-") else minutes)
