"""Moments as people write them (`yesterday`, `2026-11-20`), read by git itself, and what a branch held then."""

from __future__ import annotations

import re
from datetime import date
from time import time

from ..errors import NotFound, UsageError
from ..formats.times import format_seconds, parse_seconds
from .objects import ObjectError, Oid
from .program import run, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .repository import Repository

_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"
_LENGTHS: Final = {"sec": 1, "min": 60, "hou": 3600, "day": 86400, "wee": 604_800, "mon": 2_629_800, "yea": 31_557_600}
"""Seconds in a unit, by how its name begins."""
_WORDS: Final = (
    "january february march april may june july august september october november december "
    f"{_WEEKDAYS} seconds minutes hours days weeks months years"
)
"""Words of git that may be cut short, to three letters at least."""
_COUNTS: Final = "last zero one two three four five six seven eight nine ten"
_OTHERS: Final = f"now yesterday midnight noon tea never am pm {_COUNTS}"
_BESIDES: Final = "ago at a an and on the t z utc gmt est edt cst cdt mst mdt pst pdt bst cet cest eet eest msk ist jst"
"""Words that say no moment by themselves."""
_LONGEST: Final = 200
_EXACT: Final = r"(?:19[89]|20[0-8])\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
"""A moment as we write one. What is nearer to where git's calendar begins and ends, git reads."""
_NEAR: Final = 400
"""Commits that are read in about the time in which git starts."""
_AGREED: Final = 256
"""How many more commits must say that a moment lies after them than that it lies before, for older ones not to be
asked."""
_SHORT: Final = {"h": "hours", "d": "days", "w": "weeks"}


def is_moment(text: str) -> bool:
    """Whether git reads a text as a moment, and not just as the present, which it takes everything else for."""
    if len(text) > _LONGEST:
        return False
    full, others = _WORDS.split(), _OTHERS.split()
    words = [word for word in re.findall(r"[A-Za-z]+", text.lower()) if word not in _BESIDES.split()]
    known = all(word in others or (len(word) > 2 and any(one.startswith(word) for one in full)) for word in words)
    is_plain = re.fullmatch(r"[\w\s:./,+-]+|@\d+( [+-]\d{4})?", text, re.ASCII) is not None
    is_id = re.fullmatch(r"[0-9a-fA-F]{4,40}", text) is not None
    # A lone day of the week is the present for git: 'last friday' is none.
    counts = re.search(r"(?<![\d:])\d+(?![\d:])", text, re.ASCII) or set(words) & set(_COUNTS.split())
    if not counts and any(day.startswith(word) for word in words for day in _WEEKDAYS.split()):
        return False
    # A lone number is a day of this month for git, or what nobody means.
    names_any = words or re.search(r"\d[-/.:]\d|\dT\d|^@?\d{9,}", text, re.ASCII)
    return known and is_plain and not is_id and bool(names_any)


def moment_of(text: str, environ: Mapping[str, str]) -> int:
    """The moment that a text names, in seconds since the epoch: as git reads it, and `30d`, `12h` or `2w` ago.

    Raises UsageError.
    """
    exact = parse_seconds(text) if re.fullmatch(_EXACT, text, re.ASCII) else None
    if exact is not None:
        return int(exact)
    short = re.fullmatch(r"(\d{1,9})([hdw])", text, re.ASCII)
    if short is not None:
        text = f"{short[1]} {_SHORT[short[2]]} ago"
    if not is_moment(text) or not _is_possible(text):
        raise UsageError(
            f"'{text}' is no date",
            hint="such as 2026-11-20, '2026-11-20 14:00', midnight, yesterday, '2 weeks ago', 30d",
        )
    read = run(["rev-parse", f"--since={text}"], environ).decode().strip()
    moment = int(read.rpartition("=")[2])
    if not _is_meant(moment, text):
        raise UsageError(f"git does not read '{text}' as that date")
    return moment


def _is_possible(text: str) -> bool:
    """Whether there are the days and times of day that a text names, and git counts so far back.

    git makes the 2nd of March of the 30th of February, and the 25th of the month of 25:00.
    """
    if re.search(r"(?<![\d.:])\d+\.\d+(?!\d|\.\d)", text, re.ASCII):
        return False  # of 1.5 days it makes the 1st of May, and of 5.30pm the 30th
    for hour, minute, second in re.findall(r"(\d+):(\d+)(?::(\d+))?", text, re.ASCII):
        if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 60:
            return False
    for count, unit in re.findall(r"(\d+)[\s.-]*([a-z]{3})[a-z]*", text.lower(), re.ASCII):
        if int(count) * _LENGTHS.get(unit, 0) > time() and not (unit == "mon" and len(count) < 3):
            return False  # before 1970
    return all(map(any, _days(text)))


