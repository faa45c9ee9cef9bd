"""A branch of a remote repository as the backend of a store (design 4.3, 8.3, 8.4).

What was fetched of it is kept in a bare repository of the tool's own, `ocuroot/<name>.git` below the directory that
all work trees of the user's repository share: a cache, which may be deleted at any time. There the branch bears its
own name and stands where the remote's stood at the last contact; it is shallow, and as partial as the server allows.
The user's repository gains nothing.

Reading fetches the tip first. Writing makes a commit here and pushes it; what `write` gives back is on the remote.
"""

from __future__ import annotations

import os
import time

from ..errors import Fatal
from ..git.collection import GcWindow, outlast
from ..git.committer import Committer
from ..git.config import Config, start_config
from ..git.environment import with_config, without_repository
from ..git.failures import LOCKED, MAY_HAVE_ARRIVED, RACE, REFUSED, UNWANTED, TransportError
from ..git.objects import RefMoved
from ..git.program import GitError, run
from ..git.remote_access import REMOTE, RemoteLocation, carried
from ..git.repository import Repository
from ..git.transport import Transport
from .base import Version
from .branch import sweep_leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Final

    from ..git.object_writer import ObjectWriter
    from ..git.objects import Changes, Oid, Scope
    from .base import Access, Files
    from .operations import Carried

