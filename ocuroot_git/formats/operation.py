"""Operations: writes that bear a name, by which one that was carried out already is known again (design 8.5, 8.9).

And their origins: who asked for each, in which run of a CI system, and why (design 12).
"""

from __future__ import annotations

from ..errors import Fatal
from ..redaction import redact
from .documents import dump, to_bytes
from .printable import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .documents import Document

_LONGEST_NAME: Final = 200
_HASH_DIGITS: Final = 32
_LONGEST_ACTOR: Final = 200
_LONGEST_URL: Final = 2000
_LONGEST_REASON: Final = 1000


class Origin:
    """Where a change comes from: who asked for it (`github:ann`), the URL of the run of a CI system, and why.

    What is not known is None. Each is one printable line, as a trailer can hold it.
    """

    __slots__ = ("actor", "reason", "run")

    def __init__(self, actor: str | None = None, run: str | None = None, reason: str | None = None) -> None:
        self.actor = actor
        self.run = run
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self.values() == other.values()

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of(cls, actor: str | None = None, run: str | None = None, reason: str | None = None) -> Origin:
        """An origin of what the environment and the user say, whatever that is: without secrets, as `kept`."""
        return cls.kept(*(redact(text or "") for text in (actor, run, reason)))

    @classmethod
    def kept(cls, actor: str | None, run: str | None, reason: str | None) -> Origin:
        """An origin as a trailer can hold it: each is made one printable line.

        What is too long to be an actor or a URL is left out, a reason is cut.
        """
        actor, run, reason = _one_line(actor), _one_line(run), _one_line(reason)
        if reason is not None and len(reason) > _LONGEST_REASON:
            reason = f"{reason[: _LONGEST_REASON - 1]}…"
        is_actor = actor is not None and len(actor) <= _LONGEST_ACTOR
        is_url = run is not None and len(run) <= _LONGEST_URL and run.startswith(("https://", "http://"))
        return cls(actor if is_actor else None, run if is_url else None, reason)

    def values(self) -> tuple[str | None, str | None, str | None]:
        """Actor, run and reason."""
        return self.actor, self.run, self.reason

    def check(self) -> None:
        """Raise Fatal unless a trailer holds it as it is."""
        if self != Origin.kept(*self.values()):
            raise Fatal(f"bad origin of a change: {str(self.values())[:200]}")


def _one_line(text: str | None) -> str | None:
    """A text with a space for each run of white space, and what no terminal shows escaped; None for none."""
    return escaped(" ".join(text.split())) or None if text else None


class Operation:
    """One change: its name, where it comes from, and where they are known what was asked for and what came of it.

    `is_named` tells a name that somebody gave, and may use again, from one that was made up for this write. Under the
    former, `request` is the hash of what was asked for, so that something else under the same name is noticed, and
    `result` the JSON text of what the change gave, None where that is null.
    """

    __slots__ = ("is_named", "name", "origin", "request", "result")

    def __init__(
        self, name: str, request: str | None = None, *, is_named: bool = True, result: str | None = None
    ) -> None:
        self.name = name
        self.request = request
        self.is_named = is_named
        self.result = result
        self.origin = Origin()

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
