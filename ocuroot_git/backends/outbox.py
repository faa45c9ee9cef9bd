"""The outbox of a remote branch, and pushing to it together with what waits there (design 8.10).

A change that waits is a blob, at a reference below `refs/ocuroot/outbox/<branch>/`, which its writer alone makes, and
which goes in one atomic push: with the commit that makes the change, or when its writer takes it back. So a change that
was taken back is never made, and one that was made does not wait any longer, whoever is killed when.
"""

from __future__ import annotations

import os
import time

from ..errors import Error, Fatal, RemoteError
from ..formats.commit_message import operations_of
from ..formats.waiting_change import LONGEST_WAIT, MOST_BYTES
from ..git.collection import outlast
from ..git.failures import MAY_HAVE_ARRIVED, OTHER, RETRY, SILENT, TransportError
from ..git.objects import Identity, Oid, RefMoved, blob_id
from ..git.remote_access import OUTBOX, RemoteLocation
from .base import LATELY, Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final, Protocol

    from ..git.committer import Committer
    from ..git.local_remote import LocalRemote
    from ..git.object_writer import ObjectWriter
    from ..git.objects import Changes, Node
    from ..git.repository import Repository
    from ..git.transport import Transport

    class RemoteBranch(Protocol):
        """What an outbox asks of the branch it belongs to, which is `remote.Remote`."""

        location: RemoteLocation
        committer: Committer

        @property
        def reference(self) -> str: ...
        @property
        def transport(self) -> Transport: ...
        @property
        def where(self) -> str: ...
        @property
        def repository(self) -> Repository: ...
        @property
        def object_writer(self) -> ObjectWriter: ...
        def read(self) -> Version: ...
        def known_version(self) -> Version: ...
        def known(self) -> Oid | None: ...
        @property
        def is_fresh(self) -> bool: ...
        def ask_again(self) -> None: ...
        def deepen(self) -> bool: ...
        def fetch_object(self, oid: Oid) -> None: ...
        def local(self) -> LocalRemote | None: ...
        def leave_to_git(self) -> None: ...
        def push_blob(self, data: bytes, name: str, delete: dict[str, Oid]) -> TransportError | None: ...
        def push(self, old: Oid | None, new: Oid, reason: str, spent: Sequence[str] = ()) -> None: ...


_NAME: Final = frozenset("0123456789abcdef-")
_LONGEST_NAME: Final = 60
_TAKING_BACK: Final = (0.2, 0.5, 1.0)
"""Seconds to wait before a change that could not be taken back is tried to be taken back again."""
_MOST_LOOKED_AT: Final = 256
_MOST_READ: Final = 8 << 20
"""How many changes that wait one push looks at, those that began the last, and how many bytes of them.

Four times as many as it makes: whoever fills an outbox with what is none keeps others from combining, and no more.
"""
_MOST_CLEARED: Final = 64
"""Leftovers that one process takes out."""
_FARTHEST: Final = 5000
"""Commits that are looked at for an operation that waits: far more than there are made while one may wait."""


