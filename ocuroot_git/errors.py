"""The errors a user can meet: one class per exit status (design 6).

A message is lower case and without a full stop; `hint` names the next step where there is one. Neither keeps a secret:
both are redacted as the error is made, so no one who prints, logs or stores it has to think of that.
Modules define their own subclasses beside the code that raises them.
"""

from __future__ import annotations

from .redaction import redact


class Error(Exception):
    """Something the user must know about. `status` is the exit status of the command that met it."""

    status = 128

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = redact(message)
        self.hint = redact(hint) if hint is not None else None
        super().__init__(self.message)


class NotFound(Error):
    """The answer is no: what was asked for is not there (exit status 1)."""

    status = 1


class Conflict(Error):
    """A precondition failed, or a race was lost after all retries; nothing was changed (exit status 3)."""

    status = 3


class Fatal(Error):
    """The command cannot do what it was asked to (exit status 128)."""

    status = 128


class RemoteError(Fatal):
    """A remote cannot be asked, or does not do what it is asked to."""


class UsageError(Error):
    """The command line is not one the command understands (exit status 129)."""

    status = 129
