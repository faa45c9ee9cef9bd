"""Make anew, on top of what a remote's branch has, what was changed in the local one (design 8.3)."""

from __future__ import annotations

import os

from ..errors import Conflict
from ..formats.commit_message import compose, operations_of
from ..formats.operation import Operation
from .merge import merge_trees, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..backends.base import Version
    from ..git.objects import Changes, Node, Oid
    from .merge import Choice, Layouts, ValueConflict
    from .remote_branch import RemoteBranch


class Replay:
    """A commit that makes `changes` to the tree of the remote's branch; the tip itself where there are none to make."""

    __slots__ = ("_tree", "_writer", "changes", "commit")

    def __init__(
        self, remote_branch: RemoteBranch, ours: Version, theirs: Oid, choice: Choice, layouts: Layouts
    ) -> None:
        """Make the commit, with `theirs` as its parent, of all that was changed in `ours` since the two parted.

        Raises Conflict where both sides changed a document and `choice` does not decide, Fatal for unrelated histories.
        """
        assert ours.oid is not None
        branch, repository = remote_branch.branch, remote_branch.repository
        base = remote_branch.parting_point(ours.oid, theirs)
        self._tree: Node = repository.root(theirs)
        self._writer = branch.writer
        merged = merge_trees(repository, repository.root(base), ours.root, self._tree, choice, layouts)
        if merged.conflicts:
            raise _conflict(merged.conflicts, remote_branch.remote)
        self.changes: Changes = merged.changes
        self.commit = theirs
        if self.changes:
            branch.begin_write()
            tree = self._writer.edit(self._tree, self.changes)
            refs = [shown(path, layouts) for path in sorted(self.changes)]
            message = _message(remote_branch, base, ours.oid, refs)
            self.commit = branch.committer.commit(self._writer, tree, [theirs], message)

    def keep(self, remote_branch: RemoteBranch) -> None:
        """See that all objects of the commit stay, to which the branch leads now. Raises Fatal."""
        if self.changes:
            remote_branch.branch.keep(self.commit, self.changes, lambda: self._writer.edit(self._tree, self.changes))


def _message(remote_branch: RemoteBranch, base: Oid, ours: Oid, refs: list[str]) -> str:
    """The message of a replay: it says what was replayed, and bears the names of all operations in it (P4)."""
    log = ("log", "--no-show-signature", "--reverse", "--encoding=UTF-8", "--format=%B%x00")
    text = remote_branch.git(*log, f"{base}..{ours}", "--")
    messages = [message.lstrip("\n") for message in text.split("\0") if message.strip()]
    operations = [operation for message in messages for operation in operations_of(message)]
    subject = messages[0].partition("\n")[0] if len(messages) == 1 else f"replay {len(messages)} commits"
    made_up = Operation(os.urandom(16).hex(), is_named=False)
    return compose(dict.fromkeys(refs), "sync", operations or [made_up], subject)


def _conflict(conflicts: list[ValueConflict], remote: str) -> Conflict:
    values = "; ".join(
        f"'{conflict.where}' is {conflict.ours} here and {conflict.theirs} on '{remote}'" for conflict in conflicts
    )
    return Conflict(f"changed on both sides: {values}", hint="--ours or --theirs decides, for all of them")
