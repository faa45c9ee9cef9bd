"""Which packages a new commit asks to be released anew: Ocuroot's `push` (design 14).

Those whose file changed, and those that watch a path that did: `done(watch = […])` of what is current says so. The
commit that was looked at last is kept where Ocuroot keeps it, so that either program goes on where the other ended.
"""

from __future__ import annotations

import re

from ..config.trust import REPO_FILE
from ..formats.documents import same
from ..formats.globs import Glob
from ..packages.evaluate import is_starlark
from .fields import fields_of
from .queries import packages, releases, state_tree
from .run_queries import current, read_run, work_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .fields import Fields
    from .problems import Problems

_CODE: Final = ".ocu.star"


def commit_before(snapshot: Snapshot, repo: str, commit: str) -> str | None:
    """The commit whose packages were released before those of `commit`; None for none. Raises ModelError."""
    index = _index(snapshot, repo)
    if index is None:
        return None
    name = "previous_commit" if index.get("commit") == commit else "commit"
    return str(index.get(name) or "") or None


def packages_at(snapshot: Snapshot, repo: str, paths: Iterable[str]) -> list[str]:
    """The packages among the files of a commit: all `*.ocu.star` but that of the repository, and those of other files
    that have been released."""
    released = {one.partition("/-/")[2] for one in packages(state_tree(snapshot)) if one.startswith(f"{repo}/-/")}
    found = []
    for path in sorted(paths):
        name = path.rpartition("/")[2]
        is_code = name.endswith(_CODE) and name != REPO_FILE
        if is_code or (path in released and not is_starlark(path)):
            found.append(f"{repo}/-/{path}")
    return found


def without_ignored(found: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Packages without those whose paths match a pattern of `release_ignore`, in which `*` goes across `/` as well.

    Raises GlobError.
    """
    globs = [Glob(re.sub(r"\*+", "**", pattern)) for pattern in patterns]
    return [one for one in found if not any(glob.matches(one.partition("/-/")[2]) for glob in globs)]


def asked_for(snapshot: Snapshot, found: Iterable[str], changed: Sequence[str], problems: Problems) -> list[str]:
    """Those of some packages whose own file was changed, or a path that begins with one that they watch."""
    files = set(changed)
    wanted = []
    for package in found:
        if package.partition("/-/")[2] in files:
            wanted.append(package)
            continue
        watched = tuple(path for path in watched_by(snapshot, package, problems) if path)
        if any(path.startswith(watched) for path in changed):
            wanted.append(package)
    return wanted


def watched_by(snapshot: Snapshot, package: str, problems: Problems) -> list[str]:
    """The paths that a package watches: those of the current run of each piece of work of its newest release."""
    found: set[str] = set()
    numbers = releases(snapshot, package, problems)
    release = state_tree(snapshot).layout.release(package, numbers[-1]) if numbers else None
    for work in work_of(snapshot, release) if release is not None else ():
        with problems.leave_out(work.current):
            run = current(snapshot, work.current)
            found.update(read_run(snapshot, run).watch if run is not None and run.number else ())
    return sorted(found)


def keep_commit(stores: Stores, repo: str, commit: str, made: Sequence[str], problems: Problems) -> None:
    """Keep that the packages of a commit were released, and what those that were (`made`) watch."""

    def change(tx: Transaction) -> None:
        before = _index(tx, repo) or {}
        configs = before.get("release_configs")
        configs = dict(configs) if isinstance(configs, dict) else {}
        for package in made:
            configs[package] = {"watch_files": watched_by(tx, package, problems)}
        index: Fields = {
            **before,
            "commit": commit,
            "previous_commit": commit_before(tx, repo, commit) or "",
            "release_configs": configs,
        }
        ref = f"{repo}/-/{REPO_FILE}/@{commit}/push/index"
        if not same(tx.get(ref, None), index):
            tx.set(ref, index)
        tx.link(_place(repo), ref)

    message = f"released what changed by {commit[:12]}"
    stores.transact(change, command="release changed", message=message)


def _place(repo: str) -> str:
    return f"{repo}/-/{REPO_FILE}/@/push/index"


def _index(snapshot: Snapshot, repo: str) -> Fields | None:
    """What was kept last; None where nothing was. Raises ModelError."""
    link = snapshot.object(_place(repo))
    if link is None:
        return None
    ref = snapshot.resolve(_place(repo))
    if not snapshot.exists(ref):
        return None
    return fields_of(snapshot.get(ref), f"'{ref}'")
