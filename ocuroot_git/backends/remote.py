"""A branch of a remote repository as the backend of a store (design 4.3, 8.3, 8.4).

Reading fetches the tip first, into the `remote_cache`. Writing makes a commit there and pushes it; what `write` gives
back is on the remote.
"""

from __future__ import annotations

import os
import time

from ..errors import Error, Fatal
from ..git.collection import GcWindow
from ..git.committer import FIRST_MESSAGE, Committer
from ..git.failures import LOCKED, MAY_HAVE_ARRIVED, RACE, REFUSED, TransportError
from ..git.objects import RefMoved
from .base import CREATE, Version
from .remote_cache import RemoteCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Final

    from ..git.config import Config
    from ..git.local_remote import LocalRemote
    from ..git.object_writer import ObjectWriter
    from ..git.objects import Changes, Identity, Oid
    from ..git.remote_access import RemoteLocation
    from ..git.repository import Repository
    from ..git.transport import Transport
    from .base import Access, Files, Filling
    from .operations import Carried
    from .outbox import Outbox, Push

_ONLINE: Final = "leave out --offline once"
_FRESH: Final = 1.0
"""Seconds for which one contact serves a process."""
_LONGEST_PAUSE: Final = 2.0
_SHORTEST_PAUSE: Final = 0.7
"""Seconds, at most, to wait after the first lost race, and after the third and later ones; at random below that."""
_LAGGING: Final = 8
"""Pushes rejected as outdated, with a tip that did not advance, after which reads are said to lag behind."""


