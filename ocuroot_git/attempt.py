"""One change on its way into a store: how often it was tried, and whether it may have arrived (design 8.3, 8.5)."""

from __future__ import annotations

from .errors import Conflict, Error, Fatal, RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .places import Place, Version
    from .snapshot import Snapshot


class Attempt:
    """A change on its way into a store, over as many tries as it takes."""

    def __init__(self, command: str, message: str | None, operation: str, named: bool) -> None:
        self.command = command
        self.message = message
        self.operation = operation
        self.named = named
        self.tries = 0
        self.place: Place | None = None
        """Where the last try wrote."""
        self.failure: Fatal | None = None
        """Why the answer to a try was lost, so that it may have been written; None where no answer was."""
        self._searched: dict[Place, str | None] = {}

    def find_done(self, snapshot: Snapshot) -> dict[Place, Version] | None:
        """What to read the stores at to get the result of this operation, if it was carried out already (P4)."""
        for place, version in snapshot.versions.items():
            if self.named or self.failure is not None:
                since = self._searched.get(place)
                before = place.find_operation(self.operation, version, since)
                if before is not None:
                    return {**snapshot.versions, place: before}
            self._searched[place] = version.oid
        return None

    def explained(self, error: RemoteError) -> Error:
        """An error that was met on the way; where the answer to an earlier try was lost, it must not sound harmless."""
        if self.failure is None:
            return error
        return self._unknown(error)

    def given_up(self, what: str, timeout: float) -> Error:
        """The error after the last try."""
        if self.failure is not None:
            return self._unknown(self.failure)
        lock = self.place.held_lock() if self.place is not None else None
        if lock is not None:
            return Conflict(
                f"another process held '{what}' for {timeout:g} s; nothing changed",
                hint=f"if no git process runs any more, one was killed: remove '{lock}'",
            )
        return Conflict(
            f"lost the race for '{what}' {self.tries} times in {timeout:g} s; nothing changed",
            hint="try again, or give it longer: git config ocuroot.timeout <seconds>",
        )

    def _unknown(self, error: Fatal) -> Error:
        return Fatal(
            f"whether the change was written is not known: {error.message}",
            hint=f"do it again with --operation {self.operation}: it takes effect once",
        )
