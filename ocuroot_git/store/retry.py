"""One change on its way into a store: how often it was tried, and whether it may have arrived (design 8.5, 8.9)."""

from __future__ import annotations

import os
import time

from ..backends.base import LATELY
from ..errors import Conflict, Error, Fatal, RemoteError
from ..formats.operation import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Final

    from ..backends.base import Backend
    from ..backends.operations import Carried
    from ..git.objects import Oid, RefMoved
    from .snapshot import Snapshot
    from .transaction import Transaction


_MOST_IN_VAIN: Final = 4
"""How often the branch may stand still while a change waits for others: then they may have been killed."""
_MOST_LEFT_BEHIND: Final = 3
"""How often the branch may move while a change stays in the outbox: then it seems that nobody can make it.

Whoever moves it makes all that he can, and those in one outbox are hardly ever more than three such pushes make.
"""
_FIRST_LOOK: Final = 1.5
_LATER_LOOKS: Final = 0.7
"""How long to wait before a look at what became of a change that waits, at least: in times of how long a try took.

Who comes to wait while another pushes waits for the end of that, and of the next push, which takes his along.
"""
_LONGEST_TURN: Final = 5.0
"""Seconds, at most, that one try counts for when others are waited for."""


class Companion:
    """A change that goes along with another one, in a commit of its own and in the same push; `is_made` when it did."""

    def __init__(self, change: Callable[[Transaction], object], command: str, message: str | None) -> None:
        self.change = change
        self.command = command
        self.message = message
        self.operation = Operation(os.urandom(16).hex(), is_named=False)
        self.result: object = None
        self.is_made = False


