"""What a clone that lacks objects counts as promised: what its remote has, and it may ask for again.

Git counts what came in a pack that was fetched as promised, and whatever such a pack leads to. A commit that was made
here, and pushed, becomes so with the first commit of others that comes after it; then `git gc` takes it for one that
need not be kept, and two weeks later throws it away (mended in git 2.48). But git does not ask for a commit again that
it needs to talk to the remote. So all that is here is put into packs that count as fetched, before git tidies up.
"""

from __future__ import annotations

import os

from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

KEPT: Final = ("-c", "gc.pruneExpire=never")
"""Lets `git gc` throw nothing away that is in no pack."""
_SAMPLE: Final = "17"
"""A directory of loose objects by which git guesses how many there are."""
_MANY: Final = 4
"""Objects in it, of about a thousand in all, from which on they are put into a pack: git does that from 27 on."""
_NAME: Final = 38


def mark_promised(git_dir: str, environ: Mapping[str, str]) -> None:
    """Count all objects of a repository as promised by its remote. Raises GitError."""
    objects = os.path.join(git_dir, "objects")
    is_packed = len(_listed(os.path.join(objects, _SAMPLE))) >= _MANY
    if is_packed:
        fans = [name for name in _listed(objects) if len(name) == 2]
        loose = [fan + name for fan in fans for name in _listed(os.path.join(objects, fan)) if len(name) == _NAME]
        data = "".join(f"{oid}\n" for oid in loose).encode()
        run(["pack-objects", "--quiet", os.path.join(objects, "pack", "pack")], environ, data=data)
    packs = os.path.join(objects, "pack")
    names = {*_listed(packs)}
    for name in names:
        head, _, ending = name.rpartition(".")
        if ending == "pack" and head.startswith("pack-") and f"{head}.promisor" not in names:
            os.close(os.open(os.path.join(packs, f"{head}.promisor"), os.O_WRONLY | os.O_CREAT, 0o444))
    if is_packed:
        run(["prune-packed", "--quiet"], environ)


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
