"""Many writers to one branch combine: who wins a race makes the changes of those who wait (design 8.10).

A change that has lost goes into an *outbox* beside the branch, with what it read. Whoever pushes next checks that all
of that is still so, makes a commit of it by its author and under its name, and takes it out of the outbox in the same
push. What no longer holds stays there: its writer notices, and runs it again. How a writer waits: see `retry`.
"""

from __future__ import annotations

import time

from ..backends.base import LATELY
from ..errors import Error, Fatal
from ..formats.commit_message import compose
from ..formats.layout import SIDES, STORE_FILE, Layout
from ..formats.times import format_seconds
from ..formats.waiting_change import LONGEST_WAIT, MOST_BYTES, MOST_FILES, BadChange, WaitingChange
from ..git.objects import ObjectError, Oid, RefMoved
from ..redaction import redact
from .fsck import Finding
from .snapshot import Snapshot
from .transaction import Transaction
from .tree import StoreTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..backends.base import Backend, Outbox, Push
    from .retry import Companion, Retry

MOST_AT_ONCE: Final = 64
"""Changes of others that one push makes."""
MOST_READ_AT_ONCE: Final = 20_000
"""Files and directories that all of them together may have read, since each is looked up again."""


def write(
    retry: Retry,
    snapshot: Snapshot,
    transaction: Transaction,
    backend: Backend,
    push: Push,
    files: dict[str, bytes | None],
    message: str,
    result: object,
) -> None:
    """Push what a transaction changed, as a commit, and with it the changes of others that wait and still hold.

    Raises RefMoved where the race was lost; the change waits from then on, if others can make it.
    """
    outbox, version = backend.outbox, snapshot.version(backend)
    others = _others(outbox, retry, snapshot, backend) if outbox is not None else {}
    if outbox is not None:
        lately = [name for name in _before_us(outbox, others) if abs(time.time() - outbox.began(name)) < LATELY]
        outbox.is_crowded = 0 < len(lately) <= MOST_AT_ONCE  # more may be what nobody can make, or nobody waits for
    # To race with who makes those would be in the way of all.
    is_better_left_to_them = outbox is not None and outbox.is_crowded and retry.tries == 1
    if is_better_left_to_them and _let_wait(retry, snapshot, transaction, backend, result, before_us=len(others)):
        raise _not_yet(backend)
    if not push.add(files, message):
        return
    own = push.version.oid
    assert own is not None
    retry.pushed[own] = result
    for other in retry.companions:
        other.operation.origin = retry.operation.origin
    retry.along[own] = [other for other in retry.companions if _add(push, snapshot, backend, other)]
    if retry.waiting is not None:
        push.take_out(retry.waiting)
    if outbox is not None and others and version.oid is not None:
        _make_others(push, outbox, backend, others, version.oid, retry.operation.name)
    try:
        push.send(f"ocuroot: {message.partition(chr(10))[0]}")
    except RefMoved as moved:
        if moved.refusal is None:
            before_us = len(_before_us(outbox, others)) if outbox is not None else 0
            _let_wait(retry, snapshot, transaction, backend, result, before_us=before_us)
        raise
    retry.end_waiting()
    retry.note_made(own)


def wait_at_once(retry: Retry, snapshot: Snapshot, transaction: Transaction, backend: Backend, result: object) -> None:
    """Let a change wait that was made on what is known of a branch to which many write. Raises RefMoved if it does."""
    if _let_wait(retry, snapshot, transaction, backend, result, before_us=1):
        retry.is_hasty = True
        raise _not_yet(backend)


def _add(push: Push, snapshot: Snapshot, backend: Backend, companion: Companion) -> bool:
    """Make another change of this process on top of a push; whether it was. What fails is tried again by itself."""
    transaction = Transaction(Snapshot(snapshot.surroundings, {**snapshot.versions, backend: push.version}))
    try:
        companion.result = companion.change(transaction)
        files: dict[str, bytes | None] = {}
        for tree, changes in transaction.changes():
            its_backend, directory = transaction.backend_of(tree)
            if its_backend != backend:
                return False
            files.update({directory + path: data for path, data in changes.items()})
        text = compose(transaction.touched, companion.command, [companion.operation], companion.message)
        if files:
            push.add(files, text)
        return True
    except Error:
        return False


