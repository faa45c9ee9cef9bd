"""Tidying up the clone that a remote store keeps, which lacks objects, without losing any that git needs.

Git counts what came in a pack that was fetched as promised by the remote, and whatever such a pack leads to. A commit
that was made here, and pushed, becomes so with the first commits of others that come after it; then `git gc` takes it
for one that need not be kept, and two weeks later throws it away (mended in git 2.48). But git does not ask for a
commit again that it needs to talk to the remote. So all that is here is put into packs that count as fetched, before
git tidies up, and nothing else is thrown away.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from .loose import NAME_LENGTH, listed
from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_MAINTENANCE: Final = (
    # A bare repository gets bitmaps by default, and git 2.39 fails where objects are missing for them.
    *("-c", "gc.autoDetach=false", "-c", "repack.writeBitmaps=false", "-c", "gc.pruneExpire=never"),
    *("maintenance", "run", "--auto", "--quiet"),
)
_SAMPLE: Final = "17"
"""A directory of loose objects by which git guesses how many there are."""
_MANY: Final = 4
"""Objects in it, of about a thousand in all, from which on they are put into a pack: git does that from 27 on."""
_HALF_MADE: Final = ("tmp_", ".tmp-")
"""How git begins the names of packs, and of what belongs to them, before they are whole."""
_LONGEST_MAKING: Final = 3600
"""Seconds since a git last wrote to one after which it must have been killed."""


def tidy_up(git_dir: str, environ: Mapping[str, str]) -> None:
    """Let git put many small packs together; it decides by itself when. Raises GitError, OSError.

    To be called while nobody else fetches into the repository; `environ` is one in which git finds it.
    """
    objects = os.path.join(git_dir, "objects")
    _remove_half_made_packs(os.path.join(objects, "pack"))
    _mark_promised(objects, environ)
    run(_MAINTENANCE, environ)


def _remove_half_made_packs(packs: str) -> None:
    """Remove those of gits that were killed. Git itself keeps some for two weeks, and others for ever."""
    for name in listed(packs):
        path = os.path.join(packs, name)
        with suppress(OSError):  # what cannot be removed now, the next command tries again
            if name.startswith(_HALF_MADE) and os.stat(path).st_mtime < time.time() - _LONGEST_MAKING:
                os.unlink(path)


def _mark_promised(objects: str, environ: Mapping[str, str]) -> None:
    """Let all objects count as promised by the remote: in packs, where there are many that are in none."""
    packs = os.path.join(objects, "pack")
    has_many = len(listed(os.path.join(objects, _SAMPLE))) >= _MANY
    if has_many:
        fans = [name for name in listed(objects) if len(name) == 2]
        oids = [fan + name for fan in fans for name in listed(os.path.join(objects, fan)) if len(name) == NAME_LENGTH]
        run(["pack-objects", "--quiet", os.path.join(packs, "pack")], environ, data="\n".join((*oids, "")).encode())
    names = {*listed(packs)}
    for name in names:
        head, _, ending = name.rpartition(".")
        if ending == "pack" and head.startswith("pack-") and f"{head}.promisor" not in names:
            os.close(os.open(os.path.join(packs, f"{head}.promisor"), os.O_WRONLY | os.O_CREAT, 0o444))
    if has_many:
        run(["prune-packed", "--quiet"], environ)