_TOP: Final = "tree:4"
"""The filter with which a tip is fetched: what every look-up needs first comes along with the commit."""
_FILTERS: Final = {"self": "--filter=tree:1", "trees": "--filter=blob:none", "all": "--no-filter"}
_FRESH: Final = 1.0
"""Seconds for which one contact serves a process."""
_LONGEST_TURN: Final = 10
"""How many times `ocuroot.timeout` another process may fetch into the cache: as long as a transfer may take."""
_LONGEST_PAUSE: Final = 2.0
_SHORTEST_PAUSE: Final = 0.7
"""Seconds, at most, to wait after the first lost race, and after the third and later ones; at random below that."""
_LAGGING: Final = 8
"""Pushes rejected as outdated, with a tip that did not advance, after which reads are said to lag behind."""
_LOCKS: Final = ("shallow.lock", "config.lock", "packed-refs.lock")


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
    ) -> None:
        self.location = location
        self.reference = f"refs/heads/{location.branch}"
        self._config = config
        self._access = access
        self._timeout = timeout
        self._committer = Committer(home, config, environ)
        self._path = os.path.join(home.common_dir, "ocuroot", location.directory())
        self._gc_window = GcWindow(self._path)
        self._repository: Repository | None = None
        self._transport: Transport | None = None
        self._writer: ObjectWriter | None = None
        self._asked = float("-inf")
        self._must_ask = False
        """Whether no earlier answer will do: a write begins with the tip as it is, whatever reads may make do with."""
        self._rejected: tuple[Oid | None, int] = (None, 0)
        self._fetched = False

    # What it is

    @property
    def where(self) -> str:
        from ..redaction import redact

        return f"branch '{self.location.branch}' of '{redact(self.location.name or self.location.url)}'"

    @property
    def repository(self) -> Repository:
        """The tool's own repository, made when it is first asked for."""
        if self._repository is None:
            if not os.path.isdir(self._path):
                self._make()
            sweep_leftovers(os.path.dirname(self._path))
            self._repository = Repository.open(self._path, {"GIT_DIR": self._path})
            self._repository.fetch_missing = self._fetch_objects
        return self._repository

    @property
    def _object_writer(self) -> ObjectWriter:
        """What writes to the tool's own repository, as it was opened last."""
        if self._writer is None or self._writer.repository is not self.repository:
            from ..git.object_writer import ObjectWriter  # late: whoever only reads needs none of it

            self._writer = ObjectWriter(self.repository, self._config.synced())
        return self._writer

    @property
    def files(self) -> Files:
        return self.repository

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote):
            return NotImplemented
        return (self._path, self.location.branch) == (other._path, other.location.branch)

    def __hash__(self) -> int:
        return hash((self._path, self.location.branch))

    @property
    def last_contact(self) -> float | None:
        """When the remote was last asked for the branch, in seconds since the epoch; None: never."""
        try:
            return os.stat(self._contact_file).st_mtime
        except OSError:
            return None

    # Reading

    def read(self, at: str | None = None) -> Version:
        self._refresh()
        if at is not None:
            self.need_history()
        oid = self.repository.tip(self.reference) if at is None else self.repository.resolve(at)
        return Version(oid, None if oid is None else self.repository.root(oid))

    def known(self) -> Oid | None:
        """Where the branch stood at the last contact."""
        return self.repository.tip(self.reference)

    def refresh(self) -> None:
        """Ask the remote for the tip, however fresh the last answer is."""
        self._fetch_tip()

    def find_operation(self, name: str, version: Version, since: Oid | None) -> Carried | None:
        from .operations import find_carried

        if since is None:
            self._need_history()
        return find_carried(name, version.oid, since, self.repository.git_dir, self._committer.environ)

    def need_history(self) -> None:
        """Fetch the commits, and no more of them than that, back to the first; to be called before reading."""
        self._refresh()
        if self._need_history():
            self._repository = None  # libgit2 reads once where history ends

    # Writing

    def write(self, version: Version, changes: Changes, message: str, reason: str) -> Version:
        self._refuse_offline("write to")
        self._object_writer.begin_write()
        tree = self._object_writer.edit(version.root, changes)
        if tree is None:
            raise Fatal(f"{self.where}: refusing to write an empty tree")
        if version.root is not None and tree.id == version.root.id:
            return version
        oid = self._committer.commit(self._object_writer, tree, [version.oid] if version.oid else [], message)
        try:
            self._push(version.oid, oid, reason)
        except TransportError:
            if self._object_writer.holds(oid, changes):
                raise
            raise RefMoved(self.where) from None  # `git gc` has deleted here what was to be pushed

        def write_again() -> None:
            self._object_writer.write_commits_again()
            self._object_writer.edit(version.root, changes)

        outlast(self._object_writer, oid, changes, write_again)
        self._fetched = True
        return Version(oid, tree)

    def create(self, changes: Changes) -> Version:
        self._refuse_offline("write to")
        if not self.location.may_create:
            raise Fatal(f"there is no {self.where}, and it is said not to be created (create_branch)")
        oid = self._committer.first_commit(self._object_writer, changes)
        self._push(None, oid, "ocuroot: create the store")
        first = Version(oid, self.repository.root(oid))
        support: dict[str, bytes | None] = {path: text.encode() for path, text in self.location.support_files.items()}
        if not support:
            return first
        # Not in the first commit, which is the same everywhere.
        return self.write(first, support, "Add the files that support the store\n", "ocuroot: support files")

    def write_lock(self) -> AbstractContextManager[None]:
        """Writers do not wait for each other: who loses the race tries again."""
        from contextlib import nullcontext

        return nullcontext()

    def prepare_write(self) -> None:
        self._refuse_offline("write to")
        self._must_ask = True
        self._committer.prepare()

    def held_lock(self) -> str | None:
        return None  # a lock at the remote is not ours to see

    def may_be_collected(self) -> bool:
        return self._gc_window.is_open()

    def pause(self, tries: int) -> float:
        """Who has lost more often waits less, within bounds, so that none starves: see docs/sharing.md."""
        from random import random

        return random() * max(_LONGEST_PAUSE / tries, _SHORTEST_PAUSE)

    def end_write(self) -> None:
        self._committer.drop()

    def maintain(self) -> None:
        """Let git put many small packs together; it decides by itself when."""
        if self._fetched and self._repository is not None:
            self._fetched = False
            arguments = ["-c", "gc.autoDetach=false", "maintenance", "run", "--auto", "--quiet"]
            try:
                with self._lock():
                    run(arguments, self._environ())
            except GitError:
                pass  # the cache stays as it is; git reports its own trouble at its next maintenance

    def _push(self, old: Oid | None, new: Oid, reason: str) -> None:
        """Move the remote's branch from `old` to `new`. Raises RefMoved for every answer but success."""
        failure = self._network().push(new, self.reference)
        if failure is not None:
            self._must_ask = True
            raise self._moved(failure, old)
        self._rejected = (None, 0)
        self._touch()
        try:
            with self._lock():  # else a fetch of another process here meets the lock of the branch
                self._object_writer.move(self.reference, old, new, reason, self._committer.identities()[1])
        except RefMoved:
            pass  # another process here has fetched since: the cache is ahead of us

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
            self._network().retry(failure)
        return moved

    # Fetching

    def _refresh(self) -> None:
        if self._access.offline:
            if self.last_contact is None:
                raise Fatal(f"nothing was fetched of {self.where} yet", hint="leave out --offline once")
            return
        if self._must_ask:
            self._fetch_tip()
            return
        if time.monotonic() - self._asked < _FRESH:
            return
        limit, contact = self._access.max_age, self.last_contact
        # A contact in the future is a clock that was set back: it says nothing.
        if limit is not None and contact is not None and self._asked < 0 and 0 <= time.time() - contact <= limit:
            self._asked = time.monotonic()
            return
        self._fetch_tip()

    def _fetch_tip(self) -> None:
        with self._lock():
            known = self.known()
            depth = () if known is not None else ("--depth=1",)
            refspec, network = f"{self.reference}:{self.reference}", self._network()
            try:
                exists = network.fetch_branch(
                    self.reference, lambda: self._fetch([refspec], f"--filter={_TOP}", *depth)
                )
            except TransportError as error:
                raise self._explained(error, known) from None
            if not exists and known is not None:
                raise Fatal(
                    f"{self.where} is gone; it was at {known[:12]} at the last contact", hint=self._how_to_forget()
                )
        self._fetched = self._fetched or self.known() != known
        self._asked = time.monotonic()
        self._must_ask = False
        self._touch()

    def _explained(self, error: TransportError, known: Oid | None) -> Fatal:
        """Why the tip could not be fetched."""
        if "(non-fast-forward)" not in error.words:
            return error
        return Fatal(
            f"{self.where} was rewritten: {known and known[:12]}, its tip at the last contact, is no longer in it",
            hint=self._how_to_forget(),
        )

    def _how_to_forget(self) -> str:
        return f"if that is meant, forget what was fetched: rm -r '{self._path}'"

    def _fetch_objects(self, oids: list[Oid], scope: Scope) -> None:
        """Fetch objects by their ids; what `Repository.prefetch` and single look-ups call."""
        if self._access.offline:
            raise Fatal(f"{self.where}: what is asked for was not fetched yet", hint="leave out --offline")
        with self._lock():
            try:
                self._fetch([], _FILTERS[scope], wanted=oids)
            except TransportError as error:
                if error.kind != UNWANTED:
                    raise
                # A server that filters, but gives tips only: then all of it.
                self._fetch([self.reference], "--refetch", "--no-filter", "--depth=1")
        self._fetched = True

    def _need_history(self) -> bool:
        """Fetch the commits that are not here; whether there were any."""
        is_shallow = os.path.exists(os.path.join(self.repository.common_dir, "shallow"))
        if not is_shallow or self._access.offline:
            return False
        with self._lock():
            self._fetch([self.reference], "--unshallow", "--filter=tree:0")
        return True

    def _fetch(self, refspecs: list[str], *options: str, wanted: Sequence[Oid] = ()) -> None:
        """Fetch into the cache. To be called with the lock."""
        self._network().fetch(refspecs, *options, wanted=wanted, lock=self._held)

    # The tool's own repository

    def _make(self) -> None:
        """Make the tool's own repository; a half-made one never bears its name."""
        from ..git.scratch import scratch

        try:
            with scratch(os.path.dirname(self._path), os.path.basename(self._path)) as directory:
                made = os.path.join(directory, "repository")
                arguments = ["init", "--bare", "--quiet", "--template=", "--object-format=sha1", made]
                run(arguments, {**without_repository(self._committer.environ), "GIT_DEFAULT_REF_FORMAT": "files"})
                os.rename(made, self._path)
        except OSError as error:
            if not os.path.isdir(self._path):  # else another process was faster
                raise Fatal(f"cannot make '{self._path}': {error.strerror}") from None

    def _lock(self) -> AbstractContextManager[None]:
        """Wait until no other process fetches into the tool's own repository, and keep others waiting.

        By a lock on the directory, which the running git shares: it ends when both have ended, however they end.
        So what git left behind when it was killed can be told from what it needs, and is taken away.
        """
        from contextlib import contextmanager

        @contextmanager
        def hold() -> Iterator[None]:
            import fcntl

            if self._held is not None:
                yield  # within a fetch
                return
            directory = self.repository.common_dir
            self._held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._take_turn(self._held)
                for name in (*_LOCKS, f"{self.reference}.lock"):
                    if os.path.exists(os.path.join(directory, name)):
                        os.unlink(os.path.join(directory, name))
                yield
            finally:
                # For all who hold it: git has ended, but not what it started to stay, such as a cache of credentials.
                fcntl.flock(self._held, fcntl.LOCK_UN)
                os.close(self._held)
                self._held = None

        return hold()

    def _take_turn(self, held: int) -> None:
        """Wait for the lock. Raises Fatal where another process does not give it back in time."""
        import fcntl

        seconds = self._timeout * _LONGEST_TURN
        deadline = time.monotonic() + seconds
        while True:
            try:
                return fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Fatal(
                        f"another process has kept the cache '{self._path}' locked for {seconds:g} s",
                        hint=f"see which one it is: fuser '{self._path}'",
                    ) from None
            time.sleep(0.01 + time.monotonic() % 0.02)

    _held: int | None = None

    @property
    def _contact_file(self) -> str:
        return os.path.join(self._path, "ocuroot-contact", self.location.branch, "at")

    def _touch(self) -> None:
        os.makedirs(os.path.dirname(self._contact_file), exist_ok=True)
        with open(self._contact_file, "wb"):
            os.utime(self._contact_file)

    def _refuse_offline(self, what: str) -> None:
        if self._access.offline:
            raise Fatal(f"cannot {what} {self.where} with --offline")

    # How git is told to reach the remote

    def _network(self) -> Transport:
        if self._transport is None:
            own = Config.read(start_config(self.repository.common_dir, self._environ()))
            environ = with_config(self._environ(), carried(self.location, self._config, own))
            shown = self.location.name or self.location.url
            self._transport = Transport(
                self._committer.directory, environ, REMOTE, shown, self._timeout, self._access.tell
            )
        return self._transport

    def _environ(self) -> dict[str, str]:
        environ = {**without_repository(self._committer.environ), "GIT_DIR": self.repository.common_dir}
        return environ if self.location.is_trusted else {**environ, "GIT_PROTOCOL_FROM_USER": "0"}
