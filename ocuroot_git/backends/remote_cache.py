"""What was fetched of a branch of a remote repository: a bare repository of the tool's own (design 4.3, 8.4).

It lies at `ocuroot/<name>.git` below the directory that all work trees of the user's repository share, and may be
deleted at any time. There the branch bears its own name and stands where the remote's stood at the last contact; it is
shallow, and as partial as the server allows. The user's repository gains nothing.
"""

from __future__ import annotations

import os
import time

from ..errors import Error, Fatal
from ..formats.urls import helper, is_url
from ..git.config import Config, start_config
from ..git.contact import Contact
from ..git.environment import with_config, without_repository
from ..git.failures import (
    HOST_KEY,
    LOGIN,
    NO_PROGRAM,
    NO_REPOSITORY,
    SILENT,
    UNFILTERED,
    UNREACHABLE,
    UNWANTED,
    TransportError,
    lost_object,
)
from ..git.objects import RefMoved, blob_id
from ..git.program import GitError, run
from ..git.remote_access import OUTBOX, REMOTE, carried
from ..git.repository import Repository
from ..git.transport import MOST_TRIES, Transport
from .branch import sweep_leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Final

    from ..git.committer import Committer
    from ..git.local_remote import LocalRemote
    from ..git.objects import Oid, Scope
    from ..git.remote_access import RemoteLocation
    from .base import Access
    from .remote_filters import RemoteFilters

_CHOSEN: Final = "ocuroot-branch"
"""The file that names the branch of a store whose branch nobody named, once it holds one."""
_REFUSED: Final = "ocuroot-filters"
"""The file that says which filters the server does not take, once it has refused one."""
_TOP: Final = "tree:4"
"""The filter with which a tip is fetched: what every look-up needs first comes along with the commit."""
_FILTERS: Final = {"self": "tree:0", "near": "tree:1", "trees": "blob:none", "small": "blob:limit=4096", "all": None}
_COMMITS: Final = "tree:0"
"""The filter with which commits are fetched, or one object."""
_LONGEST_TURN: Final = 10
"""How many times `ocuroot.timeout` another process may fetch into the cache: as long as a transfer may take."""
_DEEPENED: Final = 100
"""Commits that are fetched besides where something waits that was made on an older tip than we know."""
_TRIES_OF_ALL: Final = 2
"""How often the branch is fetched together with what lies in its outbox, before it is fetched alone."""
_OF_THE_REMOTE: Final = (NO_REPOSITORY, LOGIN, HOST_KEY, NO_PROGRAM, UNREACHABLE, SILENT)
"""Why nothing can be fetched, be it the branch alone or not."""
_NO_BRANCH: Final = b"ref: refs/heads/none\n"
"""What stands in the HEAD of a repository without commits."""
_LOCKS: Final = ("shallow.lock", "config.lock", "packed-refs.lock")


