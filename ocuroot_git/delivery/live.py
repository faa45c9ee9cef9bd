"""The log of a run while it runs: a file in this repository, until it is recorded with the run's end (design 8.8).

Lines that a command prints are neither commits nor pushes. They lie in `.git/ocuroot/live/`, a JSON line for each
entry, in a file of the executor's own. It outlives an executor that was killed: who takes its run over here, or ends
it, takes the lines into the run's logs.
"""

from __future__ import annotations

import os
import time

from ..errors import Error, RemoteError
from ..formats.documents import DocumentError, dump, parse, to_bytes
from . import vocabulary
from .addresses import RunRef
from .logs import Log
from .problems import BAD
from .queries import read_claim, read_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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


def read(snapshot: Snapshot, run: RunRef) -> Log:
    """What a running run has printed that is not in its logs yet, as far as this repository knows; else nothing.

    Raises BadDocument for a claim that cannot be read.
    """
    owner = read_claim(snapshot, run).owner
    path = path_of(snapshot.surroundings, run, owner) if owner else None
    return read_file(path) if path is not None else Log()


def read_file(path: str) -> Log:
    """The log in a file; empty where there is none. A line that was cut off when its writer was killed is left out."""
    try:
        with open(path, "rb") as file:
            return _parsed(file)
    except FileNotFoundError:
        return Log()


def _parsed(lines: Iterable[bytes]) -> Log:
    entries = []
    for line in lines:
        try:
            entries.append(parse(line.decode(errors="replace")))
        except DocumentError:
            continue
    return Log.read(entries)


def read_remote(snapshot: Snapshot, run: RunRef, known: Oid | None = None) -> tuple[Oid | None, Log]:
    """What a running run has sent to the remote since the commit `known`, and the commit where that ends.

    Raises RemoteError, BadDocument for a claim that cannot be read.
    """
    owner = read_claim(snapshot, run).owner
    reference = reference_of(snapshot.surroundings, run, owner) if owner else None
    if reference is None:
        return None, Log()
    tip, data = reference.read(known)
    return tip, _parsed(data.splitlines())


def take_over(tx: Transaction, run: RunRef) -> None:
    """Add to the logs of a running run what its executor has left; to be called before its claim is replaced."""
    try:
        if read_function(tx, run).status != vocabulary.RUNNING:
            return
        left = read(tx, run)
        if left.is_empty:
            left = read_remote(tx, run)[1]
    except (*BAD, RemoteError):
        return  # what cannot be read must not keep a run from being ended
    if not left.is_empty:
        log = Log.read(tx.get(run.logs, None))
        log.extend(left)
        tx.set(run.logs, log.to_document())
