"""The log of a run while it runs: a file in this repository, until it is recorded with the run's end (design 8.8).

Lines that a command prints are neither commits nor pushes. They lie in `.git/ocuroot/live/`, a JSON line for each
entry, in a file of the executor's own. It outlives an executor that was killed: who takes its run over here, or ends
it, takes the lines into the run's logs.
"""

from __future__ import annotations

import os
import time

from ..errors import Error, Fatal
from ..formats.documents import DocumentError, dump, parse, to_bytes
from . import vocabulary
from .addresses import RunRef
from .logs import Log
from .problems import BAD
from .run_queries import read_claim, read_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..backends.live_reference import LiveReference
    from ..git.objects import Oid
    from ..store.fsck import Finding
    from ..store.snapshot import Snapshot, Surroundings
    from ..store.transaction import Transaction

_SUBJECT: Final = "log of "
_LARGEST: Final = 4 << 20
"""Bytes above which a file is written anew, with what the bounds of a log leave of it."""
_KEPT: Final = 7 * 24 * 3600.0
"""Seconds for which a file is kept that nobody has recorded."""


def path_of(surroundings: Surroundings, run: RunRef, owner: str) -> str | None:
    """The file for what a run prints while an owner executes it; None where it goes into the store as it comes.

    That is so for a store in a directory, where a write is neither a commit nor a push.
    """
    directory = surroundings.own_directory
    if directory is None or surroundings.backend("state")[0].repository is None:
        return None
    return os.path.join(directory, "live", f"{_digest(run, owner)}.jsonl")


def reference_of(surroundings: Surroundings, run: RunRef, owner: str) -> LiveReference | None:
    """The reference at the remote for what a run prints while an owner executes it; None where none is wanted."""
    from ..backends.live_reference import LiveReference
    from ..backends.remote import Remote

    backend = surroundings.backend("state")[0]
    if not isinstance(backend, Remote) or not backend.live_logs:
        return None
    return LiveReference(backend, _digest(run, owner))


def _digest(run: RunRef, owner: str) -> str:
    from hashlib import sha1

    return sha1(to_bytes(f"{run.ref}\0{owner}")).hexdigest()[:20]


def publish(reference: LiveReference, run: RunRef, new: Log) -> None:
    """Add entries to what others can follow. Raises RemoteError."""
    reference.append(_lines(new), f"{_SUBJECT}{run.ref}\n")


def leftovers(snapshot: Snapshot) -> Iterator[Finding]:
    """The references at the remote of runs that have ended, which executors have left that were killed."""
    from ..backends.live_reference import live_references
    from ..backends.remote import Remote
    from ..store.fsck import Finding

    backend = snapshot.surroundings.backend("state")[0]
    for name, message in live_references(backend).items() if isinstance(backend, Remote) else ():
        ref = message.partition("\n")[0].removeprefix(_SUBJECT)
        try:
            if read_function(snapshot, RunRef.parse(ref)).status == vocabulary.RUNNING:
                continue
            what = f"the log of '{ref}', which has ended"
        except (Error, ValueError):
            what = "it is of no run that there is"
        yield Finding("warning", name, f"{what}; 'git push <remote> --delete {name}' removes it")


class LiveFile:
    """The file that an executor writes. Raises OSError where it cannot be written."""

    def __init__(self, path: str) -> None:
        self.path = path

    def append(self, new: Log, whole: Log) -> None:
        """Add entries; `whole` is the log with them, with which a file that grew too large begins anew."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "ab") as file:
            file.write(_lines(new))
            size = file.tell()
        if size > _LARGEST:
            with open(f"{self.path}.new", "wb") as file:
                file.write(_lines(whole))
            os.replace(f"{self.path}.new", self.path)

    def remove(self) -> None:
        """Remove the file, and those of others that nobody has recorded for long."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        try:
            for entry in os.scandir(os.path.dirname(self.path)):
                if entry.stat().st_mtime < time.time() - _KEPT:
                    os.unlink(entry.path)
        except FileNotFoundError:
            pass  # another was faster


def _lines(log: Log) -> bytes:
    return b"".join(to_bytes(dump(entry, None) + "\n") for entry in log.to_document())


class LiveLog:
    """What an executor has printed of a run that is not recorded; asked again and again, it reads only what is new.

    From the file where the run is executed in this repository, else from the reference at the remote.
    """

    def __init__(self, owner: str = "") -> None:
        self.owner = owner
        """Who executes the run; empty where nobody is known to."""
        self.log = Log()
        self.is_far = False
        """Whether asking again asks the remote."""
        self._file = 0
        self._at = 0
        self._tip: Oid | None = None

    def refresh(self, snapshot: Snapshot, run: RunRef) -> None:
        """Take in what came since. Raises BadDocument for a claim, Fatal for a file that cannot be read."""
        owner = read_claim(snapshot, run).owner
        if owner != self.owner:
            self.__init__(owner)  # type: ignore[misc]  # what another has printed is recorded, or lost
        path = path_of(snapshot.surroundings, run, owner) if owner else None
        if path is not None and self._read_file(path):
            self.is_far = False
            return
        reference = reference_of(snapshot.surroundings, run, owner) if owner else None
        if reference is not None:
            tip, data = reference.read(self._tip)
            self.is_far = True
            self._tip = tip or self._tip
            self._take(data)

    def _read_file(self, path: str) -> bool:
        """Read on in a file, from its beginning where it is another by now; whether there is one.

        A line that has no end is left for later: its writer is at it, or was killed.
        """
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._file or status.st_size < self._at:
                    self._file, self._at, self.log = status.st_ino, 0, Log()
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Fatal(f"cannot read '{path}': {error.strerror}") from None
        end = data.rfind(b"\n") + 1
        self._at += end
        self._take(data[:end])
        return True

    def _take(self, data: bytes) -> None:
        """Add the entries in lines of JSON; what is none, in a file that was cut short, is left out."""
        entries = []
        for line in data.splitlines():
            try:
                entries.append(parse(line.decode(errors="replace")))
            except DocumentError:
                continue
        self.log.extend(Log.read(entries))


def take_over(tx: Transaction, run: RunRef) -> None:
    """Add to the logs of a running run what its executor has left; to be called before its claim is replaced."""
    try:
        if read_function(tx, run).status != vocabulary.RUNNING:
            return
        left = LiveLog()
        left.refresh(tx, run)
    except (*BAD, Error):
        return  # what cannot be read must not keep a run from being ended
    if not left.log.is_empty:
        log = Log.read(tx.get(run.logs, None))
        log.extend(left.log)
        tx.set(run.logs, log.to_document())
