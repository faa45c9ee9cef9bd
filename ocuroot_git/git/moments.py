"""Moments as people write them (`yesterday`, `2026-11-20`), read by git itself, and what a branch held then."""

from __future__ import annotations

import re

from ..errors import NotFound, UsageError
from .objects import Oid
from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .repository import Repository

_WORDS: Final = (
    "january february march april may june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday seconds minutes hours days weeks fortnights months years"
)
"""Words of git that may be cut short, to three letters at least."""
_OTHERS: Final = (
    "now today yesterday midnight noon tea never ago last am pm at a an and on the t z utc gmt est edt cst cdt mst mdt "
    "pst pdt bst cet cest eet eest msk ist jst zero one two three four five six seven eight nine ten"
)
_SHORT: Final = {"h": "hours", "d": "days", "w": "weeks"}


def is_moment(text: str) -> bool:
    """Whether git reads a text as a moment, and not just as the present, which it takes everything else for."""
    words = re.findall(r"[A-Za-z]+", text.lower())
    others, full = _OTHERS.split(), _WORDS.split()
    known = all(word in others or (len(word) > 2 and any(one.startswith(word) for one in full)) for word in words)
    is_plain = re.fullmatch(r"[\w\s:./,+@-]+", text, re.ASCII) is not None
    is_id = re.fullmatch(r"[0-9a-fA-F]{4,40}", text) is not None
    return known and is_plain and not is_id and bool(words or re.search(r"\d", text))


def moment_of(text: str, environ: Mapping[str, str]) -> int:
    """The moment that a text names, in seconds since the epoch: as git reads it, and `30d`, `12h` or `2w` ago.

    Raises UsageError.
    """
    short = re.fullmatch(r"(\d{1,9})([hdw])", text, re.ASCII)
    if short is not None:
        text = f"{short[1]} {_SHORT[short[2]]} ago"
    if not is_moment(text):
        raise UsageError(
            f"'{text}' is no date", hint="such as 2026-11-20, '2026-11-20 14:00', yesterday, '2 weeks ago', 30d"
        )
    read = run(["rev-parse", f"--since={text}"], environ).decode().strip()
    return int(read.rpartition("=")[2])


def commit_named(repository: Repository, environ: Mapping[str, str], tip: Oid | None, text: str) -> Oid:
    """The commit that a revision names, or which a branch with its tip at `tip` stood at, at a moment.

    That is the newest along first parents that was committed by then. Raises NotFound.
    """
    try:
        return repository.resolve(text)
    except NotFound:
        branch, at, date = text.removesuffix("}").partition("@{")
        if at:  # the reflog does not say it, or there is none
            if not text.endswith("}") or repository.resolve(branch or "HEAD") != tip:
                raise
            text = date
        if tip is None or not is_moment(text):
            raise
    seconds = moment_of(text, environ)
    arguments = ["--git-dir", repository.git_dir, "rev-list", "-1", "--first-parent", f"--min-age={seconds}", tip, "--"]
    found = run(arguments, {**environ, "GIT_NO_LAZY_FETCH": "1"}).decode().strip()
    if not found:
        raise NotFound(f"there was no commit yet at '{text}'")
    return Oid(found)