def _not_yet(backend: Backend) -> RefMoved:
    moved = RefMoved(backend.where)
    moved.is_sent = True
    return moved


# What waits of ours


def _let_wait(
    retry: Retry,
    snapshot: Snapshot,
    transaction: Transaction,
    backend: Backend,
    result: object,
    *,
    before_us: int,
) -> bool:
    """Let a change wait, unless it does so already as it is now; whether it waits."""
    change = _change_of(retry, snapshot, transaction, backend)
    outbox = backend.outbox
    if change is None or outbox is None:
        return retry.waiting is not None
    what = (change.objects, change.names, change.files)
    if retry.waiting is not None and what == retry.what_waits:
        return True
    if snapshot.surroundings.before_waiting is not None:
        snapshot.surroundings.before_waiting()
    name = outbox.new_name()
    with retry.sending(name):
        does_wait, failure = outbox.put(name, change.to_bytes(), retry.waiting)
    if not does_wait:
        return retry.waiting is not None
    retry.note_waiting(name, what, result, failure, before_us=before_us)
    return True


def _change_of(retry: Retry, snapshot: Snapshot, transaction: Transaction, backend: Backend) -> WaitingChange | None:
    """What a transaction read and writes, so that it can wait; None where it cannot.

    It cannot where it read what others change all the time, or what another branch holds, and where it is large.
    """
    version, outbox = snapshot.version(backend), backend.outbox
    if outbox is None or version.oid is None:
        return None
    objects: dict[str, Oid | None] = {}
    names: dict[str, str] = {}
    files: dict[str, bytes | None] = {}
    for draft in transaction.drafts():
        its_backend, directory = snapshot.backend_of(draft.base)
        read = transaction.what_was_read(draft)
        if read is None or its_backend != backend:
            return None
        objects |= {directory + path: oid for path, oid in read[0].items()}
        objects[directory + STORE_FILE] = _oid(draft.base, STORE_FILE)
        names |= {directory + path: _digest(entries) for path, entries in read[1].items()}
        files |= {directory + path: data for path, data in draft.changes.items()}
    size = sum(len(path) + len(data or b"") for path, data in files.items())
    if len(objects) + len(names) > MOST_FILES or size > MOST_BYTES // 2:
        return None
    change = WaitingChange(
        base=version.oid,
        expires=int(min(time.time() + min(2 * retry.timeout, LONGEST_WAIT), transaction.holds_until or float("inf"))),
        author=outbox.author(),
        command=retry.command,
        subject=None if retry.message is None else redact(retry.message),
        touched=sorted(transaction.touched)[:MOST_FILES],
        operation=retry.operation,
        objects=objects,
        names=names,
        files=files,
    )
    try:
        WaitingChange.read(change.to_bytes()).check_files(_directories(snapshot, backend))
    except BadChange:
        return None  # such as a document of another program whose path is no ref: nobody else is asked to write that
    return change


# What waits of others


def _before_us(outbox: Outbox, others: Iterable[str]) -> list[str]:
    """Those of some changes that somebody may make, as far as is known."""
    return [name for name in others if not outbox.is_passed_over(name)]


def _others(outbox: Outbox, retry: Retry, snapshot: Snapshot, backend: Backend) -> dict[str, WaitingChange]:
    """The changes of others that wait and may be made, if what they read is still so; by name.

    Raises RefMoved where ours is not among those that wait, for the first time.
    """
    found = {}
    directories: list[str] | None = None
    waiting = outbox.waiting()
    reads = 0
    if retry.waiting is not None and outbox.is_there(retry.waiting):
        retry.unsure = None
    elif retry.waiting is not None and retry.missed != retry.waiting:
        # A server lists the branch first: the change may have been made while it went on to what waits.
        retry.missed = retry.waiting
        outbox.ask_again()
        raise _not_yet(backend)
    elif retry.waiting is not None:
        retry.lose_sight()
        outbox.give_up()
    for name, text in waiting.items():
        if name == retry.waiting or outbox.is_stuck(name):
            continue
        directories = directories or _directories(snapshot, backend)
        try:
            change = WaitingChange.read(text)
            change.check_files(directories)
        except BadChange:
            outbox.pass_over([name])  # `fsck` names it
            continue
        reads += len(change.objects) + len(change.names)
        if reads > MOST_READ_AT_ONCE:
            break
        if change.waits_at(time.time()):
            found[name] = change
        else:
            outbox.pass_over([name])
    # In the order in which they came; of more than one push makes the newest, whose writers live, if any does.
    return dict(sorted(found.items())) if len(found) <= MOST_AT_ONCE else found


