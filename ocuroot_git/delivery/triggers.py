"""Letting others know that there is work: the function that a repository's `repo.ocu.star` gives to `trigger`.

A release is worked on at its commit. Where that is another repository's, the store may hold its `repo.ocu.star`, and
the function there starts a job, as its authors know how: it is called with the commit. It runs as the commands of
packages do, which are in the store as well.
"""

from __future__ import annotations

import os

from ..config.trust import REPO_FILE
from ..errors import Fatal
from ..formats import kept_source
from ..formats.documents import dump, to_bytes
from ..formats.layout import OBJECT_FILE, REFS
from . import child_command
from .problems import BadDocument, Problems
from .queries import prefetch, state_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from ..packages.permissions import Permissions
    from ..store.snapshot import Snapshot
    from .child_command import Stop

CALLED: Final = "called"
NONE: Final = "none"
FAILED: Final = "failed"


class Triggered:
    """What came of it: `called`; `none`, where the file gives no function; or `failed`, and why."""

    def __init__(self, how: str, why: str = "", hint: str | None = None) -> None:
        self.how = how
        self.why = why
        self.hint = hint


def repositories(snapshot: Snapshot, problems: Problems) -> list[tuple[str, str]]:
    """The repositories that the store has the `repo.ocu.star` of, each with the newest commit of which it has it."""
    found = []
    for ref in snapshot.match(f"**/-/{REPO_FILE}/@", side="state"):
        repo = ref.partition("/-/")[0]
        with problems.leave_out(ref):
            commit = snapshot.resolve(ref).rpartition("@")[2]
            if not commit:
                raise BadDocument(ref, "it leads to no commit")
            found.append((repo, commit))
    return found


def knows_others(snapshot: Snapshot, here: str) -> bool:
    """Whether the store has the `repo.ocu.star` of any repository but one. Nothing below repositories is read."""
    tree = state_tree(snapshot)
    level = [""]
    while level:
        prefetch(tree, level, "self")
        below = []
        for head in level:
            path = f"{REFS}/{head}" if head else REFS
            if head != here and tree.node(f"{path}/-/{REPO_FILE}") is not None:
                return True
            names = (name for name in tree.names(path) if name[0] not in "@+" and name not in ("-", OBJECT_FILE))
            below += [f"{head}/{name}" if head else name for name in names]
        level = below
    return False


def source_of(snapshot: Snapshot, repo: str, commit: str) -> str | None:
    """The `repo.ocu.star` of a repository at a commit, as the store has it; None for none. Raises BadDocument."""
    ref = f"{repo}/-/{REPO_FILE}/@{commit}"
    if not snapshot.exists(ref):
        return None
    document = snapshot.get(ref)
    try:
        return kept_source.source_of(document)
    except ValueError:
        raise BadDocument(ref, "its source is no text in base 64") from None


def call(
    source: str,
    commit: str,
    *,
    environ: Mapping[str, str],
    permissions: Permissions,
    directory: str,
    stop: Stop,
    output: Callable[[str], None],
) -> Triggered:
    """Call the function of a `repo.ocu.star` with a commit, in a directory; `output` is given the lines it prints."""
    import tempfile  # late: mostly nothing is to be called

    from ..packages.calling import Answers, command

    request = {
        "source": source,
        "path": REPO_FILE,
        "top": directory,
        "trigger": commit,
        "visible": sorted(permissions.environ),
        "shell": permissions.shell is not None,
    }

    def printed(messages: list[str], stream: int, attributes: dict[str, str]) -> None:
        for message in messages:
            output(message)

    answers = Answers(printed)

    with tempfile.TemporaryDirectory(prefix="git-ocuroot-") as scratch:
        stdin = os.path.join(scratch, "input")
        with open(stdin, "wb") as file:
            file.write(to_bytes(dump(request, None)))
        try:
            ended = child_command.run(
                command(),
                environ=environ,
                directory=directory,
                stdin=stdin,
                timeout=None,
                stop=stop,
                output=answers.feed,
                tick=lambda: _OFTEN,
            )
        except Fatal as error:
            return Triggered(FAILED, error.message, error.hint)
    result = answers.result
    if result is None:
        return Triggered(FAILED, ended.why or answers.missing(ended.status))
    if "error" in result:
        return Triggered(FAILED, result["error"], result["hint"])
    return Triggered(CALLED if result["triggered"] else NONE)


_OFTEN: Final = 3600.0
"""Nothing is due while a function is called; signals wake who waits for it."""
