"""The branch of a remote that a local branch is shared with, as this repository knows it (design 8.3).

All git commands run in the user's own repository, and touch no more than `refs/remotes/<remote>/<branch>`, as plain
`git fetch` would. What others rewrote is reported, never followed (P7).
"""

from __future__ import annotations

import os

from ..errors import Fatal
from ..git.contact import Contact
from ..git.failures import TransportError
from ..git.objects import Oid
from ..git.program import GitError, run
from ..git.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    from ..backends.branch import Branch

    class SharingSettings(Protocol):
        """What the user said of remotes, as far as sharing a branch needs it."""

        @property
        def offline(self) -> bool:
            """Whether no remote is to be asked."""

        @property
        def timeout(self) -> float:
            """Seconds for which a lost race is tried again."""

        @property
        def tell(self) -> Callable[[str], None] | None:
            """What is told of each thing that is tried again, and why."""

        def remotes(self) -> list[str]:
            """The remotes that have a URL."""

        def remotes_for(self, branch: str) -> list[str]:
            """The remote that a local branch is shared with; all there are where nothing says which."""

        def tracking_branch(self, branch: str) -> str | None:
            """The only remote-tracking branch of that name, if there is just one."""


_FIRST_DEEPENING: Final = 64
"""Commits of history fetched at first where a shallow clone has too few; then four times as many, and so on."""


