"""Sharing a local branch by hand: fetch it from a remote, push it, and bring the two together (design 8.3).

All git commands run in the user's own repository, and touch no more than the branch and
`refs/remotes/<remote>/<branch>`, as plain `git fetch` would. Nothing is moved before the remote has taken it, and what
others rewrote is not followed.
"""

from __future__ import annotations

import os
import time

from ..backends.base import Version
from ..errors import Conflict, Error, Fatal
from ..formats.commit_message import compose, operations_of
from ..formats.operation import Operation
from ..git.failures import LOCKED, MAY_HAVE_ARRIVED, REFUSED, RETRY, TransportError
from ..git.program import GitError, run
from ..git.repository import RefMoved
from ..git.transport import Transport
from .merge import Clash, merge_trees, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final, Protocol

    from ..backends.branch import Branch
    from ..git.repository import Changes, Node
    from .merge import Choice

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


class Outcome:
    """What was done: the branch `moved` or `made` here, and how many commits were `pushed`."""

    __slots__ = ("ahead", "behind", "made", "moved", "pushed", "replayed")

    def __init__(self) -> None:
        self.made = False
        self.moved = 0
        self.pushed = 0
        self.replayed = 0
        self.ahead = 0
        self.behind = 0


class Sharing:
    """One local branch and one remote."""

    def __init__(self, settings: SharingSettings, branch: Branch, remote: str) -> None:
        self.branch = branch
        self.remote = remote
        self.repository = branch.repository
        self.tracking = f"refs/remotes/{remote}/{branch.name}"
        self._environ: Mapping[str, str] = branch.environ
        self._directory = self.repository.work_tree or self.repository.git_dir
        self._timeout = settings.timeout
        self._failure: TransportError | None = None
        """Why the last push is to be tried again; None for a write of another process here."""
        self._replayed: tuple[Node, Changes] | None = None
        """What the last replay was made of: a tree, and what was changed in it."""
        self._sent: tuple[str, str] | None = None
        """The local tip that was pushed last, and the commit that it was pushed as, which may have arrived."""
        self._transport = Transport(self._directory, self._environ, remote, remote, settings.timeout, settings.tell)

    # The three commands

    def fetch(self) -> Outcome:
        """Fetch the remote's branch; take over what is new in it where there is nothing of our own. Raises Fatal."""
        deadline = time.monotonic() + self._timeout
        tries = 0
        while True:
            try:
                return self._fetch_once()
            except RefMoved:
                # Another process here has written meanwhile, or is about to and holds the lock of the branch.
                tries += 1
                if time.monotonic() > deadline:
                    raise self._given_up(tries) from None
            time.sleep(self.branch.pause(tries))

    def _fetch_once(self) -> Outcome:
        outcome = Outcome()
        there = self._fetch()
        here = self.branch.read().oid
        if here is None:
            self._check_stores(there)
            self.branch.adopt(there, f"ocuroot: branch from {self.remote}/{self.branch.name}")
            outcome.made = True
            return outcome
        there, outcome.ahead, outcome.behind = self._standing(here, there)
        if outcome.behind and not outcome.ahead:
            self._check_stores(there)
            self.branch.move(here, there, f"ocuroot: fast-forward to {self.remote}")
            outcome.moved, outcome.behind = outcome.behind, 0
        return outcome

    def look(self) -> str | None:
        """Fetch the remote's branch, and give where it stands; None where the remote has none.

        Raises TransportError where that cannot be told, StoreError for a branch that is no store.
        """
        there: str | None = self._fetch(may_be_missing=True)
        if there is not None:
            self._check_stores(there)
        return there

    def push(self, choice: Choice, *, fetch_first: bool = False) -> Outcome:
        """Push the branch; where the remote's has moved, replay on it what was changed here.

        Raises Conflict, with nothing moved, where both sides changed a document and `choice` does not decide.
        """
        outcome = Outcome()
        deadline = time.monotonic() + self._timeout
        tries = 0
        failed: Exception | None = None
        while True:
            here = self.branch.read()
            known = self.known()
            if fetch_first or tries or known is None:
                try:
                    known = self._fetch(may_be_missing=True)
                except TransportError as error:
                    raise failed or error from None
            if failed is not None and not self._has_arrived(here.oid, known):
                raise failed
            if here.oid is None:
                if known is None:
                    raise Fatal(f"there is no {self.branch.where}, neither here nor on '{self.remote}'")
                self.branch.adopt(known, f"ocuroot: branch from {self.remote}/{self.branch.name}")
                outcome.made = True
                return outcome
            tries += 1
            try:
                if self._push_once(here, known, choice, outcome):
                    return outcome
            except TransportError as error:
                failed = error  # which may be the answer to a request that was carried out, and sent again on the way
            if failed is None and time.monotonic() > deadline:
                failed = self._given_up(tries)
            time.sleep(self.branch.pause(tries) * 10)

    def known(self) -> str | None:
        """Where the remote's branch stood at the last contact."""
        return self.repository.tip(self.tracking)

    def distance(self, here: str, there: str) -> tuple[int, int]:
        """How many commits we are ahead, and behind."""
        said = self._git("rev-list", "--left-right", "--count", f"{here}...{there}", "--").split()
        return int(said[0]), int(said[1])

    @property
    def last_contact(self) -> float | None:
        """When the remote was last asked by these commands, in seconds since the epoch; None: never."""
        try:
            return os.stat(self._contact_file).st_mtime
        except OSError:
            return None

    # Pushing

    def _push_once(self, here: Version, known: str | None, choice: Choice, outcome: Outcome) -> bool:
        """Push once; whether that was it. Raises what cannot be tried again."""
        assert here.oid is not None
        self._failure = None
        target = here.oid
        self._replayed = None
        ahead, behind = 1, 0
        if known is not None:
            known, ahead, behind = self._standing(here.oid, known)
        if known is not None and behind:
            self._check_stores(known)
            if ahead and self._has_arrived(here.oid, known):
                target = known
            elif ahead:
                self._check_not_rewritten(here.oid, known)
                target = self._replay(here, known, choice, outcome)
            else:
                target = known
        if target != known:
            self._sent = here.oid, target
            failure = self._transport.push(target, self.branch.reference)
            if failure is not None:
                if self._may_try_again(failure, known):
                    self._transport.retry(failure)
                    self._failure = failure
                    return False
                raise failure
        if self._sent is not None:
            outcome.pushed = max(1, ahead)
            self.repository.written = True
        self._touch()
        try:
            if target != here.oid:
                self.branch.move(here.oid, target, f"ocuroot: sync with {self.remote}")
                if self._replayed is not None:
                    tree, changes = self._replayed
                    self.branch.keep(target, changes, lambda: self.branch.writer.edit(tree, changes))
                outcome.moved = behind
        except RefMoved:
            return False  # another process here has written meanwhile: that is to be pushed too
        self._track(target)
        return True

    def _given_up(self, tries: int) -> Error:
        """The error after the last try: a race that was lost, or what else kept the push from arriving."""
        failure = self._failure
        if failure is not None and failure.kind in MAY_HAVE_ARRIVED:
            return Fatal(
                f"whether the push arrived is not known: {failure.message}",
                hint="'git ocuroot sync' finds out; what has arrived is not pushed twice",
            )
        if failure is not None and failure.kind == LOCKED:
            return Conflict(f"{failure.message} ({tries} tries in {self._timeout:g} s)")
        return Conflict(f"lost the race for '{self.remote}' {tries} times in {self._timeout:g} s")

    def _has_arrived(self, here: str | None, known: str | None) -> bool:
        """Whether all that is here was pushed and is on the remote, whatever that answered."""
        if self._sent is None or known is None or self._sent[0] != here:
            return False
        try:
            self._git("merge-base", "--is-ancestor", self._sent[1], known)
        except GitError:
            return False
        return True

    def _may_try_again(self, failure: TransportError, known: str | None) -> bool:
        if failure.kind == REFUSED:
            return self._transport.tip(self.branch.reference) != known
        return failure.handling == RETRY

    def _replay(self, here: Version, known: str, choice: Choice, outcome: Outcome) -> str:
        """Make one commit on the remote's tip of all that was changed here since the two parted; gives its id."""
        assert here.oid is not None
        base = self._base(here.oid, known)
        theirs = self.repository.root(known)
        merged = merge_trees(self.repository, self.repository.root(base), here.root, theirs, choice)
        if merged.clashes:
            raise self._conflict(merged.clashes)
        outcome.replayed = len(merged.changes)
        if not merged.changes:
            return known
        self.branch.writer.begin_write()
        self._replayed = theirs, merged.changes
        tree = self.branch.writer.edit(theirs, merged.changes)
        message = self._message(base, here.oid, [split(path)[1] or path for path in sorted(merged.changes)])
        return self.branch.committer.commit(self.branch.writer, tree, [known], message)

    def _message(self, base: str, here: str, refs: list[str]) -> str:
        """The message of a replay: it says what was replayed, and bears the names of all operations in it (P4)."""
        span = f"{base}..{here}"
        said = self._git("log", "--no-show-signature", "--reverse", "--encoding=UTF-8", "--format=%B%x00", span, "--")
        messages = [message.lstrip("\n") for message in said.split("\0") if message.strip()]
        operations = [operation for message in messages for operation in operations_of(message)]
        subject = messages[0].partition("\n")[0] if len(messages) == 1 else f"replay {len(messages)} commits"
        made_up = Operation(os.urandom(16).hex(), is_named=False)
        return compose(dict.fromkeys(refs), "sync", operations or [made_up], subject)

    def _base(self, here: str, known: str) -> str:
        """The commit at which the two parted. Raises Fatal for histories that have none."""
        base = self._common(here, known)
        if base is not None:
            return base
        cut = self._where_cut(here)
        if cut is not None:
            raise self._rewritten(cut)
        raise Fatal(
            f"{self.branch.where} and that of '{self.remote}' have unrelated histories: they are two stores",
            hint=f"to take theirs: git branch -m {self.branch.name} <another-name> && git ocuroot fetch {self.remote}",
        )

    def _common(self, here: str, there: str) -> str | None:
        """The newest commit that two have in common, as far as their histories are here."""
        try:
            return self._git("merge-base", here, there)
        except GitError:
            return None

    def _conflict(self, clashes: list[Clash]) -> Conflict:
        said = "; ".join(
            f"'{clash.where}' is {clash.ours} here and {clash.theirs} on '{self.remote}'" for clash in clashes
        )
        return Conflict(f"changed on both sides: {said}", hint="--ours or --theirs decides, for all of them")

    def _check_stores(self, known: str) -> None:
        """Whether what the remote's branch holds is a store of the version we write. Raises StoreError."""
        from ..formats.layout import SIDES, STORE_FILE, Layout, StoreError

        root, ours = self.repository.root(known), self.branch.read().root
        where = f"branch '{self.branch.name}' of '{self.remote}'"
        found = False
        for directory in ("", *SIDES):
            versions = []
            for top, name in ((ours, self.branch.where), (root, where)):
                node = self.repository.child(top, directory) if directory and top is not None else top
                file = (
                    self.repository.child(node, STORE_FILE)
                    if node is not None and self.repository.is_tree(node)
                    else None
                )
                if file is not None:
                    versions.append(Layout.read(self.repository.data(file), name).version)
                    found = found or top is root
            if len(versions) == 2 and versions[0] != versions[1]:
                raise StoreError(f"{where} is of version {versions[1]}, and the one here of version {versions[0]}")
        if not found and not self._holds_prefixed_store(root):
            raise StoreError(f"{where} is no store: it has no '{STORE_FILE}'")

    def _holds_prefixed_store(self, root: object) -> bool:
        from ..formats.layout import STORE_FILE

        names = self._git("ls-tree", "-r", "--name-only", self.repository.oid(root), "--").splitlines()
        return any(name.endswith("/" + STORE_FILE) for name in names)

    # Fetching

    def _fetch(self, *, may_be_missing: bool = False) -> str:
        """Bring the remote-tracking branch up to date; gives where it stands. Not forced: see P7."""
        known = self.known()
        depth = ("--depth=1",) if known is None and self._is_shallow() else ()
        refspec = f"{self.branch.reference}:{self.tracking}"
        try:
            exists = self._transport.fetch_branch(
                self.branch.reference, lambda: self._transport.fetch([refspec], *depth)
            )
        except TransportError as error:
            if "(non-fast-forward)" in error.words:
                raise self._rewritten(known or "") from None
            raise
        if not exists and known is not None:
            raise Fatal(
                f"branch '{self.branch.name}' of '{self.remote}' is gone; it was at {known[:12]}",
                hint=f"if that is meant: git update-ref -d {self.tracking}",
            )
        if not exists:
            if may_be_missing:
                return None  # type: ignore[return-value]
            is_here = self.branch.read().oid is not None
            raise Fatal(
                f"there is no branch '{self.branch.name}' on '{self.remote}'",
                hint=f"'git ocuroot push {self.remote}' makes it" if is_here else "'git ocuroot init' makes a store",
            )
        self._touch()
        there = self.known()
        assert there is not None
        self.repository.written = self.repository.written or there != known
        return there

    def _check_not_rewritten(self, here: str, there: str) -> None:
        """Whether the remote's branch still has all of it that ours is built on, as far as its reflog tells (P7)."""
        try:
            fork = self._git("merge-base", "--fork-point", self.tracking, here)
        except GitError:
            return  # its reflog knows nothing of ours, or there is none
        try:
            self._git("merge-base", "--is-ancestor", fork, there)
        except GitError:
            raise self._rewritten(fork) from None

    def _rewritten(self, known: str) -> Fatal:
        name = self.branch.name
        return Fatal(
            f"branch '{name}' of '{self.remote}' was rewritten: {known[:12]}, which it had, is no longer in it",
            hint=f"if that is meant, take theirs: git fetch {self.remote} +{name}:{self.tracking} and "
            f"git branch -f {name} {self.remote}/{name}",
        )

    def _track(self, oid: str) -> None:
        """What git itself does after a push, where the remote's configuration maps the branch: we always do."""
        if self.known() != oid:
            self._git("update-ref", "-m", "ocuroot: push", self.tracking, oid)

    def _is_shallow(self) -> bool:
        return bool(self._ends())

    def _ends(self) -> set[str]:
        """The commits at which history ends in this clone, though it goes on elsewhere."""
        try:
            with open(os.path.join(self.repository.common_dir, "shallow"), encoding="ascii") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()

    def _where_cut(self, oid: str) -> str | None:
        """Where the history of a commit ends in this clone, though it goes on elsewhere; None: all of it is here."""
        ends = self._ends()
        first = self._git("rev-list", "--max-parents=0", oid, "--").split() if ends else []
        return next((oid for oid in first if oid in ends), None)

    def _standing(self, here: str, there: str) -> tuple[str, int, int]:
        """The remote's branch, and how many commits we are ahead of it and behind.

        In a shallow clone as much of the remote's history is fetched as it takes to tell.
        """
        ahead, behind = self.distance(here, there)
        more = _FIRST_DEEPENING
        while ahead and behind and self._common(here, there) is None and self._where_cut(there) is not None:
            self._transport.fetch([f"{self.branch.reference}:{self.tracking}"], f"--deepen={more}")
            more *= 4
            there = self.known() or there
            ahead, behind = self.distance(here, there)
        return there, ahead, behind

    def _git(self, *arguments: str) -> str:
        return run(["-C", self._directory, *arguments], self._environ).decode(errors="replace").strip()

    @property
    def _contact_file(self) -> str:
        return os.path.join(self.repository.common_dir, "ocuroot", "contact", self.remote, self.branch.name, "at")

    def _touch(self) -> None:
        os.makedirs(os.path.dirname(self._contact_file), exist_ok=True)
        with open(self._contact_file, "wb"):
            os.utime(self._contact_file)