class Retry:
    """A change on its way into a store, over as many tries as it takes."""

    def __init__(self, command: str, message: str | None, operation: Operation, timeout: float) -> None:
        self.timeout = timeout
        self._deadline = time.monotonic() + timeout
        self.command = command
        self.message = message
        self.operation = operation
        self.tries = 0
        self.backend: Backend | None = None
        """Where the last try wrote."""
        self._failure: Fatal | None = None
        """Why the answer to a try was lost, so that it may have been written; None where no answer was."""
        self._refusal: Error | None = None
        """What to end with, unless the change is found to be written."""
        self._unless_moved = False
        self._is_open = False
        """Whether a try was sent, and nobody has looked since what became of it."""
        self._searched: dict[Backend, Oid | None] = {}
        self.companions: list[Companion] = []
        """Changes that go along."""
        self.along: dict[str, list[Companion]] = {}
        """Those that went along, by the commit of the change itself."""
        self.pushed: dict[str, object] = {}
        """What the change gave when it was pushed, by the commit."""
        self._waited: list[object] = []
        """What it gave each time when it was left to wait."""
        self.waiting: str | None = None
        """The name under which it waits for another writer (design 8.10), as it was last: `what_waits`."""
        self.what_waits: object = None
        self._out_of_sight: list[str] = []
        """The names under which it may wait as well, where others see it, though we do not."""
        self.missed: str | None = None
        """The name under which it did not wait any more, though the branch did not have it, when both were fetched."""
        self.unsure: RemoteError | None = None
        """Why it is not known whether it waits."""
        self._before_us = 0
        """How many others wait before it."""
        self._began = self._took = 0.0
        self.is_hasty = False
        """Whether the first try did not fetch."""

    def write_to(self, snapshot: Snapshot, backend: Backend) -> None:
        """Take note that the change is about to be written on top of what a snapshot reads."""
        self.backend = backend
        # A name that was made up for this change is nowhere yet. What was searched already needs no second look.
        self._searched.setdefault(backend, snapshot.version(backend).oid)

    def after(self, moved: RefMoved, tell: Callable[[str], object] | None) -> None:
        """Take note that a try was not answered by success, and wait until it is time to look what became of it.

        `tell` is told that it is tried again.
        """
        assert self.backend is not None
        self._is_open = self._is_open or moved.is_sent
        self._failure = moved.failure or self._failure
        self._refusal, self._unless_moved = moved.refusal, moved.unless_moved
        took = min(time.monotonic() - self._began, _LONGEST_TURN)
        if self.is_hasty and self.tries == 1 and self.backend.outbox is not None:
            took = max(took, self.backend.outbox.turn)
        elif self.backend.outbox is not None:
            self.backend.outbox.turn = took
        self._took = max(self._took, took)
        pause = self.backend.pause(self.tries) if self.waiting is None else 0.0
        if self._refusal is None and time.monotonic() + pause > self._deadline:
            self._refusal = self._given_up(str(moved), self.timeout)
        if self._refusal is None:
            if tell is not None:
                tell(f"lost the race for '{moved}', trying again ({self.tries})")
            if self.waiting is None:
                time.sleep(pause)
            elif self.waiting != self.missed:
                self._wait_for_turn()

    def begin(self) -> None:
        """Take note that a try begins."""
        self.tries += 1
        self._began = time.monotonic()

    def note_waiting(
        self, name: str, what: object, result: object, failure: RemoteError | None, *, before_us: int
    ) -> None:
        """Take note that the change waits, after so many others; a failure leaves open whether it does."""
        if failure is not None:
            self.lose_sight()  # what it was to take the place of may be there still
        self.waiting, self.what_waits, self._before_us = name, what, before_us
        self._waited.append(result)
        self.unsure = failure or self.unsure

    def lose_sight(self) -> None:
        """Take note that the change no longer waits, as far as we see: it is pushed as if it never had.

        It may be that others see it: a server may keep references from one login, or refuse to take this one out.
        """
        if self.waiting is not None:
            self._out_of_sight.append(self.waiting)
            self.waiting = None

    @property
    def names_waiting(self) -> list[str]:
        """The names under which others may yet make the change."""
        return [*self._out_of_sight, *([self.waiting] if self.waiting is not None else [])]

    @property
    def may_be_made(self) -> bool:
        """Whether somebody else may have made the change, or may make it yet."""
        return bool(self.names_waiting) or self.unsure is not None

    def sending(self, name: str) -> AbstractContextManager[None]:
        """A block in which the change is let wait under a name, so that it may do so where the block is interrupted."""
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[None]:
            self._out_of_sight.append(name)
            try:
                yield
            except Error:
                self._out_of_sight.remove(name)  # it was not sent
                raise
            self._out_of_sight.remove(name)

        return block()

    def withdraw(self, tell: Callable[[str], object] | None) -> None:
        """Take back what waits as far as that can be done, at an end that says no more than that: such as by Ctrl-C.

        `tell` is told where it could not.
        """
        for name in self.names_waiting:
            assert self.backend is not None and self.backend.outbox is not None
            try:
                self.backend.outbox.take_back(name)
            except Error as error:
                if tell is not None:
                    tell(f"the change may be made yet by another writer: {error.message}")

    def end_waiting(self) -> None:
        """Take note that nobody makes the change any more: it was made, or was taken back."""
        self.waiting = None
        self.unsure = None
        self._out_of_sight.clear()

    def _wait_for_turn(self) -> None:
        """Wait until the change that waits is made by somebody else, or is the first that waits, so that we make all.

        To try before would only be in the way. But where nothing goes on, those before it may have been killed; and
        anybody may put there what cannot be made.
        """
        from random import random

        outbox = self.backend.outbox if self.backend is not None else None
        tip: Oid | None = None
        in_vain = 0
        left_behind: dict[str, int] = {}
        share = _FIRST_LOOK
        while outbox is not None and in_vain <= _MOST_IN_VAIN:
            time.sleep(self._took * (0.1 + 0.2 * random() if self._before_us == 0 else share + random()))
            share = _LATER_LOOKS
            if time.monotonic() > self._deadline:
                return
            try:
                now, names = outbox.look()
            except RemoteError:
                return  # who reads next says so
            if self.waiting is None or self.waiting not in names:
                return
            since = outbox.began(self.waiting) - LATELY
            before_us = {name for name in outbox.in_view(names) if name < self.waiting and outbox.began(name) > since}
            if now != tip:
                left_behind = {name: left_behind.get(name, -1) + 1 for name in before_us}
                outbox.pass_over(name for name, times in left_behind.items() if times == _MOST_LEFT_BEHIND)
            self._before_us = sum(not outbox.is_passed_over(name) for name in before_us)
            if self._before_us == 0:
                return
            in_vain = in_vain + 1 if now == tip else 0
            tip = now

    def note_made(self, commit: str) -> None:
        """Take note that a push has arrived that began with a commit of ours."""
        for companion in self.along.get(commit, ()):
            companion.is_made = True

    def known_result(self, commit: str) -> tuple[bool, object]:
        """Whether it is known what the change gave that a commit carries, and what that is."""
        if commit in self.pushed:
            return True, self.pushed[commit]
        if len(self._waited) == 1:
            return True, self._waited[0]
        return False, None

    def look_back(self, snapshot: Snapshot) -> tuple[Backend, Carried] | None:
        """What became of tries before this one: the operation, if one of them was carried out.

        Whatever a remote answered: a request that was carried out may have been sent again by the transport, and the
        second answer then says that another writer was faster. Raises the error to end with where there is one.
        """
        if self.backend is None or not (self._is_open or self.may_be_made or self._refusal is not None):
            return None
        before = self._searched[self.backend]
        try:
            found = self.find(snapshot, (self.backend,))
        except RemoteError as error:
            raise self.explained(self._refusal or error) from None
        if found is not None:
            return found
        self._is_open = False
        moved = snapshot.version(self.backend).oid != before
        if self._refusal is not None and not (self._unless_moved and moved):
            raise self._refusal
        self._refusal = None
        return None

    def find(self, snapshot: Snapshot, backends: Iterable[Backend]) -> tuple[Backend, Carried] | None:
        """The operation as one of the places carries it, if it was carried out (P4).

        Raises Conflict where its name was given to something else.
        """
        for backend in backends:
            version = snapshot.version(backend)
            found = backend.find_operation(self.operation.name, version, self._searched.get(backend))
            if found is not None:
                self._check_same(found)
                return backend, found
            self._searched[backend] = version.oid
        return None

    def explained(self, error: Error) -> Error:
        """An error that was met on the way; where a try may have been carried out, it must not sound harmless."""
        if self._failure is None and not self._is_open:
            return error
        return self.unknown(error)

    def _check_same(self, found: Carried) -> None:
        """Whether what was found is what is asked for. The first version did not write down what was asked for."""
        asked, carried = self.operation.request, found.operation.request
        is_same = asked == carried if asked is not None and carried is not None else found.command == self.command
        if not is_same:
            name, first = found.operation.name, f"'{found.subject}' (commit {found.commit[:12]})"
            raise Conflict(
                f"operation '{name}' is another change already: {first}",
                hint="give this one a name of its own",
            )

    def _given_up(self, what: str, timeout: float) -> Error:
        if self._failure is not None:
            return self.unknown(self._failure)
        lock = self.backend.held_lock() if self.backend is not None else None
        if lock is not None:
            return Conflict(
                f"another process held '{what}' for {timeout:g} s; nothing changed",
                hint=f"if no git process runs any more, one was killed: remove '{lock}'",
            )
        return Conflict(
            f"lost the race for '{what}' {self.tries} times in {timeout:g} s; nothing changed",
            hint="try again, or give it longer: git config ocuroot.timeout <seconds>",
        )

    def unknown(self, error: Error) -> Error:
        """The error where it cannot be found out whether the change was made."""
        name = self.operation.name
        quoted = name if name.replace("-", "").replace("/", "").isalnum() else f"'{name}'"
        return Fatal(
            f"whether the change was written is not known: {error.message}",
            hint=f"do it again with --operation {quoted}: it takes effect once",
        )
