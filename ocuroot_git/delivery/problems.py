"""What is wrong with documents of the delivery model, and going on without them (design 7).

One bad document concerns itself alone: what reads many collects `Problems`, leaves out what it cannot read, and says
so in the end. What is asked for one document passes `STRICT`, and fails with the first.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.globs import GlobError
from ..formats.layout import Damaged, stored_ref
from ..formats.refs import RefError
from ..git.objects import ObjectError
from ..store.tree import LinkCycle
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Final, Literal

    from ..errors import Error
    from .fields import Fields

BAD: Final = (ModelError, RefError, GlobError, NotFound, Damaged, LinkCycle, ObjectError)
"""What can be wrong with one document, or on the way to it, and must not keep others from being read."""


class BadDocument(ModelError):
    """A document is not of the shape that its place asks for: its `ref`, and in `what` the field and the reason."""

    def __init__(self, ref: str, what: str, *, hint: str | None = None) -> None:
        super().__init__(f"'{ref}': {what}", hint=hint)
        self.ref = ref
        self.what = what


class Problem:
    """A document that was left out: its ref, what is wrong with it, and whether it is its file that is damaged."""

    __slots__ = ("is_damage", "ref", "what")

    def __init__(self, ref: str, what: str, *, is_damage: bool) -> None:
        self.ref = ref
        self.what = what
        self.is_damage = is_damage

    @property
    def message(self) -> str:
        """Both, as an error says it that is about this document alone."""
        return f"'{self.ref}': {self.what}"

    def to_document(self) -> Fields:
        return {"ref": self.ref, "problem": self.what}

    @classmethod
    def of_document(cls, document: Fields) -> Problem:
        return cls(document["ref"], document["problem"], is_damage=False)

    def __str__(self) -> str:
        return f"'{self.ref}' is left out: {self.what}"


class Problems:
    """The documents that were left out, each once. `asked` has them by the ref of what was read when they were met."""

    def __init__(self) -> None:
        self.asked: dict[str, Problem] = {}

    def __iter__(self) -> Iterator[Problem]:
        found = {problem.ref: problem for problem in reversed(self.asked.values())}
        return iter(sorted(found.values(), key=lambda problem: problem.ref))

    def __len__(self) -> int:
        return len(self.asked)

    def leave_out(self, ref: str) -> AbstractContextManager[object, bool]:
        """Go on after what is done within if a document is bad there; `ref` is what it is about."""
        return _LeaveOut(self, ref)

    def takes(self, error: Error, ref: str) -> bool:
        """Keep what is wrong, and go on; whether that is what is to be done here."""
        self.add(error, ref)
        return True

    def add(self, error: Error, ref: str) -> None:
        """Keep what is wrong, under the ref of the document that is to be mended as far as the error tells."""
        where, what = ref, error.message.removeprefix(f"'{ref}': ")
        if isinstance(error, BadDocument):
            where, what = error.ref, error.what
        elif isinstance(error, Damaged):
            where, what = stored_ref(error.path) or error.path, error.why
        self.asked.setdefault(ref, Problem(where, what, is_damage=isinstance(error, Damaged)))

    def to_document(self) -> list[Fields]:
        return [problem.to_document() for problem in self]

    @classmethod
    def of_document(cls, document: list[Fields]) -> Problems:
        problems = cls()
        problems.asked = {one["ref"]: Problem.of_document(one) for one in document}
        return problems

    def update(self, others: Problems) -> None:
        """Take over what others found."""
        for ref, problem in others.asked.items():
            self.asked.setdefault(ref, problem)


class _LeaveOut:
    """What `leave_out` gives; a class, because the module that makes them of functions is slow to load."""

    __slots__ = ("_problems", "_ref")

    def __init__(self, problems: Problems, ref: str) -> None:
        self._problems = problems
        self._ref = ref

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> bool:
        return isinstance(error, BAD) and self._problems.takes(error, self._ref)


class _Strict(Problems):
    def takes(self, error: Error, ref: str) -> Literal[False]:
        return False


STRICT: Final = _Strict()
"""Leaves nothing out: the first bad document raises."""