def _is_meant(moment: int, text: str) -> bool:
    """Whether git gave the year, or the seconds, that a text names: what is too far away it reads as something else."""
    if text.startswith("@"):
        return moment == int(text[1:].partition(" ")[0])
    shown = format_seconds(moment)
    if shown.startswith("@"):
        return False
    return all(any(day is not None and abs(day.year - int(shown[:4])) < 2 for day in days) for days in _days(text))


def _days(text: str) -> list[list[date | None]]:
    """What each three numbers of a text may mean (`2026-11-20`, `20.11.2026`, `11/20/26`); None for no day."""
    found = []
    for first, _, second, third in re.findall(r"(?<!\d)(\d+)([-/.])(\d+)\2(\d+)", text, re.ASCII):
        if len(first) > 2:
            found.append([_day(first, second, third)])
        else:
            year = third if len(third) > 2 else f"20{third:0>2}"
            found.append([_day(year, second, first), _day(year, first, second)])
    return found


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year[:9]), int(month[:9]), int(day[:9]))
    except ValueError:
        return None


def commit_named(repository: Repository, environ: Mapping[str, str], tip: Oid | None, text: str) -> Oid:
    """The commit that a revision names, or at which a branch stood at a moment (`<branch>@{<date>}`; a date alone is of
    the branch whose tip is `tip`).

    It is looked for along first parents, between those that were committed by then and those that were not. Where
    clocks were wrong that is the place of which the fewest commits say that it is not the one: git takes the newest
    that was committed by then, and so for every moment one whose clock was years behind. A reflog is not asked: it says
    what was here then, and in a clone that is no older than itself. Raises NotFound, UsageError.
    """
    branch, _, date = text.removesuffix("}").partition("@{")
    if text.endswith("}") and is_moment(date):
        tip, text = repository.resolve(branch or "HEAD"), date
    else:
        try:
            return repository.resolve(text)
        except NotFound:
            if tip is None or not is_moment(text):
                raise
    seconds = moment_of(text, environ)
    place = _Place(seconds)
    if not _decided_nearby(repository, tip, place):
        place = _Place(seconds)
        arguments = ["--git-dir", repository.git_dir, "rev-list", "--first-parent", "--timestamp", tip, "--"]
        child = start(arguments, {**environ, "GIT_NO_LAZY_FETCH": "1"})
        try:
            for line in child.lines():
                committed, _, oid = line.partition(" ")
                if place.takes(Oid(oid), int(committed)):
                    break
            else:
                place.end()
        finally:
            child.drop()
    found = place.found
    if not found and repository.history_ends():
        raise NotFound(
            f"the history that is here does not go back to '{text}'", hint="'git fetch --unshallow' gets all of it"
        )
    if not found:
        raise NotFound(f"there was no commit yet at '{text}'")
    return found


class _Place:
    """Finds where a moment lies among commits, which it is given from the newest on, each with its time."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._against = 0
        """Of the commits so far, how many more say that the moment lies after them than that it lies before."""
        self._least = 0
        self._is_before = True
        self.found: Oid | None = None
        """The newest commit before the moment; None where it lies before all of them."""

    def takes(self, oid: Oid, committed: int) -> bool:
        """Take in the next older commit; whether no older one needs to be asked."""
        if self._against < self._least:
            self._least, self._is_before = self._against, True
        if self._is_before:
            self.found, self._is_before = oid, False
        self._against += 1 if committed <= self._seconds else -1
        return self._against >= self._least + _AGREED

    def end(self) -> None:
        """Take note that there are no older commits."""
        if self._against < self._least:
            self.found = None


def _decided_nearby(repository: Repository, tip: Oid, place: _Place) -> bool:
    """Whether the newest commits say where a moment lies."""
    oid = tip
    try:
        for _ in range(_NEAR):
            commit = repository.read_commit(oid)
            if place.takes(oid, commit.commit_time):
                return True
            if not commit.parent_ids:
                place.end()
                return True
            oid = Oid(commit.parent_ids[0])
    except ObjectError:
        pass  # git knows best why there is no more of it
    return False