class Remote:
    """A branch of a remote repository, read from a cache that is brought up to date first."""

    def __init__(
        self,
        home: Repository,
        location: RemoteLocation,
        config: Config,
        environ: Mapping[str, str],
        access: Access,
        timeout: float,
        *,
        combines: bool = False,
        live_logs: bool = False,
    ) -> None:
        self.location = location
        self._config = config
        self._access = access
        self.committer = Committer(home, config, environ)
        path = os.path.join(home.common_dir, "ocuroot", location.directory())
        self._cache = RemoteCache(path, location, config, self.committer, access, timeout)
        self._gc_window = GcWindow(path)
        self._writer: ObjectWriter | None = None
        self._asked = float("-inf")
        self._must_ask = False
        """Whether no earlier answer will do: a write begins with the tip as it is, whatever reads may make do with."""
        self._rejected: tuple[Oid | None, int] = (None, 0)
        self._combines = combines
        self.live_logs = live_logs
        """Whether what runs print goes to the remote while they go on."""
        self._outbox: Outbox | None = None
        self._was_fetched = self._was_opened = False
        self._local: LocalRemote | None = None

    # What it is

    @property
    def where(self) -> str:
        return self._cache.where

    @property
    def repository(self) -> Repository:
        """The tool's own repository, made when it is first asked for."""
        return self._cache.repository

    @property
    def object_writer(self) -> ObjectWriter:
        """What writes to the tool's own repository, as it was opened last."""
        if self._writer is None or self._writer.repository is not self.repository:
            from ..git.object_writer import ObjectWriter  # late: whoever only reads needs none of it

            self._writer = ObjectWriter(self.repository, self._config.synced())
        return self._writer

    @property
    def reference(self) -> str:
        """The full name of the branch."""
        return self._cache.reference

    @property
    def transport(self) -> Transport:
        """How the remote is asked."""
        return self._cache.transport

    @property
    def outbox(self) -> Outbox | None:
        if self._outbox is None and self._combines:
            from .outbox import Outbox  # late: whoever only reads needs none of it

            self._outbox = Outbox(self)
        return self._outbox

    @property
    def files(self) -> Files:
        return self.repository

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote):
            return NotImplemented
        return (self._cache.path, self.location.branch) == (other._cache.path, other.location.branch)

    def __hash__(self) -> int:
        return hash((self._cache.path, self.location.branch))

    @property
    def last_contact(self) -> float | None:
        """When the remote was last asked for the branch, in seconds since the epoch; None: never."""
        return self._cache.contact.time

    # A branch that nobody named

    @property
    def is_offline(self) -> bool:
        """Whether the remote is not to be asked."""
        return self._access.offline

    @property
    def kept_branch(self) -> str | None:
        """The branch of this remote that was chosen earlier for a store whose branch nobody named."""
        return self._cache.kept_branch

    def keep_branch(self) -> None:
        """Keep this branch as the one that was chosen."""
        self._cache.keep_branch()

    def default_branch(self) -> str | None:
        """The branch that `git clone` of the remote would check out. Raises TransportError, Fatal with --offline."""
        if self._access.offline:
            raise Fatal(f"which branch of '{self.location.url}' holds the store was not asked yet", hint=_ONLINE)
        return self._cache.default_branch()

    # Reading

    def read(self, at: str | None = None) -> Version:
        self._refresh()
        if at is not None:
            self.need_history()
        if at is None:
            return self.known_version()
        from ..git.moments import commit_named

        oid = commit_named(self.repository, self.committer.environ, self.known(), at)
        return Version(oid, None if oid is None else self.repository.root(oid))

    def known_version(self) -> Version:
        """What the branch held at the last contact."""
        oid = self.known()
        return Version(oid, None if oid is None else self.repository.root(oid))

    @property
    def is_fresh(self) -> bool:
        """Whether the last contact of this process was a moment ago."""
        return time.monotonic() - self._asked < _FRESH

    def known(self) -> Oid | None:
        """Where the branch stood at the last contact."""
        return self._cache.known()

    def refresh(self) -> None:
        """Ask the remote for the tip, however fresh the last answer is."""
        self._fetch_tip()

    def find_operation(self, name: str, version: Version, since: Oid | None) -> Carried | None:
        from .operations import find_carried

        if since is None:
            self._cache.fetch_history()
        return find_carried(name, version.oid, since, self.repository, self.committer.environ)

    def need_history(self) -> None:
        """Fetch the commits, and no more of them than that, back to the first; to be called before reading."""
        self._refresh()
        if self._cache.fetch_history():
            self._cache.reopen()  # libgit2 reads once where history ends

    def fetch_commits(self, oid: Oid) -> None:
        """Fetch a commit of another reference, and all before it, with what is in them."""
        self._cache.fetch_commits(oid)

    def fetch_object(self, oid: Oid) -> None:
        """Fetch one object that a reference of the remote leads to. Raises TransportError."""
        self._cache.fetch_object(oid)

    def deepen(self) -> bool:
        """Fetch some of the commits before those that are here, once; whether any were missing."""
        return self._cache.deepen()

    def local(self) -> LocalRemote | None:
        """The remote, where it lies on this machine and can be read without git, which has fetched from it before."""
        if not self._was_opened and self._was_fetched:
            from ..git.local_remote import local_remote  # late: only who waits for others needs it

            self._was_opened = True
            self._local = local_remote(self.location, self._config)
        return self._local

    def leave_to_git(self) -> None:
        """Read the remote through git from now on, wherever it lies."""
        self._local = None

    # Writing

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        push = self.begin(version)
        return push.send(reason) if push.add(changes, message) else version

    def begin(self, version: Version) -> Push:
        from .outbox import Push

        self._refuse_offline("write to")
        return Push(self, version)

    def create(self, changes: Changes, empty: Version | None = None) -> Version:
        from .filling import SUPPORT_MESSAGE

        self._refuse_to_create()
        if empty is not None and empty.oid is not None:
            first = self.write(empty, changes, FIRST_MESSAGE, CREATE)
        else:
            oid = self.committer.first_commit(self.object_writer, changes)
            self.push(None, oid, CREATE)
            first = Version(oid, self.repository.root(oid))
        support = self._support()
        return self.write(first, support, SUPPORT_MESSAGE, "ocuroot: support files") if support else first

    def filled(self, contents: Iterable[tuple[str, bytes]]) -> AbstractContextManager[Filling]:
        from .filling import RemoteFilling, filling

        self._refuse_to_create()
        environ = self._cache.environ()
        return filling(self.repository, environ, contents, lambda tree: RemoteFilling(self, tree, self._support()))

    def _support(self) -> dict[str, bytes | None]:
        return {path: text.encode() for path, text in self.location.support_files.items()}

    def _refuse_to_create(self) -> None:
        self._refuse_offline("write to")
        if not self.location.may_create:
            raise Fatal(f"there is no {self.where}, and it is said not to be created (create_branch)")

    def write_lock(self) -> AbstractContextManager[None]:
        """Writers do not wait for each other: who loses the race tries again."""
        from contextlib import nullcontext

        return nullcontext()

    def ask_again(self) -> None:
        """Let the next reading ask for the tip, however fresh the last answer is."""
        self._must_ask = True

    def who_writes(self) -> Identity | None:
        return self.committer.known()

    def prepare_write(self) -> None:
        self._refuse_offline("write to")
        self.ask_again()
        self.committer.prepare()

    def held_lock(self) -> str | None:
        return None  # a lock at the remote is not ours to see

    def may_be_collected(self) -> bool:
        return self._gc_window.is_open()

    def pause(self, tries: int) -> float:
        """Who has lost more often waits less, within bounds, so that none starves: see docs/sharing.md."""
        from random import random

        return random() * max(_LONGEST_PAUSE / tries, _SHORTEST_PAUSE)

    def end_write(self) -> None:
        self.committer.drop()

    def maintain(self) -> None:
        if self._cache.needs_maintenance and self._outbox is not None:
            self._outbox.clear()
        self._cache.maintain()

    def push(self, old: Oid | None, new: Oid, reason: str, spent: Sequence[str] = ()) -> None:
        """Move the remote's branch from `old` to `new`, and take changes out of its outbox.

        Raises RefMoved for every answer but success.
        """
        outbox = self.outbox
        leases = outbox.leases(spent) if outbox is not None else {}
        failure = self.transport.push(new, self.reference, delete=leases)
        if failure is not None:
            self.ask_again()
            if outbox is not None and outbox.is_in_the_way(spent, failure):
                moved = RefMoved(self.where)
                moved.is_sent = True
                raise moved  # without the outbox it may be let in
            raise self._moved(failure, old)
        self._cache.needs_maintenance = True
        if outbox is not None:
            outbox.note_taken_out(spent)
        self._rejected = (None, 0)
        try:
            with self._cache.lock():  # else a fetch of another process here meets the lock of the branch
                self.object_writer.move(self.reference, old, new, reason, self.committer.identities()[1])
        except RefMoved:
            pass  # another process here has fetched since: the cache is ahead of us
        except (Error, OSError):
            self.ask_again()  # the change is written: that the cache does not know it, as on a full disk, is no failure
            return
        self._cache.contact.note()
        self._asked = time.monotonic()

    def push_blob(self, data: bytes, name: str, delete: Mapping[str, Oid]) -> TransportError | None:
        """Push a blob to a reference (full name), and delete others with it: see `RemoteCache.push_blob`."""
        return self._cache.push_blob(data, name, delete)

    def _moved(self, failure: TransportError, old: Oid | None) -> RefMoved:
        """What a push that was not answered by success comes to; whether it was carried out is for a look to say."""
        kind = failure.kind
        moved = RefMoved(self.where)
        moved.is_sent = True
        if kind == RACE:
            known, times = self._rejected
            self._rejected = (old, times + 1 if known == old else 1)
            if self._rejected[1] >= _LAGGING:
                moved.refusal = Fatal(
                    f"{self.where}: the remote calls pushes outdated, but its tip as we read it does not advance",
                    hint="are reads answered by a mirror that lags behind? Push and fetch must reach the same server",
                )
        elif kind in MAY_HAVE_ARRIVED:
            moved.failure = failure
        elif kind != LOCKED:
            moved.refusal = failure
            moved.unless_moved = kind == REFUSED  # in words we do not know
        if moved.refusal is None:
            self.transport.retry(failure)
        return moved

    # Fetching

    def _fetch_tip(self) -> None:
        outbox = self.outbox if self._must_ask else None
        here = self.local() if outbox is not None and not self._checks_objects else None
        if outbox is not None and here is not None and self._cache.take_news(here, self._move_to_news):
            outbox.note_contact(here)
            self._asked = time.monotonic()
            self._must_ask = False
            return
        if not self._cache.fetch_tip(None if outbox is None else outbox.refspec) and outbox is not None:
            outbox.give_up()
        if outbox is not None:
            outbox.note_contact(None)
        self._was_fetched = True
        self._asked = time.monotonic()
        self._must_ask = False

    @property
    def _checks_objects(self) -> bool:
        """Whether git is to look into each object that it fetches."""
        return self._config.get_bool("fetch.fsckObjects") or self._config.get_bool("transfer.fsckObjects")

    def _move_to_news(self, old: Oid, new: Oid) -> None:
        self.object_writer.move(self.reference, old, new, "ocuroot: fetch", self.committer.identities()[1])

    def _refresh(self) -> None:
        if self._access.offline:
            if self.last_contact is None:
                raise Fatal(f"nothing was fetched of {self.where} yet", hint=_ONLINE)
            return
        if self._must_ask:
            self._fetch_tip()
            return
        if self.is_fresh:
            return
        limit, contact = self._access.max_age, self.last_contact
        # A contact in the future is a clock that was set back: it says nothing.
        if limit is not None and contact is not None and self._asked < 0 and 0 <= time.time() - contact <= limit:
            self._asked = time.monotonic()
            return
        self._fetch_tip()

    def _refuse_offline(self, what: str) -> None:
        if self._access.offline:
            raise Fatal(f"cannot {what} {self.where} with --offline")