class RemoteCache:
    """The tool's own repository of a branch at `location`: made when it is first asked for, and fetched into.

    `committer` is of the user's repository, and `config` its configuration, from which git is told how to reach the
    remote. `where` is the branch in words.
    """

    def __init__(
        self, path: str, location: RemoteLocation, config: Config, committer: Committer, access: Access, timeout: float
    ) -> None:
        self.path = path
        self.reference = f"refs/heads/{location.branch}"
        self._location = location
        self._config = config
        self._committer = committer
        self._access = access
        self._timeout = timeout
        self._repository: Repository | None = None
        self._transport: Transport | None = None
        self._filters: RemoteFilters | None = None
        self.needs_maintenance = False
        """Whether something was put into it since git last had a chance to tidy up."""
        self._is_deepened = False
        self._held: int | None = None
        """The open directory whose lock this process holds."""

    @property
    def where(self) -> str:
        from ..redaction import redact

        return f"branch '{self._location.branch}' of '{redact(self._location.name or self._location.url)}'"

    @property
    def repository(self) -> Repository:
        """The tool's own repository, made when it is first asked for."""
        if self._repository is None:
            if not self._is_whole():
                self._make()
            sweep_leftovers(os.path.dirname(self.path))
            self._repository = Repository.open(self.path, {"GIT_DIR": self.path})
            self._repository.fetch_missing = self._fetch_objects
        return self._repository

    @property
    def kept_branch(self) -> str | None:
        """The branch that was chosen for a store whose branch nobody named; None: none yet."""
        try:
            with open(os.path.join(self.repository.common_dir, _CHOSEN), encoding="utf-8") as file:
                return file.read().strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def keep_branch(self) -> None:
        """Keep this branch as the one that was chosen."""
        path = os.path.join(self.repository.common_dir, _CHOSEN)
        temporary = f"{path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(f"{self._location.branch}\n")
            os.replace(temporary, path)
        except OSError:
            pass  # the next command asks again

    def default_branch(self) -> str | None:
        """The branch that `git clone` of the remote would check out; None where it would check out none."""
        from ..git.scratch import scratch

        with scratch(os.path.dirname(self.path), os.path.basename(self.path)) as directory:
            return self.transport.default_branch(self._location.url, os.path.join(directory, "clone"))

    def reopen(self) -> None:
        """Forget what libgit2 has read once of where history ends."""
        self._repository = None

    @property
    def contact(self) -> Contact:
        """When the remote was last asked for the branch."""
        return Contact(os.path.join(self.path, "ocuroot-contact", self._location.branch, "at"))

    def known(self) -> Oid | None:
        """Where the branch stood at the last contact."""
        return self.repository.tip(self.reference)

    # Fetching

    def fetch_tip(self, besides: str | None = None) -> bool:
        """Bring the branch up to date with the remote's, and what a refspec `besides` names, where it does.

        Gives whether that was fetched too: anybody may have put there what the server has lost since, or what cannot be
        kept here, and the branch is none the worse for it. Raises Fatal, RemoteError for what cannot be fetched.
        """
        with self.lock():
            known = self.known()
            depth = () if known is not None else ("--depth=1",)
            branch = f"{self.reference}:{self.reference}"
            is_all = True

            def fetch() -> None:
                nonlocal is_all
                if besides is None or not is_all:
                    self._fetch([branch], *depth, filter=_TOP)
                    return
                try:
                    self._fetch([branch, besides], *depth, "--prune", filter=_TOP, most_tries=_TRIES_OF_ALL)
                except TransportError as error:
                    if error.kind in _OF_THE_REMOTE or _was_rewritten(error) or "find remote ref" in error.stderr:
                        raise
                    is_all = False
                    self._fetch([branch], *depth, filter=_TOP)

            try:
                exists = self.transport.fetch_branch(self.reference, fetch)
            except TransportError as error:
                raise self._explained(error, known) from None
            if not exists and known is not None:
                raise Fatal(
                    f"{self.where} is gone; it was at {known[:12]} at the last contact", hint=self._how_to_forget()
                )
        self.needs_maintenance = self.needs_maintenance or self.known() != known
        self.contact.note()
        return is_all

    def take_news(self, remote: LocalRemote, move: Callable[[Oid, Oid], None]) -> bool:
        """Bring the branch up to date from a remote on this machine, without `git fetch`; whether that could be done.

        What it has gained is read there, and put here into a pack as a fetch would; then `move` takes the branch from
        where it stood to where it stands. Where anything is in the way, git is to fetch, and says what it is.
        """
        with self.lock():
            known = self.known()
            try:
                news = remote.news(self.reference, known) if known is not None else None
                if news is None or known is None:
                    return False
                if news.objects:
                    run(["index-pack", "--stdin", "--promisor"], self.environ(), data=news.pack())
                    self.needs_maintenance = True
                if news.tip != known:
                    if not self.repository.has(news.tip):
                        return False
                    move(known, news.tip)
            except (Error, OSError, RefMoved, ValueError):
                return False
        self.contact.note()
        return True

    def _explained(self, error: TransportError, known: Oid | None) -> Fatal:
        """Why the tip could not be fetched."""
        if not _was_rewritten(error):
            return error
        return Fatal(
            f"{self.where} was rewritten: {known and known[:12]}, its tip at the last contact, is no longer in it",
            hint=self._how_to_forget(),
        )

    def _how_to_forget(self) -> str:
        return f"if that is meant, forget what was fetched: rm -r '{self.path}'"

    def _fetch_objects(self, oids: list[Oid], scope: Scope) -> None:
        """Fetch objects by their ids; what `Repository.prefetch` and single look-ups call."""
        if self._access.offline:
            raise Fatal(f"{self.where}: what is asked for was not fetched yet", hint="leave out --offline")
        with self.lock():
            try:
                self._fetch([], filter=_FILTERS[scope], wanted=oids)
            except TransportError as error:
                if error.kind != UNWANTED:
                    raise
                # A server that filters, but gives what branches point to and nothing else: then all of it. Not with
                # `--depth`: where the branch has moved on, git would cut off its new tip from the one that we know, so
                # that it would seem to be rewritten ever after.
                self._fetch([self.reference], "--refetch")
        self.needs_maintenance = True

    def fetch_commits(self, oid: Oid) -> None:
        """Fetch a commit, all before it, and all that is in them."""
        with self.lock():
            self._fetch([], wanted=[oid])
        self.needs_maintenance = True

    def fetch_object(self, oid: Oid) -> None:
        """Fetch one object, without the trees and files that it leads to. Raises TransportError."""
        with self.lock():
            self._fetch([], filter=_COMMITS, wanted=[oid])
        self.needs_maintenance = True

    def deepen(self) -> bool:
        """Fetch some of the commits before those that are here, once; whether any were missing."""
        tip = self.known()
        if tip is None or self._is_deepened or not os.path.exists(os.path.join(self.repository.common_dir, "shallow")):
            return False
        self._is_deepened = True
        with self.lock():
            # Not what the branch has gained meanwhile: git would take that for fetched, with its trees.
            self._fetch([], f"--deepen={_DEEPENED}", filter=_COMMITS, wanted=[tip])
        self.repository.reopen()  # libgit2 reads once where history ends
        return True

    def fetch_history(self) -> bool:
        """Fetch the commits that are not here; whether there were any."""
        is_shallow = os.path.exists(os.path.join(self.repository.common_dir, "shallow"))
        if not is_shallow or self._access.offline:
            return False
        with self.lock():
            self._fetch([self.reference], "--unshallow", filter=_COMMITS)
        return True

    def fetch_branches(self) -> None:
        """Fetch all branches and tags, with their history and files, as a clone does. Raises TransportError."""
        with self.lock():
            self._fetch(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])

    def _fetch(
        self,
        refspecs: list[str],
        *options: str,
        filter: str | None = None,
        wanted: Sequence[Oid] = (),
        most_tries: int = MOST_TRIES,
    ) -> None:
        """Fetch into the cache, with the lock held; through the filter that comes nearest to `filter` (None: none)."""
        filters = self._filters
        if filters is None:
            from .remote_filters import RemoteFilters  # late: some commands only know what a remote store is

            filters = self._filters = RemoteFilters(os.path.join(self.path, _REFUSED))
        lost: set[Oid] = set()
        while True:
            through = filters.option(filter)
            try:
                return self.transport.fetch(
                    refspecs, through, *options, wanted=wanted, lock=self._held, most_tries=most_tries
                )
            except TransportError as error:
                if (oid := lost_object(error.stderr)) is not None and oid not in {*lost, *wanted}:
                    # A commit that git threw away (see `upkeep`). To talk about no other, it is asked for by itself.
                    lost.add(oid)
                    self._fetch([], filter=_COMMITS, wanted=[oid])
                elif error.kind != UNFILTERED or not filters.note_refusal(error.stderr):
                    raise

    # The repository itself

    def _make(self) -> None:
        """Make the tool's own repository; a half-made one never bears its name."""
        from ..git.scratch import scratch

        try:
            with scratch(os.path.dirname(self.path), os.path.basename(self.path)) as directory:
                made = os.path.join(directory, "repository")
                arguments = ["init", "--bare", "--quiet", "--template=", "--object-format=sha1", made]
                run(arguments, {**without_repository(self._committer.environ), "GIT_DEFAULT_REF_FORMAT": "files"})
                if os.path.isdir(self.path) and not self._is_whole():
                    # It was deleted while git wrote to it, which made some of its directories again.
                    os.rename(self.path, os.path.join(directory, "remains"))
                os.rename(made, self.path)
        except OSError as error:
            if not self._is_whole():  # else another process was faster
                raise Fatal(f"cannot make '{self.path}': {error.strerror}") from None

    def _is_whole(self) -> bool:
        """Whether the tool's own repository is there, with all by which git knows one."""
        return all(os.path.exists(os.path.join(self.path, name)) for name in ("HEAD", "objects", "refs"))

    def lock(self) -> AbstractContextManager[None]:
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
            try:
                self._held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                hint = "was it deleted meanwhile? The next command makes it anew"
                raise Fatal(f"cannot use the cache '{directory}': {error.strerror}", hint=hint) from None
            try:
                self._take_turn(self._held)
                for name in (*_LOCKS, f"{self.reference}.lock", *self._locks_of_outbox()):
                    if os.path.exists(os.path.join(directory, name)):
                        os.unlink(os.path.join(directory, name))
                yield
            finally:
                # For all who hold it: git has ended, but not what it started to stay, such as a cache of credentials.
                fcntl.flock(self._held, fcntl.LOCK_UN)
                os.close(self._held)
                self._held = None

        return hold()

    def _locks_of_outbox(self) -> list[str]:
        """The locks of references to what waits, relative to the tool's own repository."""
        path = f"{OUTBOX}{self._location.branch}"
        try:
            names = os.listdir(os.path.join(self.path, path))
        except OSError:
            return []
        return [f"{path}/{name}" for name in names if name.endswith(".lock")]

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
                        f"another process has kept the cache '{self.path}' locked for {seconds:g} s",
                        hint=f"see which one it is: fuser '{self.path}'",
                    ) from None
            time.sleep(0.01 + time.monotonic() % 0.02)

    def maintain(self) -> None:
        """Let git put many small packs together; it decides by itself when."""
        if self.needs_maintenance and self._repository is not None:
            self.needs_maintenance = False
            from ..git.upkeep import tidy_up  # late: what only reads what is here tidies nothing up

            try:
                with self.lock():
                    tidy_up(self.repository.common_dir, self.environ())
            except (GitError, OSError):
                pass  # the cache stays as it is; git reports its own trouble at its next maintenance

    # Pushing what is no part of a branch

    def push_blob(self, data: bytes, name: str, delete: Mapping[str, Oid]) -> TransportError | None:
        """Push a blob to a reference (full name), and delete others with it, all or nothing; gives the failure.

        From a repository that holds nothing else. A blob has no path by which git could choose what it compares it
        with: in a partial clone it looks at all there is, here or not, and over HTTP it does not heed `--no-thin`.
        """
        from zlib import compress

        from ..git.scratch import scratch

        content, oid = b"blob %d\0%s" % (len(data), data), blob_id(data)
        try:
            with scratch(os.path.dirname(self.path), os.path.basename(self.path)) as directory:
                objects = os.path.join(directory, "objects", oid[:2])
                os.makedirs(objects)
                os.mkdir(os.path.join(directory, "refs"))
                for path, text in ((f"{objects}/{oid[2:]}", compress(content)), (f"{directory}/HEAD", _NO_BRANCH)):
                    with open(path, "wb") as file:
                        file.write(text)
                return self.transport.push(oid, name, delete=delete, git_dir=directory)
        except OSError as error:
            raise Fatal(f"cannot make a directory beside '{self.path}': {error.strerror}") from None

    # How git is told to reach the remote

    @property
    def transport(self) -> Transport:
        """How the remote is asked from within the tool's own repository."""
        if self._transport is None:
            self._refuse_namespace()
            own = Config.read(start_config(self.repository.common_dir, self.environ()))
            environ = with_config(self.environ(), carried(self._location, self._config, own))
            shown = self._location.name or self._location.url
            self._transport = Transport(
                self._committer.directory, environ, REMOTE, shown, self._timeout, self._access.tell
            )
        return self._transport

    def _refuse_namespace(self) -> None:
        """Refuse to take the whole repository for a part of it: git passes GIT_NAMESPACE on to servers it starts."""
        url = self._config.rewritten(self._location.url)
        is_here = helper(url) is None and (url.lower().startswith("file:") or not is_url(url))
        if is_here and self._committer.environ.get("GIT_NAMESPACE"):
            raise Fatal(f"{self.where}: GIT_NAMESPACE is set, and a store is in none", hint="unset GIT_NAMESPACE")

    def environ(self) -> dict[str, str]:
        """The environment in which git finds the tool's own repository, and trusts URLs as far as the user does."""
        environ = {**without_repository(self._committer.environ), "GIT_DIR": self.repository.common_dir}
        return environ if self._location.is_trusted else {**environ, "GIT_PROTOCOL_FROM_USER": "0"}


def _was_rewritten(error: TransportError) -> bool:
    """Whether a branch could not be fetched because where it stood is not in its history any more."""
    return "(non-fast-forward)" in error.stderr