class Outbox:
    """What waits to be written to a remote branch, as of the last fetch for a write."""

    def __init__(self, remote: RemoteBranch) -> None:
        self._remote = remote
        self._prefix = f"{OUTBOX}{remote.location.branch}/"
        self._oids: dict[str, Oid] = {}
        """The ids of the changes that were seen, by name. A name is given once, and never leads to anything else."""
        self._stuck: set[str] = set()
        """Changes that could not be taken out, though nothing stood in the way of the branch."""
        self._passed_over: set[str] = set()
        """What cannot be made, as it seems, so that nobody is to wait for it."""
        self._read_in: LocalRemote | None = None
        """Where it was read at the last contact, if that was not what git has fetched."""
        self._seen: list[str] | None = None
        self._first_tip: Oid | None = None
        """Where the branch stood at the first contact, before we wrote to it."""
        self.turn = 0.0
        self.is_crowded = False
        self.is_refused = False
        """Whether the server takes no such references, or cannot move several at once: then nothing waits."""

    @property
    def refspec(self) -> str | None:
        """What to fetch beside the branch, with `--prune`; None where nothing waits any more."""
        return None if self.is_refused else f"+{self._prefix}*:{self._prefix}*"

    def waiting(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if self.is_refused:
            return found
        self._passed_over.intersection_update(self._names())
        left = _MOST_READ
        for name in self.in_view(self._names()):
            oid = self._oid(name)
            text = self._repository.small_blob(oid, MOST_BYTES) if oid is not None else None
            left -= len(text or b"")
            if left < 0:
                break
            if oid is None or text is None:
                self._passed_over.add(name)
            else:
                self._oids[name], found[name] = oid, text
        return found

    def in_view(self, names: Iterable[str]) -> list[str]:
        now = time.time()
        ages = {name: abs(now - self.began(name)) for name in names}
        may_wait = [name for name, age in ages.items() if age < LONGEST_WAIT]
        return sorted(may_wait, key=lambda name: ages[name])[:_MOST_LOOKED_AT]

    def pass_over(self, names: Iterable[str]) -> None:
        self._passed_over.update(names)

    def is_passed_over(self, name: str) -> bool:
        return name in self._passed_over

    @property
    def _repository(self) -> LocalRemote | Repository:
        """Where the outbox was read at the last contact."""
        return self._read_in or self._remote.repository

    def _oid(self, name: str) -> Oid | None:
        return self._repository.target(self._prefix + name)

    def _names(self) -> list[str]:
        """The names of what lay in the outbox at the last contact, the oldest first."""
        if self._seen is None:
            references = self._repository.references(self._prefix)
            self._seen = [name for name in (name.removeprefix(self._prefix) for name in references) if _is_name(name)]
        return self._seen

    def crowded_version(self) -> Version | None:
        if self.is_refused or not self.is_crowded or not self._remote.is_fresh:
            return None
        names = set(self._names()) - self._passed_over
        is_crowded = any(abs(time.time() - self.began(name)) < LATELY for name in names)
        return self._remote.known_version() if is_crowded else None

    def note_contact(self, remote: LocalRemote | None) -> None:
        """Take note that it was fetched anew, or (`remote`) that it can be read where it lies."""
        self._seen = None
        self._read_in = remote
        self._first_tip = self._first_tip or self._remote.known()

    def note_taken_out(self, names: Sequence[str]) -> None:
        """Take note that some changes went out of it with a push of ours."""
        self._seen = [name for name in self._names() if name not in names]

    def is_there(self, name: str) -> bool:
        return not self.is_refused and self._oid(name) is not None

    def refreshed(self) -> dict[str, bytes | None]:
        self._remote.ask_again()
        self._remote.read()
        repository = self._remote.repository
        found: dict[str, bytes | None] = {}
        for reference, oid in sorted(self._remote.transport.references(f"{self._prefix}*").items()):
            found[reference] = None
            if not _is_name(reference.removeprefix(self._prefix)):
                continue
            try:
                if not repository.has(oid):
                    self._remote.fetch_object(oid)  # by itself: the server may have lost another one
            except RemoteError:
                continue
            found[reference] = self._remote.repository.small_blob(oid, MOST_BYTES)
        return found

    def history(self, tip: Oid, bases: Iterable[Oid]) -> dict[Oid, set[str]]:
        """For each of some commits that is in the history of `tip`: the operations that were carried out since.

        Of those that are missing nobody can say here: the history that was fetched does not reach them, in one line.
        """
        wanted = set(bases)
        found = self._history(tip, wanted)
        if len(found) < len(wanted) and self._remote.deepen():
            found = self._history(tip, wanted)
        return found

    def _history(self, tip: Oid, wanted: set[Oid]) -> dict[Oid, set[str]]:
        found: dict[Oid, set[str]] = {}
        since: set[str] = set()
        at = tip
        for _ in range(_FARTHEST):
            if at in wanted:
                found[at] = set(since)
            commit = self._remote.repository.message_and_parents(at) if len(found) < len(wanted) else None
            if commit is None or len(commit[1]) != 1:
                break
            since |= {operation.name for operation in operations_of(commit[0])}
            at = commit[1][0]
        return found

    def author(self) -> tuple[str, str, int, int]:
        author = self._remote.committer.identities()[0]
        return author.name, author.email, author.time, author.offset

    def new_name(self) -> str:
        return f"{int(time.time() * 1000):012x}-{os.urandom(8).hex()}"

    def put(self, name: str, text: bytes, instead_of: str | None) -> tuple[bool, RemoteError | None]:
        if self.is_refused or self._remote.committer.signs:  # nobody else can sign for us
            return False, None
        self._oids[name] = blob_id(text)  # before it is sent: it is to be taken back if we are interrupted meanwhile
        leases = self.leases([instead_of] if instead_of else [])
        try:
            failure = self._remote.push_blob(text, self._prefix + name, leases)
        except Error:
            self.is_refused = True  # whatever it is, whoever pushes to the branch meets it too, and says so
            return False, None
        self._remote.ask_again()
        if failure is None or failure.kind in (*MAY_HAVE_ARRIVED, OTHER):
            return True, failure  # of OTHER nobody knows what it means; if it is not there, the outbox is given up
        self.is_refused = self.is_refused or failure.handling != RETRY
        return False, None

    def take_back(self, name: str) -> None:
        pauses = iter(_TAKING_BACK)
        while name in self._oids:
            failure = self._remote.transport.push("", self._prefix + name, delete=self.leases([name]))
            self._remote.ask_again()
            if failure is None or failure.is_before_sending:
                return  # it is not there, or not any more
            # Whoever is about to make it may hold it, for which servers have the same words as for many other things.
            pause = next(pauses, None)
            if pause is None or failure.handling != RETRY or failure.kind == SILENT:
                raise failure
            time.sleep(pause)

    def began(self, name: str) -> float:
        return int(name.partition("-")[0] or "0", 16) / 1000

    def is_stuck(self, name: str) -> bool:
        return name in self._stuck

    def ask_again(self) -> None:
        self._remote.ask_again()

    def look(self) -> tuple[Oid | None, list[str]]:
        self._remote.ask_again()
        tip, found = self._look_here() or self._ask()
        return tip, sorted(filter(_is_name, (name.removeprefix(self._prefix) for name in found)))

    def _ask(self) -> tuple[Oid | None, Iterable[str]]:
        """Where the branch stands, and which references there are in the outbox, as the remote says."""
        branch = self._remote.reference
        found = self._remote.transport.references(branch, f"{self._prefix}*")
        return found.pop(branch, None), found

    def _look_here(self) -> tuple[Oid | None, Iterable[str]] | None:
        """As `_ask`, where the remote lies on this machine and can be read without git; else None."""
        local = self._remote.local()
        try:
            found = local.look(self._remote.reference, self._prefix) if local is not None else None
        except (Error, OSError):
            self._remote.leave_to_git()  # git says what is wrong
            return None
        if local is not None and local.is_slow:
            self._remote.leave_to_git()
        return found

    def give_up(self) -> None:
        self.is_refused = True

    def clear(self) -> None:
        """Take out what nobody can make any more, since it has waited for longer than anything may; some of it at once.

        By our clock and by that of whoever wrote to the branch before us, lest one wrong clock clears all away.
        """
        if self.is_refused or self._first_tip is None:
            return
        try:
            now = min(time.time(), self._remote.repository.header(self._first_tip)[2])
            ours = [name for name in self._names() if _is_new_name(name)]
            old = [name for name in ours if self.began(name) < now - LONGEST_WAIT][:_MOST_CLEARED]
            oids = {name: self._oid(name) for name in old}
            leases = {self._prefix + name: oid for name, oid in oids.items() if oid is not None}
            if leases:
                self._remote.transport.push("", next(iter(leases)), delete=leases)
        except Error:
            pass  # what was to be written is: whoever writes next tries this again

    def leases(self, names: Iterable[str]) -> dict[str, Oid]:
        """The references of changes that wait, with the ids at which they must stand to go."""
        return {self._prefix + name: self._oids[name] for name in names}

    def is_in_the_way(self, names: Sequence[str], failure: TransportError) -> bool:
        """Whether it is changes that were to go out which have kept a push from being done, and not the branch.

        They are left alone from then on, so that the next try cannot fail for the same reason.
        """
        if failure.kind in MAY_HAVE_ARRIVED:
            return False
        if self._remove_lost(failure):
            return True
        if not names:
            return False
        if failure.handling != RETRY:
            self.is_refused = True
            return True
        if failure.stderr.startswith("! [rejected] atomic"):  # the branch stood where it should
            self._stuck.update(names)
        return False

    def _remove_lost(self, failure: TransportError) -> bool:
        """Remove the references whose objects the server has lost, as a `git gc --prune=now` may lose new ones there.

        It refuses every push to it from then on, whoever sends it, and names the first one that it meets; and nobody
        can make a change any more of which there is only the name. Whether one was removed.
        """
        for piece in failure.stderr.split(f"bad object {self._prefix}")[1:]:
            name = (piece.split() or [""])[0]
            reference = self._prefix + name
            oid = self._remote.transport.tip(reference) if _is_name(name) else None
            if oid is not None:
                return self._remote.transport.push("", reference, delete={reference: oid}) is None
        return False


def _is_name(name: str) -> bool:
    """Whether a change of ours could wait under a name; whatever else lies in an outbox is left alone."""
    return 0 < len(name) <= _LONGEST_NAME and _NAME.issuperset(name)


def _is_new_name(name: str) -> bool:
    """Whether `new_name` gives such names."""
    return [len(part) for part in name.split("-")] == [12, 16]


class Push:
    """Commits on top of a version of a remote branch, which go there in one push."""

    def __init__(self, remote: RemoteBranch, version: Version) -> None:
        self.version = version
        self._remote = remote
        self._writer = remote.object_writer
        self._first = version
        self._edits: list[tuple[Node | None, Changes]] = []
        self._spent: list[str] = []
        self._writer.begin_write()

    def add(self, changes: Changes, message: str, author: tuple[str, str, int, int] | None = None) -> bool:
        root, parent = self.version.root, self.version.oid
        tree = self._writer.edit(root, changes)
        if tree is None:
            raise Fatal(f"{self._remote.where}: refusing to write an empty tree")
        if root is not None and tree.id == root.id:
            return False
        parents = [parent] if parent else []
        identity = Identity(*author) if author is not None else None
        oid = self._remote.committer.commit(self._writer, tree, parents, message, identity)
        self._edits.append((root, changes))
        self.version = Version(oid, tree)
        return True

    def take_out(self, name: str) -> None:
        self._spent.append(name)

    def send(self, reason: str) -> Version:
        oid = self.version.oid
        if oid is None or oid == self._first.oid:
            return self.version
        changed: Changes = {path: data for _, changes in self._edits for path, data in changes.items()}
        try:
            self._remote.push(self._first.oid, oid, reason, self._spent)
        except TransportError:
            if self._writer.holds(oid, changed):
                raise
            raise RefMoved(self._remote.where) from None  # `git gc` has deleted here what was to be pushed

        def write_again() -> None:
            self._writer.write_commits_again()
            for root, changes in self._edits:
                self._writer.edit(root, changes)

        outlast(self._writer, oid, changed, write_again)
        return self.version
