"""The record of releases that were taken out of the live tree, as `repo/-/path/@pruned` has it (design 7). Pure.

    {"highest": 120, "pruned": [{"releases": "1-40,42", "commit": <id>, "time": …, "commits": ["3f2a…", …]}]}

`highest` is the highest number in use when releases were last pruned, below which none is given again. Each entry says
which releases went at once, the last commit of the store that has them, and the commits that they were releases of.
"""

from __future__ import annotations

from ..errors import Fatal
from .documents import Document, brief

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

_MOST: Final = 10**9
"""Above any number of a release."""
_DIGITS: Final = 16
"""Digits of a commit that are kept: 10^5 releases of a package share none by chance."""
_FIELDS: Final = ("releases", "commit", "intent_commit", "time", "commits")


class RecordError(Fatal, ValueError):
    """A document is no record of what was pruned; the message names the field."""


class Pruned:
    """One entry: releases that went at once.

    `spans` are their numbers, as pairs of a first and a last one, rising; `commit` is the last commit of the state
    store that has them, `intent_commit` that of the intent store where it lies elsewhere, and `commits` begin as the
    commits do that they were releases of. `others` are fields that this version does not know.
    """

    __slots__ = ("commit", "commits", "intent_commit", "others", "spans", "time")

    def __init__(
        self,
        spans: list[tuple[int, int]],
        commit: str,
        time: str,
        commits: list[str],
        intent_commit: str = "",
        others: dict[str, Any] | None = None,
    ) -> None:
        self.spans = spans
        self.commit = commit
        self.time = time
        self.commits = commits
        self.intent_commit = intent_commit
        self.others = others or {}

    @classmethod
    def read(cls, value: Document) -> Pruned:
        if not isinstance(value, dict):
            raise RecordError(f"pruned: {brief(value)} is not an object")
        fields = {name: value.get(name, "") for name in _FIELDS if name != "commits"}
        for name, text in fields.items():
            if not isinstance(text, str):
                raise RecordError(f"pruned: {name} is {brief(text)}, not a string")
        commit, intent_commit = fields["commit"], fields["intent_commit"]
        for name, oid in (("commit", commit), ("intent_commit", intent_commit or "0" * 40)):
            if len(oid) not in (40, 64) or set(oid) - set("0123456789abcdef"):
                raise RecordError(f"pruned: {name} is {brief(oid)}, not the id of a commit")
        commits = value.get("commits", [])
        if not isinstance(commits, list) or not all(isinstance(one, str) for one in commits):
            raise RecordError("pruned: commits is not a list of strings")
        others = {name: one for name, one in value.items() if name not in _FIELDS}
        return cls(read_spans(fields["releases"]), commit, fields["time"], list(commits), intent_commit, others)

    def to_document(self) -> dict[str, Any]:
        known: dict[str, Any] = {"releases": format_spans(self.spans), "commit": self.commit}
        if self.intent_commit:
            known["intent_commit"] = self.intent_commit
        return {**known, "time": self.time, "commits": self.commits, **self.others}

    def of(self, is_intent: bool) -> str:
        """The last commit that has the state of the releases, or their intents."""
        return (self.intent_commit if is_intent else "") or self.commit

    def has(self, number: int) -> bool:
        """Whether a release is among these."""
        return any(first <= number <= last for first, last in self.spans)


class PrunedRecord:
    """What was pruned of a package, in the order in which it was."""

    def __init__(self, highest: int, entries: list[Pruned], others: dict[str, Any] | None = None) -> None:
        self.highest = highest
        self.entries = entries
        self.others = others or {}

    @classmethod
    def read(cls, value: Document) -> PrunedRecord:
        """Read the document. Raises RecordError."""
        if not isinstance(value, dict):
            raise RecordError("it is not a JSON object")
        highest, entries = value.get("highest"), value.get("pruned")
        if type(highest) is not int or not 0 <= highest < _MOST:
            raise RecordError(f"highest is {brief(highest)}, not the number of a release")
        if not isinstance(entries, list):
            raise RecordError(f"pruned is {brief(entries)}, not a list")
        read = [Pruned.read(one) for one in entries]
        for one in read:
            if one.spans[-1][1] > highest:
                raise RecordError(f"highest is {highest}, but release {one.spans[-1][1]} was pruned")
        return cls(highest, read, {name: one for name, one in value.items() if name not in ("highest", "pruned")})

    def to_document(self) -> dict[str, Any]:
        return {"highest": self.highest, "pruned": [one.to_document() for one in self.entries], **self.others}

    def find(self, number: int) -> Pruned | None:
        """The entry that a release is in, the newest of several; None where it was not pruned."""
        return next((one for one in reversed(self.entries) if one.has(number)), None)

    def find_commit(self, commit: str) -> Pruned | None:
        """The entry of a release of a commit; None where there is none."""
        return next((one for one in reversed(self.entries) if shortened(commit) in one.commits), None)


def shortened(commit: str) -> str:
    """A commit as it is kept in the record."""
    return commit[:_DIGITS]


def spans_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as pairs of the first and the last of each unbroken row, rising."""
    spans: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number, number))
    return spans


def format_spans(spans: list[tuple[int, int]]) -> str:
    """Numbers as people read them: `1-40,42`."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read_spans(text: str) -> list[tuple[int, int]]:
    """Read what `format_spans` writes. Raises RecordError."""
    spans: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = [first, last if dash else first]
        if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            raise RecordError(f"pruned: releases is {brief(text)}, not numbers as in '1-40,42'")
        span = int(ends[0]), int(ends[1])
        if span[0] > span[1] or (spans and span[0] <= spans[-1][1]):
            raise RecordError(f"pruned: releases is {brief(text)}, in which the numbers do not rise")
        spans.append(span)
    return spans