class RemoteBranch:
    """The branch of a remote, and how a local branch of the same name stands to it."""

    def __init__(self, settings: SharingSettings, branch: Branch, remote: str) -> None:
        self.branch = branch
        self.remote = remote
        self.repository = branch.repository
        self.tracking = f"refs/remotes/{remote}/{branch.name}"
        self._directory = self.repository.work_tree or self.repository.git_dir
        self.transport = Transport(self._directory, branch.environ, remote, remote, settings.timeout, settings.tell)

    def known(self) -> Oid | None:
        """Where the remote's branch stood at the last contact."""
        return self.repository.tip(self.tracking)

    @property
    def contact(self) -> Contact:
        """When the remote was last asked by these commands."""
        return Contact(
            os.path.join(self.repository.common_dir, "ocuroot", "contact", self.remote, self.branch.name, "at")
        )

    def fetch(self) -> Oid:
        """Bring the remote-tracking branch up to date; gives where it stands. Raises Fatal where there is no branch."""
        theirs = self.fetch_if_any()
        if theirs is None:
            is_here = self.branch.read().oid is not None
            raise Fatal(
                f"there is no branch '{self.branch.name}' on '{self.remote}'",
                hint=f"'git ocuroot push {self.remote}' makes it" if is_here else "'git ocuroot init' makes a store",
            )
        return theirs

    def fetch_if_any(self) -> Oid | None:
        """As `fetch`; None where the remote has no such branch, and had none. Not forced: see P7."""
        known = self.known()
        depth = ("--depth=1",) if known is None and self.repository.history_ends() else ()
        refspec = f"{self.branch.reference}:{self.tracking}"
        try:
            exists = self.transport.fetch_branch(self.branch.reference, lambda: self.transport.fetch([refspec], *depth))
        except TransportError as error:
            if known is not None and "(non-fast-forward)" in error.stderr:
                raise self.rewritten(known) from None
            raise
        if not exists and known is not None:
            raise Fatal(
                f"branch '{self.branch.name}' of '{self.remote}' is gone; it was at {known[:12]}",
                hint=f"if that is meant: git update-ref -d {self.tracking}",
            )
        if not exists:
            return None
        self.contact.note()
        theirs = self.known()
        self.repository.written = self.repository.written or theirs != known
        return theirs

    def look(self) -> Oid | None:
        """Fetch the branch, and give where it stands; None where the remote has none.

        Raises TransportError where that cannot be told, StoreError for a branch that is no store.
        """
        theirs = self.fetch_if_any()
        if theirs is not None:
            self.check_store(theirs)
        return theirs

    def distance(self, ours: Oid, theirs: Oid) -> tuple[int, int]:
        """How many commits we are ahead, and behind."""
        counts = self.git("rev-list", "--left-right", "--count", f"{ours}...{theirs}", "--").split()
        return int(counts[0]), int(counts[1])

    def standing(self, ours: Oid, theirs: Oid) -> tuple[Oid, int, int]:
        """The remote's branch, and how many commits we are ahead of it and behind.

        In a shallow clone as much of the remote's history is fetched as it takes to tell.
        """
        ahead, behind = self.distance(ours, theirs)
        more = _FIRST_DEEPENING
        while ahead and behind and self._common(ours, theirs) is None and self._where_cut(theirs) is not None:
            self.transport.fetch([f"{self.branch.reference}:{self.tracking}"], f"--deepen={more}")
            more *= 4
            theirs = self.known() or theirs
            ahead, behind = self.distance(ours, theirs)
        return theirs, ahead, behind

    def parting_point(self, ours: Oid, known: Oid) -> Oid:
        """The commit at which the two parted. Raises Fatal for histories that have none."""
        base = self._common(ours, known)
        if base is not None:
            return base
        cut = self._where_cut(ours)
        if cut is not None:
            raise self.rewritten(cut)
        raise Fatal(
            f"{self.branch.where} and that of '{self.remote}' have unrelated histories: they are two stores",
            hint=f"to take theirs: git branch -m {self.branch.name} <another-name> && git ocuroot fetch {self.remote}",
        )

    def _common(self, ours: Oid, theirs: Oid) -> Oid | None:
        """The newest commit that two have in common, as far as their histories are here."""
        try:
            return Oid(self.git("merge-base", ours, theirs))
        except GitError:
            return None

    def check_not_rewritten(self, ours: Oid, theirs: Oid) -> None:
        """Whether the remote's branch still has all of it that ours is built on, as far as its reflog tells (P7)."""
        try:
            fork = Oid(self.git("merge-base", "--fork-point", self.tracking, ours))
        except GitError:
            return  # its reflog knows nothing of ours, or there is none
        if not self.is_ancestor(fork, theirs):
            raise self.rewritten(fork)

    def is_ancestor(self, older: Oid, newer: Oid) -> bool:
        """Whether a commit is in the history of another."""
        try:
            self.git("merge-base", "--is-ancestor", older, newer)
        except GitError:
            return False
        return True

    def rewritten(self, known: Oid) -> Fatal:
        """The error for a remote's branch that no longer holds a commit which it held (P7)."""
        name = self.branch.name
        return Fatal(
            f"branch '{name}' of '{self.remote}' was rewritten: {known[:12]}, which it had, is no longer in it",
            hint=f"if that is meant, take theirs: git fetch {self.remote} +{name}:{self.tracking} and "
            f"git branch -f {name} {self.remote}/{name}",
        )

    def check_store(self, known: Oid) -> None:
        """Whether what the remote's branch holds is a store of the version we write. Raises StoreError."""
        from ..backends.base import file_at
        from ..formats.layout import SIDES, STORE_FILE, Layout, StoreError

        root, ours = self.repository.root(known), self.branch.read().root
        where = f"branch '{self.branch.name}' of '{self.remote}'"
        found = False
        for directory in ("", *SIDES):
            dialects = []
            for top, name in ((ours, self.branch.where), (root, where)):
                data = file_at(self.repository, top, f"{directory}/{STORE_FILE}" if directory else STORE_FILE)
                if data is not None:
                    dialects.append(Layout.read(data, name).dialect)
                    found = found or top is root
            if len(dialects) == 2 and dialects[0] != dialects[1]:
                raise StoreError(f"{where} is of version {dialects[1]}, and the one here of version {dialects[0]}")
        if not found and not self._holds_prefixed_store(root):
            raise StoreError(f"{where} is no store: it has no '{STORE_FILE}'")

    def _holds_prefixed_store(self, root: object) -> bool:
        from ..formats.layout import STORE_FILE

        names = self.git("ls-tree", "-r", "--name-only", self.repository.oid(root), "--").splitlines()
        return any(name.endswith("/" + STORE_FILE) for name in names)

    def track(self, oid: Oid) -> None:
        """What git itself does after a push, where the remote's configuration maps the branch: we always do."""
        if self.known() != oid:
            self.git("update-ref", "-m", "ocuroot: push", self.tracking, oid)

    def _where_cut(self, oid: Oid) -> Oid | None:
        """Where the history of a commit ends in this clone, though it goes on elsewhere; None: all of it is here."""
        ends = self.repository.history_ends()
        first = self.git("rev-list", "--max-parents=0", oid, "--").split() if ends else []
        return next((Oid(oid) for oid in first if oid in ends), None)

    def git(self, *arguments: str) -> str:
        """What a git command prints in the user's repository. Raises GitError."""
        return run(["-C", self._directory, *arguments], self.branch.environ).decode(errors="replace").strip()
