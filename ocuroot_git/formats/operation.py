"""Operations: writes that bear a name, by which one that was carried out already is known again (design 8.5, 8.9)."""

from __future__ import annotations

from ..errors import Fatal
from .documents import dump, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .documents import Document

_LONGEST_NAME: Final = 200
_HASH_DIGITS: Final = 32


class Operation:
    """One change: its name, and where they are known what was asked for and what came of it.

    `is_named` tells a name that somebody gave, and may use again, from one that was made up for this write. Under the
    former, `request` is the hash of what was asked for, so that something else under the same name is noticed, and
    `result` the JSON text of what the change gave, None where that is null.
    """

    __slots__ = ("is_named", "name", "request", "result")

    def __init__(
        self, name: str, request: str | None = None, *, is_named: bool = True, result: str | None = None
    ) -> None:
        self.name = name
        self.request = request
        self.is_named = is_named
        self.result = result

    def step(self, name: str) -> Operation:
        """An operation of its own for a part of this one that is written somewhere else."""
        return Operation(f"{self.name}.{name}", self.request, is_named=self.is_named)


def name_operation(change: str | None, job: str | None, made_up: str, request: Document) -> Operation:
    """The operation of a request: `change` is the name of just this change, `job` that of a job of many requests.

    In a job each distinct request is an operation of its own. `made_up` names what bears neither name. Raises Fatal for
    a bad name.
    """
    if not change and not job:
        return Operation(made_up, is_named=False)
    from hashlib import sha256  # late: most writes bear no name

    hashed = sha256(to_bytes(dump(request, None))).hexdigest()[:_HASH_DIGITS]
    if change:
        return Operation(checked_name(change), hashed)
    assert job is not None
    return Operation(f"{checked_name(job)}/{hashed}", hashed)


def checked_name(name: str) -> str:
    """The name of an operation, if a trailer can hold it. Raises Fatal."""
    if len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise Fatal(f"bad name of an operation: {name!r}", hint="it is one line of text, such as the id of the job")
    return name
