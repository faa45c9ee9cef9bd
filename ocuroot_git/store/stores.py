"""The stores of a repository: state and intent, read at a moment and changed by transactions (design 4.3, 5.2).

`ocuroot_git.open()` gives a `Stores`. Everything is read through a `Snapshot`, and changed by `transact`.
"""

from __future__ import annotations

import os

from ..errors import Conflict, Error, Fatal, NotFound, RemoteError
from ..formats.documents import MISSING, Document
from ..formats.layout import SIDES
from ..git.objects import ObjectError, RefMoved
from .snapshot import Found, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import TypeVar

    from ..backends.base import Backend, Version
    from ..backends.operations import Carried
    from ..formats.layout import ShownRef, Side
    from ..formats.operation import Operation, Origin
    from ..formats.refs import Ref
    from .retry import Companion, Retry
    from .snapshot import Surroundings
    from .transaction import Transaction

    Result = TypeVar("Result")


class Stores:
    """The state store and the intent store of a repository, which may be the same one."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.repeated: Callable[[Carried], None] = lambda carried: None
        """Told of an operation that was carried out by an earlier process, so that nothing was written."""

    # Where

    def backend(self, side: Side) -> tuple[Backend, str]:
        """The backend of a store and its configured directory there (empty: the top)."""
        return self.surroundings.backend(side)

    @property
    def base(self) -> Ref:
        """What relative refs are relative to: this repo, and the package and release that were named."""
        return self.surroundings.base

    @property
    def former_name(self) -> str | None:
        """What this repository was called when it last wrote, if that is not its name now, and its name was needed."""
        return self.surroundings.former_name

    def seconds(self, key: str, default: float) -> float:
        """A number of seconds that the user has configured under `key`. Raises Fatal for what is none."""
        return self.surroundings.seconds(key, default)

    # Reading

    def snapshot(self, at: str | None = None) -> Snapshot:
        """Both stores as they are now, or as they were at a revision or a date.

        Raises NotFound for an unknown revision.
        """
        snapshot = Snapshot(self.surroundings, {} if at is None else self._versions_at(at))
        snapshot.is_past = at is not None
        return snapshot

    def _versions_at(self, at: str) -> dict[Backend, Version]:
        """Each branch as it was then. A revision names a commit of one of them; where the other has not got it, that is
        read as it was when the commit was made."""
        backends = list(dict.fromkeys(self.backend(side)[0] for side in SIDES))
        found: dict[Backend, Version] = {}
        unknown: NotFound | None = None
        for backend in backends:
            try:
                found[backend] = backend.read(at)
            except NotFound as error:
                unknown = unknown or error
        if unknown is not None and (len(backends) == 1 or not found):
            raise unknown
        if len({version.oid for version in found.values()}) == len(backends):
            return found
        from ..formats.times import format_seconds  # late: most look at the present

        own = [backend for backend, version in found.items() if _has(backend, version)] or list(found)[:1]
        named = found[own[0]].oid
        if own[0].repository is not None and named is not None:
            moment = format_seconds(own[0].repository.commit(named).committer.time)
            found.update((backend, backend.read(moment)) for backend in backends if backend not in own)
        return found

    def get(self, ref: Ref | str, default: Document = MISSING) -> Document:
        """The document at `ref`, or the part its fragment names: see `Snapshot.get`.

        >>> stores = open()
        >>> stores.get("@/environment/production#attributes/type")
        'prod'
        >>> stores.get("@/environment/nowhere", default=None)
        """
        return self.snapshot().get(ref, default)

    def look_up(self, ref: Ref | str) -> Found:
        """As `get`, with the ref behind all links, and without an error where there is nothing."""
        return self.snapshot().look_up(ref)

    def match(
        self, *globs: str, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> list[ShownRef]:
        """The refs that match any of the globs, in byte order: see `Snapshot.match`.

        >>> stores = open()
        >>> stores.match("@/environment/*")
        ['@/environment/production', '@/environment/staging']
        """
        return self.snapshot().match(*globs, side=side, links=links, exclude=exclude)

    def resolve(self, ref: Ref | str) -> ShownRef:
        """The ref behind all links: see `Snapshot.resolve`."""
        return self.snapshot().resolve(ref)

    # Writing

    def transact(
        self,
        change: Callable[[Transaction], Result],
        *,
        command: str = "update",
        message: str | None = None,
        operation: Operation | str | None = None,
        companions: Sequence[Companion] = (),
    ) -> Result:
        """Run `change` on the newest tree and write what it changed as one commit; gives what it returned.

        Where another writer was faster, `change` is run again on the new tree, so it must have no other effects.
        Nothing is written where nothing changed. `command` is for the commit's trailer, `message` for its subject.

        `operation` names the change: under a name that is in the history already nothing is written, and the first
        result is given. Where it says what was asked for, `change` must return a JSON document, which is written down.
        `companions` are other changes, which go along in the same push where they can: those that did say so.

        Raises Conflict where a precondition fails, where the race was lost for `ocuroot.timeout` seconds, or where
        the name was given to another change.
        """
        from ..formats.operation import Operation, checked_name
        from .retry import Retry  # late: whoever only reads needs no retries

        if operation is None:
            operation = Operation(os.urandom(16).hex(), is_named=False)
        elif isinstance(operation, str):
            operation = Operation(checked_name(operation))
        retry = Retry(command, message, operation, self.surroundings.timeout)
        retry.companions = list(companions)
        backends = [self.backend(side)[0] for side in SIDES]
        try:
            for backend in backends:
                backend.prepare_write()
            while True:
                retry.begin()
                try:
                    if retry.tries == 1:
                        self._wait_at_once(retry, change)
                    result = self._try(retry, change)
                    break
                except RefMoved as moved:
                    retry.after(moved, self.surroundings.tell)
            return self._take_back(retry, change, result) if retry.may_be_made else result
        except Error as error:
            if not retry.may_be_made:
                raise
            return self._take_back(retry, change, error)
        except BaseException:
            retry.withdraw(self.surroundings.tell)
            raise
        finally:
            for backend in backends:
                backend.end_write()

    def is_done(self, operation: Operation, command: str) -> bool:
        """Whether an operation that the user named was carried out already. Raises Conflict as `transact` does."""
        return self.commit_of(operation, command) is not None

    def commit_of(self, operation: Operation, command: str) -> str | None:
        """The commit by which a named operation was carried out; None where it was not. Raises as `is_done` does."""
        from .retry import Retry

        if not operation.is_named:
            return None
        retry = Retry(command, None, operation, self.surroundings.timeout)
        found = retry.find(self.snapshot(), {self.backend(side)[0]: None for side in SIDES})
        return None if found is None else found[1].commit

    def transaction(
        self, message: str | None = None, *, command: str = "update"
    ) -> AbstractContextManager[Transaction]:
        """A transaction as a block: what is changed in it is written at its end, or nothing is. `message` says why.

        Where another writer was faster, the same changes are made to the new tree, provided that all that the block
        read, and what it changes, is still as it was; else Conflict is raised and nothing is changed.

        >>> stores = open()
        >>> with stores.transaction("freeze for the holidays") as tx:
        ...     tx.set("+/custom/freeze", {"until": "2027-01-04"})
        """
        # Not at the top, here and below: whoever only reads, as `get` does, needs none of it.
        from contextlib import contextmanager

        from .transaction import Transaction

        @contextmanager
        def block() -> Iterator[Transaction]:
            transaction = Transaction(self.snapshot())
            yield transaction
            self.transact(transaction.replay, command=command, message=message, operation=_because(message))

        return block()

    def set(self, ref: Ref | str, value: Document, *, message: str | None = None) -> None:
        """Make the document at `ref` be `value`, in a transaction of its own. `message` says why."""
        self.transact(lambda tx: tx.set(ref, value), command="set", message=message, operation=_because(message))

    def delete(self, ref: Ref | str, *, message: str | None = None) -> None:
        """Delete the document at `ref` and the links to it, in a transaction of its own. `message` says why.

        Raises NotFound.
        """
        self.transact(lambda tx: tx.delete(ref), command="delete", message=message, operation=_because(message))

    def origin(self, backend: Backend) -> Origin:
        """As `Snapshot.origin`."""
        return Snapshot(self.surroundings, {}).origin(backend)

    def finish(self) -> None:
        """Let git tidy up the repositories that were written to; once, at the end of a process."""
        for backend in self.surroundings.opened():
            backend.maintain()

    def _wait_at_once(self, retry: Retry, change: Callable[[Transaction], object]) -> None:
        """Let a change wait as it is made on what is known of the branch, without a fetch, where it would wait anyhow.

        That is safe: who makes it checks all that it read. Raises RefMoved where it waits. What fails on what is known,
        changes nothing there, or has a name under which it may have been made, is tried on what is fetched.
        """
        (backend, *others) = {self.backend(side)[0] for side in SIDES}
        known = backend.outbox.crowded_version() if backend.outbox is not None else None
        if known is None or others or retry.operation.is_named or retry.companions:
            return
        from .combine import wait_at_once
        from .transaction import Transaction

        snapshot = Snapshot(self.surroundings, {backend: known})
        transaction = Transaction(snapshot)
        try:
            result = change(transaction)
        except Error:
            return
        if transaction.changes():
            self._complete(retry.operation, snapshot.origin(backend), result)
            retry.write_to(snapshot, backend)
            wait_at_once(retry, snapshot, transaction, backend, result)

    def _try(self, retry: Retry, change: Callable[[Transaction], Result]) -> Result:
        from contextlib import ExitStack

        from .transaction import Transaction

        # In one order everywhere, lest two writers wait for each other.
        backends = sorted({self.backend(side)[0] for side in SIDES}, key=lambda backend: backend.where)
        with ExitStack() as turns:
            for backend in backends:
                turns.enter_context(backend.write_lock())
            snapshot = self.snapshot()
            done = retry.look_back(snapshot)
            if done is not None:
                return self._made(retry, snapshot, *done, change)
            transaction = Transaction(snapshot)
            failed: Error | None = None
            try:
                result = change(transaction)
            except RemoteError as error:
                raise retry.explained(error) from None
            except Error as error:
                failed = error
            if retry.operation.is_named:
                # One that failed may have looked at one place alone, and been carried out in the other.
                done = retry.find(snapshot, list(snapshot.versions) if failed is None else backends)
                if done is not None:
                    self.repeated(done[1])
                    return self._first_result(snapshot, *done, change)
            if failed is not None:
                for backend in backends if isinstance(failed, ObjectError) else ():
                    if backend.may_be_collected():  # what `git gc` deleted is about to be written again
                        retry.backend = backend
                        raise RefMoved(backend.where)
                raise failed
            self._write(retry, snapshot, transaction, result)
            return result

    def _made(
        self,
        retry: Retry,
        snapshot: Snapshot,
        backend: Backend,
        carried: Carried,
        change: Callable[[Transaction], Result],
    ) -> Result:
        """What the change gave that was made by a try of ours, or by another writer for us."""
        self.surroundings.note_write()
        retry.end_waiting()
        retry.note_made(carried.commit)
        is_known, result = retry.known_result(carried.commit)
        return result if is_known else self._first_result(snapshot, backend, carried, change)  # type: ignore[return-value]

    def _take_back(self, retry: Retry, change: Callable[[Transaction], Result], end: Result | Error) -> Result:
        """End with a result or an error, once nobody can make any more what still waits; if nobody has made it yet."""
        backend = retry.backend
        assert backend is not None and backend.outbox is not None
        try:
            for name in retry.names_waiting:
                backend.outbox.take_back(name)
            snapshot = self.snapshot()
        except Error as error:
            raise retry.unknown(error) from None
        try:
            done = retry.find(snapshot, (backend,))
        except Conflict:
            raise  # the name is another change's, so that nobody can have made ours
        except Error as error:
            raise retry.unknown(error) from None
        if done is not None:
            return self._made(retry, snapshot, *done, change)
        if retry.unsure is not None:
            raise retry.unknown(retry.unsure)
        if isinstance(end, Error):
            raise end
        return end

    def _first_result(
        self, snapshot: Snapshot, backend: Backend, carried: Carried, change: Callable[[Transaction], Result]
    ) -> Result:
        """What an operation gave when it was carried out."""
        from ..backends.base import Version
        from ..formats.commit_message import result_of
        from .transaction import Transaction

        if carried.operation.request is not None:
            return result_of(carried.operation)  # type: ignore[return-value]
        # Nothing was written down: run it again on what it was run on.
        repository = backend.repository
        assert repository is not None
        before = Version(carried.before, None if carried.before is None else repository.root(carried.before))
        return change(Transaction(Snapshot(self.surroundings, {**snapshot.versions, backend: before})))

    def _write(self, retry: Retry, snapshot: Snapshot, transaction: Transaction, result: object) -> None:
        from ..formats.commit_message import compose

        by_backend: dict[Backend, dict[str, bytes | None]] = {}
        for tree, changes in transaction.changes():
            backend, directory = snapshot.backend_of(tree)
            by_backend.setdefault(backend, {}).update({directory + path: data for path, data in changes.items()})
        if len(by_backend) > 1:
            raise Fatal(
                "a transaction cannot change the state store and the intent store, which lie in two places",
                hint="change them one after the other",
            )
        for backend, files in by_backend.items():
            self._complete(retry.operation, snapshot.origin(backend), result)
            text = compose(transaction.touched, retry.command, [retry.operation], retry.message)
            subject = text.partition("\n")[0]
            retry.write_to(snapshot, backend)
            version = snapshot.version(backend)
            push = backend.begin(version) if backend.outbox is not None or retry.companions else None
            if push is None:
                backend.write(version, files, text, f"ocuroot: {subject}")
            else:
                from .combine import write

                write(retry, snapshot, transaction, backend, push, files, text, result)
        if by_backend:
            self.surroundings.note_write()

    def _complete(self, operation: Operation, origin: Origin, result: object) -> None:
        """Let an operation say where it comes from, and what it gave if it is to be written down."""
        from ..formats.commit_message import recorded

        origin.reason = operation.origin.reason or origin.reason
        operation.origin = origin
        if operation.request is not None:
            operation.result = recorded(result)


def _has(backend: Backend, version: Version) -> bool:
    """Whether a version is of the history of a branch, and not just of its repository."""
    tip, repository = backend.read().oid, backend.repository
    if tip is None or version.oid is None or repository is None:
        return False
    return repository.is_ancestor(version.oid, tip)


def _because(message: str | None) -> Operation:
    """An operation without a name, whose reason is the message of its commit."""
    from ..formats.operation import Operation, Origin

    operation = Operation(os.urandom(16).hex(), is_named=False)
    operation.origin = Origin.of(reason=message)
    return operation