def _make_others(
    push: Push, outbox: Outbox, backend: Backend, others: dict[str, WaitingChange], tip: Oid, own: str
) -> None:
    """Make the changes of others on top of a push, each in a commit of its own."""
    history = outbox.history(tip, {Oid(change.base) for change in others.values()})
    outbox.pass_over(name for name, change in others.items() if Oid(change.base) not in history)
    others = {name: change for name, change in others.items() if Oid(change.base) in history}
    _prefetch(backend, push, others.values())
    made = {own}
    for name, change in others.items():
        operation = change.operation.name
        if operation in history[Oid(change.base)]:
            push.take_out(name)  # it was made: a server that was killed has left it there
        elif operation in made or len(made) > MOST_AT_ONCE:
            continue
        elif _make(push, backend, change):
            push.take_out(name)
            made.add(operation)
        else:
            outbox.pass_over([name])  # until its writer has run it again, and lets it wait under another name


def _make(push: Push, backend: Backend, change: WaitingChange) -> bool:
    """Make a change, if all that it read is still so; whether it was made."""
    tree = StoreTree(backend.files, push.version.root, Layout())
    try:
        return (
            all(_oid(tree, path) == oid for path, oid in change.objects.items())
            and all(_digest(tree.names(path)) == digest for path, digest in change.names.items())
            and push.add(change.files, change.message(), change.author)
        )
    except (ObjectError, Fatal):
        return False  # a file where a directory should be, or nothing that is left: its writer is to be told that


def _prefetch(backend: Backend, push: Push, changes: Iterable[WaitingChange]) -> None:
    """Fetch the directories on the way to what changes read, a level at a time, where the store is partial."""
    if not backend.files.is_partial:
        return
    tree = StoreTree(backend.files, push.version.root, Layout())
    levels: dict[int, set[str]] = {}
    for change in changes:
        for path in [*change.objects, *(f"{path}/" for path in change.names)]:
            for depth, end in enumerate(end for end, char in enumerate(path) if char == "/"):
                levels.setdefault(depth, set()).add(path[:end])
    for _, paths in sorted(levels.items()):
        nodes = (tree.node(path) for path in paths)
        backend.files.prefetch([node for node in nodes if node is not None and backend.files.is_tree(node)])


def _directories(snapshot: Snapshot, backend: Backend) -> list[str]:
    """The directories of a branch in which stores of ours lie: empty for its top, else with a `/` at the end."""
    found = []
    for side in SIDES:
        if snapshot.surroundings.backend(side)[0] == backend and (side == "state" or snapshot.has_intent()):
            found.append(snapshot.backend_of(snapshot.side(side))[1])
    return found


def _oid(tree: StoreTree, path: str) -> Oid | None:
    node = tree.node(path)
    return None if node is None else tree.files.oid(node)


def _digest(names: Iterable[str]) -> str:
    """What stands for a directory that was listed."""
    from hashlib import sha1

    return sha1("\0".join(sorted(names)).encode(errors="surrogateescape")).hexdigest()


def find_leftovers(snapshot: Snapshot, backend: Backend) -> Iterator[Finding]:
    """What lies in the outbox of a branch that nobody will make: what its writer left there, and what is no change.

    Raises RemoteError.
    """
    from shlex import quote  # late: only `fsck` asks for it

    outbox = backend.outbox
    if outbox is None:
        return
    for name, text in outbox.refreshed().items():
        what = None
        try:
            change = WaitingChange.read(text) if text is not None else None
            if change is not None:
                change.check_files(_directories(snapshot, backend))
            if change is None:
                what = f"it is no change of at most {MOST_BYTES} bytes, or cannot be fetched"
            elif not change.waits_at(time.time()):
                command = f"{change.command} {' '.join(change.touched[:3])}"
                how = "waited here in vain" if change.expires < time.time() else "would wait here"
                what = f"a change {how} until {format_seconds(change.expires)}: {command}"
        except BadChange as error:
            what = error.message
        if what is not None:
            yield Finding("warning", name, f"{what}; to remove it: git push <remote> --delete {quote(name)}")
