"""A checkout of a store: which stores are meant where there is no `repo.ocu.star`, but what Ocuroot keeps of them.

CI that starts when the branch of a store moves has that branch checked out. Ocuroot keeps the `repo.ocu.star` of each
repository in its stores, and takes from there where they are. It is as much anybody's word as one in a work tree.
"""

from __future__ import annotations

import os

from ..errors import Fatal
from ..formats.kept_source import source_of
from ..formats.layout import REFS, Damaged, StoredObject, StoredRef, object_path, split_target
from ..formats.refs import INTENT, STATE
from .trust import REPO_FILE, read_plain_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def kept_repo_file(store: str) -> tuple[str, str] | None:
    """The first repository of which a store in a directory keeps the `repo.ocu.star`, and the text of the newest that
    it keeps of it; None for none. Raises Fatal where that cannot be read."""
    for repo in _repositories(os.path.join(store, REFS), ""):
        text = _newest(store, repo)
        if text is not None:
            return repo, text
    return None


def _repositories(directory: str, name: str) -> Iterator[str]:
    """The names of repositories with a `repo.ocu.star` below a directory of refs, sorted. No links are followed."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    if name and "-" in below and os.path.isdir(os.path.join(directory, "-", REPO_FILE)):
        yield name
    for one in below:
        if one != "-" and one[0] not in "@+":
            yield from _repositories(os.path.join(directory, one), f"{name}/{one}" if name else one)


def _newest(store: str, repo: str) -> str | None:
    head = f"{repo}/-/{REPO_FILE}/"
    link = _object(store, f"{head}{STATE}") or _object(store, f"{head}{INTENT}")  # as an early intent store has it
    if link is None:
        return None
    found = _object(store, split_target(link.target)[0]) if link.target is not None else link
    body = found.body if found is not None else None
    try:
        return source_of(body)
    except ValueError:
        raise Fatal(f"the store that is checked out here keeps no text as the {REPO_FILE} of '{repo}'") from None


def _object(store: str, ref: str) -> StoredObject | None:
    path = object_path(StoredRef(ref))
    if ".." in path.split("/"):
        raise Damaged(path, "it leads out of the store")
    data = read_plain_file(os.path.join(store, path), path)
    return StoredObject.read(data, path) if data is not None else None