def remote_of(settings: SharingSettings, branch: Branch, name: str | None) -> str:
    """The remote that a local branch is shared with: the one named, else that of the branch, `origin`, or the only one.

    Raises Fatal where there is none, or no such one.
    """
    known = "'git remote -v' lists those there are"
    if name is not None:
        if name not in settings.remotes():
            raise Fatal(f"no such remote: '{name}'", hint=f"'git remote add <name> <url>' makes one; {known}")
        return name
    candidates = settings.remotes_for(branch.name)
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise Fatal("which remote? There is no 'origin'", hint=f"name one; {known}")
    raise Fatal("there is no remote to share with", hint="git remote add origin <url>")


def find_shared(settings: SharingSettings, branch: Branch) -> tuple[str, str] | None:
    """Where a remote has the store that is not here: its remote-tracking branch, which was fetched, and the commit.

    The remotes are asked, unless `--offline` says not to. Raises Fatal where one cannot be asked: what it has is not
    known then, and a store made beside it would hide it.
    """
    found: dict[str, str] = {}
    for remote in () if settings.offline else settings.remotes_for(branch.name):
        try:
            there = Sharing(settings, branch, remote).look()
        except TransportError as error:
            if settings.tracking_branch(branch.name) is None:
                raise Fatal(
                    f"whether '{remote}' has a store is not known: {error.message}",
                    hint="'--offline' makes one without asking",
                ) from None
            break  # the one that was fetched before will do
        if there is not None:
            found[f"{remote}/{branch.name}"] = there
    if len(set(found.values())) > 1:
        raise Fatal(f"there are several stores: {', '.join(found)}", hint="take one: git ocuroot fetch <remote>")
    if found:
        return next(iter(found.items()))
    tracking = settings.tracking_branch(branch.name)
    tip = branch.repository.tip(tracking) if tracking is not None else None
    return None if tracking is None or tip is None else (tracking.removeprefix("refs/remotes/"), tip)
